"""Identifiers of licences: the standard's check character, the widespread wrong one, and what is no identifier."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvalidInputError
from ledger.licences.identifier import CheckRule, LicenceIdentifier, make, parse, parse_type_code, widespread_check

TYPE = "11100000000013338W011"
ISSUER = "11430000006122244L"
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
serials = st.text(ALPHABET, min_size=1, max_size=40)


def by_the_book(body: str) -> str:
    """ISO 7064, hybrid systems, as the standard tells it: the character that brings the sum to 1."""
    product = 36
    for character in body:
        total = (product + ALPHABET.index(character)) % 36
        product = (36 if total == 0 else total) * 2 % 37
    return next(check for check in ALPHABET if (product + ALPHABET.index(check)) % 36 == 1)


@pytest.fixture(scope="session")
def china(vectors: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((vectors / "china" / "vectors.json").read_text("utf-8"))["e_licence_identifier"]
    return found


def test_identifiers_seen_in_the_field(china: dict[str, Any]) -> None:
    assert len(china["valid"]) == 4
    for text in china["valid"]:
        found = parse(text)
        assert found.rule is CheckRule.STANDARD
        assert str(found) == text


def test_those_of_the_widespread_routine_are_told_apart(china: dict[str, Any]) -> None:
    (case,) = china["in_the_field_but_wrong_check_character"]
    found = parse(case["id"])
    assert found.rule is CheckRule.WIDESPREAD
    assert by_the_book(found.type_code + found.issuer + found.serial + "001") == case["standard_gives"]


def test_the_example_of_the_standard(china: dict[str, Any]) -> None:
    example = china["iso7064_mod37_36_example"]
    assert by_the_book(example["input"]) == example["check"]


@given(serials, st.integers(1, 999))
def test_what_is_made_is_read(serial: str, version: int) -> None:
    made = make(TYPE, ISSUER, serial, version)
    assert made.check == by_the_book(f"{TYPE}{ISSUER}{serial}{version:03d}")
    assert parse(str(made)) == made


@given(serials, st.sampled_from(ALPHABET))
def test_every_check_character_has_one_reading(serial: str, check: str) -> None:
    body = f"{TYPE}{ISSUER}{serial}001"
    found = parse(f"1.2.156.3005.2.{TYPE}.{ISSUER}.{serial}.001.{check}").rule
    if check == by_the_book(body):
        assert found is CheckRule.STANDARD
    elif check == widespread_check(body):
        assert found is CheckRule.WIDESPREAD
    else:
        assert found is CheckRule.NONE


def test_a_mistyped_character_is_noticed() -> None:
    text = str(make(TYPE, ISSUER, "20230000403"))
    assert parse(text.replace("20230000403", "20230000404")).rule is CheckRule.NONE


GOOD = str(make(TYPE, ISSUER, "20230000403"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        GOOD.removeprefix("1."),
        GOOD.replace("1.2.156", "1.2.157"),
        GOOD.lower(),
        GOOD + ".",
        GOOD + " ",
        " " + GOOD,
        GOOD[:-2],
        GOOD[:-1] + "-",
        GOOD[:-1] + "AB",
        GOOD.replace(".001.", ".000."),
        GOOD.replace(".001.", ".1."),
        GOOD.replace("20230000403", "2023-403"),
        GOOD.replace("20230000403", "湘建安许证字403"),
        GOOD.replace("20230000403", ""),
        GOOD.replace(TYPE, "11100000000013338X011"),
        GOOD.replace(TYPE, "11100000000013338W01A"),
        GOOD.replace(ISSUER, "11430000006122244M"),
        GOOD.replace(ISSUER, "1143"),
        GOOD.replace("20230000403", "A" * 65),
    ],
)
def test_what_is_no_identifier(text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse(text)
    assert caught.value.code == "licence.identifier"


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        ("licence.type-code", ("11100000000013338W01", ISSUER, "1", 1)),
        ("licence.type-code", ("11100000000013338X011", ISSUER, "1", 1)),
        ("identifier.uscc", (TYPE, "340100", "1", 1)),
        ("licence.serial", (TYPE, ISSUER, "湘建安许证字", 1)),
        ("licence.serial", (TYPE, ISSUER, "abc", 1)),
        ("licence.serial", (TYPE, ISSUER, "", 1)),
        ("licence.version", (TYPE, ISSUER, "1", 0)),
        ("licence.version", (TYPE, ISSUER, "1", 1000)),
    ],
)
def test_what_is_not_made(code: str, arguments: tuple[str, str, str, int]) -> None:
    with pytest.raises(InvalidInputError) as caught:
        make(*arguments)
    assert caught.value.code == code


@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    with pytest.raises(InvalidInputError):
        parse(text)
    with pytest.raises(InvalidInputError):
        parse_type_code(text)


def test_older_identifiers_name_a_division_or_an_organisation() -> None:
    found = parse("1.2.156.3005.2.11100000MB03271699022.340100.000000016.001.9")
    assert isinstance(found, LicenceIdentifier)
    assert found.issuer == "340100"
