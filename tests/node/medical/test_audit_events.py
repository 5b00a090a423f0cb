"""The own log as AuditEvents of IHE BALP: every step, valid as R4B, patients as pseudonyms only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from certify_town import FOOD, HOSPITAL, OFFICE, Town
from fhir.resources.R4B.auditevent import AuditEvent
from fhir.resources.R4B.bundle import Bundle
from medical_city import DAY_S, ROOT, USCC, City, eventually, refused
from whole_city import now_s

from ledger.days import day_of
from ledger.v1 import medical_pb2 as pb
from ledger.v1 import medical_pb2_grpc as rpc
from ledger.v1 import reports_pb2
from ledger.v1.reports_pb2_grpc import ReportServiceStub
from node.medical import auditing
from node.medical.auditing import audit_page
from tests.ledger.medical.bundles import Person, identity_number


def exported(city: City, at: str, **asked: Any) -> list[dict[str, Any]]:
    """The events of a hospital's log, each valid as R4B."""
    stub = rpc.MedicalServiceStub(city.channel(at))
    found = [bytes(one.event) for one in stub.AuditEvents(pb.AuditEventsRequest(**asked), timeout=180)]
    for event in found:
        AuditEvent.model_validate_json(event)
    return [json.loads(event) for event in found]


def patient_of(event: dict[str, Any]) -> str:
    (named,) = [one["what"]["identifier"]["value"] for one in event["entity"] if one["what"].get("type") == "Patient"]
    return str(named)


def kinds(events: list[dict[str, Any]]) -> Counter[str]:
    return Counter(event["subtype"][1]["code"] for event in events)


def test_every_step_of_a_hospital_is_an_event_until_the_patient_is_erased(town: Town) -> None:
    person = Person(local="P61", identity=identity_number(561))
    report = town.examine(person, "E-561", "food-handler-fit")
    town.certify(FOOD, person, 561)
    town.examine(person, "E-561", "food-handler-unfit", status="corrected", updated_s=now_s() - 60)
    eventually(lambda: town.records(OFFICE, "medical.told", report=report.hex()), "the office hears of it")
    medical = town.city.nodes[HOSPITAL].context.medical
    subject = medical.reports.identified(f"ric:{person.identity}")
    assert subject is not None
    medical.consents.change(subject, permit=False)
    stub = ReportServiceStub(town.city.channel(HOSPITAL))
    stub.Withdraw(reports_pb2.WithdrawReportRequest(report=report, reason="wrong-person"), timeout=180)
    eventually(lambda: len(town.records(OFFICE, "medical.told", report=report.hex())) == 2, "and of the withdrawal")

    what = f"report/{report.hex()}"

    def about() -> list[dict[str, Any]]:
        events = exported(town.city, HOSPITAL)
        return [one for one in events if one["entity"][1]["what"]["identifier"]["value"] == what]

    eventually(lambda: kinds(about())["medical.told"] == 2, "both notices are on the hospital's record")
    (offered, *_) = about()
    name = patient_of(offered)
    mine = exported(town.city, HOSPITAL, patient=name)
    assert kinds(mine) == {
        "medical.offered": 1,
        "medical.certified": 1,
        "medical.corrected": 1,
        "medical.told": 2,
        "medical.consent-changed": 1,
        "medical.withdrawn": 1,
    }
    (given,) = [one for one in mine if one["subtype"][1]["code"] == "medical.certified"]
    assert given["meta"]["profile"][0].endswith("PrivacyDisclosure.Source")
    assert given["purposeOfEvent"][0]["coding"][0]["code"] == "PATRQT"
    assert {one["who"]["identifier"]["value"] for one in given["agent"]} == {USCC[HOSPITAL], USCC[OFFICE]}
    # Nothing that leads to the person: neither numbers, nor what the vault knows him by.
    text = json.dumps(mine, ensure_ascii=False)
    assert not [one for one in (person.identity, person.local, subject.hex(), "合格") if one in text]
    assert {patient_of(one) for one in mine} == {name}

    medical.erasing.erase([b"urn:hospital:patients|P61"], "PIPL/47")
    assert exported(town.city, HOSPITAL, patient=name) == []
    # The steps stay events, of a patient nobody knows any more.
    later = about()
    assert {patient_of(one) for one in later} == {f"report-{report.hex()}"}
    assert kinds(exported(town.city, HOSPITAL))["medical.erased"] >= 1


