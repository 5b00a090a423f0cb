"""Steps of recognition, their receipts, and notices of changes: both signatures, every field, half and complete."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import codec
from ledger.errors import ConflictError, InvalidInputError, LedgerError, UntrustedError
from ledger.evidence.medicalnotice import ChangeNotice, decode_notice, notice_digest, sign_notice, verify_notice
from ledger.evidence.medicalreceipt import (
    StepReceipt,
    countersign_step,
    decode_step_receipt,
    report_commitment,
    sign_step_receipt,
    step_receipt_digest,
    verify_step_receipt,
)
from ledger.evidence.medicalstep import (
    StepKind,
    StepRequest,
    decode_step,
    sign_step,
    step_digest,
    step_id,
    verify_step,
)
from ledger.model import KeyRole
from tests.ledger.evidence.city import USCCS, signer

PROVIDER, CONSUMER = signer(KeyRole.RECEIPT, 1), signer(KeyRole.RECEIPT, 2)
NOW = 1_795_318_905_684
OPEN = StepRequest(
    chain=b"c" * 32, provider=USCCS[1], consumer=USCCS[2], kind=StepKind.OPEN, report=b"r" * 32, version=2, places=(),
    course="chronic", purpose="treatment", rules_version=3, rules=b"u" * 32, operator=b"o" * 32, nonce=b"n" * 32,
    time_ms=NOW, expires_ms=NOW + 290_000,
)  # fmt: skip
RECOGNISE = replace(OPEN, kind=StepKind.RECOGNISE, places=(0, 2), opening=b"p" * 32)
RETEST = replace(RECOGNISE, kind=StepKind.RETEST, places=(1,), reason="fast-changing")
RECEIPT = StepReceipt(
    chain=b"c" * 32, step=b"s" * 32, request=b"q" * 32, kind=StepKind.OPEN, report=b"r" * 32, version=2,
    items=((0, "wbc"), (1, "")), purpose="treatment", rules_version=3, rules=b"u" * 32, provider=USCCS[1],
    consumer=USCCS[2], commitment=b"k" * 32, offer=b"f" * 32, byte_count=1234, requested_ms=NOW, released_ms=NOW + 5,
    block=b"b" * 32,
)  # fmt: skip
NOTICE = ChangeNotice(
    chain=b"c" * 32, provider=USCCS[1], consumer=USCCS[2], report=b"r" * 32, version=3, change="withdrawn", time_ms=NOW
)


def code_of(kind: type[LedgerError], call: Callable[..., Any], *args: Any) -> str:
    with pytest.raises(kind) as caught:
        call(*args)
    return caught.value.code


@pytest.mark.parametrize("request_", [OPEN, RECOGNISE, RETEST], ids=lambda one: one.kind.value)
def test_a_request_comes_back_as_it_was_signed(request_: StepRequest) -> None:
    data = sign_step(CONSUMER, request_)
    verified = verify_step(data, CONSUMER.public, NOW)
    assert verified.request == decode_step(data) == request_
    assert verified.step == step_id(data)
    assert verified.digest == step_digest(data)
    assert codec.encode(codec.decode(data)) == data


def test_a_request_is_the_consumers_and_of_its_time() -> None:
    data = sign_step(CONSUMER, OPEN)
    assert code_of(UntrustedError, verify_step, data, PROVIDER.public, NOW) == "medical.step-signature"
    for late in (OPEN.expires_ms, OPEN.expires_ms + 1, OPEN.expires_ms - 300_001):
        assert code_of(InvalidInputError, verify_step, data, CONSUMER.public, late) == "medical.step-expired"
    assert verify_step(data, CONSUMER.public, OPEN.expires_ms - 1)
    assert code_of(InvalidInputError, sign_step, signer(KeyRole.LOG, 2), OPEN) == "key.role"


@pytest.mark.parametrize(
    "wrong",
    [
        replace(OPEN, opening=b"p" * 32),
        replace(OPEN, places=(0,)),
        replace(OPEN, reason="emergency"),
        replace(OPEN, course="subacute"),
        replace(OPEN, version=0),
        replace(OPEN, rules_version=0),
        replace(OPEN, expires_ms=NOW),
        replace(OPEN, expires_ms=NOW + 300_001),
        replace(RECOGNISE, opening=None),
        replace(RECOGNISE, places=()),
        replace(RECOGNISE, places=(2, 0)),
        replace(RECOGNISE, places=(1, 1)),
        replace(RECOGNISE, reason="emergency"),
        replace(RETEST, reason=""),
        replace(RETEST, reason="Not A Code"),
    ],
)
def test_what_makes_no_sense_is_not_signed(wrong: StepRequest) -> None:
    assert code_of(InvalidInputError, sign_step, CONSUMER, wrong) == "medical.step"


@given(st.integers(min_value=0), st.integers(1, 255))
def test_a_changed_byte_of_a_request_is_noticed(at: int, by: int) -> None:
    data = bytearray(sign_step(CONSUMER, RETEST))
    data[at % len(data)] ^= by
    with pytest.raises(LedgerError):
        verify_step(bytes(data), CONSUMER.public, NOW)


def test_a_receipt_is_half_until_both_signed() -> None:
    half = sign_step_receipt(PROVIDER, RECEIPT)
    assert decode_step_receipt(half) == (RECEIPT, "half")
    assert verify_step_receipt(half, PROVIDER.public, None).state == "half"
    both = countersign_step(CONSUMER, half, PROVIDER.public)
    verified = verify_step_receipt(both, PROVIDER.public, CONSUMER.public)
    assert (verified.receipt, verified.state) == (RECEIPT, "complete")
    assert verified.digest == step_receipt_digest(both) != step_receipt_digest(half)
    assert code_of(ConflictError, countersign_step, CONSUMER, both, PROVIDER.public) == "receipt.complete"
    assert code_of(UntrustedError, verify_step_receipt, both, PROVIDER.public, None) == "receipt.consumer"
    assert code_of(UntrustedError, verify_step_receipt, both, CONSUMER.public, PROVIDER.public) == "receipt.provider"
    assert code_of(UntrustedError, verify_step_receipt, both, PROVIDER.public, PROVIDER.public) == "receipt.consumer"


def test_every_field_of_a_receipt_is_signed() -> None:
    retest = replace(RECEIPT, kind=StepKind.RETEST, reason="emergency")
    both = countersign_step(CONSUMER, sign_step_receipt(PROVIDER, retest), PROVIDER.public)
    value = json.loads(both)
    others = {
        "items": [{"item": "wbc", "place": 0}], "kind": "open", "purpose": "research", "reason": "other-need",
        "provider": USCCS[3], "consumer": USCCS[3], "rules": {"digest": "00" * 32, "version": 3},
        "requested": "2026-01-01T00:00:00.000Z", "released": "2026-01-01T00:00:00.000Z",
    }  # fmt: skip
    for name, was in value["receipt"].items():
        other = others.get(name, was + 1 if isinstance(was, int) else "00" * 32)
        changed = {**value, "receipt": {**value["receipt"], name: other}}
        with pytest.raises(LedgerError):
            verify_step_receipt(codec.encode(changed), PROVIDER.public, CONSUMER.public)
    # Kind, report, version … : every field of the type stands in what is signed.
    assert len(value["receipt"]) == len(fields(StepReceipt)) - 1  # the two of the rules are one object


@pytest.mark.parametrize(
    "wrong",
    [
        lambda inner: inner | {"more": 1},
        lambda inner: {name: value for name, value in inner.items() if name != "offer"},
        lambda inner: inner | {"reason": ""},
        lambda inner: inner | {"kind": "peek"},
        lambda inner: inner | {"items": [{"place": 0}]},
        lambda inner: inner | {"bytes": -1},
    ],
)
def test_a_receipt_of_another_shape_is_none(wrong: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    value = json.loads(sign_step_receipt(PROVIDER, RECEIPT))
    data = codec.encode({**value, "receipt": wrong(value["receipt"])})
    assert code_of(InvalidInputError, decode_step_receipt, data) == "receipt.format"


def test_the_commitment_needs_the_salt() -> None:
    digest = b"d" * 32
    assert report_commitment(b"s" * 32, digest) != report_commitment(b"t" * 32, digest)
    assert report_commitment(b"s" * 32, digest) == codec.commitment_of_digest("medical.report", b"s" * 32, digest)


def test_a_notice_is_the_hospitals_that_has_the_report() -> None:
    data = sign_notice(PROVIDER, NOTICE)
    assert verify_notice(data, PROVIDER.public) == decode_notice(data) == NOTICE
    assert code_of(UntrustedError, verify_notice, data, CONSUMER.public) == "medical.notice-signature"
    assert len(notice_digest(data)) == 32
    value = json.loads(data)
    for inner in (value["notice"] | {"change": "erased"}, value["notice"] | {"more": 1}):
        wrong = codec.encode({**value, "notice": inner})
        assert code_of(InvalidInputError, decode_notice, wrong) == "medical.notice"


@given(st.integers(min_value=0), st.integers(1, 255))
def test_a_changed_byte_of_a_notice_is_noticed(at: int, by: int) -> None:
    data = bytearray(sign_notice(PROVIDER, NOTICE))
    data[at % len(data)] ^= by
    with pytest.raises(LedgerError):
        verify_notice(bytes(data), PROVIDER.public)
