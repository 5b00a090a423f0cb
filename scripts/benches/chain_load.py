"""The load generator of the network bench: a process of its own that hands in transactions made beforehand.

``python -m scripts.benches.chain_load PLAN`` reads a plan (JSON), keeps each validator supplied, watches what is
committed, and prints its figures: seconds, rate, its own processor time, what was committed when. Members' transactions
go to their node's JSON-RPC as everybody's do (batches of ``eth_sendRawTransaction``), in the order of their nonces, at
most ``window`` ahead of what is committed; the pairs of the sample go to its CometBFT (``broadcast_tx_async``).
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import resource
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from scripts.jsonlink import Call, Link

#: Transactions of one request, and seconds between looks at what is committed.
BATCH = 100
_LOOK_S = 0.1
_IDLE_S = 0.01
#: Seconds without a commit after which a member's transactions are handed in again, and the run is given up.
_REPEAT_S = 3.0
_PATIENCE_S = 60.0
#: CometBFT's words and our nodes': taken already; no room at this moment.
_THERE = ("already exists in cache", "tx.nonce-low")
_FULL = ("mempool is full", "tx.pool-full", "tx.nonce-gap")


#: Which queue, and which of its transactions.
Place = tuple[Any, int]


class Supply(Protocol):
    """What one validator is handed. ``repeated``: how often it began again."""

    repeated: int

    def look(self) -> int:
        """Ask what is committed; how many transactions of this supply are."""

    def next(self, count: int) -> list[tuple[Place, bytes]]:
        """The transactions to hand in now."""

    def refused(self, place: Place) -> None:
        """There was no room: this one that ``next`` gave out is to be given out again, and what follows it."""

    def call(self, raw: bytes) -> Call:
        """How one is handed in."""

    @property
    def total(self) -> int:
        """How many there are."""


@dataclass(slots=True)
class Queue:
    """One member's transactions; ``sent`` and ``committed`` count from the first."""

    address: str
    first_nonce: int
    raws: list[bytes]
    sent: int = 0
    committed: int = 0
    moved: float = 0.0


class MemberSupply:
    """Members' transactions for a civicledger validator. One of the supplies asks its node what is committed of all the
    ``watched`` queues, so that watching costs the network as little as it can; the others look at what it saw."""

    def __init__(self, node: str, queues: list[Queue], window: int, watched: list[Queue] | None = None) -> None:
        self._link = Link(node)
        self._queues = queues
        self._watched = watched
        self._window = window
        self._turn = 0
        self.repeated = 0

    @property
    def total(self) -> int:
        """How many there are."""
        return sum(len(queue.raws) for queue in self._queues)

    def look(self) -> int:
        """Ask the node for the members' committed nonces, if that is this one's task."""
        if self._watched is None:
            return sum(queue.committed for queue in self._queues)
        answers = self._link.batch([("eth_getTransactionCount", [queue.address, "latest"]) for queue in self._watched])
        now = time.perf_counter()
        for queue, answer in zip(self._watched, answers, strict=True):
            committed = int(answer["result"], 16) - queue.first_nonce
            if committed != queue.committed or queue.sent == committed:
                queue.committed, queue.moved = committed, now
            queue.sent = max(queue.sent, committed)
            if now - queue.moved > _REPEAT_S:
                queue.sent, queue.moved = committed, now
                self.repeated += 1
        return sum(queue.committed for queue in self._watched)

    def next(self, count: int) -> list[tuple[Place, bytes]]:
        """Members in turn, each up to its window."""
        given: list[tuple[Place, bytes]] = []
        for _ in self._queues:
            queue = self._queues[self._turn % len(self._queues)]
            self._turn += 1
            end = min(len(queue.raws), queue.committed + self._window, queue.sent + count - len(given))
            given += [((queue, place), queue.raws[place]) for place in range(queue.sent, end)]
            queue.sent = max(queue.sent, end)
            if len(given) >= count:
                break
        return given

    def call(self, raw: bytes) -> Call:
        """To a node."""
        return "eth_sendRawTransaction", ["0x" + raw.hex()]

    def refused(self, place: Place) -> None:
        """Begin again at the refused one."""
        queue, back = place
        queue.sent = min(queue.sent, back)


class SampleSupply:
    """Pairs ``key=value`` for the sample application, whose size says what is committed in all."""

    def __init__(self, rpc: str, first: int, count: int, size: int, counter: SampleCounter) -> None:
        self._link = Link(rpc)
        self._raws = [sample_pair(first + number, size) for number in range(count)]
        self._counter = counter
        self._sent = 0
        self.repeated = 0

    @property
    def total(self) -> int:
        """How many there are."""
        return len(self._raws)

    def look(self) -> int:
        """Ask the application for its size; this supply's share of it is only known in sum, so it is kept there."""
        data = self._link.call("abci_info", {})["response"]["data"]
        return self._counter.saw(int(json.loads(data)["size"]))

    def next(self, count: int) -> list[tuple[Place, bytes]]:
        """As many as may be under way."""
        end = min(len(self._raws), self._sent + min(count, self._counter.room()))
        given: list[tuple[Place, bytes]] = [((self, place), self._raws[place]) for place in range(self._sent, end)]
        self._counter.sent(end - self._sent)
        self._sent = end
        return given

    def call(self, raw: bytes) -> Call:
        """To CometBFT."""
        return "broadcast_tx_async", {"tx": base64.b64encode(raw).decode("ascii")}

    def refused(self, place: Place) -> None:
        """Begin again at the refused one."""
        _self, back = place
        if back < self._sent:
            self._counter.sent(back - self._sent)
            self._sent = back


