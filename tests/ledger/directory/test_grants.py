"""Judging a use, and the agreement a grant is written as."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import codec
from ledger.directory.grants import (
    REFUSAL_REASONS,
    Terms,
    agreement,
    agreement_digest,
    decode_agreement,
    judge,
    make_scope,
    text_digest,
)
from ledger.errors import InvalidInputError, NotAllowedError
from ledger.model import DatasetInfo, GrantInfo, GrantState, Level, Sharing

PROVIDER, CONSUMER = "91110000600037341L", "91320621MA1MRHG205"
DATASET = DatasetInfo(
    id=b"d" * 32,
    provider=PROVIDER,
    sharing=Sharing.CONDITIONAL,
    level=Level.GENERAL,
    metadata_digest=b"m" * 32,
    withdrawn=False,
    versions=(),
)
GRANT = GrantInfo(
    id=b"g" * 32,
    dataset=b"d" * 32,
    provider=PROVIDER,
    consumer=CONSUMER,
    purpose="social.relief",
    matter_digest=b"t" * 32,
    scope_digest=b"s" * 32,
    odrl_digest=b"o" * 32,
    ceiling=3,
    valid_until=2000,
    deadline=1500,
    state=GrantState.ACTIVE,
    approvals=("provider",),
)
TERMS = Terms(
    dataset=b"d" * 32,
    provider=PROVIDER,
    consumer=CONSUMER,
    purpose="social.relief",
    matter="310000-07-001",
    scope=make_scope(["code", "name"], {"kind": ["city", "county"], "province": "31", "open": True}),
    ceiling=100,
    valid_until=1_800_000_000,
)


def ask(grant: GrantInfo = GRANT, dataset: DatasetInfo = DATASET, **changes: Any) -> None:
    judge(grant, dataset, **{"consumer": CONSUMER, "purpose": "social.relief", "now_s": 1999, "used": 2, **changes})


def test_a_use_within_the_grant_passes() -> None:
    ask()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"grant": replace(GRANT, dataset=b"x" * 32)}, "grant.dataset"),
        ({"grant": replace(GRANT, provider=CONSUMER)}, "grant.dataset"),
        ({"consumer": PROVIDER}, "grant.consumer"),
        ({"purpose": "social"}, "grant.purpose"),
        ({"now_s": 2000}, "grant.expired"),
        ({"used": 3}, "grant.ceiling"),
        ({"dataset": replace(DATASET, withdrawn=True)}, "dataset.withdrawn"),
        ({"dataset": replace(DATASET, sharing=Sharing.NOT_SHARED)}, "dataset.not-shared"),
        ({"grant": replace(GRANT, missing_approvals=("supervisor",))}, "grant.suspended"),
        ({"grant": replace(GRANT, state=GrantState.NONE)}, "grant.requested"),
        ({"grant": replace(GRANT, state=GrantState.REQUESTED, missing_approvals=("provider",))}, "grant.requested"),
        ({"grant": replace(GRANT, state=GrantState.REFUSED, refusal_reason=3)}, "grant.refused"),
        ({"grant": replace(GRANT, state=GrantState.REVOKED)}, "grant.revoked"),
        ({"grant": replace(GRANT, state=GrantState.SUSPENDED)}, "grant.suspended"),
        ({"grant": replace(GRANT, state=GrantState.EXPIRED)}, "grant.expired"),
    ],
)
def test_each_rule_refuses_with_its_own_code(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(NotAllowedError) as caught:
        ask(**changes)
    assert caught.value.code == code
    assert caught.value.hint


def test_only_the_active_state_passes() -> None:
    for state in GrantState:
        if state is not GrantState.ACTIVE:
            with pytest.raises(NotAllowedError):
                ask(replace(GRANT, state=state))


def test_an_agreement_says_every_constraint() -> None:
    data = agreement(TERMS)
    value = codec.decode(data)
    assert value["conflict"] == "prohibit"
    operands = {constraint["leftOperand"] for constraint in value["permission"][0]["constraint"]}
    assert {"purpose", "dateTime", "count", "recipient"} <= operands
    assert decode_agreement(data) == TERMS
    assert agreement_digest(data) == codec.domain_digest("odrl", data)


@given(
    st.builds(
        Terms,
        dataset=st.binary(min_size=32, max_size=32),
        provider=st.just(PROVIDER),
        consumer=st.just(CONSUMER),
        purpose=st.from_regex(r"[a-z0-9][a-z0-9.-]{0,31}", fullmatch=True),
        matter=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x9FFF), min_size=1, max_size=64),
        scope=st.builds(
            make_scope,
            st.sets(st.from_regex(r"[a-z]{1,5}", fullmatch=True), min_size=1, max_size=4),
            st.dictionaries(
                st.from_regex(r"[a-z:]{1,5}", fullmatch=True), st.sets(st.integers(0, 99), min_size=1), max_size=3
            ),
        ),
        ceiling=st.integers(1, 2**53 - 1),
        valid_until=st.integers(1, 2**37),
    )
)
def test_agreements_round_trip(terms: Terms) -> None:
    assert decode_agreement(agreement(terms)) == terms


@pytest.mark.parametrize(
    "changes",
    [
        {"ceiling": 0},
        {"ceiling": True},
        {"ceiling": 2**53},
        {"valid_until": 0},
        {"matter": ""},
        {"matter": "x" * 65},
        {"dataset": b"short"},
        {"consumer": PROVIDER},
    ],
)
def test_terms_without_a_limit_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError) as caught:
        agreement(replace(TERMS, **changes))
    assert caught.value.code == "grant.terms"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"conflict":"prohibit"', b'"conflict":"perm"'),
        (b'"action":"use"', b'"action":"distribute"'),
        (b'"operator":"lt"', b'"operator":"gt"'),
        (b'"rightOperand":100', b'"rightOperand":1000'),
        (b"urn:civicledger:odrl:v1", b"urn:civicledger:odrl:v2"),
        (b"social.relief", b"social.other"),
        (b'"permission":[', b'"permission":[{},'),
        (b'"uid":"urn', b'"uid":"arn'),
    ],
)
def test_a_changed_agreement_is_not_read_as_something_else(old: bytes, new: bytes) -> None:
    data = agreement(TERMS)
    assert data.count(old) >= 1
    with pytest.raises(InvalidInputError) as caught:
        decode_agreement(data.replace(old, new))
    assert caught.value.code == "grant.agreement"


@pytest.mark.parametrize("value", [None, [], {}, {"permission": []}, {"permission": [{"constraint": [], "target": 1}]}])
def test_what_is_no_agreement_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInputError) as caught:
        decode_agreement(codec.encode(value))
    assert caught.value.code == "grant.agreement"


def test_reasons_are_a_closed_table_in_two_languages() -> None:
    assert all(reason.word and reason.zh and reason.en for reason in REFUSAL_REASONS.values())
    assert len({reason.word for reason in REFUSAL_REASONS.values()}) == len(REFUSAL_REASONS)
    assert all(0 < code < 2**16 for code in REFUSAL_REASONS)


def test_a_text_is_bound_by_its_digest() -> None:
    assert text_digest("超出范围") != text_digest("超出范围 ")
