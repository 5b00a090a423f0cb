"""Finality of a QBFT network: pinned set, hand-overs, canonical form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import codec
from ledger.errors import LedgerError, UntrustedError
from ledger.evidence.qbft import QbftHeader, sealers
from ledger.evidence.qbftfinality import (
    QbftFinality,
    QbftPin,
    QbftStep,
    SealedHead,
    decode_qbft,
    encode_qbft,
    hands_over,
    make_qbft,
    qbft_object,
    verify_qbft,
)
from tests.ledger.evidence.qbft_net import addresses, header, sealed

CHAIN = b"\xcc" * 32
FOUR = (0, 1, 2, 3)
PIN = QbftPin(height=5, hash=header(FOUR, height=5).hash, validators=addresses(FOUR))


def block(members: Sequence[int], height: int, who: Sequence[int]) -> QbftHeader:
    return sealed(header(members, height=height), who)


def step(members: Sequence[int], height: int, who: Sequence[int]) -> QbftStep:
    return QbftStep(header=block(members, height, who))


def refused(item: QbftFinality, pin: QbftPin = PIN, chain: bytes = CHAIN) -> str:
    with pytest.raises(UntrustedError) as caught:
        verify_qbft(item, pin, chain)
    return caught.value.code


def test_a_block_of_the_pinned_set() -> None:
    made = make_qbft(CHAIN, block(FOUR, 9, (3, 1, 0, 2)), [], PIN)
    head = verify_qbft(made, PIN, CHAIN)
    assert (head.height, head.hash, head.kind) == (9, header(FOUR, height=9).hash, "bft")
    assert head.state_root == header(FOUR, height=9).state_root
    assert head.time_ms == 1000 * (1_795_305_600 + 9)
    assert head.sealers == addresses(FOUR)[:3]
    assert decode_qbft(encode_qbft(made)) == made
    # The smallest three of four, whatever the order in which they came.
    assert made == make_qbft(CHAIN, block(FOUR, 9, (0, 1, 2)), [], PIN)
    assert refused(made, chain=b"d" * 32) == "qbft.chain"


def test_older_and_pinned_blocks() -> None:
    assert verify_qbft(make_qbft(CHAIN, block(FOUR, 2, FOUR), [], PIN), PIN, CHAIN).height == 2
    assert verify_qbft(make_qbft(CHAIN, block(FOUR, 5, FOUR), [], PIN), PIN, CHAIN).hash == PIN.hash
    other = replace(PIN, hash=bytes(32))
    assert refused(make_qbft(CHAIN, block(FOUR, 5, FOUR), [], PIN), other) == "qbft.pin"


def test_few_validators_vouch_like_one_signer() -> None:
    three = QbftPin(height=0, hash=bytes(32), validators=addresses((0, 1, 2)))
    assert verify_qbft(make_qbft(CHAIN, block((0, 1, 2), 3, (0, 1)), [], three), three, CHAIN).kind == "single-signer"


def test_hand_overs() -> None:
    five, other = (*FOUR, 4), (1, 2, 3, 4)
    steps = [
        step(FOUR, 6, FOUR),  # changes nothing: left out
        step(five, 7, (4, 0, 1, 2, 3)),
        step(other, 8, (4, 1, 2, 3)),
        step(FOUR, 99, FOUR),  # beyond the block: left out
    ]
    made = make_qbft(CHAIN, block(other, 12, (4, 3, 2)), steps, PIN)
    assert [item.header.height for item in made.handover] == [7, 8]
    # Four of five must seal 7 (three of them old); 8 needs four of the five before.
    assert [len(item.header.extra.seals) for item in made.handover] == [4, 4]
    head = verify_qbft(made, PIN, CHAIN)
    assert (head.height, head.validators, head.sealers) == (12, addresses(other), addresses((2, 3, 4)))
    assert decode_qbft(encode_qbft(made)) == made

    assert refused(replace(made, handover=())) == "qbft.validators"
    assert refused(replace(made, handover=made.handover[:1])) == "qbft.validators"
    # A step left out: the next one carries the seals another set would have needed.
    assert refused(replace(made, handover=made.handover[1:])) == "qbft.exact"
    assert refused(replace(made, handover=made.handover[::-1])) == "qbft.exact"
    assert refused(replace(made, handover=(made.handover[0], *made.handover))) == "qbft.handover"
    assert refused(replace(made, handover=(*made.handover, made.handover[1]))) == "qbft.handover"
    assert refused(replace(made, header=sealed(header(other, height=7), (1, 2, 3)))) == "qbft.handover"
    another = header(other, height=8, round_=1, proposer=2)
    assert refused(replace(made, header=sealed(another, (1, 2, 3)))) == "qbft.handover"
    assert refused(made, replace(PIN, height=7)) == "qbft.handover"


def test_the_block_at_which_the_set_changes() -> None:
    five = (*FOUR, 4)
    raw = block(five, 7, five)
    made = make_qbft(CHAIN, raw, [QbftStep(header=raw)], PIN)
    assert [item.header.height for item in made.handover] == [7]
    head = verify_qbft(made, PIN, CHAIN)
    assert (head.height, head.validators) == (7, addresses(five))
    assert decode_qbft(encode_qbft(made)) == made


def test_what_hands_over() -> None:
    def leads(item: QbftHeader) -> bool:
        return hands_over(QbftStep(header=item), PIN.validators, PIN)

    five = (*FOUR, 4)
    assert leads(sealed(header(five), five))
    assert leads(sealed(header((0, 1, 2)), (0, 1, 2)))
    assert not leads(sealed(header(five), (0, 1, 2)))
    assert not leads(sealed(header((0, 1, 5, 6)), (0, 1, 5, 6)))
    assert not leads(sealed(header(FOUR), FOUR))
    assert not leads(sealed(header(FOUR, listed=False), FOUR))
    assert not leads(header(five))


def test_a_set_that_the_old_one_did_not_seal_is_not_followed() -> None:
    strangers = (5, 6, 7, 8)
    for members, who in ((strangers, strangers), ((0, 1, *strangers), (0, 1, 5, 6)), ((2, 3, 4), (2, 3, 4))):
        with pytest.raises(UntrustedError) as caught:
            make_qbft(CHAIN, block(members, 9, members), [step(members, 7, who)], PIN)
        assert caught.value.code == "qbft.handover"


def test_unnamed_validators_are_the_pinned_ones() -> None:
    def unnamed(height: int, who: Sequence[int]) -> QbftHeader:
        return sealed(header(FOUR, height=height, listed=False), who)

    made = make_qbft(CHAIN, unnamed(9, (0, 1, 3)), [QbftStep(header=unnamed(7, FOUR))], PIN)
    assert made.handover == ()
    assert verify_qbft(made, PIN, CHAIN).validators == PIN.validators
    assert refused(replace(made, handover=(QbftStep(header=unnamed(7, (0, 1, 2))),))) == "qbft.handover"


def test_nothing_is_ignored() -> None:
    made = make_qbft(CHAIN, block(FOUR, 9, (0, 1, 2)), [], PIN)
    assert refused(replace(made, header=sealed(header(FOUR, height=9), FOUR))) == "qbft.exact"
    assert refused(replace(made, header=sealed(header(FOUR, height=9), (1, 0, 2)))) == "qbft.order"
    five = (*FOUR, 4)
    assert refused(replace(made, handover=(step(five, 7, five),))) == "qbft.exact"


MADE = make_qbft(CHAIN, block((*FOUR, 4), 12, (0, 1, 2, 4)), [step((*FOUR, 4), 7, (*FOUR, 4))], PIN)
GOOD = encode_qbft(MADE)


@given(place=st.integers(0, 8 * len(GOOD) - 1))
def test_no_flipped_bit_passes(place: int) -> None:
    flipped = bytearray(GOOD)
    flipped[place // 8] ^= 1 << place % 8
    with pytest.raises(LedgerError) as caught:
        verify_qbft(decode_qbft(bytes(flipped)), PIN, CHAIN)
    assert caught.value.code.startswith("qbft.")


def test_only_the_one_form_is_read() -> None:
    good = qbft_object(MADE)
    bad: list[object] = [
        [],
        good | {"engine": "solo"},
        good | {"more": 1},
        good | {"handover": good["handover"] * 40},
        good | {"header": good["header"] + "\n"},
        good | {"chain": good["chain"].upper()},
        {name: value for name, value in good.items() if name != "handover"},
    ]
    for value in bad:
        with pytest.raises(LedgerError) as caught:
            decode_qbft(codec.encode(value))
        assert caught.value.code == "qbft.format"
    for raw in (GOOD + b" ", b"", b"{}", b"\xff"):
        with pytest.raises(LedgerError) as caught:
            decode_qbft(raw)
        assert caught.value.code == "qbft.format"


def test_too_large_is_not_written() -> None:
    many = replace(MADE, handover=MADE.handover * 2000)
    with pytest.raises(LedgerError) as caught:
        encode_qbft(many)
    assert caught.value.code == "qbft.too-large"


def test_only_verifying_makes_a_sealed_head() -> None:
    head = verify_qbft(MADE, PIN, CHAIN)
    assert head.sealers == tuple(sorted(sealers(MADE.header)))
    with pytest.raises(TypeError):
        replace(head, height=13, seal=object())  # type: ignore[call-arg]
    assert isinstance(head, SealedHead)
