"""What single elements of FHIR resources say: codes, quantities, times, identifiers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, Final

from stdnum.cn import ric
from stdnum.exceptions import ValidationError

from ledger.errors import InvalidInputError
from ledger.identifiers import parse_uscc
from ledger.medical.fhirjson import Number
from ledger.medical.fhirtimes import seconds

UCUM: Final = "http://unitsofmeasure.org"
LOINC: Final = "http://loinc.org"
#: Where an identity number (公民身份号码) is named as one: the register of health informatics' object identifiers, and
#: HL7's type of a Chinese national person identifier.
_IDENTITY_SYSTEMS: Final = frozenset({"urn:oid:2.16.156.10011.1.3"})
_IDENTITY_TYPE: Final = "NNCHN"
_IDENTITY: Final = re.compile("[0-9]{17}[0-9X]")
_ONE: Final = Number("1")
#: Longest worded value that is kept as the value of a result; the resource itself is kept whole.
_MAX_TEXT: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A value: ``number`` a decimal text, ``text`` words or a code. ``coded``: ``unit`` is a UCUM code."""

    number: str | None = None
    text: str | None = None
    unit: str | None = None
    coded: bool = False


def codings(concept: object) -> tuple[tuple[str, str], ...]:
    """(system, code) of every coding that has a code."""
    found = concept.get("coding") if isinstance(concept, Mapping) else None
    return tuple(
        (str(item.get("system", "")), str(item["code"]))
        for item in (found if isinstance(found, list) else [])
        if isinstance(item, Mapping) and item.get("code")
    )


def concept_text(concept: object) -> str | None:
    """A CodeableConcept in one word: its first code, else its text."""
    codes = codings(concept)
    if codes:
        return codes[0][1]
    text = concept.get("text") if isinstance(concept, Mapping) else None
    return text if isinstance(text, str) and text else None


def value_of(element: Mapping[str, Any]) -> Value:
    """``value[x]`` of an Observation or a component of one."""
    quantity = element.get("valueQuantity")
    if isinstance(quantity, Mapping):
        return _quantity(quantity)
    number = element.get("valueInteger")
    if isinstance(number, Number):
        return Value(number=number.text)
    concept = element.get("valueCodeableConcept")
    if isinstance(concept, Mapping):
        first: Mapping[str, Any] = next(iter(concept.get("coding") or ({},)))
        shown = concept.get("text") or first.get("display") or first.get("code")
        return Value(text=str(shown)[:_MAX_TEXT] if shown else None)
    for name in ("valueString", "valueDateTime", "valueTime"):
        if isinstance(element.get(name), str):
            return Value(text=element[name][:_MAX_TEXT])
    if isinstance(element.get("valueBoolean"), bool):
        return Value(text="true" if element["valueBoolean"] else "false")
    for name, parts, between in (
        ("valueRange", ("low", "high"), "-"),
        ("valueRatio", ("numerator", "denominator"), ":"),
    ):
        pair = element.get(name)
        if isinstance(pair, Mapping):
            return Value(text=between.join(_shown(pair.get(part)) for part in parts))
    return Value()


def wrong_type(element: Mapping[str, Any]) -> str:
    """Which value is no JSON number or boolean where FHIR asks for one, empty for none. The validator takes texts for
    them; a result that one reader takes for a number and another for a text is no result.
    """
    if not isinstance(element.get("valueInteger", _ONE), Number):
        return "valueInteger"
    if not isinstance(element.get("valueBoolean", True), bool):
        return "valueBoolean"
    sides = [("valueQuantity", element.get("valueQuantity"))]
    for place, item in enumerate(element.get("referenceRange") or ()):
        sides += [(f"referenceRange[{place}].{side}", item.get(side)) for side in ("low", "high")]
    for name, quantity in sides:
        if isinstance(quantity, Mapping) and not isinstance(quantity.get("value", _ONE), Number):
            return f"{name}.value"
    return ""


