"""Identifiers are accepted in exactly one form."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import identifiers as ids
from ledger.errors import InvalidInputError

GOOD = "11100000000013338W"


def code_of(call: object, *args: object) -> str:
    with pytest.raises(InvalidInputError) as caught:
        call(*args)  # type: ignore[operator]
    return caught.value.code


def test_uscc_check_characters_of_the_standard(vectors: Path) -> None:
    facts = json.loads((vectors / "china" / "vectors.json").read_text())["uscc_gb32100"]
    assert facts["valid"]
    for uscc in facts["valid"]:
        assert ids.parse_uscc(uscc) == uscc
        for last in facts["alphabet"]:
            if last != uscc[-1]:
                assert code_of(ids.parse_uscc, uscc[:-1] + last) == "identifier.uscc"


def test_uscc_check_character() -> None:
    assert ids.parse_uscc(GOOD) == GOOD
    for last in "0123456789ABCDEFGHJKLMNPQRTUXY":
        assert code_of(ids.parse_uscc, GOOD[:-1] + last) == "identifier.uscc"


@pytest.mark.parametrize(
    "text", ["", GOOD.lower(), f" {GOOD}", f"{GOOD}\n", "111000-00000013338W", GOOD[:-1], GOOD + "0", "１" + GOOD[1:]]
)
def test_uscc_has_one_spelling(text: str) -> None:
    assert code_of(ids.parse_uscc, text) == "identifier.uscc"


def test_member_id_on_chain() -> None:
    assert ids.member_bytes32(GOOD) == GOOD.encode() + bytes(14)
    assert ids.member_from_bytes32(GOOD.encode() + bytes(14)) == GOOD
    assert code_of(ids.member_from_bytes32, bytes(14) + GOOD.encode()) == "identifier.bytes32"
    assert code_of(ids.member_from_bytes32, b"Anchors".ljust(32, b"\0")) == "identifier.uscc"


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=32))
def test_ascii_bytes32_round_trip(text: str) -> None:
    assert ids.text_from_bytes32(ids.ascii_bytes32(text)) == text


@pytest.mark.parametrize("data", [b"", bytes(32), b"a" * 33, b"a\0b".ljust(32, b"\0"), b"\xc3\xa9".ljust(32, b"\0")])
def test_bytes32_that_is_no_text(data: bytes) -> None:
    assert code_of(ids.text_from_bytes32, data) == "identifier.bytes32"


@pytest.mark.parametrize("text", ["", "a" * 33, "a b", "é", "\x7f"])
def test_text_that_is_no_bytes32(text: str) -> None:
    assert code_of(ids.ascii_bytes32, text) == "identifier.bytes32"


@pytest.mark.parametrize("text", ["310000", "110101", "440524"])
def test_regions_of_the_national_table(text: str) -> None:
    assert ids.parse_region(text) == text


@pytest.mark.parametrize("text", ["", "31", "999999", "3100000", "31000a", "３１００００", "310000\n"])
def test_no_region(text: str) -> None:
    assert code_of(ids.parse_region, text) == "identifier.region"


def test_handles_and_purposes_and_resource_codes() -> None:
    assert ids.parse_handle("data-authority-2") == "data-authority-2"
    assert ids.parse_purpose("public-service.v2") == "public-service.v2"
    assert ids.parse_resource_code("310000/DIV_2026.1") == "310000/DIV_2026.1"
    for text in ("", "Ä", "A", "a" * 33, "a b", "a\n"):
        assert code_of(ids.parse_handle, text) == "identifier.handle"
        assert code_of(ids.parse_purpose, text) == "identifier.purpose"
    for text in ("", "/a", "a b", "a" * 65, "a\n"):
        assert code_of(ids.parse_resource_code, text) == "identifier.resource-code"
    assert code_of(ids.parse_purpose, "-a") == "identifier.purpose"


def test_hex32() -> None:
    assert ids.parse_hex32("0x" + "0f" * 32) == ids.parse_hex32("0f" * 32) == b"\x0f" * 32
    for text in ("", "0F" * 32, "0f" * 31, "0x" + "0f" * 33, "0f" * 32 + "\n", "x0" + "0f" * 32):
        assert code_of(ids.parse_hex32, text) == "identifier.hex32"


def test_dataset_id_is_the_digest_of_its_lines() -> None:
    expected = hashlib.sha256(f"civicledger/dataset/v1\n{GOOD}\nDIV/2026".encode()).digest()
    assert ids.dataset_id(GOOD, "DIV/2026") == expected
    assert ids.dataset_id(GOOD, "DIV/2027") != expected


def test_origins() -> None:
    assert ids.origin("310000", "audit") == "310000.audit.civicledger/log"
    assert ids.origin("310000", "audit", 2) == "310000.audit.civicledger/log/2"
    assert ids.witness_name("310000", "audit") == "310000.audit.civicledger/witness"
    for generation in (0, -1, 65_536):
        assert code_of(ids.origin, "310000", "audit", generation) == "identifier.generation"
    assert code_of(ids.origin, "999999", "audit") == "identifier.region"
    assert code_of(ids.origin, "310000", "Audit") == "identifier.handle"
