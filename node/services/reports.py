"""ReportService: the reports of this hospital, for its own systems."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ledger.errors import NotFoundError
from ledger.medical.outcome import operation_outcome, to_json
from ledger.storage.reports import MAX_REFUSALS, ReportRow
from ledger.v1 import reports_pb2 as pb
from ledger.v1 import reports_pb2_grpc
from node.medical.incoming import Ingested
from node.rpc.auth import Call
from node.services import fields
from node.services.gathering import gathered

if TYPE_CHECKING:
    from node.context import NodeContext

VIA = "grpc"
#: Reports of one stream that wait to be taken in, and their bytes.
_GATHERED, _GATHERED_BYTES = 16, 8 << 20


class ReportService(reports_pb2_grpc.ReportServiceServicer):
    """Reports taken in, listed and withdrawn."""

    def __init__(self, context: NodeContext) -> None:
        self._reports = context.medical.reports

    def Ingest(self, request: pb.IngestReportRequest, call: Call) -> pb.IngestReportResponse:
        """One report; durable and on record when answered."""
        return _ingested(self._reports.ingest(request.fhir, VIA))

    def IngestStream(self, requests: Iterator[pb.IngestReportRequest], call: Call) -> Iterator[pb.IngestReportResponse]:
        """Many, each answered in order; those that came while others were kept are kept together."""
        for waiting in gathered(requests, _size, reports=_GATHERED, size=_GATHERED_BYTES):
            call.recheck()
            for done in self._reports.ingest_all([request.fhir for request in waiting], VIA):
                if isinstance(done, Exception):
                    raise done
                yield _ingested(done)

    def List(self, request: pb.ListReportsRequest, call: Call) -> pb.ListReportsResponse:
        """Reports without their patients, newest first."""
        size = fields.number("page_size", request.page_size, 0, fields.MAX_PAGE) or fields.DEFAULT_PAGE
        token = fields.token("page_token", request.page_token)
        if len(token) not in (0, 8):
            raise fields.refuse("page_token", "is none of this list's", hint="begin again without one")
        rows = self._reports.store.page(int.from_bytes(token, "big"), size)
        more = rows[-1].number.to_bytes(8, "big") if len(rows) == size and rows[-1].number > 1 else b""
        return pb.ListReportsResponse(reports=[_report(row) for row in rows], next_page_token=more.hex())

    def Get(self, request: pb.GetReportRequest, call: Call) -> pb.GetReportResponse:
        """One report as it was received."""
        row = self._reports.require(fields.id32("report", request.report))
        kept = self._reports.get(row.id)
        if kept is None:
            raise NotFoundError("medical.report-unknown", "this report was erased", actual=row.id)
        return pb.GetReportResponse(report=_report(row), fhir=kept.data)

    def Withdraw(self, request: pb.WithdrawReportRequest, call: Call) -> pb.MedicalReport:
        """Take a report back."""
        return _report(self._reports.withdraw(fields.id32("report", request.report), request.reason))

    def Outcomes(self, request: pb.ReportOutcomesRequest, call: Call) -> pb.ReportOutcomesResponse:
        """What was refused lately."""
        size = fields.number("page_size", request.page_size, 0, MAX_REFUSALS) or fields.DEFAULT_PAGE
        return pb.ReportOutcomesResponse(
            refused=[
                pb.RefusedReport(time_ms=item.time_ms, via=item.via, codes=item.codes, byte_count=item.byte_count)
                for item in self._reports.store.refusals(size)
            ]
        )


def _size(request: pb.IngestReportRequest) -> int:
    return len(request.fhir)


def _ingested(done: Ingested) -> pb.IngestReportResponse:
    return pb.IngestReportResponse(
        state=done.state,
        report=done.report,
        version=done.version,
        outcome=to_json(operation_outcome(done.problems)),
        codes=list(dict.fromkeys(item.code for item in done.problems)),
    )


def _report(row: ReportRow) -> pb.MedicalReport:
    return pb.MedicalReport(
        report=row.id,
        version=row.version,
        category=row.category,
        status=row.status,
        withdrawn=row.withdrawn,
        held=row.held,
        items=len(row.facts),
        unmapped=sum(facts.state != "mapped" for facts in row.facts),
        received_ms=row.received_ms,
        taken_s=min((facts.taken_s for facts in row.facts if facts.taken_s is not None), default=0),
        log_index=max(row.log_index, 0),
        via=row.via,
        reason=row.reason,
    )
