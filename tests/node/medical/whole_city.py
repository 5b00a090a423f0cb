"""The city of ``medical_city`` with the nodes' own parts, under rules that are in force: what its tests do there."""

from __future__ import annotations

import hashlib
import time
from typing import Any

from medical_city import DAY_S, HOSPITALS, USCC, City, eventually

from ledger.medical.rules import starting_rules
from ledger.v1 import medical_pb2 as pb
from ledger.v1 import medicalrules_pb2, reports_pb2
from ledger.v1.medicalrules_pb2_grpc import MedicalRulesServiceStub
from ledger.v1.reports_pb2_grpc import ReportServiceStub
from tests.ledger.medical.bundles import Person, encode, panel

ITEMS = ("haemoglobin", "rbc", "haematocrit", "platelets", "wbc")


def govern(city: City) -> None:
    """Rules, levels, a label range, and assessments of every hospital."""
    health = MedicalRulesServiceStub(city.channel("health"))
    health.AdoptRules(medicalrules_pb2.AdoptRulesRequest(file=starting_rules()), timeout=180)
    for handle in HOSPITALS:
        health.SetInstitution(medicalrules_pb2.SetInstitutionRequest(member=USCC[handle], level=3), timeout=180)
    request = medicalrules_pb2.OpenRangeRequest(
        code="city-hr", label="市HR", quality=USCC["quality"], valid_from=now_s() - 400 * DAY_S
    )
    health.OpenRange(request, timeout=180)
    settle(city)
    entries = [
        medicalrules_pb2.EqaEntry(
            range="city-hr",
            item=item,
            institution=USCC[handle],
            scheme="sh-2026",
            round=1,
            passed=True,
            certificate_digest=hashlib.sha256(b"certificate").digest(),
            valid_from=now_s() - 300 * DAY_S,
            valid_until=now_s() + 60 * DAY_S,
        )
        for handle in HOSPITALS
        for item in ITEMS
    ]
    quality = MedicalRulesServiceStub(city.channel("quality"))
    quality.RecordEqas(medicalrules_pb2.RecordEqasRequest(entries=entries), timeout=180)
    settle(city)
    for handle in HOSPITALS:
        rules = city.nodes[handle].context.medical.rules
        eventually(lambda rules=rules: _in_force(rules), f"{handle} has the rules")


def _in_force(rules: Any) -> bool:
    try:
        return bool(rules.in_force(now_s()))
    except Exception:
        return False


def settle(city: City) -> None:
    height = max(node.context.chain.head().height for node in city.nodes.values())
    for handle, node in city.nodes.items():
        eventually(lambda node=node: node.context.chain.head().height >= height, f"{handle} at height {height}")


def now_s() -> int:
    return time.time_ns() // 1_000_000_000


def sent(number: str, person: Person, **changes: Any) -> bytes:
    """A blood count as a hospital's system sends it."""
    times = {"taken_s": now_s() - DAY_S, "issued_s": now_s() - DAY_S + 7_200} | changes
    return encode(panel(person=person, institution=USCC["west"], number=number, **times))


def ingest(city: City, data: bytes) -> reports_pb2.IngestReportResponse:
    stub = ReportServiceStub(city.channel("west"))
    return stub.Ingest(reports_pb2.IngestReportRequest(fhir=data), timeout=180)


def search(city: City, person: Person) -> list[pb.FoundReport]:
    request = pb.SearchResultsRequest(
        identity=f"ric:{person.identity}", purpose="treatment", course="chronic", deadline_ms=60_000
    )
    answer = city.service("east").Search(request, timeout=180)
    assert not answer.absent
    return list(answer.reports)
