"""Finality of the cometbft engine: the hand-over between validator sets, and where a pin may lie in it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from ledger import codec
from ledger.errors import InvalidInputError, UntrustedError
from ledger.evidence import bft
from ledger.evidence.bft import (
    BftFinality,
    BftHead,
    check_bft,
    decode_bft,
    encode_bft,
    make_bft,
    verify_bft,
)
from ledger.evidence.light import LightBlock
from ledger.evidence.policy import LightPin, light_pin
from tests.ledger.evidence.comet import CHAIN_ID, FOUR, GENESIS, Signed, ValidatorSet, block_hash, signed, validators

#: One joins, one leaves, one is exchanged.
ERAS = (FOUR, validators(0, 1, 2, 3, 4), validators(1, 2, 3, 4), validators(1, 2, 3, 5))
#: The last heights of all but the last era: the block before made the change.
CHANGES = (10, 20, 31)
OTHERS = validators(6, 7, 8, 9)


def code_of(call: Callable[..., object], *arguments: object) -> str:
    with pytest.raises((InvalidInputError, UntrustedError)) as caught:
        call(*arguments)
    return caught.value.code


def at(height: int) -> LightBlock:
    """The light block of a height of the chain that goes through all eras."""
    era = sum(height > change for change in CHANGES)
    following = ERAS[era + 1] if height in CHANGES else None
    return signed(height, set=ERAS[era], next=following).light()


def finalities(*heights: int) -> list[BftFinality]:
    """What a node makes one after another, each from the one before."""
    made: list[BftFinality] = []
    for number, height in enumerate(heights, 1):
        previous = made[-1] if made else None
        made.append(make_bft(chain=GENESIS, height=number, light=at(height), previous=previous))
    return made


WHOLE = finalities(3, 10, 15, 20, 25, 31, 40)[-1]


def pin_at(height: int) -> tuple[int, bytes, bytes]:
    pin = light_pin(BftFinality(chain=GENESIS, height=1, light=at(height)))
    return pin.height, pin.hash, pin.validators_hash


def judge(finality: BftFinality, height: int) -> BftHead:
    return verify_bft(finality, GENESIS, pin_at(height))


def refused(finality: BftFinality, height: int) -> str:
    return code_of(judge, finality, height)


def test_what_is_final() -> None:
    final = judge(finalities(3)[0], 3)
    assert (final.head.chain, final.head.height, final.head.hash) == (GENESIS, 1, block_hash(2))
    assert final.head.time_ms == at(3).time_ms
    assert (final.kind, final.consensus_height, final.signed, final.total, final.changes) == ("bft", 3, 3, 4, 0)
    assert finalities(3)[0].head == final.head


def test_the_hand_over_grows_with_the_changes() -> None:
    found = [[block.height for block in made.handover] for made in finalities(3, 10, 15, 20, 25, 31, 40)]
    assert found == [[], [], [10], [10], [10, 20], [10, 20], [10, 20, 31]]
    assert [block.changes_set for block in WHOLE.handover] == [True, True, True]


@pytest.mark.parametrize(
    ("pinned", "changes"), [(1, 3), (10, 3), (11, 2), (20, 2), (21, 1), (31, 1), (32, 0), (40, 0), (99, 0)]
)
def test_one_proof_serves_policies_of_every_age(pinned: int, changes: int) -> None:
    assert judge(WHOLE, pinned).changes == changes


def test_a_proof_from_before_a_change_needs_the_older_policy() -> None:
    old = finalities(3)[0]
    assert judge(old, 9).consensus_height == 3
    assert refused(old, 11) == "finality.validators"


def test_encoding() -> None:
    data = encode_bft(WHOLE)
    assert decode_bft(data) == WHOLE
    assert data == codec.encode(codec.decode(data, max_bytes=1 << 20))
    assert check_bft(decode_bft(data), GENESIS) == WHOLE.head
    for wrong in (b"", b"{}", data + b" ", data.replace(b'"engine":"cometbft"', b'"engine":"solo"'), b" " * (1 << 21)):
        assert code_of(decode_bft, wrong) == "finality.format"


def test_any_changed_bit_is_refused() -> None:
    data = encode_bft(WHOLE)

    def whole_way(changed: bytes) -> None:
        # The height of the chain block is in the block's header, which a bundle carries beside this.
        assert judge(decode_bft(changed), 1).head == WHOLE.head

    for position in random.sample(range(8 * len(data)), 300):
        changed = bytearray(data)
        changed[position // 8] ^= 1 << position % 8
        try:
            code = code_of(whole_way, bytes(changed))
        except AssertionError:
            assert decode_bft(bytes(changed)).height != WHOLE.height, f"bit {position}"
        else:
            assert code.startswith("finality."), f"bit {position}"


def test_a_missing_doubled_or_misplaced_light_block() -> None:
    one, two, three = WHOLE.handover
    for wrong in (
        (two, three), (one, three), (one, two), (), (one, one, two, three), (two, one, three), (three, two, one),
        (one, two, three, three), (one, two, three, at(35)), (at(5), one, two, three), (one, at(15), two, three),
        (one, two, three, WHOLE.light),
    ):  # fmt: skip
        assert refused(replace(WHOLE, handover=wrong), 1) in {"finality.handover", "finality.validators"}, wrong


def test_light_blocks_of_another_chain() -> None:
    foreign = signed(10, set=ERAS[0], next=ERAS[1], chain_id="civic-0123456789abcdef").light()
    assert refused(replace(WHOLE, handover=(foreign, *WHOLE.handover[1:])), 1) == "finality.chain"
    assert code_of(verify_bft, WHOLE, b"g" * 32, pin_at(1)) == "finality.chain"
    assert code_of(check_bft, replace(WHOLE, chain=b"g" * 32), b"g" * 32) == "finality.chain"


def test_another_header_of_the_pinned_height() -> None:
    height, _, known = pin_at(20)
    assert code_of(verify_bft, WHOLE, GENESIS, (height, b"h" * 32, known)) == "finality.pin"
    height, _, known = pin_at(40)
    assert code_of(verify_bft, WHOLE, GENESIS, (height, b"h" * 32, known)) == "finality.pin"


def test_a_set_that_nobody_handed_over_to() -> None:
    forged = signed(40, set=OTHERS).light()
    assert refused(replace(WHOLE, light=forged), 1) == "finality.handover"
    assert refused(BftFinality(chain=GENESIS, height=7, light=forged), 1) == "finality.validators"
    named = signed(31, set=ERAS[2], next=OTHERS, flags=dict.fromkeys((1, 2), 1))
    assert code_of(named.light) == "finality.quorum", "two of four cannot hand over"


def test_history_before_the_pin_is_vouched_for_too() -> None:
    """An invented set that hands over to the first real one would be ignored otherwise."""
    invented = signed(2, set=OTHERS, next=FOUR).light()
    padded = replace(WHOLE, handover=(invented, *WHOLE.handover))
    assert check_bft(padded, GENESIS) == WHOLE.head, "in itself it holds"
    for pinned in (3, 11, 21, 40, 99):
        assert refused(padded, pinned) == "finality.handover"


def skip(light: Signed, *handover: Signed) -> BftFinality:
    return BftFinality(chain=GENESIS, height=7, light=light.light(), handover=tuple(item.light() for item in handover))


def test_skipping_heights_needs_more_than_a_third_of_the_trusted_set() -> None:
    """A hand-over by skipping: the sets between are not shown, the trusted one still signs (light client, ADR 0013)."""
    moved = skip(signed(40, set=validators(2, 3, 4, 5), flags={5: 1}), signed(5))
    assert judge(moved, 5).changes == 1
    for members in ((3, 4, 5, 6), (6, 7, 8, 9)):
        far = skip(signed(40, set=validators(*members)), signed(5))
        assert refused(far, 5) == "finality.handover"
    # With one in between, both steps are short enough.
    between = signed(20, set=validators(2, 3, 4, 5), flags={5: 1})
    chain = skip(signed(40, set=validators(4, 5, 6, 7), flags={6: 1}), signed(5, flags={0: 1}), between)
    assert judge(chain, 5).changes == 2
    assert verify_bft(chain, GENESIS, (20, between.hash, between.set.hash)).changes == 1


def test_a_skip_over_a_change_whose_set_is_not_shown() -> None:
    unknown = skip(signed(40, set=validators(1, 2, 3, 4)), signed(5, next=validators(0, 1, 2, 4)))
    assert refused(unknown, 5) == "finality.handover"


def test_a_change_of_more_than_a_third_at_once_hands_over_by_the_next_height() -> None:
    last = signed(10, next=OTHERS)
    assert judge(skip(signed(11, set=OTHERS), last), 5).changes == 1
    assert judge(skip(signed(40, set=OTHERS), last), 5).changes == 1
    assert code_of(verify_bft, skip(signed(40, set=OTHERS), last), GENESIS, (15, b"h" * 32, OTHERS.hash)) == (
        "finality.handover"
    )
    # A younger policy could not vouch for what is before so great a change: the maker leaves it out.
    previous = BftFinality(chain=GENESIS, height=6, light=last.light())
    made = make_bft(chain=GENESIS, height=7, light=signed(40, set=OTHERS).light(), previous=previous)
    assert made.handover == ()


def test_the_next_height_must_have_the_set_that_was_named() -> None:
    assert refused(skip(signed(11, set=validators(0, 1, 2, 4)), signed(10)), 5) == "finality.handover"


def test_times_go_forward() -> None:
    early, late = at(10).header.time_ns, at(31).header.time_ns
    wrong = skip(signed(15, set=ERAS[1], time_ns=early), signed(10, next=ERAS[1], time_ns=late))
    assert refused(wrong, 5) == "finality.time"
    same = skip(signed(15, set=ERAS[1], time_ns=early), signed(10, next=ERAS[1], time_ns=early))
    assert refused(same, 5) == "finality.time"


def test_making_continues_only_what_leads_here() -> None:
    missed = finalities(3, 15)[-1]
    assert missed.handover == (), "the light block of the change was not seen"
    other = BftFinality(chain=b"o" * 32, height=5, light=at(10))
    assert make_bft(chain=GENESIS, height=6, light=at(15), previous=other).handover == ()
    again = make_bft(chain=GENESIS, height=7, light=at(40), previous=WHOLE)
    assert again == WHOLE, "made again from itself"


def test_a_late_node_inherits_the_hand_over() -> None:
    (first,) = finalities(25)
    assert refused(first, 1) == "finality.validators"
    same, later = finalities(3, 10, 20, 25)[-1], WHOLE
    for other in (same, later):
        longer = bft.inherit(first, other)
        assert [block.height for block in longer.handover] == [10, 20]
        assert judge(longer, 1).changes == 2
    assert bft.inherit(first, first).handover == ()


def test_an_invented_hand_over_is_not_inherited() -> None:
    (first,) = finalities(25)
    invented = signed(2, set=OTHERS, next=FOUR).light()
    padded = replace(WHOLE, handover=(invented, *WHOLE.handover))
    assert [block.height for block in bft.inherit(first, padded).handover] == [10, 20], "not the invented one"
    named = signed(20, set=OTHERS, next=ERAS[2]).light()
    assert bft.inherit(first, replace(WHOLE, handover=(named,))).handover == (), "nobody of the later set signed it"
    unsigned = replace(WHOLE.handover[0], votes=WHOLE.handover[1].votes)
    forged = replace(WHOLE, handover=(unsigned, *WHOLE.handover[1:]))
    assert code_of(bft.inherit, first, forged) in {"finality.signature", "finality.prefix", "finality.quorum"}
    assert bft.inherit(first, replace(WHOLE, chain=b"o" * 32)).handover == ()


def test_the_hand_over_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    sets = [validators(0, 1, 2, 3), validators(0, 1, 2, 4)]
    made: BftFinality | None = None
    for number in range(1, 41):
        light = signed(number, set=sets[number % 2], next=sets[(number + 1) % 2]).light()
        made = make_bft(chain=GENESIS, height=number, light=light, previous=made)
    assert made is not None
    assert [block.height for block in made.handover] == list(range(8, 40))
    assert verify_bft(made, GENESIS, (8, made_hash(8, sets), sets[0].hash)).changes == 32
    monkeypatch.setattr(bft, "MAX_HANDOVER_BYTES", 10_000)
    fewer = make_bft(chain=GENESIS, height=40, light=made.light, previous=made)
    assert 0 < sum(len(block.encode()) for block in fewer.handover) <= 10_000


def made_hash(height: int, sets: list[ValidatorSet]) -> bytes:
    return signed(height, set=sets[height % 2], next=sets[(height + 1) % 2]).hash


def test_a_light_block_without_a_block_hash_makes_nothing_final() -> None:
    for app_hash in (b"", b"\x05" * 8):
        light = signed(7, app_hash=app_hash).light()
        assert code_of(lambda light=light: make_bft(chain=GENESIS, height=1, light=light, previous=None)) == (
            "finality.header"
        )


def test_only_the_verifier_makes_verified_heads() -> None:
    final = judge(WHOLE, 40)
    with pytest.raises(TypeError):
        BftHead(head=final.head, consensus_height=40, signed=4, total=4, changes=0, seal=object())


def test_a_pin_from_a_finality() -> None:
    made = signed(7)
    pin = light_pin(BftFinality(chain=GENESIS, height=1, light=made.light()))
    assert pin == LightPin(
        height=7, hash=made.hash, validators_hash=FOUR.hash, checked_at_ms=made.header.time_ns // 10**6
    )
    assert made.chain_id == CHAIN_ID
