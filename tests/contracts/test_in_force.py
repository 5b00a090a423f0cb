"""Consortium: which contracts are in force; a new Anchors takes every head from its predecessor."""

from __future__ import annotations

import hashlib

import pytest
from contract_city import (
    ADDRESSES,
    CONSORTIUM_TYPES,
    INTERFACE,
    SUPERVISOR,
    ZERO,
    City,
    constructor_data,
    deploy,
    digest,
    founder,
    word,
)
from contract_targets import RpcError, Target
from eth_utils import keccak
from merkle_reference import consistency_proof, root

import contracts

ADOPT, REPLACE, RETIRE_LOG = 8, 9, 11
TYPES = ["bytes32", "address", "bytes32"]
LEAVES = [hashlib.sha256(b"\0" + bytes([i])).digest() for i in range(20)]


def runtime_hash(name: str) -> bytes:
    return keccak(contracts.artifact(name).runtime(bytes.fromhex(ADDRESSES["Consortium"][2:])))


def create(city: City, name: str, *, adopt: bool = True) -> str:
    """A member deploys a new instance; on our own chain its code must be adopted by vote before."""
    data = constructor_data(name, ["address"], ADDRESSES["Consortium"])
    if adopt:
        city.decide(ADOPT, ["bytes32", "bool"], keccak(bytes.fromhex(data[2:])), True)
    receipt = city.target.transact(city.water.account, None, data)
    assert receipt["status"] == "0x1"
    return str(receipt["contractAddress"])


def replace(city: City, name: str, address: str, code_hash: bytes):
    proposal = city.propose(city.water, REPLACE, TYPES, word(name), address, code_hash)
    city.vote(proposal, *city.members)
    return proposal


def at(city: City, address: str, function: str, *args: object) -> object:
    """A view of another instance."""
    data = INTERFACE.encode(function, args)
    return INTERFACE.decode(function, city.target.rpc("eth_call", {"to": address, "data": data}, "latest"))


def test_genesis_contracts_are_in_force_with_the_code_of_the_artifacts(city: City) -> None:
    for name, address in ADDRESSES.items():
        assert city.read("Consortium.contractOf", word(name)).lower() == address.lower()
        code = city.target.rpc("eth_getCode", address, "latest")
        assert keccak(bytes.fromhex(code[2:])) == runtime_hash(name)
        assert city.read("Consortium.predecessorOf", address) == "0x" + 40 * "0"
    assert city.read("Consortium.contractOf", word("Partners")) == "0x" + 40 * "0"


def test_a_new_anchors_takes_each_head_from_its_predecessor(city: City) -> None:
    city.send(city.water, "Anchors.record", city.water.id, 5, root(LEAVES[:5]), ZERO, [])
    city.send(city.civil, "Anchors.record", city.civil.id, 3, root(LEAVES[:3]), ZERO, [])
    city.decide(RETIRE_LOG, ["bytes32"], city.civil.id, without=(city.civil,))
    city.send(city.civil, "Anchors.record", city.civil.id, 2, root(LEAVES[:2]), ZERO, [])
    new = create(city, "Anchors")
    old = ADDRESSES["Anchors"]
    done = city.send(city.audit, "Consortium.execute", replace(city, "Anchors", new, runtime_hash("Anchors")))
    assert done.only("ContractReplaced") == {
        "name": word("Anchors"), "previous": old.lower(), "current": new, "codeHash": runtime_hash("Anchors"),
    }  # fmt: skip
    assert city.read("Consortium.predecessorOf", new) == old.lower()
    # The old one records no more: a log has one head.
    args = (city.water.id, 9, root(LEAVES[:9]), ZERO, consistency_proof(LEAVES, 5, 9))
    assert city.refusal(city.water, "Anchors.record", *args) == (
        "Consortium__NotCurrentContract", word("Anchors"), old.lower(), new,
    )  # fmt: skip
    # The new one knows the head and grows from it by proof only.
    assert at(city, new, "Anchors.anchor", city.water.id).size == 5
    assert at(city, new, "Anchors.retired", city.civil.id, 1).size == 3
    forged = INTERFACE.encode("Anchors.record", (*args[:4], []))
    with pytest.raises(RpcError) as refused:
        city.target.rpc("eth_call", {"from": city.water.account.address, "to": new, "data": forged}, "latest")
    assert INTERFACE.error(refused.value.data) == ("Anchors__ProofFails", city.water.id, 5, 9)
    receipt = city.target.transact(city.water.account, new, INTERFACE.encode("Anchors.record", args))
    assert receipt["status"] == "0x1"
    assert at(city, new, "Anchors.anchor", city.water.id).size == 9
    assert city.read("Anchors.anchor", city.water.id).size == 5
    # Back to the first would be back to older heads.
    proposal = replace(city, "Anchors", old, runtime_hash("Anchors"))
    assert city.refusal(city.water, "Consortium.execute", proposal) == ("Consortium__WasInForce", old.lower())


def test_the_consortium_itself_is_not_replaceable(city: City) -> None:
    proposal = replace(city, "Consortium", ADDRESSES["Grants"], runtime_hash("Grants"))
    assert city.refusal(city.water, "Consortium.execute", proposal) == (
        "Consortium__WasInForce",
        ADDRESSES["Grants"].lower(),
    )
    new = create(city, "Grants")
    proposal = replace(city, "Consortium", new, runtime_hash("Grants"))
    assert city.refusal(city.water, "Consortium.execute", proposal) == (
        "Consortium__NotReplaceable", word("Consortium"),
    )  # fmt: skip
    consortium = city.target.rpc("eth_getCode", ADDRESSES["Consortium"], "latest")
    proposal = replace(city, "Grants", ADDRESSES["Consortium"], keccak(bytes.fromhex(consortium[2:])))
    assert city.refusal(city.water, "Consortium.execute", proposal) == ("Consortium__NotReplaceable", word("Grants"))


