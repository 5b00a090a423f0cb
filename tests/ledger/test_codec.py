"""Canonical bytes: one encoding a value, nothing else decodes; digests and commitments as written down."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import codec
from ledger.errors import InvalidInputError
from ledger.model import Record

USCC = "11100000000013338W"
SAFE = st.integers(-(2**53) + 1, 2**53 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | SAFE | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


def code_of(call: Any, *args: Any, **named: Any) -> str:
    with pytest.raises(InvalidInputError) as caught:
        call(*args, **named)
    return caught.value.code


def book_encode(value: Any) -> bytes:
    """RFC 8785 as the book has it, for our narrowed values: the oracle."""
    if isinstance(value, dict):
        items = sorted(value.items(), key=lambda item: item[0].encode("utf-16-be"))
        return b"{" + b",".join(book_encode(k) + b":" + book_encode(v) for k, v in items) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(book_encode(item) for item in value) + b"]"
    return json.dumps(value, ensure_ascii=False).encode("utf-8")


@given(JSON)
def test_round_trip_and_the_book(value: Any) -> None:
    data = codec.encode(value)
    assert data == book_encode(value)
    assert codec.decode(data) == value


@given(JSON, st.data())
def test_changed_bytes_never_decode_to_the_same_value(value: Any, data: st.DataObject) -> None:
    encoded = bytearray(codec.encode(value))
    place = data.draw(st.integers(0, len(encoded) - 1))
    encoded[place] ^= data.draw(st.integers(1, 255))
    try:
        decoded = codec.decode(bytes(encoded))
    except InvalidInputError:
        return
    assert codec.encode(decoded) == bytes(encoded)
    # Equality of Python takes True for 1: the encodings tell them apart.
    assert codec.encode(decoded) != codec.encode(value)


@given(st.binary(max_size=60))
def test_noise_is_refused_or_is_its_own_encoding(data: bytes) -> None:
    try:
        value = codec.decode(data)
    except InvalidInputError:
        return
    assert codec.encode(value) == data


#: RFC 8785's own files -> what our narrowing says to the input: ``values`` and ``structures`` hold floats.
JCS_FILES = {
    "arrays": None,
    "french": None,
    "structures": "json.float",
    "unicode": None,
    "values": "json.float",
    "weird": None,
}


@pytest.mark.parametrize("name", JCS_FILES)
def test_jcs_vectors(vectors: Path, name: str) -> None:
    folder = vectors / "jcs-rfc8785" / "testdata"
    expected = (folder / "output" / f"{name}.json").read_bytes()
    value = json.loads((folder / "input" / f"{name}.json").read_bytes())
    if JCS_FILES[name] is None:
        assert codec.encode(value) == expected
    else:
        assert code_of(codec.encode, value) == JCS_FILES[name]
    if name == "values":
        assert code_of(codec.decode, expected) == "json.number"
    else:
        assert codec.encode(codec.decode(expected)) == expected


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1.0}', b'{"a":1e3}', b'{"a":-0}', b'{"a":9007199254740992}', b'{"a":1,"a":1}', b'{"b":1,"a":1}',
        b'{"a":1} ', b' {"a":1}', b'{"a": 1}', b'{"a":1}{}', b'{"a":"\\u00e9"}', b'{"a":"\\/"}', b'"\\ud800"',
        b"\xef\xbb\xbf{}", b"NaN", b"Infinity", b"nul", b"[1,]", b"{,}", b'{"a"}', b"\xff", b"", b'"\x01"', b"'a'",
    ],
)  # fmt: skip
def test_second_spellings_are_refused(data: bytes) -> None:
    assert code_of(codec.decode, data).startswith("json.")


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (1.0, "json.float"), (float("nan"), "json.float"), ({"a": [0.5]}, "json.float"), (2**53, "json.integer"),
        (-(2**53), "json.integer"), ({1: 2}, "json.key"), (b"x", "json.type"), ({"a": {1, 2}}, "json.type"),
        ("\ud800", "json.text"), ({"\udfff": 1}, "json.text"),
    ],
)  # fmt: skip
def test_values_without_a_canonical_form(value: Any, code: str) -> None:
    assert code_of(codec.encode, value) == code


def test_depth_is_bounded_on_both_sides() -> None:
    deep: Any = "end"
    for _ in range(16):
        deep = [deep]
    assert codec.decode(codec.encode(deep)) == deep
    assert code_of(codec.encode, [deep]) == "json.depth"
    assert code_of(codec.decode, b"[" * 17 + b"]" * 17) == "json.depth"
    assert code_of(codec.decode, b"[" * 50_000) == "json.depth"


def test_size_is_bounded_before_anything_is_read() -> None:
    data = codec.encode("x" * 59_998)
    assert len(data) == 60_000
    assert codec.decode(data) == "x" * 59_998
    assert code_of(codec.decode, codec.encode("x" * 59_999)) == "json.size"
    assert codec.decode(codec.encode("x" * 59_999), max_bytes=60_001)


def test_domain_digest_and_commitment_as_written() -> None:
    assert codec.domain_digest("a", b"b") == hashlib.sha256(b"civicledger/a/v1\nb").digest()
    salt, value = bytes(range(32)), b"value"
    expected = hashlib.sha256(
        b"civicledger/commit/v1\n" + b"\0\0\0\4" + b"type" + salt + hashlib.sha256(value).digest()
    ).digest()
    assert codec.commitment("type", salt, value) == expected
    assert codec.commitment_of_digest("type", salt, hashlib.sha256(value).digest()) == expected
    assert codec.commitment("typ", b"e" + salt[:31], value) != expected
    assert code_of(codec.commitment, "type", salt[:31], value) == "commitment.salt"
    assert code_of(codec.commitment_of_digest, "type", salt, value) == "commitment.digest"


@given(st.binary(max_size=50))
def test_base64_round_trip(data: bytes) -> None:
    assert codec.b64(data) == base64.b64encode(data).decode()
    assert codec.unb64(codec.b64(data), len(data)) == data


@pytest.mark.parametrize(
    "text", ["A", "AA", "AA=", "AB==", "AAB=", "AAAA\n", " AAAA", "AA==AA==", "A-_A", "ＡAAA", "===="]
)
def test_base64_has_one_spelling(text: str) -> None:
    assert code_of(codec.unb64, text) == "base64.invalid"


def test_base64_of_a_length() -> None:
    assert code_of(codec.unb64, "AAAA", 4) == "base64.length"


RECORD = Record(type="member.voted", member=USCC, time_ms=1_795_318_905_684, body={"proposal": 1, "yes": True})


def test_record_round_trip() -> None:
    data = codec.encode_record(RECORD)
    assert data == (
        b'{"body":{"proposal":1,"yes":true},"member":"11100000000013338W","time":"2026-11-22T03:41:45.684Z",'
        b'"type":"member.voted","v":1}'
    )
    assert codec.decode_record(data) == RECORD


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"v": 2}, "record.version"),
        ({"v": True}, "record.version"),
        ({"v": "1"}, "record.version"),
        ({"type": "member.fired"}, "record.type"),
        ({"type": 1}, "record.fields"),
        ({"member": "x"}, "identifier.uscc"),
        ({"member": None}, "record.fields"),
        ({"time": "2026-11-22"}, "time.format"),
        ({"time": 0}, "record.fields"),
        ({"body": []}, "record.fields"),
        ({"body": {"proposal": 1}}, "record.body"),
        ({"body": {"proposal": 1, "yes": 1}}, "record.body"),
        ({"body": {"proposal": 1, "yes": True, "who": "me"}}, "record.body"),
        ({"extra": 1}, "record.fields"),
    ],
)
def test_records_that_are_none(changes: dict[str, Any], code: str) -> None:
    value = json.loads(codec.encode_record(RECORD)) | changes
    assert code_of(codec.decode_record, codec.encode(value)) == code


def test_record_missing_a_field_or_not_an_object() -> None:
    value = json.loads(codec.encode_record(RECORD))
    for name in list(value):
        rest = {key: item for key, item in value.items() if key != name}
        assert code_of(codec.decode_record, codec.encode(rest)) == "record.fields"
    assert code_of(codec.decode_record, b"[]") == "record.fields"
    assert code_of(codec.decode_record, b"null") == "record.fields"


def test_encoding_checks_too() -> None:
    for changes, code in (
        ({"type": "x.y"}, "record.type"),
        ({"member": "x"}, "identifier.uscc"),
        ({"time_ms": -1}, "time.range"),
        ({"body": {"proposal": -1, "yes": True}}, "record.body"),
    ):
        fields = {"type": RECORD.type, "member": RECORD.member, "time_ms": 0, "body": RECORD.body} | changes
        assert code_of(codec.encode_record, Record(**fields)) == code
