"""The offline verifier on bundles of a cometbft city."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import codec
from ledger.evidence.bft import BftFinality
from ledger.evidence.bundle import decode_bundle, decode_parts, encode_bundle, encode_parts
from ledger.evidence.policy import decode_policy, encode_policy
from ledger.verify import verify_bundle
from tests.ledger.evidence.changes import change_one
from tests.ledger.evidence.city import CHAIN, NOW, City, refused
from tests.ledger.evidence.comet import ABSENT, FOUR, NIL, sha, validators
from tests.ledger.evidence.comet_city import CHANGE, FIVE, CometCity, height_of


@pytest.fixture(scope="module")
def good() -> tuple[bytes, bytes]:
    city = CometCity(changed=True)
    return city.bundle(), city.policy()


def with_light(city: CometCity, **changes: Any) -> bytes:
    """The city's bundle with the light block of a changed height."""
    parts = city.parts()
    assert isinstance(parts.finality, BftFinality)
    light = city.light(parts.anchor.header, **changes)
    return city.bundle(parts, finality=replace(parts.finality, light=light))


def test_good_bundle_is_final_by_consensus() -> None:
    city = CometCity()
    verdict = verify_bundle(city.bundle(), city.policy()).to_dict()
    assert (verdict["verdict"], verdict["reached"], verdict["finality"]) == ("verified", "final", "bft")
    words = {check["name"]: check["detail"] for check in verdict["checks"]}
    assert words["finality"] == (
        "block 42 under the header of consensus height 78, signed by 3 of 4 votes of the validators at "
        "2026-11-22T03:40:00.300Z"
    )
    assert words["policy"].startswith("consensus height 78 follows the pinned consensus height 50; validators trusted")


def test_hand_over_from_the_pinned_validators(good: tuple[bytes, bytes]) -> None:
    verdict = verify_bundle(*good)
    assert verdict.finality == "bft"
    assert "after 1 change(s) of the validators" in verdict.checks[-1].detail
    city = CometCity(changed=True)
    for pinned, words in (
        (height_of(70, set=FIVE), "follows"),
        (height_of(90, set=FIVE), "older"),
        (CHANGE, "after 1 change"),
    ):
        assert words in verify_bundle(good[0], city.policy(pinned=pinned)).checks[-1].detail


