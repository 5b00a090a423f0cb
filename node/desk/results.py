"""What the doctor's view asks of the hospital's own node, and what it shows of the answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import grpc

from ledger.errors import InvalidInputError, UnavailableError
from ledger.medical.fhir import read_report
from ledger.medical.model import Result
from ledger.medical.reasons import NATIONAL
from ledger.v1 import medical_pb2 as pb
from ledger.v1 import medical_pb2_grpc as rpc
from node.rpc.errors import from_rpc

_T = TypeVar("_T")
#: Seconds a call may take: a search has its own, shorter deadline at the node.
CALL_S = 120.0
PURPOSE = "treatment"


class Results:
    """The medical service of the own node, as JSON values. Thread-safe."""

    def __init__(
        self,
        service: rpc.MedicalServiceStub,
        *,
        clock: Callable[[], int],
        names: Mapping[str, str],
        operator: str = "",
    ) -> None:
        """``clock``: Unix milliseconds; ``names``: of members by USCC; ``operator``: a pseudonym of who looks."""
        self._service = service
        self._clock = clock
        self._names = names
        self._operator = operator

    def search(self, identity: str, course: str) -> dict[str, Any]:
        """What all hospitals offer of a patient, judged item by item; no value is in it."""
        asked = pb.SearchResultsRequest(identity=identity, purpose=PURPOSE, course=course)
        found = _called(lambda: self._service.Search(asked, timeout=CALL_S))
        words = {word.code: word for word in found.items}
        return {
            "reports": [self._report(one, words) for one in found.reports],
            "absent": [{"name": self._name(one.member), "code": one.code} for one in found.absent],
            "asked": found.asked,
            "rules": found.rules_version,
            "judged": found.judged_s,
            "reasons": [_word(word) for word in found.retest_reasons],
        }

    def open(self, *, institution: str, report: bytes, version: int, course: str, nonce: bytes) -> dict[str, Any]:
        """One report with its values by place, and the places that are not as offered; on record at both hospitals.

        Raises: UnavailableError(medical.report-unreadable) where the bytes are no report that can be shown.
        """
        asked = pb.OpenReportRequest(
            institution=institution,
            report=report,
            version=version,
            purpose=PURPOSE,
            course=course,
            operator_pseudonym=self._operator,
            nonce=nonce,
        )
        opened = _called(lambda: self._service.Open(asked, timeout=CALL_S))
        reading = read_report(opened.data, institution=institution, now_s=self._clock() // 1_000, rules=None)
        if reading.report is None:
            raise UnavailableError(
                "medical.report-unreadable",
                "the report was opened, but what came is no report that can be shown",
                hint="civicledger medical open --output FILE keeps it as it came; tell the other hospital",
            )
        return {
            "step": opened.step.step.hex(),
            "differing": list(opened.step.differing),
            "values": {str(result.place): _value(result) for result in reading.report.results},
        }

    def decide(self, *, opening: bytes, kind: str, places: list[int], reason: str, nonce: bytes) -> dict[str, Any]:
        """Items of an opened report are recognised, or tested again for a reason; no place: all that may be."""
        if not places and kind == "retest":
            raise InvalidInputError("medical.places", "a test again is decided item by item")
        asked = pb.DecideRequest(
            opening=opening,
            kind=kind,
            places=places,
            reason=reason,
            operator_pseudonym=self._operator,
            nonce=nonce,
        )
        step = _called(lambda: self._service.Decide(asked, timeout=CALL_S))
        return {"kind": step.kind, "places": list(step.places), "reason": step.reason}

    def figures(self, since_s: int) -> dict[str, Any]:
        """What became of results since then (Unix seconds), in items: in all, by hospital, item, specialty, reason."""
        found = _called(lambda: self._service.Statistics(pb.MedicalStatisticsRequest(from_s=since_s), timeout=CALL_S))
        rows: dict[str, list[dict[str, Any]]] = {"total": [], "provider": [], "asker": [], "item": [], "specialty": []}
        reasons = []
        for one in found.figures:
            if one.reason and one.by == "total":
                zh, en = NATIONAL.get(one.reason, (one.reason, one.reason))
                reasons.append({"code": one.reason, "zh": zh, "en": en, "retested": one.retested})
            elif not one.reason:
                rows[one.by].append(self._figure(one))
        return {**rows, "reason": reasons}

    def _figure(self, one: pb.MedicalFigure) -> dict[str, Any]:
        name = self._name(one.key)
        return {
            "key": one.key,
            "zh": one.name_zh or name,
            "en": one.name_en or name,
            "offered": one.offered,
            "opened": one.opened,
            "recognised": one.recognised,
            "retested": one.retested,
            "unrecognised": one.opened_not_recognised,
            "saved": one.saved_cents,
        }

    def _report(self, one: pb.FoundReport, words: Mapping[str, pb.MedicalWord]) -> dict[str, Any]:
        return {
            "report": one.report.hex(),
            "institution": one.institution,
            "name": self._name(one.institution),
            "category": one.category,
            "status": one.status,
            "issued": one.issued_s,
            "version": one.version,
            "concluded": one.concluded,
            "own": one.own,
            "items": [
                {
                    "place": item.place,
                    "name": _word(words[item.item]) if item.item in words else None,
                    "item": item.item,
                    "taken": item.taken_s,
                    "recognisable": item.recognisable,
                    "reasons": [_word(reason) for reason in item.reasons],
                    "label": item.label,
                    "age": item.age_s,
                }
                for item in one.items
            ],
        }

    def _name(self, member: str) -> str:
        return self._names.get(member, member)


def _called(call: Callable[[], _T]) -> _T:
    try:
        return call()
    except grpc.RpcError as error:
        raise from_rpc(error) from None


def _word(word: pb.MedicalWord | pb.MedicalReason) -> dict[str, str]:
    return {"code": word.code, "zh": word.zh, "en": word.en}


def _value(result: Result) -> dict[str, str]:
    """As received, to the digit; the range as its laboratory gives it."""
    given = {
        "value": result.value,
        "text": result.text,
        "unit": result.unit,
        "low": result.low,
        "high": result.high,
    }
    return {name: text for name, text in given.items() if text is not None}
