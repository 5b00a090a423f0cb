"""Sending batches to a node: a few under way, sent again under the same ids when the connection or the node fails."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import grpc

from ledger.errors import LedgerError, UnavailableError
from ledger.v1 import department_pb2 as pb
from node.cli.recordlines import LineBatch
from node.cli.texts import t
from node.rpc.errors import from_rpc

#: Batches read and not yet answered.
WINDOW = 8
_STREAM_TIMEOUT_S = 86_400.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 3.0
_LAST_READ_S = 5.0

#: Called for every batch in order, with the index of its first record (None: it has no records).
Settled = Callable[[LineBatch, int | None], None]


class BatchSender:
    """Brings every batch of an iterator into the log, in order.

    ``patience``: seconds without any answer after which an unavailable node is given up. ``on_pause`` hears why it waits.
    """

    def __init__(
        self,
        append_stream: Callable[..., Any],
        batches: Iterator[LineBatch],
        settled: Settled,
        *,
        patience: float,
        on_pause: Callable[[LedgerError], None],
    ) -> None:
        self._append_stream = append_stream
        self._batches = batches
        self._settled = settled
        self._patience = patience
        self._on_pause = on_pause
        self._reading = threading.Lock()
        self._changed = threading.Condition()
        self._waiting: deque[LineBatch] = deque()
        self._answered = 0
        self._attempt = 0
        self._ended = False
        self._failure: Exception | None = None

    @property
    def under_way(self) -> int:
        """Batches that were read and not answered."""
        return len(self._waiting)

    def run(self) -> None:
        """Until all are answered.

        Raises: what reading the batches raised, when all before it are answered; what the node refused; and
        UnavailableError when the node stays away.
        """
        try:
            self._run()
        finally:
            with self._changed:
                # Whoever still waits in an attempt's thread goes home.
                self._attempt += 1
                self._changed.notify_all()
            # A thread inside the native core when Python ends would take the process down: it is waited for, unless it
            # waits for input itself.
            if self._reading.acquire(timeout=_LAST_READ_S):
                self._reading.release()

    def _run(self) -> None:
        alive, pause = time.monotonic(), _FIRST_PAUSE_S
        while True:
            before = self._answered
            try:
                for answer in self._append_stream(self._requests(), timeout=_STREAM_TIMEOUT_S):
                    self._answer(answer.first)
            except grpc.RpcError as error:
                refusal = from_rpc(error, t("the node", "节点"))
                if self._answered > before:
                    alive, pause = time.monotonic(), _FIRST_PAUSE_S
                absent = refusal.code == "peer.unreachable" and self._answered == 0
                if not isinstance(refusal, UnavailableError) or absent or time.monotonic() - alive > self._patience:
                    raise refusal from None
                self._on_pause(refusal)
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_S)
            else:
                if self._failure is not None:
                    raise self._failure
                return

    def _requests(self) -> Iterator[pb.AppendRequest]:
        """The requests of one attempt: what is unanswered, then what is read. gRPC takes them in a thread of its own,
        which may still be here when the next attempt has begun."""
        with self._changed:
            self._attempt += 1
            attempt, place = self._attempt, self._answered
        while True:
            with self._changed:
                self._changed.wait_for(lambda place=place: attempt != self._attempt or self._work(place))
                if attempt != self._attempt:
                    return
                place = max(place, self._answered)
                have = place - self._answered < len(self._waiting)
                if not have and self._ended:
                    return
                batch = self._waiting[place - self._answered] if have else None
            if batch is None:
                self._read(attempt)
                continue
            place += 1
            if batch.records:
                yield pb.AppendRequest(records=batch.records, batch=batch.id)

    def _work(self, place: int) -> bool:
        unsent = max(place, self._answered) - self._answered < len(self._waiting)
        return unsent or self._ended or len(self._waiting) < WINDOW

    def _read(self, attempt: int) -> None:
        with self._reading:
            if attempt != self._attempt or self._ended:
                return
            try:
                batch = next(self._batches, None)
                with self._changed:
                    self._ended = batch is None
                    if batch is not None:
                        self._waiting.append(batch)
                        self._settle_empty()
                    self._changed.notify_all()
            except Exception as error:  # raised again by run, when what was read before is answered
                with self._changed:
                    self._failure, self._ended = error, True
                    self._changed.notify_all()

    def _answer(self, first: int) -> None:
        with self._changed:
            self._settle(first)
            self._settle_empty()
            self._changed.notify_all()

    def _settle_empty(self) -> None:
        while self._waiting and not self._waiting[0].records:
            self._settle(None)

    def _settle(self, first: int | None) -> None:
        self._settled(self._waiting[0], first)
        self._waiting.popleft()
        self._answered += 1
