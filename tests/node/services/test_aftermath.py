"""After stops and lies: recovery of exchanges, overdue requests, files that are not what the chain says, identities."""

from __future__ import annotations

import os
from typing import Any

import msgspec
import pytest
from services_city import OUTSIDER, USCC, City, eventually, refused
from services_exchange import CONTENT, peer_request, stop_after_release

from ledger.chain.bindings import Grants
from ledger.directory.grants import agreement_digest
from ledger.errors import NotAllowedError
from ledger.evidence.request import exchange_id
from ledger.model import GrantInfo
from ledger.storage.exchanges import ExchangeEntry
from ledger.v1 import department_pb2 as pb
from ledger.v1.department_pb2_grpc import GrantServiceStub
from node.documents import Documents
from node.exchange.recovery import recover
from node.overdue import note_overdue
from node.rpc.auth import METHODS, Authorisation, Rule, active_member, check_rule, identify


def entry(city: City, role: Any, state: Any, **changes: Any) -> ExchangeEntry:
    """An exchange as a stop may leave it."""
    values: dict[str, Any] = {
        "id": os.urandom(32),
        "role": role,
        "grant": os.urandom(32),
        "dataset": os.urandom(32),
        "counterpart": USCC["plain"],
        "state": state,
        "time_ms": city.context("civil").clock(),
    }
    return ExchangeEntry(**{**values, **changes})


def test_a_use_of_which_nothing_left_is_given_back(city: City) -> None:
    context = city.context("civil")
    begun = entry(city, "provider", "begun")
    asked = entry(city, "consumer", "begun")
    for item in (begun, asked):
        context.exchanges.begin(item, ceiling=1, max_half=1)
    assert context.exchanges.counts("provider", begun.grant).used == 1
    assert recover(context) == 1
    assert context.exchanges.counts("provider", begun.grant).used == 0
    # The consumer's own attempt stays: a repeat with the same nonce continues it.
    assert context.exchanges.get(asked.id, "consumer") is not None


def test_owed_records_are_written_once(city: City) -> None:
    grant = city.grant(city.publish(CONTENT).id)
    _, receipt = city.pull(grant.id)
    context = city.context("civil")
    done = context.exchanges.get(receipt.exchange, "provider")
    size = context.log.size
    # Killed after the receipt was kept and before the record's index was: the record may be there or not.
    context.exchanges.put(msgspec.structs.replace(done, log_index=-1))
    assert recover(context) == 1
    assert context.exchanges.get(receipt.exchange, "provider") == done
    assert context.log.size == size
    assert len(city.records("civil", "exchange.completed", exchange=receipt.exchange.hex())) == 1
    assert recover(context) == 0


def test_a_half_receipt_left_by_a_kill_reaches_the_trail(city: City) -> None:
    grant = city.grant(city.publish(CONTENT).id)
    signed = peer_request(city, grant)
    stop_after_release(city, signed)
    context = city.context("civil")
    identity = exchange_id(signed)
    half = eventually(
        lambda: next((e for e in context.exchanges.half_receipts() if e.id == identity and e.log_index >= 0), None),
        "half",
    )
    context.exchanges.put(msgspec.structs.replace(half, log_index=-1))
    assert recover(context) == 1
    assert len(city.records("civil", "exchange.half", exchange=identity.hex())) == 1


def test_overdue_is_on_the_trail_once_and_approves_nothing(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = city.request(city.publish(CONTENT).id)
    city.settle()
    info = city.context("civil").contracts.grants.grant(asked.id)
    late = info.deadline + 1
    judged = Grants.all

    def later(self: Grants, *, now_s: int = 0, height: int | None = None) -> Any:
        # The same reading of the chain, at a time after the deadline.
        return (item for item in judged(self, now_s=late, height=height) if item.id == asked.id)

    monkeypatch.setattr(Grants, "all", later)
    for handle in ("civil", "labour", "audit"):
        expected = 0 if handle == "audit" else 1
        # The node's own round may have come first: either way there is one record, and nothing is left to note.
        assert note_overdue(city.context(handle)) <= expected
        assert note_overdue(city.context(handle)) == 0
        assert len(city.records(handle, "grant.overdue", grant=asked.id.hex())) == expected
    shown = city.stub(GrantServiceStub, "labour").Get(pb.GetGrantRequest(id=asked.id))
    assert shown.state == "requested"


def test_a_file_that_is_not_what_the_chain_says_is_not_shown(city: City) -> None:
    dataset = city.publish(CONTENT)
    city.settle()
    info = city.context("civil").contracts.directory.dataset(dataset.id)
    Documents(city.context("civil")).keep(info.metadata_digest, b'{"v":1}')
    assert Documents(city.context("audit")).metadata(info) == b""
    Documents(city.context("civil")).keep(info.metadata_digest, dataset.metadata)
    assert Documents(city.context("audit")).metadata(info) == dataset.metadata


def test_nobody_approves_terms_that_differ_from_the_chain(city: City) -> None:
    asked = city.request(city.publish(CONTENT).id)
    city.settle()
    context = city.context("civil")
    info: GrantInfo = context.contracts.grants.grant(asked.id)
    other = city.request(city.publish(CONTENT).id, ceiling=4)
    city.settle("civil")
    agreement = city.stub(GrantServiceStub, "labour").Get(pb.GetGrantRequest(id=other.id)).agreement
    Documents(context).keep(info.odrl_digest, agreement)
    error = refused(lambda: city.stub(GrantServiceStub, "civil").Approve(pb.ApproveGrantRequest(id=asked.id)))
    assert error.code == "grant.terms-differ"
    assert agreement_digest(agreement) != info.odrl_digest


def test_nobody_approves_terms_nobody_shows(city: City) -> None:
    asked = city.request(city.publish(CONTENT).id)
    city.settle()
    info = city.context("civil").contracts.grants.grant(asked.id)
    # The consumer's node lost its file.
    city.context("labour").store.sub(b"document/").delete(info.odrl_digest)
    error = refused(lambda: city.stub(GrantServiceStub, "civil").Approve(pb.ApproveGrantRequest(id=asked.id)))
    assert error.code == "grant.no-agreement"
    assert USCC["labour"] in error.hint


def test_identity_is_the_key_on_chain_not_the_name_in_the_certificate(city: City) -> None:
    context = city.context("labour")
    outsider = city.identities["outsider"]
    assert outsider is not None
    for pem, code in ((None, "auth.no-certificate"), (outsider.certificate, "auth.not-member")):
        with pytest.raises(NotAllowedError) as caught:
            identify(context, pem)
        assert caught.value.code == code
    with pytest.raises(NotAllowedError) as caught:
        active_member(context, OUTSIDER)
    assert caught.value.code == "auth.not-member"
    plain = city.identities["plain"]
    assert plain is not None
    caller = identify(context, plain.certificate)
    assert (caller.member, caller.own) == (USCC["plain"], False)


def test_a_method_without_a_rule_is_refused(city: City) -> None:
    assert "/ledger.v1.RecordService/Invented" not in METHODS
    caller = active_member(city.context("labour"), USCC["audit"])
    check_rule(Rule.READERS, caller, "x")
    with pytest.raises(NotAllowedError):
        check_rule(Rule.OWN, caller, "x")
    judge = Authorisation(city.context("labour"), lambda method, code, seconds: None)
    with pytest.raises(NotAllowedError) as caught:
        judge.admit("/ledger.v1.RecordService/Invented", None)  # type: ignore[arg-type]
    assert caught.value.code == "auth.not-listed"
