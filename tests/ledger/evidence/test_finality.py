"""Heads and the solo engine's finality."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvalidInputError, UntrustedError
from ledger.evidence.finality import (
    Head,
    SignedHead,
    SoloFinality,
    Validator,
    decode_header,
    head_bytes,
    make_solo,
    sign_head,
    verify_head,
    verify_solo,
)
from ledger.keys import Ed25519Signer
from ledger.model import KeyRole
from tests.ledger.evidence.city import USCCS, City, signer

HEAD = Head(chain=b"c" * 32, height=7, hash=b"h" * 32, time_ms=1_795_318_905_684)
SIGNERS = [signer(KeyRole.SEQUENCER, number) for number in range(5)]
VALIDATORS = [
    Validator(key=key.public, member=USCCS[number], sequencer=number == 0) for number, key in enumerate(SIGNERS)
]


def finality(*cosigners: int, head: Head = HEAD) -> SoloFinality:
    signed = [sign_head(SIGNERS[number], head) for number in cosigners]
    return make_solo(sign_head(SIGNERS[0], head), signed, len(signed))


def refused(item: SoloFinality, quorum: int = 3, *, exact: bool = False) -> str:
    with pytest.raises(UntrustedError) as caught:
        verify_solo(item, VALIDATORS, quorum, exact=exact)
    return caught.value.code


def test_signed_bytes_as_written() -> None:
    expected = b"civicledger/head/v1\n" + b"c" * 32 + (7).to_bytes(8, "big") + b"h" * 32
    assert head_bytes(HEAD.chain, HEAD.height, HEAD.hash, HEAD.time_ms) == expected + HEAD.time_ms.to_bytes(8, "big")
    changes: list[dict[str, object]] = [{"chain": b"c"}, {"hash": b""}, {"height": -1}, {"time_ms": -1}]
    for bad in (replace(HEAD, **change) for change in changes):  # type: ignore[arg-type]
        with pytest.raises(InvalidInputError) as caught:
            sign_head(SIGNERS[0], bad)
        assert caught.value.code == "finality.head"


def test_only_sequencer_keys_sign_heads() -> None:
    with pytest.raises(InvalidInputError) as caught:
        sign_head(Ed25519Signer(KeyRole.LOG, b"s" * 32), HEAD)
    assert caught.value.code == "key.role"


@given(st.sampled_from(["chain", "height", "hash", "time_ms"]))
def test_every_field_of_a_head_is_signed(name: str) -> None:
    signed = sign_head(SIGNERS[1], HEAD)
    verify_head(signed)
    value = getattr(HEAD, name)
    other = value + 1 if isinstance(value, int) else bytes([value[0] ^ 1]) + value[1:]
    with pytest.raises(UntrustedError) as caught:
        verify_head(SignedHead(head=replace(HEAD, **{name: other}), key=signed.key, signature=signed.signature))
    assert caught.value.code == "finality.signature"


def test_a_quorum_of_others_is_final() -> None:
    final = verify_solo(finality(1, 2, 3), VALIDATORS, 3, exact=True)
    assert (final.head, final.kind, final.sequencer.member) == (HEAD, "single-signer", USCCS[0])
    assert {item.member for item in final.cosigners} == set(USCCS[1:4])
    assert len(verify_solo(finality(1, 2, 3, 4), VALIDATORS, 3).cosigners) == 4


def test_what_is_not_final() -> None:
    assert refused(finality(1, 2)) == "finality.quorum"
    assert refused(finality(1, 2, 3, 4), exact=True) == "finality.quorum"
    stranger = sign_head(signer(KeyRole.SEQUENCER, 101), HEAD).head_signature
    good = finality(1, 2, 3)
    mixed = tuple(sorted((*good.cosignatures[:2], stranger), key=lambda item: item.key))
    assert refused(replace(good, cosignatures=mixed)) == "finality.cosigner"
    assert refused(replace(good, sequencer=stranger)) == "finality.sequencer"
    by_follower = sign_head(SIGNERS[4], HEAD).head_signature
    assert refused(replace(good, sequencer=by_follower)) == "finality.sequencer"
    assert refused(replace(good, head=replace(HEAD, height=8))) == "finality.signature"
    assert refused(replace(good, cosignatures=good.cosignatures[::-1])) == "finality.order"


def test_two_keys_of_one_member_are_one_voice() -> None:
    second = signer(KeyRole.SEQUENCER, 101)
    validators = [*VALIDATORS, Validator(key=second.public, member=USCCS[1], sequencer=False)]
    signed = [sign_head(key, HEAD) for key in (SIGNERS[1], second, SIGNERS[2])]
    with pytest.raises(UntrustedError) as caught:
        verify_solo(make_solo(sign_head(SIGNERS[0], HEAD), signed, 3), validators, 3)
    assert caught.value.code == "finality.members"


def test_making_takes_the_same_head_and_the_exact_quorum() -> None:
    ours = sign_head(SIGNERS[0], HEAD)
    others = [sign_head(key, HEAD) for key in SIGNERS]
    made = make_solo(ours, others, 3)
    keys = [item.key for item in made.cosignatures]
    assert keys == sorted(keys)
    assert len(keys) == 3
    assert ours.key not in keys
    for bad in ([sign_head(SIGNERS[1], replace(HEAD, height=8))] * 3, others[:3]):
        with pytest.raises(InvalidInputError):
            make_solo(ours, bad, 3)


def test_headers() -> None:
    city = City()
    fields = decode_header(city.header(b"s" * 32))
    assert (fields.state_root, fields.height, fields.consensus_height) == (b"s" * 32, 42, 42)
    assert fields.time == city.head_time_ms // 1000
    for bad in (b"", b"\xc0", city.header(b"s" * 32) + b"\0", city.header(b"s" * 31)):
        with pytest.raises(UntrustedError) as caught:
            decode_header(bad)
        assert caught.value.code == "anchor.header"
