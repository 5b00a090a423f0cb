"""Filters a client polls: bounded in number, forgotten when nobody asks for five minutes."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from ledger.chain.rpc.errors import SERVER_ERROR, RpcError
from ledger.chain.rpc.params import LogParams

MAX_FILTERS = 1_000
EXPIRY_S = 300.0


@dataclass(slots=True, kw_only=True)
class Filter:
    """One filter. ``wanted`` None is a block filter; ``next_height`` is the first block not reported yet."""

    wanted: LogParams | None
    next_height: int
    asked_at: float


class Filters:
    """The filters of one server. ``clock`` counts seconds upwards (monotonic)."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        #: Least recently asked first.
        self._filters: OrderedDict[str, Filter] = OrderedDict()

    def __len__(self) -> int:
        return len(self._filters)

    def add(self, wanted: LogParams | None, next_height: int) -> str:
        """A new filter's id. When there are too many, the one that was asked longest ago goes."""
        # Unguessable: another client of this server must not end or drain it. The top bit makes it a quantity, which
        # has no leading zeros.
        name = hex(1 << 127 | secrets.randbits(127))
        with self._lock:
            self._expire()
            if len(self._filters) >= MAX_FILTERS:
                self._filters.popitem(last=False)
            self._filters[name] = Filter(wanted=wanted, next_height=next_height, asked_at=self._clock())
        return name

    def get(self, name: str) -> Filter:
        """A filter by id. Raises RpcError(-32000, "filter not found")."""
        with self._lock:
            return self._touch(name)

    def advance(self, name: str, head: int) -> tuple[LogParams | None, int, int]:
        """(what is wanted, first, last): the heights to report now; they count as reported from here on."""
        with self._lock:
            found = self._touch(name)
            first = found.next_height
            found.next_height = max(first, head + 1)
            return found.wanted, first, head

    def remove(self, name: str) -> bool:
        """Whether there was such a filter."""
        with self._lock:
            self._expire()
            return self._filters.pop(name, None) is not None

    def _touch(self, name: str) -> Filter:
        self._expire()
        found = self._filters.get(name)
        if found is None:
            raise RpcError(SERVER_ERROR, "filter not found")
        found.asked_at = self._clock()
        self._filters.move_to_end(name)
        return found

    def _expire(self) -> None:
        limit = self._clock() - EXPIRY_S
        while self._filters and next(iter(self._filters.values())).asked_at < limit:
            self._filters.popitem(last=False)
