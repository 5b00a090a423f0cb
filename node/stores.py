"""The folders of a node, opened together: chain, node state, index, payloads."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ledger.storage.chainstate import ChainStore
from ledger.storage.exchanges import CheckpointStore, ExchangeStore, NonceStore
from ledger.storage.fetches import FetchStore
from ledger.storage.indexes import RecordIndex
from ledger.storage.licences import LicenceStore
from ledger.storage.openings import Openings
from ledger.storage.payloads import PayloadStore
from ledger.storage.statuslists import StatusListStore
from ledger.storage.store import Store
from ledger.storage.witness import WitnessStore
from node.config import NodeConfig
from node.drain import Closing

#: Bytes gathered in memory before LevelDB sorts them into a file. Blocks come in megabytes, under keys without order:
#: what is gathered longer is merged and compressed less often.
_BUFFER = 4 << 20
_CHAIN_BUFFER = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """Everything a node keeps but its log. Several databases, because a chain block, a payload and an index batch must
    not wait for each other's disk syncs."""

    chain: ChainStore
    witness: WitnessStore
    exchanges: ExchangeStore
    nonces: NonceStore
    node: Store
    checkpoints: CheckpointStore
    services: Store
    index: RecordIndex
    payloads: PayloadStore
    openings: Openings
    licences: LicenceStore
    status_lists: StatusListStore
    fetches: FetchStore
    #: What the medical parts keep beside their own folders.
    medical: Store

    def of_generation(self, generation: int) -> Stores:
        """The same stores with the checkpoints of one generation of the log."""
        return replace(self, checkpoints=_checkpoints(self.node, generation))


def _checkpoints(node: Store, generation: int) -> CheckpointStore:
    return CheckpointStore(node.sub(b"checkpoint/" if generation == 1 else b"checkpoint.%d/" % generation))


def openings_in(payloads: Store) -> Openings:
    """The openings of commitments, beside the payloads in one folder."""
    return Openings(payloads.sub(b"s/"))


def open_stores(config: NodeConfig, closing: Closing) -> Stores:
    """Open all folders; each is added to ``closing``.

    Raises: ConflictError(store.locked) when another process has one open, FatalError(store.corrupt),
    UnavailableError(disk.full).
    """

    def opened(name: str, write_buffer: int) -> Store:
        store = Store.open(config.store_folder / name, write_buffer=write_buffer)
        closing.add(f"store-{name}", store.close)
        return store

    chain, node = opened("chain", _CHAIN_BUFFER), opened("node", _BUFFER)
    payloads = Store.open(config.payloads_folder)
    closing.add("payloads", payloads.close)
    openings = openings_in(payloads)
    index = RecordIndex.open(config.index_folder, openings)
    closing.add("store-index", index.close)
    return Stores(
        chain=ChainStore(chain),
        witness=WitnessStore(node.sub(b"witness/")),
        exchanges=ExchangeStore(node.sub(b"exchange/")),
        nonces=NonceStore(node.sub(b"nonce/")),
        node=node,
        checkpoints=_checkpoints(node, 1),
        services=node.sub(b"services/"),
        index=index,
        payloads=PayloadStore(payloads),
        openings=openings,
        licences=LicenceStore(node.sub(b"licence/"), payloads.sub(b"l/")),
        status_lists=StatusListStore(node.sub(b"status-list/")),
        fetches=FetchStore(payloads.sub(b"f/")),
        medical=node.sub(b"medical/"),
    )
