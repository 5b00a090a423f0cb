"""RecordService: the department's trail, written in bulk and read with proofs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from ledger.errors import NotFoundError, UnavailableError
from ledger.events import TYPES
from ledger.evidence.checkpoint import format_proof
from ledger.storage.indexes import Page, RecordFilter
from ledger.storage.openings import MAX_SUBJECT
from ledger.v1 import department_pb2, department_pb2_grpc, types_pb2
from node import erasure
from node.context import Published
from node.medical.certifying import filed_as
from node.rpc.auth import Call
from node.services import fields, openings
from node.services.appends import MAX_BYTES, Appends

if TYPE_CHECKING:
    from node.context import NodeContext

#: Largest range one Read streams.
MAX_READ = 100_000
_READ_STEP = 500
#: The index catches up by at most this many records before a query is answered.
_CATCH_UP = 5_000
#: How long a query with proofs waits for the quorum over the newest rows, seconds.
_WITNESS_WAIT_S = 3.0


class RecordService(department_pb2_grpc.RecordServiceServicer):
    """The log of this node's department."""

    def __init__(self, context: NodeContext) -> None:
        self._context = context
        self._appends = Appends(context)
        self._purging = threading.Lock()

    def Append(self, request: department_pb2.AppendRequest, call: Call) -> department_pb2.AppendResponse:
        """Records of the department's own systems; durable when answered. All of them, or none."""
        pending, _size = self._appends.begin(request)
        first, count = pending.result()
        return department_pb2.AppendResponse(first=first, count=count)

    def AppendStream(
        self, requests: Iterator[department_pb2.AppendRequest], call: Call
    ) -> Iterator[department_pb2.AppendResponse]:
        """The same in bulk: answered in order, a few requests under way at once (``node.services.appends``)."""
        yield from self._appends.stream(requests, call.recheck)

    def Query(self, request: department_pb2.QueryRequest, call: Call) -> department_pb2.QueryResponse:
        """Rows by any facet and time, complete among the first ``indexed_size`` records."""
        subject = fields.text("subject", request.subject, limit=MAX_SUBJECT, required=False) or None
        wanted = RecordFilter(
            dataset=fields.optional_id32("dataset", request.dataset),
            grant=fields.optional_id32("grant", request.grant),
            counterpart=fields.optional_member("counterpart", request.counterpart),
            type=_type(request.type),
            subject=subject,
            filed=None if subject is None else filed_as(self._context, subject),
            newest_first=request.newest_first,
            from_ms=fields.number("from", getattr(request, "from"), 0, 2**53 - 1),
            to_ms=fields.number("to", request.to, 0, 2**53 - 1),
        )
        size = fields.number("page_size", request.page_size, 0, fields.MAX_PAGE) or fields.DEFAULT_PAGE
        token = fields.token("page_token", request.page_token)
        with suppress(UnavailableError):
            # An index that has no room, or is being made again, still answers for what it holds.
            self._context.index.follow(self._context.log, limit=_CATCH_UP)
        page, records = self._found(wanted, size, token)
        last = max((row.index for row in page.rows), default=-1)
        published = self._checkpoint(last, must_cover=request.with_proofs)
        proven = published if request.with_proofs else None
        rows = [self._row(row.index, record, proven) for row, record in zip(page.rows, records, strict=True)]
        return department_pb2.QueryResponse(
            rows=rows,
            next_page_token=page.token.hex(),
            checkpoint=published.note.decode() if published else "",
            indexed_size=page.indexed_size,
            log_size=self._context.log.size,
        )

    def Read(self, request: department_pb2.ReadRequest, call: Call) -> Iterator[types_pb2.RecordRow]:
        """Entries [first, first + count) in order."""
        size = self._context.log.size
        first = fields.number("first", request.first, 0, 2**53 - 1)
        count = fields.number("count", request.count, 1, MAX_READ)
        if first + count > size:
            raise NotFoundError(
                "record.range",
                f"this log has {size} records",
                hint="ask for a range below that",
                expected=size,
                actual=first + count,
            )
        published = self._checkpoint(first + count - 1, must_cover=True) if request.with_proofs else None
        for start in range(first, first + count, _READ_STEP):
            step = min(_READ_STEP, first + count - start)
            for offset, record in enumerate(self._context.log.read(start, step)):
                yield self._row(start + offset, record, published)

    def KeepOpenings(
        self, request: department_pb2.KeepOpeningsRequest, call: Call
    ) -> department_pb2.KeepOpeningsResponse:
        """Salts and pseudonyms behind commitments of the own trail; durable when answered."""
        return openings.keep(self._context, request)

    def EraseOpenings(
        self, request: department_pb2.EraseOpeningsRequest, call: Call
    ) -> department_pb2.EraseOpeningsResponse:
        """Delete openings, then say so on the trail."""
        return openings.erase(self._context, request)

    def Purge(self, request: department_pb2.PurgeRequest, call: Call) -> department_pb2.PurgeResponse:
        """Delete what is older than a time, or count it; an erasure is on the trail, what was erased is not."""
        before = fields.number("before", request.before, 1, 2**53 - 1)
        if request.execute:
            with self._purging:
                done = erasure.purge(self._context, before, request.basis or erasure.BASIS)
        else:
            done = erasure.look(self._context, before)
        return department_pb2.PurgeResponse(
            openings=done.openings,
            exchanges=done.exchanges,
            operators=done.operators,
            payloads=done.payloads,
            bytes=done.bytes,
            records=done.records,
        )

    # --- inside -------------------------------------------------------------------------------------------------------

    def _found(self, wanted: RecordFilter, size: int, token: bytes) -> tuple[Page, list[bytes]]:
        """A page and its records; fewer rows than asked for where they would not fit one answer."""
        page = self._context.index.query(wanted, size, token)
        records: list[bytes] = []
        total = 0
        for row in page.rows:
            record = self._context.log.read(row.index, 1)[0]
            total += len(record)
            if records and total > MAX_BYTES:
                return self._found(wanted, len(records), token)
            records.append(record)
        return page, records

    def _checkpoint(self, last: int, *, must_cover: bool) -> Published | None:
        """A checkpoint over record ``last``, a witnessed one where there is one in time."""
        publisher = self._context.publisher
        for published in (publisher.witnessed(), publisher.newest()):
            if published is not None and published.size > last and (published.witnessed or not must_cover):
                return published
        if not must_cover:
            return publisher.newest()
        published = publisher.publish_now(wait_witnessed_s=_WITNESS_WAIT_S)
        if last >= 0 and (published is None or published.size <= last):
            raise UnavailableError(
                "checkpoint.not-covered", f"no checkpoint covers record {last} yet", hint="try again in a second"
            )
        return published

    def _row(self, index: int, record: bytes, published: Published | None) -> types_pb2.RecordRow:
        proof = ""
        if published is not None:
            proof = format_proof(index, self._context.log.prove_inclusion(index, published.size), published.note)
        return types_pb2.RecordRow(origin=self._context.log.origin, index=index, record=record, proof=proof)


def _type(value: str) -> str | None:
    if value and value not in TYPES:
        raise fields.refuse(
            "type", "is no record type", hint="docs/audit-events.md lists them", actual=ascii(value)[:40]
        )
    return value or None
