"""FHIR R4 reports made for tests: panels of a given patient, time and institution, their decimals to the byte.

``Bundle`` objects are plain dictionaries, to be bent by a test before ``encode`` makes bytes of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

HOSPITAL = "123100004250061179"
OTHER_HOSPITAL = "12310000425006133Y"
LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
IDENTITY_SYSTEM = "urn:oid:2.16.156.10011.1.3"
#: 2026-11-20T00:00:00Z
NOW_S = 1_795_132_800
_MARK = "@decimal:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A quantity: LOINC code, its value as decimal text, UCUM unit, reference range."""

    code: str
    value: str
    unit: str
    low: str = ""
    high: str = ""
    system: str = LOINC


BLOOD_COUNT = (
    Measured(code="718-7", value="176", unit="g/L", low="135", high="180"),
    Measured(code="789-8", value="5.9", unit="10*12/L", low="4.2", high="6.0"),
    Measured(code="4544-3", value="55.0", unit="%", low="38", high="52"),
    Measured(code="787-2", value="99", unit="fL", low="80", high="98"),
    Measured(code="785-6", value="36", unit="pg", low="27", high="35"),
    Measured(code="777-3", value="444", unit="10*9/L", low="150", high="450"),
    Measured(code="6690-2", value="4.60", unit="10*9/L", low="4.0", high="11.0"),
    Measured(code="770-8", value="20", unit="%"),
    Measured(code="751-8", value="0.90", unit="10*9/L", low="2.0", high="7.5"),
    Measured(code="736-9", value="20.0", unit="%"),
    Measured(code="731-0", value="0.9", unit="10*9/L", low="1.1", high="4.0"),
    Measured(code="5905-5", value="20", unit="%"),
    Measured(code="742-7", value="0.9", unit="10*9/L", low="0.2", high="1.0"),
    Measured(code="713-8", value="20", unit="%"),
    Measured(code="711-2", value="0.92", unit="10*9/L", low="0.04", high="0.40"),
    Measured(code="706-2", value="20", unit="%"),
    Measured(code="704-7", value="0.92", unit="10*9/L", high="0.21"),
)
LIPIDS = (
    Measured(code="14647-2", value="6.30", unit="mmol/L", high="4.5"),
    Measured(code="14927-8", value="1.3", unit="mmol/L", high="2.0"),
    Measured(code="14646-4", value="1.00", unit="mmol/L", low="1.5"),
    Measured(code="22748-8", value="4.2", unit="mmol/L", high="3.0"),
)


def decimal(text: str) -> str:
    """A JSON number that ``encode`` writes exactly as the text."""
    return _MARK + text


def instant(time_s: int) -> str:
    """Unix seconds as a FHIR instant."""
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def identity_number(serial: int, *, region: str = "310101", born: str = "19900307") -> str:
    """A well-formed identity number (GB 11643: check character by MOD 11-2)."""
    body = f"{region}{born}{serial % 1000:03d}"
    rest = sum(int(digit) * pow(2, 17 - place, 11) for place, digit in enumerate(body)) % 11
    return body + "10X98765432"[rest]


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A patient: the hospital's record number and the identity number."""

    local: str = "P0001"
    identity: str = field(default_factory=lambda: identity_number(1))

    def resource(self) -> dict[str, Any]:
        """As FHIR."""
        identifiers: list[dict[str, Any]] = [
            {
                "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]},
                "system": "urn:hospital:patients",
                "value": self.local,
            }
        ]
        if self.identity:
            identifiers.append({"system": IDENTITY_SYSTEM, "value": self.identity})
        return {"resourceType": "Patient", "id": self.local, "identifier": identifiers}


