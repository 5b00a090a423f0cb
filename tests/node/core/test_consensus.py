"""The orderer of a BFT node between CometBFT and the store: what is committed is kept first, who ends when."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from ledger.errors import ConflictError, FatalError, LedgerError, UnavailableError
from node.chain.board import CometBoard
from node.chain.consensus import BftOrderer
from node.metrics import Metrics
from tests.node.core.makers import NOW_MS, eventually


@dataclass(frozen=True, kw_only=True)
class Commit:
    height: int
    time_ms: int = NOW_MS
    validators: tuple[bytes, ...] = (b"\x01" * 32,)


@dataclass
class Recorded:
    """What happened, in order, on all sides."""

    events: list[str] = field(default_factory=list)

    def __call__(self, event: str) -> None:
        self.events.append(event)


class Server:
    """The ABCI server's Python face: commits are put in by the test."""

    def __init__(self, tell: Recorded) -> None:
        self.tell = tell
        self.waiting: queue.Queue[Commit] = queue.Queue()
        self.stopped = threading.Event()
        self.broken: tuple[str, str] | None = None
        self.bell = b"ding"
        self.bells: queue.Queue[bool] = queue.Queue()

    def next_bell(self, timeout: float) -> bool:
        if self.stopped.is_set() or self.broken:
            return False
        try:
            return self.bells.get(timeout=min(timeout, 0.01))
        except queue.Empty:
            return False

    def listen(self, path: str) -> None:
        self.tell(f"listen {path}")

    def next_commit(self, timeout: float) -> Commit | None:
        if self.stopped.is_set() or self.broken:
            return None
        try:
            return self.waiting.get(timeout=min(timeout, 0.01))
        except queue.Empty:
            return None

    def committed(self) -> None:
        self.tell("committed")

    def fail(self, message: str) -> None:
        self.tell(f"fail {message}")

    def stop(self) -> None:
        self.stopped.set()
        self.tell("server stopped")

    def failure(self) -> tuple[str, str] | None:
        return self.broken


class Process:
    """CometBFT's process."""

    def __init__(self, tell: Recorded) -> None:
        self.tell = tell
        self.problem: LedgerError | None = None
        self.alive = True
        self.restarts = 0

        self.refusal: LedgerError | None = None
        self.running = False

    def start(self) -> None:
        if self.refusal is not None:
            raise self.refusal
        if not self.running:
            self.running = True
            self.tell("process started")

    def stop(self, timeout: float) -> None:
        if self.running:
            self.running = False
            self.tell("process stopped")


class Rpc:
    """CometBFT's door."""

    def __init__(self, tell: Recorded) -> None:
        self.tell = tell
        self.away = False

    def ring(self, bell: bytes) -> None:
        if self.away:
            self.tell("unheard")
            raise UnavailableError("comet.unreachable", "not there yet")
        self.tell(f"rung {bell!r}")


class Chain:
    """The engine: stores, then answers."""

    def __init__(self, tell: Recorded) -> None:
        self.tell = tell
        self.genesis_digest = b"\x11" * 32
        self.error: LedgerError | None = None

    def head(self) -> Any:
        return SimpleNamespace(height=0, header=b"", hash=b"\x00" * 32)

    def adopt(self, commit: Commit, committed: Callable[[], None]) -> None:
        if self.error is not None:
            raise self.error
        self.tell(f"stored {commit.height}")
        committed()


@dataclass
class Bench:
    tell: Recorded
    server: Server
    process: Process
    chain: Chain
    board: CometBoard
    rpc: Rpc
    orderer: BftOrderer
    fatal: list[LedgerError]

    def begin(self) -> None:
        for loop in self.orderer.loops():
            if loop is not self.orderer.finalising.loop:
                loop.start()


@pytest.fixture
def bench() -> Iterator[Bench]:
    tell = Recorded()
    server, process, chain, rpc = Server(tell), Process(tell), Chain(tell), Rpc(tell)
    board = CometBoard(
        clock=lambda: NOW_MS + 5_000,
        block_hash=lambda height: None,
        is_validator=lambda: True,
        store=lambda finality: None,
        stored=None,
        oldest_time_ms=NOW_MS - 90_000,
    )
    fatal: list[LedgerError] = []
    orderer = BftOrderer(
        chain=chain,  # type: ignore[arg-type]
        board=board,
        server=server,  # type: ignore[arg-type]
        comet=SimpleNamespace(process=process, rpc=rpc, app_socket="/app.sock"),  # type: ignore[arg-type]
        watch=SimpleNamespace(step=lambda: 60.0, view=lambda: None),  # type: ignore[arg-type]
        handing=SimpleNamespace(loops=lambda: (), stop=lambda: None),  # type: ignore[arg-type]
        metrics=Metrics(),
        on_fatal=fatal.append,
    )
    made = Bench(
        tell=tell, server=server, process=process, chain=chain, board=board, rpc=rpc, orderer=orderer, fatal=fatal
    )
    yield made
    made.orderer.stop()
    for loop in made.orderer.loops():
        assert loop.join(300)


