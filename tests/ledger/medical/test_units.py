"""Values between UCUM units: exact, texts, and nothing that UCUM forbids."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.medical.mapping import place
from ledger.medical.units import convert, is_unit
from tests.ledger.medical.worlds import ISSUER, ruleset


@pytest.mark.parametrize(
    ("value", "unit", "wanted", "mass", "expected"),
    [
        # The same unit: to the byte.
        ("6.30", "mmol/L", "mmol/L", None, "6.30"),
        ("1e3", "g/L", "g/L", None, "1e3"),
        ("37.0", "Cel", "Cel", None, "37.0"),
        # A power of ten moves the point and keeps the digits.
        ("12.5", "g/dL", "g/L", None, "125"),
        ("0.50", "g/L", "mg/dL", None, "50"),
        ("1.0", "10*9/L", "/uL", None, "1000"),
        ("7.40", "10^9/L", "10*9/L", None, "7.40"),
        ("0.450", "L/L", "%", None, "45.0"),
        ("-2.5", "mmol/L", "umol/L", None, "-2500"),
        ("1e3", "g/L", "g/dL", None, "100"),
        ("3", "m[IU]/mL", "[IU]/L", None, "3"),
        ("0.00", "g/L", "g/dL", None, "0.00"),
        # Any other factor: as many digits as were there, at least three.
        ("5.60", "mmol/L", "mg/dL", "180.156", "101"),
        ("5.6", "mmol/L", "mg/dL", "180.156", "101"),
        ("1", "mmol/L", "mg/dL", "180.156", "18.0"),
        ("90.00", "mg/dL", "mmol/L", "180.156", "4.996"),
        ("120", "mm[Hg]", "kPa", None, "16.0"),
        ("30", "U/L", "ukat/L", None, "0.50"),
        ("2.345", "nmol/L", "ng/mL", "288.42", "0.6763"),
        # Half to even: 0.0625 by three digits.
        ("3.00", "U/L", "ukat/L", None, "0.0500"),
        ("3.75", "U/L", "ukat/L", None, "0.0625"),
        ("3.7515", "U/L", "ukat/L", None, "0.062525"),
        # What has no factor.
        ("5.6", "mmol/L", "mg/dL", None, None),
        ("5.6", "mmol/L", "mg", "180.156", None),
        ("5.6", "mmol/L", "mg/dL", "0", None),
        ("5", "[IU]/L", "10*9/L", None, None),
        ("5", "[IU]/L", "U/L", None, None),
        ("5", "[IU]/L", "[arb'U]/L", None, None),
        ("5", "meq/L", "mmol/L", None, None),
        ("5", "mosm/L", "mmol/L", None, None),
        ("37", "Cel", "[degF]", None, None),
        ("7", "[pH]", "1", None, None),
        ("5", "mmol/Litre", "mmol/L", None, None),
        ("5", "mmol/L", "", None, None),
        ("5", "MMOL/L", "mmol/L", None, None),
        # What is no decimal of FHIR.
        ("05", "g/L", "g/dL", None, None),
        ("5,6", "g/L", "g/dL", None, None),
        ("<5", "g/L", "g/dL", None, None),
        ("NaN", "g/L", "g/dL", None, None),
        ("٣", "g/L", "g/dL", None, None),
        ("5\n", "g/L", "g/dL", None, None),
        ("1e999", "g/L", "g/dL", None, None),
        ("1" * 41, "g/L", "g/dL", None, None),
        # Nor is what comes out.
        ("5", "10*40.10*40.g", "g", None, None),
        ("5", "g/10*40/10*40", "g", None, None),
    ],
)
def test_conversions(value: str, unit: str, wanted: str, mass: str | None, expected: str | None) -> None:
    assert convert(value, unit, wanted, mass) == expected


@pytest.mark.parametrize(
    "unit",
    ["mmol/L", "10*9/L", "m[IU]/L", "{INR}", "%", "/[HPF]", "/{HPF}", "[pH]", "1", "mm/h", "mg/g{creat}", "g/(24.h)",
     "mm[Hg]", "kat/L", "[arb'U]/mL", "dB", "{a}{b}", "((m))"],
)  # fmt: skip
def test_units_of_ucum(unit: str) -> None:
    assert is_unit(unit)


@pytest.mark.parametrize(
    "unit", ["", "mmol/Litre", "g / L", "x10*9/L", "μmol/L", "((((m))))", "(" * 60, "m999999999", "10*41", "m" * 65]
)
def test_what_is_no_unit_of_ucum(unit: str) -> None:
    assert not is_unit(unit)


@given(
    number=st.integers(min_value=1, max_value=10**12), places=st.integers(min_value=0, max_value=12), down=st.booleans()
)
def test_converted_values_differ_by_no_more_than_the_rounding(number: int, places: int, down: bool) -> None:
    value = format(Decimal(number).scaleb(-places), "f")
    units = ("mmol/L", "mg/dL") if down else ("mg/dL", "mmol/L")
    factor = Fraction("18.0156") if down else 1 / Fraction("18.0156")
    got = convert(value, *units, "180.156")
    assert got is not None
    exact = Fraction(value) * factor
    digits = max(len(value.replace(".", "").lstrip("0")), 3)
    # Half a unit in the last of that many digits.
    assert abs(Fraction(got) - exact) <= exact * Fraction(1, 2 * 10 ** (digits - 1))
    assert len(got.replace(".", "").lstrip("0")) >= digits or "." not in got


@given(number=st.integers(min_value=0, max_value=10**15), places=st.integers(min_value=0, max_value=15))
def test_a_power_of_ten_comes_back_unchanged_as_a_number(number: int, places: int) -> None:
    value = format(Decimal(number).scaleb(-places), "f")
    there = convert(value, "g/L", "ng/mL")
    assert there is not None
    back = convert(there, "ng/mL", "g/L")
    assert back is not None
    assert Decimal(back) == Decimal(value)


@pytest.mark.parametrize(
    ("codings", "value", "unit", "text", "expected"),
    [
        ([("http://loinc.org", "14749-6")], "5.6", "mmol/L", None, ("glucose", "mapped", "5.6")),
        ([("http://loinc.org", "2345-7")], "101", "mg/dL", None, ("glucose", "mapped", "5.61")),
        ([("urn:x", "?"), ("urn:local", "GLU")], "5.6", "mmol/L", None, ("glucose", "mapped", "5.6")),
        ([("urn:local", "HGB")], "125", "g/L", None, ("haemoglobin", "mapped", "125")),
        ([("urn:x", "?")], "5.6", "mmol/L", None, (None, "unmapped-code", None)),
        ([], "5.6", "mmol/L", None, (None, "unmapped-code", None)),
        # Two codes that mean different items: nobody can tell which is wrong.
        ([("urn:local", "GLU"), ("http://loinc.org", "718-7")], "5", "g/L", None, (None, "unmapped-code", None)),
        ([("urn:local", "GLU")], "5.6", "mmol", None, ("glucose", "unmapped-unit", None)),
        ([("urn:local", "GLU")], "5.6", None, None, ("glucose", "unmapped-unit", None)),
        ([("urn:local", "GLU")], None, None, "high", ("glucose", "unmapped-unit", None)),
        ([("urn:local", "GLU")], None, None, None, ("glucose", "mapped", None)),
        ([("http://loinc.org", "5196-1")], None, None, "negative", ("hbsag", "mapped", None)),
        ([("http://loinc.org", "5196-1")], "0.01", "[IU]/mL", None, ("hbsag", "unmapped-unit", None)),
        ([("http://loinc.org", "24627-2")], None, None, None, ("ct-chest", "mapped", None)),
    ],
)
def test_mapping(
    codings: list[tuple[str, str]], value: str | None, unit: str | None, text: str | None, expected: tuple[object, ...]
) -> None:
    got = place(ruleset(), institution=ISSUER, codings=codings, value=value, unit=unit, text=text)
    assert (got.item, got.state, got.canonical) == expected
