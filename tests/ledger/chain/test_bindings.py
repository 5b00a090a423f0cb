"""The bindings against the real contracts on the embedded chain."""

from __future__ import annotations

import pytest

from ledger.chain.abi import CONTRACTS, interface
from ledger.chain.bindings import Activity, Contracts, decode_events
from ledger.chain.blocks import Receipt
from ledger.chain.devnet import dev_member
from ledger.chain.reverts import decode_revert
from ledger.directory.lists import EntryState, ListName
from ledger.errors import InvalidInputError, NotFoundError, UntrustedError
from ledger.evidence.merkle import consistency_proof, leaf_hash, root
from ledger.identifiers import dataset_id
from ledger.model import GrantInfo, GrantState, Level, Sharing

from .conftest import Bench

AUTHORITY, TRANSPORT, HOUSING, HEALTH, AUDIT = range(5)
DAY = 86_400


def now_s(bench: Bench) -> int:
    return bench.chain.head().time


def ok(receipt: Receipt) -> Receipt:
    assert receipt.succeeded, decode_revert(receipt.output)
    return receipt


def publish(
    bench: Bench, code: str = "T-1", *, level: Level = Level.GENERAL, sharing: Sharing = Sharing.CONDITIONAL
) -> bytes:
    directory, id_ = bench.contracts.directory, dataset_id(bench.members[TRANSPORT].uscc, code)
    data = directory.encode_publish(
        id_,
        sharing=sharing,
        level=level,
        metadata_digest=b"\x01" * 32,
        resource_code=code,
        legal_basis_digest=b"\x09" * 32,
    )
    ok(bench.run(TRANSPORT, directory.address, data))
    return id_


def request(bench: Bench, dataset: bytes, *, ceiling: int = 3, valid_s: int = 30 * DAY) -> bytes:
    grants, now = bench.contracts.grants, now_s(bench)
    data = grants.encode_request(
        dataset=dataset,
        purpose="permit.check",
        matter=b"M-7".ljust(32, b"\0"),
        scope_digest=b"\x02" * 32,
        odrl_digest=b"\x03" * 32,
        ceiling=ceiling,
        valid_until=now + valid_s,
        deadline=now + 10 * DAY,
    )
    receipt = ok(bench.run(HOUSING, grants.address, data))
    (event,) = (event for event in decode_events(receipt) if event.name == "GrantRequested")
    assert event.args["dataset"] == dataset
    id_ = event.args["id"]
    assert isinstance(id_, bytes)
    return id_


def grant(bench: Bench, id_: bytes, at: int | None = None) -> GrantInfo:
    found = bench.contracts.grants.grant(id_, now_s=now_s(bench) if at is None else at)
    assert found is not None
    return found


def test_what_is_unknown_reads_as_none(bench: Bench) -> None:
    stranger = dev_member(99, "stranger", "")
    c = bench.contracts
    assert c.consortium.member(stranger.uscc) is None
    assert c.consortium.member_of(stranger.account.address) is None
    assert c.consortium.active_account(stranger.uscc) is None
    assert c.consortium.keys(stranger.uscc) == ()
    assert c.consortium.key(b"\x05" * 32) is None
    assert c.consortium.proposal(1) is None
    assert not c.consortium.is_active(stranger.uscc)
    assert c.directory.dataset(b"\x05" * 32) is None
    assert c.directory.entry(ListName.DEMAND, b"\x05" * 32) is None
    assert c.grants.grant(b"\x05" * 32) is None
    assert c.anchors.anchor(bench.members[0].uscc) is None
    assert c.anchors.forks() == ()


def test_a_height_that_is_gone_is_not_an_absent_member(bench: Bench) -> None:
    with pytest.raises(NotFoundError) as gone:
        bench.contracts.consortium.member(bench.members[0].uscc, height=9)
    assert gone.value.code == "chain.height"


def test_an_address_without_our_contract_is_noticed(bench: Bench) -> None:
    wrong = Contracts.at(bench.chain.call, dict.fromkeys(CONTRACTS, bytes(19) + b"\x77"))
    with pytest.raises(UntrustedError) as refused:
        wrong.consortium.active_count()
    assert refused.value.code == "abi.answer"


