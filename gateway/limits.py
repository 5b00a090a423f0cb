"""How much one client may ask: token buckets by address, bounded in number."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from ledger.errors import UnavailableError

#: Addresses remembered; the longest unseen is forgotten first (and would have a full bucket by then).
_MAX_CLIENTS = 10_000


class RateLimit:
    """``rate`` requests per second and ``burst`` at once for each client. Thread-safe; ``clock`` in seconds."""

    def __init__(self, rate: float, burst: int, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def bounded(self, count: int) -> int:
        """So many requests, or what a client that asked for one may still have at once."""
        return min(count, self._burst - 1)

    def take(self, client: str, count: int = 1) -> None:
        """Count so many requests.

        Raises:
            UnavailableError: ``gateway.too-many-requests``.
        """
        with self._lock:
            now = self._clock()
            tokens, seen = self._buckets.pop(client, (float(self._burst), now))
            tokens = min(float(self._burst), tokens + (now - seen) * self._rate)
            allowed = tokens >= count
            self._buckets[client] = (tokens - count if allowed else tokens, now)
            while len(self._buckets) > _MAX_CLIENTS:
                self._buckets.popitem(last=False)
        if not allowed:
            raise UnavailableError(
                "gateway.too-many-requests",
                f"this address may ask {self._rate:g} times a second",
                hint="wait a second and ask again; for many proofs read the member's tiles",
            )
