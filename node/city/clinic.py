"""Reports of a few hospitals about people who do not exist, as their systems would send them in FHIR R4.

The mix is that of daily work: most results may be recognised; others are old, not final, in codes or units nobody
mapped, without a time, or from a laboratory that failed its assessment; a few are refused at the door. The same
arguments give the same reports. Identity numbers are well-formed and of people born in the 1900s.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from stdnum.cn import ric

from ledger.medical.certificates import FINDING_SYSTEM

LOINC: Final = "http://loinc.org"
_UCUM: Final = "http://unitsofmeasure.org"
_SPECIMENS: Final = "http://terminology.hl7.org/CodeSystem/v2-0487"
_CATEGORIES: Final = "http://terminology.hl7.org/CodeSystem/v2-0074"
_IDENTIFIERS: Final = "http://terminology.hl7.org/CodeSystem/v2-0203"
#: Codes that a hospital made itself, and that no rule set maps.
_LOCAL: Final = "urn:demo:local-codes"
_PATIENTS: Final = "urn:demo:patients"
_IDENTITIES: Final = "urn:oid:2.16.156.10011.1.3"
#: A value as it is written: all but its last digit, and that.
_NUMBER: Final = re.compile(rb'"value":([0-9.]*)([0-9])')
_HOUR_S, _DAY_S = 3_600, 86_400
#: What the hospital's door does not let in.
REFUSED: Final = frozenset({"two patients", "in the future", "cut short", "other resource"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A report as a hospital's system sends it. ``institution``: USCC; ``identity``: the patient's number; ``patient``:
    how the hospital files him; ``data``: FHIR JSON; ``fate``: what is the matter with it, ``plain`` for nothing."""

    institution: str
    identity: str
    patient: str
    data: bytes
    fate: str

    @property
    def refused(self) -> bool:
        """Whether it is not let in."""
        return self.fate in REFUSED


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessed:
    """An item of a hospital as its quality assessment found it. ``item``: id of the starting rule set."""

    institution: str
    item: str
    passed: bool


@dataclass(frozen=True, slots=True)
class _Measured:
    """An item: its id in the starting rule set, LOINC, unit (none: a code), and between which values it lies."""

    item: str
    loinc: str
    unit: str = ""
    low: str = ""
    high: str = ""


