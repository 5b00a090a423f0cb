"""A FHIR R4 report as the rules of recognition see it, or why it is not taken.

``read_report`` takes bytes and gives a ``Reading``: a refusal is a value with every reason found, for a clerk to act
on. What only blocks recognition (an unmapped code, a missing specimen time) is told beside the report.
Source: HL7 FHIR R4, DiagnosticReport, Observation, Specimen, ImagingStudy; 国卫医发〔2022〕6号, articles 2 and 9.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ledger.medical import fhirfields as fields
from ledger.medical.fhirbundle import Found, Resources
from ledger.medical.fhirjson import FhirJsonError, read
from ledger.medical.fhirmodels import validate
from ledger.medical.fhirpatient import Patient, patient_of
from ledger.medical.fhirproblems import Problem, problem
from ledger.medical.fhirresults import MAX_RESULTS, Times, results_of, study_of
from ledger.medical.model import MAX_WORD, Category, Report, Result
from ledger.medical.ruleset import RuleSet

#: How far the clock of a sending system may run ahead, seconds.
CLOCK_S: Final = 300
#: At most so many problems are told.
MAX_PROBLEMS: Final = 50
REPORT_STATUSES: Final = frozenset(
    [
        "registered",
        "partial",
        "preliminary",
        "final",
        "amended",
        "corrected",
        "appended",
        "cancelled",
        "entered-in-error",
        "unknown",
    ]
)
#: Statuses that withdraw a report.
WITHDRAWING: Final = frozenset({"cancelled", "entered-in-error"})
#: Codes of DiagnosticReport.category that mean images or recordings of the body itself. Source: HL7 v2-0074; the
#: management measures name ultrasound, X-ray, MRI, electrophysiology and nuclear medicine.
_IMAGING: Final = frozenset(
    {
        *(("http://terminology.hl7.org/CodeSystem/v2-0074", code) for code in
          ["RAD", "RX", "CT", "CTH", "CUS", "EC", "EN", "NMR", "NMS", "OUS", "RUS", "VUS", "XRC"]),
        ("http://snomed.info/sct", "394914008"),
        ("http://loinc.org", "LP29684-5"),
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was read. ``report`` None: refused, and ``problems`` say why.

    ``identity``: the patient's identity number where the report gives it; ``updated_s``: when the sender last changed
    the report, by which versions are told apart; ``about``: (system, code) pairs of what was examined.
    """

    report: Report | None
    problems: tuple[Problem, ...]
    identity: str | None = None
    updated_s: int | None = None
    about: frozenset[tuple[str, str]] = frozenset()

    @property
    def refused(self) -> bool:
        """Whether nothing may be kept as a report."""
        return self.report is None

    @property
    def held(self) -> bool:
        """Whether the report cannot be recognised as it is: an item has no time."""
        return self.report is not None and any(result.taken_s is None for result in self.report.results)

    @property
    def withdraws(self) -> bool:
        """Whether the report takes itself back."""
        return self.report is not None and self.report.status in WITHDRAWING


def read_report(data: bytes, *, institution: str, now_s: int, rules: RuleSet | None) -> Reading:
    """Read a Bundle with one DiagnosticReport, or a DiagnosticReport with what it contains.

    ``institution``: USCC of the hospital that hands it in; ``now_s``: Unix seconds; ``rules``: whose items the codes
    are mapped to (None: all stay unmapped).
    """
    try:
        root = read(data)
    except FhirJsonError as error:
        return _refused([problem(error.code, **error.values)])
    type_ = root.get("resourceType") if isinstance(root, Mapping) else None
    if type_ not in ("Bundle", "DiagnosticReport"):
        return _refused([problem("fhir.resource-type", type=_name(type_))])
    wrong = validate(root)
    if wrong:
        return _refused(wrong)
    resources = Resources(root)
    reports = resources.of_type("DiagnosticReport")
    if not reports and not resources.problems:
        return _refused([problem("fhir.report-missing", "Bundle")])
    if len(reports) > 1:
        resources.problems.append(problem("fhir.report-several", reports[1].path))
    if resources.problems or not reports:
        return _refused(resources.problems)
    return _Reader(resources, reports[0], institution, now_s, rules).read()


