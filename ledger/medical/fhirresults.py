"""The items of a report: each Observation (and each component of one) of a laboratory, or the study itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ledger.medical import fhirfields as fields
from ledger.medical.fhirbundle import Found, Resources
from ledger.medical.fhirproblems import Problem, problem
from ledger.medical.fhirtimes import seconds
from ledger.medical.mapping import Mapped, place
from ledger.medical.model import Result
from ledger.medical.ruleset import RuleSet

MAX_RESULTS: Final = 500
#: How deep panels hold panels.
_MAX_PANELS: Final = 4
_STATUSES: Final = frozenset(
    ["registered", "preliminary", "final", "amended", "corrected", "cancelled", "entered-in-error", "unknown"]
)
_EFFECTIVE: Final = ("effectiveDateTime", "effectiveInstant", "effectivePeriod", "effectiveTiming")
_COLLECTED: Final = ("collectedDateTime", "collectedPeriod")


class Times:
    """Reads times, and notes those that are none or lie after ``latest_s``."""

    def __init__(self, latest_s: int, problems: list[Problem]) -> None:
        self._latest_s = latest_s
        self.problems = problems

    def read(self, path: str, text: object) -> int | None:
        """A time as Unix seconds; None when there is none to read."""
        if text is None:
            return None
        found = seconds(text)
        if found is None:
            self.problems.append(problem("fhir.time", path))
        elif found > self._latest_s:
            self.problems.append(problem("fhir.time-future", path))
        return found

    def of(self, found: Found, element: Mapping[str, Any], where: str, *names: str) -> int | None:
        """The first of some time elements; ``where``: the element's path inside the resource."""
        name, text = fields.time_of(element, *names)
        return self.read(f"{found.path}{where}.{name}", text) if text is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mapper:
    """Codes and units to the items of a rule set."""

    rules: RuleSet | None
    institution: str

    def code(self, concept: object) -> tuple[str, str] | None:
        """(system, code) that stands for a concept: the first coding the rules know, else LOINC, else the first, else
        its text; None without any."""
        pairs = fields.codings(concept)
        for system, code in pairs:
            if self.rules is not None and self.rules.item_of(self.institution, system, code) is not None:
                return system, code
        first = next((pair for pair in pairs if pair[0] == fields.LOINC), pairs[0] if pairs else None)
        text = fields.concept_text(concept)
        return first if first is not None else ("", text) if text is not None else None

    def place(self, concept: object, value: fields.Value) -> Mapped:
        """The item of a concept and the value in the item's unit. A unit that is no UCUM code converts into nothing."""
        if self.rules is None:
            return Mapped(item=None, state="unmapped-code", canonical=None)
        return place(
            self.rules,
            institution=self.institution,
            codings=fields.codings(concept),
            value=value.number,
            unit=value.unit if value.coded else None,
            text=value.text,
        )

    def specimen(self, found: Found | None) -> str | None:
        """The rule set's id of a specimen's type, else its code."""
        concept = found.resource.get("type") if found is not None else None
        for system, code in fields.codings(concept):
            known = self.rules.specimen_of(system, code) if self.rules is not None else None
            if known is not None:
                return known
        return fields.concept_text(concept)


def results_of(
    resources: Resources, source: Found, times: Times, rules: RuleSet | None, institution: str
) -> tuple[Result, ...]:
    """The items of a laboratory report, panels opened; what is wrong with them is noted in ``times.problems``."""
    reader = _Laboratory(resources, source, times, _Mapper(rules=rules, institution=institution))
    return tuple(reader.results())


def study_of(
    resources: Resources, source: Found, times: Times, rules: RuleSet | None, institution: str
) -> tuple[Result, ...]:
    """The one item of an imaging report: the study, by the report's own code."""
    mapper, report = _Mapper(rules=rules, institution=institution), source.resource
    started = []
    for path, reference in source.texts("imagingStudy"):
        text = reference.get("reference")
        study = resources.resolve(text, source) if isinstance(text, str) else None
        if study is None:
            times.problems.append(problem("fhir.images-elsewhere", path))
        elif study.type != "ImagingStudy":
            times.problems.append(problem("fhir.reference-type", path, type=study.type, expected="ImagingStudy"))
        else:
            started.append(times.of(study, study.resource, "", "started"))
    taken = min((time for time in started if time is not None), default=None)
    if taken is None:
        taken = times.of(source, report, "", *_EFFECTIVE)
    named = mapper.code(report.get("code"))
    if named is None:
        times.problems.append(problem("fhir.code-missing", f"{source.path}.code"))
        return ()
    system, code = named
    mapped = mapper.place(report.get("code"), fields.Value())
    _note(times, source.path, code, mapped, None, taken)
    return (
        Result(
            place=0,
            system=system,
            code=code,
            item=mapped.item,
            state=mapped.state,
            status=str(report.get("status")),
            taken_s=taken,
        ),
    )


