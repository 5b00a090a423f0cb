"""The exchange of data between two nodes: one receipt, repeats, crashes, what leaves and what does not."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import threading

import grpc
import pytest
from services_city import USCC, City, eventually, refused
from services_exchange import (
    CONTENT,
    ROWS,
    in_state,
    peer_request,
    scope,
    stop_after_release,
)

from ledger.codec import commitment, domain_digest
from ledger.errors import UnavailableError
from ledger.evidence.receipt import payload_commitment, receipt_digest, verify_receipt
from ledger.evidence.request import exchange_id
from ledger.model import KeyRole
from ledger.v1 import department_pb2, department_pb2_grpc
from node.exchange.consumer import Consuming
from node.rpc.errors import from_rpc


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
    city.pull(first.id, nonce=nonce, operator_pseudonym="clerk-17", query=scope("name"))
    assert refused(lambda: city.pull(second.id, nonce=nonce)).code == "exchange.other-content"
    for other in ({"query": scope("code")}, {"operator_pseudonym": "clerk-18"}, {"purpose": "tax-audit"}):
        assert refused(lambda other=other: city.pull(first.id, nonce=nonce, **other)).code == "exchange.other-content"
    again, _ = city.pull(first.id, nonce=nonce, operator_pseudonym="clerk-17", query=scope("name"))
    assert again == city.pull(first.id, nonce=nonce)[0]


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
    half = stop_after_release(city, signed)
    entry = eventually(lambda: in_state(city, identity, "half"), "the provider keeps a half receipt")
    assert entry.receipt == half
    [record] = eventually(
        lambda: city.records("civil", "exchange.half", exchange=identity.hex()), "the half receipt is on the trail"
    )
    assert record.body["receipt"] == receipt_digest(half).hex()
    again = stop_after_release(city, signed)
    assert again == half
    assert len(city.records("civil", "exchange.requested", exchange=identity.hex())) == 1
    assert city.context("civil").exchanges.counts("provider", grant.id).used == 1


def test_too_many_half_receipts_stop_a_grant(city: City) -> None:
    grant = city.grant(city.publish(CONTENT).id, ceiling=50)
    limit = city.context("civil").config.exchange.max_half_receipts
    for _ in range(limit):
        signed = peer_request(city, grant)
        stop_after_release(city, signed)
        eventually(lambda signed=signed: in_state(city, exchange_id(signed), "half"), "half")
    assert refused(lambda: city.pull(grant.id)).code == "exchange.half-receipts"


def test_the_digest_of_a_request_is_in_both_logs(city: City) -> None:
    grant = city.grant(city.publish(CONTENT).id)
    _, receipt = city.pull(grant.id)
    entry = city.context("labour").exchanges.get(receipt.exchange, "consumer")
    digest = domain_digest("exchange-request-file", entry.request).hex()
    for handle in ("civil", "labour"):
        [record] = city.records(handle, "exchange.requested", exchange=receipt.exchange.hex())
        assert record.body["request"] == digest


def test_a_consumer_killed_after_the_release_finishes_by_the_same_nonce(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant = city.grant(city.publish(CONTENT).id)
    nonce = os.urandom(32)
    accept = Consuming.accept

    def die(self: Consuming, key: bytes, salt: bytes, half: bytes) -> bytes:
        raise UnavailableError("disk.full", "killed here", hint="start again")

    monkeypatch.setattr(Consuming, "accept", die)
    assert refused(lambda: city.pull(grant.id, nonce=nonce)).code == "disk.full"
    halves = city.context("civil").exchanges
    eventually(lambda: halves.counts("provider", grant.id).half == 1, "a half receipt")
    eventually(lambda: city.records("civil", "exchange.half", grant=grant.id.hex()), "the half receipt on the trail")
    monkeypatch.setattr(Consuming, "accept", accept)
    payload, receipt = city.pull(grant.id, nonce=nonce)
    assert (len(json.loads(payload)), receipt.state) == (len(ROWS), "complete")
    counts = halves.counts("provider", grant.id)
    assert (counts.used, counts.half, counts.complete) == (1, 0, 1)
    for handle in ("civil", "labour"):
        assert len(city.records(handle, "exchange.completed", grant=grant.id.hex())) == 1
        assert len(city.records(handle, "exchange.requested", grant=grant.id.hex())) == 1
    assert len(city.records("civil", "exchange.half", grant=grant.id.hex())) == 1


def test_one_nonce_at_once_is_one_exchange(city: City) -> None:
    grant = city.grant(city.publish(CONTENT).id)
    nonce = os.urandom(32)
    outcomes: list[str] = []

    def use() -> None:
        try:
            city.pull(grant.id, nonce=nonce)
        except grpc.RpcError as error:
            outcomes.append(from_rpc(error).code)
        else:
            outcomes.append("ok")

    threads = [threading.Thread(target=use) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "ok" in outcomes
    assert set(outcomes) <= {"ok", "exchange.in-progress"}
    for handle in ("civil", "labour"):
        assert len(city.records(handle, "exchange.completed", grant=grant.id.hex())) == 1
        assert len(city.records(handle, "exchange.requested", grant=grant.id.hex())) == 1
