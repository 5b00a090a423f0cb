"""How transactions get to the validators' nodes: together, past those that do not answer, and again where they wait."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from ledger.chain.embedded import keccak256
from ledger.errors import FatalError, LedgerError, UnavailableError
from node.chain import handing
from node.chain.handing import MAX_CALL, Handing
from node.metrics import Metrics
from tests.node.core.makers import eventually


class Peers:
    """The other members' nodes."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.calls: list[tuple[str, list[bytes]]] = []
        self.away: set[str] = set()
        self.slow: set[str] = set()
        self.answer = threading.Event()
        self.refuses: Callable[[bytes], str] = lambda raw: ""

    def __call__(self, member: str, raws: list[bytes]) -> list[tuple[bytes, str]]:
        if member in self.away:
            raise UnavailableError("peer.unreachable", f"{member} does not answer")
        with self.lock:
            self.calls.append((member, list(raws)))
        if member in self.slow:
            assert self.answer.wait(300)
        return [(keccak256(raw), code) for raw in raws if (code := self.refuses(raw))]

    def got(self, member: str) -> list[bytes]:
        """Everything a node was handed, in order."""
        with self.lock:
            return [raw for to, raws in self.calls if to == member for raw in raws]

    def count(self, member: str) -> int:
        """How many calls it had."""
        with self.lock:
            return sum(to == member for to, _ in self.calls)


class Bench:
    """A node's handing over; ``waiting`` is its own pool."""

    def __init__(self, own: str, validators: list[str]) -> None:
        self.peers = Peers()
        self.validators = validators
        self.waiting: list[bytes] = []
        self.fatal: list[LedgerError] = []
        self.handing = Handing(
            own=own,
            validators=lambda: self.validators,
            hand=self.peers,
            waiting=lambda age: list(self.waiting),
            metrics=Metrics(),
            on_fatal=self.fatal.append,
        )

    def start(self) -> None:
        """Begin, and wait for the lanes."""
        next(self.handing.loops()).start()
        lanes = len(set(self.validators) - {"own"})
        eventually(lambda: len(list(self.handing.loops())) == 1 + lanes)

    def stop(self) -> None:
        """End every loop."""
        self.handing.stop()
        self.peers.answer.set()
        loops = list(self.handing.loops())
        for loop in loops:
            loop.stop()
        for loop in loops:
            assert loop.join(300)
        assert self.fatal == []


@pytest.fixture
def made() -> Iterator[Callable[..., Bench]]:
    benches: list[Bench] = []

    def make(*validators: str, own: str = "own") -> Bench:
        benches.append(Bench(own, list(validators)))
        return benches[-1]

    yield make
    for bench in benches:
        bench.stop()


def raws(first: int, count: int) -> list[bytes]:
    return [b"transaction %d" % number for number in range(first, first + count)]


def test_every_validator_is_handed_everything_together(made: Callable[..., Bench]) -> None:
    bench = made("own", "a", "b", "c")
    bench.start()
    sent = raws(0, 3 * MAX_CALL)
    for start in range(0, len(sent), 10):
        bench.waiting += sent[start : start + 10]
        bench.handing(sent[start : start + 10])
    for member in ("a", "b", "c"):
        eventually(lambda member=member: set(bench.peers.got(member)) >= set(sent))
        assert list(dict.fromkeys(bench.peers.got(member))) == sent, "in their order"
        assert bench.peers.count(member) < 3 * MAX_CALL / 10, "what came meanwhile goes together"
    assert all(len(some) <= MAX_CALL for _, some in bench.peers.calls)
    assert bench.peers.got("own") == []


def test_a_slow_or_dead_node_delays_nobody(made: Callable[..., Bench]) -> None:
    bench = made("own", "dead", "slow", "well")
    bench.peers.away, bench.peers.slow = {"dead"}, {"slow"}
    bench.start()
    for number in range(3):
        bench.waiting += raws(number, 1)
        bench.handing(raws(number, 1))
    eventually(lambda: set(bench.peers.got("well")) == set(raws(0, 3)))
    assert bench.peers.count("slow") <= 1
    # One that is back is handed what still waits, and nothing of what no longer does.
    bench.waiting = raws(1, 2)
    bench.peers.away = set()
    eventually(lambda: bench.peers.got("dead")[:2] == raws(1, 2))
    assert raws(0, 1)[0] not in bench.peers.got("dead")


def test_what_a_node_a_block_behind_refuses_is_handed_over_once_more(
    made: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handing, "AGAIN_S", 3_600.0)
    bench = made("own", "a")
    bench.start()
    first, gap, wrong = raws(0, 3)
    codes = {gap: "tx.nonce-gap", wrong: "tx.not-member"}
    bench.peers.refuses = lambda raw: codes.get(raw, "")
    # The lane first asks what waits; from then on only what comes is handed over.
    bench.waiting = [first]
    bench.handing([first])
    eventually(lambda: first in bench.peers.got("a"))
    bench.waiting = []
    bench.handing([gap, wrong])
    eventually(lambda: bench.peers.got("a").count(gap) == 2)
    assert bench.peers.got("a").count(wrong) == 1


