"""Appending for a department's systems: every record judged, and a stream that keeps the disk busy.

A stream has requests under way while the ones before are written, so that many share one sync of the disk. How many is
bounded: the next request is read when an earlier one was answered, and gRPC's flow control holds the writer back. That
is the back-pressure; nothing grows with the length of a stream or with the slowness of a disk.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ledger.bulk import BulkSchema
from ledger.errors import UnavailableError
from ledger.v1 import department_pb2 as pb
from node.services import fields

if TYPE_CHECKING:
    from ledger.log import PendingAppend
    from node.context import NodeContext

#: Bounds of one append.
MAX_RECORDS = 20_000
MAX_BYTES = 4 << 20
#: Requests of one stream under way: ``UNDER_WAY`` while they are small, one when it is as large as a request may be.
UNDER_WAY = 8


class Appends:
    """The one way in for records that come over the network."""

    def __init__(self, context: NodeContext) -> None:
        self._context = context
        self._schema = BulkSchema(context.member)

    def begin(self, request: pb.AppendRequest) -> tuple[PendingAppend, int]:
        """Judge a request and queue its records, all of them or none; its answer to come, and its size in bytes.

        Raises: InvalidInputError(input.field | record.* | json.*), and as ``DepartmentLog.begin``.
        """
        # One list for all that follows: every look into the message makes its bytes anew.
        records = list(request.records)
        if not 1 <= len(records) <= MAX_RECORDS:
            raise fields.refuse(
                "records", f"are 1 to {MAX_RECORDS} in one request", expected=MAX_RECORDS, actual=len(records)
            )
        if request.batch and len(request.batch) != 16:
            raise fields.refuse("batch", "has 16 bytes, or none", expected=16, actual=len(request.batch))
        size = sum(map(len, records))
        if size > MAX_BYTES:
            raise fields.refuse(
                "records",
                "are larger than 4 MiB together",
                hint="send them in several requests",
                expected=MAX_BYTES,
                actual=size,
            )
        self._schema.check(records)
        return self._context.log.begin(records, request.batch or None, self._schema), size

    def stream(self, requests: Iterator[pb.AppendRequest], recheck: Callable[[], None]) -> Iterator[pb.AppendResponse]:
        """Answer each request in order. ``recheck`` judges the caller again when the chain moved on.

        After a refusal nothing more is read; a request is in the log when it was answered, and may be when it was not:
        a repeat with its batch id tells. Raises as :meth:`begin`.
        """
        under_way = _UnderWay(self._reading(requests, recheck))
        try:
            for pending in under_way:
                first, count = pending.result()
                under_way.answered()
                yield pb.AppendResponse(first=first, count=count)
        finally:
            under_way.stop()

    def _reading(
        self, requests: Iterator[pb.AppendRequest], recheck: Callable[[], None]
    ) -> Callable[[_UnderWay], None]:
        def read(under_way: _UnderWay) -> None:
            height = self._context.chain.head().height
            while under_way.wait_for_room():
                request = next(requests, None)
                if request is None:
                    return
                head = self._context.chain.head().height
                if head != height:
                    # A suspension acts on a stream under way, too.
                    recheck()
                    height = head
                under_way.put(*self._begin_in_turn(request, under_way))

        return read

    def _begin_in_turn(self, request: pb.AppendRequest, under_way: _UnderWay) -> tuple[PendingAppend, int]:
        try:
            return self.begin(request)
        except UnavailableError as error:
            if error.code != "log.saturated" or not under_way.wait_until_answered():
                raise
            # The pool is full of others' records, and ours have left it: once more, then the writer must come back.
            return self.begin(request)


class _UnderWay:
    """Requests that a reading thread began and the answering thread has not yet answered."""

    def __init__(self, read: Callable[[_UnderWay], None]) -> None:
        self._changed = threading.Condition()
        self._sizes: list[int] = []
        self._stopped = False
        self._begun: queue.SimpleQueue[PendingAppend | BaseException | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, args=(read,), name="append-stream", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[PendingAppend]:
        while (item := self._begun.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    def put(self, pending: PendingAppend, size: int) -> None:
        """A request was begun; ``size`` in bytes."""
        with self._changed:
            self._sizes.append(size)
        self._begun.put(pending)

    def answered(self) -> None:
        """The oldest one is durable."""
        with self._changed:
            self._sizes.pop(0)
            self._changed.notify_all()

    def wait_for_room(self) -> bool:
        """Wait until another may be read; False when the stream is over."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopped or (len(self._sizes) < UNDER_WAY and sum(self._sizes) < MAX_BYTES)
            )
            return not self._stopped

    def wait_until_answered(self) -> bool:
        """Wait until none is under way; False when none was, or the stream is over."""
        with self._changed:
            if not self._sizes:
                return False
            self._changed.wait_for(lambda: self._stopped or not self._sizes)
            return not self._stopped

    def stop(self) -> None:
        """The stream is over: the reading thread ends at its next step."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _run(self, read: Callable[[_UnderWay], None]) -> None:
        try:
            read(self)
        except BaseException as error:  # raised again in the thread that answers
            self._begun.put(error)
        else:
            self._begun.put(None)
