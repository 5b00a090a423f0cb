"""The end of a service: a signal is heard whenever it comes, a thread can wake who waits, and all is put back."""

from __future__ import annotations

import os
import signal
import threading

from ledger.ending import SIGNALS, Ending


def test_a_signal_is_heard_whenever_it_comes() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    for number in SIGNALS:
        with Ending() as ending:
            assert not ending.wait(0)
            os.kill(os.getpid(), number)
            assert ending.wait()
            assert ending.asked
            assert ending.wait(0), "it stays so"
        with Ending() as ending:
            sender = threading.Timer(0.05, os.kill, (os.getpid(), number))
            sender.start()
            assert ending.wait(), "also while it waits"
            sender.join()
    assert [signal.getsignal(number) for number in SIGNALS] == before
    assert signal.set_wakeup_fd(-1) == -1


def test_a_thread_wakes_who_waits_and_ends_nothing() -> None:
    with Ending() as ending:
        waker = threading.Timer(0.05, ending.wake)
        waker.start()
        assert not ending.wait()
        waker.join()
        # However often, and though nobody waits: the pipe may be full, the caller goes on.
        for _ in range(100_000):
            ending.wake()
        assert not ending.wait()


def test_only_the_signals_asked_for_end_it() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: heard.append(number))
    try:
        with Ending((signal.SIGTERM,)) as ending:
            os.kill(os.getpid(), signal.SIGINT)
            assert not ending.wait(0.05)
            assert heard == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, before)