def panel(
    measured: Sequence[Measured] = BLOOD_COUNT,
    *,
    person: Person | None = None,
    institution: str = HOSPITAL,
    number: str = "R-1",
    taken_s: int | None = NOW_S - 86_400,
    issued_s: int | None = NOW_S - 80_000,
    updated_s: int | None = None,
    status: str = "final",
    type_: str = "collection",
) -> dict[str, Any]:
    """A Bundle with a laboratory report: DiagnosticReport, Patient, Organization, Specimen and an Observation each."""
    who = person if person is not None else Person()
    subject = {"reference": f"Patient/{who.local}"}
    specimen: dict[str, Any] = {
        "resourceType": "Specimen",
        "id": "s1",
        "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0487", "code": "BLDV"}]},
        "subject": subject,
    }
    if taken_s is not None:
        specimen["collection"] = {"collectedDateTime": instant(taken_s)}
    report: dict[str, Any] = {
        "resourceType": "DiagnosticReport",
        "id": "report",
        "identifier": [{"system": "urn:hospital:reports", "value": number}],
        "status": status,
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "LAB"}]}],
        "code": {"coding": [{"system": LOINC, "code": "58410-2"}], "text": "panel"},
        "subject": subject,
        "performer": [{"reference": "Organization/lab"}],
        "specimen": [{"reference": "Specimen/s1"}],
        "result": [{"reference": f"Observation/o{place}"} for place in range(len(measured))],
    }
    if issued_s is not None:
        report["issued"] = instant(issued_s)
    if updated_s is not None:
        report["meta"] = {"lastUpdated": instant(updated_s)}
    observations = [
        observation(item, identity=f"o{place}", subject=subject, specimen="s1") for place, item in enumerate(measured)
    ]
    return bundle(report, who.resource(), organization(institution), specimen, *observations, type_=type_)


def observation(
    measured: Measured, *, identity: str, subject: dict[str, Any], specimen: str = "", status: str = "final"
) -> dict[str, Any]:
    """One quantity as an Observation."""
    made: dict[str, Any] = {
        "resourceType": "Observation",
        "id": identity,
        "status": status,
        "code": {"coding": [{"system": measured.system, "code": measured.code}]},
        "subject": subject,
        "valueQuantity": quantity(measured.value, measured.unit),
    }
    if specimen:
        made["specimen"] = {"reference": f"Specimen/{specimen}"}
    sides = {side: text for side, text in (("low", measured.low), ("high", measured.high)) if text}
    if sides:
        made["referenceRange"] = [{side: quantity(text, measured.unit) for side, text in sides.items()}]
    return made


def quantity(value: str, unit: str) -> dict[str, Any]:
    """A UCUM quantity."""
    return {"value": decimal(value), "unit": unit, "system": UCUM, "code": unit}


def organization(uscc: str) -> dict[str, Any]:
    """The laboratory."""
    return {"resourceType": "Organization", "id": "lab", "identifier": [{"system": "urn:uscc", "value": uscc}]}


def imaging(
    *,
    person: Person | None = None,
    number: str = "I-1",
    code: str = "24627-2",
    started_s: int | None = NOW_S - 86_400,
    issued_s: int = NOW_S - 80_000,
    status: str = "final",
    conclusion: str = "",
) -> dict[str, Any]:
    """A Bundle with an imaging report and its study."""
    who = person if person is not None else Person()
    subject = {"reference": f"Patient/{who.local}"}
    study: dict[str, Any] = {"resourceType": "ImagingStudy", "id": "st", "status": "available", "subject": subject}
    if started_s is not None:
        study["started"] = instant(started_s)
    report: dict[str, Any] = {
        "resourceType": "DiagnosticReport",
        "id": "report",
        "identifier": [{"system": "urn:hospital:reports", "value": number}],
        "status": status,
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "RAD"}]}],
        "code": {"coding": [{"system": LOINC, "code": code}]},
        "subject": subject,
        "issued": instant(issued_s),
        "imagingStudy": [{"reference": "ImagingStudy/st"}],
    }
    if conclusion:
        report["conclusion"] = conclusion
    return bundle(report, who.resource(), organization(HOSPITAL), study)


def bundle(*resources: dict[str, Any], type_: str = "collection") -> dict[str, Any]:
    """Resources as the entries of a Bundle."""
    base = "https://his.example.cn/fhir"
    entries: list[dict[str, Any]] = [
        {"fullUrl": f"{base}/{item['resourceType']}/{item['id']}", "resource": item} for item in resources
    ]
    if type_ in ("transaction", "batch"):
        for entry in entries:
            entry["request"] = {"method": "POST", "url": entry["resource"]["resourceType"]}
    return {"resourceType": "Bundle", "type": type_, "entry": entries}


def resource(made: dict[str, Any], type_: str, place: int = 0) -> dict[str, Any]:
    """The ``place``-th resource of a type in a Bundle, to bend it."""
    found = [entry["resource"] for entry in made["entry"] if entry["resource"]["resourceType"] == type_]
    return found[place]


def encode(made: dict[str, Any]) -> bytes:
    """The bytes of a resource; decimals as their text."""
    return re.sub(f'"{_MARK}([^"]*)"', r"\1", json.dumps(made, ensure_ascii=False)).encode()
