"""The end of a process that serves until a signal comes: told without a lock, so that no moment is the wrong one."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from types import FrameType
from typing import Self

#: What asks a service to end: of whoever stops it, and Ctrl-C.
SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Ending:
    """Takes signals from now until :meth:`close`; made and waited for by the main thread.

    A pipe, not an event: the number of a signal is written into it below Python, whatever the main thread is doing, and
    no lock is taken that the interrupted thread may hold.
    """

    def __init__(self, signals: tuple[signal.Signals, ...] = SIGNALS) -> None:
        #: Whether a signal came.
        self.asked = False
        self._read, self._write = os.pipe()
        for end in (self._read, self._write):
            os.set_blocking(end, False)
        # Not select: a process with more than a thousand files open has numbers it does not take.
        self._poll = select.poll()
        self._poll.register(self._read, select.POLLIN)
        self._numbers = frozenset(signals)
        self._before = {number: signal.signal(number, self._heard) for number in signals}
        self._woken_before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)

    def wait(self, timeout: float | None = None) -> bool:
        """Return when a signal came, when :meth:`wake` was called since the last time, or after ``timeout`` seconds;
        whether a signal came so far."""
        if self._poll.poll(None if timeout is None else timeout * 1_000):
            self.asked |= not self._numbers.isdisjoint(os.read(self._read, 4_096))
        return self.asked

    def wake(self) -> None:
        """Make :meth:`wait` return. Any thread may call it."""
        with contextlib.suppress(BlockingIOError):  # full: it wakes all the same
            os.write(self._write, b"\0")

    def close(self) -> None:
        """What the signals did before, they do again."""
        signal.set_wakeup_fd(self._woken_before)
        for number, before in self._before.items():
            signal.signal(number, before)
        os.close(self._read)
        os.close(self._write)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _heard(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
