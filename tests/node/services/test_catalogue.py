"""Datasets, lists, grants, members and keys through the services: chain, trail and answers agree."""

from __future__ import annotations

import json
import os

import pytest
from services_city import RUNNING, USCC, City, grant_request, publish_requests, refused

from ledger.codec import encode
from ledger.directory.catalogue import decode_metadata, metadata_digest
from ledger.directory.grants import agreement_digest, decode_agreement
from ledger.errors import ConflictError, NotAllowedError
from ledger.model import KeyRole
from ledger.v1 import department_pb2 as pb
from ledger.v1.department_pb2_grpc import (
    DatasetServiceStub,
    GrantServiceStub,
    KeyServiceStub,
    ListServiceStub,
    MemberServiceStub,
)

CONTENT = b'{"code":"1","name":"a","level":"x"}\n{"code":"2","name":"b","level":"x"}\n'


def test_publishing_says_the_same_on_chain_in_the_log_and_in_the_answer(city: City) -> None:
    metadata = city.metadata()
    stub = city.stub(DatasetServiceStub, "civil")
    answer = stub.Publish(publish_requests(metadata, CONTENT), timeout=180)
    shown = answer.dataset
    assert shown.metadata == metadata
    assert shown.resource_code == decode_metadata(metadata).resource_code
    assert [(version.number, version.count) for version in shown.versions] == [(1, 2)]
    on_chain = city.context("civil").contracts.directory.dataset(shown.id)
    assert on_chain.metadata_digest == metadata_digest(metadata) == shown.metadata_digest
    [record] = city.records("civil", "dataset.published", dataset=shown.id.hex())
    assert record.body["content"] == shown.versions[0].content_digest.hex()
    log = city.context("civil").log
    assert shown.id.hex().encode() in log.read(answer.log_index, 1)[0]


def test_the_next_version_and_the_same_again(city: City) -> None:
    metadata = city.metadata()
    stub = city.stub(DatasetServiceStub, "civil")
    stub.Publish(publish_requests(metadata, CONTENT), timeout=180)
    error = refused(lambda: stub.Publish(publish_requests(metadata, CONTENT), timeout=180))
    assert isinstance(error, ConflictError)
    assert error.code == "dataset.unchanged"
    second = stub.Publish(publish_requests(metadata, CONTENT + b'{"code":"3"}\n'), timeout=180).dataset
    assert [(version.number, version.count) for version in second.versions] == [(1, 2), (2, 3)]


def test_other_members_see_the_entry_which_their_node_fetches(city: City) -> None:
    dataset = city.publish(CONTENT)
    city.settle()
    stub = city.stub(DatasetServiceStub, "audit")
    assert stub.Get(pb.GetDatasetRequest(id=dataset.id)).metadata == dataset.metadata
    foreign = city.stub(DatasetServiceStub, "plain", "audit")
    # Asked by another member, a node answers from what it holds: no circle of nodes asking each other.
    assert foreign.Get(pb.GetDatasetRequest(id=dataset.id)).metadata == b""


def test_datasets_page_by_page(city: City) -> None:
    codes = {city.publish(CONTENT).id for _ in range(3)}
    stub = city.stub(DatasetServiceStub, "civil")
    found: list[bytes] = []
    token = ""
    while True:
        page = stub.List(pb.ListDatasetsRequest(provider=USCC["civil"], page_size=2, page_token=token))
        assert len(page.datasets) <= 2
        found += [dataset.id for dataset in page.datasets]
        token = page.next_page_token
        if not token:
            break
    assert codes <= set(found)
    assert len(found) == len(set(found))
    assert not stub.List(pb.ListDatasetsRequest(provider=USCC["audit"])).datasets


def test_withdrawn_is_for_ever(city: City) -> None:
    dataset = city.publish(CONTENT)
    stub = city.stub(DatasetServiceStub, "civil")
    stub.Withdraw(pb.WithdrawDatasetRequest(id=dataset.id))
    assert stub.Get(pb.GetDatasetRequest(id=dataset.id)).withdrawn
    assert len(city.records("civil", "dataset.withdrawn", dataset=dataset.id.hex())) == 1
    code = decode_metadata(dataset.metadata).resource_code
    again = city.metadata(code=code)
    assert refused(lambda: stub.Publish(publish_requests(again, CONTENT), timeout=180)).code == "dataset.withdrawn"


