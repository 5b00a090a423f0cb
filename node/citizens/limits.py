"""How often one asker may ask: token buckets by name, bounded in number; and what may be used once only."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from ledger.errors import UnavailableError, UntrustedError

_MAX_NAMES = 10_000


class Bucket:
    """``per_minute`` requests and ``burst`` at once for each name. Thread-safe; ``clock``: Unix milliseconds."""

    def __init__(self, per_minute: float, burst: int, clock: Callable[[], int]) -> None:
        self._rate = per_minute / 60_000
        self._burst = float(burst)
        self._clock = clock
        self._lock = threading.Lock()
        self._left: OrderedDict[bytes, tuple[float, int]] = OrderedDict()

    def take(self, name: bytes) -> None:
        """Count one request. Raises: UnavailableError(citizen.too-often)."""
        with self._lock:
            now = self._clock()
            tokens, seen = self._left.pop(name, (self._burst, now))
            tokens = min(self._burst, tokens + max(0, now - seen) * self._rate)
            self._left[name] = (tokens - 1 if tokens >= 1 else tokens, now)
            while len(self._left) > _MAX_NAMES:
                self._left.popitem(last=False)
        if tokens < 1:
            raise UnavailableError(
                "citizen.too-often", "this node was asked too often", hint="wait a minute and ask again"
            )


class Used:
    """One-time names until they would be refused for their age anyway. Thread-safe; ``clock``: Unix milliseconds."""

    def __init__(self, clock: Callable[[], int], *, most: int = _MAX_NAMES) -> None:
        self._clock = clock
        self._most = most
        self._lock = threading.Lock()
        self._until: dict[bytes, int] = {}

    def take(self, name: bytes, until_s: int) -> None:
        """Use a name up. Raises: UntrustedError(citizen.proof-used), UnavailableError(citizen.busy)."""
        now = self._clock() // 1_000
        with self._lock:
            if len(self._until) >= self._most:
                self._until = {one: until for one, until in self._until.items() if until > now}
            if name in self._until:
                raise UntrustedError(
                    "citizen.proof-used",
                    "this was asked before with the same proof: it is done once only",
                    hint="do it again on the page: each time has a proof of its own",
                )
            # Forgetting one before its time would let it in again.
            if len(self._until) >= self._most:
                raise UnavailableError(
                    "citizen.busy", "this node has taken very many changes this minute", hint="try again in a minute"
                )
            self._until[name] = until_s
