"""The chain of a node whose city stands on a network that somebody else runs: followed, its finality kept and told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import structlog

from ledger.chain.bindings import Contracts
from ledger.chain.external import ExternalChain
from ledger.chain.external_deploy import Deployment
from ledger.chain.external_link import RpcLink
from ledger.chain.external_seals import take_finality
from ledger.chain.external_watch import HeadWatch
from ledger.errors import FatalError, InvalidInputError, LedgerError, UntrustedError
from ledger.evidence.finality import Head
from ledger.evidence.network import EXTERNAL, NetworkFinality, NetworkPin, UnprovenFinality
from ledger.evidence.qbftfinality import QbftPin
from node.chain.board import FinalityBoard
from node.chain.heads import MAX_AHEAD_MS
from node.loops import Loop

if TYPE_CHECKING:
    from ledger.chain.blocks import ChainHead
    from ledger.chain.genesis import Genesis
    from ledger.storage.chainstate import ChainStore
    from node.config import NodeConfig
    from node.context import Clock
    from node.metrics import Metrics

logger = structlog.get_logger("node.external")

#: How often the network is looked at for this node's own purposes, seconds; blocks wake it as well.
_TEND_S: Final = 1.0
#: How often the newest adopted block is written down, seconds: after a restart it must still stand.
_KEEP_S: Final = 5.0
_MAX_TOKEN: Final = 4096
#: Answers of calls that are kept at one head.
_MAX_CALLS: Final = 4096


class NetworkChain(ExternalChain):
    """The engine ``external`` with what a node keeps beside it: ``store`` for anchors and the newest adopted block."""

    store: ChainStore
    genesis_digest: bytes

    def __init__(self, link: RpcLink, deployment: Deployment, watch: HeadWatch) -> None:
        super().__init__(link, deployment, watch)
        #: What was read at one head: every call of a peer asks for the same few things.
        self._calls: tuple[bytes, dict[tuple[bytes, bytes], bytes]] = (b"", {})

    def waiting(self) -> tuple[int, int, bool]:
        """What waits, waits at the network's node."""
        return 0, 0, False

    @classmethod
    def of_city(cls, config: NodeConfig, genesis: Genesis, store: ChainStore) -> Self:
        """Follow the network that the genesis file names, by the JSON-RPC of node.toml.

        Raises: InvalidInputError(config.external), ConflictError(chain.other-genesis | chain.other-chain | chain.fees |
        chain.gas-limit), UntrustedError(chain.* | genesis.founders), UnavailableError(chain.*).
        """
        store.check_genesis(genesis.digest)
        link, kept = _link(config), store.adopted
        try:
            chain = cls.open(
                link,
                deployment_of(genesis),
                since=None if kept is None else (kept[0], kept[1]),
                confirmations=config.external.confirmations,
                poll_s=config.external.poll_ms / 1_000,
            )
        except BaseException:
            link.close()
            raise
        chain.store, chain.genesis_digest = store, genesis.digest
        try:
            _check_founders(chain, genesis)
        except BaseException:
            chain.close()
            raise
        return chain

    def call(self, to: bytes, data: bytes, height: int | None = None) -> bytes:
        """As ``ExternalChain.call``; what was read at the present head is not asked for again."""
        if height is not None:
            return super().call(to, data, height)
        head = self.head().hash
        at, known = self._calls
        if at != head or len(known) >= _MAX_CALLS:
            _, known = self._calls = (head, {})
        found = known.get((to, data))
        if found is None:
            found = known[to, data] = super().call(to, data)
        return found

    def keep_head(self) -> None:
        """Write the newest adopted block down."""
        head = self.head()
        self.store.put_adopted(self.genesis_digest, head.height, head.hash, head.header)

    def anything_new(self) -> bool:
        """Whether a block was adopted since the last one written down."""
        kept = self.store.adopted
        return kept is None or kept[1] != self.head().hash


class NetworkBoard(FinalityBoard[NetworkFinality]):
    """The board of a node on somebody's network. The signed time is that of the newest adopted block."""

    def __init__(
        self,
        *,
        clock: Clock,
        block_hash: Callable[[int], bytes | None],
        founded: QbftPin | None,
        oldest_time_ms: int,
    ) -> None:
        super().__init__(clock=clock, stored=None, oldest_time_ms=oldest_time_ms)
        self._block_hash = block_hash
        self._founded = founded

    @property
    def proves(self) -> bool:
        """Whether the network's blocks carry a proof at all; else nothing is ever final here."""
        return self._founded is not None

    @property
    def role(self) -> str:
        """``member``: none of the members orders."""
        return "member"

    def final_height(self) -> int:
        """Height of the newest block with a proof; 0 on a network whose blocks carry none."""
        return super().final_height() if self.proves else 0

    def pin(self, finality: NetworkFinality) -> NetworkPin:
        """What a policy pins. With seals it is the founding block, from which each finality of this node leads on; the
        node checked that way up to the newest one. Without, the newest block."""
        checked = finality.head.time_ms
        if self._founded is None:
            return NetworkPin(height=finality.head.height, hash=finality.head.hash, checked_at_ms=checked)
        founded = self._founded
        return NetworkPin(
            height=founded.height, hash=founded.hash, checked_at_ms=checked, validators=founded.validators
        )

    def reached(self, time_ms: int) -> None:
        """A block of this time (Unix ms) is adopted. A network whose clock runs ahead makes no view look younger."""
        with self._condition:
            self._oldest_time_ms = max(self._oldest_time_ms, min(time_ms, self._clock() + MAX_AHEAD_MS))
            self._changed()

    def newest_time_ms(self) -> int:
        """The time of the newest adopted block."""
        return self._oldest_time_ms

    def finalise(self, finality: NetworkFinality) -> bool:
        """Announce what there is of a block newer than the one known; False when it is not newer.

        Raises: UntrustedError(head.block).
        """
        head = finality.head
        if self._finality is not None and head.height <= self._finality.head.height:
            return False
        if self._block_hash(head.height) != head.hash:
            raise UntrustedError(
                "head.block", "a finality is over a block that is not adopted here", actual=head.height
            )
        with self._condition:
            self._finality = finality
            self._changed()
        return True

    def _covered(self) -> int:
        return self._finality.head.height if self._finality else 0


