"""The external engine's own side: what it checks at start, what it does not believe, how refusals are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from ledger.chain.bindings import Contracts
from ledger.chain.embedded import keccak256
from ledger.chain.external import ExternalChain
from ledger.chain.external_deploy import check_deployment
from ledger.chain.external_refusals import called, revert_data, submitted
from ledger.chain.genesis import contract_addresses
from ledger.chain.reverts import revert_error
from ledger.chain.rpc.errors import METHOD_NOT_FOUND, RpcError
from ledger.errors import ConflictError, LedgerError, NotFoundError, UnavailableError, UntrustedError
from ledger.evidence.state import active_count_slot
from tests.external.conftest import Network
from tests.external.endpoint import forged

PATIENCE_S = 300.0


@pytest.fixture
def chain(network: Network) -> Iterator[ExternalChain]:
    opened = network.open()
    yield opened
    opened.close()


def refused_open(network: Network, **options: Any) -> LedgerError:
    with pytest.raises(LedgerError) as caught:
        network.open(**options)
    return caught.value


def test_the_network_and_the_contracts_are_checked_at_start(network: Network) -> None:
    deployment = network.deployment
    wrong: list[tuple[type[LedgerError], str, dict[str, Any]]] = [
        (ConflictError, "chain.other-chain", {"chain_id": 1}),
        (ConflictError, "chain.other-chain", {"hash": bytes(32)}),
        (ConflictError, "chain.other-chain", {"height": 99}),
        (UntrustedError, "chain.contract-code", {"contracts": dict(deployment.contracts) | {"Grants": b"\x01" * 20}}),
        (UntrustedError, "chain.contract-code", {"code_hashes": dict(deployment.code_hashes) | {"Anchors": b"a" * 32}}),
    ]
    for kind, code, change in wrong:
        with pytest.raises(kind) as caught:
            check_deployment(network.link(), replace(deployment, **change))
        assert caught.value.code == code
        assert caught.value.hint
    check_deployment(network.link(), deployment)


def test_a_network_that_asks_fees_or_is_too_small_is_refused(network: Network) -> None:
    for code, change in (("chain.fees", {"baseFeePerGas": "0x7"}), ("chain.gas-limit", {"gasLimit": "0x3d08ff"})):
        network.lies["eth_getBlockByNumber"] = lambda params, told, change=change: (
            forged(told, **change) if params[0] == "latest" else told
        )
        assert refused_open(network).code == code


def test_what_was_adopted_before_a_restart_must_still_stand(network: Network) -> None:
    network.grow(2)
    block = network.net.chain.block(1)
    assert block is not None
    network.open(since=(1, block.hash)).close()
    error = refused_open(network, since=(1, bytes(32)))
    assert (error.code, error.expected, error.actual) == ("chain.reorged", bytes(32), block.hash)
    assert refused_open(network, since=(9, bytes(32))).code == "chain.behind"


def test_it_reads_what_the_chain_holds(network: Network, chain: ExternalChain) -> None:
    raw = network.publish()
    receipt = chain.wait(chain.submit(raw), PATIENCE_S)
    ours = network.net.chain
    assert receipt == ours.receipt(keccak256(raw))
    assert chain.head() == ours.head()
    assert chain.block(1) == ours.block(1)
    assert chain.receipts(1) == ours.receipts(1)
    assert chain.receipts(0) == ()
    remote, here = (Contracts.at(item.call, contract_addresses()) for item in (chain, ours))
    assert remote.directory.datasets() == here.directory.datasets()
    assert remote.consortium.members() == here.consortium.members()
    assert chain.is_follower
    assert chain.chain_id == ours.chain_id


def test_proofs_are_checked_under_the_header(network: Network, chain: ExternalChain) -> None:
    address, slots = contract_addresses()["Consortium"], [active_count_slot(), b"\x99" * 32]
    proof = chain.proof(address, slots)
    assert proof == network.net.chain.native.proof(address, slots)
    grants = contract_addresses()["Grants"]
    assert chain.proof(grants, slots, 0)["storage"][0]["value"] == bytes(32)

    def lie(change: dict[str, Any]) -> str:
        network.lies["eth_getProof"] = lambda params, told: told and told | change
        with pytest.raises(UntrustedError) as caught:
            chain.proof(address, slots)
        return caught.value.code

    told = network.endpoint.answer("eth_getProof", ["0x" + address.hex(), ["0x" + bytes(31).hex() + "02"], "latest"])
    assert lie({"accountProof": told["accountProof"][:-1]}) == "state.account"
    assert lie({"storageProof": told["storageProof"]}) == "chain.answer"
    assert lie({"storageProof": told["storageProof"][::-1] * 2}) == "state.storage"
    assert lie({"accountProof": "nodes"}) == "chain.answer"
    network.lies["eth_getProof"] = lambda params, told: None
    with pytest.raises(NotFoundError) as gone:
        chain.proof(address, slots)
    assert gone.value.code == "proof.window"
    with pytest.raises(NotFoundError) as above:
        chain.proof(address, slots, 99)
    assert above.value.code == "chain.height"


def test_the_one_node_of_an_empty_trie_is_no_node(network: Network, chain: ExternalChain) -> None:
    # An account without storage, proven as anvil does it.
    address = network.net.members[1].account.address
    network.grow()
    chain.wait(chain.submit(network.publish()), PATIENCE_S)

    def lie(params: list[Any], told: Any) -> Any:
        return told | {"storageProof": [entry | {"proof": ["0x80"]} for entry in told["storageProof"]]}

    network.lies["eth_getProof"] = lie
    proof = chain.proof(address, [active_count_slot()])
    assert proof["storage"] == [{"key": active_count_slot(), "value": bytes(32), "proof": []}]


def test_answers_that_do_not_fit_are_not_believed(network: Network, chain: ExternalChain) -> None:
    raw = network.publish()
    hash_ = chain.submit(raw)
    chain.wait(hash_, PATIENCE_S)
    height = hex(1)
    truth = network.endpoint.answer("eth_getBlockByNumber", [height, True])
    transaction = truth["transactions"][0]
    lies: list[tuple[str, Any, Any]] = [
        ("eth_call", "word", lambda: chain.call(contract_addresses()["Consortium"], b"")),
        ("eth_call", "0x123", lambda: chain.call(contract_addresses()["Consortium"], b"")),
        ("eth_getTransactionCount", "12", lambda: chain.nonce(bytes(20))),
        ("eth_getBlockByNumber", truth | {"transactions": [transaction | {"nonce": "0x9"}]}, lambda: chain.block(1)),
        ("eth_getBlockByHash", network.endpoint.answer("eth_getBlockByNumber", ["0x0", True]),
         lambda: chain.block(bytes.fromhex(truth["hash"][2:]))),
        ("eth_getTransactionReceipt", [], lambda: chain.receipt(hash_)),
        ("eth_getTransactionReceipt", {"logs": 1}, lambda: chain.receipt(hash_)),
        ("eth_getBlockReceipts", [], lambda: chain.receipts(1)),
        ("eth_sendRawTransaction", "0x" + "00" * 32, lambda: chain.submit(raw)),
    ]  # fmt: skip
    for method, told, ask in lies:
        network.lies = {method: lambda params, _, told=told: told}
        with pytest.raises(UntrustedError) as caught:
            ask()
        assert caught.value.code in ("chain.answer", "header.hash"), method
    network.lies = {}
    assert chain.failure is None


def test_a_block_beside_the_chain_is_not_ours(network: Network, chain: ExternalChain) -> None:
    chain.wait(chain.submit(network.publish()), PATIENCE_S)
    truth = network.endpoint.answer("eth_getBlockByNumber", ["0x1", True])
    beside = forged(truth, timestamp=hex(int(truth["timestamp"], 16) + 1))
    network.lies["eth_getBlockByHash"] = lambda params, told: beside
    assert chain.block(bytes.fromhex(beside["hash"][2:])) is None
    network.lies = {}
    assert chain.block(bytes.fromhex(truth["hash"][2:])) is not None


def test_receipts_without_the_call_for_a_whole_block(network: Network, chain: ExternalChain) -> None:
    chain.wait(chain.submit(network.publish()), PATIENCE_S)

    def unknown(params: list[Any], told: Any) -> Any:
        raise RpcError(METHOD_NOT_FOUND, "the method does not exist")

    network.lies["eth_getBlockReceipts"] = unknown
    assert chain.receipts(1) == network.net.chain.receipts(1)


@pytest.mark.parametrize("told", [True, False])
def test_the_reason_of_a_revert(network: Network, chain: ExternalChain, told: bool) -> None:
    """Told in the receipt, or found by making the call once more."""
    member = network.net.members[1]
    chain.wait(chain.submit(network.publish()), PATIENCE_S)
    network.published -= 1
    if not told:
        network.lies["eth_getTransactionReceipt"] = lambda params, answer: (
            answer and {name: value for name, value in answer.items() if name != "revertReason"}
        )
    receipt = chain.wait(chain.submit(network.publish(chain.pending_nonce(member.account.address))), PATIENCE_S)
    assert not receipt.succeeded
    assert revert_error(receipt.output).code == "contract.directory-dataset-exists"


def test_kinds_of_transactions_we_do_not_write(network: Network, chain: ExternalChain) -> None:
    chain.wait(chain.submit(network.publish()), PATIENCE_S)

    def lie(params: list[Any], told: Any) -> Any:
        return told | {"transactions": [entry | {"type": "0x3"} for entry in told["transactions"]]}

    network.lies["eth_getBlockByNumber"] = lie
    block = chain.block(1)
    assert block is not None
    assert block.transactions == (b"",)
    assert len(block.transaction_hashes) == 1


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("nonce too low", "tx.nonce-low"),
        ("Nonce too low", "tx.nonce-low"),
        ("nonce too low: next nonce 5, tx nonce 4", "tx.nonce-low"),
        ("already known", ""),
        ("Known transaction", ""),
        ("transaction already imported", ""),
        ("replacement transaction underpriced", "tx.nonce-taken"),
        ("Transaction nonce is too distant from current sender nonce", "tx.nonce-gap"),
        ("nonce too high", "tx.nonce-gap"),
        ("txpool is full", "tx.pool-full"),
        ("transaction underpriced", "chain.fees"),
        ("Gas price below configured minimum gas price", "chain.fees"),
        ("max fee per gas less than block base fee", "chain.fees"),
        ("Sender account not authorized to send transactions", "tx.not-member"),
        ("Upfront cost exceeds account balance", "tx.balance"),
        ("insufficient funds for gas * price + value", "tx.balance"),
        ("exceeds block gas limit", "tx.gas"),
        ("intrinsic gas too low", "tx.gas"),
        ("invalid chain id for signer", "tx.chain-id"),
        ("invalid sender", "tx.signature"),
        ("", "chain.refused"),
        ("something else", "chain.refused"),
    ],
)
def test_how_others_refuse_transactions(message: str, code: str) -> None:
    assert submitted(RpcError(-32000, message))[0] == code


def test_how_others_refuse_calls() -> None:
    reverted = (
        "0x08c379a0" + (32).to_bytes(32, "big").hex() + (2).to_bytes(32, "big").hex() + b"no".ljust(32, b"\0").hex()
    )
    for error in (
        RpcError(3, "execution reverted", reverted),
        RpcError(-32000, "Execution reverted", reverted),
        RpcError(-32015, "VM execution error: reverted", "Reverted " + reverted),
        RpcError(-32603, "reverted", {"data": reverted}),
    ):
        assert called("a call", error).code == "contract.reverted"
        assert revert_data(error) == bytes.fromhex(reverted[2:])
    assert revert_data(RpcError(3, "execution reverted")) == b""
    for message in ("missing trie node 12", "World state unavailable", "header not found", "Unknown block"):
        gone = called("a call", RpcError(-32000, message))
        assert (type(gone), gone.code) == (NotFoundError, "proof.window")
    assert called("a call", RpcError(-32601, "the method does not exist")).code == "chain.refused"


def test_a_refused_transaction_keeps_its_place(network: Network, chain: ExternalChain) -> None:
    def lie(params: list[Any], told: Any) -> Any:
        raise RpcError(-32000, "txpool is full")

    network.lies["eth_sendRawTransaction"] = lie
    answers = chain.submit_many([b"\x02", network.publish(), b""])
    assert [answer.code for answer in answers] == ["tx.malformed", "tx.pool-full", "tx.malformed"]
    with pytest.raises(UnavailableError) as full:
        chain.submit(network.publish())
    assert full.value.code == "tx.pool-full"
