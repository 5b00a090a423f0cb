"""Consents in FHIR R4: what is understood whole is taken, anything else refused by the element."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ledger.medical.fhirconsent import ConsentReading, read_consent
from tests.ledger.medical.bundles import HOSPITAL, OTHER_HOSPITAL, Person

ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"


def consent(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "resourceType": "Consent",
        "id": "c1",
        "status": "active",
        "identifier": [{"system": "urn:hospital:consents", "value": "7"}],
        "contained": [Person().resource()],
        "scope": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]
        },
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": "#P0001"},
        "policyRule": {"coding": [{"system": ACT_CODE, "code": "OPTOUT"}]},
    }
    made.update(changes)
    return {name: value for name, value in made.items() if value is not None}


def read(made: dict[str, Any]) -> ConsentReading:
    return read_consent(json.dumps(made).encode())


def actor(uscc: str) -> dict[str, Any]:
    return {
        "role": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "PRCP"}]},
        "reference": {"identifier": {"system": "urn:uscc", "value": uscc}},
    }


def test_a_general_no() -> None:
    found = read(consent()).consent
    assert found is not None
    assert (found.permit, found.actors, found.in_force) == (False, (), True)
    assert (found.identifier, found.patient) == ("urn:hospital:consents|7", "urn:hospital:patients|P0001")
    assert found.identity == Person().identity


@pytest.mark.parametrize(
    ("rule", "type_", "actors", "permit", "excepted"),
    [
        ("OPTIN", None, [], True, ()),
        ("OPTIN", "deny", [], False, ()),
        ("OPTOUT", "permit", [], True, ()),
        ("OPTIN", "deny", [HOSPITAL], True, (HOSPITAL,)),
        ("OPTIN", None, [HOSPITAL], True, (HOSPITAL,)),
        ("OPTOUT", "permit", [OTHER_HOSPITAL, HOSPITAL], False, (HOSPITAL, OTHER_HOSPITAL)),
        (None, "deny", [HOSPITAL], True, (HOSPITAL,)),
        ("OPTIN", "permit", [HOSPITAL], True, ()),
    ],
)
def test_rules_and_exceptions(
    rule: str | None, type_: str | None, actors: list[str], permit: bool, excepted: tuple[str, ...]
) -> None:
    provision: dict[str, Any] = {"type": type_} if type_ else {}
    if actors:
        provision["actor"] = [actor(uscc) for uscc in actors]
    made = consent(
        policyRule={"coding": [{"system": ACT_CODE, "code": rule}]} if rule else None,
        policy=None if rule else [{"uri": "https://example.cn/policy"}],
        provision=provision or None,
    )
    found = read(made).consent
    assert found is not None
    assert (found.permit, found.actors) == (permit, excepted)


def test_a_period_holds_its_last_day() -> None:
    found = read(consent(provision={"period": {"start": "2026-01-01", "end": "2026-01-31"}})).consent
    assert found is not None
    # Midnights in China.
    assert (found.from_s, found.until_s) == (1_767_196_800, 1_769_875_200)


@pytest.mark.parametrize("status", ["draft", "proposed", "rejected", "inactive", "entered-in-error"])
def test_what_is_not_active_is_not_in_force(status: str) -> None:
    found = read(consent(status=status)).consent
    assert found is not None
    assert not found.in_force


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"provision": [{"type": "deny"}]}, "fhir.r5-shaped"),
        ({"provision": {"type": "deny", "data": []}}, "fhir.consent-provision"),
        ({"provision": {"provision": [{"type": "permit"}]}}, "fhir.consent-provision"),
        ({"provision": {"actor": [{**actor("nobody")}]}}, "fhir.consent-actor"),
        ({"policyRule": {"text": "as agreed"}}, "fhir.consent-rule"),
        ({"scope": {"text": "research"}}, "fhir.consent-scope"),
        ({"status": "on"}, "fhir.status"),
        ({"patient": None}, "fhir.subject-missing"),
        ({"patient": {"reference": "#nobody"}}, "fhir.reference"),
        ({"identifier": None, "id": None}, "fhir.identifier-missing"),
        ({"decision": "deny"}, "fhir.r5-shaped"),
        ({"resourceType": "Patient"}, "fhir.consent-type"),
    ],
)
def test_refused(changes: dict[str, Any], code: str) -> None:
    found = read(consent(**changes))
    assert found.consent is None
    assert code in [item.code for item in found.problems]


def test_broken_bytes() -> None:
    assert [item.code for item in read_consent(b"{").problems] == ["fhir.json"]
