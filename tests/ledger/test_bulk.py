"""Records in bulk: the native recogniser and line reader say what the catalogue and the library say, byte for byte."""

from __future__ import annotations

import json
import random
import string
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from ledger import codec
from ledger.bulk import APPENDABLE, BATCH_BYTES, BATCH_RECORDS, BulkSchema, OddLine
from ledger.codec import encode_record
from ledger.errors import InvalidInputError, LedgerError
from ledger.events import TYPES
from ledger.model import Record, format_time, parse_time

MEMBER = "11100000000013338W"
NOW = 1_790_000_000_000
SCHEMA = BulkSchema(MEMBER)
HEX = "0123456789abcdef" * 4
GOOD = {
    "commitment": st.just(HEX),
    "digest": st.just(HEX),
    "id": st.text("0123456789abcdef", min_size=64, max_size=64),
    "label": st.from_regex(r"[0-9A-Za-z][0-9A-Za-z._:/-]{0,63}", fullmatch=True),
    "purpose": st.from_regex(r"[a-z0-9][a-z0-9.-]{0,31}", fullmatch=True),
    "uint": st.one_of(st.integers(0, 2**53 - 1), st.sampled_from([0, 9, 10, 2**53 - 1])),
}
#: Values that stand at an edge of what a kind takes, or beyond it.
EDGES = st.sampled_from(
    (
        *(HEX[:-1], HEX + "0", HEX.upper(), "", "a" * 33, "A" * 65, "-a", ".a", "a\n", "a\u00e9", "\uff10", "\u0660"),
        *(-1, 2**53, 10**17, 1.0, True, None, [], {}, ["a"], {"a": 1}, "\U0001f600", "a b", '"', "\\", "\x00"),
    )
)


