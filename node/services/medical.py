"""MedicalService, for the hospital's own systems: search, open, recognise and re-test as messages. What they mean is in
``node.medical``."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from ledger.evidence.medicalstep import MAX_PLACES, StepKind
from ledger.medical.outcome import to_json
from ledger.medical.statistics import count
from ledger.v1 import medical_pb2 as pb
from ledger.v1 import medical_pb2_grpc as rpc
from node.medical.asking import Course, Deciding, Opening, begin_decision, begin_opening
from node.medical.auditing import audit_events, audit_page, medical_records
from node.medical.conversing import carry_out
from node.medical.counting import count_records, count_steps, events
from node.medical.judging import require_own_hospital
from node.medical.searching import search
from node.rpc.auth import Call
from node.services import fields, medicalwire

if TYPE_CHECKING:
    from node.context import NodeContext
    from node.medical.desk import Medical
    from node.medical.dialogue import Dialogue

MAX_IDENTITY = 128
MAX_OPERATOR = 128
#: Unix seconds that stand for no end.
FOREVER_S = 1 << 53
MAX_PSEUDONYM = 200
#: Events of a page of the export.
MAX_AUDIT_PAGE = 10_000


class MedicalService(rpc.MedicalServiceServicer):
    """What a hospital's own systems ask."""

    def __init__(self, context: NodeContext) -> None:
        self._context = context

    def Search(self, request: pb.SearchResultsRequest, call: Call) -> pb.SearchResultsResponse:
        """What all hospitals offer of a patient, judged, within the deadline."""
        deadline = request.deadline_ms or self._context.config.medical.search_deadline_ms
        found = search(
            self._dialogue,
            fields.text("identity", request.identity, limit=MAX_IDENTITY),
            fields.purpose(request.purpose),
            _course(request.course),
            fields.number("deadline_ms", deadline, 100, 60_000),
        )
        return medicalwire.answer(found)

    def Open(self, request: pb.OpenReportRequest, call: Call) -> pb.OpenedReport:
        """One report with its values, after a receipt both hospitals signed."""
        use = Opening(
            institution=fields.member("institution", request.institution),
            report=fields.id32("report", request.report),
            version=fields.number("version", request.version, 1, 1 << 31),
            purpose=fields.purpose(request.purpose),
            course=_course(request.course),
            operator=fields.text("operator_pseudonym", request.operator_pseudonym, limit=MAX_OPERATOR, required=False),
            nonce=fields.optional_id32("nonce", request.nonce) or secrets.token_bytes(32),
        )
        dialogue = self._dialogue
        with dialogue.active.only(b"n" + use.nonce):
            asking = carry_out(dialogue, begin_opening(dialogue, use))
        return pb.OpenedReport(step=medicalwire.step(asking.entry), data=asking.data)

    def Decide(self, request: pb.DecideRequest, call: Call) -> pb.MedicalStep:
        """Items of an opened report are recognised, or tested again for a reason."""
        kind = fields.word("kind", request.kind, (StepKind.RECOGNISE.value, StepKind.RETEST.value))
        if len(request.places) > MAX_PLACES:
            raise fields.refuse("places", f"are at most {MAX_PLACES}", actual=len(request.places))
        if (kind == "retest") != bool(request.reason):
            raise fields.refuse(
                "reason", "is given of a re-test, and only of one", hint="civicledger medical retest --help lists them"
            )
        use = Deciding(
            opening=fields.id32("opening", request.opening),
            kind="retest" if kind == "retest" else "recognise",
            places=tuple(sorted(set(request.places))),
            reason=fields.code("reason", request.reason),
            operator=fields.text("operator_pseudonym", request.operator_pseudonym, limit=MAX_OPERATOR, required=False),
            nonce=fields.optional_id32("nonce", request.nonce) or secrets.token_bytes(32),
        )
        dialogue = self._dialogue
        with dialogue.active.only(b"n" + use.nonce):
            return medicalwire.step(carry_out(dialogue, begin_decision(dialogue, use)).entry)

    def List(self, request: pb.ListStepsRequest, call: Call) -> pb.ListStepsResponse:
        """Steps of both roles in order of time."""
        steps = self._desk.steps
        report = fields.optional_id32("report", request.report)
        if report is not None:
            return pb.ListStepsResponse(steps=[medicalwire.step(entry) for entry in steps.of_report(report)])
        size = fields.number("page_size", request.page_size, 0, fields.MAX_PAGE) or fields.DEFAULT_PAGE
        entries, following = steps.page(page_size=size, token=fields.token("page_token", request.page_token))
        return pb.ListStepsResponse(
            steps=[medicalwire.step(entry) for entry in entries], next_page_token=following.hex()
        )

    def ListChanges(self, request: pb.ListChangesRequest, call: Call) -> pb.ListChangesResponse:
        """Corrections and withdrawals of what was opened at other hospitals, newest first."""
        told = self._desk.speaking.changes.told()
        return pb.ListChangesResponse(changes=[medicalwire.change(entry) for entry in told[: fields.MAX_PAGE]])

    def Statistics(self, request: pb.MedicalStatisticsRequest, call: Call) -> pb.MedicalStatisticsResponse:
        """The own count; if asked, whether the records of the own log give the same."""
        until = request.until_s or FOREVER_S
        steps, context = self._desk.steps, self._context
        counted = count_steps(steps.every(), request.from_s, until)
        rules = self._dialogue.rules.in_force(context.clock() // 1_000)[2]
        happened = events(context.member, steps.shown(), steps.every())
        figures = count(happened, rules, from_s=request.from_s, until_s=until)
        records = ""
        if request.check_records:
            records_of = (record for _, record in medical_records(context))
            recorded = count_records(records_of, request.from_s, until)
            records = "same" if counted == recorded else "different"
        return medicalwire.counts(counted, figures, rules, records=records)

    def AuditEvents(self, request: pb.AuditEventsRequest, call: Call) -> Iterator[pb.AuditEvent]:
        """Steps of the own log, with pseudonyms."""
        require_own_hospital(self._context)
        patient = fields.text("patient", request.patient, limit=MAX_PSEUDONYM, required=False)
        until_s = request.until_s or FOREVER_S
        size = fields.number("page_size", request.page_size, 0, MAX_AUDIT_PAGE)
        if not size:
            for _, event in audit_events(self._context, request.from_s, until_s, patient):
                yield pb.AuditEvent(event=to_json(event))
            return
        first = fields.page(0, request.page_token).start
        found, following = audit_page(self._context, request.from_s, until_s, patient, first=first, size=size)
        for event in found:
            yield pb.AuditEvent(event=to_json(event))
        if following:
            yield pb.AuditEvent(next_page_token=str(following))

    @property
    def _desk(self) -> Medical:
        require_own_hospital(self._context)
        return self._context.medical

    @property
    def _dialogue(self) -> Dialogue:
        return self._desk.speaking.dialogue


def _course(word: str) -> Course:
    return cast("Course", fields.word("course", word, ("acute", "chronic")))
