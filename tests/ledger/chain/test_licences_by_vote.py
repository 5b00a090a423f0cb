"""A city founded before there were licences takes the contract by vote, and goes on with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import decode, encode

import contracts
from ledger import codec
from ledger.chain.abi import interface
from ledger.chain.account import sign_transaction
from ledger.chain.bindings import Contracts, ProposalKind, decode_events
from ledger.chain.bindings.proposals import encode_arguments
from ledger.chain.blocks import Receipt
from ledger.chain.devnet import CHAIN_ID, DevMember
from ledger.chain.embedded import keccak256
from ledger.chain.engine import EmbeddedChain
from ledger.chain.genesis import FIRST_CONTRACTS, MAX_GENESIS_BYTES, contract_addresses, creation_code, decode_genesis
from ledger.errors import ConflictError
from ledger.identifiers import ascii_bytes32
from ledger.storage.chainstate import ChainStore
from ledger.storage.store import Store

from .conftest import T0_MS

DAY = 86_400


def before_licences(genesis: bytes, members: tuple[DevMember, ...]) -> bytes:
    """The file that the same founders would have made when there were four contracts."""
    file: dict[str, Any] = codec.decode(genesis, max_bytes=MAX_GENESIS_BYTES)
    addresses = contract_addresses()
    others = FIRST_CONTRACTS[1:]
    # The constructor names the other contracts: it is told of three.
    whole = creation_code([member.founder for member in members], addresses, ())["Consortium"]
    bytecode = contracts.artifact("Consortium").bytecode
    signature = interface("Consortium").constructor_inputs

    founders, *_ = decode(signature, whole[len(bytecode) :])
    named = [ascii_bytes32(name) for name in others], [addresses[name] for name in others]
    file["contracts"] = file["contracts"][:4]
    file["contracts"][0]["code"] = "0x" + (bytecode + encode(signature, (founders, *named, []))).hex()
    return codec.encode(file)


class OldCity:
    """Its chain, and the members' votes."""

    def __init__(self, chain: EmbeddedChain, consortium: bytes, members: tuple[DevMember, ...]) -> None:
        self.chain, self.members, self.now_ms = chain, members, T0_MS
        self.contracts = Contracts.in_force(chain.call, consortium)

    def run(self, who: int, to: bytes | None, data: bytes) -> Receipt:
        account = self.members[who].account
        nonce = self.chain.pending_nonce(account.address)
        raw = sign_transaction(account, chain_id=CHAIN_ID, nonce=nonce, to=to, data=data, gas=4_000_000)
        hash_ = self.chain.submit(raw)
        self.now_ms += 1_000
        self.chain.produce(self.now_ms)
        receipt = self.chain.receipt(hash_)
        assert receipt is not None
        assert receipt.succeeded
        return receipt

    def carry(self, kind: ProposalKind, *arguments: object) -> None:
        consortium, expiry = self.contracts.consortium, self.now_ms // 1_000 + DAY
        data = consortium.encode_propose(kind, encode_arguments(kind, *arguments), expiry)
        (proposed,) = [
            event for event in decode_events(self.run(0, consortium.address, data)) if event.name == "Proposed"
        ]
        number = int(proposed.args["proposalId"])
        for voter in range(len(self.members)):
            self.run(voter, consortium.address, consortium.encode_vote(number, True))
        self.run(0, consortium.address, consortium.encode_execute(number))


@pytest.fixture
def old(genesis: bytes, members: tuple[DevMember, ...], tmp_path: Path) -> Iterator[OldCity]:
    file = before_licences(genesis, members)
    read = decode_genesis(file)
    assert tuple(read.contracts) == FIRST_CONTRACTS
    with Store.open(tmp_path / "store") as store:
        chain = EmbeddedChain.open(ChainStore(store), file)
        yield OldCity(chain, read.contracts["Consortium"], members)
        chain.close()


def test_the_contract_comes_by_vote(old: OldCity) -> None:
    code = old.members[1].uscc + "001"
    with pytest.raises(ConflictError) as refused:
        old.contracts.licences.licence_type(code)
    assert refused.value.code == "licence.no-contract"
    assert old.contracts.refresh() == ()
    creation = contracts.artifact("Licences").bytecode + old.contracts.consortium.address.rjust(32, b"\0")
    old.carry(ProposalKind.ADOPT_CODE, keccak256(creation), True)
    address = old.run(2, None, creation).contract
    assert address is not None
    runtime = keccak256(old.chain.native.code(address))
    assert runtime == keccak256(contracts.artifact("Licences").runtime(old.contracts.consortium.address))
    # Deployed is not in force: it answers nobody's change.
    assert old.contracts.refresh() == ()
    old.carry(ProposalKind.REPLACE_CONTRACT, ascii_bytes32("Licences"), address, runtime)
    assert old.contracts.refresh() == ("Licences",)
    licences = old.contracts.licences
    assert licences.address == address
    old.run(1, address, licences.encode_define(code, b"\x01" * 32))
    old.run(1, address, licences.encode_accredit(code, old.members[2].uscc, basis_digest=b"\x02" * 32))
    assert licences.accredited_at(code, old.members[2].uscc, old.now_ms // 1_000)