def test_a_regrade_suspends_grants_until_the_supervisor_agrees(city: City) -> None:
    dataset = city.publish(CONTENT)
    grant = city.grant(dataset.id, fields=("code",))
    city.pull(grant.id)
    stub = city.stub(DatasetServiceStub, "civil")
    stub.Regrade(pb.RegradeDatasetRequest(id=dataset.id, level="important"))
    city.settle()
    shown = stub.Get(pb.GetDatasetRequest(id=dataset.id))
    assert shown.level == "important"
    assert json.loads(shown.metadata)["level"] == "important"
    assert len(city.records("civil", "dataset.regraded", dataset=dataset.id.hex())) == 1
    assert refused(lambda: city.pull(grant.id)).code == "grant.suspended"
    city.stub(GrantServiceStub, "data").Approve(pb.ApproveGrantRequest(id=grant.id), timeout=180)
    [approved] = city.records("data", "grant.approved", grant=grant.id.hex())
    assert approved.body["as"] == "supervisor"
    city.settle()
    city.pull(grant.id)


def test_a_grant_shows_its_terms_to_both_sides_and_the_supervisor(city: City) -> None:
    dataset = city.publish(CONTENT, level="important")
    asked = city.request(dataset.id, fields=("code",), rows={"level": "x"})
    assert asked.state == "requested"
    assert list(asked.missing_approvals) == ["provider", "supervisor"]
    city.settle()
    for handle in ("civil", "data"):
        shown = city.stub(GrantServiceStub, handle).Get(pb.GetGrantRequest(id=asked.id))
        assert agreement_digest(shown.agreement) == shown.odrl_digest
        terms = decode_agreement(shown.agreement)
        assert (terms.consumer, terms.matter, terms.scope.fields) == (USCC["labour"], "310100-AID-7", ("code",))
        assert json.loads(shown.scope)["rows"] == {"level": "x"}
    for handle in ("civil", "data"):
        city.stub(GrantServiceStub, handle).Approve(pb.ApproveGrantRequest(id=asked.id), timeout=180)
        city.settle()
    assert city.stub(GrantServiceStub, "labour").Get(pb.GetGrantRequest(id=asked.id)).state == "active"


def test_a_refusal_has_a_reason_and_ends_the_request(city: City) -> None:
    asked = city.request(city.publish(CONTENT).id)
    city.settle()
    stub = city.stub(GrantServiceStub, "civil")
    answer = stub.Refuse(pb.RefuseGrantRequest(id=asked.id, reason=3, text="范围过大"), timeout=180)
    assert (answer.grant.state, answer.grant.refusal_reason) == ("refused", 3)
    assert len(city.records("civil", "grant.refused", grant=asked.id.hex())) == 1
    assert refused(lambda: stub.Approve(pb.ApproveGrantRequest(id=asked.id), timeout=180)).code.startswith("contract.")


def test_strangers_to_a_grant_cannot_end_it(city: City) -> None:
    grant = city.grant(city.publish(CONTENT).id)
    stub = city.stub(GrantServiceStub, "plain")
    city.settle()
    error = refused(lambda: stub.Revoke(pb.RevokeGrantRequest(id=grant.id, reason=9, text="x"), timeout=180))
    assert isinstance(error, NotAllowedError)
    assert error.code == "contract.Grants__NotAllowed" or error.code.startswith("contract.")
    assert not city.records("plain", "grant.revoked")


def test_grants_are_listed_by_what_is_asked(city: City) -> None:
    dataset = city.publish(CONTENT)
    active, open_ = city.grant(dataset.id), city.request(dataset.id)
    city.settle()
    stub = city.stub(GrantServiceStub, "civil")

    def ids(**conditions: object) -> list[bytes]:
        return [item.id for item in stub.List(pb.ListGrantsRequest(dataset=dataset.id, **conditions)).grants]

    assert ids() == [active.id, open_.id]
    assert ids(state="active") == [active.id]
    assert ids(consumer=USCC["plain"]) == []
    first = stub.List(pb.ListGrantsRequest(dataset=dataset.id, page_size=1))
    second = stub.List(pb.ListGrantsRequest(dataset=dataset.id, page_size=1, page_token=first.next_page_token))
    assert [item.id for page in (first, second) for item in page.grants] == [active.id, open_.id]


def test_an_own_dataset_needs_no_grant(city: City) -> None:
    dataset = city.publish(CONTENT, at="labour")
    error = refused(lambda: city.stub(GrantServiceStub, "labour").Request(grant_request(city, dataset.id)))
    assert error.code == "grant.own-dataset"