_M = _Measured
#: Panel -> (specimen, items).
_PANELS: Final[dict[str, tuple[str, tuple[_Measured, ...]]]] = {
    "blood count": (
        "BLDV",
        (
            _M("wbc", "6690-2", "10*9/L", "3.50", "9.50"),
            _M("rbc", "789-8", "10*12/L", "3.80", "5.80"),
            _M("haemoglobin", "718-7", "g/L", "115", "175"),
            _M("haematocrit", "4544-3", "%", "35.0", "50.0"),
            _M("mcv", "787-2", "fL", "82.0", "100.0"),
            _M("mch", "785-6", "pg", "27.0", "34.0"),
            _M("mchc", "786-4", "g/L", "316", "354"),
            _M("platelets", "777-3", "10*9/L", "125", "350"),
            _M("neutrophils", "751-8", "10*9/L", "1.80", "6.30"),
            _M("neutrophils-share", "770-8", "%", "40.0", "75.0"),
            _M("lymphocytes", "731-0", "10*9/L", "1.10", "3.20"),
            _M("lymphocytes-share", "736-9", "%", "20.0", "50.0"),
            _M("monocytes", "742-7", "10*9/L", "0.10", "0.60"),
            _M("monocytes-share", "5905-5", "%", "3.0", "10.0"),
            _M("eosinophils", "711-2", "10*9/L", "0.02", "0.52"),
            _M("eosinophils-share", "713-8", "%", "0.4", "8.0"),
            _M("basophils", "704-7", "10*9/L", "0.00", "0.06"),
        ),
    ),
    "lipids": (
        "SER",
        (
            _M("cholesterol-total", "14647-2", "mmol/L", "2.80", "6.20"),
            _M("triglycerides", "14927-8", "mmol/L", "0.50", "2.30"),
            _M("hdl-cholesterol", "14646-4", "mmol/L", "0.90", "2.10"),
            _M("ldl-cholesterol", "22748-8", "mmol/L", "1.50", "4.10"),
        ),
    ),
    "liver": (
        "SER",
        (
            _M("alt", "1742-6", "U/L", "7", "60"),
            _M("ast", "1920-8", "U/L", "13", "45"),
            _M("ggt", "2324-2", "U/L", "7", "60"),
            _M("alp", "6768-6", "U/L", "35", "135"),
            _M("bilirubin-total", "14631-6", "umol/L", "3.0", "26.0"),
            _M("albumin", "1751-7", "g/L", "38.0", "55.0"),
        ),
    ),
    "kidney": (
        "SER",
        (
            _M("creatinine", "14682-9", "umol/L", "41", "111"),
            _M("urea", "22664-7", "mmol/L", "2.60", "9.50"),
            _M("uric-acid", "14933-6", "umol/L", "155", "430"),
            _M("potassium", "2823-3", "mmol/L", "3.50", "5.30"),
            _M("sodium", "2951-2", "mmol/L", "137", "147"),
        ),
    ),
    "diabetes": (
        "BLDV",
        (_M("hba1c", "4548-4", "%", "4.2", "9.5"),),
    ),
    "thyroid": (
        "SER",
        (
            _M("tsh", "3016-3", "m[IU]/L", "0.35", "4.94"),
            _M("free-t4", "14920-3", "pmol/L", "9.0", "19.1"),
            _M("free-t3", "14928-6", "pmol/L", "2.4", "5.7"),
        ),
    ),
    "hepatitis B": (
        "SER",
        (_M("hbsag", "5196-1"), _M("hbsab", "10900-9"), _M("hbeag", "13954-3"), _M("hbcab", "13952-7")),
    ),
}
_STUDIES: Final = (
    _M("ct-chest", "24627-2"),
    _M("xr-chest", "30745-4"),
    _M("us-abdomen", "24558-9"),
    _M("mr-brain", "24590-2"),
    _M("ecg", "11524-6"),
    _M("echocardiography", "42148-7"),
)
#: What is the matter with how many of a hundred reports; the others are plain.
_MIX: Final = {
    "old": 9,
    "not final": 4,
    "local code": 5,
    "odd unit": 4,
    "without time": 3,
    "other specimen": 3,
    "in mg/dL": 4,
    "two patients": 2,
    "in the future": 1,
    "cut short": 1,
    "other resource": 1,
}
#: Of a panel only these can have it; of any report, imaging too, the others.
_OF_PANELS: Final = frozenset({"local code", "odd unit", "other specimen", "in mg/dL"})


def reports(hospitals: Sequence[str], now_s: int, count: int = 300) -> tuple[Sent, ...]:
    """``count`` reports of hospitals (USCC), made up to the moment ``now_s`` (Unix seconds), in order of issue."""
    return tuple(sent for _, sent in sorted(_reports(hospitals, now_s, count), key=lambda pair: pair[0]))


def assessments(hospitals: Sequence[str]) -> tuple[Assessed, ...]:
    """What the quality centre found of every item the hospitals report: the second hospital failed two, the last one
    did not take part with the thyroid."""
    items = [one.item for _, part in _PANELS.values() for one in part] + [one.item for one in _STUDIES]
    without = {one.item for one in _PANELS["thyroid"][1]}
    return tuple(
        Assessed(institution=hospital, item=item, passed=not (place == 1 and item in ("ggt", "triglycerides")))
        for place, hospital in enumerate(hospitals)
        for item in dict.fromkeys(items)
        if not (hospital == hospitals[-1] and item in without)
    )


def examination(hospital: str, identity: str, kind: str, now_s: int) -> Sent:
    """An examination for a certificate that finds a person fit; ``kind``: id of the examination, ``food-handler``."""
    draw, taken_s = random.Random(identity), now_s - _HOUR_S  # noqa: S311 - an invented report
    visit = _Visit(draw=draw, number=999_999, fate="plain", hospital=hospital, taken_s=taken_s, issued_s=now_s)
    report, *others = visit.resources(identity, "X00001")
    report["conclusionCode"] = [{"coding": [{"system": FINDING_SYSTEM, "code": f"{kind}-fit"}]}]
    data = _data("plain", [report, *others])
    return Sent(institution=hospital, identity=identity, patient=f"{_PATIENTS}|X00001", data=data, fate="plain")


