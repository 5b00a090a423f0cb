"""The offline verifier: what a good bundle gives, what every change and every attack gives."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from eth_utils import keccak
from hypothesis import given
from hypothesis import strategies as st

from ledger import codec
from ledger.errors import InvalidInputError, LedgerError
from ledger.evidence.bundle import Disclosure, decode_bundle, encode_bundle
from ledger.evidence.checkpoint import VKey
from ledger.model import KeyRole, Record
from ledger.verify import verify_bundle
from tests.ledger.evidence.changes import change_one
from tests.ledger.evidence.city import NOW, USCCS, City, refused, signer

WITNESS_2 = signer(KeyRole.WITNESS, 2).public
LOG_1 = signer(KeyRole.LOG, 1).public


@pytest.fixture(scope="module")
def good() -> tuple[bytes, bytes]:
    city = City()
    return city.bundle(), city.policy()


def test_good_bundle_is_verified(good: tuple[bytes, bytes]) -> None:
    verdict = verify_bundle(*good).to_dict()
    assert (verdict["verdict"], verdict["reached"], verdict["finality"]) == ("verified", "final", "single-signer")
    assert [check["name"] for check in verdict["checks"]] == [
        "record", "inclusion", "checkpoint", "anchor", "state", "finality", "policy",
    ]  # fmt: skip
    assert all(check["ok"] for check in verdict["checks"])
    assert verdict["subject"]["record"] == {
        "body": {"proposal": 7, "yes": True},
        "member": USCCS[1],
        "time": "2026-11-22T03:39:55.000Z",
        "type": "member.voted",
    }
    assert verdict["log"] == {"origin": "310000.civil-affairs.civicledger/log", "size": 11, "index": 6}
    assert verdict["anchor"] == {"height": 42, "time": "2026-11-22T03:40:00.000Z"}
    assert verdict["judged_at"] == "2026-11-22T03:39:00.000Z"
    assert json.loads(json.dumps(verdict)) == verdict


def test_any_changed_bit_is_refused_by_a_link(good: tuple[bytes, bytes]) -> None:
    bundle, policy = good
    for position in random.sample(range(8 * len(bundle)), 600):
        changed = bytearray(bundle)
        changed[position // 8] ^= 1 << position % 8
        assert refused(bytes(changed), policy), f"bit {position}"


def test_any_changed_base64_character_is_refused(good: tuple[bytes, bytes]) -> None:
    """Changes that stay valid base64 reach the links behind the decoder."""
    bundle, policy = good
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    places = [place for place, byte in enumerate(bundle) if byte in alphabet]
    reached = set()
    for place in random.sample(places, 600):
        changed = bytearray(bundle)
        changed[place] = random.choice([c for c in alphabet if c != bundle[place]])
        reached.add(refused(bytes(changed), policy).partition(".")[0])
    assert "state" in reached, "changes of trie nodes are by far the most"


@given(st.data())
def test_any_other_value_of_any_field_is_refused(good: tuple[bytes, bytes], data: st.DataObject) -> None:
    """Well-formed changes: a field replaced, taken away or doubled, and the file canonical again."""
    whole = json.loads(good[0])
    change_one(data, whole)
    assert refused(codec.encode(whole), good[1])


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda data: data + b" ",
        lambda data: b" " + data,
        lambda data: data + b"\n",
        lambda data: data.replace(b'"v":1', b'"v": 1'),
        lambda data: json.dumps(dict(reversed(json.loads(data).items())), separators=(",", ":")).encode(),
        lambda data: json.dumps(json.loads(data), indent=1).encode(),
        lambda data: data[:-1] + b',"w":1}',
        lambda data: data.replace(b'"v":1', b'"v":2'),
        lambda data: data.replace(b'"v":1', b'"v":true'),
        lambda data: b"",
        lambda data: b"[]",
        lambda data: data[: len(data) // 2],
        lambda data: data + b" " * 1_048_576,
    ],
)
def test_reformatted_bundles_are_refused(good: tuple[bytes, bytes], rewrite: Callable[[bytes], bytes]) -> None:
    assert refused(rewrite(good[0]), good[1]) == "bundle.format"


def test_unused_bits_of_base64_are_refused(good: tuple[bytes, bytes]) -> None:
    value = json.loads(good[0])
    text = value["finality"]["sequencer"]["signature"]
    assert text.endswith("==")
    value["finality"]["sequencer"]["signature"] = text[:-3] + chr(ord(text[-3]) + 1) + "=="
    assert base64.b64decode(value["finality"]["sequencer"]["signature"]) == base64.b64decode(text)
    assert refused(codec.encode(value), good[1]) == "bundle.finality"


def test_keys_ended_after_the_anchor_still_count() -> None:
    """Rotation must not void history (docs/formats.md, keys of a member)."""
    for changes in (
        {LOG_1: {"status": 2, "ended": NOW + 1}},
        {LOG_1: {"status": 3, "ended": NOW + 1}},
        {WITNESS_2: {"status": 3, "ended": NOW + 1}},
        {WITNESS_2: {"status": 2, "ended": NOW - 1}},
        {WITNESS_2: {"from": NOW + 30}},
    ):
        city = City(witness_numbers=(2, 3, 4), key_changes=changes)
        assert verify_bundle(city.bundle(), city.policy()).verdict == "verified", changes


def test_a_suspended_members_anchored_log_is_still_evidence_and_said_so() -> None:
    city = City(status={1: 2}, active=4, carried=5, cosigners=(2, 3))
    verdict = verify_bundle(city.bundle(), city.policy(quorum=2))
    assert verdict.verdict == "verified"
    assert "suspended" in next(check.detail for check in verdict.checks if check.name == "anchor")


def test_all_active_members_are_others_to_a_suspended_one() -> None:
    """Four active others: three of them must have cosigned, though four active members elsewhere ask for two."""
    city = City(status={1: 2}, active=4, carried=4, cosigners=(2, 3))
    assert refused(city.bundle(), city.policy(quorum=2)) == "checkpoint.quorum"


def test_second_generation_of_a_log() -> None:
    city = City(generation=2, anchored_generation=2)
    verdict = verify_bundle(city.bundle(), city.policy())
    assert verdict.origin == "310000.civil-affairs.civicledger/log/2"


def test_the_policy_decides_the_chain_its_contracts_and_the_least_quorum() -> None:
    city = City()
    bundle = city.bundle()
    assert refused(bundle, city.policy(chain=b"c" * 32)) == "finality.chain"
    assert refused(bundle, city.policy(consortium=b"\xc1" * 20)) == "state.account"
    assert refused(bundle, city.policy(consortium_code_hash=b"c" * 32)) == "state.code"
    assert refused(bundle, city.policy(anchors_code_hash=b"c" * 32)) == "state.code"
    assert refused(bundle, city.policy(quorum=4)) == "policy.quorum"
    assert verify_bundle(bundle, city.policy(quorum=1)).verdict == "verified"


def test_pinned_keys_must_be_the_ones_used() -> None:
    city = City()
    bundle, log, witness = city.bundle(), city.log_vkey, city.witness_vkey(2)
    assert verify_bundle(bundle, city.policy(pins=(log, witness))).verdict == "verified"
    for key in (log, witness):
        other = VKey(name=key.name, type=key.type, public=b"\x01" * 32)
        assert refused(bundle, city.policy(pins=(other,))) == "policy.pin"


def pinned_at(city: City, height: int, hash_: bytes) -> bytes:
    return city.policy(pinned=replace(city.trust().pinned, height=height, hash=hash_))


def test_the_pinned_block() -> None:
    city = City()
    bundle = city.bundle()
    block = decode_bundle(bundle).finality.head.hash
    assert refused(bundle, pinned_at(city, 42, keccak(b"another"))) == "finality.pin"
    for height, words in ((42, "is the pinned"), (43, "older than the pinned"), (41, "follows the pinned")):
        verdict = verify_bundle(bundle, pinned_at(city, height, block))
        assert verdict.verdict == "verified"
        assert words in verdict.checks[-1].detail


def test_judging_times() -> None:
    city = City()
    bundle, policy = city.bundle(), city.policy()
    checked, signed = 1000 * NOW - 60_000, city.head_time_ms
    until = checked + 86_400_000
    assert verify_bundle(bundle, policy).judged_at_ms == checked
    assert verify_bundle(bundle, policy, until).verdict == "verified"
    late = verify_bundle(bundle, policy, until + 1).to_dict()
    assert (late["verdict"], late["code"], late["reached"]) == ("expired", "policy.expired", "final")
    assert [check["name"] for check in late["checks"] if not check["ok"]] == ["policy"]
    assert verify_bundle(bundle, policy, signed - 60_000).verdict == "verified"
    assert refused(bundle, policy, signed - 60_001) == "finality.future"


def test_a_head_signed_after_the_trusting_period_is_not_vouched_for() -> None:
    city = City()
    verdict = verify_bundle(city.bundle(), city.policy(trusting_period=60))
    assert (verdict.verdict, verdict.code) == ("expired", "policy.expired")
    assert verify_bundle(city.bundle(), city.policy(trusting_period=61)).verdict == "verified"


def test_a_heartbeat_signed_later_is_as_good_but_none_from_before_the_block() -> None:
    city = City()
    parts = city.parts()

    def signed_at(time_ms: int) -> bytes:
        head = replace(parts.finality.head, time_ms=time_ms)
        return city.bundle(parts, finality=city.finality_of(head))

    assert verify_bundle(signed_at(1000 * NOW + 60_000), city.policy()).verdict == "verified"
    assert refused(signed_at(1000 * NOW - 1), city.policy()) == "finality.time"


def test_only_records_of_the_catalogue_are_subjects() -> None:
    city = City()
    bundle, policy = decode_bundle(city.bundle()), city.policy()
    unknown = codec.encode({"body": {}, "member": USCCS[1], "time": "2026-11-22T03:39:55.000Z", "type": "x.y", "v": 1})
    assert refused(encode_bundle(replace(bundle, record=unknown)), policy) == "record.type"
    assert refused(encode_bundle(replace(bundle, record=b"{}")), policy) == "record.fields"
    assert refused(encode_bundle(replace(bundle, record=b"no json")), policy) == "record.invalid"


def test_disclosures_open_commitments_of_the_record() -> None:
    salt, value = b"s" * 32, "王某某 looked at 310000-7".encode()
    commitment = codec.commitment("access.used/row", salt, value).hex()
    body = {
        "system": "desk-7",
        "matter": "0123",
        "purpose": "audit",
        "operator": codec.commitment("access.used/operator", b"o" * 32, b"op-1").hex(),
        "commitment": commitment,
    }
    city = City(record=Record(type="access.used", member=USCCS[1], time_ms=1000 * NOW, body=body))
    opened = Disclosure(field="commitment", type="access.used/row", salt=salt, value=value)

    def disclosed(*items: Disclosure) -> bytes:
        return encode_bundle(replace(decode_bundle(city.bundle()), disclosures=items))

    verdict = verify_bundle(disclosed(opened), city.policy()).to_dict()
    assert verdict["subject"]["opened"] == {"commitment": value.decode()}
    binary = replace(opened, field="operator", type="access.used/operator", salt=b"o" * 32, value=b"op-1")
    assert verify_bundle(disclosed(opened, binary), city.policy()).opened[1] == ("operator", "op-1")
    for wrong in (
        replace(opened, value=value + b"!"),
        replace(opened, salt=bytes(32)),
        replace(opened, type="access.used/other"),
        replace(opened, field="operator"),
        replace(opened, field="nothing"),
    ):
        assert refused(disclosed(wrong), city.policy()) == "record.disclosure"
    assert refused(disclosed(opened, opened), city.policy()) == "record.disclosure"


def test_a_policy_that_is_none_is_the_callers_mistake(good: tuple[bytes, bytes]) -> None:
    for policy in (b"", b"{}", good[1] + b" ", good[1].replace(b'"quorum":3', b'"quorum":0')):
        with pytest.raises(InvalidInputError) as caught:
            verify_bundle(good[0], policy)
        assert caught.value.code == "policy.format"


def test_noise_never_passes_nor_escapes_the_error_tree(good: tuple[bytes, bytes]) -> None:
    for length in (0, 1, 10, 1000):
        with pytest.raises(LedgerError):
            verify_bundle(random.randbytes(length), good[1])


def test_a_verdict_cannot_be_made_by_hand_nor_changed(good: tuple[bytes, bytes]) -> None:
    verdict = verify_bundle(*good)
    with pytest.raises((TypeError, ValueError)):
        replace(verdict, origin="310000.other.civicledger/log")
    with pytest.raises(TypeError):
        replace(verdict, origin="310000.other.civicledger/log", seal=object())
