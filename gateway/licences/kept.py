"""What was read is kept for a while: answers stay quick, and possible while the place they come from is away."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from ledger.errors import LedgerError, UnavailableError

_K = TypeVar("_K")
_V = TypeVar("_V")
#: Threads that wait for the first reading of one key.
MAX_WAITING: Final = 8


@dataclass(frozen=True, slots=True)
class Reading(Generic[_V]):
    """A value and when it was read, Unix milliseconds."""

    value: _V
    read_ms: int


@dataclass(slots=True)
class _Entry(Generic[_V]):
    lock: threading.Lock = field(default_factory=threading.Lock)
    reading: Reading[_V] | None = None
    problem: LedgerError | None = None
    asked_ms: int = -1
    waiting: int = 0


class Kept(Generic[_K, _V]):
    """Values by key, at most ``size``, the longest unused one forgotten first. Thread-safe; one thread reads a key.

    A value younger than ``fresh_ms`` is answered as it is. An older one is read anew by the first who asks, while the
    others still get the old one; who has no old one waits, but no more than ``MAX_WAITING`` do. Where reading fails
    with UnavailableError the old value is answered until it is ``keep_ms`` old; every other failure is raised. A
    failure, too, is remembered for ``fresh_ms``.
    """

    def __init__(
        self,
        read: Callable[[_K, _V | None], _V],
        clock: Callable[[], int],
        *,
        size: int,
        fresh_ms: int,
        keep_ms: int,
    ) -> None:
        """``read(key, before)`` gets the value known before, or None; ``clock``: Unix milliseconds."""
        self._read = read
        self._clock = clock
        self._size = size
        self._fresh_ms = fresh_ms
        self._keep_ms = keep_ms
        self._lock = threading.Lock()
        self._entries: OrderedDict[_K, _Entry[_V]] = OrderedDict()

    def get(self, key: _K) -> Reading[_V]:
        """The value of a key. Raises: whatever reading it raised."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                entry = self._entries[key] = _Entry()
                while len(self._entries) > self._size:
                    self._forget()
            else:
                self._entries.move_to_end(key)
        if self._fresh(entry):
            return self._answer(entry)
        if self._turn(entry):
            try:
                if not self._fresh(entry):
                    self._ask(key, entry)
            finally:
                entry.lock.release()
        return self._answer(entry)

    def _turn(self, entry: _Entry[_V]) -> bool:
        """Whether this thread reads. Whoever has nothing to answer with waits for the first reading, everybody else
        does not: a place that hangs must not hold every thread."""
        if entry.lock.acquire(blocking=False):
            return True
        if entry.reading is not None or isinstance(entry.problem, UnavailableError):
            return False
        with self._lock:
            if entry.waiting >= MAX_WAITING:
                raise UnavailableError("gateway.busy", "this is being read right now", hint="try again in a second")
            entry.waiting += 1
        try:
            return entry.lock.acquire()
        finally:
            with self._lock:
                entry.waiting -= 1

    def _forget(self) -> None:
        # Whoever asks for what there is not pushes out only others' such questions, while there are any.
        *before, _ = self._entries
        empty = (key for key in before if self._entries[key].reading is None)
        del self._entries[next(empty, before[0])]

    def __len__(self) -> int:
        return len(self._entries)

    def _fresh(self, entry: _Entry[_V]) -> bool:
        return entry.asked_ms >= 0 and 0 <= self._clock() - entry.asked_ms < self._fresh_ms

    def _ask(self, key: _K, entry: _Entry[_V]) -> None:
        before = entry.reading
        try:
            value = self._read(key, before.value if before is not None else None)
        except LedgerError as error:
            entry.problem = error
        else:
            entry.reading, entry.problem = Reading(value, self._clock()), None
        entry.asked_ms = self._clock()

    def _answer(self, entry: _Entry[_V]) -> Reading[_V]:
        reading, problem = entry.reading, entry.problem
        if problem is None and reading is not None:
            return reading
        away = isinstance(problem, UnavailableError)
        if away and reading is not None and self._clock() - reading.read_ms <= self._keep_ms:
            return reading
        raise problem or UnavailableError("gateway.busy", "this is being read right now", hint="try again in a second")