class SampleCounter:
    """What is under way in the sample network, over all its validators."""

    def __init__(self, window: int) -> None:
        self._lock = threading.Lock()
        self._window = window
        self._sent = 0
        self._committed = 0

    def saw(self, committed: int) -> int:
        """The application's size, which never shrinks."""
        with self._lock:
            self._committed = max(self._committed, committed)
            return self._committed

    def sent(self, count: int) -> None:
        """So many more are under way."""
        with self._lock:
            self._sent += count

    def room(self) -> int:
        """How many more may be."""
        with self._lock:
            return max(0, self._window - (self._sent - self._committed))


def sample_pair(number: int, size: int) -> bytes:
    """A pair of ``size`` bytes, different for each number."""
    key = hashlib.sha256(b"sample %d" % number).hexdigest()[:16].encode()
    return key + b"=" + b"%0*d" % (size - len(key) - 1, number)


@dataclass(slots=True)
class Course:
    """What was committed when, over all supplies."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    points: list[tuple[float, int, int]] = field(default_factory=list)
    failure: str = ""

    def add(self, supply: int, committed: int) -> None:
        """A supply's count grew."""
        with self.lock:
            self.points.append((time.perf_counter(), supply, committed))


class Feeder(threading.Thread):
    """Keeps one validator supplied until everything of its supply is committed."""

    def __init__(self, number: int, door: str, supply: Supply, total: int, course: Course) -> None:
        super().__init__(name=f"feeder-{number}", daemon=True)
        self._number = number
        self._link = Link(door)
        self.supply = supply
        self._total = total
        self._course = course

    def run(self) -> None:
        """Feed; a failure ends all."""
        try:
            self._feed()
        except Exception as error:
            self._course.failure = f"{self.name}: {error!r}"

    def _feed(self) -> None:
        committed, looked, moved = -1, 0.0, time.perf_counter()
        while not self._course.failure:
            now = time.perf_counter()
            if now - looked >= _LOOK_S:
                looked, seen = now, self.supply.look()
                if seen != committed:
                    committed, moved = seen, now
                    self._course.add(self._number, seen)
                if seen >= self._total:
                    return
                if now - moved > _PATIENCE_S:
                    raise TimeoutError(f"nothing was committed for {_PATIENCE_S:.0f} s ({committed} of {self._total})")
            given = self.supply.next(BATCH)
            if given:
                self._hand_in(given)
            else:
                time.sleep(_IDLE_S)

    def _hand_in(self, given: list[tuple[Place, bytes]]) -> None:
        calls = [self.supply.call(raw) for _place, raw in given]
        full = False
        for (place, _raw), answer in zip(given, self._link.batch(calls), strict=True):
            if "error" not in answer:
                continue
            said = json.dumps(answer["error"])
            if any(word in said for word in _FULL):
                full = True
                self.supply.refused(place)
            elif not any(word in said for word in _THERE):
                raise RuntimeError(f"a transaction was refused: {said}")
        if full:
            self.supply.repeated += 1
            time.sleep(_IDLE_S)


def feed(plan: dict[str, Any]) -> dict[str, Any]:
    """Hand in everything of a plan; the figures."""
    course = Course()
    feeders: list[Feeder] = []
    supplies = _member_supplies(plan) if plan["kind"] == "members" else _sample_supplies(plan)
    writes = sum(supply.total for supply in supplies)
    for number, (door, supply) in enumerate(zip(plan["doors"], supplies, strict=True)):
        # The first sees everything; so does each of the sample's.
        total = supply.total if number and plan["kind"] == "members" else writes
        feeders.append(Feeder(number, door["node"], supply, total, course))
    used, began = _processor(), time.perf_counter()
    for feeder in feeders:
        feeder.start()
    for feeder in feeders:
        feeder.join()
    if course.failure:
        raise SystemExit(f"the load generator gave up: {course.failure}")
    points = [(at, committed) for at, supply_number, committed in sorted(course.points) if supply_number == 0]
    seconds = points[-1][0] - began
    return {
        "writes": writes,
        "seconds": round(seconds, 3),
        "per_second": round(writes / seconds),
        "window": plan["window"],
        "repeated": sum(feeder.supply.repeated for feeder in feeders),
        "generator_cpu_seconds": round(_processor() - used, 3),
        "longest_pause_s": round(longest_pause([began, *(at for at, _committed in points)]), 3),
        "course": sorted({int(at - began) + 1: committed for at, committed in points}.items()),
    }


def _member_supplies(plan: dict[str, Any]) -> list[Supply]:
    queues = [
        [
            Queue(member["address"], member["nonce"], [base64.b64decode(raw) for raw in member["raws"]])
            for member in door["members"]
        ]
        for door in plan["doors"]
    ]
    everything = [queue for some in queues for queue in some]
    return [
        MemberSupply(door["node"], some, plan["window"], None if number else everything)
        for number, (door, some) in enumerate(zip(plan["doors"], queues, strict=True))
    ]


def _sample_supplies(plan: dict[str, Any]) -> list[Supply]:
    counter, found, first = SampleCounter(plan["window"]), [], 0
    for door in plan["doors"]:
        found.append(SampleSupply(door["node"], first, door["count"], plan["size"], counter))
        first += found[-1].total
    return list(found)


def longest_pause(times: list[float]) -> float:
    """The longest time between two of them, seconds; times ascend."""
    return max((later - earlier for earlier, later in itertools.pairwise(times)), default=0.0)


def _processor() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> int:
    """Read the plan, feed, print."""
    plan = json.loads(Path(sys.argv[1]).read_text("ascii"))
    print(json.dumps(feed(plan)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