def test_the_vote_names_the_code(city: City) -> None:
    new = create(city, "Grants")
    proposal = replace(city, "Grants", new, digest("other code"))
    assert city.refusal(city.water, "Consortium.execute", proposal) == (
        "Consortium__WrongCode", new, digest("other code"), runtime_hash("Grants"),
    )  # fmt: skip
    empty = "0x" + "11" * 20
    proposal = replace(city, "Grants", empty, keccak(b""))
    assert city.refusal(city.water, "Consortium.execute", proposal)[:3] == ("Consortium__WrongCode", empty, keccak(b""))
    proposal = replace(city, "", new, runtime_hash("Grants"))
    assert city.refusal(city.water, "Consortium.execute", proposal) == ("Consortium__MalformedName", ZERO)
    # A name not yet used comes into force without a predecessor.
    city.send(city.water, "Consortium.execute", replace(city, "Partners", new, runtime_hash("Grants")))
    assert city.read("Consortium.contractOf", word("Partners")) == new
    assert city.read("Consortium.predecessorOf", new) == "0x" + 40 * "0"


@pytest.mark.parametrize(
    ("founders", "names", "addresses", "adopted", "error"),
    [
        (False, [], [], [], ("Consortium__NoFounders",)),
        (True, [word("A")], [], [], ("Consortium__LengthsDiffer", 1, 0)),
        (True, [word("A")] * 2, ["0x" + "22" * 20, "0x" + "33" * 20], [], ("Consortium__NameTaken", word("A"))),
        (True, [word("Consortium")], ["0x" + "22" * 20], [], ("Consortium__NotReplaceable", word("Consortium"))),
        (True, [word("A")], ["0x" + "00" * 20], [], ("Consortium__MalformedName", word("A"))),
        (True, [], [], [digest("code")] * 2, ("Consortium__NothingToChange",)),
    ],
)
def test_a_genesis_that_contradicts_itself_is_refused(
    city: City, target: Target, founders: bool, names: list, addresses: list, adopted: list, error: tuple
) -> None:
    structs = [founder(city.newcomer("solo", "11310000MB2F00031J"), SUPERVISOR)] if founders else []
    data = constructor_data("Consortium", CONSORTIUM_TYPES, structs, names, addresses, adopted)
    with pytest.raises(RpcError) as refused:
        target.rpc("eth_call", {"data": data, "gas": hex(30_000_000)}, "latest")
    assert INTERFACE.error(refused.value.data) == error


def test_a_founder_without_an_account_or_consensus_key_is_refused(city: City, target: Target) -> None:
    body = founder(city.newcomer("solo", "11310000MB2F00031J"), SUPERVISOR)
    zero = "0x" + 40 * "0"
    for wrong, error in (
        ((*body[:4], zero, *body[5:]), ("Consortium__MalformedAccount", zero)),
        ((*body[:6], []), ("Consortium__NoConsensusKey", body[0])),
    ):
        data = constructor_data("Consortium", CONSORTIUM_TYPES, [wrong], [], [], [])
        with pytest.raises(RpcError) as refused:
            target.rpc("eth_call", {"data": data, "gas": hex(30_000_000)}, "latest")
        assert INTERFACE.error(refused.value.data) == error


@pytest.mark.anvil("deploys a second Consortium from an address without a key")
def test_one_validator_may_grow_to_four_freely(city: City, target: Target) -> None:
    """A city that begins with one validator: the rules of the set begin at four."""
    parties = [city.newcomer(f"solo{n}", f"11310000MB2F0010{n}X") for n in range(5)]
    structs = [founder(party, 0, validator=n == 0) for n, party in enumerate(parties)]
    sender = "0x" + "44" * 20
    address = deploy(target, constructor_data("Consortium", CONSORTIUM_TYPES, structs, [], [], []), sender)
    from eth_abi import encode

    def vote_in(index: int, validator: bool) -> dict:
        data = encode(["bytes32", "bool"], [parties[index].id, validator])
        call = INTERFACE.encode("Consortium.propose", (5, data, city.now + 1000))
        target.transact(parties[0].account, address, call)
        number = int(at(city, address, "Consortium.proposalCount"))
        for party in parties:
            target.transact(party.account, address, INTERFACE.encode("Consortium.vote", (number, True)))
        return target.transact(parties[0].account, address, INTERFACE.encode("Consortium.execute", (number,)))

    assert vote_in(1, True)["status"] == "0x1"
    assert vote_in(1, False)["status"] == "0x1"
    for index in (1, 2, 3):
        assert vote_in(index, True)["status"] == "0x1"
    assert len(at(city, address, "Consortium.validators")[0]) == 4
    # Now there were four: never fewer, and no faster than a third in a hundred blocks.
    assert vote_in(3, False)["status"] == "0x0"
    assert vote_in(4, True)["status"] == "0x0"
    target.pass_blocks(100)
    assert vote_in(4, True)["status"] == "0x1"


@pytest.mark.parametrize("name", contracts.NAMES[1:])
def test_a_contract_needs_a_consortium_to_answer_to(city: City, target: Target, name: str) -> None:
    nobody = "0x" + "55" * 20
    with pytest.raises(RpcError) as refused:
        target.rpc("eth_call", {"data": constructor_data(name, ["address"], nobody), "gas": hex(30_000_000)}, "latest")
    assert INTERFACE.error(refused.value.data) == ("Consorted__NotAContract", nobody)
