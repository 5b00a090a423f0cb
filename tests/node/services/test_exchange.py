"""The exchange of data between two nodes: the dialogue, refusals on both trails, repeats, crashes, limits."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import os
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import msgspec
import pytest
from services_city import USCC, City, PeerExchangeStub, eventually, refused

from ledger.codec import commitment, domain_digest
from ledger.directory.grants import encode_scope, make_scope
from ledger.errors import InvalidInputError, NotAllowedError, NotFoundError
from ledger.evidence.receipt import payload_commitment, receipt_digest, verify_receipt
from ledger.evidence.request import ExchangeRequest, exchange_id, sign_acknowledgement, sign_request
from ledger.model import KeyRole
from ledger.v1 import department_pb2, department_pb2_grpc, peer_pb2, types_pb2
from node.errors import from_rpc

ROWS = [
    {"code": "310000", "name": "上海市", "level": "province"},
    {"code": "310101", "name": "黄浦区", "level": "county"},
    {"code": "310104", "name": "徐汇区", "level": "county"},
    {"code": "310115", "name": "浦东新区", "level": "county"},
]
CONTENT = json.dumps(ROWS, ensure_ascii=False).encode()
Message = peer_pb2.ExchangeMessage


def scope(*fields: str, **rows: Any) -> bytes:
    return encode_scope(make_scope(fields, rows))


def peer_request(city: City, granted: types_pb2.Grant, **changes: Any) -> bytes:
    """A request signed by the consumer's receipt key, as its node would make it."""
    context = city.context("labour")
    now = context.clock()
    values: dict[str, Any] = {
        "chain": context.genesis_digest,
        "provider": USCC["civil"],
        "consumer": USCC["labour"],
        "grant": granted.id,
        "dataset": granted.dataset,
        "purpose": granted.purpose,
        "matter": bytes(32),
        "operator": bytes(32),
        "query": {},
        "nonce": os.urandom(32),
        "time_ms": now,
        "expires_ms": now + 60_000,
    }
    return sign_request(context.signers[KeyRole.RECEIPT], ExchangeRequest(**{**values, **changes}))


def converse(
    city: City, signed: bytes, caller: str = "labour"
) -> tuple[peer_pb2.ExchangeRefusal | None, list[Message]]:
    """Send a request alone; (refusal, messages before it)."""
    stub = city.stub(PeerExchangeStub, "civil", caller)
    seen: list[Message] = []
    stream = stub.Exchange(iter([Message(request=signed)]), timeout=30)
    try:
        for message in stream:
            if message.WhichOneof("part") == "refusal":
                return message.refusal, seen
            seen.append(message)
    finally:
        stream.cancel()
    return None, seen


def test_both_sides_sign_and_log_one_receipt(city: City) -> None:
    dataset = city.publish(CONTENT)
    grant = city.grant(dataset.id, rows={"level": ["county"]})
    payload, receipt = city.pull(grant.id, operator_pseudonym="clerk-17")
    assert json.loads(payload) == [{"code": row["code"], "name": row["name"]} for row in ROWS[1:]]
    provider_key = city.context("civil").signers[KeyRole.RECEIPT].public
    consumer_key = city.context("labour").signers[KeyRole.RECEIPT].public
    verified = verify_receipt(receipt.receipt, provider_key, consumer_key)
    assert (verified.state, receipt.state) == ("complete", "complete")
    assert verified.receipt.byte_count == len(payload)
    assert verified.receipt.version == dataset.versions[-1].content_digest
    digest = receipt_digest(receipt.receipt).hex()
    for handle, other, role in (("civil", "labour", "provider"), ("labour", "civil", "consumer")):
        completed = city.records(handle, "exchange.completed", exchange=receipt.exchange.hex())
        assert [record.body["receipt"] for record in completed] == [digest]
        assert completed[0].body["counterpart"] == USCC[other]
        assert completed[0].body["role"] == role
        assert completed[0].body["bytes"] == len(payload)
        requested = city.records(handle, "exchange.requested", exchange=receipt.exchange.hex())
        assert len(requested) == 1
        assert requested[0].time_ms <= completed[0].time_ms
    assert receipt.log_index == city.context("labour").exchanges.get(receipt.exchange, "consumer").log_index
    entry = city.context("labour").exchanges.get(receipt.exchange, "consumer")
    assert payload_commitment(entry.salt, hashlib.sha256(payload).digest()) == verified.receipt.commitment


