"""Signed notes and verifier keys, by the specification's own examples and by mutation."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvalidInputError, LedgerError
from ledger.evidence.checkpoint import parse_checkpoint, verify_checkpoint
from ledger.evidence.note import (
    ED25519_COSIGNATURE,
    ED25519_NOTE,
    MAX_SIGNATURES,
    Note,
    NoteSignature,
    VKey,
    add_signature,
    parse_note,
    parse_signature_line,
    parse_vkey,
    vkey,
)

#: From signed-note.md and from the tessera test log: public test keys.
SPEC_VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
TESSERA_VKEY = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
LINE = str(NoteSignature(name="a.example/log", key_id=b"\1\2\3\4", signature=b"s" * 64))
NOTE = f"some text\n\nmore\n\n{LINE}".encode()


def code_of(call: object, *args: object) -> str:
    with pytest.raises(InvalidInputError) as caught:
        call(*args)  # type: ignore[operator]
    return caught.value.code


@pytest.mark.parametrize("text", [SPEC_VKEY, TESSERA_VKEY])
def test_verifier_keys_of_others(text: str) -> None:
    key = parse_vkey(text)
    assert key.type == ED25519_NOTE
    assert str(key) == text
    assert vkey(key.name, key.type, key.public) == text


@pytest.mark.parametrize(
    "text",
    [
        "", "a", "a+b", SPEC_VKEY + "\n", SPEC_VKEY.replace("530d", "530e"), SPEC_VKEY.replace("foo", "bar"),
        SPEC_VKEY.replace("+Aek", "+Bek"), SPEC_VKEY[:-1], SPEC_VKEY + "=", SPEC_VKEY.replace("example", "exa mple"),
        SPEC_VKEY.upper(), SPEC_VKEY.replace("2k", "2l"),
    ],
)  # fmt: skip
def test_verifier_keys_that_are_none(text: str) -> None:
    assert code_of(parse_vkey, text) == "note.vkey"


def test_other_signature_types_are_not_spoken() -> None:
    assert code_of(parse_vkey, vkey("a", 6, bytes(32))) == "note.vkey"
    assert parse_vkey(vkey("a", ED25519_COSIGNATURE, bytes(32))).type == ED25519_COSIGNATURE


def test_the_same_key_under_another_type_has_another_id() -> None:
    ids = {VKey(name="a", type=type_, public=bytes(32)).key_id for type_ in (ED25519_NOTE, ED25519_COSIGNATURE)}
    assert len(ids) == 2


def test_the_text_ends_at_the_last_empty_line() -> None:
    note = parse_note(NOTE)
    assert note.text == "some text\n\nmore\n"
    assert [item.name for item in note.signatures] == ["a.example/log"]
    assert bytes(note) == NOTE


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\n\n", b"text\n\n", b"text\n" + LINE.encode(), b"text\n\n" + LINE.encode()[:-1], b"\n\n" + LINE.encode(),
        b"text\r\n\n" + LINE.encode(), b"te\txt\n\n" + LINE.encode(), b"text\xff\n\n" + LINE.encode(),
        b"text\n\n" + LINE.encode() + b"x", b"text\n\n" + LINE.replace("\u2014", "-").encode(),
        b"text\n\n" + LINE.replace("\u2014 ", "\u2014  ").encode(), b"text\n\n" + LINE.replace("a.ex", "a+ex").encode(),
        b"text\n\n" + LINE.replace("a.ex", "a\u3000ex").encode(), b"text\n\n" + LINE.replace("=\n", "\n").encode(),
        b"text\n\n\xe2\x80\x94 a AQID\n", b"text\n\n\xe2\x80\x94 a AQIDBA==\n",
    ],
)  # fmt: skip
def test_notes_that_are_none(data: bytes) -> None:
    assert code_of(parse_note, data).startswith("note.")


def test_bounds() -> None:
    lines = "".join(LINE.replace("a.example", f"{number}.example") for number in range(MAX_SIGNATURES + 1))
    assert code_of(parse_note, b"t\n\n" + lines.encode()) == "note.signatures"
    sixteen = "".join(lines.splitlines(keepends=True)[:16])
    assert len(parse_note(b"t\n\n" + sixteen.encode()).signatures) == 16
    assert code_of(parse_note, b"t" * 65_536 + b"\n\n" + LINE.encode()) == "note.too-large"


@given(st.binary(max_size=80))
def test_noise(data: bytes) -> None:
    try:
        note = parse_note(data)
    except InvalidInputError:
        return
    assert bytes(note) == data


@given(st.integers(0, len(NOTE) - 1), st.integers(1, 255))
def test_what_parses_is_written_the_same(place: int, change: int) -> None:
    changed = NOTE[:place] + bytes([NOTE[place] ^ change]) + NOTE[place + 1 :]
    try:
        note = parse_note(changed)
    except InvalidInputError:
        return
    assert bytes(note) == changed


def test_adding_a_signature_replaces_one_of_the_same_key() -> None:
    other = str(NoteSignature(name="b.example/log", key_id=b"\1\2\3\4", signature=b"t" * 64))
    again = str(NoteSignature(name="a.example/log", key_id=b"\1\2\3\4", signature=b"u" * 64))
    both = add_signature(NOTE, other)
    assert [item.name for item in parse_note(both).signatures] == ["a.example/log", "b.example/log"]
    replaced = parse_note(add_signature(both, again))
    assert [(item.name, item.signature[:1]) for item in replaced.signatures] == [
        ("b.example/log", b"t"),
        ("a.example/log", b"u"),
    ]
    assert parse_signature_line(again) in replaced.signatures
    full = bytes(Note(text="t\n", signatures=tuple(parse_signature_line(LINE) for _ in range(MAX_SIGNATURES))))
    assert len(parse_note(add_signature(full, again)).signatures) == 1
    assert code_of(add_signature, NOTE, "no line") == "note.signature"


def test_tessera_checkpoints_verify_by_our_rules(vectors: Path) -> None:
    log = parse_vkey(TESSERA_VKEY)
    folder = vectors / "tessera-testlog" / "testdata" / "log"
    for size in range(16):
        data = (folder / f"checkpoint.{size}").read_bytes()
        note = parse_note(data)
        assert bytes(note) == data
        witnessed = verify_checkpoint(note, log, (), 0)
        assert witnessed.checkpoint == parse_checkpoint(note.text)
        assert witnessed.checkpoint.size == size
        spoiled = data.replace(f"\n{size}\n".encode(), f"\n{size + 1}\n".encode())
        with pytest.raises(LedgerError):
            verify_checkpoint(spoiled, log, (), 0)
