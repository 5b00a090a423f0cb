"""Transactions on their way from the node that took them in to the validators' nodes.

Each validator's node has a lane of its own: one call under way, and behind it what came meanwhile, as the next one. A
node that does not answer delays nobody else, and costs no memory: when it is back, it is handed everything that still
waits here. What waits for long is handed over again. The receivers hand nothing on.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from ledger.chain.embedded import keccak256
from ledger.errors import LedgerError, UnavailableError
from node.loops import Loop
from node.metrics import Metrics

#: Transactions of one call, and their bytes (one alone may have more).
MAX_CALL = 500
_CALL_BYTES = 1 << 20
#: What a lane keeps behind a call under way, bytes and what each transaction takes beside. Beyond it the lane asks
#: the pool, which holds each transaction once, for everything that waits.
_MOST_QUEUED = 16 << 20
_OVERHEAD = 200
#: Between the beginnings of two calls to a node: what came meanwhile goes together, seconds.
PACE_S = 0.1
#: What a node refuses while it is a block behind is handed to it once more after so long, seconds.
_BEHIND_S = 0.25
#: What waits for so long without a block is handed over again, seconds.
AGAIN_S = 3.0
#: After a failure, at least and at most, seconds.
_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 2.0
#: How long the caller at a node that is no validator waits for the first of them to answer, seconds.
_PATIENCE_S = 5.0
#: How often the validators are looked up, seconds.
_LOOK_S = 1.0
#: What a node a block behind says.
_BEHIND = frozenset({"tx.nonce-gap", "tx.pool-full"})

#: Hands transactions to a member's node: (hash, code) of those it refused. Raises LedgerError when it does not answer.
Hand = Callable[[str, list[bytes]], list[tuple[bytes, str]]]
#: What was handed in at this node and waits for at least so many seconds.
Own = Callable[[float], list[bytes]]


class Handing:
    """The lanes to the validators' nodes. ``validators`` are the members whose nodes propose blocks, ``own`` is this
    node's member; ``loops`` are those of now, ``wake`` begins them."""

    def __init__(
        self,
        *,
        own: str,
        validators: Callable[[], Sequence[str]],
        hand: Hand,
        waiting: Own,
        metrics: Metrics,
        on_fatal: Callable[[LedgerError], None],
    ) -> None:
        self._own = own
        self._validators = validators
        self._hand = hand
        self._waiting = waiting
        self._metrics = metrics
        self._on_fatal = on_fatal
        self._lock = threading.Lock()
        self._lanes: dict[str, Lane] = {}
        #: None until the validators were looked up first.
        self._validates: bool | None = None
        self._ended = False
        self._looking = Loop("handing", self._look, metrics=metrics, on_fatal=on_fatal)

    def loops(self) -> Iterator[Loop]:
        """The loop that looks for validators, and those of their lanes."""
        yield self._looking
        with self._lock:
            lanes = tuple(self._lanes.values())
        yield from (lane.loop for lane in lanes)

    def stop(self) -> None:
        """No new lanes."""
        with self._lock:
            self._ended = True

    def __call__(self, raws: list[bytes]) -> None:
        """Hand transactions over that this node's own pool admitted.

        Raises: UnavailableError(chain.no-validator) where this node proposes no blocks and nobody who does answers.
        """
        with self._lock:
            lanes, validates = tuple(self._lanes.values()), self._validates
        if validates is None:
            validates = self._own in self._validators()
        taken = None if validates else threading.Event()
        for lane in lanes:
            lane.put(raws, taken)
        if taken is not None and not taken.wait(_PATIENCE_S if lanes else 0.0):
            raise UnavailableError(
                "chain.no-validator",
                "no validator's node can be reached",
                hint="it waits here and is handed on as soon as one answers: `civicledger doctor` says who is missing",
            )

    def _look(self) -> float:
        wanted = self._validators()
        with self._lock:
            self._validates = self._own in wanted
            if self._ended:
                return _LOOK_S
            for gone in set(self._lanes) - set(wanted):
                self._lanes.pop(gone).loop.stop()
            for member in wanted:
                if member != self._own and member not in self._lanes:
                    lane = Lane(member, self._hand, self._waiting, metrics=self._metrics, on_fatal=self._on_fatal)
                    self._lanes[member] = lane
                    lane.loop.start()
        return _LOOK_S