def test_no_trace_of_a_person_in_the_logs(city: City) -> None:
    dataset = city.publish(CONTENT)
    grant = city.grant(dataset.id)
    pseudonym = "operator-4711-zhang"
    payload, receipt = city.pull(grant.id, operator_pseudonym=pseudonym)
    signed = city.context("labour").exchanges.get(receipt.exchange, "consumer").request
    salt = city.context("labour").store.sub(b"exchange/operator/").get(receipt.exchange)
    assert commitment("operator", salt, pseudonym.encode()).hex() in signed.decode()
    for handle in ("labour", "civil"):
        log = city.context(handle).log
        text = b"".join(log.read(0, log.size))
        assert pseudonym.encode() not in text
        assert payload not in text
    assert pseudonym.encode() not in signed


def test_a_query_narrows_and_never_widens(city: City) -> None:
    grant = city.grant(city.publish(CONTENT).id, rows={"level": ["county"]})
    payload, _ = city.pull(grant.id, query=scope("name", code=["310104"]))
    assert json.loads(payload) == [{"name": "徐汇区"}]
    error = refused(lambda: city.pull(grant.id, query=scope("level")))
    assert error.code == "grant.scope"
    error = refused(lambda: city.pull(grant.id, query=scope("name", level=["province"])))
    assert error.code == "grant.scope"
    error = refused(lambda: city.pull(grant.id, query=b'{"fields":["name"]}'))
    assert error.code == "scope.form"


def test_csv_keeps_columns_and_masks(city: City) -> None:
    text = 'code,name,phone\r\n1,甲,13800000000\r\n2,"乙,丙",13911111111\r\n'
    fields = (
        {"name": "code", "title": "代码", "type": "string"},
        {"name": "name", "title": "名称", "type": "string"},
        {"mask": "ends", "name": "phone", "title": "电话", "type": "string"},
    )
    dataset = city.publish(text.encode(), format_="csv", fields=fields)
    assert dataset.versions[-1].count == 2
    grant = city.grant(dataset.id, fields=("name", "phone"))
    payload, _ = city.pull(grant.id)
    rows = list(csv.reader(io.StringIO(payload.decode())))
    assert rows == [["name", "phone"], ["甲", "1*********0"], ["乙,丙", "1*********1"]]


def test_an_opaque_content_goes_whole_or_not_at_all(city: City) -> None:
    content = os.urandom(3_000_001)
    fields = ({"name": "file", "title": "文件", "type": "string"}, {"name": "index", "title": "索引", "type": "string"})
    dataset = city.publish(content, format_="other", fields=fields)
    whole = city.grant(dataset.id, fields=("file", "index"))
    assert city.pull(whole.id)[0] == content
    part = city.grant(dataset.id, fields=("file",))
    assert refused(lambda: city.pull(part.id)).code == "exchange.not-divisible"


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "other purpose": ({"purpose": "tax-audit"}, "grant.purpose"),
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


def test_the_ceiling_counts_exchanges_not_repeats(city: City) -> None:
    grant = city.grant(city.publish(CONTENT).id, ceiling=2)
    nonce = os.urandom(32)
    first = city.pull(grant.id, nonce=nonce)
    for _ in range(3):
        assert city.pull(grant.id, nonce=nonce) == first
    city.pull(grant.id)
    assert refused(lambda: city.pull(grant.id)).code == "grant.ceiling"
    assert city.pull(grant.id, nonce=nonce) == first
    shown = city.stub(department_pb2_grpc.GrantServiceStub, "civil").Get(department_pb2.GetGrantRequest(id=grant.id))
    assert shown.used == 2
    for handle in ("civil", "labour"):
        assert len(city.records(handle, "exchange.completed", grant=grant.id.hex())) == 2
        assert len(city.records(handle, "exchange.requested", exchange=first[1].exchange.hex())) == 1


def test_a_nonce_belongs_to_one_exchange(city: City) -> None:
    first, second = (city.grant(city.publish(CONTENT).id) for _ in range(2))
    nonce = os.urandom(32)
    city.pull(first.id, nonce=nonce)
    assert refused(lambda: city.pull(second.id, nonce=nonce)).code == "exchange.other-content"


def test_concurrent_uses_stay_below_the_ceiling(city: City) -> None:
    grant = city.grant(city.publish(CONTENT).id, ceiling=3)
    outcomes: list[str] = []

    def use() -> None:
        try:
            city.pull(grant.id)
        except grpc.RpcError as error:
            outcomes.append(from_rpc(error).code)
        else:
            outcomes.append("ok")

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["grant.ceiling"] * 5 + ["ok"] * 3


