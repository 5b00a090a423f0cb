"""Checkpoints: quorums, cosignatures, inclusion receipts."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvalidInputError, LedgerError, UntrustedError
from ledger.evidence import merkle
from ledger.evidence.checkpoint import (
    ED25519_COSIGNATURE,
    ED25519_NOTE,
    Checkpoint,
    VKey,
    add_signature,
    cosign,
    format_checkpoint,
    format_proof,
    parse_checkpoint,
    parse_note,
    parse_proof,
    parse_vkey,
    quorum_of,
    select_cosignatures,
    sign_note,
    verify_checkpoint,
    verify_cosignature,
)
from ledger.keys import Ed25519Signer
from ledger.model import KeyRole

ORIGIN = "310000.audit.civicledger/log"
TIME = 1_795_318_905
CHECKPOINT = Checkpoint(origin=ORIGIN, size=11, root=b"r" * 32)
TEXT = format_checkpoint(CHECKPOINT)
LOG = Ed25519Signer(KeyRole.LOG, b"l" * 32)
LOG_KEY = VKey(name=ORIGIN, type=ED25519_NOTE, public=LOG.public)
WITNESSES = [Ed25519Signer(KeyRole.WITNESS, bytes([number]) * 32) for number in range(1, 6)]
WITNESS_KEYS = [
    VKey(name=f"310000.m{number}.civicledger/witness", type=ED25519_COSIGNATURE, public=witness.public)
    for number, witness in enumerate(WITNESSES)
]


def note_with(*numbers: int) -> bytes:
    note = sign_note(TEXT, ORIGIN, LOG)
    for number in numbers:
        note = add_signature(note, cosign(TEXT, WITNESS_KEYS[number].name, WITNESSES[number], TIME + number))
    return note


def refused(*args: object, **named: object) -> str:
    with pytest.raises(UntrustedError) as caught:
        verify_checkpoint(*args, **named)  # type: ignore[arg-type]
    return caught.value.code


def test_quorums_of_the_design() -> None:
    # active members: 1 nobody can witness; 5: of 4 others 3 (design, promise 3)
    assert [quorum_of(active) for active in range(1, 15)] == [1, 1, 2, 2, 3, 4, 4, 5, 6, 6, 7, 8, 8, 9]
    for active in range(2, 200):
        others = active - 1
        faulty = (others - 1) // 3
        assert quorum_of(active) <= others
        assert 2 * quorum_of(active) - others > faulty, "two quorums share an honest member"
    with pytest.raises(InvalidInputError):
        quorum_of(0)


def test_text_round_trip() -> None:
    assert f"{ORIGIN}\n11\ncnJycnJycnJycnJycnJycnJycnJycnJycnJycnJycnI=\n" == TEXT
    assert parse_checkpoint(TEXT) == CHECKPOINT


@pytest.mark.parametrize(
    "text",
    [
        "", TEXT[:-1], TEXT + "extension\n", TEXT + "\n", TEXT.replace("\n11\n", "\n011\n"), TEXT.replace("=", ""),
        TEXT.replace("\n11\n", "\n-1\n"), TEXT.replace("\n11\n", "\n9223372036854775808\n"),
        TEXT.replace("\n11\n", "\n\n"), TEXT.replace("\n11\n", "\n1１\n"), TEXT.replace("310000", "31 000"),
        TEXT.replace("cnJy", "cnJ"), TEXT.replace("nI=", "nJ="),
    ],
)  # fmt: skip
def test_texts_that_are_none(text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_checkpoint(text)
    assert caught.value.code == "checkpoint.format"


def test_a_quorum_of_others_makes_it_witnessed() -> None:
    witnessed = verify_checkpoint(note_with(0, 1, 2), LOG_KEY, WITNESS_KEYS[:4], 3)
    assert witnessed.checkpoint == CHECKPOINT
    assert [(item.key.name, item.time) for item in witnessed.cosignatures] == [
        (WITNESS_KEYS[number].name, TIME + number) for number in range(3)
    ]
    assert refused(note_with(0, 1), LOG_KEY, WITNESS_KEYS[:4], 3) == "checkpoint.quorum"


def test_unknown_signatures_are_ignored_live_but_not_in_a_bundle() -> None:
    note = note_with(0, 1, 4)
    assert len(verify_checkpoint(note, LOG_KEY, WITNESS_KEYS[:4], 2).cosignatures) == 2
    assert refused(note, LOG_KEY, WITNESS_KEYS[:4], 3) == "checkpoint.quorum"
    assert refused(note, LOG_KEY, WITNESS_KEYS[:4], 2, exact=True) == "checkpoint.signatures"
    assert verify_checkpoint(note_with(0, 1), LOG_KEY, WITNESS_KEYS[:4], 2, exact=True).log == LOG_KEY


def test_exactness_is_number_and_order() -> None:
    assert refused(note_with(0, 1, 2), LOG_KEY, WITNESS_KEYS, 2, exact=True) == "checkpoint.signatures"
    assert refused(note_with(1, 0), LOG_KEY, WITNESS_KEYS, 2, exact=True) == "checkpoint.signatures"
    signed = parse_note(note_with(0, 1))
    text, first, *others = bytes(signed).decode().split("\n\n")[0], *map(str, signed.signatures)
    backwards = f"{text}\n\n{''.join(others)}{first}".encode()
    assert refused(backwards, LOG_KEY, WITNESS_KEYS, 2, exact=True) == "checkpoint.signatures"


def test_a_known_key_that_fails_sinks_the_note() -> None:
    line = cosign(TEXT.replace("11", "12"), WITNESS_KEYS[3].name, WITNESSES[3], TIME)
    assert refused(add_signature(note_with(0, 1, 2), line), LOG_KEY, WITNESS_KEYS, 3) == "checkpoint.cosignature"
    short = parse_note(note_with(0)).signatures[1]
    cut = str(type(short)(name=short.name, key_id=short.key_id, signature=short.signature[:-1]))
    assert refused(add_signature(note_with(0), cut), LOG_KEY, WITNESS_KEYS, 1) == "checkpoint.cosignature"


def test_one_key_under_two_names_counts_once() -> None:
    alias = VKey(name="310000.alias.civicledger/witness", type=ED25519_COSIGNATURE, public=WITNESS_KEYS[0].public)
    note = add_signature(note_with(0), cosign(TEXT, alias.name, WITNESSES[0], TIME))
    assert refused(note, LOG_KEY, [*WITNESS_KEYS, alias], 2) == "checkpoint.quorum"


def test_a_witness_under_the_log_type_or_the_reverse_is_nothing() -> None:
    wrong = VKey(name=WITNESS_KEYS[0].name, type=ED25519_NOTE, public=WITNESS_KEYS[0].public)
    assert verify_cosignature(parse_note(note_with(0)), wrong) is None
    as_log = VKey(name=ORIGIN, type=ED25519_COSIGNATURE, public=LOG.public)
    assert refused(note_with(0), as_log, WITNESS_KEYS, 1) == "checkpoint.log-signature"


def test_the_log_signs_its_own_origin() -> None:
    other = VKey(name="310000.other.civicledger/log", type=ED25519_NOTE, public=LOG.public)
    assert refused(note_with(0), other, WITNESS_KEYS, 1) == "checkpoint.origin"
    stranger = VKey(name=ORIGIN, type=ED25519_NOTE, public=WITNESSES[0].public)
    assert refused(note_with(0), stranger, WITNESS_KEYS, 1) == "checkpoint.log-signature"
    unsigned = note_with(0).replace(b"cnJycnJy", b"cnJycnJz", 1)
    assert refused(unsigned, LOG_KEY, WITNESS_KEYS, 1) == "checkpoint.log-signature"
    double = note_with(0) + str(parse_note(note_with()).signatures[0]).encode()
    assert refused(double, LOG_KEY, WITNESS_KEYS, 1) == "checkpoint.log-signature"


@given(st.data())
def test_no_changed_byte_passes_exactly(data: st.DataObject) -> None:
    note = note_with(0, 1, 2)
    place = data.draw(st.integers(0, len(note) - 1))
    changed = note[:place] + bytes([note[place] ^ data.draw(st.integers(1, 255))]) + note[place + 1 :]
    with pytest.raises(LedgerError):
        verify_checkpoint(changed, LOG_KEY, WITNESS_KEYS[:4], 3, exact=True)


def test_selecting_the_exact_quorum() -> None:
    chosen = select_cosignatures(note_with(3, 0, 4, 2), LOG_KEY, WITNESS_KEYS[:4], 3)
    assert [item.name for item in parse_note(chosen).signatures] == [
        ORIGIN, *(WITNESS_KEYS[number].name for number in (0, 2, 3)),
    ]  # fmt: skip
    assert verify_checkpoint(chosen, LOG_KEY, WITNESS_KEYS[:4], 3, exact=True).checkpoint == CHECKPOINT
    with pytest.raises(UntrustedError):
        select_cosignatures(note_with(0, 1, 4), LOG_KEY, WITNESS_KEYS[:4], 3)


def test_keys_sign_for_their_role_only() -> None:
    for call in (
        lambda: sign_note(TEXT, ORIGIN, WITNESSES[0]),
        lambda: cosign(TEXT, WITNESS_KEYS[0].name, LOG, TIME),
    ):
        with pytest.raises(InvalidInputError) as caught:
            call()
        assert caught.value.code == "key.role"
    with pytest.raises(InvalidInputError) as caught:
        cosign(TEXT, WITNESS_KEYS[0].name, WITNESSES[0], 0)
    assert caught.value.code == "checkpoint.time"


@given(st.integers(0, 2**63 - 1), st.lists(st.binary(min_size=32, max_size=32), max_size=63))
def test_inclusion_receipt_round_trip(index: int, hashes: list[bytes]) -> None:
    proof = parse_proof(format_proof(index, hashes, note_with(0)))
    assert (proof.index, proof.hashes, proof.note, proof.extra) == (index, tuple(hashes), note_with(0), None)


GOOD = format_proof(3, [b"h" * 32], note_with())


@pytest.mark.parametrize(
    "text",
    [
        "", "c2sp.org/tlog-proof@v1\n", GOOD.replace("@v1", "@v2"), GOOD.replace("index 3", "index 03"),
        GOOD.replace("index 3\n", ""), GOOD.replace("index 3", "index -3"), GOOD.replace("index 3", "index  3"),
        GOOD.replace("aGho", "aGh"), GOOD.replace("index 3", "extra =\nindex 3"), "\n" + GOOD,
        GOOD.replace("index 3\n", "index 3\n" + "aGhoaGhoaGhoaGhoaGhoaGhoaGhoaGhoaGhoaGhoaGg=\n" * 63),
    ],
)  # fmt: skip
def test_receipts_that_are_none(text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_proof(text)
    assert caught.value.code == "inclusion.format"


def test_extra_data_is_kept_apart() -> None:
    proof = parse_proof(GOOD.replace("\nindex", "\nextra QUJD\nindex", 1))
    assert (proof.extra, proof.index) == (b"ABC", 3)


def test_receipts_made_over_the_tessera_log_verify(vectors: Path) -> None:
    folder = vectors / "tessera-testlog" / "testdata" / "log"
    data, leaves = (folder / "tile" / "entries" / "000.p" / "15").read_bytes(), []
    while data:
        length = int.from_bytes(data[:2], "big")
        leaves.append(merkle.leaf_hash(data[2 : 2 + length]))
        data = data[2 + length :]
    log = parse_vkey("example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx")
    for size in range(1, 16):
        note = (folder / f"checkpoint.{size}").read_bytes()
        head = verify_checkpoint(note, log, (), 0).checkpoint
        for index in range(size):
            text = format_proof(index, merkle.inclusion_proof(leaves, index, size), note)
            proof = parse_proof(text)
            merkle.verify_inclusion(leaves[index], proof.index, head.size, head.root, proof.hashes)