def test_a_dataset_and_its_versions(bench: Bench) -> None:
    directory = bench.contracts.directory
    id_ = publish(bench)
    for number in range(1, 4):
        ok(
            bench.run(
                TRANSPORT, directory.address, directory.encode_add_version(id_, bytes([number]) * 32, number * 10)
            )
        )
    found = directory.dataset(id_)
    assert found is not None
    assert (found.provider, found.sharing, found.level) == (
        bench.members[TRANSPORT].uscc,
        Sharing.CONDITIONAL,
        Level.GENERAL,
    )
    assert [(version.number, version.count) for version in found.versions] == [(1, 10), (2, 20), (3, 30)]
    newest = directory.dataset(id_, versions=2)
    assert newest is not None
    assert [version.number for version in newest.versions] == [2, 3]
    assert directory.version(id_, 4) is None
    (listed,) = directory.datasets()
    assert [version.number for version in listed.versions] == [3]
    for data in (
        directory.encode_regrade(id_, Level.CORE, b"\x04" * 32),
        directory.encode_change_sharing(id_, Sharing.NOT_SHARED, b"\x05" * 32),
        directory.encode_change_metadata(id_, b"\x06" * 32),
        directory.encode_withdraw(id_, b"\x07" * 32),
    ):
        ok(bench.run(TRANSPORT, directory.address, data))
    after = directory.dataset(id_)
    assert after is not None
    assert (after.level, after.sharing, after.metadata_digest, after.withdrawn) == (
        Level.CORE,
        Sharing.NOT_SHARED,
        b"\x06" * 32,
        True,
    )


def test_a_grant_from_request_to_revocation(bench: Bench) -> None:
    grants = bench.contracts.grants
    id_ = request(bench, publish(bench))
    asked = grant(bench, id_)
    assert (asked.state, asked.approvals, asked.missing_approvals) == (GrantState.REQUESTED, (), ("provider",))
    assert (asked.consumer, asked.provider) == (bench.members[HOUSING].uscc, bench.members[TRANSPORT].uscc)
    assert (asked.purpose, asked.ceiling, asked.overdue) == ("permit.check", 3, False)
    assert grant(bench, id_, asked.deadline + 1).overdue

    assert not bench.run(AUDIT, grants.address, grants.encode_approve(id_)).succeeded
    ok(bench.run(TRANSPORT, grants.address, grants.encode_approve(id_)))
    active = grant(bench, id_)
    assert (active.state, active.approvals, active.missing_approvals) == (GrantState.ACTIVE, ("provider",), ())
    assert grant(bench, id_, active.valid_until).state is GrantState.EXPIRED

    def activity(**changes: object) -> Activity:
        asked_for = {
            "dataset": active.dataset,
            "consumer": active.consumer,
            "purpose": active.purpose,
            "now_s": now_s(bench),
        } | changes
        return grants.activity(id_, **asked_for)  # type: ignore[arg-type]

    assert activity() is Activity.ACTIVE
    assert activity(dataset=b"\x01" * 32) is Activity.OTHER_DATASET
    assert activity(consumer=bench.members[HEALTH].uscc) is Activity.OTHER_CONSUMER
    assert activity(purpose="other") is Activity.OTHER_PURPOSE
    assert activity(now_s=active.valid_until) is Activity.EXPIRED

    directory = bench.contracts.directory
    ok(bench.run(TRANSPORT, directory.address, directory.encode_regrade(active.dataset, Level.IMPORTANT, b"\x04" * 32)))
    suspended = grant(bench, id_)
    assert (suspended.state, suspended.missing_approvals) == (GrantState.SUSPENDED, ("supervisor",))
    assert activity() is Activity.SUSPENDED
    ok(bench.run(AUTHORITY, grants.address, grants.encode_approve(id_)))
    assert grant(bench, id_).state is GrantState.ACTIVE

    ok(bench.run(TRANSPORT, grants.address, grants.encode_revoke(id_, 9, b"\x08" * 32)))
    revoked = grant(bench, id_)
    assert (revoked.state, revoked.refusal_reason) == (GrantState.REVOKED, 9)
    assert activity() is Activity.REVOKED


def test_grants_are_listed_in_order_of_request(bench: Bench) -> None:
    grants, dataset = bench.contracts.grants, publish(bench)
    ids = [request(bench, dataset) for _ in range(3)]
    ok(bench.run(TRANSPORT, grants.address, grants.encode_refuse(ids[1], 3, b"\x08" * 32)))
    assert grants.count() == 3
    listed = grants.grants(now_s=now_s(bench))
    assert [item.id for item in listed] == ids
    assert [item.state for item in listed] == [GrantState.REQUESTED, GrantState.REFUSED, GrantState.REQUESTED]
    assert [item.id for item in grants.grants(1, 1)] == [ids[1]]
    assert tuple(grants.all(now_s=now_s(bench))) == listed


def test_settlements_of_both_sides(bench: Bench) -> None:
    grants, id_ = bench.contracts.grants, request(bench, publish(bench))
    ok(bench.run(TRANSPORT, grants.address, grants.encode_approve(id_)))
    assert grants.settlement(id_, 20261122).provider is None
    for who, count in ((TRANSPORT, 2), (HOUSING, 1), (HOUSING, 2)):
        ok(bench.run(who, grants.address, grants.encode_record_settlement(id_, 20261122, count, b"\x05" * 32)))
        found = grants.settlement(id_, 20261122)
        assert (found.agreed_at != 0) is (who == HOUSING and count == 2)
    assert found.provider is not None
    assert found.consumer is not None
    assert found.provider.count == found.consumer.count == 2
    assert grants.settled(id_) == 2