class _Reader:
    """One reading: collects problems on the way."""

    def __init__(
        self, resources: Resources, source: Found, institution: str, now_s: int, rules: RuleSet | None
    ) -> None:
        self._resources = resources
        self._source = source
        self._institution = institution
        self._rules = rules
        self._problems: list[Problem] = []
        self._times = Times(now_s + CLOCK_S, self._problems)

    def read(self) -> Reading:
        source, report = self._source, self._source.resource
        status = str(report.get("status"))
        if status not in REPORT_STATUSES:
            self._remark("fhir.status", f"{source.path}.status", status=_name(status), type="DiagnosticReport")
        patient = patient_of(self._resources, source, self._problems)
        identifier = self._identifier()
        self._check_institution()
        issued = self._times.read(f"{source.path}.issued", report.get("issued"))
        updated = self._times.read(f"{source.path}.meta.lastUpdated", (report.get("meta") or {}).get("lastUpdated"))
        category = self._category()
        results = self._results(category, withdrawn=status in WITHDRAWING)
        taken = min((result.taken_s for result in results if result.taken_s is not None), default=None)
        if issued is not None and taken is not None and taken > issued + CLOCK_S:
            self._remark("fhir.time-order", f"{source.path}.issued")
        self._check_words(identifier, patient, results)
        if patient is None or any(item.severity == "error" for item in self._problems):
            return _refused(self._problems)
        made = Report(
            identifier=identifier,
            institution=self._institution,
            category=category,
            status=status,
            taken_s=taken,
            issued_s=issued,
            results=results,
            concluded=bool(report.get("conclusion") or report.get("conclusionCode")),
            patient=patient.local,
        )
        if patient.identity is None:
            self._remark("fhir.identity-missing", patient.path)
        return Reading(
            report=made,
            problems=tuple(self._problems[:MAX_PROBLEMS]),
            identity=patient.identity,
            updated_s=updated if updated is not None else issued,
            about=frozenset(fields.codings(report.get("code"))),
        )

    # --- parts --------------------------------------------------------------------------------------------------------
    def _identifier(self) -> str:
        report = self._source.resource
        names = [name for item in fields.identifiers(report) if (name := fields.named(item))]
        if names:
            return names[0]
        if report.get("id"):
            return f"DiagnosticReport/{report['id']}"
        self._remark("fhir.identifier-missing", f"{self._source.path}.identifier")
        return ""

    def _check_institution(self) -> None:
        for path, performer in self._source.texts("performer"):
            found = self._resolved(performer)
            named = fields.uscc_of({"identifier": performer.get("identifier")}) or (
                fields.uscc_of(found.resource) if found is not None and found.type == "Organization" else None
            )
            if named is not None and named != self._institution:
                self._remark("fhir.institution-other", path, institution=named)

    def _category(self) -> Category:
        report = self._source.resource
        codes = {pair for concept in report.get("category") or () for pair in fields.codings(concept)}
        if codes & _IMAGING or (not report.get("result") and (report.get("imagingStudy") or report.get("media"))):
            return Category.IMAGING
        return Category.LABORATORY

    def _results(self, category: Category, *, withdrawn: bool) -> tuple[Result, ...]:
        report = self._source.resource
        if category is Category.IMAGING and (report.get("imagingStudy") or report.get("media")):
            results = study_of(self._resources, self._source, self._times, self._rules, self._institution)
        else:
            results = results_of(self._resources, self._source, self._times, self._rules, self._institution)
        # Who takes a report back may leave out what it said.
        if not results and not withdrawn and not any(item.severity == "error" for item in self._problems):
            self._remark("fhir.results-missing", f"{self._source.path}.result")
        if len(results) > MAX_RESULTS:
            self._remark("fhir.too-many", f"{self._source.path}.result", limit=str(MAX_RESULTS), what="results")
        return results

    def _check_words(self, identifier: str, patient: Patient | None, results: tuple[Result, ...]) -> None:
        words = [identifier, patient.local if patient else ""]
        for result in results:
            words += [result.system, result.code, result.status]
            words += [word for word in (result.unit, result.specimen, result.method) if word is not None]
        if any(len(word) > MAX_WORD for word in words):
            self._remark("fhir.word", self._source.path, limit=str(MAX_WORD))

    def _resolved(self, reference: Mapping[str, Any]) -> Found | None:
        text = reference.get("reference")
        return self._resources.resolve(text, self._source) if isinstance(text, str) else None

    def _remark(self, finding: str, path: str, /, **values: str) -> None:
        self._problems.append(problem(finding, path, **values))


def _refused(problems: list[Problem]) -> Reading:
    errors = [item for item in problems if item.severity == "error"]
    return Reading(report=None, problems=tuple(errors[:MAX_PROBLEMS]))


def _name(value: object) -> str:
    return value[:40] if isinstance(value, str) and value.isascii() and value.isprintable() else ascii(value)[:40]
