"""Who waits for what: threads for the outcome of a transaction, listeners for blocks."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from ledger.chain.blocks import Receipt
from ledger.errors import LedgerError, UnavailableError
from ledger.storage.chainstate import StoredBlock

_LOG = logging.getLogger(__name__)


class Waiter:
    """One thread's wait for one transaction."""

    __slots__ = ("_done", "_outcome")

    def __init__(self) -> None:
        self._done = threading.Event()
        self._outcome: Receipt | LedgerError | None = None

    def wait(self, timeout: float) -> Receipt | None:
        """The receipt, or None after ``timeout`` seconds. Raises the refusal where there was one."""
        if not self._done.wait(timeout):
            return None
        if isinstance(self._outcome, Receipt):
            return self._outcome
        raise self._outcome or UnavailableError("chain.closed", "the wait ended without an answer")

    def finish(self, outcome: Receipt | LedgerError) -> None:
        """Release the thread."""
        self._outcome = outcome
        self._done.set()


class Waiting:
    """The waiters and listeners of one chain. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiters: dict[bytes, list[Waiter]] = {}
        self._listeners: dict[int, Callable[[StoredBlock], None]] = {}
        self._listeners_made = 0

    def __len__(self) -> int:
        """Number of transactions somebody waits for."""
        return len(self._waiters)

    def transactions(self) -> tuple[bytes, ...]:
        """What somebody waits for."""
        with self._lock:
            return tuple(self._waiters)

    def enter(self, transaction: bytes) -> Waiter:
        """Begin to wait; :meth:`leave` must follow."""
        waiter = Waiter()
        with self._lock:
            self._waiters.setdefault(transaction, []).append(waiter)
        return waiter

    def leave(self, transaction: bytes, waiter: Waiter) -> None:
        """End a wait, however it ended."""
        with self._lock:
            waiters = self._waiters[transaction]
            waiters.remove(waiter)
            if not waiters:
                del self._waiters[transaction]

    def listen(self, callback: Callable[[StoredBlock], None]) -> Callable[[], None]:
        """Call ``callback`` with every block from now on; the function returned ends it."""
        with self._lock:
            key = self._listeners_made
            self._listeners_made += 1
            self._listeners[key] = callback

        def end() -> None:
            with self._lock:
                self._listeners.pop(key, None)

        return end

    def announce(self, block: StoredBlock, receipt: Callable[[int], Receipt]) -> None:
        """A block is committed: release who waits for its transactions (``receipt`` by index), tell the listeners."""
        with self._lock:
            found = [
                (index, tuple(self._waiters[transaction]))
                for index, transaction in enumerate(block.transaction_hashes)
                if transaction in self._waiters
            ]
            listeners = list(self._listeners.values())
        for index, waiters in found:
            outcome = receipt(index)
            for waiter in waiters:
                waiter.finish(outcome)
        for callback in listeners:
            try:
                callback(block)
            except Exception:  # the block is on disk: a listener's fault must not look like ours
                _LOG.exception("a listener failed on block %d", block.height)

    def refuse(self, transaction: bytes, error: LedgerError) -> None:
        """The transaction will never be in a block."""
        with self._lock:
            waiters: Sequence[Waiter] = tuple(self._waiters.get(transaction, ()))
        for waiter in waiters:
            waiter.finish(error)

    def fail(self, error: LedgerError) -> None:
        """No block will come any more: release everybody."""
        with self._lock:
            waiters = [waiter for some in self._waiters.values() for waiter in some]
        for waiter in waiters:
            waiter.finish(error)
