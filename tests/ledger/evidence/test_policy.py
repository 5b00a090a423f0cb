"""Trust policies and tlog-policy files."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import codec
from ledger.errors import InvalidInputError
from ledger.evidence.finality import Validator
from ledger.evidence.note import ED25519_COSIGNATURE, ED25519_NOTE, VKey
from ledger.evidence.policy import decode_policy, encode_policy
from ledger.evidence.tlogpolicy import format_tlog_policy, parse_tlog_policy
from tests.ledger.evidence.city import City

LOG = VKey(name="310000.audit.civicledger/log", type=ED25519_NOTE, public=b"l" * 32)
WITNESSES = [
    VKey(name=f"310000.m{number}.civicledger/witness", type=ED25519_COSIGNATURE, public=bytes([number]) * 32)
    for number in range(4)
]


def test_round_trip() -> None:
    for policy in (City().trust(), City().trust(pins=(LOG, WITNESSES[0]))):
        data = encode_policy(policy)
        assert decode_policy(data) == policy
        assert codec.encode(json.loads(data)) == data


def change(path: str, value: Any) -> bytes:
    """The policy with one field replaced; ``...`` takes it away."""
    policy = json.loads(City().policy())
    *way, last = path.split(".")
    place = policy
    for step in way:
        place = place[int(step)] if isinstance(place, list) else place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return codec.encode(policy)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("v", 2), ("v", True), ("more", 1), ("chain", "0x" + "00" * 32), ("chain", "00" * 31), ("chain", "0F" * 32),
        ("engine", "cometbft"), ("engine", 1), ("quorum", 0), ("quorum", -1), ("quorum", "3"), ("quorum", ...),
        ("pinned.checkedAt", "9999-12-31T23:59:59.999Z"),
        ("trustingPeriod", 0), ("trustingPeriod", 315_360_001), ("contracts.anchors.codeHash", "00" * 32),
        ("contracts.anchors.more", 1), ("contracts.consortium.address", "0x" + "00" * 32), ("pinned.height", -1),
        ("contracts.consortium.address", "0x" + "C0" * 20), ("pinned.hash", ...), ("pinned.checkedAt", "2026-11-22"),
        ("pinned.validators", {}), ("pinned.validators", []), ("pinned.validators.0.sequencer", False),
        ("pinned.validators.1.sequencer", True), ("pinned.validators.1.sequencer", 1),
        ("pinned.validators.1.member", "91350100M000100Y43"), ("pinned.validators.1.member", "x"), ("pins", []),
        ("pins", ["x"]), ("pins", [str(LOG), str(LOG)]), ("pins", "x"),
    ],
)  # fmt: skip
def test_policies_that_are_none(path: str, value: Any) -> None:
    with pytest.raises(InvalidInputError) as caught:
        decode_policy(change(path, value))
    assert caught.value.code == "policy.format"


def test_a_validator_key_stands_once() -> None:
    policy = json.loads(City().policy())
    policy["pinned"]["validators"][1]["key"] = policy["pinned"]["validators"][0]["key"]
    with pytest.raises(InvalidInputError):
        decode_policy(codec.encode(policy))


def test_what_a_verifier_would_refuse_is_not_written() -> None:
    trust = City().trust()
    none = tuple(replace(item, sequencer=False) for item in trust.pinned.validators)
    for policy in (
        replace(trust, quorum=0),
        replace(trust, pinned=replace(trust.pinned, validators=none)),
        replace(trust, pinned=replace(trust.pinned, validators=(Validator(key=b"k", member="x", sequencer=True),))),
    ):
        with pytest.raises(InvalidInputError):
            encode_policy(policy)


EXAMPLE = f"""# two cities
log {LOG}\thttps://log.example/

witness X1 {WITNESSES[0]}
witness X2 {WITNESSES[1]} https://witness.example/
  witness X3 {WITNESSES[2]}
group X 2 X1 X2 X3
witness Y1 {WITNESSES[3]}
group both all X Y1
quorum both
"""


def test_tlog_policy_groups() -> None:
    policy = parse_tlog_policy(EXAMPLE.encode())
    assert policy.logs == (LOG,)
    cases = {(0, 1, 3): True, (0, 1, 2, 3): True, (0, 1): False, (0, 3): False, (3,): False, (): False}
    for numbers, expected in cases.items():
        assert policy.satisfied([WITNESSES[number] for number in numbers]) is expected, numbers


def test_tlog_policy_simple_quorums() -> None:
    one = parse_tlog_policy(f"witness a {WITNESSES[0]}\nquorum a\n".encode())
    assert one.satisfied(WITNESSES[:1])
    assert not one.satisfied(WITNESSES[1:])
    assert parse_tlog_policy(b"quorum none").satisfied([])
    some = parse_tlog_policy(f"witness a {WITNESSES[0]}\nwitness b {WITNESSES[1]}\ngroup g any a b\nquorum g".encode())
    assert some.satisfied(WITNESSES[1:2])
    assert not some.satisfied(WITNESSES[2:])


def test_tlog_policy_we_write() -> None:
    text = format_tlog_policy([LOG], WITNESSES, 3)
    policy = parse_tlog_policy(text.encode())
    assert policy.satisfied(WITNESSES[1:])
    assert not policy.satisfied(WITNESSES[2:])
    for quorum in (0, 5):
        with pytest.raises(InvalidInputError):
            format_tlog_policy([LOG], WITNESSES, quorum)


W = [f"witness {name} {key}\n" for name, key in zip("abcd", WITNESSES, strict=True)]


@pytest.mark.parametrize(
    "text",
    [
        "", "quorum a\n", "quorum none\nquorum none\n", f"log {LOG}\n", f"log {WITNESSES[0]}\nquorum none\n",
        f"witness a {LOG}\nquorum a\n", W[0] + W[0] + "quorum a\n", W[0] + W[0].replace(" a ", " b ") + "quorum a\n",
        f"log {LOG}\nlog {LOG}\nquorum none\n", W[0] + "group g 2 a\nquorum g\n", W[0] + "group g 0 a\nquorum g\n",
        W[0] + "group g any\nquorum g\n", W[0] + "group g any a a\nquorum g\n", W[0] + "group g any b\nquorum g\n",
        W[0] + "group g any a\ngroup h any a\nquorum h\n", W[0] + "group g some a\nquorum g\n",
        W[0] + "group none any a\nquorum none\n", W[0].replace(" a ", " none ") + "quorum none\n", "nonsense\n",
        W[0] + "group g any none\nquorum g\n", "quorum g\n" + W[0] + "group g any a\n", "quorum none\r\n", "quorum",
        W[0] + "group a any a\nquorum a\n", f"witness a {WITNESSES[0]} u v\nquorum a\n", "quorum none\x00\n",
    ],
)  # fmt: skip
def test_tlog_policies_that_are_none(text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_tlog_policy(text.encode())
    assert caught.value.code == "policy.tlog"


@given(st.binary(max_size=200))
def test_tlog_policy_noise(data: bytes) -> None:
    try:
        policy = parse_tlog_policy(data)
    except InvalidInputError:
        return
    assert policy.quorum == "none"
