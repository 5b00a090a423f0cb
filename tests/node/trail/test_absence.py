"""A member's node that is away: tried now and then whoever asks, and at once when it is back."""

from __future__ import annotations

import itertools

import pytest

from ledger.errors import UnavailableError
from ledger.log import DepartmentLog
from node.chain.tracker import LONGEST_REST_S, PeerTracker
from node.context import system_clock
from node.trail.opening import LogOpening
from tests.node.core.makers import eventually
from tests.node.trail.test_witnesses import Found
from tests.node.trail.town import Town, http

MEMBER = "dept-7"


class Time:
    """Monotonic seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_who_is_away_for_long_is_tried_rarely_and_never_later_than_the_bound() -> None:
    time = Time()
    tracker = PeerTracker(system_clock, time)
    attempts: list[float] = []
    assert not tracker.rests(MEMBER)
    tracker.missed(MEMBER, "refused")
    while time.now < 600:
        time.now += 0.1
        if not tracker.rests(MEMBER):
            attempts.append(time.now)
            tracker.silent(MEMBER)
    # At its return it has been away for time.now: noticed a third of that later, or the bound later.
    pauses = [later - earlier for earlier, later in itertools.pairwise(attempts)]
    assert all(
        pause <= max(0.4, min(at / 3, LONGEST_REST_S) + 0.2) for at, pause in zip(attempts, pauses, strict=False)
    )
    assert len([at for at in attempts if at > 60]) <= 540 / LONGEST_REST_S + 1
    state = tracker.states()[0]
    assert (state.member, state.reachable, state.last_error) == (MEMBER, False, "refused")


def test_whoever_reaches_it_ends_its_rest_for_all_and_tells_them() -> None:
    time, told = Time(), list[str]()
    tracker = PeerTracker(system_clock, time)
    tracker.on_return(told.append)
    tracker.reached(MEMBER, 5)
    assert told == []
    tracker.missed(MEMBER, "refused")
    time.now = 300.0
    tracker.missed(MEMBER, "refused")
    assert tracker.rests(MEMBER)
    tracker.stirred(MEMBER)
    assert told == [MEMBER]
    assert not tracker.rests(MEMBER)
    # It was nobody, or nobody who is trusted: away it was all the time.
    tracker.missed(MEMBER, "another certificate")
    time.now += LONGEST_REST_S / 2
    assert tracker.rests(MEMBER)
    tracker.reached(MEMBER)
    assert told == [MEMBER, MEMBER]
    assert not tracker.rests(MEMBER)
    # Gone again: from the beginning.
    tracker.missed(MEMBER, "refused")
    time.now += 1.0
    assert not tracker.rests(MEMBER)


def test_a_feed_leaves_a_witness_that_is_away_alone_until_somebody_reached_it(found: Found) -> None:
    town = found(2)
    publishing = town.publishing()
    time = Time()
    publishing.tracker = PeerTracker(system_clock, time)
    witness = town.bodies[1].uscc
    feed = publishing.feed(witness)
    town.at_end(feed.close)
    with pytest.raises(UnavailableError, match=r"peer\.unreachable") as first:
        feed._step()
    publishing.add(1)
    asked: list[str] = []

    def silent(path: str, _body: bytes) -> bytes:
        asked.append(path)
        return http(503, b"")

    town.liar(1, silent)
    # It answers by now, but nobody has seen that yet: the failure stands, and nothing is sent.
    with pytest.raises(UnavailableError) as again:
        feed._step()
    assert again.value is first.value
    assert not asked
    publishing.tracker.reached(witness)
    with pytest.raises(UnavailableError, match=r"witness\."):
        feed._step()
    assert asked == ["/add-checkpoint"]


def opening_of(town: Town, tracker: PeerTracker) -> LogOpening:
    owner = town.bodies[0]
    log = DepartmentLog.open(town.folder / "own", origin=owner.info.origin, signer=owner.log, clock=system_clock)
    town.at_end(log.close)
    return LogOpening(
        member=owner.uscc, log=log, roster=town.roster, anchored=lambda: None, kept=lambda: None,
        peers=town.peers, tracker=tracker, timeout=180, metrics=town.metrics,
        on_open=lambda: None, on_fatal=lambda error: None,
    )  # fmt: skip


def test_while_too_few_witnesses_are_there_each_is_heard_once_and_all_when_there_are_enough(found: Found) -> None:
    town = found(4)
    time, asked = Time(), list[int]()
    tracker = PeerTracker(system_clock, time)

    def nothing_seen(number: int) -> None:
        def answer(_path: str, _body: bytes) -> bytes:
            asked.append(number)
            return http(404, b"")

        town.liar(number, answer)

    nothing_seen(1)
    opening = opening_of(town, tracker)
    for _ in range(3):
        assert opening._step() is not None
    assert asked == [1]
    assert "1 of the 2" in opening.waiting_for
    assert all(town.bodies[number].uscc in opening.waiting_for for number in (2, 3))
    nothing_seen(2)
    tracker.stirred(town.bodies[2].uscc)
    eventually(lambda: opening._step() is None, 300)
    assert sorted(asked) == [1, 1, 2]
