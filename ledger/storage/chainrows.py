"""What the chain store is given and gives back: executed blocks, commits of a consensus, stored blocks, events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class ExecutedBlock(Protocol):
    """What this store reads of the native pending block."""

    @property
    def height(self) -> int: ...
    @property
    def hash(self) -> bytes: ...
    @property
    def header(self) -> bytes: ...
    @property
    def transactions(self) -> Sequence[bytes]: ...
    @property
    def receipts(self) -> Sequence[Mapping[str, Any]]: ...
    @property
    def writes(self) -> Iterable[tuple[bytes, bytes | None]]: ...


class ConsensusCommit(Protocol):
    """What a consensus decided at one height, to be kept together (``ledger._native.AbciCommit``)."""

    @property
    def height(self) -> int:
        """The consensus height."""

    @property
    def time_ms(self) -> int:
        """The time that height is signed for, Unix milliseconds."""

    @property
    def block(self) -> ExecutedBlock | None:
        """The chain block it made; None when it made none."""

    @property
    def consensus(self) -> bytes:
        """The application's own row."""

    @property
    def refused(self) -> Sequence[tuple[bytes, str, str]]:
        """(hash, code, message) of transactions that were ordered and had no effect."""

    @property
    def restored(self) -> Iterable[tuple[bytes, bytes]] | None:
        """All state rows of a snapshot, in the place of every row kept so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBlock:
    """A block of the chain. ``header`` is RLP; ``transactions`` are raw bytes, ``transaction_hashes`` in step."""

    height: int
    hash: bytes
    header: bytes
    transactions: tuple[bytes, ...]
    transaction_hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLog:
    """One event. ``index`` counts within the block, ``transaction_index`` likewise."""

    height: int
    block_hash: bytes
    index: int
    transaction_index: int
    transaction_hash: bytes
    address: bytes
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFilter:
    """``eth_getLogs``: heights inclusive; no addresses means any; a topic place is None (any) or the allowed values."""

    first: int
    last: int
    addresses: frozenset[bytes] = frozenset()
    topics: tuple[frozenset[bytes] | None, ...] = ()

    def matches(self, log: StoredLog) -> bool:
        """True when the event passes."""
        if self.addresses and log.address not in self.addresses:
            return False
        if len(self.topics) > len(log.topics):
            return False
        return all(wanted is None or log.topics[place] in wanted for place, wanted in enumerate(self.topics))