def test_what_waits_for_long_is_handed_over_again(made: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handing, "AGAIN_S", 0.05)
    bench = made("own", "a")
    bench.waiting = raws(0, 2)
    bench.start()
    bench.handing(raws(0, 2))
    eventually(lambda: bench.peers.got("a").count(raws(0, 1)[0]) >= 4)
    # Nothing is asked of anybody while nothing waits.
    bench.waiting = []
    bench.handing(raws(9, 1))
    eventually(lambda: raws(9, 1)[0] in bench.peers.got("a"))


def test_a_member_that_proposes_nothing_hears_whether_a_validator_took_it(
    made: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handing, "_PATIENCE_S", 0.2)
    bench = made("a", "b")
    bench.start()
    bench.peers.away = {"a", "b"}
    bench.waiting = raws(0, 1)
    with pytest.raises(UnavailableError) as nobody:
        bench.handing(raws(0, 1))
    assert nobody.value.code == "chain.no-validator"
    # Kept, and handed over once somebody is back.
    bench.peers.away = {"a"}
    eventually(lambda: raws(0, 1)[0] in bench.peers.got("b"))
    monkeypatch.setattr(handing, "_PATIENCE_S", 300.0)
    bench.waiting = raws(1, 1)
    bench.handing(raws(1, 1))
    assert raws(1, 1)[0] in bench.peers.got("b"), "one is enough"


def test_a_member_without_any_validator_hears_so_at_once(made: Callable[..., Bench]) -> None:
    bench = made()
    bench.start()
    with pytest.raises(UnavailableError) as nobody:
        bench.handing(raws(0, 1))
    assert nobody.value.code == "chain.no-validator"


def test_lanes_follow_the_validators(made: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handing, "_LOOK_S", 0.02)
    bench = made("own", "a", "b")
    bench.start()
    bench.waiting = raws(0, 1)
    bench.validators = ["own", "b", "c"]
    eventually(lambda: raws(0, 1)[0] in bench.peers.got("c"), 300)
    eventually(lambda: {loop.name for loop in bench.handing.loops()} == {"handing", "hand-to-b", "hand-to-c"})
    calls = bench.peers.count("a")
    bench.handing(raws(1, 1))
    eventually(lambda: raws(1, 1)[0] in bench.peers.got("c"))
    assert bench.peers.count("a") == calls


def test_a_validator_that_has_not_looked_yet_takes_transactions(made: Callable[..., Bench]) -> None:
    made("own", "a").handing(raws(0, 1))


def test_a_node_that_is_away_is_one_failure_until_it_answers(made: Callable[..., Bench]) -> None:
    bench = made("own", "a")
    seen: list[LedgerError | None] = []

    def away(member: str, raws: list[bytes]) -> list[tuple[bytes, str]]:
        lane = next(loop for loop in bench.handing.loops() if loop.name == f"hand-to-{member}")
        seen.append(lane.problem)
        raise UnavailableError("peer.unreachable", f"{member} does not answer")

    bench.handing = Handing(
        own="own",
        validators=lambda: ["own", "a"],
        hand=away,
        waiting=lambda age: raws(0, 1),
        metrics=Metrics(),
        on_fatal=bench.fatal.append,
    )
    bench.start()
    eventually(lambda: len(seen) >= 3)
    assert all(problem is not None and problem.code == "peer.unreachable" for problem in seen[1:])


def test_behind_a_call_that_hangs_a_lane_keeps_little(
    made: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handing, "_MOST_QUEUED", 10_000)
    monkeypatch.setattr(handing, "AGAIN_S", 3_600.0)
    bench = made("own", "a")
    bench.peers.slow = {"a"}
    bench.waiting = raws(0, 1)
    bench.start()
    eventually(lambda: bench.peers.count("a") == 1)
    # The same again and again: the pool holds it once.
    for _ in range(1_000):
        bench.handing(raws(0, 1))
    bench.waiting = raws(0, 2)
    bench.handing(raws(1, 1))
    bench.peers.answer.set()
    eventually(lambda: raws(1, 1)[0] in bench.peers.got("a"))
    assert bench.peers.got("a").count(raws(0, 1)[0]) <= 60


def test_a_defect_ends_the_node_as_everywhere(made: Callable[..., Bench]) -> None:
    bench = made("own", "a")

    def broken(member: str, raws: list[bytes]) -> list[tuple[bytes, str]]:
        raise FatalError("disk.broken", member)

    bench.handing = Handing(
        own="own",
        validators=lambda: ["a"],
        hand=broken,
        waiting=lambda age: raws(0, 1),
        metrics=Metrics(),
        on_fatal=bench.fatal.append,
    )
    bench.start()
    eventually(lambda: bench.fatal)
    assert bench.fatal.pop().code == "disk.broken"
