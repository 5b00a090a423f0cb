"""An identity number is valid here exactly where python-stdnum says so of it as it is written."""

from __future__ import annotations

import random

import pytest
from stdnum.cn import ric
from stdnum.exceptions import ValidationError

from ledger.medical.fhirfields import valid_identity
from tests.ledger.medical.bundles import identity_number


def by_stdnum(number: str) -> bool:
    try:
        return bool(ric.validate(number) == number)
    except (ValidationError, KeyError):
        # Where a province has no county of that number it raises what is none of its errors.
        return False


@pytest.mark.parametrize(
    ("number", "valid"),
    [
        (identity_number(7), True),
        (identity_number(7, region="999999"), False),
        (identity_number(7, born="19900231"), False),
        (identity_number(7, born="00000101"), False),
        (identity_number(7, region="119999"), False),
        (identity_number(7)[:-1], False),
        (f" {identity_number(7)}", False),
        (f"{identity_number(7)}\n", False),
        (identity_number(7).replace("1", "\N{FULLWIDTH DIGIT ONE}"), False),
        (identity_number(7).replace("1", "\N{ARABIC-INDIC DIGIT ONE}"), False),
        ("", False),
    ],
)
def test_as_stdnum_says(number: str, valid: bool) -> None:
    assert valid_identity(number) == by_stdnum(number) == valid


def test_of_any_region_year_and_check_character_as_stdnum_says() -> None:
    chance = random.Random(20261123)
    seen = set()
    for _ in range(3_000):
        region = f"{chance.choice((11, 12, 13, 31, 32, 44, 50, 65))}{chance.randrange(5):02d}{chance.randrange(30):02d}"
        born = f"{chance.randrange(1900, 2030)}{chance.randrange(14):02d}{chance.randrange(33):02d}"
        number = identity_number(chance.randrange(1_000), region=region, born=born)
        if chance.random() < 0.2:
            number = number[:-1] + chance.choice("0123456789Xx")
        assert valid_identity(number) == by_stdnum(number), number
        seen.add(valid_identity(number))
    assert seen == {True, False}