class Lane:
    """The way to one node."""

    def __init__(
        self,
        member: str,
        hand: Hand,
        waiting: Own,
        *,
        metrics: Metrics,
        on_fatal: Callable[[LedgerError], None],
    ) -> None:
        self._member = member
        self._hand = hand
        self._waiting = waiting
        self._lock = threading.Lock()
        #: Pieces that fit into a call.
        self._queue: deque[list[bytes]] = deque()
        self._queued = 0
        #: Who waits until everything that is in the queue now was taken.
        self._waiters: list[threading.Event] = []
        #: Everything that waits here has to be handed over: the node is new to us, or did not answer.
        self._all = True
        self._behind: list[bytes] = []
        self._behind_at = self._again_at = self._not_before = 0.0
        self.loop = Loop(
            f"hand-to-{member}", self._step, metrics=metrics, on_fatal=on_fatal, longest_delay_s=_LONGEST_PAUSE_S
        )

    def put(self, raws: list[bytes], taken: threading.Event | None = None) -> None:
        """Hand these over soon; ``taken`` is set when the node has answered."""
        with self._lock:
            if not self._all:
                self._queue.extend(_pieces(raws))
                self._queued += sum(_OVERHEAD + len(raw) for raw in raws)
                if self._queued > _MOST_QUEUED:
                    self._forget()
            if taken is not None:
                self._waiters = [*[one for one in self._waiters if not one.is_set()][-MAX_CALL:], taken]
        self.loop.wake()

    def _step(self) -> float:
        now = time.monotonic()
        if now < self._not_before:
            # Waited for in here: to come back with nothing done would count as a success after a failure.
            if not self.loop.pause(self._not_before - now):
                return 0.0
            now = time.monotonic()
        self._not_before = now + PACE_S
        again, fresh, waiters = self._due(now)
        try:
            late = {hash_ for piece in _pieces(again + fresh) for hash_ in self._call(piece)}
        except LedgerError:
            with self._lock:
                self._forget()
                self._waiters = waiters + self._waiters
            self._not_before = time.monotonic() + _PAUSE_S
            raise
        for waiter in waiters:
            waiter.set()
        # Once more soon, and then with everything that waits for long.
        self._behind = [raw for raw in fresh if keccak256(raw) in late] if late else []
        self._behind_at = now + _BEHIND_S
        with self._lock:
            due = self._not_before if self._queue or self._all else self._again_at
        if self._behind:
            due = min(due, self._behind_at)
        return max(0.0, max(due, self._not_before) - time.monotonic())

    def _forget(self) -> None:
        """Everything that waits here is handed over next, under the lock."""
        self._all = True
        self._queue.clear()
        self._queued = 0

    def _due(self, now: float) -> tuple[list[bytes], list[bytes], list[threading.Event]]:
        """What to hand over once more, what for the first time, and who waits for that."""
        with self._lock:
            everything, self._all = self._all, False
            again, self._behind = self._behind, []
            if everything:
                again, fresh = [], self._waiting(0.0)
            else:
                fresh = self._together()
                again += self._waiting(AGAIN_S) if now >= self._again_at else []
            if everything or now >= self._again_at:
                self._again_at = now + AGAIN_S
            waiters: list[threading.Event] = []
            if not self._queue:
                waiters, self._waiters = self._waiters, []
        return again, fresh, waiters

    def _call(self, piece: list[bytes]) -> list[bytes]:
        """Hand over; the hashes of what has no place yet."""
        return [hash_ for hash_, code in self._hand(self._member, piece) if code in _BEHIND]

    def _together(self) -> list[bytes]:
        """As many pieces as fit into a call."""
        found: list[bytes] = []
        size = 0
        while self._queue:
            more = sum(map(len, self._queue[0]))
            if found and (len(found) + len(self._queue[0]) > MAX_CALL or size + more > _CALL_BYTES):
                break
            piece = self._queue.popleft()
            found += piece
            size += more
            self._queued -= more + _OVERHEAD * len(piece)
        return found


def _pieces(raws: list[bytes]) -> Iterator[list[bytes]]:
    """Parts that fit into a call."""
    piece: list[bytes] = []
    size = 0
    for raw in raws:
        if piece and (len(piece) == MAX_CALL or size + len(raw) > _CALL_BYTES):
            yield piece
            piece, size = [], 0
        piece.append(raw)
        size += len(raw)
    if piece:
        yield piece
