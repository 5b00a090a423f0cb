"""The Consortium's binding: members, keys, votes, on the embedded chain."""

from __future__ import annotations

import hashlib

from ledger.chain.account import sign_transaction
from ledger.chain.bindings import Contracts, ProposalKind, ProposalState
from ledger.chain.bindings import proposals as arguments
from ledger.chain.blocks import Receipt
from ledger.chain.devnet import dev_member
from ledger.chain.genesis import contract_addresses
from ledger.chain.reverts import decode_revert
from ledger.keys import AccountSigner
from ledger.model import KeyRole, MemberStatus, Roles

from .conftest import Bench

AUTHORITY, TRANSPORT, HOUSING, HEALTH, AUDIT = range(5)
DAY = 86_400


def now_s(bench: Bench) -> int:
    return bench.chain.head().time


def ok(receipt: Receipt) -> Receipt:
    assert receipt.succeeded, decode_revert(receipt.output)
    return receipt


def test_founders_read_back(bench: Bench) -> None:
    consortium = bench.contracts.consortium
    found = consortium.members()
    assert [info.uscc for info in found] == [member.uscc for member in bench.members]
    for info, member in zip(found, bench.members, strict=True):
        founder = member.founder
        assert (info.handle, info.region, info.roles) == (founder.handle, founder.region, founder.roles)
        assert (info.status, info.account, info.generation) == (MemberStatus.ACTIVE, founder.account, 1)
        assert info.validator
        assert consortium.member_of(founder.account) == member.uscc
        assert consortium.active_account(member.uscc) == founder.account
        keys = {(key.role, key.material) for key in consortium.keys(member.uscc)}
        assert keys == {*founder.keys, (KeyRole.ACCOUNT, founder.account.rjust(32, b"\0"))}
    assert consortium.active_count() == 5
    assert found[AUTHORITY].roles is Roles.SUPERVISOR


def test_the_contracts_in_force_are_what_the_consortium_names(bench: Bench) -> None:
    found = Contracts.in_force(bench.chain.call, contract_addresses()["Consortium"])
    assert (found.directory.address, found.grants.address, found.anchors.address) == (
        bench.contracts.directory.address,
        bench.contracts.grants.address,
        bench.contracts.anchors.address,
    )


def test_a_member_rotates_and_ends_its_keys(bench: Bench) -> None:
    consortium, member = bench.contracts.consortium, bench.members[HEALTH]
    old = consortium.active_key(member.uscc, KeyRole.LOG)
    assert old is not None
    new = b"\x21" * 32
    ok(bench.run(HEALTH, consortium.address, consortium.encode_rotate_key(KeyRole.LOG, new, replaces=old.material)))
    ended, active = consortium.key(old.material), consortium.active_key(member.uscc, KeyRole.LOG)
    assert ended is not None
    assert (ended.status, ended.ended_at) == ("retired", now_s(bench))
    assert active is not None
    assert (active.material, active.status, active.valid_from) == (new, "active", now_s(bench))
    since = now_s(bench) - 1
    ok(bench.run(HEALTH, consortium.address, consortium.encode_end_key(old.material, compromised_since=since)))
    worse = consortium.key(old.material)
    assert worse is not None
    assert (worse.status, worse.ended_at) == ("compromised", since)


def test_an_account_key_changes_with_proof_of_possession(bench: Bench) -> None:
    consortium, member = bench.contracts.consortium, bench.members[HEALTH]
    fresh = AccountSigner(hashlib.sha256(b"fresh").digest())
    signature = fresh.sign_digest(consortium.account_key_digest(member.uscc, fresh.address))
    data = consortium.encode_rotate_key(
        KeyRole.ACCOUNT,
        fresh.address.rjust(32, b"\0"),
        replaces=member.account.address.rjust(32, b"\0"),
        possession=signature[:64] + bytes([signature[64] + 27]),
    )
    ok(bench.run(HEALTH, consortium.address, data))
    assert consortium.active_account(member.uscc) == fresh.address
    assert consortium.member_of(member.account.address) is None
    raw = sign_transaction(fresh, chain_id=bench.chain.chain_id, nonce=0, to=consortium.address, data=b"")
    assert bench.chain.submit(raw)


