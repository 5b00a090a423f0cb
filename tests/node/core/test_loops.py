"""Background loops: woken, retried, stopped, ended by what must not be retried."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from ledger.errors import FatalError, LedgerError, UnavailableError
from node.loops import Loop
from node.metrics import Metrics
from tests.node.core.makers import eventually


class Steps:
    """A loop whose rounds the test gives out one by one."""

    def __init__(self, *answers: float | Exception | None) -> None:
        self.answers = list(answers)
        self.rounds = 0
        self.fatal: list[LedgerError] = []
        self.metrics = Metrics()
        self.loop = Loop("steps", self._step, metrics=self.metrics, on_fatal=self.fatal.append)

    def _step(self) -> float | None:
        self.rounds += 1
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def stopping() -> Iterator[list[Loop]]:
    loops: list[Loop] = []
    yield loops
    for loop in loops:
        loop.stop()
    assert all(loop.join(300) for loop in loops)


def test_a_loop_sleeps_until_it_is_woken(stopping: list[Loop]) -> None:
    steps = Steps()
    stopping.append(steps.loop)
    steps.loop.start()
    eventually(lambda: steps.rounds == 1)
    steps.loop.wake()
    eventually(lambda: steps.rounds == 2)


def test_a_wake_during_a_round_is_not_lost(stopping: list[Loop]) -> None:
    entered, leave, second = threading.Event(), threading.Event(), threading.Event()

    def step() -> None:
        if entered.is_set():
            second.set()
        entered.set()
        leave.wait(300)

    loop = Loop("one", step, metrics=Metrics(), on_fatal=lambda error: None)
    stopping.append(loop)
    loop.start()
    assert entered.wait(300)
    loop.wake()
    leave.set()
    assert second.wait(300)


def test_a_failed_round_is_named_counted_and_tried_again(stopping: list[Loop]) -> None:
    steps = Steps(UnavailableError("peer.unreachable", "away"), ZeroDivisionError("ours"), None)
    stopping.append(steps.loop)
    steps.loop.start()
    eventually(lambda: steps.rounds == 3)
    eventually(lambda: steps.loop.problem is None)
    text = steps.metrics.render().decode()
    assert 'civicledger_loop_failures_total{code="peer.unreachable",loop="steps"} 1.0' in text
    assert 'civicledger_loop_failures_total{code="node.defect",loop="steps"} 1.0' in text
    assert not steps.fatal


def test_a_fatal_error_ends_the_loop(stopping: list[Loop]) -> None:
    error = FatalError("store.corrupt", "broken")
    steps = Steps(error, None)
    steps.loop.start()
    assert steps.loop.join(300)
    assert steps.fatal == [error]
    assert steps.rounds == 1
    assert steps.loop.problem is error


def test_stop_ends_a_pause_inside_a_step() -> None:
    answers: list[bool] = []
    paused = threading.Event()

    def step() -> None:
        paused.set()
        answers.append(loop.pause(60))

    loop = Loop("pausing", step, metrics=Metrics(), on_fatal=lambda error: None)
    loop.start()
    assert paused.wait(300)
    loop.stop()
    assert loop.join(300)
    assert answers == [False]


def test_a_loop_that_never_started_can_be_stopped() -> None:
    steps = Steps()
    steps.loop.stop()
    assert steps.loop.join(0)
