"""What an exchange refuses, and that every refusal names its rule on both trails."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from services_city import USCC, City, PeerExchangeStub, eventually, refused
from services_exchange import (
    CONTENT,
    Message,
    converse,
    exchange_limit,
    later,
    peer_request,
)

from ledger.errors import InvalidInputError, NotAllowedError, NotFoundError
from ledger.v1 import department_pb2, department_pb2_grpc, peer_pb2

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "other purpose": ({"purpose": "tax-audit"}, "grant.purpose"),
    "other matter": ({"matter": b"\x0a" * 32}, "grant.matter"),
    "unknown grant": ({"grant": b"\x07" * 32}, "grant.unknown"),
    "unknown dataset": ({"dataset": b"\x08" * 32}, "dataset.unknown"),
    "other chain": ({"chain": b"\x09" * 32}, "exchange.other-target"),
    "other provider": ({"provider": USCC["data"]}, "exchange.other-target"),
    "expired": ({"time_ms": 1_700_000_000_000, "expires_ms": 1_700_000_060_000}, "exchange.expired"),
    "another's request": ({"consumer": USCC["plain"]}, "exchange.not-caller"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_name_the_rule_and_are_on_the_trail(city: City, case: str) -> None:
    grant = city.grant(city.publish(CONTENT).id)
    changes, code = REFUSED[case]
    signed = peer_request(city, grant, **changes)
    before = len(city.records("civil", "access.refused", code=code))
    refusal, seen = converse(city, signed)
    assert refusal is not None
    assert (refusal.code, seen) == (code, [])
    assert refusal.message
    assert refusal.hint
    assert len(city.records("civil", "access.refused", code=code)) == before + 1


def test_a_request_with_a_bad_signature_is_refused(city: City) -> None:
    grant = city.grant(city.publish(CONTENT).id)
    signed = bytearray(peer_request(city, grant))
    place = signed.index(b'"signature":"') + 20
    signed[place] = ord("A") if signed[place] != ord("A") else ord("B")
    refusal, _ = converse(city, bytes(signed))
    assert refusal is not None
    assert refusal.code == "exchange.signature"
    assert city.records("civil", "access.refused", code="exchange.signature")


def test_an_active_member_cannot_use_anothers_grant(city: City) -> None:
    dataset = city.publish(CONTENT)
    grant = city.grant(dataset.id)
    city.settle()
    error = refused(lambda: city.pull(grant.id, at="plain"))
    assert isinstance(error, NotAllowedError)
    assert error.code == "grant.consumer"
    for handle, other in (("civil", "plain"), ("plain", "civil")):
        [record] = city.records(handle, "access.refused", dataset=dataset.id.hex())
        assert record.body["code"] == "grant.consumer"
        assert record.body["counterpart"] == USCC[other]
        assert record.body["grant"] == grant.id.hex()


def test_a_use_without_a_grant_is_refused_on_both_trails(city: City) -> None:
    dataset = city.publish(CONTENT)
    city.settle()
    error = refused(lambda: city.pull(dataset=dataset.id, purpose="social-aid"))
    assert error.code == "exchange.no-grant"
    for handle in ("civil", "labour"):
        [record] = city.records(handle, "access.refused", dataset=dataset.id.hex())
        assert record.body["code"] == "exchange.no-grant"
        assert "grant" not in record.body
    listed = city.stub(department_pb2_grpc.ExchangeServiceStub, "labour").List(
        department_pb2.ListExchangesRequest(dataset=dataset.id)
    )
    assert [receipt.state for receipt in listed.receipts] == ["refused"]


def test_an_unapproved_grant_is_refused(city: City) -> None:
    asked = city.request(city.publish(CONTENT).id)
    city.settle("civil")
    assert refused(lambda: city.pull(asked.id)).code == "grant.requested"


def test_a_revoked_grant_is_refused_also_for_a_repeat(city: City) -> None:
    grant = city.grant(city.publish(CONTENT).id)
    nonce = os.urandom(32)
    city.pull(grant.id, nonce=nonce)
    stub = city.stub(department_pb2_grpc.GrantServiceStub, "civil")
    stub.Revoke(department_pb2.RevokeGrantRequest(id=grant.id, reason=9, text="用途不符"))
    city.settle()
    assert refused(lambda: city.pull(grant.id)).code == "grant.revoked"
    assert refused(lambda: city.pull(grant.id, nonce=nonce)).code == "grant.revoked"


def test_a_key_is_released_only_for_a_signature(city: City) -> None:
    grant = city.grant(city.publish(CONTENT).id)
    signed = peer_request(city, grant)
    bad = peer_pb2.ExchangeAcknowledgement(signature=os.urandom(64))
    stub = city.stub(PeerExchangeStub, "civil", "labour")
    messages = list(stub.Exchange(iter([Message(request=signed), Message(acknowledgement=bad)]), timeout=180))
    assert [message.WhichOneof("part") for message in messages][-1] == "refusal"
    assert messages[-1].refusal.code == "exchange.acknowledgement"
    assert all(message.WhichOneof("part") != "release" for message in messages)
    assert city.context("civil").exchanges.counts("provider", grant.id).used == 0


def test_messages_out_of_turn_are_refused(city: City) -> None:
    stub = city.stub(PeerExchangeStub, "civil", "labour")
    error = refused(lambda: list(stub.Exchange(iter([Message(chunk=b"x")]), timeout=180)))
    assert error.code == "exchange.order"
    [message] = stub.Exchange(iter([Message(request=b"{}")]), timeout=180)
    assert message.refusal.code == "exchange.request"


@pytest.mark.parametrize("side", ["civil", "labour"])
def test_a_payload_over_the_limit_never_opens(city: City, side: str) -> None:
    content = b"\n".join(json.dumps({"code": str(n), "name": "x" * 200, "level": "l"}).encode() for n in range(20_000))
    dataset = city.publish(content)
    grant = city.grant(dataset.id)
    with exchange_limit(city.context(side), 1 << 20):
        error = refused(lambda: city.pull(grant.id))
    assert isinstance(error, InvalidInputError)
    assert error.code == "payload.too-large"
    exchanges = city.context("civil").exchanges
    eventually(lambda: exchanges.counts("provider", grant.id).used == 0, "nothing released is no use")


def test_a_stale_chain_refuses(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    grant = city.grant(city.publish(CONTENT).id)
    view = city.context("civil").view
    monkeypatch.setattr(type(view), "age_ms", lambda self: 181_000 if self is view else 0)
    error = refused(lambda: city.pull(grant.id))
    assert error.code == "chain.stale"
    for handle in ("civil", "labour"):
        assert city.records(handle, "access.refused", grant=grant.id.hex())[0].body["code"] == "chain.stale"


BAD_PULLS: dict[str, tuple[dict[str, Any], str]] = {
    "nothing named": ({}, "input.field"),
    "short grant": ({"grant": b"\x01" * 31}, "input.field"),
    "short nonce": ({"grant": b"\x01" * 32, "nonce": b"\x01"}, "input.field"),
    "unknown grant": ({"grant": b"\x01" * 32}, "grant.unknown"),
    "unknown dataset": ({"dataset": b"\x01" * 32, "purpose": "x"}, "dataset.unknown"),
    "bad purpose": ({"dataset": b"\x01" * 32, "purpose": "Not A Purpose"}, "identifier.purpose"),
    "broken query": ({"grant": b"\x01" * 32, "query": b'{"fields": []}'}, "json."),
    "long pseudonym": ({"grant": b"\x01" * 32, "operator_pseudonym": "x" * 200}, "input.field"),
}


@pytest.mark.parametrize("case", BAD_PULLS)
def test_bad_pulls(city: City, case: str) -> None:
    changes, code = BAD_PULLS[case]
    error = refused(lambda: city.pull(**changes))
    assert error.code.startswith(code)
    assert error.hint
    assert isinstance(error, InvalidInputError | NotFoundError)


def test_an_expired_grant_is_refused(city: City) -> None:
    grant = city.grant(city.publish(CONTENT).id)
    with later([city.context("civil"), city.context("labour")], 2 * 86_400_000):
        error = refused(lambda: city.pull(grant.id))
        shown = city.stub(department_pb2_grpc.GrantServiceStub, "civil").Get(
            department_pb2.GetGrantRequest(id=grant.id)
        )
    assert isinstance(error, NotAllowedError)
    assert error.code == "grant.expired"
    assert shown.state == "expired"
    for handle in ("civil", "labour"):
        assert city.records(handle, "access.refused", grant=grant.id.hex())[0].body["code"] == "grant.expired"


def test_an_oversize_publication_leaves_nothing(city: City) -> None:
    context = city.context("civil")
    before = context.contracts.directory.dataset_count(), len(list(context.payloads.digests()))
    with exchange_limit(context, 1 << 20):
        error = refused(lambda: city.publish(b"x" * ((1 << 20) + 1), format_="other"))
    assert isinstance(error, InvalidInputError)
    assert error.code == "payload.too-large"
    assert (context.contracts.directory.dataset_count(), len(list(context.payloads.digests()))) == before
