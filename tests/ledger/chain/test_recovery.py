"""A recovery: what follows from the old state, who must sign, what the chain is afterwards, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data

from ledger import codec
from ledger.chain import embedded
from ledger.chain.bindings import ProposalKind
from ledger.chain.devnet import CHAIN_ID, DevMember
from ledger.chain.genesis import Recovered, contract_addresses, decode_genesis, recovery_genesis
from ledger.chain.recovery import (
    Recovery,
    check_signatures,
    decode_recovery,
    encode_recovery,
    recovery_digest,
    sign,
    tally,
)
from ledger.chain.recoveryterms import MAX_AHEAD_MS, check_clock, check_terms
from ledger.errors import InvalidInputError, LedgerError
from ledger.identifiers import member_bytes32
from ledger.model import KeyRole
from tests.ledger.chain.recovery_city import Chain, make_chain, make_members, proposed, recovered, signed_by

Members = tuple[DevMember, ...]


@pytest.fixture(scope="module")
def bodies() -> Members:
    return make_members()


@pytest.fixture(scope="module")
def old(bodies: Members) -> Chain:
    """Read only."""
    return make_chain(bodies)


@pytest.fixture(scope="module")
def agreed(old: Chain, bodies: Members) -> Recovery:
    return signed_by(proposed(old, bodies), *bodies[2:])


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(LedgerError) as refused:
        call()
    assert refused.value.hint, refused.value.code
    return refused.value.code


def test_the_chain_goes_on_with_other_validators_and_everything_else_as_it_was(
    old: Chain, bodies: Members, agreed: Recovery
) -> None:
    check_terms(agreed, old.state)
    assert check_signatures(agreed, old.state).complete
    new = recovered(old, agreed)
    before, head = old.native.head(), new.native.head()
    assert head["height"] == before["height"] + 1 == agreed.city.first_block
    fields = embedded.header_parent(head["header"])
    assert fields == before["hash"]
    assert [uscc for uscc, _ in new.contracts.consortium.validators()] == [one.uscc for one in bodies[2:6]]
    assert new.contracts.consortium.active_count() == 7
    assert [new.nonce(one) for one in bodies] == [old.nonce(one) for one in bodies]
    for name, address in contract_addresses().items():
        same = old.native.account(address)["storage_hash"] == new.native.account(address)["storage_hash"]
        assert same is (name != "Consortium"), name
    # States of before stay provable under their own headers.
    assert new.native.proof(contract_addresses()["Anchors"], [], before["height"])["height"] == before["height"]
    # Started again from what is stored, it is the same chain, and the next block is made under the new number only.
    again = embedded.load_chain(agreed.genesis, new.rows.items())
    assert again.head() == head
    refused = new.native.check_txs([new.publish(bodies[0], "after", chain_id=CHAIN_ID)])[0]
    assert refused[0] == "tx.chain-id"
    new.block(new.publish(bodies[0], "after"))
    assert new.native.head()["height"] == head["height"] + 1


def test_the_contract_counts_the_new_validators_as_its_own(old: Chain, bodies: Members, agreed: Recovery) -> None:
    """Its set, its size and its journal are of one piece: votes on validators go on as before."""
    new = recovered(old, agreed)
    consortium = new.contracts.consortium

    def voted(kind: ProposalKind, target: int, arguments: bytes) -> int:
        expiry = new.native.head()["time"] + 1_000
        new.block(new.signed(bodies[2], consortium.address, consortium.encode_propose(kind, arguments, expiry)))
        number = consortium.proposal_count()
        ballots = (one for place, one in enumerate(bodies) if place != target)
        new.block(*(new.signed(one, consortium.address, consortium.encode_vote(number, True)) for one in ballots))
        return number

    def carry(kind: ProposalKind, target: int, arguments: bytes) -> None:
        number = voted(kind, target, arguments)
        new.block(new.signed(bodies[2], consortium.address, consortium.encode_execute(number)))

    def validator(who: int, on: bool) -> bytes:
        return member_bytes32(bodies[who].uscc) + int(on).to_bytes(32, "big")

    carry(ProposalKind.SET_VALIDATOR, 6, validator(6, True))
    assert len(consortium.validators()) == 5
    carry(ProposalKind.SET_VALIDATOR, 6, validator(6, False))
    # One that was lost comes back by vote; its key was never ended.
    exchange = member_bytes32(bodies[4].uscc) + member_bytes32(bodies[0].uscc)
    carry(ProposalKind.REPLACE_VALIDATOR, 4, exchange)
    assert {uscc for uscc, _ in consortium.validators()} == {bodies[at].uscc for at in (0, 2, 3, 5)}
    number = voted(ProposalKind.SUSPEND, 5, member_bytes32(bodies[5].uscc))
    succeeded, output, _ = new.native.call(
        consortium.address, consortium.encode_execute(number), sender=bodies[2].account.address
    )
    assert not succeeded
    assert output[:4] == embedded.keccak256(b"Consortium__TooFewValidators(uint256,uint256)")[:4]


def test_a_city_can_be_recovered_twice(old: Chain, bodies: Members, agreed: Recovery) -> None:
    new = recovered(old, agreed)
    new.block(new.publish(bodies[6], "between"))
    second = proposed(new, bodies, lost=[bodies[2].uscc, bodies[3].uscc], validators=[bodies[0].uscc, bodies[6].uscc])
    third = recovered(new, second)
    assert third.native.head()["height"] == new.native.head()["height"] + 1
    assert {uscc for uscc, _ in third.contracts.consortium.validators()} == {bodies[at].uscc for at in (0, 4, 5, 6)}
    assert second.terms.chain == agreed.city.digest


def test_whoever_has_the_state_makes_the_same_file(old: Chain, bodies: Members, agreed: Recovery) -> None:
    again = make_chain(bodies)
    assert proposed(again, bodies).genesis == agreed.genesis
    assert proposed(again, bodies, now_ms=0).city.time_ms == (again.native.head()["time"] + 1) * 1_000
    city = agreed.city
    assert city.chain_id == CHAIN_ID + 1
    assert [one.uscc for one in city.validators] == [one.uscc for one in bodies[2:6]]
    assert city.members[0].name == "Department 1"
    assert city.members[0].key(KeyRole.CONSENSUS) == bodies[0].founder.key(KeyRole.CONSENSUS)


def test_what_is_signed_is_typed_data_that_any_wallet_shows(bodies: Members, agreed: Recovery) -> None:
    words = {"chain": "bytes32", "height": "uint64", "head": "bytes32", "genesis": "bytes32"}
    domain = {
        "name": "civicledger",
        "version": "1",
        "chainId": CHAIN_ID,
        "verifyingContract": "0x" + contract_addresses()["Consortium"].hex(),
    }
    terms = agreed.terms
    message = {"chain": terms.chain, "height": terms.height, "head": terms.hash, "genesis": agreed.city.digest}
    typed = encode_typed_data(domain, {"Recovery": [{"name": k, "type": v} for k, v in words.items()]}, message)
    theirs = Account.sign_message(typed, bodies[2].secret)
    assert theirs.message_hash == recovery_digest(agreed)
    assert theirs.signature[:64] == dict(agreed.signatures)[bodies[2].uscc][:64]


def test_copies_are_put_together_and_the_file_reads_back(old: Chain, bodies: Members, agreed: Recovery) -> None:
    bare = proposed(old, bodies)
    parts = [signed_by(bare, one) for one in bodies[2:]]
    assert parts[0].merged(parts[1:]) == agreed
    assert decode_recovery(encode_recovery(agreed)) == agreed
    other = proposed(old, bodies, now_ms=1 << 41)
    assert code_of(lambda: bare.merged([other])) == "recovery.other-proposal"


def test_the_time_is_bounded_by_a_members_clock_and_the_old_chain(old: Chain, bodies: Members) -> None:
    now = old.state.time_s * 1_000 + 5_000
    for ahead, refused in ((0, False), (MAX_AHEAD_MS, False), (MAX_AHEAD_MS + 1, True)):
        made = proposed(old, bodies, now_ms=now + ahead)
        if refused:
            assert code_of(partial(check_clock, made, old.state, now)) == "recovery.clock"
        else:
            check_clock(made, old.state, now)
    # A chain that is itself ahead of this clock goes on all the same.
    check_clock(proposed(old, bodies, now_ms=0), old.state, 0)


def test_too_few_signatures_and_a_silent_validator_are_refused(old: Chain, bodies: Members) -> None:
    bare = proposed(old, bodies)
    assert code_of(lambda: check_signatures(signed_by(bare, *bodies[2:6]), old.state)) == "recovery.too-few-signatures"
    # Five of seven, but a validator that is not lost is not among them.
    assert code_of(lambda: check_signatures(signed_by(bare, *bodies[:2], *bodies[4:]), old.state)) == (
        "recovery.survivor"
    )
    counted = tally(signed_by(bare, bodies[6]), old.state)
    assert (counted.needed, counted.active, counted.complete) == (5, 7, False)
    assert counted.missing == (bodies[2].uscc, bodies[3].uscc)


def test_a_signature_of_another_account_or_by_a_stranger_is_refused(old: Chain, bodies: Members) -> None:
    bare = proposed(old, bodies)
    forged = sign(bare, bodies[2].uscc, bodies[3].account)
    assert code_of(lambda: tally(forged, old.state)) == "recovery.signature"
    stranger = make_members(8)[7]
    assert code_of(lambda: tally(signed_by(bare, stranger), old.state)) == "recovery.not-member"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"lost": ["dept-5"]}, "recovery.lost"),
        ({"lost": ["nobody"]}, "recovery.lost"),
        ({"lost": ["dept-1"]}, "recovery.not-needed"),
        ({"lost": []}, "recovery.not-needed"),
        ({"validators": ["dept-5"]}, "recovery.too-few-validators"),
        ({"validators": ["dept-5", "nobody"]}, "recovery.validator"),
        ({"validators": ["dept-5", "dept-1"]}, "recovery.validator"),
        ({"chain_id": CHAIN_ID}, "recovery.chain-id"),
    ],
)
def test_what_cannot_be_proposed(old: Chain, bodies: Members, changes: dict[str, Any], code: str) -> None:
    assert code_of(lambda: proposed(old, bodies, **changes)) == code


def test_a_city_without_enough_members_a_quorum_or_blocks_is_told_so() -> None:
    four = make_members(4)
    chain = make_chain(four)
    with pytest.raises(LedgerError) as refused:
        proposed(chain, (*four, *four), validators=[])
    assert refused.value.code == "recovery.too-few-validators"
    assert "only 2 members are left" in refused.value.hint
    assert code_of(lambda: proposed(make_chain(make_members(), blocks=0), make_members())) == "recovery.block-zero"
    assert code_of(lambda: proposed(make_chain(make_members(), engine="solo"), make_members())) == "recovery.engine"


def test_a_node_with_another_head_does_not_sign(bodies: Members, agreed: Recovery) -> None:
    assert code_of(lambda: check_terms(agreed, make_chain(bodies, blocks=3).state)) == "recovery.ahead"
    assert code_of(lambda: check_terms(agreed, make_chain(bodies, blocks=1).state)) == "recovery.behind"
    other = make_chain(bodies, blocks=1)
    other.block(other.publish(bodies[5], "another"))
    assert code_of(lambda: check_terms(agreed, other.state)) == "recovery.other-head"
    assert code_of(lambda: check_terms(agreed, make_chain(make_members(6)).state)) == "recovery.other-chain"


@pytest.mark.parametrize("field", ["name", "roles", "account", "region", "limits"])
def test_a_file_that_says_more_than_the_state_gives_is_refused(old: Chain, agreed: Recovery, field: str) -> None:
    file = codec.decode(agreed.genesis, max_bytes=1 << 23)
    if field == "region":
        file["region"] = "440100"
    elif field == "limits":
        file["limits"]["blockGas"] += 1
    else:
        file["members"][0][field] = {"name": "Other", "roles": ["auditor"], "account": "0x" + "11" * 20}[field]
    assert code_of(lambda: check_terms(Recovery(genesis=codec.encode(file)), old.state)) == "recovery.genesis"


def test_the_state_machine_itself_refuses_what_does_not_fit(old: Chain, bodies: Members, agreed: Recovery) -> None:
    def run(genesis: bytes) -> str:
        with pytest.raises(LedgerError) as refused:
            embedded.recover_chain(genesis, old.rows.items())
        return refused.value.code

    terms, city = agreed.terms, agreed.city

    def changed(members: Any = city.members, **over: Any) -> bytes:
        recovery = replace(terms, **over)
        return recovery_genesis(
            old.genesis, chain_id=city.chain_id, time_ms=city.time_ms, members=members, recovery=recovery
        )

    assert run(changed(height=terms.height + 1)) == "recovery.other-head"
    assert run(changed(hash=b"\x07" * 32)) == "recovery.other-head"
    assert run(changed(chain=b"\x07" * 32)) == "chain.genesis-mismatch"
    fewer = [replace(one, validator=one.validator and one.uscc != bodies[5].uscc) for one in city.members]
    assert run(changed(members=fewer)) == "recovery.too-few-validators"
    key = (KeyRole.CONSENSUS, b"\x09" * 32)
    foreign = [
        replace(one, keys=tuple(key if role is KeyRole.CONSENSUS else (role, held) for role, held in one.keys))
        if one.uscc == bodies[5].uscc
        else one
        for one in city.members
    ]
    assert run(changed(members=foreign)) == "recovery.validator"
    assert run(old.genesis) == "genesis.recovery"
    # Without the state before there is nothing to begin with.
    with pytest.raises(InvalidInputError) as refused:
        embedded.new_chain(agreed.genesis)
    assert refused.value.code == "genesis.recovered"


def test_files_are_read_strictly(agreed: Recovery) -> None:
    file = codec.decode(encode_recovery(agreed), max_bytes=1 << 24)

    def refused(**changes: Any) -> str:
        with pytest.raises(InvalidInputError) as error:
            decode_recovery(codec.encode(file | changes))
        return error.value.code

    signatures = file["signatures"]
    assert refused(v=2) == "recovery.format"
    assert refused(more=1) == "recovery.format"
    assert refused(signatures=signatures[::-1]) == "recovery.format"
    assert refused(signatures=[*signatures, signatures[-1]]) == "recovery.format"
    assert refused(signatures=[signatures[0] | {"signature": "0x00"}]) == "recovery.format"
    assert refused(signatures=[signatures[0] | {"extra": 1}]) == "recovery.format"
    assert refused(signatures=3) == "recovery.format"
    assert refused(signatures={}) == "recovery.format"
    assert refused(signatures=[signatures[0] | {"signature": "0x" + "  " * 65}]) == "recovery.format"
    assert refused(signatures=[signatures[0] | {"member": 3}]) == "identifier.uscc"
    assert refused(signatures=[3]) == "recovery.format"
    genesis = file["genesis"]
    blank = [genesis["members"][0] | {"account": "0x" + "  " * 20}, *genesis["members"][1:]]
    assert refused(genesis=genesis | {"members": blank}) == "genesis.field"
    assert refused(genesis=genesis | {"v": 1}) == "genesis.field"
    assert refused(genesis=genesis | {"v": 3}) == "genesis.field"
    assert refused(genesis=genesis | {"engine": {"name": "solo", "sequencer": genesis["members"][0]["uscc"]}}) == (
        "genesis.version"
    )
    recovery = genesis["recovery"]
    for wrong in ({"height": 0}, {"lost": recovery["lost"][::-1]}, {"chain": "0x" + recovery["chain"]}, {"more": 1}):
        assert refused(genesis=genesis | {"recovery": recovery | wrong}) == "genesis.field"
    founding = {name: value for name, value in genesis.items() if name != "recovery"} | {"v": 1}
    assert refused(genesis=founding) == "recovery.format"
    assert decode_genesis(agreed.genesis).recovery == Recovered(
        chain=agreed.terms.chain,
        chain_id=CHAIN_ID,
        height=agreed.terms.height,
        hash=agreed.terms.hash,
        lost=tuple(recovery["lost"]),
    )
