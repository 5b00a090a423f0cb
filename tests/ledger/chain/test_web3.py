"""web3.py 8, unchanged, over HTTP and inside the process: the whole way from a signed call to a verified proof."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from eth_account import Account
from web3 import HTTPProvider, Web3
from web3.contract import Contract
from web3.exceptions import ContractCustomError, TransactionNotFound, Web3RPCError
from web3.middleware import SignAndSendRawMiddlewareBuilder

import contracts
from ledger import _native
from ledger.chain.devnet import CHAIN_ID, Devnet
from ledger.chain.genesis import contract_addresses
from ledger.chain.jsonrpc import JsonRpc
from ledger.chain.provider import in_process
from ledger.identifiers import dataset_id


@pytest.fixture(params=["http", "in-process"])
def w3(request: pytest.FixtureRequest, devnet: Devnet) -> Web3:
    if request.param == "http":
        return Web3(HTTPProvider(devnet.url))
    return in_process(JsonRpc(devnet.chain))


@pytest.fixture
def code(request: pytest.FixtureRequest) -> str:
    """A resource code of this test alone: the tests of the module share a chain."""
    return f"W-{abs(hash(request.node.nodeid)) % 10**9}"


def at(w3: Web3, name: str) -> Contract:
    return w3.eth.contract(
        address=Web3.to_checksum_address(contract_addresses()[name]), abi=contracts.artifact(name).abi
    )


def publication(w3: Web3, devnet: Devnet, code: str) -> tuple[bytes, Any]:
    id_ = dataset_id(devnet.members[1].uscc, code)
    return id_, at(w3, "Directory").functions.publishDataset(id_, 2, 1, b"\x01" * 32, bytes(32), code)


def test_it_is_a_chain_web3_knows(w3: Web3) -> None:
    assert w3.is_connected()
    assert w3.client_version.startswith("civicledger/")
    assert w3.eth.chain_id == CHAIN_ID
    assert w3.net.version == str(CHAIN_ID)
    assert w3.net.listening
    assert w3.eth.syncing is False
    assert list(w3.eth.accounts) == []
    assert w3.eth.gas_price == 0
    assert w3.eth.max_priority_fee == 0
    history = w3.eth.fee_history(3, "latest", [50])
    assert history["baseFeePerGas"][0] == 0
    genesis = w3.eth.get_block("earliest", full_transactions=True)
    assert (genesis["number"], genesis["difficulty"], genesis["baseFeePerGas"]) == (0, 0, 0)
    assert w3.eth.get_block(genesis["hash"]) == w3.eth.get_block(0)


def test_build_sign_send_wait_and_read(w3: Web3, devnet: Devnet, code: str) -> None:
    account = Account.from_key(devnet.members[1].secret)
    id_, publish = publication(w3, devnet, code)
    estimated = publish.estimate_gas({"from": account.address})
    transaction = publish.build_transaction(
        {"from": account.address, "nonce": w3.eth.get_transaction_count(account.address, "pending")}
    )
    assert transaction["maxFeePerGas"] == 0
    assert transaction["chainId"] == CHAIN_ID
    signed = account.sign_transaction(transaction)
    hash_ = w3.eth.send_raw_transaction(signed.raw_transaction)
    receipt = w3.eth.wait_for_transaction_receipt(hash_, timeout=180, poll_latency=0.01)
    assert receipt["status"] == 1
    # The estimate is what it needs, and enough.
    assert receipt["gasUsed"] <= estimated == transaction["gas"]
    assert w3.eth.get_transaction(hash_)["from"] == account.address
    assert w3.eth.get_transaction_receipt(hash_) == receipt
    assert receipt in w3.eth.get_block_receipts(receipt["blockNumber"])

    directory = at(w3, "Directory")
    provider, *_ = directory.functions.dataset(id_).call()
    assert provider.rstrip(b"\0").decode() == devnet.members[1].uscc
    (event,) = directory.events.DatasetPublished().process_receipt(receipt)
    assert event["args"]["resourceCode"] == code
    (found,) = directory.events.DatasetPublished().get_logs(from_block=0, argument_filters={"id": id_})
    assert found["transactionHash"] == hash_
    block = w3.eth.get_block(receipt["blockNumber"], full_transactions=True)
    assert hash_ in [entry["hash"] for entry in block["transactions"]]


def test_the_signing_middleware_and_a_legacy_transaction(w3: Web3, devnet: Devnet, code: str) -> None:
    account = Account.from_key(devnet.members[1].secret)
    w3.middleware_onion.inject(SignAndSendRawMiddlewareBuilder.build(account), layer=0)
    for suffix, price in (("-a", {}), ("-b", {"gasPrice": 0})):
        _, publish = publication(w3, devnet, code + suffix)
        hash_ = publish.transact({"from": account.address, **price})
        receipt = w3.eth.wait_for_transaction_receipt(hash_, timeout=180, poll_latency=0.01)
        assert (receipt["status"], receipt["type"]) == (1, 0 if price else 2)


def test_a_custom_error_reaches_the_caller_with_its_data(w3: Web3) -> None:
    with pytest.raises(ContractCustomError) as refused:
        at(w3, "Directory").functions.dataset(b"\x01" * 32).call()
    data = refused.value.data
    assert isinstance(data, str)
    assert data == Web3.keccak(text="Directory__UnknownDataset(bytes32)")[:4].to_0x_hex() + "01" * 32


def test_what_does_not_exist_is_not_found(w3: Web3) -> None:
    with pytest.raises(TransactionNotFound):
        w3.eth.get_transaction(b"\x01" * 32)
    with pytest.raises(TransactionNotFound):
        w3.eth.get_transaction_receipt(b"\x01" * 32)
    with pytest.raises(Web3RPCError) as refused:
        w3.manager.request_blocking("eth_sign", [])
    assert refused.value.rpc_response is not None
    assert refused.value.rpc_response["error"]["code"] == -32601


def test_filters_are_polled(w3: Web3, devnet: Devnet, code: str) -> None:
    blocks, logs = (
        w3.eth.filter("latest"),
        at(w3, "Directory").events.DatasetPublished.create_filter(from_block="latest"),
    )
    account = Account.from_key(devnet.members[1].secret)
    _, publish = publication(w3, devnet, code)
    nonce = w3.eth.get_transaction_count(account.address, "pending")
    signed = account.sign_transaction(publish.build_transaction({"from": account.address, "nonce": nonce}))
    hash_ = w3.eth.send_raw_transaction(signed.raw_transaction)
    receipt = w3.eth.wait_for_transaction_receipt(hash_, timeout=180, poll_latency=0.01)
    assert receipt["blockHash"] in blocks.get_new_entries()
    (entry,) = logs.get_new_entries()
    assert entry["args"]["resourceCode"] == code
    assert logs.get_new_entries() == []
    assert w3.eth.uninstall_filter(logs.filter_id)


def test_a_batch(w3: Web3) -> None:
    with w3.batch_requests() as batch:
        batch.add(w3.eth.get_block("earliest"))
        batch.add(at(w3, "Consortium").functions.activeCount())
        block, active = batch.execute()
    assert (block["number"], active) == (0, 5)


def test_a_proof_verifies_against_the_header(w3: Web3) -> None:
    consortium = contract_addresses()["Consortium"]
    block = w3.eth.get_block("latest")
    answer = w3.eth.get_proof(Web3.to_checksum_address(consortium), [2, 999], block["number"])
    account = _native.verify_account(bytes(block["stateRoot"]), consortium, [bytes(n) for n in answer["accountProof"]])
    assert account["storage_hash"] == bytes(answer["storageHash"])
    assert account["code_hash"] == bytes(answer["codeHash"])
    for slot, expected in ((2, 5), (999, 0)):
        entry = answer["storageProof"][0 if slot == 2 else 1]
        value = _native.verify_storage(
            bytes(answer["storageHash"]), slot.to_bytes(32, "big"), [bytes(node) for node in entry["proof"]]
        )
        assert int.from_bytes(value, "big") == expected == int.from_bytes(bytes(entry["value"]), "big")
    assert w3.eth.get_storage_at(Web3.to_checksum_address(consortium), 2)[-1] == 5
    assert bytes(w3.eth.get_code(Web3.to_checksum_address(consortium))) == contracts.artifact("Consortium").runtime(
        consortium
    )


def test_web3_leaves_the_recursion_limit_alone() -> None:
    """Else deeply nested JSON from outside ends the process (a crash of C's stack), instead of raising."""
    words = (
        "import sys, json; before = sys.getrecursionlimit(); import ledger.chain.provider; "
        "assert sys.getrecursionlimit() == before, sys.getrecursionlimit()\n"
        "try: json.loads('[' * 1_000_000)\n"
        "except RecursionError: print('refused')"
    )
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "refused\n"), done.stderr
