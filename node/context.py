"""What a service of the node is given: everything it needs, nothing global."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ledger.errors import UnavailableError

if TYPE_CHECKING:
    from ledger.chain.account import TransactionSender
    from ledger.chain.bindings import Contracts
    from ledger.evidence.bundle import AnchorParts, Finality
    from ledger.log import DepartmentLog
    from ledger.storage.exchanges import ExchangeStore, NonceStore
    from ledger.storage.indexes import RecordIndex
    from ledger.storage.openings import Openings
    from ledger.storage.payloads import PayloadStore
    from ledger.storage.store import Store
    from ledger.storage.witness import WitnessStore
    from node.chain.state import Chain
    from node.comet.view import ConsensusView
    from node.config import NodeConfig
    from node.identity.keyring import KeyRing
    from node.identity.peers import PeerBook
    from node.licences.desk import Desk
    from node.medical.desk import Medical
    from node.metrics import Metrics
    from node.trail.alarms import AlarmBook
    from node.trail.attendance import WitnessState

#: Unix milliseconds.
Clock = Callable[[], int]


def system_clock() -> int:
    """The machine's clock, Unix milliseconds."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A signed checkpoint: ``note`` holds the log's signature and the cosignatures gathered so far.
    ``policy_met``: they satisfy ``log.witness_policy`` where there is one."""

    size: int
    root: bytes
    note: bytes
    cosignatures: int
    quorum: int
    policy_met: bool = True

    @property
    def witnessed(self) -> bool:
        """Whether the quorum of other active members cosigned it, and whom the operator's own policy asks for."""
        return self.cosignatures >= self.quorum and self.policy_met


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAnchor:
    """An anchored and final checkpoint of ``size`` records; ``parts`` is everything of a bundle but its record."""

    size: int
    parts: AnchorParts


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalBlock:
    """A final block: its height, the RLP of its header, and what proves it."""

    height: int
    header: bytes
    finality: Finality


class Publisher(Protocol):
    """The log's checkpoints."""

    def newest(self) -> Published | None:
        """The newest signed checkpoint; None for a log that never published."""

    def witnessed(self) -> Published | None:
        """The newest checkpoint with a quorum."""

    def at(self, size: int) -> Published | None:
        """The kept checkpoint of exactly this size."""

    def publish_now(self, *, wait_witnessed_s: float = 0.0) -> Published | None:
        """Sign what is new at once; with a wait, return when the quorum cosigned or the time is over."""


class AnchorKeeper(Protocol):
    """The newest anchored and final checkpoint, ready for bundles."""

    def newest(self) -> KeptAnchor | None:
        """The newest anchor; None before the first is final."""

    def parts(self, covering_index: int, timeout_s: float) -> KeptAnchor:
        """Parts whose checkpoint covers a record, waiting for them.

        Raises: UnavailableError(anchor.timeout), with what is missing in the hint.
        """

    def first(self, covering_index: int) -> KeptAnchor | None:
        """The earliest kept anchor that covers a record and has its finality on this chain."""

    def final_block(self, timeout_s: float) -> FinalBlock:
        """The head of the chain as soon as it is final, or a newer block.

        Raises: UnavailableError(chain.no-finality | block.unknown).
        """

    def policy(self) -> bytes:
        """The trust policy of this chain as this node sees it (JCS), pinned at the newest final head.

        Raises: UnavailableError(chain.no-finality).
        """


class ChainView(Protocol):
    """How fresh and how final the chain is here."""

    def age_ms(self) -> int:
        """Milliseconds since the newest signed time of the chain."""

    def final_height(self) -> int:
        """Height of the newest block that is final; 0 before the first."""

    @property
    def role(self) -> str:
        """This node's part in ordering the chain: ``sequencer``, ``follower``, ``validator`` or ``member``."""


class ConsensusSigner(Protocol):
    """CometBFT as the holder of the ``consensus`` key."""

    def acts(self, material: bytes) -> bool:
        """Whether a key votes at the height under way; a rotated key begins two heights after its block."""

    def exchange(self, secret: bytes) -> None:
        """Vote with another key from now on.

        Raises: ConflictError(comet.consensus-key-in-use).
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerState:
    """What this node last saw of another member's node. Times are Unix milliseconds, 0 for never."""

    member: str
    reachable: bool
    height: int
    last_seen_ms: int
    last_error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the doctor: ``severity`` is ``ok``, ``warning`` or ``problem``; message and next step in English, and
    in Chinese."""

    severity: str
    code: str
    message: str
    hint: str
    message_zh: str = ""
    hint_zh: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeContext:
    """The parts of a running node. ``member`` is its USCC, ``signers`` also carries the TLS identity; ``store`` holds
    the services' own rows (documents by digest, exchange nonces, salts)."""

    member: str
    config: NodeConfig
    genesis_digest: bytes
    #: Who orders the chain: ``solo``, ``cometbft`` or ``external``.
    engine: str
    #: None on a chain without a CometBFT.
    consensus: ConsensusSigner | None
    signers: KeyRing
    chain: Chain
    contracts: Contracts
    sender: TransactionSender
    log: DepartmentLog
    index: RecordIndex
    payloads: PayloadStore
    openings: Openings
    exchanges: ExchangeStore
    nonces: NonceStore
    licences: Desk
    medical: Medical
    witness_store: WitnessStore
    store: Store
    peers: PeerBook
    publisher: Publisher
    anchors: AnchorKeeper
    view: ChainView
    metrics: Metrics
    clock: Clock
    peer_states: Callable[[], tuple[PeerState, ...]]
    diagnose: Callable[[], tuple[Finding, ...]]
    alarms: AlarmBook
    witnesses: Callable[[], tuple[WitnessState, ...]]
    #: The tlog-policy of the own log.
    witness_policy: Callable[[], bytes]
    #: What is known of the validators; None where there are none, and before CometBFT answered first.
    consensus_view: Callable[[], ConsensusView | None]

    def chain_age_ms(self) -> int:
        """Milliseconds since the newest signed time of the chain."""
        return self.view.age_ms()

    def require_fresh_chain(self) -> None:
        """Refuse to judge on an old view (design, trust boundaries).

        Raises: UnavailableError(chain.stale).
        """
        age, limit = self.view.age_ms(), self.config.chain.max_view_age * 1_000
        if age > limit:
            raise UnavailableError(
                "chain.stale",
                f"the newest signed time of the chain is {age // 1_000} s old, more than {limit // 1_000} s",
                hint="`civicledger doctor` says who is missing: the sequencer, more than a third of the validators, or "
                "the network's node",
                expected=limit,
                actual=age,
            )
