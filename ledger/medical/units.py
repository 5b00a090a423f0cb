"""UCUM units, and values converted between them exactly: text in, text out, never a floating-point number.

The grammar and the definitions are those of the library ``ucumvert`` (the UCUM essence), which is loaded with the
first unit. They are evaluated here as fractions, for two reasons: what the library gives is floating-point numbers; and
in it an international unit is a plain number, so that 5 [IU]/L would convert into 5 cells per litre. UCUM forbids that:
an arbitrary unit converts into nothing but itself. Nor does an equivalent or an osmole into a mole, which depends on
the substance. Source: UCUM 2.2, sections 3 and 4; docs/formats.md, section "Medical rules".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from functools import cache, lru_cache
from typing import Any, Final

#: Characters of a unit, brackets in it, and powers: beyond them it is none of medicine's.
_MAX_UNIT: Final = 64
_MAX_BRACKETS: Final = 3
_MAX_POWER: Final = 40
#: A converted value is rounded to as many digits as the value as received has, and at least to these.
_LEAST_DIGITS: Final = 3
_MAX_DIGITS: Final = 40
_MAX_EXPONENT: Final = 40
#: Source: HL7 FHIR R4, datatype decimal.
_DECIMAL: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]{1,3}))?")
#: What counts particles of a substance: of itself here, so that no conversion passes through Avogadro's number.
_COUNTS: Final = frozenset({"mol", "eq", "osm"})

#: What a unit is: its factor, and the power of each base it is made of.
_Measure = tuple[Fraction, tuple[tuple[str, int], ...]]


def is_unit(text: str) -> bool:
    """Whether UCUM knows a unit (case-sensitive codes)."""
    return _measure(text) is not None


def convert(value: str, unit: str, wanted: str, molar_mass: str | None = None) -> str | None:
    """A decimal text in ``unit`` as a decimal text in ``wanted``; None where it cannot be converted.

    The same unit leaves the text as it is. A power of ten moves the point and keeps the digits. Any other factor is
    exact, and the product is rounded half to even to as many significant digits as ``value`` has, at least three.
    ``molar_mass`` (g/mol) lets mass and amount of substance convert into each other.
    """
    match = _DECIMAL.fullmatch(value)
    if match is None or len(value) > _MAX_DIGITS or abs(int(match[2] or 0)) > _MAX_EXPONENT:
        return None
    if unit == wanted:
        return value
    factor = _factor(unit, wanted, molar_mass)
    if factor is None:
        return None
    number = Decimal(value)
    if factor == 1 or not number:
        return value
    shift = _power_of_ten(factor)
    if shift is not None:
        return _written(number.scaleb(shift, _EXACT))
    digits = max(len(number.as_tuple().digits), _LEAST_DIGITS)
    exact = Fraction(number) * factor
    # One division of two exact integers, rounded once.
    rounding = Context(prec=digits, rounding=ROUND_HALF_EVEN)
    rounded = rounding.divide(Decimal(exact.numerator), Decimal(exact.denominator))
    # An exact quotient is shorter than the value was: its last zeros are digits too.
    missing = len(number.as_tuple().digits) - len(rounded.as_tuple().digits)
    if missing > 0:
        rounded = _EXACT.multiply(rounded.scaleb(-missing, _EXACT), Decimal(10**missing))
    return _written(rounded)


def _written(number: Decimal) -> str | None:
    """Plain digits; None for a number that no result is."""
    return format(number, "f") if abs(number.adjusted()) <= _MAX_DIGITS else None


_EXACT: Final = Context(prec=200)


@lru_cache(maxsize=4096)
def _factor(unit: str, wanted: str, molar_mass: str | None) -> Fraction | None:
    """What a number in ``unit`` is multiplied by to be one in ``wanted``; None where there is no such factor."""
    mine, other = _measure(unit), _measure(wanted)
    if mine is None or other is None:
        return None
    ratio = mine[0] / other[0]
    if mine[1] == other[1]:
        return ratio
    if molar_mass is None or Fraction(molar_mass) == 0:
        return None
    # Grams over moles: one more power of one and one less of the other.
    difference = dict(mine[1])
    for base, power in other[1]:
        difference[base] = difference.get(base, 0) - power
    left = {base: power for base, power in difference.items() if power}
    if left == {"g": 1, "mol": -1}:
        return ratio / Fraction(molar_mass)
    if left == {"g": -1, "mol": 1}:
        return ratio * Fraction(molar_mass)
    return None


@lru_cache(maxsize=256)
def _power_of_ten(factor: Fraction) -> int | None:
    power = len(str(factor.numerator)) - len(str(factor.denominator))
    return power if factor == Fraction(10) ** power else None


@lru_cache(maxsize=4096)
def _measure(text: str) -> _Measure | None:
    """The measure of a UCUM unit; None where UCUM does not know it."""
    # The library's grammar has several readings of a bracket: many of them, and it reads for hours.
    if not 0 < len(text) <= _MAX_UNIT or text.count("(") > _MAX_BRACKETS:
        return None
    from lark.exceptions import LarkError

    try:
        return _plain(_of(_table().parser.parse(text)))
    except (LarkError, _UnknownError):
        return None


class _UnknownError(Exception):
    """No unit, or one that is not used in medicine."""


class _Table:
    """The definitions of the library, each worked out when it is first used."""

    def __init__(self) -> None:
        from ucumvert.parser import get_ucum_parser
        from ucumvert.xml_util import get_base_units, get_units_with_full_definition, root

        self.parser: Any = get_ucum_parser()
        self.bases = frozenset(get_base_units())
        self.units: Mapping[str, Any] = {entry.code_cs: entry for entry in get_units_with_full_definition()}
        self.prefixes = {
            entry.attrib["Code"]: Fraction(entry.find("{*}value").attrib["value"])
            for entry in root.findall(".//{*}prefix[@Code]")
        }
        self._known: dict[str, _Bases] = {}

    def atom(self, code: str) -> _Bases:
        """The measure of a unit without prefix."""
        if code not in self._known:
            self._known[code] = self._worked_out(code)
        return self._known[code]

    def _worked_out(self, code: str) -> _Bases:
        if code in self.bases or code in _COUNTS:
            return Fraction(1), {code: 1}
        entry = self.units[code]
        # A unit on a scale of its own (pH, bel, degrees) has no factor: it is comparable to itself alone.
        if entry.is_arbitrary or entry.is_special:
            return Fraction(1), {code: 1}
        factor, powers = _of(self.parser.parse(entry.defining_unit))
        return Fraction(str(entry.conversion_factor)) * factor, powers


_Bases = tuple[Fraction, dict[str, int]]
_ONE: Final[_Bases] = (Fraction(1), {})


@cache
def _table() -> _Table:
    return _Table()


def _of(node: Any) -> _Bases:
    """The measure of a node of the library's parse tree."""
    if not hasattr(node, "children"):  # a token: an annotation alone is the unit one
        return _ONE
    parts = node.children
    if node.data == "simple_unit":
        return _simple(parts)
    if node.data == "annotatable":
        return _power(_of(parts[0]), int(parts[1]))
    if node.data == "term" and len(parts) == 3:
        return _product(_of(parts[0]), _of(parts[2]), -1 if parts[1] == "/" else 1)
    if node.data == "main_term" and len(parts) == 2:
        return _product(_ONE, _of(parts[1]), -1)
    return _of(parts[0])  # a component with its annotation, or one in brackets


def _simple(parts: list[Any]) -> _Bases:
    if parts[0].type == "FACTOR":
        return Fraction(int(parts[0])), {}
    factor, powers = _table().atom(str(parts[-1]))
    return (_table().prefixes[str(parts[0])] * factor if len(parts) == 2 else factor), powers


def _power(measure: _Bases, power: int) -> _Bases:
    if abs(power) > _MAX_POWER:
        raise _UnknownError
    return measure[0] ** power, {base: each * power for base, each in measure[1].items()}


def _product(left: _Bases, right: _Bases, sign: int) -> _Bases:
    powers = dict(left[1])
    for base, power in right[1].items():
        powers[base] = powers.get(base, 0) + sign * power
    return left[0] * right[0] ** sign, powers


def _plain(measure: _Bases) -> _Measure:
    return measure[0], tuple(sorted((base, power) for base, power in measure[1].items() if power))