class _Laboratory:
    """The Observations of one report."""

    def __init__(self, resources: Resources, source: Found, times: Times, mapper: _Mapper) -> None:
        self._resources = resources
        self._source = source
        self._times = times
        self._mapper = mapper
        self._seen: set[str] = set()
        self._specimens: dict[str, int | None] = {}
        self._own: tuple[int | None, Found | None] | None = None

    def results(self) -> Iterator[Result]:
        """Every item, in the order of the report."""
        place = 0
        for observation in self._observations(self._source, "result", 0):
            for result in self._items(observation, place):
                place += 1
                if place > MAX_RESULTS + 1:
                    return
                yield result

    def _observations(self, source: Found, name: str, depth: int) -> Iterator[Found]:
        for path, reference in source.texts(name):
            found = self._resolve(path, reference, source, "Observation")
            if found is None or found.path in self._seen:
                continue
            self._seen.add(found.path)
            yield found
            if depth < _MAX_PANELS:
                yield from self._observations(found, "hasMember", depth + 1)

    def _items(self, found: Found, place: int) -> Iterator[Result]:
        element = found.resource
        status = str(element.get("status"))
        if status not in _STATUSES:
            self._remark("fhir.status", f"{found.path}.status", status=_shown(status), type="Observation")
        components = list(found.texts("component"))
        panel = bool(components or element.get("hasMember"))
        valued = any(name.startswith("value") for name in element)
        parts = components if panel and not valued else [(found.path, element), *components]
        specimen_s, specimen = self._specimen(found)
        taken = specimen_s if specimen_s is not None else self._times.of(found, element, "", *_EFFECTIVE)
        if taken is None:
            taken = self._times.of(self._source, self._source.resource, "", *_EFFECTIVE)
        for offset, (path, part) in enumerate(parts):
            named = self._mapper.code(part.get("code"))
            if named is None:
                self._remark("fhir.code-missing", f"{path}.code")
                continue
            wrong = fields.wrong_type(part)
            if wrong:
                self._remark("fhir.invalid", f"{path}.{wrong}", reason="a JSON number or boolean is expected here")
            system, code = named
            value = fields.value_of(part)
            mapped = self._mapper.place(part.get("code"), value)
            low, high = fields.limits(part, value.unit)
            _note(self._times, path, code, mapped, value.unit, taken)
            yield Result(
                place=place + offset,
                system=system,
                code=code,
                item=mapped.item,
                state=mapped.state,
                status=status,
                taken_s=taken,
                value=value.number,
                text=value.text,
                unit=value.unit,
                canonical=mapped.canonical,
                specimen=self._mapper.specimen(specimen),
                method=fields.concept_text(element.get("method")),
                low=low,
                high=high,
            )

    def _specimen(self, found: Found) -> tuple[int | None, Found | None]:
        """(when it was taken, the specimen) of one Observation: its own, else the oldest of the report."""
        reference = found.resource.get("specimen")
        if isinstance(reference, Mapping) and reference.get("reference"):
            specimen = self._resolve(f"{found.path}.specimen", reference, found, "Specimen")
            return (self._collected(specimen), specimen) if specimen is not None else (None, None)
        if self._own is None:
            known = [
                specimen
                for path, item in self._source.texts("specimen")
                if item.get("reference") and (specimen := self._resolve(path, item, self._source, "Specimen"))
            ]
            times = [time for specimen in known if (time := self._collected(specimen)) is not None]
            self._own = (min(times, default=None), known[0] if len(known) == 1 else None)
        return self._own

    def _collected(self, specimen: Found) -> int | None:
        if specimen.path not in self._specimens:
            collection = specimen.resource.get("collection")
            self._specimens[specimen.path] = (
                self._times.of(specimen, collection, ".collection", *_COLLECTED)
                if isinstance(collection, Mapping)
                else None
            )
        return self._specimens[specimen.path]

    def _resolve(self, path: str, reference: Mapping[str, Any], source: Found, expected: str) -> Found | None:
        text = reference.get("reference")
        found = self._resources.resolve(text, source) if isinstance(text, str) else None
        if found is None:
            self._remark("fhir.reference", path)
        elif found.type != expected:
            self._remark("fhir.reference-type", path, type=found.type, expected=expected)
            return None
        return found

    def _remark(self, finding: str, path: str, /, **values: str) -> None:
        self._times.problems.append(problem(finding, path, **values))


def _note(times: Times, path: str, code: str, mapped: Mapped, unit: str | None, taken: int | None) -> None:
    if mapped.item is None:
        times.problems.append(problem("fhir.code-unmapped", f"{path}.code", code=_shown(code)))
    elif mapped.state == "unmapped-unit":
        times.problems.append(problem("fhir.unit-unmapped", path, unit=_shown(unit or "none")))
    if taken is None:
        times.problems.append(problem("fhir.time-missing", path))


def _shown(text: str) -> str:
    """A code as messages quote it: short, and nothing that steers a terminal."""
    return text[:40] if text.isprintable() else ascii(text)[:40]
