"""Envelopes: what a gateway may carry, and everything that makes one worthless."""

from __future__ import annotations

import os
from typing import Any

import pytest
from services_city import USCC, City, grant_request, refused
from test_records import used

from ledger.errors import ConflictError, LedgerError
from ledger.evidence.envelope import Envelope, EnvelopeDomain, body_digest, sign_envelope
from ledger.model import KeyRole
from ledger.v1 import department_pb2, node_pb2
from ledger.v1.node_pb2_grpc import ForwardServiceStub
from node.forward import FORWARDABLE

APPEND = "/ledger.v1.RecordService/Append"


def envelope(city: City, *, signer: str = "labour", body: bytes | None = None, **changes: Any) -> node_pb2.Envelope:
    """An envelope for the node of ``labour``, signed by the account of ``signer``."""
    context = city.context("labour")
    values: dict[str, Any] = {
        "chain": context.genesis_digest,
        "caller": USCC["labour"],
        "target": USCC["labour"],
        "method": APPEND,
        "nonce": os.urandom(32),
        "expires": context.clock() + 30_000,
    }
    values |= changes
    if body is None:
        body = department_pb2.AppendRequest(records=[used(USCC["labour"], 1)]).SerializeToString()
    domain = EnvelopeDomain(chain_id=context.chain.chain_id, consortium=context.contracts.consortium.address)
    account = city.context(signer).signers[KeyRole.ACCOUNT]
    signature = sign_envelope(account, domain, Envelope(body_digest=body_digest(body), **values))
    return node_pb2.Envelope(body=body, signature=signature, **values)


def submit(city: City, sent: node_pb2.Envelope) -> bytes:
    # The connection is a stranger's to the department: it authorises nothing.
    return city.stub(ForwardServiceStub, "labour", "plain").Submit(sent, timeout=180).body


def test_a_signed_envelope_is_done_as_its_caller(city: City) -> None:
    size = city.context("labour").log.size
    answer = department_pb2.AppendResponse.FromString(submit(city, envelope(city)))
    assert answer.count == 1
    assert answer.first >= size


def test_a_grant_is_requested_through_an_envelope(city: City) -> None:
    dataset = city.publish(b'{"code":"1","name":"x"}\n')
    city.settle()
    body = grant_request(city, dataset.id).SerializeToString()
    sent = envelope(city, body=body, method="/ledger.v1.GrantService/Request")
    answer = department_pb2.GrantResponse.FromString(submit(city, sent))
    assert answer.grant.consumer == USCC["labour"]


def test_a_replay_is_refused_and_done_once(city: City) -> None:
    sent = envelope(city)
    submit(city, sent)
    size = city.context("labour").log.size
    error = refused(lambda: submit(city, sent))
    assert isinstance(error, ConflictError)
    assert error.code == "envelope.replayed"
    assert city.context("labour").log.size == size


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "other chain": ({"chain": b"\x01" * 32}, "envelope.other-target"),
    "other target": ({"target": USCC["civil"]}, "envelope.other-target"),
    "method not forwarded": ({"method": "/ledger.v1.KeyService/Rotate"}, "envelope.method"),
    "signed by another": ({"signer": "plain"}, "envelope.signature"),
    "another caller": ({"caller": USCC["plain"], "signer": "plain"}, "auth.not-own"),
    "suspended caller": ({"caller": USCC["gone"]}, "auth.suspended"),
    "no member": ({"caller": "91310000MA1FL0L98X"}, "identifier.uscc"),
    "expired": ({"expires": 1_700_000_000_000}, "envelope.expired"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_envelopes(city: City, case: str) -> None:
    changes, code = BAD[case]
    try:
        sent = envelope(city, **changes)
    except LedgerError as error:
        # The signing side refuses what the node would refuse.
        assert error.code == code  # noqa: PT017
        return
    error = refused(lambda: submit(city, sent))
    assert error.code == code
    assert error.hint


def test_an_envelope_lives_a_minute_at_most(city: City) -> None:
    late = envelope(city, expires=city.context("labour").clock() + 120_000)
    assert refused(lambda: submit(city, late)).code == "envelope.too-far"


def test_a_changed_body_breaks_the_signature(city: City) -> None:
    sent = envelope(city)
    sent.body = department_pb2.AppendRequest(records=[used(USCC["labour"], 2)]).SerializeToString()
    assert refused(lambda: submit(city, sent)).code == "envelope.signature"


def test_a_broken_body_is_refused_after_its_signature(city: City) -> None:
    assert refused(lambda: submit(city, envelope(city, body=b"\xff\xff\xff"))).code == "input.field"


def test_only_short_writes_of_the_department_are_forwarded() -> None:
    services = ("ledger.v1.RecordService", "ledger.v1.GrantService", "ledger.v1.MedicalService")
    assert all(method.split("/")[1] in services for method in FORWARDABLE)