class NetworkFollower:
    """The orderer of a node on somebody's network: it orders nothing. It takes each block's finality, says what is
    wrong with the network, and ends the node when a block that was adopted is another one now."""

    def __init__(
        self,
        *,
        chain: NetworkChain,
        board: NetworkBoard,
        pin: QbftPin | None,
        follow: Callable[[], None],
        metrics: Metrics,
        on_fatal: Callable[[LedgerError], None],
    ) -> None:
        self._chain = chain
        self._board = board
        self._pin = pin
        self._follow = follow
        self._kept_at = 0.0
        self.loop = Loop("network", self._step, metrics=metrics, on_fatal=on_fatal)
        self._leave = chain.subscribe(lambda _block: self.loop.wake())

    def loops(self) -> Iterator[Loop]:
        """Every loop of it."""
        yield self.loop

    def stop(self) -> None:
        """Ask the loop to end."""
        self._leave()
        self.loop.stop()

    def _step(self) -> float:
        failure = self._chain.failure
        if failure is not None and not self.loop.stopping:
            # So that the next start sees that it does not stand any more, however new the block was.
            with suppress(LedgerError):
                self._chain.keep_head()
            raise FatalError(
                failure.code, failure.message, hint=failure.hint, expected=failure.expected, actual=failure.actual
            )
        head = self._chain.head()
        # Contracts that a vote replaced, also when the network was away while the block was adopted.
        self._follow()
        self._board.reached(1_000 * head.time)
        self._board.finalise(self._finality(head))
        if time.monotonic() - self._kept_at >= _KEEP_S and self._chain.anything_new():
            self._chain.keep_head()
            self._kept_at = time.monotonic()
        trouble = self._chain.trouble
        if trouble is not None:
            raise trouble
        return _TEND_S

    def _finality(self, head: ChainHead) -> NetworkFinality:
        known = self._board.finality
        if known is not None and known.head.hash == head.hash:
            return known
        digest = self._chain.genesis_digest
        if self._pin is not None:
            return take_finality(self._chain, head.height, self._pin, digest)
        return UnprovenFinality(head=Head(chain=digest, height=head.height, hash=head.hash, time_ms=1_000 * head.time))


def deployment_of(genesis: Genesis) -> Deployment:
    """Where the genesis file says that the contracts stand. Raises: InvalidInputError(genesis.engine)."""
    network = genesis.network
    if network is None:
        raise InvalidInputError("genesis.engine", f"the engine {genesis.engine} stands on no other network")
    return Deployment(
        chain_id=genesis.chain_id,
        contracts=genesis.contracts,
        code_hashes=genesis.code_hashes,
        height=network.height,
        hash=network.hash,
    )


def founding_pin(genesis: Genesis) -> QbftPin | None:
    """Where trust in the network's validators begins; None where its blocks carry no seals."""
    network = genesis.network
    if network is None or not network.validators:
        return None
    return QbftPin(height=network.height, hash=network.hash, validators=network.validators)


def _link(config: NodeConfig) -> RpcLink:
    section = config.external
    if not section.rpc:
        raise InvalidInputError(
            "config.external",
            f"this city is on the engine {EXTERNAL}, and node.toml names no JSON-RPC of its network",
            hint='[external] rpc = "http://127.0.0.1:8545": the node of that network which this member trusts',
        )
    return RpcLink(
        section.rpc,
        token=_token(config.folder / section.token_file) if section.token_file else "",
        ca_file=str(config.folder / section.ca_file) if section.ca_file else None,
    )


def _token(path: Path) -> str:
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_TOKEN).decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(
            "config.external", f"{path} cannot be read: {error}", hint="external.token_file holds one line, the token"
        ) from error
    if not text.isprintable():
        raise InvalidInputError("config.external", f"{path} holds more than one line of text")
    return text


def _check_founders(chain: NetworkChain, genesis: Genesis) -> None:
    """The contract was made for the founders that the genesis file names: bodies and keys stay listed for good."""
    consortium = Contracts.at(chain.call, genesis.contracts).consortium
    found = {info.uscc: info for info in consortium.members()}
    for founder in genesis.members:
        info = found.get(founder.uscc)
        listed = set() if info is None else {key.material for key in consortium.keys(founder.uscc)}
        missing = [role.word for role, material in founder.keys if material not in listed]
        if info is None or info.handle != founder.handle or info.region != founder.region or missing:
            raise UntrustedError(
                "genesis.founders",
                f"the Consortium on the network does not have {founder.uscc} as the genesis file founds it",
                hint="the contracts were made for other founders: compare the genesis file with the other members",
                actual=", ".join(missing) or ("no such member" if info is None else info.handle),
            )
