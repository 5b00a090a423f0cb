"""What a stream brought meanwhile comes together, in order and bounded, however fast its sender is."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from node.services.gathering import gathered

WAIT_S = 300.0


class Sender:
    """A stream whose sender sends one at a time, as it is told, and knows how many were read."""

    def __init__(self) -> None:
        self.read = threading.Semaphore(0)
        self._sent: list[bytes | Exception] = []
        self._changed = threading.Condition()
        self._ended = False

    def send(self, *what: bytes | Exception) -> None:
        with self._changed:
            self._sent += what
            self._changed.notify_all()

    def end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def __iter__(self) -> Iterator[bytes]:
        while True:
            with self._changed:
                assert self._changed.wait_for(lambda: self._sent or self._ended, WAIT_S)
                if not self._sent:
                    return
                one = self._sent.pop(0)
            if isinstance(one, Exception):
                raise one
            self.read.release()
            yield one


def wait(read: threading.Semaphore, count: int) -> None:
    for _ in range(count):
        assert read.acquire(timeout=WAIT_S)


def test_what_came_meanwhile_comes_together_and_in_order() -> None:
    sender = Sender()
    sender.send(b"1")
    groups = gathered(iter(sender), len, reports=4, size=100)
    assert next(groups) == [b"1"]
    wait(sender.read, 1)
    sender.send(b"2", b"3", b"4")
    wait(sender.read, 3)
    sender.end()
    rest = [one for group in groups for one in group]
    assert rest == [b"2", b"3", b"4"]


@pytest.mark.parametrize(("reports", "size", "held"), [(3, 1_000, 3), (100, 20, 2)])
def test_a_fast_sender_waits(reports: int, size: int, held: int) -> None:
    sender = Sender()
    sent = [b"0123456789%d" % number for number in range(9)]
    sender.send(*sent)
    sender.end()
    groups = gathered(iter(sender), len, reports=reports, size=size)
    found = [next(groups)]
    assert 1 <= len(found[0]) <= held
    found += groups
    assert max(map(len, found)) <= held
    assert [one for group in found for one in group] == sent


def test_what_breaks_the_stream_is_told_after_what_came_before() -> None:
    sender = Sender()
    sender.send(b"1", RuntimeError("cut"))
    groups = gathered(iter(sender), len, reports=4, size=100)
    assert next(groups) == [b"1"]
    with pytest.raises(RuntimeError, match="cut"):
        next(groups)


def test_who_stops_listening_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    sender = Sender()
    sender.send(*[b"1"] * 9)
    groups = gathered(iter(sender), len, reports=2, size=100)
    next(groups)
    groups.close()
    sender.end()
    pause = threading.Event()
    for _ in range(30_000):
        if threading.active_count() <= before:
            return
        pause.wait(0.01)
    pytest.fail("the thread that reads the stream is still there")