def test_both_sides_of_a_step_are_events_and_times_bound_them(clinic: City) -> None:
    offer = clinic.report("west", clinic.patient(), "wbc", "haemoglobin")
    opening = bytes(clinic.open("east", "west", offer).step.step)
    clinic.decide("east", opening, places=[0])
    clinic.decide("east", opening, "retest", places=[1], reason="emergency")
    assert refused(lambda: clinic.open("east", "west", offer, version=9)).code == "medical.changed"
    clinic.withdraw("west", offer.report)
    eventually(lambda: clinic.records("east", "medical.told", offer.report), "east hears of the withdrawal")
    name = f"report-{offer.report.hex()}"
    for at, profile in (("east", "Recipient"), ("west", "Source")):
        eventually(lambda at=at: clinic.records(at, "medical.told", offer.report), f"{at} has it on record")
        found = exported(clinic, at, patient=name)
        assert kinds(found) == {
            "medical.opened": 1,
            "medical.recognised": 1,
            "medical.retested": 1,
            "medical.refused": 1,
            "medical.told": 1,
        }
        assert found[0]["meta"]["profile"][0].endswith(f"PrivacyDisclosure.{profile}")
        times = [one["recorded"] for one in found]
        assert times == sorted(times)
    assert exported(clinic, "east", from_s=now_s() + DAY_S) == []
    assert exported(clinic, "east", until_s=now_s() - DAY_S) == []
    assert refused(lambda: exported(clinic, "health")).code == "medical.not-hospital"


def test_an_export_comes_in_pages(clinic: City, monkeypatch: pytest.MonkeyPatch) -> None:
    offer = clinic.report("west", clinic.patient(), "wbc", "haemoglobin")
    opening = bytes(clinic.open("east", "west", offer).step.step)
    for place in (0, 1):
        clinic.decide("east", opening, places=[place])
    stub, context = rpc.MedicalServiceStub(clinic.channel("east")), clinic.nodes["east"].context

    def paged(size: int, **asked: Any) -> tuple[list[dict[str, Any]], int]:
        found, token, pages = [], "", 0
        while pages == 0 or token:
            request = pb.AuditEventsRequest(page_size=size, page_token=token, **asked)
            answers = list(stub.AuditEvents(request, timeout=180))
            token, pages = answers[-1].next_page_token if answers else "", pages + 1
            events = [json.loads(bytes(one.event)) for one in answers if one.event]
            assert len(events) <= size
            found += events
        return found, pages

    every = exported(clinic, "east")
    assert len(every) >= 3
    found, pages = paged(2)
    assert (found, pages) == (every, (len(every) + 1) // 2)
    assert paged(10_000) == (every, 1)
    # What one page looks through has its bound, too: then it is short, and goes on.
    name = f"report-{offer.report.hex()}"
    few, last = audit_page(context, 0, 2**40, name, first=0, size=1)
    assert len(few) == 1
    assert last > 0
    monkeypatch.setattr(auditing, "_LOOKED_THROUGH", 2)
    mine, first, looked = [], 0, 0
    while looked == 0 or first:
        events, first = audit_page(context, 0, 2**40, name, first=first, size=100)
        mine, looked = mine + events, looked + 1
    assert [one["id"] for one in mine] == [one["id"] for one in every if patient_of(one) == name]
    assert len(mine) == 3
    assert looked == (context.log.size + 1) // 2
    for wrong in ("x", "-1", "1" * 13):
        asked = pb.AuditEventsRequest(page_size=1, page_token=wrong)
        assert refused(lambda asked=asked: list(stub.AuditEvents(asked, timeout=180))).code == "input.field"


def test_the_command_writes_lines_or_a_bundle(clinic: City, tmp_path: Path) -> None:
    offer = clinic.report("west", clinic.patient(), "wbc")
    clinic.open("east", "west", offer)
    today = day_of(clinic.nodes["east"].context.clock()).isoformat()
    lines, whole = tmp_path / "events.ndjson", tmp_path / "events.json"
    span = ("--since", day_of((now_s() - DAY_S) * 1_000).isoformat(), "--until", today)
    assert command(clinic, *span, "-o", str(lines)).returncode == 0
    found = [json.loads(line) for line in lines.read_text("utf-8").splitlines()]
    assert f"report-{offer.report.hex()}" in {patient_of(one) for one in found}
    assert lines.stat().st_mode & 0o777 == 0o600
    again = command(clinic, "-o", str(lines))
    assert (again.returncode, "output.exists" in again.stderr) == (1, True)
    one = ("--patient-pseudonym", f"report-{offer.report.hex()}", "--format", "bundle")
    assert command(clinic, *one, "-o", str(whole)).returncode == 0
    bundle = json.loads(whole.read_bytes())
    Bundle.model_validate_json(whole.read_bytes())
    assert [entry["resource"]["entity"][0]["what"]["identifier"]["value"] for entry in bundle["entry"]] == [one[1]]
    none = command(clinic, "--patient-pseudonym", "nobody", "--format", "bundle")
    Bundle.model_validate_json(none.stdout)
    assert json.loads(none.stdout) == {"resourceType": "Bundle", "type": "collection"}


def command(city: City, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "CIVICLEDGER_LANG": "en",
        "CIVICLEDGER_NODE": str(city.foundings["east"].folder),
        "PYTHONPATH": str(ROOT),
        "PYTHONIOENCODING": "utf-8",
    }
    call = [sys.executable, "-c", "from node.cli.main import main; main()", "medical", "audit-events", *words]
    return subprocess.run(call, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=300, check=False)