def test_any_changed_bit_is_refused_by_a_link(good: tuple[bytes, bytes]) -> None:
    bundle, policy = good
    for position in random.sample(range(8 * len(bundle)), 200):
        changed = bytearray(bundle)
        changed[position // 8] ^= 1 << position % 8
        assert refused(bytes(changed), policy), f"bit {position}"
    start = bundle.index(b'"finality"')
    for position in random.sample(range(8 * start, 8 * bundle.index(b',"inclusion"')), 200):
        changed = bytearray(bundle)
        changed[position // 8] ^= 1 << position % 8
        assert refused(bytes(changed), policy), f"bit {position} of the finality"


@given(st.data())
def test_any_other_value_in_the_finality_is_refused(good: tuple[bytes, bytes], data: st.DataObject) -> None:
    whole = json.loads(good[0])
    change_one(data, whole["finality"])
    assert refused(codec.encode(whole), good[1])


def test_only_the_next_consensus_height_is_taken() -> None:
    """Idle heights carry the same hash: they would be as true, but one block has one proof."""
    city = CometCity()
    assert verify_bundle(with_light(city, height=78), city.policy()).verdict == "verified"
    for height in (76, 77, 79, 80, 500):
        assert refused(with_light(city, height=height), city.policy()) in {"finality.height", "finality.time"}
    assert refused(CometCity(consensus_height=78).bundle(), city.policy()) == "finality.height"


def test_headers_that_carry_another_hash_or_chain() -> None:
    city = CometCity()
    assert refused(with_light(city, app_hash=sha(b"another block")), city.policy()) == "finality.header"
    assert refused(with_light(city, chain_id="civic-0123456789abcdef"), city.policy()) == "finality.chain"
    assert refused(city.bundle(), city.policy(chain=b"c" * 32)) == "finality.chain"
    parts = city.parts()
    assert isinstance(parts.finality, BftFinality)
    for field, value in (("height", 43), ("chain", b"c" * 32)):
        wrong = city.bundle(parts, finality=replace(parts.finality, **{field: value}))
        assert refused(wrong, city.policy()) == f"finality.{field}"


def test_signatures_of_too_few_or_other_validators() -> None:
    city = CometCity()
    order = FOUR.members
    assert verify_bundle(with_light(city, flags={order[1]: ABSENT}), city.policy()).finality == "bft"
    assert verify_bundle(with_light(city, flags={order[1]: NIL}), city.policy()).finality == "bft"
    assert refused(with_light(city, set=validators(5, 6, 7, 8)), city.policy()) == "finality.validators"
    parts = city.parts()
    assert isinstance(parts.finality, BftFinality)
    light = parts.finality.light

    def judged(**changes: Any) -> str:
        made = replace(parts.finality, light=replace(light, **changes))  # type: ignore[type-var]
        return refused(city.bundle(parts, finality=made), city.policy())

    assert judged(votes=light.votes[:2]) == "finality.quorum"
    assert judged(votes=(None, *light.votes[1:])) == "finality.quorum"
    assert judged(votes=(*light.votes, None)) == "finality.prefix"
    assert judged(votes=light.votes[::-1]) == "finality.signature"
    assert judged(round=1) == "finality.signature"
    assert judged(validators=light.validators[::-1]) == "finality.validators"


def test_a_left_out_or_padded_hand_over(good: tuple[bytes, bytes]) -> None:
    content = decode_bundle(good[0])
    assert isinstance(content.finality, BftFinality)
    (change,) = content.finality.handover

    def judged(*handover: Any) -> str:
        made = replace(content.finality, handover=handover)  # type: ignore[type-var]
        return refused(encode_bundle(replace(content, finality=made)), good[1])

    assert judged() == "finality.validators"
    assert judged(change, change) == "finality.handover"
    assert judged(height_of(55).light(), change) == "finality.handover"
    assert judged(change, height_of(61, set=FIVE).light()) == "finality.handover"
    assert judged(height_of(60, next=validators(0, 1, 2, 4)).light()) == "finality.handover"


def test_times_of_judging() -> None:
    city = CometCity()
    bundle, policy = city.bundle(), city.policy()
    checked, signed_at = 1000 * NOW - 60_000, 1000 * NOW + 300
    until = checked + 86_400_000
    assert verify_bundle(bundle, policy).judged_at_ms == checked
    assert verify_bundle(bundle, policy, until).verdict == "verified"
    late = verify_bundle(bundle, policy, until + 1)
    assert (late.verdict, late.code, late.finality) == ("expired", "policy.expired", "bft")
    assert verify_bundle(bundle, policy, signed_at - 60_000).verdict == "verified"
    assert refused(bundle, policy, signed_at - 60_001) == "finality.future"
    assert verify_bundle(bundle, city.policy(trusting_period=60)).verdict == "expired", "signed after the period"
    early = with_light(city, time_ns=1_000_000 * (1000 * NOW - 1))
    assert refused(early, policy) == "finality.time", "before its own block"


def test_the_policy_is_of_one_engine() -> None:
    comet, solo = CometCity(), City()
    assert refused(comet.bundle(), solo.policy()) == "finality.engine"
    assert refused(solo.bundle(), comet.policy()) == "finality.engine"


def test_a_changed_pin() -> None:
    city = CometCity()
    bundle = city.bundle()
    assert refused(bundle, city.policy(pinned=height_of(50, set=FIVE))) == "finality.validators"
    assert refused(bundle, city.policy(pinned=height_of(78))) == "finality.pin"
    header = city.parts().anchor.header
    pinned = height_of(78, app_hash=codec.keccak256(header))
    assert "is the pinned" in verify_bundle(bundle, city.policy(pinned=pinned)).checks[-1].detail


def test_parts_and_policies_are_kept_as_they_are() -> None:
    parts = CometCity(changed=True).parts()
    assert decode_parts(encode_parts(parts)) == parts
    trust = CometCity().trust()
    assert decode_policy(encode_policy(trust)) == trust
    assert trust.chain == CHAIN


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda value: value.update(engine="solo"),
        lambda value: value.update(engine="external"),
        lambda value: value["pinned"].update(height=0),
        lambda value: value["pinned"].update(hash="0x" + value["pinned"]["hash"]),
        lambda value: value["pinned"].update(hash=value["pinned"]["hash"].upper()),
        lambda value: value["pinned"].update(validators=[]),
        lambda value: value["pinned"].pop("validatorsHash"),
    ],
)
def test_policies_that_are_none(rewrite: Callable[[dict[str, Any]], object]) -> None:
    value = json.loads(CometCity().policy())
    rewrite(value)
    with pytest.raises(Exception, match="trust policy") as caught:
        decode_policy(codec.encode(value))
    assert caught.value.code == "policy.format"  # type: ignore[attr-defined]


def test_a_policy_with_a_pin_of_the_other_engine_is_not_written() -> None:
    for wrong in (replace(CometCity().trust(), engine="solo"), replace(City().trust(), engine="cometbft")):
        with pytest.raises(Exception, match="trust policy"):
            encode_policy(wrong)
