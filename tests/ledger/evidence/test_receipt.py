"""Exchange requests and receipts: both signatures, every field, half and complete."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import codec
from ledger.errors import ConflictError, InvalidInputError, LedgerError, UntrustedError
from ledger.evidence.receipt import (
    ExchangeRequest,
    Receipt,
    countersign,
    decode_receipt,
    decode_request,
    exchange_id,
    payload_commitment,
    provider_sign,
    receipt_digest,
    request_digest,
    sign_acknowledgement,
    sign_request,
    verify_acknowledgement,
    verify_receipt,
    verify_request,
)
from ledger.keys import Ed25519Signer
from ledger.model import KeyRole
from tests.ledger.evidence.city import USCCS, signer

PROVIDER, CONSUMER = signer(KeyRole.RECEIPT, 1), signer(KeyRole.RECEIPT, 2)
NOW = 1_795_318_905_684
REQUEST = ExchangeRequest(
    chain=b"c" * 32, provider=USCCS[1], consumer=USCCS[2], grant=b"g" * 32, dataset=b"d" * 32, purpose="public-service",
    matter=b"m" * 32, operator=b"o" * 32, query={"fields": ["code"], "rows": {"level": "city"}}, nonce=b"n" * 32,
    time_ms=NOW, expires_ms=NOW + 300_000,
)  # fmt: skip
RECEIPT = Receipt(
    chain=b"c" * 32, exchange=b"e" * 32, request=b"q" * 32, grant=b"g" * 32, dataset=b"d" * 32, version=b"v" * 32,
    scope=b"s" * 32, provider=USCCS[1], consumer=USCCS[2], purpose="public-service", commitment=b"k" * 32,
    byte_count=1234, requested_ms=NOW, released_ms=NOW + 5, block=b"b" * 32,
)  # fmt: skip


def code_of(kind: type[LedgerError], call: Any, *args: Any) -> str:
    with pytest.raises(kind) as caught:
        call(*args)
    return caught.value.code


def test_request_round_trip() -> None:
    for request in (REQUEST, replace(REQUEST, grant=None, query={})):
        data = sign_request(CONSUMER, request)
        verified = verify_request(data, CONSUMER.public, NOW)
        assert verified.request == request == decode_request(data)
        assert verified.exchange == exchange_id(data) == codec.domain_digest("exchange", data)
        assert verified.digest == request_digest(data) != verified.exchange


def test_request_times() -> None:
    data = sign_request(CONSUMER, REQUEST)
    assert code_of(InvalidInputError, verify_request, data, CONSUMER.public, NOW + 300_000) == "exchange.expired"
    assert code_of(InvalidInputError, verify_request, data, CONSUMER.public, NOW - 1) == "exchange.too-far"
    for expires in (NOW, NOW + 300_001):
        bad = replace(REQUEST, expires_ms=expires)
        assert code_of(InvalidInputError, sign_request, CONSUMER, bad) == "exchange.expiry"


def test_request_is_bound_to_its_signer() -> None:
    data = sign_request(CONSUMER, REQUEST)
    assert code_of(UntrustedError, verify_request, data, PROVIDER.public, NOW) == "exchange.signature"
    value = json.loads(data)
    value["request"]["nonce"] = "00" * 32
    assert code_of(UntrustedError, verify_request, codec.encode(value), CONSUMER.public, NOW) == "exchange.signature"
    wrong = Ed25519Signer(KeyRole.LOG, b"s" * 32)
    assert code_of(InvalidInputError, sign_request, wrong, REQUEST) == "key.role"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("chain", "00"), ("consumer", "x"), ("consumer", 1), ("dataset", None), ("expires", "soon"), ("matter", "0x00"),
        ("nonce", "N" * 64), ("operator", ...), ("provider", ...), ("purpose", "Any"), ("query", []), ("query", "x"),
        ("time", 0), ("more", 1), ("grant", None), ("expires", "2026-11-22T03:41:45.684Z"),
    ],
)  # fmt: skip
def test_requests_that_are_none(field: str, value: Any) -> None:
    data = json.loads(sign_request(CONSUMER, REQUEST))
    if value is ...:
        del data["request"][field]
    else:
        data["request"][field] = value
    assert code_of(InvalidInputError, decode_request, codec.encode(data)) == "exchange.request"


def test_request_size_is_bounded() -> None:
    big = replace(REQUEST, query={"fields": ["x" * 1000] * 40})
    assert code_of(InvalidInputError, sign_request, CONSUMER, big) == "exchange.too-large"
    for data in (b"", b"{}", b"x" * 40_000, sign_request(CONSUMER, REQUEST) + b" "):
        assert code_of(InvalidInputError, decode_request, data) == "exchange.request"


def test_half_and_complete() -> None:
    half = provider_sign(PROVIDER, RECEIPT)
    assert decode_receipt(half) == (RECEIPT, "half")
    assert verify_receipt(half, PROVIDER.public, CONSUMER.public).state == "half"
    complete = countersign(CONSUMER, half, PROVIDER.public)
    verified = verify_receipt(complete, PROVIDER.public, CONSUMER.public)
    assert (verified.receipt, verified.state) == (RECEIPT, "complete")
    assert verified.digest == receipt_digest(complete) == codec.domain_digest("receipt-file", complete)
    assert verified.digest != receipt_digest(half)


def test_a_complete_receipt_is_not_countersigned_again() -> None:
    complete = countersign(CONSUMER, provider_sign(PROVIDER, RECEIPT), PROVIDER.public)
    assert code_of(ConflictError, countersign, CONSUMER, complete, PROVIDER.public) == "receipt.complete"


def test_signatures_are_of_the_right_party_over_each_other() -> None:
    half = provider_sign(PROVIDER, RECEIPT)
    complete = countersign(CONSUMER, half, PROVIDER.public)
    for providers, consumers, code in (
        (CONSUMER.public, CONSUMER.public, "receipt.provider"),
        (PROVIDER.public, PROVIDER.public, "receipt.consumer"),
        (PROVIDER.public, None, "receipt.consumer"),
    ):
        assert code_of(UntrustedError, verify_receipt, complete, providers, consumers) == code
    assert code_of(UntrustedError, countersign, CONSUMER, half, CONSUMER.public) == "receipt.provider"
    other = json.loads(provider_sign(PROVIDER, replace(RECEIPT, byte_count=1)))
    mixed = codec.encode({**json.loads(complete), "provider": other["provider"]})
    assert code_of(UntrustedError, verify_receipt, mixed, PROVIDER.public, CONSUMER.public) == "receipt.provider"
    swapped = json.loads(complete)
    swapped["provider"], swapped["consumer"] = swapped["consumer"], swapped["provider"]
    with pytest.raises(UntrustedError):
        verify_receipt(codec.encode(swapped), PROVIDER.public, CONSUMER.public)


@given(st.data())
def test_no_changed_byte_of_a_receipt_passes(data: st.DataObject) -> None:
    complete = countersign(CONSUMER, provider_sign(PROVIDER, RECEIPT), PROVIDER.public)
    place = data.draw(st.integers(0, len(complete) - 1))
    changed = complete[:place] + bytes([complete[place] ^ data.draw(st.integers(1, 255))]) + complete[place + 1 :]
    with pytest.raises(LedgerError):
        verify_receipt(changed, PROVIDER.public, CONSUMER.public)


@pytest.mark.parametrize(
    ("field", "value"),
    [("bytes", -1), ("bytes", True), ("bytes", "1"), ("block", "00"), ("released", 1), ("more", 1), ("scope", ...)],
)
def test_receipts_that_are_none(field: str, value: Any) -> None:
    data = json.loads(provider_sign(PROVIDER, RECEIPT))
    if value is ...:
        del data["receipt"][field]
    else:
        data["receipt"][field] = value
    assert code_of(InvalidInputError, decode_receipt, codec.encode(data)) == "receipt.format"


def test_ids_of_a_wrong_length_are_not_written() -> None:
    for changes in ({"block": b""}, {"exchange": b"e" * 31}, {"byte_count": 2**53}):
        with pytest.raises(InvalidInputError):
            provider_sign(PROVIDER, replace(RECEIPT, **changes))


def test_acknowledgement() -> None:
    signature = sign_acknowledgement(CONSUMER, b"e" * 32, b"t" * 32)
    verify_acknowledgement(CONSUMER.public, b"e" * 32, b"t" * 32, signature)
    for key, exchange, digest in (
        (PROVIDER.public, b"e" * 32, b"t" * 32),
        (CONSUMER.public, b"f" * 32, b"t" * 32),
        (CONSUMER.public, b"e" * 32, b"u" * 32),
    ):
        args = (verify_acknowledgement, key, exchange, digest, signature)
        assert code_of(UntrustedError, *args) == "exchange.acknowledgement"


def test_payload_commitment_is_the_commitment_of_the_payload() -> None:
    salt, payload = b"s" * 32, b"payload"
    expected = codec.commitment("exchange.payload", salt, payload)
    assert payload_commitment(salt, hashlib.sha256(payload).digest()) == expected
