"""Audit records as AuditEvents of IHE BALP: valid as R4B, and by each profile's own cardinalities."""

from __future__ import annotations

from typing import Any

import pytest
from fhir.resources.R4B.auditevent import AuditEvent

from ledger.medical.balp import PSEUDONYM, USCC, audit_event, report_of
from ledger.medical.outcome import to_json
from ledger.model import Record
from tests.ledger.medical.bundles import HOSPITAL, OTHER_HOSPITAL

REPORT, STEP = "11" * 32, "22" * 32
DISCLOSURE = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.PrivacyDisclosure."
STEPS = {"report": REPORT, "step": STEP, "counterpart": OTHER_HOSPITAL}
#: type, body, profile, (type code, subtype, action), role of the object
EVENTS: list[tuple[str, dict[str, Any], str, tuple[str, str, str], str]] = [
    ("medical.offered", {"report": REPORT}, "PatientCreate", ("rest", "create", "C"), "4"),
    ("medical.corrected", {"report": REPORT}, "PatientUpdate", ("rest", "update", "U"), "4"),
    ("medical.withdrawn", {"report": REPORT}, "PatientUpdate", ("rest", "update", "U"), "4"),
    ("medical.opened", {**STEPS, "role": "provider"}, "PrivacyDisclosure.Source", ("110106", "disclose", "R"), "3"),
    ("medical.opened", {**STEPS, "role": "consumer"}, "PrivacyDisclosure.Recipient", ("110107", "disclose", "C"), "3"),
    ("medical.recognised", {**STEPS, "role": "consumer"}, "PatientCreate", ("rest", "create", "C"), "20"),
    ("medical.retested", {**STEPS, "role": "provider"}, "PatientCreate", ("rest", "create", "C"), "20"),
]


def record(type_: str, body: dict[str, Any]) -> Record:
    return Record(type=type_, member=HOSPITAL, time_ms=1_795_132_800_123, body=body)


@pytest.mark.parametrize(("type_", "body", "profile", "kind", "role"), EVENTS)
def test_events(type_: str, body: dict[str, Any], profile: str, kind: tuple[str, str, str], role: str) -> None:
    made = audit_event(record(type_, body), index=7, patient="abcd")
    assert made is not None
    AuditEvent.model_validate_json(to_json(made))
    assert made["meta"]["profile"] == [
        f"https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.{profile}"
    ]
    assert (made["type"]["code"], made["subtype"][0]["code"], made["action"]) == kind
    assert (made["recorded"], made["outcome"], made["id"]) == ("2026-11-20T00:00:00.123Z", "0", f"{HOSPITAL}-7")
    agents = {agent["type"]["coding"][0]["code"]: agent for agent in made["agent"]}
    assert sorted(agents) == ["110152", "110153"]
    assert all(agent["who"] and agent["network"]["address"] and "media" not in agent for agent in made["agent"])
    patient, data = made["entity"]
    assert (patient["type"]["code"], patient["role"]["code"]) == ("1", "1")
    assert patient["what"] == {"type": "Patient", "identifier": {"system": PSEUDONYM, "value": "abcd"}}
    assert (data["type"]["code"], data["role"]["code"]) == ("2", role)


@pytest.mark.parametrize(("side", "own_code"), [("provider", "110153"), ("consumer", "110152")])
def test_the_observer_is_the_agent_of_its_own_side(side: str, own_code: str) -> None:
    """BALP's invariant val-audit-source."""
    made = audit_event(record("medical.opened", {**STEPS, "role": side}), index=1, patient="p")
    assert made is not None
    own = next(agent for agent in made["agent"] if agent["type"]["coding"][0]["code"] == own_code)
    assert own["who"] == made["source"]["observer"]
    assert own["who"]["identifier"] == {"system": USCC, "value": HOSPITAL}
    other = next(agent for agent in made["agent"] if agent is not own)
    assert other["who"]["identifier"]["value"] == OTHER_HOSPITAL


def test_a_refusal_has_no_success_profile() -> None:
    body = {"report": REPORT, "counterpart": OTHER_HOSPITAL, "role": "provider", "code": "medical.forbidden"}
    made = audit_event(record("medical.refused", body), index=1, patient="p")
    assert made is not None
    AuditEvent.model_validate_json(to_json(made))
    assert (made["outcome"], made["outcomeDesc"], "meta" in made) == ("4", "medical.forbidden", False)


def test_other_records_are_no_events_of_care() -> None:
    assert audit_event(record("system.started", {"version": "1"}), index=1, patient="p") is None
    assert report_of(record("system.started", {})) is None
    assert report_of(record("medical.offered", {"report": REPORT})) == bytes.fromhex(REPORT)
