"""Reading a stream ahead: the next requests are parsed and checked while the one before is being written."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Request = TypeVar("Request")
Ready = TypeVar("Ready")

_LOOK_S = 0.5


def read_ahead(requests: Iterable[Request], prepare: Callable[[Request], Ready], depth: int) -> Iterator[Ready]:
    """Every request, prepared, in order; at most ``depth`` wait. What reading or ``prepare`` raises comes out here, at
    its place."""
    waiting: queue.Queue[Ready | _Raised | None] = queue.Queue(maxsize=depth)
    stopped = threading.Event()

    def read() -> None:
        last: _Raised | None = None
        try:
            for request in requests:
                if not _put(waiting, prepare(request), stopped):
                    return
        except Exception as error:
            last = _Raised(error)
        _put(waiting, last, stopped)

    reader = threading.Thread(target=read, name="read-ahead", daemon=True)
    reader.start()
    try:
        while (item := waiting.get()) is not None:
            if isinstance(item, _Raised):
                raise item.error
            yield item
    finally:
        # The reader may stand before a full queue; a blocked read of the stream ends with its call.
        stopped.set()


class _Raised:
    """An exception on its way to the other thread."""

    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        self.error = error


def _put(waiting: queue.Queue[Ready | _Raised | None], item: Ready | _Raised | None, stopped: threading.Event) -> bool:
    while not stopped.is_set():
        try:
            waiting.put(item, timeout=_LOOK_S)
        except queue.Full:
            continue
        return True
    return False