def test_members_vote_and_the_vote_is_carried_out(bench: Bench) -> None:
    consortium, target = bench.contracts.consortium, bench.members[HEALTH].uscc
    data = arguments.encode_arguments(ProposalKind.SUSPEND, target)
    ok(
        bench.run(
            AUTHORITY, consortium.address, consortium.encode_propose(ProposalKind.SUSPEND, data, now_s(bench) + DAY)
        )
    )
    open_ = consortium.proposal(1)
    assert open_ is not None
    assert (open_.kind, open_.target, open_.state) == (ProposalKind.SUSPEND, target, ProposalState.OPEN)
    assert (open_.yes, open_.electorate, open_.carried) == (0, 4, False)
    assert open_.arguments() == {"member": target}
    for who, yes in ((AUTHORITY, True), (TRANSPORT, True), (AUDIT, False), (HOUSING, True)):
        ok(bench.run(who, consortium.address, consortium.encode_vote(1, yes)))
    assert [(vote.voter, vote.yes) for vote in consortium.votes(1)] == [
        (bench.members[who].uscc, who != AUDIT) for who in (AUTHORITY, TRANSPORT, AUDIT, HOUSING)
    ]
    carried = consortium.proposal(1)
    assert carried is not None
    assert (carried.yes, carried.no, carried.carried) == (3, 1, True)
    ok(bench.run(AUTHORITY, consortium.address, consortium.encode_execute(1)))
    info = consortium.member(target)
    assert info is not None
    assert info.status is MemberStatus.SUSPENDED
    assert consortium.active_account(target) is None
    assert consortium.active_count() == 4
    (done,) = consortium.proposals()
    assert done.state is ProposalState.EXECUTED
    assert consortium.proposal_count() == 1


def test_what_each_kind_of_proposal_would_do_reads_back(bench: Bench) -> None:
    new = dev_member(42, "water", "Water Department", Roles.AUDITOR).founder
    one, two = bench.members[0].uscc, bench.members[1].uscc
    admit = arguments.encode_admit(
        uscc=new.uscc,
        handle=new.handle,
        region=new.region,
        roles=new.roles,
        account=new.account,
        validator=False,
        keys=new.keys,
        possession=b"\x01" * 65,
    )
    read = arguments.decode_arguments(ProposalKind.ADMIT, admit)
    assert (read["member"], read["handle"], read["roles"]) == (new.uscc, "water", ["auditor"])
    assert read["keys"][0] == {"role": "consensus", "material": new.keys[0][1].hex()}
    cases: dict[ProposalKind, tuple[tuple[object, ...], dict[str, object]]] = {
        ProposalKind.REINSTATE: ((one,), {"member": one}),
        ProposalKind.REMOVE: ((one,), {"member": one}),
        ProposalKind.RETIRE_LOG: ((one,), {"member": one}),
        ProposalKind.SET_VALIDATOR: ((one, False), {"member": one, "validator": False}),
        ProposalKind.REPLACE_VALIDATOR: ((one, two), {"old": one, "new": two}),
        ProposalKind.SET_ROLES: ((one, 3), {"member": one, "roles": 3}),
        ProposalKind.ADOPT_CODE: ((b"\xfe" * 32, True), {"codeHash": "0x" + "fe" * 32, "adopted": True}),
        ProposalKind.ACTIVATE_VERSION: ((2, 500), {"version": 2, "height": 500}),
        ProposalKind.END_KEY: (
            (b"\xfe" * 32, True, 9),
            {"material": "0x" + "fe" * 32, "compromised": True, "since": 9},
        ),
        ProposalKind.APPROVE_CORE_GRANT: ((b"\xfe" * 32, one), {"grant": "0x" + "fe" * 32, "consumer": one}),
        ProposalKind.REPLACE_CONTRACT: (
            (b"Grants".ljust(32, b"\0"), b"\x01" * 20, b"\xfe" * 32),
            {"name": "Grants", "contract": "0x" + "01" * 20, "codeHash": "0x" + "fe" * 32},
        ),
        ProposalKind.REPLACE_ACCOUNT: (
            (one, b"\x01" * 20, b"\x02" * 65),
            {"member": one, "account": "0x" + "01" * 20, "possession": "0x" + "02" * 65},
        ),
    }
    for kind, (given, expected) in cases.items():
        assert arguments.decode_arguments(kind, arguments.encode_arguments(kind, *given)) == expected, kind
    assert set(cases) | {ProposalKind.ADMIT, ProposalKind.SUSPEND} == set(ProposalKind)
