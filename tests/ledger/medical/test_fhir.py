"""FHIR reports read: each rule by a report bent against it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ledger.medical.fhir import Reading, read_report
from ledger.medical.model import Category
from ledger.medical.rulefile import parse_rules
from ledger.medical.rules import starting_rules
from tests.ledger.medical.bundles import (
    HOSPITAL,
    LIPIDS,
    LOINC,
    NOW_S,
    Measured,
    Person,
    decimal,
    encode,
    imaging,
    instant,
    panel,
    resource,
)

Bend = Callable[[dict[str, Any]], None]


def read(made: dict[str, Any] | bytes) -> Reading:
    data = made if isinstance(made, bytes) else encode(made)
    return read_report(data, institution=HOSPITAL, now_s=NOW_S, rules=None)


def codes(reading: Reading) -> set[str]:
    return {item.code for item in reading.problems}


def paths(reading: Reading, code: str) -> list[str]:
    return [item.path for item in reading.problems if item.code == code]


def taken(made: dict[str, Any]) -> int | None:
    reading = read(made)
    assert reading.report is not None, reading.problems
    return reading.report.results[0].taken_s


# --- what goes in ---------------------------------------------------------------------------------------------------
def test_a_panel_of_seventeen() -> None:
    reading = read(panel())
    report = reading.report
    assert report is not None
    assert not reading.held
    assert [result.place for result in report.results] == list(range(17))
    assert (report.institution, report.category, report.status) == (HOSPITAL, Category.LABORATORY, "final")
    assert (report.identifier, report.patient) == ("urn:hospital:reports|R-1", "urn:hospital:patients|P0001")
    assert (report.taken_s, report.issued_s) == (NOW_S - 86_400, NOW_S - 80_000)
    assert reading.identity == Person().identity
    assert report.results[0].specimen == "BLDV"
    assert codes(reading) == {"fhir.code-unmapped"}
    assert not report.concluded


@pytest.mark.parametrize(
    "text", ["1.0", "1.00", "6.30", "0.0", "-0", "1e2", "1E+2", "100", "12345678901234.5678", "5e-3"]
)
def test_decimals_survive_to_the_byte(text: str) -> None:
    measured = Measured(code="718-7", value=text, unit="g/L", low=text, high="7.70")
    report = read(panel([measured])).report
    assert report is not None
    assert (report.results[0].value, report.results[0].low, report.results[0].high) == (text, text, "7.70")


@pytest.mark.parametrize("type_", ["collection", "document", "message", "transaction", "batch"])
def test_bundle_types(type_: str) -> None:
    assert read(panel(type_=type_)).report is not None


def test_a_report_with_contained_resources() -> None:
    made = panel(LIPIDS)
    report = resource(made, "DiagnosticReport")
    report["contained"] = [
        {**entry["resource"], "subject": {"reference": "#P0001"}}
        if "subject" in entry["resource"]
        else entry["resource"]
        for entry in made["entry"][1:]
    ]
    text = encode(report).decode()
    for type_ in ("Patient", "Organization", "Specimen", "Observation"):
        text = text.replace(f'"{type_}/', '"#')
    reading = read(text.encode())
    assert reading.report is not None, reading.problems
    assert [result.value for result in reading.report.results] == ["6.30", "1.3", "1.00", "4.2"]
    assert reading.report.patient == "urn:hospital:patients|P0001"


def test_an_imaging_report_is_one_item_timed_by_the_study() -> None:
    report = read(imaging(conclusion="nothing found")).report
    assert report is not None
    assert (report.category, report.concluded) == (Category.IMAGING, True)
    assert [(item.code, item.taken_s) for item in report.results] == [("24627-2", NOW_S - 86_400)]


def test_urn_references_resolve() -> None:
    made = panel(LIPIDS)
    text = encode(made).decode()
    for number, entry in enumerate(made["entry"]):
        old = f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
        urn = f"urn:uuid:00000000-0000-4000-8000-{number:012d}"
        text = text.replace(f'"https://his.example.cn/fhir/{old}"', f'"{urn}"').replace(f'"{old}"', f'"{urn}"')
    reading = read(text.encode())
    assert reading.report is not None, reading.problems
    assert reading.report.patient == "urn:hospital:patients|P0001"


def test_components_and_panels_in_panels_are_items_each() -> None:
    made = panel([Measured(code="85354-9", value="1", unit="1")])
    pressure = resource(made, "Observation")
    del pressure["valueQuantity"]
    pressure["component"] = [
        {
            "code": {"coding": [{"system": LOINC, "code": code}]},
            "valueQuantity": {"value": decimal(value), "unit": "mmHg"},
        }
        for code, value in (("8480-6", "107"), ("8462-4", "60.0"))
    ]
    inner = {**pressure, "id": "inner", "component": pressure["component"][:1]}
    pressure["hasMember"] = [{"reference": "Observation/inner"}]
    made["entry"].append({"fullUrl": "https://his.example.cn/fhir/Observation/inner", "resource": inner})
    report = read(made).report
    assert report is not None
    assert [(item.place, item.code, item.value) for item in report.results] == [
        (0, "8480-6", "107"),
        (1, "8462-4", "60.0"),
        (2, "8480-6", "107"),
    ]


@pytest.mark.parametrize(
    ("value", "number", "text"),
    [
        ({"valueQuantity": {"value": decimal("5"), "comparator": "<", "unit": "mg/L"}}, None, "<5"),
        ({"valueString": "阴性"}, None, "阴性"),
        ({"valueCodeableConcept": {"coding": [{"code": "NEG", "display": "negative"}]}}, None, "negative"),
        ({"valueInteger": decimal("7")}, "7", None),
        ({"valueBoolean": True}, None, "true"),
        ({"valueRange": {"low": {"value": decimal("1.0")}, "high": {"value": decimal("2")}}}, None, "1.0-2"),
        (
            {"valueRatio": {"numerator": {"value": decimal("1")}, "denominator": {"value": decimal("160")}}},
            None,
            "1:160",
        ),
        ({"dataAbsentReason": {"text": "clotted"}}, None, None),
    ],
)
def test_values(value: dict[str, Any], number: str | None, text: str | None) -> None:
    made = panel(LIPIDS[:1])
    item = resource(made, "Observation")
    del item["valueQuantity"], item["referenceRange"]
    item.update(value)
    report = read(made).report
    assert report is not None
    assert (report.results[0].value, report.results[0].text) == (number, text)


def test_a_reference_range_in_another_unit_is_left_out() -> None:
    made = panel(LIPIDS[:1])
    resource(made, "Observation")["referenceRange"][0]["high"]["code"] = "mg/dL"
    report = read(made).report
    assert report is not None
    assert (report.results[0].low, report.results[0].high) == (None, None)


# --- times ----------------------------------------------------------------------------------------------------------
def test_specimen_before_effective_before_the_report() -> None:
    made = panel(LIPIDS, taken_s=NOW_S - 5_000, issued_s=NOW_S - 100)
    resource(made, "Observation")["effectiveDateTime"] = instant(NOW_S - 4_000)
    resource(made, "DiagnosticReport")["effectiveDateTime"] = instant(NOW_S - 3_000)
    assert taken(made) == NOW_S - 5_000
    del resource(made, "Specimen")["collection"]
    assert taken(made) == NOW_S - 4_000
    del resource(made, "Observation")["effectiveDateTime"]
    assert taken(made) == NOW_S - 3_000
    del resource(made, "DiagnosticReport")["effectiveDateTime"]
    reading = read(made)
    assert reading.held
    assert "fhir.time-missing" in codes(reading)


def test_a_span_counts_from_its_beginning() -> None:
    made = panel(LIPIDS)
    resource(made, "Specimen")["collection"] = {
        "collectedPeriod": {"start": instant(NOW_S - 90_000), "end": instant(NOW_S - 85_000)}
    }
    assert taken(made) == NOW_S - 90_000
    # A day begins at midnight in China: 2026-11-18T16:00:00Z.
    resource(made, "Specimen")["collection"] = {"collectedDateTime": "2026-11-19"}
    resource(made, "DiagnosticReport")["issued"] = instant(NOW_S - 10)
    assert taken(made) == NOW_S - 86_400 - 8 * 3_600


def test_the_oldest_specimen_of_the_report_counts_for_items_that_name_none() -> None:
    made = panel(LIPIDS, taken_s=NOW_S - 90_000)
    younger = {**resource(made, "Specimen"), "id": "s2", "collection": {"collectedDateTime": instant(NOW_S - 85_000)}}
    made["entry"].append({"resource": younger})
    resource(made, "DiagnosticReport")["specimen"] = [{"reference": "Specimen/s2"}, {"reference": "Specimen/s1"}]
    del resource(made, "Observation")["specimen"]
    assert taken(made) == NOW_S - 90_000


def test_a_clock_that_runs_ahead_a_little_is_let_pass() -> None:
    assert read(panel(taken_s=NOW_S + 300, issued_s=NOW_S + 300)).report is not None
    late = read(panel(taken_s=NOW_S - 10, issued_s=NOW_S + 301))
    assert codes(late) == {"fhir.time-future"}
    assert paths(late, "fhir.time-future") == ["Bundle.entry[0].resource.issued"]


# --- codes and units ------------------------------------------------------------------------------------------------
def mapped(made: dict[str, Any], institution: str = HOSPITAL) -> list[tuple[str | None, str, str | None]]:
    rules = parse_rules(starting_rules())
    reading = read_report(encode(made), institution=institution, now_s=NOW_S, rules=rules)
    assert reading.report is not None
    return [(item.item, item.state, item.canonical) for item in reading.report.results]


def test_codes_are_mapped_and_values_converted() -> None:
    made = panel([Measured(code="718-7", value="17.60", unit="g/dL"), Measured(code="718-7", value="176", unit="g/L")])
    (first, state, canonical), second = mapped(made)
    assert first is not None
    assert (state, canonical) == ("mapped", "176.0")
    assert second == (first, "mapped", "176")


@pytest.mark.parametrize(
    ("code", "unit", "state", "problem"),
    [
        ("0000-0", "g/L", "unmapped-code", "fhir.code-unmapped"),
        ("718-7", "pinches", "unmapped-unit", "fhir.unit-unmapped"),
        ("718-7", "mm", "unmapped-unit", "fhir.unit-unmapped"),
        ("718-7", "(" * 60, "unmapped-unit", "fhir.unit-unmapped"),
    ],
)
def test_what_is_not_mapped_is_kept_and_said(code: str, unit: str, state: str, problem: str) -> None:
    made = panel([Measured(code=code, value="1.0", unit=unit)])
    assert mapped(made)[0][1] == state
    reading = read_report(encode(made), institution=HOSPITAL, now_s=NOW_S, rules=parse_rules(starting_rules()))
    assert problem in codes(reading)
    assert reading.report is not None
    assert (reading.report.results[0].value, reading.report.results[0].unit) == ("1.0", unit)


def test_a_unit_that_is_no_ucum_code_converts_into_nothing() -> None:
    made = panel([Measured(code="718-7", value="176", unit="g/L")])
    value = resource(made, "Observation")["valueQuantity"]
    del value["system"], value["code"]
    assert mapped(made)[0][1] == "unmapped-unit"


def test_the_first_coding_the_rules_know_is_the_one_that_counts() -> None:
    made = panel([Measured(code="HB", value="176", unit="g/L", system="urn:hospital:codes")])
    resource(made, "Observation")["code"]["coding"].append({"system": LOINC, "code": "718-7"})
    reading = read_report(encode(made), institution=HOSPITAL, now_s=NOW_S, rules=parse_rules(starting_rules()))
    assert reading.report is not None
    assert (reading.report.results[0].code, reading.report.results[0].state) == ("718-7", "mapped")