def bodies(type_: str, values: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    kinds = {field.name: values[field.kind.name] for field in TYPES[type_].fields}
    optional = {name: kinds.pop(name) for name in [f.name for f in TYPES[type_].fields if f.optional]}
    return st.fixed_dictionaries(kinds, optional=optional)


LINES = st.sampled_from(sorted(APPENDABLE)).flatmap(
    lambda type_: st.fixed_dictionaries(
        {"type": st.just(type_), "body": bodies(type_, GOOD)},
        optional={"time": st.integers(0, 4 * 10**12).map(format_time), "member": st.just(MEMBER), "v": st.just(1)},
    )
)


def loose(value: Any, choose: random.Random) -> str:
    """A JSON text of the value as any program might write it: order, white space and escapes by chance."""
    blank = "".join(choose.choices(" \t\r", k=choose.choice([0, 0, 1, 2])))
    if isinstance(value, dict):
        items = [f"{loose(k, choose)}:{loose(v, choose)}" for k, v in choose.sample(sorted(value.items()), len(value))]
        text = "{" + blank + ",".join(items) + "}"
    elif isinstance(value, str):
        text = "".join(f"\\u{ord(c):04x}" if c in string.ascii_letters and choose.random() < 0.1 else c for c in value)
        text = f'"{text}"'
    else:
        text = json.dumps(value)
    return blank + text + blank


def library(value: dict[str, Any]) -> bytes:
    """The record of a line by the library: the catalogue in Python, then the encoder of others."""
    record = Record(
        type=value["type"],
        member=value.get("member", MEMBER),
        time_ms=parse_time(value.get("time", format_time(NOW))),
        body=value["body"],
    )
    encoded = encode_record(record)
    plain = {"body": record.body, "member": record.member, "time": format_time(record.time_ms), "type": record.type}
    assert encoded == rfc8785.dumps(plain | {"v": 1})
    return encoded


@given(LINES, st.randoms(use_true_random=False))
def test_lines_become_the_library_s_records(value: dict[str, Any], choose: random.Random) -> None:
    line = loose(value, choose).encode()
    piece = SCHEMA.first_lines(line, NOW)
    assert piece.rows == (library(value),)
    assert piece.taken == len(line)
    assert SCHEMA.native.odd(list(piece.rows)) == []
    SCHEMA.check([row for row in piece.rows if isinstance(row, bytes)])


@given(LINES, EDGES, st.sampled_from(["body", "field", "type", "time", "member", "v", "more"]), st.data())
def test_a_spoilt_line_is_never_taken_for_something_else(
    value: dict[str, Any], edge: Any, where: str, data: st.DataObject
) -> None:
    spoilt = json.loads(json.dumps(value))
    if where == "field":
        spoilt["body"][data.draw(st.sampled_from(sorted(spoilt["body"])))] = edge
    elif where == "more":
        spoilt["body"][data.draw(st.sampled_from(["a", "zz", "syste", "système"]))] = edge
    else:
        spoilt[where] = edge
    [row] = SCHEMA.first_lines(json.dumps(spoilt).encode(), NOW).rows
    if "v" in spoilt and (type(spoilt["v"]) is not int or spoilt["v"] != 1):
        assert isinstance(row, OddLine)
        return
    try:
        expected = library(spoilt)
        SCHEMA.judge(expected, "the record")
    except (LedgerError, TypeError, AttributeError):
        assert isinstance(row, OddLine)
    else:
        assert row == expected


@given(LINES, st.data())
def test_changed_bytes_of_a_record_are_recognised_only_when_they_are_a_record(
    value: dict[str, Any], data: st.DataObject
) -> None:
    record = bytearray(library(value))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(record) - 1))
        record[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    changed = bytes(record)
    if SCHEMA.native.odd([changed]) == []:
        # Passing is the claim of both judges at once.
        codec.decode(changed)
        SCHEMA.judge(changed, "the record")
    [row] = SCHEMA.first_lines(changed.replace(b"\n", b" "), NOW).rows or (None,)
    if isinstance(row, bytes):
        SCHEMA.judge(row, "the record")
        assert library(json.loads(changed.replace(b"\n", b" "))) == row


@pytest.mark.parametrize(
    "line",
    [
        '{"type":"erasure.done","type":"erasure.done","body":{}}',
        '{"type":"erasure.done","body":{},"body":{}}',
        "[]", "{}", "null",
        "{", '{"type"', '{"type":"', '{"type":"\\', '{"type":"\\u12', '{"type":"\\ud800"}', "\ufeff{}",
        '{"type":"erasure.done","body":{"basis":"x","basis":"x","commitment":"' + HEX + '"}}',
        '{"type":"erasure.done","body":{"basis":"x","commitment":"' + HEX + '",}}',
        '{"type":"erasure.done","body":{"basis":"x","commitment":"' + HEX + '"}}}',
        '{"type":"erasure.done","body":{"basis":"x","commitment":"' + HEX + '"},"v":01}',
        '{"type":"erasure.done","body":{"basis":"x","commitment":"' + HEX + '"},"time":"1969-12-31T23:59:59.999Z"}',
        '{"type":"erasure.done","body":{"basis":"x","commitment":"' + HEX + '"},"time":"2026-02-29T00:00:00.000Z"}',
        '{"type":"erasure.done","body":' + '{"a":' * 5_000 + "1" + "}" * 5_001,
        '{"type":"erasure.done","body":{' + ",".join(f'"f{n}":1' for n in range(5_000)) + "}}",
    ],
)  # fmt: skip
def test_what_is_not_plain_is_left_to_the_library(line: str) -> None:
    data = line.encode("utf-8", "surrogatepass")
    assert SCHEMA.first_lines(data, NOW).rows == (OddLine(number=0, start=0, end=len(data)),)


def test_the_29th_of_february() -> None:
    body = {"basis": "x", "commitment": HEX}
    for day, plain in (("2024-02-29", True), ("2000-02-29", True), ("2100-02-29", False), ("2024-04-31", False)):
        line = json.dumps({"type": "erasure.done", "body": body, "time": f"{day}T00:00:00.000Z"}).encode()
        [row] = SCHEMA.first_lines(line, NOW).rows
        assert isinstance(row, bytes) == plain, day


def test_pieces_are_cut_by_lines_and_by_bytes_and_cover_everything() -> None:
    plain = json.dumps({"type": "erasure.done", "body": {"basis": "x", "commitment": HEX}}).encode()
    data = b"\n".join([plain, b"", b"  \t\r", b"{bad", plain] * 700)
    at = lines = 0
    rows: list[bytes | OddLine] = []
    while at < len(data):
        piece = SCHEMA.first_lines(data[at:], NOW)
        assert 0 < len(piece.rows) <= BATCH_RECORDS
        for row in piece.rows:
            if isinstance(row, OddLine):
                assert data[at + row.start : at + row.end] == b"{bad"
                assert (lines + row.number) % 5 == 3
        rows += piece.rows
        at, lines = at + piece.taken, lines + piece.lines
    assert (len(rows), lines, at) == (3 * 700, 5 * 700, len(data))
    long = b'"' + b"x" * BATCH_BYTES + b'"\n'
    piece = SCHEMA.first_lines(long + plain, NOW)
    assert (piece.taken, piece.lines) == (len(long), 1)
    assert SCHEMA.first_lines(plain + b"\n" + long, NOW).lines == 1
    assert SCHEMA.first_lines(b"", NOW).rows == ()


@pytest.mark.parametrize("name", ["arrays", "french", "structures", "unicode", "values", "weird"])
def test_jcs_vectors_are_never_records(vectors: Path, name: str) -> None:
    """The RFC's own texts as bodies: canonical or refused by the library, left alone by the line reader."""
    text = (vectors / "jcs-rfc8785" / "testdata" / "input" / f"{name}.json").read_bytes().replace(b"\n", b" ")
    line = b'{"type":"access.used","body":' + text + b"}"
    assert SCHEMA.first_lines(line, NOW).rows == (OddLine(number=0, start=0, end=len(line)),)
    with pytest.raises((InvalidInputError, AttributeError)):
        library(json.loads(line))


ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=5),
    max_leaves=25,
)


@given(ANY)
def test_the_native_encoder_writes_what_the_library_of_others_writes(value: Any) -> None:
    assert codec.encode(value) == rfc8785.dumps(value)
    assert codec.encode({"k": (value, value)}) == rfc8785.dumps({"k": [value, value]})