def test_a_release_without_answer_is_a_half_receipt_until_the_repeat(city: City) -> None:
    grant = city.grant(city.publish(CONTENT).id)
    signed = peer_request(city, grant)
    identity = exchange_id(signed)
    half = _stop_after_release(city, signed)
    entry = eventually(lambda: _in_state(city, identity, "half"), "the provider keeps a half receipt")
    assert entry.receipt == half
    [record] = eventually(
        lambda: city.records("civil", "exchange.half", exchange=identity.hex()), "the half receipt is on the trail"
    )
    assert record.body["receipt"] == receipt_digest(half).hex()
    again = _stop_after_release(city, signed)
    assert again == half
    assert len(city.records("civil", "exchange.requested", exchange=identity.hex())) == 1
    assert city.context("civil").exchanges.counts("provider", grant.id).used == 1


def test_too_many_half_receipts_stop_a_grant(city: City) -> None:
    grant = city.grant(city.publish(CONTENT).id, ceiling=50)
    limit = city.context("civil").config.exchange.max_half_receipts
    for _ in range(limit):
        signed = peer_request(city, grant)
        _stop_after_release(city, signed)
        eventually(lambda signed=signed: _in_state(city, exchange_id(signed), "half"), "half")
    assert refused(lambda: city.pull(grant.id)).code == "exchange.half-receipts"


def _in_state(city: City, identity: bytes, state: str) -> Any:
    entry = city.context("civil").exchanges.get(identity, "provider")
    served = city.context("civil")
    return entry if entry is not None and entry.state == state and entry.log_index >= 0 and served else None


def _stop_after_release(city: City, signed: bytes) -> bytes:
    """The dialogue up to the release, then silence; the half receipt."""
    outgoing: list[Message] = [Message(request=signed)]
    ready = threading.Semaphore(1)
    done = threading.Event()

    def send() -> Any:
        while True:
            ready.acquire()
            if done.is_set():
                return
            yield outgoing.pop(0)

    stream = city.stub(PeerExchangeStub, "civil", "labour").Exchange(send(), timeout=30)
    for message in stream:
        part = message.WhichOneof("part")
        assert part != "refusal", message.refusal
        if part == "end":
            signer = city.context("labour").signers[KeyRole.RECEIPT]
            signature = sign_acknowledgement(signer, exchange_id(signed), message.end.ciphertext_digest)
            outgoing.append(Message(acknowledgement=peer_pb2.ExchangeAcknowledgement(signature=signature)))
            ready.release()
        if part == "release":
            done.set()
            ready.release()
            stream.cancel()
            return bytes(message.release.receipt)
    raise AssertionError("no release came")


def test_a_key_is_released_only_for_a_signature(city: City) -> None:
    grant = city.grant(city.publish(CONTENT).id)
    signed = peer_request(city, grant)
    bad = peer_pb2.ExchangeAcknowledgement(signature=os.urandom(64))
    stub = city.stub(PeerExchangeStub, "civil", "labour")
    messages = list(stub.Exchange(iter([Message(request=signed), Message(acknowledgement=bad)]), timeout=30))
    assert [message.WhichOneof("part") for message in messages][-1] == "refusal"
    assert messages[-1].refusal.code == "exchange.acknowledgement"
    assert all(message.WhichOneof("part") != "release" for message in messages)
    assert city.context("civil").exchanges.counts("provider", grant.id).used == 0


def test_messages_out_of_turn_are_refused(city: City) -> None:
    stub = city.stub(PeerExchangeStub, "civil", "labour")
    error = refused(lambda: list(stub.Exchange(iter([Message(chunk=b"x")]), timeout=30)))
    assert error.code == "exchange.order"
    [message] = stub.Exchange(iter([Message(request=b"{}")]), timeout=30)
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


@contextlib.contextmanager
def exchange_limit(context: Any, limit: int) -> Iterator[None]:
    """A node with another ``exchange.max_bytes`` for a moment: its context is frozen, nothing else does this."""
    before = context.config
    exchange = msgspec.structs.replace(before.exchange, max_bytes=limit)
    object.__setattr__(context, "config", msgspec.structs.replace(before, exchange=exchange))
    try:
        yield
    finally:
        object.__setattr__(context, "config", before)


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


def test_the_digest_of_a_request_is_in_both_logs(city: City) -> None:
    grant = city.grant(city.publish(CONTENT).id)
    _, receipt = city.pull(grant.id)
    entry = city.context("labour").exchanges.get(receipt.exchange, "consumer")
    digest = domain_digest("exchange-request-file", entry.request).hex()
    for handle in ("civil", "labour"):
        [record] = city.records(handle, "exchange.requested", exchange=receipt.exchange.hex())
        assert record.body["request"] == digest
