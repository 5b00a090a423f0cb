"""What a node knows of the chain's signed time and of finality, whoever orders the chain."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from ledger.errors import UntrustedError
from ledger.evidence.finality import SoloFinality
from node.context import Clock

if TYPE_CHECKING:
    from ledger.evidence.bft import BftFinality
    from ledger.evidence.network import NetworkFinality

F = TypeVar("F", "SoloFinality", "BftFinality", "NetworkFinality")


class FinalityBoard(ABC, Generic[F]):
    """The newest finality and the newest signed time. Thread-safe; ``wait_change`` is what streams wait on."""

    def __init__(self, *, clock: Clock, stored: F | None, oldest_time_ms: int) -> None:
        self._clock = clock
        self._oldest_time_ms = oldest_time_ms
        self._finality = stored
        self._condition = threading.Condition()
        self._version = 0
        self._closed = False

    @property
    @abstractmethod
    def role(self) -> str:
        """This node's part in ordering: ``sequencer``, ``follower``, ``validator`` or ``member``."""

    @property
    def finality(self) -> F | None:
        """The proof of the newest block that is final."""
        return self._finality

    def final_height(self) -> int:
        """Its height; 0 before the first."""
        return self._finality.head.height if self._finality else 0

    def newest_time_ms(self) -> int:
        """The newest signed time known; before the first of this run, what the store holds."""
        final = self._finality.head.time_ms if self._finality else 0
        return max(final, self._oldest_time_ms)

    def age_ms(self) -> int:
        """Milliseconds since the newest signed time."""
        return max(0, self._clock() - self.newest_time_ms())

    def changed(self) -> None:
        """Wake everybody who waits: there is a new block."""
        with self._condition:
            self._changed()

    def close(self) -> None:
        """Wake everybody who waits, for good: the node stops."""
        with self._condition:
            self._closed = True
            self._changed()

    @property
    def version(self) -> int:
        """Grows with every change; for ``wait_change``."""
        return self._version

    def wait_change(self, seen: int, timeout: float) -> int:
        """Wait until something changed since version ``seen`` or the time is over; the present version."""
        with self._condition:
            self._condition.wait_for(lambda: self._version != seen, timeout)
            return self._version

    def wait_final(self, height: int, timeout: float) -> F | None:
        """The newest finality as soon as it covers a height; None when the time is over first."""
        with self._condition:
            self._condition.wait_for(lambda: self._closed or self._covered() >= height, timeout)
            final = self._finality
        return final if final is not None and final.head.height >= height else None

    def _covered(self) -> int:
        return self.final_height()

    def _changed(self) -> None:
        self._version += 1
        self._condition.notify_all()


class CometBoard(FinalityBoard["BftFinality"]):
    """The board of a BFT network. What it is told comes from this node's own CometBFT, which checked the signatures
    of more than two thirds before it handed a height over."""

    def __init__(
        self,
        *,
        clock: Clock,
        block_hash: Callable[[int], bytes | None],
        is_validator: Callable[[], bool],
        store: Callable[[BftFinality], None],
        stored: BftFinality | None,
        oldest_time_ms: int,
    ) -> None:
        super().__init__(clock=clock, stored=stored, oldest_time_ms=oldest_time_ms)
        self._block_hash = block_hash
        self._is_validator = is_validator
        self._store = store
        self._consensus_height = 0

    @property
    def role(self) -> str:
        """``validator`` while this member is one on chain, else ``member``."""
        return "validator" if self._is_validator() else "member"

    @property
    def consensus_height(self) -> int:
        """The newest consensus height committed here in this run; 0 before the first."""
        return self._consensus_height

    def reached(self, consensus_height: int, time_ms: int) -> None:
        """A consensus height signed for ``time_ms`` is committed here; idle heights count as well."""
        with self._condition:
            self._consensus_height = max(self._consensus_height, consensus_height)
            self._oldest_time_ms = max(self._oldest_time_ms, time_ms)
            self._changed()

    def finalise(self, finality: BftFinality) -> bool:
        """Keep and announce a finality newer than the one known; False when it is not.

        Raises: UntrustedError(head.block), FatalError, UnavailableError(disk.full).
        """
        head = finality.head
        if self._block_hash(head.height) != head.hash:
            raise UntrustedError(
                "head.block", "a finality is over a block that is not executed here", actual=head.height
            )
        if self._finality is not None and head.height <= self._finality.head.height:
            return False
        self._store(finality)
        with self._condition:
            self._finality = finality
            self._changed()
        return True
