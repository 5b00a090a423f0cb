"""HL7's 73 R4 samples: what becomes of each, and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.medical.fhir import read_report
from ledger.medical.fhirconsent import read_consent
from tests.ledger.medical.bundles import HOSPITAL, NOW_S

#: file -> (what becomes of it, why). ``ingested``: the count of its items stands beside.
EXPECTED: dict[str, tuple[str, str]] = {
    "Bundle-101": ("ingested 17", "a whole blood count: report and its 17 observations"),
    "Bundle-lipids": ("ingested 4", "a lipid panel: report and its four observations"),
    "DiagnosticReport-f201": ("ingested 1", "a CT; its images stay in the archive, its conclusion is not recognised"),
    "DiagnosticReport-ultrasound": ("ingested 1", "an ultrasound with its images named"),
    "Bundle-bundle-transaction": ("fhir.bundle-request", "asks to delete and to read"),
    "Bundle-f001": ("fhir.reference", "its five results are not in the Bundle"),
    "DiagnosticReport-102": ("fhir.reference", "its result is not contained"),
    "DiagnosticReport-example-pgx": ("fhir.reference", "its result is not contained"),
    "DiagnosticReport-pap": ("fhir.results-missing", "it holds no result"),
    "Consent-consent-example-basic": ("consent", "permits sharing, until 2016"),
    "Consent-consent-example-notTime": ("consent", "permits sharing, in a period"),
    "Consent-consent-example-Emergency": ("fhir.consent-provision", "a purpose and a provision inside"),
    "Consent-consent-example-Out": ("fhir.consent-actor", "its actor has no unified social credit code"),
    "Consent-consent-example-grantor": ("fhir.consent-provision", "limits the actions"),
    "Consent-consent-example-notAuthor": ("fhir.consent-actor", "its actor has no unified social credit code"),
    "Consent-consent-example-notOrg": ("fhir.consent-provision", "limits the actions"),
    "Consent-consent-example-notThem": ("fhir.consent-provision", "limits the actions"),
    "Consent-consent-example-notThis": ("fhir.consent-provision", "is about single resources"),
    "Consent-consent-example-pkb": ("fhir.consent-provision", "security labels and provisions inside"),
    "Consent-consent-example-signature": ("fhir.consent-provision", "a provision inside"),
    "Consent-consent-example-smartonfhir": ("fhir.consent-provision", "provisions inside"),
    **{
        f"AuditEvent-example{name}": ("fhir.resource-type", "an audit event is no report")
        for name in (
            "",
            *(f"-{x}" for x in ["disclosure", "error", "login", "logout", "media", "pixQuery", "rest", "search"]),
        )
    },
    **{
        f"ImagingStudy-{name}": ("fhir.resource-type", "a study without its report")
        for name in ("example", "example-xr")
    },
    **{
        f"Observation-{name}": ("fhir.resource-type", "a result without its report")
        for name in [
            "blood-pressure",
            "bloodgroup",
            "example",
            "eye-color",
            "f001",
            "f002",
            "f003",
            "f004",
            "f005",
            "f202",
            "f203",
            "f204",
            "f205",
            "f206",
            "glasgow",
            "unsat",
        ]
    },
    **{
        f"Organization-{name}": ("fhir.resource-type", "an organisation is no report")
        for name in ["f001", "f002", "f003", "f201", "hl7"]
    },
    **{f"Patient-{name}": ("fhir.resource-type", "a patient is no report") for name in ["example", "f001", "f201"]},
    **{
        f"Practitioner-{name}": ("fhir.resource-type", "a practitioner is no report")
        for name in ["f001", "f002", "f003", "f005", "f201"]
    },
    **{
        f"Provenance-{name}": ("fhir.resource-type", "a provenance is no report")
        for name in ["consent-signature", "example", "example-biocompute-object", "example-cwl", "signature"]
    },
    **{f"ServiceRequest-{name}": ("fhir.resource-type", "an order is no report") for name in ["example", "lipid"]},
    **{
        f"Specimen-{name}": ("fhir.resource-type", "a specimen is no report")
        for name in ["101", "isolate", "pooled-serum", "sst", "vma-urine"]
    },
}


def test_the_table_names_every_sample(vectors: Path) -> None:
    files = {path.stem for path in (vectors / "fhir-r4-examples").glob("*.json")} - {"package"}
    assert files == set(EXPECTED)
    assert len(EXPECTED) == 73


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_sample(vectors: Path, name: str) -> None:
    data = (vectors / "fhir-r4-examples" / f"{name}.json").read_bytes()
    expected, _why = EXPECTED[name]
    if name.startswith("Consent-"):
        consent = read_consent(data)
        assert (consent.problems[0].code if consent.consent is None else "consent") == expected
        assert read_report(data, institution=HOSPITAL, now_s=NOW_S, rules=None).refused
        return
    reading = read_report(data, institution=HOSPITAL, now_s=NOW_S, rules=None)
    found = f"ingested {len(reading.report.results)}" if reading.report else reading.problems[0].code
    assert found == expected


def test_the_blood_count_is_read_to_the_byte(vectors: Path) -> None:
    data = (vectors / "fhir-r4-examples" / "Bundle-101.json").read_bytes()
    report = read_report(data, institution=HOSPITAL, now_s=NOW_S, rules=None).report
    assert report is not None
    values = [(result.code, result.value, result.unit, result.low, result.high) for result in report.results]
    assert values[:3] == [
        ("718-7", "176", "g/L", "135", "180"),
        ("789-8", "5.9", "10*12/L", "4.2", "6.0"),
        ("4544-3", "55", "%", "38", "52"),
    ]
    assert all(f'"value": {result.value}'.encode() in data for result in report.results)
    # 2011-03-04T08:30:00+11:00, which only the report says.
    assert {result.taken_s for result in report.results} == {1_299_187_800}
    assert (report.patient, report.identifier) == ("Patient/pat2", "http://acme.com/lab/reports|5234342")
