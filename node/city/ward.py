"""Hospitals of a running city, their health commission and their quality centre: the calls that their systems make."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from ledger.medical.rules import starting_rules
from ledger.v1 import (
    keeping_pb2,
    keeping_pb2_grpc,
    medical_pb2,
    medical_pb2_grpc,
    medicalrules_pb2,
    medicalrules_pb2_grpc,
    reports_pb2,
)
from ledger.v1.reports_pb2_grpc import ReportServiceStub
from node.city import clinic, steps
from node.cli.connect import CALL_TIMEOUT, Connection, every

T = TypeVar("T")

#: The range of the label that the quality centre's assessments give, and how it is printed.
RANGE, LABEL = "city-hr", "市HR"
LEVEL = 3
PURPOSE, COURSE = "treatment", "chronic"
_DAY_S = 86_400
_AT_ONCE = 500
_LONG_S = 300.0

Rules = medicalrules_pb2_grpc.MedicalRulesServiceStub
Medical = medical_pb2_grpc.MedicalServiceStub


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenIn:
    """What became of a report at its hospital's door. ``state``: offered, held or refused; ``report``: 32 bytes, empty
    where it was refused; ``codes``: of what is the matter."""

    sent: clinic.Sent
    state: str
    report: bytes
    codes: tuple[str, ...]


def govern(health: Connection, quality: Connection, hospitals: Sequence[Connection]) -> int:
    """The commission adopts the starting rules, enters the hospitals and opens a label; the quality centre records what
    it found of every item. Returns how many assessments."""
    now_s, commission = int(time.time()), health.stub(Rules)
    commission.AdoptRules(medicalrules_pb2.AdoptRulesRequest(file=starting_rules()), timeout=_LONG_S)
    for hospital in hospitals:
        entered = medicalrules_pb2.SetInstitutionRequest(member=hospital.member, level=LEVEL)
        commission.SetInstitution(entered, timeout=CALL_TIMEOUT)
    opened = medicalrules_pb2.OpenRangeRequest(
        code=RANGE, label=LABEL, quality=quality.member, valid_from=now_s - 400 * _DAY_S
    )
    commission.OpenRange(opened, timeout=CALL_TIMEOUT)
    centre = quality.stub(Rules)
    ranges = partial(centre.ListRanges, medicalrules_pb2.ListRangesRequest(), timeout=CALL_TIMEOUT)
    steps.until(lambda: ranges().ranges, "the quality centre's node has the label's range")
    entries = [_entry(one, now_s) for one in clinic.assessments([hospital.member for hospital in hospitals])]
    for first in range(0, len(entries), _AT_ONCE):
        request = medicalrules_pb2.RecordEqasRequest(entries=entries[first : first + _AT_ONCE])
        centre.RecordEqas(request, timeout=_LONG_S)
    for hospital in hospitals:
        steps.until(lambda at=hospital: _knows(at, len(entries)), f"{hospital.member} has the assessments")
    return len(entries)


def take_in(
    hospitals: Sequence[Connection], reports: Sequence[clinic.Sent], progress: Callable[[int], None]
) -> list[TakenIn]:
    """Each hospital takes its own reports in, all hospitals at once; ``progress`` is told of every report."""

    def one(hospital: Connection) -> list[TakenIn]:
        own = [sent for sent in reports if sent.institution == hospital.member]
        requests = (reports_pb2.IngestReportRequest(fhir=sent.data) for sent in own)
        answers = hospital.stub(ReportServiceStub).IngestStream(requests, timeout=_LONG_S)
        return [_taken(sent, answer, progress) for sent, answer in zip(own, answers, strict=True)]

    return [taken for part in at_once(one, hospitals) for taken in part]


def back_up_keys(hospital: Connection) -> None:
    """The keys of patients' data into the hospital's backup folder, as its operator does."""
    request = keeping_pb2.BackUpKeysRequest()
    hospital.stub(keeping_pb2_grpc.KeepingServiceStub).BackUpKeys(request, timeout=CALL_TIMEOUT)


def forbid(hospital: Connection, patient: str) -> None:
    """A patient, as the hospital files him, forbids that his results are shared."""
    request = keeping_pb2.ChangeConsentRequest(patient=patient, permit=False)
    hospital.stub(keeping_pb2_grpc.KeepingServiceStub).ChangeConsent(request, timeout=CALL_TIMEOUT)


def reachable(hospital: Connection, patient: str, phone: str) -> None:
    """Where a patient, as the hospital files him, is told what is done with his results."""
    request = keeping_pb2.SetContactRequest(patient=patient, phone=phone, language="zh")
    hospital.stub(keeping_pb2_grpc.KeepingServiceStub).SetContact(request, timeout=CALL_TIMEOUT)


def notices(hospital: Connection) -> tuple[int, int]:
    """Messages to patients: (waiting, handed over)."""
    stub = hospital.stub(keeping_pb2_grpc.KeepingServiceStub)
    found = stub.ListNotices(keeping_pb2.ListNoticesRequest(), timeout=CALL_TIMEOUT)
    return found.waiting_count, found.delivered_count


def at_once(do: Callable[[Connection], T], hospitals: Sequence[Connection]) -> list[T]:
    """Do something at every hospital, all at the same time; what each gave, in their order. Raises the first error."""
    with ThreadPoolExecutor(len(hospitals)) as pool:
        return list(pool.map(do, hospitals))


def take_in_again(hospital: Connection, sent: clinic.Sent) -> str:
    """A report that was sent before, corrected; the state it is in."""
    request = reports_pb2.IngestReportRequest(fhir=sent.data)
    return str(hospital.stub(ReportServiceStub).Ingest(request, timeout=CALL_TIMEOUT).state)


def withdraw(hospital: Connection, report: bytes, reason: str) -> None:
    """Take a report back."""
    request = reports_pb2.WithdrawReportRequest(report=report, reason=reason)
    hospital.stub(ReportServiceStub).Withdraw(request, timeout=CALL_TIMEOUT)


def search(hospital: Connection, identity: str) -> Any:
    """What the hospitals offer of a patient, each item judged."""
    request = medical_pb2.SearchResultsRequest(
        identity=f"ric:{identity}", purpose=PURPOSE, course=COURSE, deadline_ms=60_000
    )
    return hospital.stub(Medical).Search(request, timeout=90)


def findable(hospital: Connection, expected: Mapping[str, int]) -> None:
    """Until a hospital finds every patient's reports: identity -> how many, at all hospitals together. Their pseudonyms
    are derived a moment after the reports came in. Raises: UnavailableError(demo.timeout)."""
    for identity, count in expected.items():
        steps.until(
            lambda identity=identity, count=count: len(search(hospital, identity).reports) >= count,
            "every hospital has its patients' pseudonyms",
        )


def open_report(hospital: Connection, institution: str, report: bytes, version: int = 1) -> Any:
    """Open a report of another hospital, with its receipt."""
    request = medical_pb2.OpenReportRequest(
        institution=institution,
        report=report,
        version=version,
        purpose=PURPOSE,
        course=COURSE,
        operator_pseudonym="doctor-demo",
    )
    return hospital.stub(Medical).Open(request, timeout=CALL_TIMEOUT)


def decide(hospital: Connection, opening: bytes, kind: str, places: Sequence[int], reason: str = "") -> Any:
    """Recognise items of an opened report, or test them again."""
    request = medical_pb2.DecideRequest(
        opening=opening, kind=kind, places=places, reason=reason, operator_pseudonym="doctor-demo"
    )
    return hospital.stub(Medical).Decide(request, timeout=CALL_TIMEOUT)


def changes(hospital: Connection) -> dict[bytes, str]:
    """What other hospitals told of reports opened here: report -> corrected or withdrawn."""
    found = hospital.stub(Medical).ListChanges(medical_pb2.ListChangesRequest(), timeout=CALL_TIMEOUT).changes
    return {bytes(one.report): str(one.change) for one in found}


def statistics(hospital: Connection) -> Any:
    """The hospital's own figures, compared with its log."""
    request = medical_pb2.MedicalStatisticsRequest(check_records=True)
    return hospital.stub(Medical).Statistics(request, timeout=_LONG_S)


def _entry(one: clinic.Assessed, now_s: int) -> medicalrules_pb2.EqaEntry:
    return medicalrules_pb2.EqaEntry(
        range=RANGE,
        item=one.item,
        institution=one.institution,
        scheme="demo",
        round=1,
        passed=one.passed,
        certificate_digest=hashlib.sha256(one.institution.encode()).digest(),
        valid_from=now_s - 300 * _DAY_S,
        valid_until=now_s + 60 * _DAY_S,
    )


def _knows(hospital: Connection, count: int) -> bool:
    """Whether a node's chain has all assessments."""
    found = every(hospital.stub(Rules).ListEqas, medicalrules_pb2.ListEqasRequest(), "eqas")
    return sum(1 for _ in found) >= count


def _taken(sent: clinic.Sent, answer: Any, progress: Callable[[int], None]) -> TakenIn:
    progress(1)
    return TakenIn(sent=sent, state=answer.state, report=bytes(answer.report), codes=tuple(answer.codes))