def corrected(sent: Sent) -> Sent:
    """The same report as it is sent once more, its first value another one.

    Raises: ValueError for a report without a number.
    """
    data = sent.data.replace(b'"status":"final"', b'"status":"corrected"', 1)
    found = _NUMBER.search(data)
    if found is None:
        raise ValueError("no number to correct")
    last = b"%d" % ((int(found[2]) + 1) % 10)
    return replace(sent, data=data[: found.start(2)] + last + data[found.end(2) :])


def _reports(hospitals: Sequence[str], now_s: int, count: int) -> Iterator[tuple[int, Sent]]:
    draw = random.Random("civicledger/clinic/1")  # noqa: S311 - invented reports: the same ones each time
    fates = [fate for fate, share in _MIX.items() for _ in range(share)]
    fates += ["plain"] * (100 - len(fates))
    patients = [_identity(number) for number in range(max(count // 5, 1))]
    for number in range(count):
        # Every hundred reports have the whole mix, in an order of their own.
        if number % 100 == 0:
            draw.shuffle(fates)
        fate, hospital = fates[number % 100], draw.choice(hospitals)
        patient = draw.randrange(len(patients))
        issued_s = now_s - draw.randrange(_HOUR_S, 4 * _DAY_S)
        taken_s = issued_s - draw.randrange(_HOUR_S, 20 * _HOUR_S)
        if fate == "old":
            taken_s -= draw.randrange(100, 200) * _DAY_S
        if fate == "in the future":
            taken_s = issued_s = now_s + 2 * _DAY_S
        visit = _Visit(draw=draw, number=number, fate=fate, hospital=hospital, taken_s=taken_s, issued_s=issued_s)
        local = f"P{hospitals.index(hospital)}{patient:05d}"
        resources = visit.resources(patients[patient], local)
        yield (
            issued_s,
            Sent(
                institution=hospital,
                identity=patients[patient],
                patient=f"{_PATIENTS}|{local}",
                data=_data(fate, resources),
                fate=fate,
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Visit:
    """One examination of a patient at a hospital."""

    draw: random.Random
    number: int
    fate: str
    hospital: str
    taken_s: int
    issued_s: int

    def resources(self, identity: str, local: str) -> list[dict[str, Any]]:
        """The report and everything it points to."""
        subject = {"reference": f"Patient/{local}"}
        found = [_patient(local, identity), _organization(self.hospital)]
        if self.fate == "two patients":
            found.append(_patient(local + "x", _identity(90_000 + self.number)))
        if self.fate in _OF_PANELS or self.draw.random() < 0.8:
            return [*self._laboratory(subject), *found]
        return [*self._imaging(subject), *found]

    def _report(self, subject: dict[str, str], category: str, code: str, **more: Any) -> dict[str, Any]:
        return {
            "resourceType": "DiagnosticReport",
            "id": f"report-{self.number}",
            "identifier": [{"system": "urn:demo:reports", "value": f"R{self.number:06d}"}],
            "status": "preliminary" if self.fate == "not final" else "final",
            "category": [{"coding": [{"system": _CATEGORIES, "code": category}]}],
            "code": {"coding": [{"system": LOINC, "code": code}]},
            "subject": subject,
            "performer": [{"reference": "Organization/laboratory"}],
            "issued": _instant(self.issued_s),
            **more,
        }

    def _laboratory(self, subject: dict[str, str]) -> list[dict[str, Any]]:
        names = list(_PANELS)
        # Another unit, and another specimen, are told of a panel that has them.
        name = {"in mg/dL": "lipids", "other specimen": "liver", "odd unit": "kidney"}.get(
            self.fate
        ) or self.draw.choice(names)
        kind, measured = _PANELS[name]
        specimen: dict[str, Any] = {
            "resourceType": "Specimen",
            "id": "specimen",
            "type": {"coding": [{"system": _SPECIMENS, "code": "UR" if self.fate == "other specimen" else kind}]},
            "subject": subject,
        }
        if self.fate != "without time":
            specimen["collection"] = {"collectedDateTime": _instant(self.taken_s)}
        results = [self._observation(one, place, subject) for place, one in enumerate(measured)]
        report = self._report(
            subject,
            "LAB",
            "11502-2",
            specimen=[{"reference": "Specimen/specimen"}],
            result=[{"reference": f"Observation/item-{place}"} for place in range(len(results))],
        )
        return [report, specimen, *results]

    def _observation(self, measured: _Measured, place: int, subject: dict[str, str]) -> dict[str, Any]:
        code = {"system": LOINC, "code": measured.loinc}
        if self.fate == "local code" and place % 2 == 0:
            code = {"system": _LOCAL, "code": f"X{place:03d}"}
        found: dict[str, Any] = {
            "resourceType": "Observation",
            "id": f"item-{place}",
            "status": "preliminary" if self.fate == "not final" else "final",
            "code": {"coding": [code]},
            "subject": subject,
            "specimen": {"reference": "Specimen/specimen"},
        }
        if not measured.unit:
            return found | {"valueString": self.draw.choice(("阴性", "阴性", "阴性", "阳性"))}
        value, unit = _between(self.draw, measured.low, measured.high), measured.unit
        if self.fate == "in mg/dL":
            value, unit = _between(self.draw, "40", "180"), "mg/dL"
        if self.fate == "odd unit" and place % 2 == 0:
            unit = "单位"
        quantity = {"value": msgspec.Raw(value.encode()), "unit": unit}
        if unit != "单位":
            quantity |= {"system": _UCUM, "code": unit}
        return found | {"valueQuantity": quantity}

    def _imaging(self, subject: dict[str, str]) -> list[dict[str, Any]]:
        study = self.draw.choice(_STUDIES)
        images: dict[str, Any] = {
            "resourceType": "ImagingStudy",
            "id": "study",
            "status": "available",
            "subject": subject,
        }
        if self.fate != "without time":
            images["started"] = _instant(self.taken_s)
        report = self._report(
            subject,
            "RAD",
            study.loinc,
            imagingStudy=[{"reference": "ImagingStudy/study"}],
            conclusion="演示：未见异常。",
        )
        return [report, images]


def _data(fate: str, resources: list[dict[str, Any]]) -> bytes:
    base = "https://his.demo.invalid/fhir"
    entries = [{"fullUrl": f"{base}/{one['resourceType']}/{one['id']}", "resource": one} for one in resources]
    data = msgspec.json.encode({"resourceType": "Bundle", "type": "collection", "entry": entries})
    spoilt: dict[str, Callable[[], bytes]] = {
        "cut short": lambda: data[: len(data) * 2 // 3],
        "other resource": lambda: msgspec.json.encode(resources[-1]),
    }
    return spoilt[fate]() if fate in spoilt else data


def _patient(local: str, identity: str) -> dict[str, Any]:
    number = {"type": {"coding": [{"system": _IDENTIFIERS, "code": "MR"}]}, "system": _PATIENTS}
    identifiers = [number | {"value": local}, {"system": _IDENTITIES, "value": identity}]
    return {"resourceType": "Patient", "id": local, "identifier": identifiers}


def _organization(uscc: str) -> dict[str, Any]:
    return {"resourceType": "Organization", "id": "laboratory", "identifier": [{"system": "urn:uscc", "value": uscc}]}


def _identity(number: int) -> str:
    body = (
        f"310101190{number // 31_000 % 10}{number // 2_604 % 12 + 1:02d}{number % 28 + 1:02d}{number // 28 % 1_000:03d}"
    )
    return body + str(ric.calc_check_digit(body + "0"))


def _between(draw: random.Random, low: str, high: str) -> str:
    """A decimal between two, with as many places as the first has."""
    places = len(low.partition(".")[2])
    number = draw.randint(int(low.replace(".", "")), round(float(high) * 10**places))
    digits = str(number).rjust(places + 1, "0")
    return digits if not places else f"{digits[:-places]}.{digits[-places:]}"


def _instant(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
