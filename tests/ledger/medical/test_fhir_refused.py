"""FHIR reports that are refused: each rule by a report bent against it, and bytes that are none."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.medical.fhir import Reading, read_report
from ledger.medical.fhirjson import MAX_BYTES, MAX_DEPTH
from ledger.medical.fhirproblems import PROBLEMS
from ledger.medical.outcome import operation_outcome, to_json
from tests.ledger.medical.bundles import (
    HOSPITAL,
    LIPIDS,
    NOW_S,
    OTHER_HOSPITAL,
    Person,
    bundle,
    encode,
    instant,
    organization,
    panel,
    resource,
)

Bend = Callable[[dict[str, Any]], None]


def read(made: dict[str, Any] | bytes) -> Reading:
    data = made if isinstance(made, bytes) else encode(made)
    return read_report(data, institution=HOSPITAL, now_s=NOW_S, rules=None)


def codes(reading: Reading) -> set[str]:
    return {item.code for item in reading.problems}


# --- what is refused ------------------------------------------------------------------------------------------------
def first(type_: str, **changes: Any) -> Bend:
    def bend(made: dict[str, Any]) -> None:
        found = resource(made, type_)
        for name, value in changes.items():
            if value is None:
                found.pop(name, None)
            else:
                found[name] = value

    return bend


def entries(change: Callable[[list[dict[str, Any]]], None]) -> Bend:
    return lambda made: change(made["entry"])


BENT: dict[str, tuple[Bend, str, str]] = {
    "type of bundle": (lambda made: made.update(type="history"), "fhir.bundle-type", "Bundle.type"),
    "no report": (entries(lambda found: found.pop(0)), "fhir.report-missing", "Bundle"),
    "two reports": (
        entries(lambda found: found.append({"resource": {**found[0]["resource"], "id": "second"}})),
        "fhir.report-several",
        "Bundle.entry[8].resource",
    ),
    "an entry twice": (
        entries(lambda found: found.append(found[4])),
        "fhir.entry-twice",
        "Bundle.entry[8].resource",
    ),
    "an empty entry": (entries(lambda found: found.append({})), "fhir.entry-empty", "Bundle.entry[8]"),
    "a deletion": (
        entries(lambda found: found[0].update(request={"method": "DELETE", "url": "Patient/1"})),
        "fhir.bundle-request",
        "Bundle.entry[0].request.method",
    ),
    "an unknown resource": (
        entries(lambda found: found.append({"resource": {"resourceType": "Observatio"}})),
        "fhir.invalid",
        "Bundle.entry[8].resource",
    ),
    "R5: triggeredBy": (
        first("Observation", triggeredBy=[{"type": "reflex", "observation": {"reference": "Observation/o1"}}]),
        "fhir.r5-shaped",
        "Bundle.entry[4].resource.triggeredBy",
    ),
    "R5: study": (
        first("DiagnosticReport", study=[{"reference": "ImagingStudy/1"}]),
        "fhir.r5-shaped",
        "Bundle.entry[0].resource.study",
    ),
    "an element nobody knows": (
        first("DiagnosticReport", verdict="well"),
        "fhir.invalid",
        "Bundle.entry[0].resource.verdict",
    ),
    "status missing": (first("Observation", status=None), "fhir.invalid", "Bundle.entry[4].resource.status"),
    "status unknown": (
        first("DiagnosticReport", status="done"),
        "fhir.status",
        "Bundle.entry[0].resource.status",
    ),
    "status of an item unknown": (
        first("Observation", status="done"),
        "fhir.status",
        "Bundle.entry[4].resource.status",
    ),
    "no number": (
        first("DiagnosticReport", identifier=None, id=None),
        "fhir.identifier-missing",
        "Bundle.entry[0].resource.identifier",
    ),
    "no patient": (first("DiagnosticReport", subject=None), "fhir.subject-missing", "Bundle.entry[0].resource.subject"),
    "about a device": (
        first("DiagnosticReport", subject={"reference": "Device/1"}),
        "fhir.subject-type",
        "Bundle.entry[0].resource.subject",
    ),
    "two patients in the bundle": (
        entries(lambda found: found.append({"resource": Person(local="P0002").resource()})),
        "fhir.two-patients",
        "Bundle.entry[8].resource",
    ),
    "an item of another patient": (
        first("Observation", subject={"reference": "Patient/P0002"}),
        "fhir.two-patients",
        "Bundle.entry[4].resource.subject",
    ),
    "the specimen of another patient": (
        first("Specimen", subject={"reference": "Patient/P0002"}),
        "fhir.two-patients",
        "Bundle.entry[3].resource.subject",
    ),
    "identity number mistyped": (
        first("Patient", identifier=[{"system": "urn:oid:2.16.156.10011.1.3", "value": "310101199003070011"}]),
        "fhir.identity",
        "Bundle.entry[1].resource",
    ),
    "another institution's": (
        first("Organization", identifier=[{"value": OTHER_HOSPITAL}]),
        "fhir.institution-other",
        "Bundle.entry[0].resource.performer[0]",
    ),
    "a result that is not there": (
        first("DiagnosticReport", result=[{"reference": "Observation/nowhere"}]),
        "fhir.reference",
        "Bundle.entry[0].resource.result[0]",
    ),
    "a specimen that is not there": (
        first("Observation", specimen={"reference": "Specimen/nowhere"}),
        "fhir.reference",
        "Bundle.entry[4].resource.specimen",
    ),
    "a result that is no observation": (
        first("DiagnosticReport", result=[{"reference": "Specimen/s1"}]),
        "fhir.reference-type",
        "Bundle.entry[0].resource.result[0]",
    ),
    "no results": (first("DiagnosticReport", result=None), "fhir.results-missing", "Bundle.entry[0].resource.result"),
    "no code": (
        first("Observation", code={}),
        "fhir.code-missing",
        "Bundle.entry[4].resource.code",
    ),
    "a decimal as text": (
        first("Observation", valueQuantity={"value": "6.30"}),
        "fhir.invalid",
        "Bundle.entry[4].resource.valueQuantity.value",
    ),
    "a range as text": (
        first("Observation", referenceRange=[{"low": {"value": "1"}}]),
        "fhir.invalid",
        "Bundle.entry[4].resource.referenceRange[0].low.value",
    ),
    "a time as number": (
        first("Specimen", collection={"collectedDateTime": 2026}),
        "fhir.time",
        "Bundle.entry[3].resource.collection.collectedDateTime",
    ),
    "a time without zone": (
        first("Specimen", collection={"collectedDateTime": "2026-11-19T08:00:00"}),
        "fhir.invalid",
        "Bundle.entry[3].resource.collection.collectedDateTime",
    ),
    "a specimen of tomorrow": (
        first("Specimen", collection={"collectedDateTime": instant(NOW_S + 86_400)}),
        "fhir.time-future",
        "Bundle.entry[3].resource.collection.collectedDateTime",
    ),
    "issued before it was taken": (
        first("DiagnosticReport", issued=instant(NOW_S - 100_000)),
        "fhir.time-order",
        "Bundle.entry[0].resource.issued",
    ),
    "a code too long": (
        first("Observation", code={"coding": [{"system": "urn:x", "code": "x" * 201}]}),
        "fhir.word",
        "Bundle.entry[0].resource",
    ),
}


@pytest.mark.parametrize("name", BENT)
def test_refused(name: str) -> None:
    bend, code, path = BENT[name]
    made = panel(LIPIDS)
    bend(made)
    reading = read(made)
    assert reading.refused
    assert (reading.problems[0].code, reading.problems[0].path) == (code, path)


def test_the_patient_is_written_in_no_message() -> None:
    person = Person(local="MRN-SECRET-7")
    made = panel(LIPIDS, person=person)
    resource(made, "Observation")["subject"] = {"reference": "Patient/MRN-SECRET-8"}
    resource(made, "Patient")["identifier"].append(
        {"system": "urn:oid:2.16.156.10011.1.3", "value": "310101199003070011"}
    )
    text = to_json(operation_outcome(read(made).problems)).decode()
    assert "SECRET" not in text
    assert person.identity not in text
    assert "6.30" not in text


BYTES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "fhir.json"),
    "cut off": (encode(panel())[:-20], "fhir.json"),
    "two values": (encode(panel()) + b"{}", "fhir.json"),
    "a name twice": (b'{"resourceType":"Bundle","resourceType":"Bundle"}', "fhir.json-duplicate"),
    "not a number": (b'{"resourceType":"Bundle","total":NaN}', "fhir.json-number"),
    "infinite": (b'{"resourceType":"Bundle","total":-Infinity}', "fhir.json-number"),
    "a monstrous power": (b'{"resourceType":"Bundle","total":1e999999999}', "fhir.json-number"),
    "a long number": (b'{"resourceType":"Bundle","total":' + b"9" * 60 + b"}", "fhir.json-number"),
    "UTF-16": (encode(panel()).decode().encode("utf-16"), "fhir.json-text"),
    "a byte order mark": (b"\xef\xbb\xbf" + encode(panel()), "fhir.json-text"),
    "half a character": (b'{"resourceType":"Bundle","id":"\\ud800"}', "fhir.json-text"),
    "deep": (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "fhir.json-depth"),
    "bottomless": (b"[" * 500_000, "fhir.json-depth"),
    "a list": (b"[]", "fhir.resource-type"),
    "a text": (b'"Bundle"', "fhir.resource-type"),
    "a number": (b"1", "fhir.resource-type"),
    "a patient": (b'{"resourceType":"Patient"}', "fhir.resource-type"),
    "an unknown type": (b'{"resourceType":"Lab\\u001b[31m"}', "fhir.resource-type"),
    "ten megabytes": (b" " * (10 << 20), "fhir.too-large"),
    "a byte too many": (b" " * (MAX_BYTES + 1), "fhir.too-large"),
}


@pytest.mark.parametrize("name", BYTES)
def test_bytes_refused(name: str) -> None:
    data, code = BYTES[name]
    assert [item.code for item in read(data).problems] == [code]


def test_nothing_of_a_large_file_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    def parsed(*_: object) -> None:
        raise AssertionError("parsed")

    monkeypatch.setattr("ledger.medical.fhirjson._DECODER", SimpleNamespace(decode=parsed))
    assert codes(read(b"[" * (MAX_BYTES + 1))) == {"fhir.too-large"}


def test_a_report_that_takes_itself_back_needs_no_results() -> None:
    made = panel(LIPIDS, status="entered-in-error")
    resource(made, "DiagnosticReport")["result"] = []
    del resource(made, "DiagnosticReport")["result"]
    reading = read(made)
    assert reading.withdraws
    assert reading.report is not None
    assert reading.report.results == ()


def test_without_identity_number_it_is_kept_and_said() -> None:
    reading = read(panel(person=Person(identity="")))
    assert reading.report is not None
    assert reading.identity is None
    assert "fhir.identity-missing" in codes(reading)


def test_problems_have_both_languages_and_a_known_kind() -> None:
    assert all(
        severity in ("error", "warning", "information") and en and zh for severity, _, en, zh in PROBLEMS.values()
    )


def test_outcomes_are_valid() -> None:
    from fhir.resources.R4B.operationoutcome import OperationOutcome

    readings = [read(data) for data, _ in BYTES.values()]
    for bend, _, _ in BENT.values():
        made = panel(LIPIDS)
        bend(made)
        readings.append(read(made))
    for problems in (*(reading.problems for reading in readings), ()):
        outcome = OperationOutcome.model_validate_json(to_json(operation_outcome(problems)))
        assert len(outcome.issue) == max(1, len(problems))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_is_bent_is_read_or_refused(data: st.DataObject) -> None:
    """A value somewhere in a report is replaced or dropped: never anything but a reading."""
    made: Any = json.loads(encode(panel(LIPIDS)))
    node: Any = made
    while True:
        keys = sorted(node) if isinstance(node, dict) else list(range(len(node)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(node[key], dict | list) or not node[key] or data.draw(st.integers(0, 3)) == 0:
            break
        node = node[key]
    strange = st.sampled_from([None, 0, 1.5, True, "", "x", [], {}, [None], [{}], {"reference": "#"}, {"coding": [{}]}])
    node[key] = data.draw(strange)
    reading = read(json.dumps(made).encode())
    assert reading.refused == any(item.severity == "error" for item in reading.problems)


def test_a_bundle_of_thousands_of_entries_is_refused() -> None:
    extra = [organization(HOSPITAL) | {"id": f"lab{number}"} for number in range(4_001)]
    assert codes(read(bundle(*extra))) == {"fhir.too-many"}