def test_the_loop_of_the_three_lists(city: City) -> None:
    demands = city.stub(ListServiceStub, "labour")
    item = f"低保名单-{os.urandom(3).hex()}"
    entry = pb.ListEntry(list="demand", item=item, matter="310100-AID-7", target=USCC["civil"])
    added = demands.Add(pb.AddListEntryRequest(entry=entry), timeout=180).entry
    assert (added.state, added.item) == ("open", item)
    assert added.due > city.context("labour").clock() // 1000
    city.settle()
    provider = city.stub(ListServiceStub, "civil")
    [seen] = [e for e in provider.List(pb.ListEntriesRequest(list="demand", page_size=500)).entries if e.id == added.id]
    assert (seen.item, seen.member) == (item, USCC["labour"])
    dataset = city.publish(CONTENT)
    provider.Answer(pb.AnswerListEntryRequest(list="demand", id=added.id, dataset=dataset.id), timeout=180)
    city.settle()
    [seen] = [e for e in demands.List(pb.ListEntriesRequest(list="demand", page_size=500)).entries if e.id == added.id]
    assert (seen.state, seen.dataset) == ("matched", dataset.id)
    assert len(city.records("labour", "list.added", entry=added.id.hex())) == 1
    assert len(city.records("civil", "list.answered", entry=added.id.hex())) == 1
    negative = pb.ListEntry(list="negative", item=item, basis_digest=os.urandom(32))
    assert provider.Add(pb.AddListEntryRequest(entry=negative), timeout=180).entry.list == "negative"


def test_members_and_their_names(city: City) -> None:
    answer = city.stub(MemberServiceStub, "plain").List(pb.ListMembersRequest())
    members = {member.handle: member for member in answer.members}
    assert {handle for handle, member in members.items() if member.status == "active"} == set(RUNNING)
    assert members["gone"].status == "suspended"
    assert list(members["data"].roles) == ["supervisor"]
    assert members["civil"].name == "演示 civil"
    assert members["civil"].origin == "310000.civil.civicledger/log"


def test_a_vote_that_carries_executes(city: City) -> None:
    code = os.urandom(32).hex()
    arguments = encode({"adopted": True, "codeHash": code})
    request = pb.ProposeRequest(kind="adopt-code", arguments=arguments)
    proposed = city.stub(MemberServiceStub, "plain").Propose(request, timeout=180)
    city.settle()
    for handle in ("plain", "data", "civil", "labour"):
        city.stub(MemberServiceStub, handle).Vote(pb.VoteRequest(proposal=proposed.proposal, yes=True), timeout=180)
        city.settle()
    proposals = city.stub(MemberServiceStub, "audit").ListProposals(pb.ListProposalsRequest()).proposals
    [shown] = [item for item in proposals if item.id == proposed.proposal]
    assert (shown.kind, shown.state, shown.proposer) == ("adopt-code", "executed", USCC["plain"])
    assert json.loads(shown.data)["codeHash"].removeprefix("0x") == code
    assert len(city.records("plain", "member.proposed", kind="adopt-code")) >= 1
    late = pb.VoteRequest(proposal=proposed.proposal, yes=False)
    error = refused(lambda: city.stub(MemberServiceStub, "audit").Vote(late, timeout=180))
    assert error.code.startswith("contract.")


@pytest.mark.parametrize("role", ["receipt", "witness", "log", "account"])
def test_a_rotated_key_is_in_use_and_the_old_one_retired(city: City, role: str) -> None:
    context = city.context("plain")
    old = context.signers.material(KeyRole.from_word(role))
    answer = city.stub(KeyServiceStub, "plain").Rotate(pb.RotateKeyRequest(role=role), timeout=180)
    assert answer.key.material == context.signers.material(KeyRole.from_word(role)) != old
    keys = {key.material: key for key in city.stub(KeyServiceStub, "plain").List(pb.ListKeysRequest()).keys}
    assert (keys[old].status, keys[answer.key.material].status) == ("retired", "active")
    assert len(city.records("plain", "key.rotated", old=old.hex())) == 1
    # Still able to write: to the chain with the account, to the log with its signer.
    stub = city.stub(MemberServiceStub, "plain")
    arguments = encode({"adopted": True, "codeHash": os.urandom(32).hex()})
    assert stub.Propose(pb.ProposeRequest(kind="adopt-code", arguments=arguments), timeout=180).proposal
    context.publisher.publish_now()
