"""What a stream brought while the server was busy with what it brought before."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


def gathered(requests: Iterator[T], size_of: Callable[[T], int], *, reports: int, size: int) -> Iterator[list[T]]:
    """The requests in their order, each list what came since the one before; it waits for the first only.

    At most ``reports`` requests and about ``size`` bytes (by ``size_of``) are held; a sender that is faster waits.
    Raises what reading the requests raises, after what came before.
    """
    waiting = _Waiting(requests, size_of, reports, size)
    threading.Thread(target=waiting.fill, name="gathering", daemon=True).start()
    try:
        while found := waiting.take():
            yield found
    finally:
        waiting.leave()


class _Waiting(Generic[T]):
    """Between the thread that reads a stream and the one that answers it."""

    def __init__(self, requests: Iterator[T], size_of: Callable[[T], int], most: int, most_bytes: int) -> None:
        self._requests = requests
        self._size_of = size_of
        self._most, self._most_bytes = most, most_bytes
        self._changed = threading.Condition()
        self._found: deque[T] = deque()
        self._bytes = 0
        self._ended = False
        self._left = False
        self._error: Exception | None = None

    def fill(self) -> None:
        """Read the stream to its end. It ends with the call, whose requests then give no more."""
        try:
            for request in self._requests:
                with self._changed:
                    self._found.append(request)
                    self._bytes += self._size_of(request)
                    self._changed.notify_all()
                    self._changed.wait_for(self._has_room)
                    if self._left:
                        return
        except Exception as error:
            # Told to the thread that answers, which is where it would have been raised.
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def take(self) -> list[T]:
        """All that came, once there is any; empty at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._found or self._ended)
            found = list(self._found)
            self._found.clear()
            self._bytes = 0
            self._changed.notify_all()
            if not found and self._error is not None:
                raise self._error
        return found

    def leave(self) -> None:
        """Nobody takes any more."""
        with self._changed:
            self._left = True
            self._found.clear()
            self._changed.notify_all()

    def _has_room(self) -> bool:
        return self._left or (len(self._found) < self._most and self._bytes < self._most_bytes)
