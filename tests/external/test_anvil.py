"""On a real network of another make (anvil, Paris rules): deployment, and a block that changes."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from ledger.chain.account import TransactionSender
from ledger.chain.bindings import Contracts
from ledger.chain.devnet import CHAIN_ID, dev_member, dev_members
from ledger.chain.external import ExternalChain
from ledger.chain.external_deploy import Deployment, deploy, planned_addresses
from ledger.chain.external_link import RpcLink
from ledger.errors import ConflictError, LedgerError, UnavailableError
from ledger.identifiers import ascii_bytes32, dataset_id
from ledger.model import Level, Sharing
from tests.native_chain import anvil

MEMBERS = dev_members()
DEPLOYER = dev_member(78, "deployer", "Operator").account
PATIENCE_S = 300.0


@pytest.fixture(scope="module")
def network() -> Iterator[anvil.Anvil]:
    with anvil.running("--chain-id", str(CHAIN_ID), "--gas-limit", "1000000000") as running:
        running.call("evm_setAutomine", True)
        yield running


@pytest.fixture
def deployment(network: anvil.Anvil) -> Deployment:
    return deploy(RpcLink(network.url), DEPLOYER, [member.founder for member in MEMBERS], timeout=PATIENCE_S)


def test_the_contracts_are_deployed_for_the_founders(network: anvil.Anvil, deployment: Deployment) -> None:
    assert len(set(deployment.contracts.values())) == 6
    chain = ExternalChain.open(RpcLink(network.url), deployment)
    try:
        contracts = Contracts.at(chain.call, deployment.contracts)
        members = contracts.consortium.members()
        assert [member.uscc for member in members] == [member.uscc for member in MEMBERS]
        assert [member.account for member in members] == [member.account.address for member in MEMBERS]
        for name in ("Directory", "Grants", "Anchors", "Licences", "Recognition"):
            assert contracts.consortium.contract_of(ascii_bytes32(name)) == deployment.contracts[name]
    finally:
        chain.close()
    again = deploy(RpcLink(network.url), DEPLOYER, [member.founder for member in MEMBERS], timeout=PATIENCE_S)
    assert not set(again.contracts.values()) & set(deployment.contracts.values())


def test_a_deployment_that_cannot_be_made_says_why(network: anvil.Anvil) -> None:
    link = RpcLink(network.url)
    founders = [member.founder for member in MEMBERS]
    with pytest.raises(LedgerError) as refused:
        deploy(link, DEPLOYER, [*founders, founders[0]], timeout=PATIENCE_S)
    assert refused.value.code == "contract.consortium-member-exists"
    network.call("evm_setAutomine", False)
    try:
        with pytest.raises(UnavailableError) as late:
            deploy(link, DEPLOYER, founders, timeout=0.2)
        assert late.value.code == "chain.timeout"
        with pytest.raises(ConflictError) as busy:
            deploy(link, DEPLOYER, founders, timeout=PATIENCE_S)
        assert busy.value.code == "chain.deploy-busy"
    finally:
        network.call("evm_mine")
        network.call("evm_setAutomine", True)


def test_addresses_are_known_before() -> None:
    # keccak256(RLP([0x6ac7ea33f8831ea9dcc53393aaa88b25a785dbf0, 0 and 1])): the example of the Ethereum wiki.
    planned = planned_addresses(bytes.fromhex("6ac7ea33f8831ea9dcc53393aaa88b25a785dbf0"), 0)
    assert planned["Consortium"].hex() == "cd234a471b72ba2f1ccf0a70fcaba648a5eecd8d"
    assert planned["Directory"].hex() == "343c43a37d37dff08ae8c4a11544c718abb4fcf8"


def test_a_network_taken_back_is_noticed(network: anvil.Anvil, deployment: Deployment) -> None:
    mark = network.call("evm_snapshot")
    chain = ExternalChain.open(RpcLink(network.url), deployment, poll_s=0.05)
    try:
        directory = Contracts.at(chain.call, deployment.contracts).directory
        member = MEMBERS[1]
        sender = TransactionSender(
            member.account, chain_id=chain.chain_id, nonce=chain.nonce, submit=chain.submit, wait=chain.wait
        )
        data = directory.encode_publish(
            dataset_id(member.uscc, "R-1"),
            sharing=Sharing.CONDITIONAL,
            level=Level.GENERAL,
            metadata_digest=b"\x01" * 32,
            resource_code="R-1",
        )
        outcome = sender.send(directory.address, data, timeout=PATIENCE_S)
        adopted = chain.block(outcome.height)
        assert adopted is not None
        network.call("evm_revert", mark)
        network.call("evm_increaseTime", 100)
        for _ in range(3):
            network.call("evm_mine")
        pause = threading.Event()
        for _ in range(int(PATIENCE_S / 0.05)):
            if chain.failure is not None:
                break
            pause.wait(0.05)
        assert chain.failure is not None
        assert (chain.failure.code, chain.failure.expected) == ("chain.reorged", adopted.hash)
        theirs = network.call("eth_getBlockByNumber", hex(outcome.height), False)["hash"]
        assert chain.failure.actual == bytes.fromhex(theirs[2:])
        with pytest.raises(LedgerError) as since:
            ExternalChain.open(RpcLink(network.url), deployment, since=(adopted.height, adopted.hash))
        assert since.value.code == "chain.reorged"
    finally:
        chain.close()
