"""Light blocks: CometBFT's answers read strictly, its headers and votes judged, every deviation named."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import _native, codec
from ledger.errors import InvalidInputError, LedgerError, UntrustedError
from ledger.evidence.light import (
    LightBlock,
    LightValidator,
    Vote,
    format_nanos,
    light_object,
    parse_nanos,
    read_light,
    verify_light,
)
from ledger.evidence.lightrpc import light_block
from tests.ledger.evidence.comet import (
    ABSENT,
    CHAIN_ID,
    FOUR,
    NIL,
    START_NS,
    ValidatorSet,
    public,
    rpc,
    sha,
    signed,
    validators,
)

Change = Callable[[Any, Any], None]


def code_of(call: Callable[..., object], *arguments: object) -> str:
    with pytest.raises((InvalidInputError, UntrustedError)) as caught:
        call(*arguments)
    return caught.value.code


def judged(block: LightBlock, chain_id: str = CHAIN_ID) -> str:
    return code_of(verify_light, [block], chain_id)


def test_a_light_block_of_four_validators() -> None:
    made = signed(7)
    block = made.light()
    assert verify_light([block], CHAIN_ID)[0].hash == made.hash, "two writers of the header's hash agree"
    assert (verify_light([block], CHAIN_ID)[0].signed, verify_light([block], CHAIN_ID)[0].total) == (3, 4)
    assert (block.height, block.app_hash, block.chain_id) == (7, made.app_hash, CHAIN_ID)
    assert block.validators_hash == block.next_validators_hash == FOUR.hash
    assert not block.changes_set
    assert len(block.votes) == 3, "three of four votes are over two thirds: the fourth is left out"
    assert [item.key for item in block.validators] == [public(member) for member in FOUR.members]
    assert read_light(codec.decode(block.encode())) == block
    assert block.time_ms == made.header.time_ns // 10**6


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 10, 100])
def test_the_smallest_number_of_votes_over_two_thirds(count: int) -> None:
    block = signed(3, set=validators(*range(count))).light()
    assert len(block.votes) == 2 * count // 3 + 1


def test_absent_and_nil_votes_have_a_place_and_no_content() -> None:
    order = FOUR.members
    for flag in (ABSENT, NIL):
        block = signed(9, flags={order[1]: flag}, round=2).light()
        assert [vote is None for vote in block.votes] == [False, True, False, False]
        assert block.round == 2
    assert signed(9, flags={order[3]: NIL}).light() == signed(9, flags={order[3]: ABSENT}).light()
    for flag in (ABSENT, NIL):
        assert code_of(signed(9, flags=dict.fromkeys(order[:2], flag)).light) == "finality.quorum"


def test_power_counts_not_heads() -> None:
    powers = ValidatorSet(powers={0: 10, 1: 1, 2: 1, 3: 1})
    assert len(signed(2, set=powers).light().votes) == 1
    assert code_of(signed(2, set=powers, flags={0: ABSENT}).light) == "finality.quorum"
    exactly = ValidatorSet(powers={0: 2, 1: 1})
    assert code_of(signed(2, set=exactly, flags={1: ABSENT}).light) == "finality.quorum", "two thirds are not enough"


def test_the_first_height_has_no_block_before_it() -> None:
    block = signed(1).light()
    assert block.header.last_block_id is None
    assert judged(replace(block, header=replace(block.header, last_block_id=signed(2).header.last_block_id)))
    second = signed(2).light()
    assert judged(replace(second, header=replace(second.header, last_block_id=None))) == "finality.light"


def test_times_of_whole_seconds_and_all_decimals() -> None:
    for nanos in (0, 1, 10, 500_000_000, 999_999_999, 123_000_000):
        block = signed(5, time_ns=START_NS + nanos).light()
        assert block.header.time_ns == START_NS + nanos


@given(st.integers(0, 253_402_300_799_999_999_999))
def test_nanoseconds_as_text(time_ns: int) -> None:
    assert parse_nanos(format_nanos(time_ns)) == time_ns


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T03:41:45.684Z", "2026-11-22T03:41:45.684123456z", "2026-11-22t03:41:45.684123456Z",
        "2026-11-22T03:41:60.000000000Z", "2026-02-30T03:41:45.000000000Z", "1969-12-31T23:59:59.000000000Z",
        "2026-11-22T03:41:45.684123456+00:00", "2026-11-22T03:41:45,684123456Z", "", "2026-11-22T24:00:00.000000000Z",
        "２026-11-22T03:41:45.684123456Z",
    ],
)  # fmt: skip
def test_other_spellings_of_a_time_are_refused(text: str) -> None:
    assert code_of(parse_nanos, text) == "time.nanos"
    value = light_object(signed(7).light())
    value["header"]["time"] = text
    assert code_of(_native.verify_light, [codec.encode(value)], CHAIN_ID) == "finality.light"


# --- what a verifier refuses ------------------------------------------------------------------------------------------
def test_votes_over_something_else() -> None:
    assert code_of(signed(7, voted_hash=sha(b"another header")).light) == "finality.signature"
    assert code_of(signed(7, voted_chain_id="civic-0000000000000000").light) == "finality.signature"
    assert judged(signed(7).light(), "civic-0000000000000000") == "finality.chain"
    assert judged(replace(signed(7, round=1).light(), round=2)) == "finality.signature"
    block = signed(7).light()
    assert judged(replace(block, parts=replace(block.parts, total=2))) == "finality.signature"


def test_votes_of_others_and_in_other_places() -> None:
    block = signed(7).light()
    first, second, third = block.votes
    assert judged(replace(block, votes=(second, first, third))) == "finality.signature"
    assert judged(replace(block, votes=(first, first, first))) == "finality.signature"
    foreign = signed(7, set=validators(10, 11, 12, 13)).light()
    assert judged(replace(block, votes=foreign.votes)) == "finality.signature"
    assert judged(replace(block, validators=foreign.validators)) == "finality.validators"
    nil = signed(7, flags=dict.fromkeys(range(4), NIL))
    votes = tuple(Vote(time_ns=time, signature=signature) for _, time, signature in map(nil.vote, FOUR.members[:3]))
    assert judged(replace(block, votes=votes)) == "finality.signature", "a vote for nil is none for the block"


def test_too_few_votes_and_too_many() -> None:
    block, all_four = signed(7).light(), signed(7)
    _, time, signature = all_four.vote(FOUR.members[3])
    fourth = Vote(time_ns=time, signature=signature)
    assert judged(replace(block, votes=(*block.votes, fourth))) == "finality.prefix"
    assert judged(replace(block, votes=(*block.votes, None))) == "finality.prefix"
    assert judged(replace(block, votes=block.votes[:2])) == "finality.quorum"
    assert judged(replace(block, votes=(None, *block.votes[1:]))) == "finality.quorum"
    assert judged(replace(block, votes=())) == "finality.quorum"
    assert judged(replace(block, votes=(*block.votes[:2], None, fourth, None))) == "finality.prefix"
    # Another choice of three is as good a proof: nothing in it is ignored either.
    assert verify_light([replace(block, votes=(*block.votes[:2], None, fourth))], CHAIN_ID)[0].signed == 3


def test_validators_in_another_order_doubled_or_without_power() -> None:
    block = signed(7).light()
    one, two, three, four = block.validators
    for wrong in (
        (two, one, three, four),
        (one, one, two, three, four),
        (one, two, three),
        (one, two, three, replace(four, power=2)),
        (one, two, three, replace(four, power=0)),
        (one, two, three, replace(four, key=bytes(32))),
        (),
        tuple(LightValidator(key=public(member), power=1) for member in range(101)),
    ):
        assert judged(replace(block, validators=wrong)) in {"finality.validators", "finality.quorum"}, wrong


def test_any_field_of_the_header_is_signed() -> None:
    block = signed(7).light()
    header = block.header
    changes: dict[str, Any] = {
        "block_version": 12, "app_version": 0, "height": 8, "time_ns": header.time_ns + 1,
        "last_block_id": replace(header.last_block_id, hash=sha(b"x")), "proposer": bytes(20),
        "app_hash": sha(b"x")[:31],
    } | {
        name: sha(b"x")
        for name in (
            "last_commit_hash", "data_hash", "next_validators_hash", "consensus_hash", "app_hash", "last_results_hash",
            "evidence_hash",
        )
    }  # fmt: skip
    for name, value in changes.items():
        assert judged(replace(block, header=replace(header, **{name: value}))) == "finality.signature", name
    assert judged(replace(block, header=replace(header, validators_hash=sha(b"x")))) == "finality.validators"
    assert judged(replace(block, header=replace(header, chain_id="civic-1"))) == "finality.chain"


def test_any_changed_bit_of_the_canonical_bytes_is_refused() -> None:
    good = signed(7, flags={FOUR.members[0]: ABSENT}).light().encode()
    assert _native.verify_light([good], CHAIN_ID)
    for position in random.sample(range(8 * len(good)), 400):
        changed = bytearray(good)
        changed[position // 8] ^= 1 << position % 8
        assert code_of(_native.verify_light, [bytes(changed)], CHAIN_ID), f"bit {position}"


JSON_VALUES = st.none() | st.booleans() | st.integers(-5, 2**53 - 1) | st.text(max_size=8) | st.just([]) | st.just({})


@given(st.data())
def test_any_other_value_of_any_field_is_refused_by_both_decoders(data: st.DataObject) -> None:
    whole = light_object(LIGHT)
    place: Any = whole
    while True:
        step = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        inner = place[step]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.booleans()):
            break
        place = inner
    if data.draw(st.booleans()):
        place[step] = data.draw(JSON_VALUES.filter(lambda value: value != inner))
    elif isinstance(place, list):
        place.insert(step, inner)
    else:
        del place[step]
    changed = codec.encode(whole)
    assert code_of(_native.verify_light, [changed], CHAIN_ID)

    def through_python() -> None:
        verify_light([read_light(codec.decode(changed))], CHAIN_ID)

    assert code_of(through_python)


LIGHT = signed(7).light()


def test_sizes_are_bounded() -> None:
    assert code_of(_native.verify_light, [], CHAIN_ID) == "finality.handover"
    assert code_of(_native.verify_light, [LIGHT.encode()] * 34, CHAIN_ID) == "finality.handover"
    assert code_of(_native.verify_light, [b" " * 65_537], CHAIN_ID) == "json.size"
    assert code_of(_native.verify_light, [b'{"a":' * 9 + b"1" + b"}" * 9], CHAIN_ID) == "json.depth"
    for junk in (b"", b"{}", b"[]", b"null", b"\xff"):
        assert code_of(_native.verify_light, [junk], CHAIN_ID)
    assert len(signed(7, set=validators(*range(100))).light().encode()) < 65_536


# --- the answers of the RPC -------------------------------------------------------------------------------------------
def test_an_answer_or_its_result() -> None:
    commit, found = signed(7).answers()
    whole = light_block(rpc(commit), rpc(found))
    assert light_block(json.dumps(commit).encode(), json.dumps(found).encode()) == whole
    commit["signed_header"]["header"]["version"] = {"block": "11"}
    assert code_of(light_block, rpc(commit), rpc(found)) == "finality.signature", "without app another header"
    assert signed(7, version=(11, 0)).light().header.app_version == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda commit, found: commit.pop("canonical"),
        lambda commit, found: commit.update(more=1),
        lambda commit, found: commit["signed_header"]["commit"].update(height="8"),
        lambda commit, found: commit["signed_header"]["commit"].update(round="0"),
        lambda commit, found: commit["signed_header"]["commit"].update(round=-1),
        lambda commit, found: commit["signed_header"]["commit"]["signatures"].pop(),
        lambda commit, found: commit["signed_header"]["commit"]["signatures"].append(
            commit["signed_header"]["commit"]["signatures"][0]
        ),
        lambda commit, found: commit["signed_header"]["commit"]["signatures"].reverse(),
        lambda commit, found: commit["signed_header"]["commit"]["signatures"][0].update(block_id_flag=4),
        lambda commit, found: commit["signed_header"]["commit"]["signatures"][0].update(signature=None),
        lambda commit, found: commit["signed_header"]["header"].update(height="07"),
        lambda commit, found: commit["signed_header"]["header"].update(height=7),
        lambda commit, found: commit["signed_header"]["header"].update(time="2026-11-22T03:41:45.50Z"),
        lambda commit, found: commit["signed_header"]["header"].update(data_hash=""),
        lambda commit, found: commit["signed_header"]["header"].update(data_hash="ab" * 32),
        lambda commit, found: found.update(block_height="8"),
        lambda commit, found: found.update(total="5"),
        lambda commit, found: found.update(count="5"),
        lambda commit, found: found["validators"][0].update(voting_power="0"),
        lambda commit, found: found["validators"][0].update(voting_power="-1"),
        lambda commit, found: found["validators"][0].update(address="00" * 20),
        lambda commit, found: found["validators"][0]["pub_key"].update(type="tendermint/PubKeySecp256k1"),
        lambda commit, found: found["validators"].reverse(),
    ],
)
def test_answers_that_are_none_or_do_not_belong_together(change: Change) -> None:
    commit, found = signed(7).answers()
    change(commit, found)
    assert code_of(light_block, rpc(commit), rpc(found)) == "finality.rpc"


def test_answers_whose_signatures_do_not_hold() -> None:
    commit, found = signed(7).answers()
    commit["signed_header"]["commit"]["block_id"]["hash"] = sha(b"x").hex().upper()
    assert code_of(light_block, rpc(commit), rpc(found)) == "finality.commit"
    commit, found = signed(7).answers()
    found["validators"][3]["voting_power"] = "2"
    assert code_of(light_block, rpc(commit), rpc(found)) in {"finality.validators", "finality.quorum"}


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"{", b"null", b"[]", b"1.5", b"NaN", b'{"a":1,"a":1}', b"[" * 100_000, b" " * 262_145, b"\xff\xfe",
        b'{"jsonrpc":"2.0","id":-1,"error":{"code":-32603,"message":"height 9 must be less than 8"}}',
        b"9" * 5_000,
    ],
)  # fmt: skip
def test_what_is_no_answer(answer: bytes) -> None:
    commit, found = (rpc(item) for item in signed(7).answers())
    for pair in ((answer, found), (commit, answer)):
        assert code_of(light_block, *pair) == "finality.rpc"


@given(st.binary(max_size=200))
def test_noise_never_escapes_the_error_tree(noise: bytes) -> None:
    with pytest.raises(LedgerError):
        light_block(noise, noise)
    with pytest.raises(LedgerError):
        _native.verify_light([noise], CHAIN_ID)