def test_the_three_lists(bench: Bench) -> None:
    directory, now = bench.contracts.directory, now_s(bench)
    provider, item = bench.members[TRANSPORT].uscc, b"\x11" * 32

    def entered(who: int, data: bytes) -> bytes:
        (event,) = decode_events(ok(bench.run(who, directory.address, data)))
        id_ = event.args["id"]
        assert isinstance(id_, bytes)
        return id_

    duty = entered(AUTHORITY, directory.encode_add_responsibility(provider, item, b"\x12" * 32, now + 5 * DAY))
    first = entered(HOUSING, directory.encode_add_demand(provider, item, b"M-7".ljust(32, b"\0"), now + 5 * DAY))
    second = entered(HOUSING, directory.encode_add_demand("", item, b"\xfe" * 32, now + 5 * DAY))
    third = entered(HOUSING, directory.encode_add_demand(provider, item, b"\xfe" * 32, now + 5 * DAY))
    secret = entered(TRANSPORT, directory.encode_add_negative(item, b"\x13" * 32))
    dataset = publish(bench)
    steps = (
        (TRANSPORT, directory.encode_promise_demand(first, duty)),
        (TRANSPORT, directory.encode_fulfil_responsibility(duty, dataset)),
        (TRANSPORT, directory.encode_match_demand(second, dataset)),
        (TRANSPORT, directory.encode_answer_demand(third, secret)),
        (TRANSPORT, directory.encode_withdraw_negative(secret, b"\x14" * 32)),
    )
    for who, data in steps:
        ok(bench.run(who, directory.address, data))
    demands = directory.entries(ListName.DEMAND)
    assert [entry.id for entry in demands] == [first, second, third]
    assert [(entry.state, entry.answer) for entry in demands] == [
        (EntryState.PROMISED, duty),
        (EntryState.MATCHED, dataset),
        (EntryState.ANSWERED, secret),
    ]
    assert (demands[0].target, demands[0].matter, demands[0].member) == (provider, "M-7", bench.members[HOUSING].uscc)
    assert (demands[1].target, demands[1].matter) == ("", "fe" * 32)
    (owed,) = directory.entries(ListName.RESPONSIBILITY)
    assert (owed.state, owed.answer, owed.author) == (EntryState.FULFILLED, dataset, bench.members[AUTHORITY].uscc)
    assert directory.entry(ListName.RESPONSIBILITY, duty) == owed
    (hidden,) = directory.entries(ListName.NEGATIVE)
    assert hidden.state is EntryState.WITHDRAWN
    assert directory.list_counts() == {ListName.RESPONSIBILITY: 1, ListName.DEMAND: 3, ListName.NEGATIVE: 1}
    lone = entered(HOUSING, directory.encode_add_demand("", item, b"\xfe" * 32, now + 5 * DAY))
    ok(bench.run(HOUSING, directory.address, directory.encode_withdraw_demand(lone)))
    assert directory.entries(ListName.DEMAND)[3].state is EntryState.WITHDRAWN
    ended = entered(AUTHORITY, directory.encode_add_responsibility(provider, item, b"\x12" * 32, now + 5 * DAY))
    ok(bench.run(AUTHORITY, directory.address, directory.encode_withdraw_responsibility(ended, b"\x15" * 32)))
    assert directory.entries(ListName.RESPONSIBILITY)[1].state is EntryState.WITHDRAWN


def test_anchors_move_by_proof_only(bench: Bench) -> None:
    anchors, member = bench.contracts.anchors, bench.members[TRANSPORT].uscc
    leaves = [leaf_hash(bytes([n])) for n in range(7)]
    for size, proof in ((3, ()), (7, tuple(consistency_proof(leaves, 3, 7)))):
        ok(bench.run(TRANSPORT, anchors.address, anchors.encode_record(member, size, root(leaves[:size]), proof)))
        found = anchors.anchor(member)
        assert found is not None
        assert (found.size, found.root, found.generation, found.time) == (size, root(leaves[:size]), 1, now_s(bench))
    rewritten = bench.run(TRANSPORT, anchors.address, anchors.encode_record(member, 8, b"\x66" * 32, [b"\x01" * 32]))
    assert decode_revert(rewritten.output)[0] == "Anchors__ProofFails"
    ok(bench.run(AUDIT, anchors.address, anchors.encode_report_fork(member, b"note a", b"note b")))
    (fork,) = anchors.forks()
    assert (fork.member, fork.reporter) == (member, bench.members[AUDIT].uscc)


def test_wrong_arguments_are_called_so() -> None:
    with pytest.raises(InvalidInputError) as refused:
        interface("Grants").encode("approve", 5)
    assert refused.value.code == "abi.arguments"


def test_events_of_other_contracts_are_left_out() -> None:
    assert interface("Grants").decode_event([b"\x01" * 32], b"") is None
    assert interface("Grants").decode_event([], b"") is None
    topic = next(t for t, event in interface("Grants").events.items() if event.name == "GrantActivated")
    with pytest.raises(UntrustedError):
        interface("Grants").decode_event([topic], b"")
