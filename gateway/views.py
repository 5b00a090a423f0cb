"""What the gateway shows, as plain values: made once by the readers, translated by the HTTP and the gRPC side."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.chain.bindings import AnchorInfo
from ledger.errors import LedgerError
from ledger.evidence.checkpoint import VKey
from ledger.model import DatasetInfo, MemberInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class LogKeys:
    """Whom a member's checkpoints are checked against, by the chain: its own log keys, the witness keys of the *other*
    active members, how many of those must have cosigned; ``tls``: SPKI digests its node may present; ``receipts``: its
    active receipt keys."""

    origin: str
    log: tuple[VKey, ...]
    witnesses: tuple[VKey, ...]
    quorum: int
    tls: frozenset[bytes]
    receipts: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainMember:
    """A member as the chain has it. ``name``: its display name, or its handle."""

    info: MemberInfo
    name: str
    keys: LogKeys
    anchor: AnchorInfo | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A recent block. ``time``: Unix seconds."""

    height: int
    hash: bytes
    time: int
    transactions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A dataset of the catalogue; ``resource_code`` from the event of its publication."""

    info: DatasetInfo
    resource_code: str
    provider_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainView:
    """One moment of the chain, read at block ``height``. ``head_time``: Unix seconds."""

    height: int
    hash: bytes
    head_time: int
    members: tuple[ChainMember, ...]
    blocks: tuple[Block, ...]
    datasets: tuple[Dataset, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogView:
    """What is known of a member's log. ``size``: of the newest verified checkpoint, 0 without one; ``cosigned_at``:
    Unix seconds of its newest cosignature; ``problem``: why there is none, or none newer."""

    reachable: bool
    size: int
    cosignatures: int
    cosigned_at: int
    problem: LedgerError | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CityMember:
    """A member with its log."""

    chain: ChainMember
    log: LogView


@dataclass(frozen=True, slots=True, kw_only=True)
class CityView:
    """Everything the start page shows. ``view_age_ms``: age of the newest signed time of the chain, None when the home
    node does not say; ``final_height``: newest height with a proof of finality."""

    chain_digest: bytes
    chain_id: int
    region: str
    engine: str
    finality: str
    final_height: int
    view_age_ms: int | None
    chain: ChainView
    members: tuple[CityMember, ...]
    made_at_ms: int