def limits(element: Mapping[str, Any], unit: str | None) -> tuple[str | None, str | None]:
    """(low, high) of the first reference range that speaks in the value's own unit."""
    for item in element.get("referenceRange") or ():
        low, high = item.get("low") or {}, item.get("high") or {}
        if any(_unit(side) not in (None, unit) for side in (low, high)):
            continue
        if "value" in low or "value" in high:
            return _digits(low), _digits(high)
    return None, None


def identity_number(identifier: Mapping[str, Any]) -> str | None:
    """The identity number an Identifier says it holds, as it stands there; None when it is of another kind."""
    types = {code for _, code in codings(identifier.get("type"))}
    if identifier.get("system") not in _IDENTITY_SYSTEMS and _IDENTITY_TYPE not in types:
        return None
    value = identifier.get("value")
    return value if isinstance(value, str) else ""


def valid_identity(number: str) -> bool:
    """Whether an identity number is well formed, check digit included. Source: GB 11643-1999, by python-stdnum."""
    if _IDENTITY.fullmatch(number) is None or number[-1] != ric.calc_check_digit(number):
        return False
    try:
        date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    return _was_place(number[:6], number[6:10])


@lru_cache(maxsize=4_096)
def _was_place(place: str, year: str) -> bool:
    """Whether there was a county of this number in a year: to look it up takes longer than all else of a number."""
    try:
        return bool(ric.get_birth_place(f"{place}{year}0101"))
    except (ValidationError, KeyError):
        # It stumbles where a province has no county of that number.
        return False


def identifiers(resource: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every Identifier of a resource that is not an old one."""
    found = resource.get("identifier")
    for item in found if isinstance(found, list) else [found]:
        if isinstance(item, Mapping) and item.get("use") != "old":
            yield item


def named(identifier: Mapping[str, Any]) -> str | None:
    """``system|value`` of an Identifier; None without a value."""
    value = identifier.get("value")
    return f"{identifier.get('system', '')}|{value}" if isinstance(value, str) and value else None


def uscc_of(resource: Mapping[str, Any]) -> str | None:
    """The unified social credit code among an Organization's identifiers."""
    for identifier in identifiers(resource):
        value = identifier.get("value")
        if isinstance(value, str) and len(value) == 18:
            try:
                return parse_uscc(value)
            except InvalidInputError:
                continue
    return None


def time_of(element: Mapping[str, Any], *names: str) -> tuple[str, str | None]:
    """(element name, text) of the first of some elements that is there: a dateTime, or the start of a Period, or its
    end where it has no start, or the first event of a Timing."""
    for name in names:
        value = element.get(name)
        if isinstance(value, str):
            return name, value
        if isinstance(value, Number):
            return name, f"the number {value.text}"
        if isinstance(value, Mapping):
            for part in ("start", "end"):
                if isinstance(value.get(part), str):
                    return f"{name}.{part}", value[part]
            events = value.get("event")
            if isinstance(events, list) and events and isinstance(events[0], str):
                return f"{name}.event[0]", min(events, key=lambda text: seconds(text) or 0)
    return "", None


def _quantity(quantity: Mapping[str, Any]) -> Value:
    number, unit = _digits(quantity), _unit(quantity)
    coded = quantity.get("system") == UCUM and isinstance(quantity.get("code"), str)
    comparator = quantity.get("comparator")
    if number is not None and isinstance(comparator, str):
        # "Less than 5" is no 5: as a text it stays what it is, and no conversion makes a number of it.
        return Value(text=f"{comparator}{number}", unit=unit, coded=coded)
    return Value(number=number, unit=unit, coded=coded)


def _digits(quantity: object) -> str | None:
    value = quantity.get("value") if isinstance(quantity, Mapping) else None
    return value.text if isinstance(value, Number) else None


def _unit(quantity: object) -> str | None:
    if not isinstance(quantity, Mapping):
        return None
    names = ("code", "unit") if quantity.get("system") == UCUM else ("unit", "code")
    return next((quantity[name] for name in names if isinstance(quantity.get(name), str)), None)


def _shown(quantity: object) -> str:
    return f"{_digits(quantity) or ''}{_unit(quantity) or ''}"
