"""QBFT headers: the encodings of others, strictness, the two hashes, who sealed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import rlp
from hypothesis import given
from hypothesis import strategies as st

from ledger.codec import keccak256
from ledger.errors import UntrustedError
from ledger.evidence.qbft import (
    MAX_HEADER_BYTES,
    QbftHeader,
    QbftVote,
    decode_extra,
    decode_header,
    encode_extra,
    encode_header,
    quorum,
    sealers,
    verify_seals,
)
from tests.ledger.evidence.qbft_net import KEYS, addresses, changed, header, sealed

FOUR = (0, 1, 2, 3)
FORKS = ("berlin", "london", "shanghai", "cancun", "prague")


def plain(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


@pytest.fixture(scope="module")
def vector(vectors: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((vectors / "qbft" / "vectors.json").read_text("utf-8"))
    return loaded


def refused(item: QbftHeader, validators: tuple[bytes, ...]) -> str:
    with pytest.raises(UntrustedError) as caught:
        verify_seals(item, validators)
    return caught.value.code


def test_extra_data_of_others(vector: dict[str, Any]) -> None:
    assert len(vector["extraData"]) >= 4
    for case in vector["extraData"]:
        raw, expected = plain(case["extraData"]), case["decoded"]
        extra = decode_extra(raw)
        assert encode_extra(extra) == raw
        assert extra.vanity == plain(expected["vanity"])
        assert extra.validators == tuple(map(plain, expected["validators"]))
        vote = expected["vote"]
        assert extra.vote == (
            vote and QbftVote(recipient=plain(vote["recipient"]), add={"ADD": True, "DROP": False}[vote["type"]])
        )
        assert extra.round == expected["round"]
        assert extra.seals == tuple(map(plain, expected["seals"]))


def test_a_sealed_header_of_others(vector: dict[str, Any]) -> None:
    case = vector["selfMadeHeader"]
    raw, fields = plain(case["header_rlp"]), case["header_fields_in_rlp_order"]
    found = decode_header(raw)
    assert encode_header(found) == raw
    assert found.hash == plain(case["onchainBlockHash_round0_no_seals"])
    assert found.seal_digest == plain(case["committedSealHash_round1_no_seals"])
    assert keccak256(raw) == plain(case["keccak_of_full_header_rlp_WRONG_as_block_hash"]) != found.hash
    assert (found.parent, found.state_root) == (plain(fields["parentHash"]), plain(fields["stateRoot"]))
    assert (found.proposer, found.height) == (plain(fields["coinbase"]), int(fields["number"], 16))
    assert found.time == int(fields["timestamp"], 16)
    assert sealers(found) == tuple(map(plain, case["sealers"]))
    assert quorum(len(found.extra.validators)) == case["quorum"]
    assert verify_seals(found, tuple(sorted(found.extra.validators))) == sealers(found)


@pytest.mark.parametrize("fork", FORKS)
def test_every_fork_has_one_encoding(fork: str) -> None:
    vote = QbftVote(recipient=KEYS[5].address, add=False)
    made = sealed(header(FOUR, fork=fork, vote=vote, round_=3), (2, 0, 1))
    raw = encode_header(made)
    assert decode_header(raw) == made
    assert verify_seals(decode_header(raw), addresses(FOUR)) == tuple(KEYS[number].address for number in (2, 0, 1))
    # By another writer: the lists as the specification has them.
    fields = rlp.decode(raw)
    vanity, validators, voted, round_, _ = rlp.decode(fields[12])
    fields[12] = rlp.encode([vanity, validators, voted, round_, []])
    assert made.seal_digest == keccak256(rlp.encode(fields))
    fields[12] = rlp.encode([vanity, validators, voted, b"", []])
    assert made.hash == keccak256(rlp.encode(fields))


def test_the_hash_is_the_same_whoever_sealed() -> None:
    plain_header = header(FOUR, round_=2)
    assert sealed(plain_header, (0, 1, 2)).hash == sealed(plain_header, (3, 2, 1, 0)).hash == header(FOUR).hash
    assert header(FOUR).seal_digest != plain_header.seal_digest


@pytest.mark.parametrize("members", range(1, 10))
def test_a_quorum_seals_and_one_less_does_not(members: int) -> None:
    who = tuple(range(members))
    needed = -(-2 * members // 3)
    assert quorum(members) == needed
    assert len(verify_seals(sealed(header(who), who[:needed]), addresses(who))) == needed
    assert refused(sealed(header(who), who[: needed - 1]), addresses(who)) == "qbft.quorum"


def test_who_may_seal() -> None:
    good = sealed(header(FOUR), (0, 1, 2))
    cases = {
        "qbft.seal": [
            sealed(header(FOUR), (0, 1, 1)),
            sealed(header(FOUR), (0, 1, 7)),
            sealed(header(FOUR), (0, 1, 2, 7)),
            good.with_seals((*good.extra.seals[:2], bytes(65))),
            good.with_seals((*good.extra.seals[:2], good.extra.seals[2][:64] + b"\x1b")),
            good.with_seals((*good.extra.seals[:2], high_s(good.extra.seals[2]))),
            # Seals of the same block at another round are over other bytes: of nobody.
            header(FOUR, round_=1).with_seals(good.extra.seals),
        ],
        "qbft.proposer": [sealed(header(FOUR, proposer=5), (0, 1, 2))],
        "qbft.validators": [
            sealed(header((0, 1, 2, 4)), (0, 1, 2)),
            sealed(header((0, 1, 2)), (0, 1, 2)),
            sealed(header(FOUR, listed=False, vote=QbftVote(recipient=KEYS[0].address, add=True)), (0, 1, 2)),
        ],
        "qbft.header": [
            sealed(changed(header(FOUR), 13, bytes(32)), (0, 1, 2)),
            sealed(changed(header(FOUR), 7, b""), (0, 1, 2)),
            sealed(changed(header(FOUR), 1, bytes(32)), (0, 1, 2)),
        ],
    }
    for code, items in cases.items():
        for item in items:
            assert refused(item, addresses(FOUR)) == code
    assert verify_seals(sealed(header(FOUR, listed=False), (0, 1, 2)), addresses(FOUR)) == sealers(good)


def high_s(seal: bytes) -> bytes:
    """The other signature of the same key over the same digest."""
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    s = order - int.from_bytes(seal[32:64], "big")
    return seal[:32] + s.to_bytes(32, "big") + bytes([seal[64] ^ 1])


def test_sets_are_ascending() -> None:
    good = sealed(header(FOUR), (0, 1, 2))
    first, second, *rest = addresses(FOUR)
    for bad in ((), (second, first, *rest), (first, first, second, *rest), (first[:19], second), (first,) * 300):
        assert refused(good, tuple(bad)) == "qbft.validators"


def nested(depth: int) -> bytes:
    """Lists in lists."""
    raw = b"\xc0"
    for _ in range(depth):
        size = len(raw)
        raw = (bytes([0xC0 + size]) if size < 56 else b"\xf9" + size.to_bytes(2, "big")) + raw
    return raw


def malformed() -> list[tuple[str, bytes]]:
    raw = encode_header(sealed(header(FOUR), (0, 1, 2)))
    fields = rlp.decode(raw)
    extra = rlp.decode(fields[12])

    def with_field(place: int, value: object) -> bytes:
        return bytes(rlp.encode([*fields[:place], value, *fields[place + 1 :]]))

    def with_extra(place: int, value: object) -> bytes:
        return with_field(12, rlp.encode([*extra[:place], value, *extra[place + 1 :]]))

    return [
        ("qbft.header", b""),
        ("qbft.header", b"\x80"),
        ("qbft.header", b"\xc0"),
        ("qbft.header", raw + b"\0"),
        ("qbft.header", raw[:-1]),
        ("qbft.header", nested(9_000)),
        ("qbft.header", b"\0" * (MAX_HEADER_BYTES + 1)),
        ("qbft.header", bytes(rlp.encode(fields[:14]))),
        ("qbft.header", bytes(rlp.encode([*fields, bytes(32), b""]))),
        ("qbft.header", bytes(rlp.encode([*fields, bytes(31)]))),
        ("qbft.header", with_field(0, bytes(31))),
        ("qbft.header", with_field(2, bytes(21))),
        ("qbft.header", with_field(8, b"\0\x07")),
        ("qbft.header", with_field(8, bytes(range(1, 10)))),
        ("qbft.header", with_field(15, [])),
        ("qbft.header", with_field(12, extra)),
        ("qbft.extra", with_field(12, b"")),
        ("qbft.extra", with_field(12, rlp.encode(extra[:4]))),
        ("qbft.extra", with_field(12, rlp.encode([*extra, b""]))),
        ("qbft.extra", with_extra(0, bytes(31))),
        ("qbft.extra", with_extra(1, b"")),
        ("qbft.extra", with_extra(1, [bytes(19)])),
        ("qbft.extra", with_extra(1, [bytes(20)] * 257)),
        ("qbft.extra", with_extra(2, [bytes(20)])),
        ("qbft.extra", with_extra(2, [bytes(20), b"\x01"])),
        ("qbft.extra", with_extra(2, [bytes(19), b"\xff"])),
        ("qbft.extra", with_extra(2, [bytes(20), b"\xff", b""])),
        ("qbft.extra", with_extra(3, b"\0\x01")),
        ("qbft.extra", with_extra(3, bytes(range(1, 6)))),
        ("qbft.extra", with_extra(4, [bytes(64)])),
        ("qbft.extra", with_extra(4, [[]])),
    ]


def test_malformed_headers_are_refused() -> None:
    for number, (code, raw) in enumerate(malformed()):
        with pytest.raises(UntrustedError) as caught:
            decode_header(raw)
        assert caught.value.code == code, number


def test_long_forms_are_refused() -> None:
    raw = encode_header(sealed(header(FOUR), (0, 1, 2)))
    # The parent hash with its length in a byte of its own: one byte more, and the list's length with it.
    length = int.from_bytes(raw[1:3], "big")
    assert raw[0] == 0xF9
    assert raw[3] == 0xA0
    longer = b"\xf9" + (length + 1).to_bytes(2, "big") + b"\xb8\x20" + raw[4:]
    with pytest.raises(UntrustedError) as caught:
        decode_header(longer)
    assert caught.value.code == "qbft.header"


GOOD = encode_header(sealed(header(FOUR, vote=QbftVote(recipient=KEYS[6].address, add=True), round_=1), (0, 1, 2)))


@given(place=st.integers(0, 8 * len(GOOD) - 1))
def test_no_flipped_bit_passes(place: int) -> None:
    flipped = bytearray(GOOD)
    flipped[place // 8] ^= 1 << place % 8
    with pytest.raises(UntrustedError) as caught:
        verify_seals(decode_header(bytes(flipped)), addresses(FOUR))
    assert caught.value.code.startswith("qbft.")


@given(raw=st.binary(max_size=200))
def test_nonsense_is_refused(raw: bytes) -> None:
    for decode in (decode_extra, decode_header):
        try:
            found = decode(raw)
        except UntrustedError as error:
            assert error.code in ("qbft.extra", "qbft.header")  # noqa: PT017
        else:
            encode = encode_header if isinstance(found, QbftHeader) else encode_extra
            assert encode(found) == raw  # type: ignore[arg-type]


def test_vanity_is_sealed_too() -> None:
    good = sealed(header(FOUR), (0, 1, 2))
    assert refused(replace(good, extra=replace(good.extra, vanity=b"v" * 32)), addresses(FOUR)) == "qbft.seal"
