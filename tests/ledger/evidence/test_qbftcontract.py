"""Validators kept in a contract: proven under a state root, handed over by sealed blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import LedgerError, UntrustedError
from ledger.evidence.qbft import QbftHeader
from ledger.evidence.qbftcontract import ContractSet, read_set, set_from_object, set_object, validator_slots
from ledger.evidence.qbftfinality import (
    QbftFinality,
    QbftPin,
    QbftStep,
    decode_qbft,
    encode_qbft,
    hands_over,
    make_qbft,
    verify_qbft,
)
from tests.ledger.evidence.qbft_net import CONTRACT, Contract, addresses, changed, header, sealed

CHAIN = b"\xcc" * 32
FOUR, NEXT, LAST = (0, 1, 2, 3), (2, 3, 4, 5, 6), (4, 5, 6, 7)
PIN = QbftPin(height=5, hash=bytes(32), validators=addresses(FOUR), contract=CONTRACT)


def block(sealing: Sequence[int], height: int, who: Sequence[int], behind: Sequence[int] = FOUR) -> QbftHeader:
    """A block sealed by these; ``behind`` it the contract keeps that set."""
    made = header(sealing, height=height, listed=False)
    return sealed(changed(made, 3, Contract(behind).root), who)


def step(sealing: Sequence[int], height: int, who: Sequence[int], behind: Sequence[int]) -> QbftStep:
    return QbftStep(header=block(sealing, height, who, behind), proven=Contract(behind).proven())


def made() -> QbftFinality:
    steps = [
        step(FOUR, 6, FOUR, FOUR),  # changes nothing: left out
        step(FOUR, 7, FOUR, NEXT),
        step(NEXT, 9, (6, 5, 4, 3), LAST),
    ]
    return make_qbft(CHAIN, block(LAST, 10, LAST), steps, PIN)


def refused(item: QbftFinality, pin: QbftPin = PIN) -> str:
    with pytest.raises(UntrustedError) as caught:
        verify_qbft(item, pin, CHAIN)
    return caught.value.code


@pytest.mark.parametrize("members", [(0,), (0, 1), FOUR, tuple(range(9))])
def test_a_set_is_read_from_storage(members: Sequence[int]) -> None:
    contract = Contract(members)
    proven = contract.proven()
    assert read_set(proven, contract.root, CONTRACT) == addresses(members)
    assert set_from_object(set_object(proven)) == proven


def test_what_is_no_set() -> None:
    contract, proven = Contract(FOUR), Contract(FOUR).proven()
    fewer = replace(proven, validators=proven.validators[:3])
    more = replace(proven, validators=(*proven.validators, proven.validators[0]))
    swapped = replace(proven, validators=(proven.validators[1], proven.validators[0], *proven.validators[2:]))
    cases: list[tuple[str, ContractSet]] = [
        ("qbft.validators", fewer),
        ("qbft.validators", more),
        ("state.storage", swapped),
        ("state.storage", replace(proven, count=proven.count[:-1])),
        ("state.storage", replace(proven, count=(*proven.count, b"\x80"))),
        ("state.account", replace(proven, account=())),
    ]
    for code, item in cases:
        with pytest.raises(UntrustedError) as caught:
            read_set(item, contract.root, CONTRACT)
        assert caught.value.code == code
    with pytest.raises(UntrustedError) as other:
        read_set(proven, contract.root, b"\x98" * 20)
    assert other.value.code == "state.account"
    for count in (0, 257, 2**256 - 1):
        with pytest.raises(UntrustedError) as wrong:
            validator_slots(count)
        assert wrong.value.code == "qbft.validators"
    doubled = Contract((0, 1, 1, 2))
    with pytest.raises(UntrustedError) as twice:
        read_set(doubled.proven(), doubled.root, CONTRACT)
    assert twice.value.code == "qbft.validators"


def test_hand_overs_by_proofs() -> None:
    finality = made()
    assert [item.header.height for item in finality.handover] == [7, 9]
    assert [len(item.header.extra.seals) for item in finality.handover] == [3, 4]
    head = verify_qbft(finality, PIN, CHAIN)
    assert (head.height, head.validators) == (10, addresses(LAST))
    assert decode_qbft(encode_qbft(finality)) == finality

    first, second = finality.handover
    assert refused(replace(finality, handover=())) == "qbft.proposer"
    assert refused(replace(finality, handover=(first,))) == "qbft.quorum"
    assert refused(replace(finality, handover=(second,))) == "qbft.seal"
    # Without its proof a step leads nowhere; nor does it where the policy names no contract.
    assert refused(replace(finality, handover=(replace(first, proven=None), second))) == "qbft.handover"
    assert refused(finality, replace(PIN, contract=None)) == "qbft.handover"
    assert refused(finality, replace(PIN, contract=b"\x98" * 20)) == "state.account"
    # The proof is of the state behind the very block.
    other = replace(first, proven=Contract(LAST).proven())
    assert refused(replace(finality, handover=(other, second))) == "state.account"
    # The set behind a block seals the next, not the block itself.
    assert refused(replace(finality, header=second.header)) == "qbft.handover"


def test_a_step_is_sealed_by_the_set_before() -> None:
    assert hands_over(step(FOUR, 7, (0, 1, 2), NEXT), PIN.validators, PIN)
    assert not hands_over(step(FOUR, 7, (0, 1), NEXT), PIN.validators, PIN)
    assert not hands_over(step(NEXT, 7, NEXT, NEXT), PIN.validators, PIN)
    assert not hands_over(step(FOUR, 7, FOUR, FOUR), PIN.validators, PIN)
    assert not hands_over(QbftStep(header=block(FOUR, 7, FOUR, NEXT)), PIN.validators, PIN)
    many = step(FOUR, 7, FOUR, NEXT)
    assert refused(replace(made(), handover=(many, made().handover[1]))) == "qbft.exact"


GOOD = encode_qbft(made())


@given(place=st.integers(0, 8 * len(GOOD) - 1))
def test_no_flipped_bit_passes(place: int) -> None:
    flipped = bytearray(GOOD)
    flipped[place // 8] ^= 1 << place % 8
    with pytest.raises(LedgerError) as caught:
        verify_qbft(decode_qbft(bytes(flipped)), PIN, CHAIN)
    assert caught.value.code.partition(".")[0] in ("qbft", "state")