def test_the_application_listens_before_cometbft_starts(bench: Bench) -> None:
    bench.begin()
    eventually(lambda: "process started" in bench.tell.events)
    assert bench.tell.events[:2] == ["listen /app.sock", "process started"]


def test_a_commit_is_stored_answered_and_its_time_makes_the_view_young(bench: Bench) -> None:
    assert bench.board.age_ms() == 95_000
    bench.begin()
    bench.server.waiting.put(Commit(height=4))
    eventually(lambda: bench.board.consensus_height == 4)
    assert bench.tell.events.index("stored 4") < bench.tell.events.index("committed")
    assert bench.board.age_ms() == 5_000
    bench.board.reached(3, NOW_MS - 1)
    assert (bench.board.consensus_height, bench.board.age_ms()) == (4, 5_000), "neither goes back"


def test_cometbft_ends_before_its_application(bench: Bench) -> None:
    bench.begin()
    eventually(lambda: "process started" in bench.tell.events)
    bench.orderer.stop()
    assert bench.tell.events[-2:] == ["process stopped", "server stopped"]


def test_what_cannot_be_stored_ends_both_sides_and_is_handed_on(bench: Bench) -> None:
    bench.chain.error = FatalError("chain.write-failed", "no space is left")
    bench.begin()
    eventually(lambda: "process started" in bench.tell.events)
    bench.server.waiting.put(Commit(height=4))
    eventually(lambda: bench.fatal)
    assert [error.code for error in bench.fatal] == ["chain.write-failed"]
    events = [event.split(" [")[0] for event in bench.tell.events]
    assert [one for one in events if one.startswith("fail")] == ["fail no space is left"]
    assert events.index("fail no space is left") < events.index("process stopped") < events.index("server stopped")
    assert "committed" not in events


def test_a_failure_of_the_application_stops_the_node_with_its_reason(bench: Bench) -> None:
    bench.server.broken = ("chain.version", "version 2 is active from block 7 on")
    bench.begin()
    eventually(lambda: bench.fatal)
    assert (bench.fatal[0].code, isinstance(bench.fatal[0], FatalError)) == ("chain.version", True)
    assert "upgrade" in bench.fatal[0].hint


def test_a_cometbft_that_died_is_a_problem_of_the_loop_not_of_the_node(bench: Bench) -> None:
    bench.begin()
    eventually(lambda: "process started" in bench.tell.events)
    bench.process.alive, bench.process.problem = False, UnavailableError("comet.stopped", "it ended")
    tending = next(loop for loop in bench.orderer.loops() if loop.name == "cometbft")
    eventually(lambda: tending.problem is not None)
    assert bench.fatal == []
    bench.process.alive, bench.process.problem = True, None
    eventually(lambda: tending.problem is None)


def test_a_start_that_was_refused_is_tried_again(bench: Bench) -> None:
    bench.process.refusal = ConflictError("comet.consensus-key-in-use", "another process has it")
    bench.begin()
    tending = next(loop for loop in bench.orderer.loops() if loop.name == "cometbft")
    eventually(lambda: tending.problem is not None)
    assert (bench.fatal, bench.tell.events) == ([], ["listen /app.sock"])
    bench.process.refusal = None
    eventually(lambda: "process started" in bench.tell.events)


def test_a_cometbft_that_will_never_run_ends_the_node(bench: Bench) -> None:
    bench.process.problem = FatalError("comet.other-genesis", "another network")
    bench.begin()
    eventually(lambda: bench.fatal)
    assert bench.fatal[0].code == "comet.other-genesis"


def test_the_bell_is_rung_when_something_waits_whether_or_not_cometbft_hears_it(bench: Bench) -> None:
    bench.begin()
    eventually(lambda: "process started" in bench.tell.events)
    bench.rpc.away = True
    bench.server.bells.put(True)
    eventually(lambda: "unheard" in bench.tell.events)
    bench.rpc.away = False
    bench.server.bells.put(True)
    eventually(lambda: "rung b'ding'" in bench.tell.events)
    ringing = next(loop for loop in bench.orderer.loops() if loop.name == "bell")
    assert (ringing.problem, bench.fatal) == (None, [])
