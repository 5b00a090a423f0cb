"""The JSON-RPC endpoint as raw bytes: every method with good and bad input, and its bounds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.chain.account import sign_transaction
from ledger.chain.bindings import Contracts
from ledger.chain.devnet import CHAIN_ID, Devnet, dev_member
from ledger.chain.genesis import contract_addresses
from ledger.chain.jsonrpc import JsonRpc
from ledger.chain.rpc.methods import MAX_LOG_BLOCKS
from ledger.chain.rpc.params import MAX_INPUT_BYTES

from .conftest import ask, raw_of

ADDRESSES = contract_addresses()
DIRECTORY = "0x" + ADDRESSES["Directory"].hex()
NOBODY = "0x" + "77" * 20
HASH = "0x" + "66" * 32


def result(rpc: JsonRpc, method: str, *params: object) -> Any:
    answer = ask(rpc, method, *params)
    assert "result" in answer, answer
    return answer["result"]


#: Method -> parameters that are answered (the value is checked elsewhere or is as given).
GOOD: list[tuple[str, list[object], object]] = [
    ("web3_clientVersion", [], ...),
    ("net_version", [], str(CHAIN_ID)),
    ("net_listening", [], True),
    ("eth_chainId", [], hex(CHAIN_ID)),
    ("eth_syncing", [], False),
    ("eth_accounts", [], []),
    ("eth_gasPrice", [], "0x0"),
    ("eth_maxPriorityFeePerGas", [], "0x0"),
    ("eth_blockNumber", [], ...),
    ("eth_feeHistory", ["0x1", "latest"], ...),
    ("eth_feeHistory", [2, "latest", [25, 75.5]], ...),
    ("eth_getBalance", [NOBODY, "latest"], "0x0"),
    ("eth_getBalance", [NOBODY], "0x0"),
    ("eth_getBalance", [NOBODY, {"blockNumber": "0x0"}], "0x0"),
    ("eth_getCode", [NOBODY, "latest"], "0x"),
    ("eth_getCode", [NOBODY, "pending"], "0x"),
    ("eth_getStorageAt", [NOBODY, "0x0", "latest"], "0x" + "00" * 32),
    ("eth_getStorageAt", [NOBODY, "0x" + "00" * 32], "0x" + "00" * 32),
    ("eth_getTransactionCount", [NOBODY, "latest"], "0x0"),
    ("eth_getTransactionCount", [NOBODY, "pending"], "0x0"),
    ("eth_getTransactionCount", [NOBODY, "earliest"], "0x0"),
    ("eth_getProof", [NOBODY, ["0x0"], "latest"], ...),
    ("eth_call", [{"to": NOBODY, "data": "0x"}, "latest"], "0x"),
    ("eth_call", [{"to": NOBODY, "input": "0x", "data": "0x"}], "0x"),
    ("eth_call", [{"to": NOBODY, "from": NOBODY, "gas": "0xffff", "gasPrice": "0x1", "value": "0x0"}, "latest"], "0x"),
    ("eth_estimateGas", [{"to": NOBODY}], "0x5208"),
    ("eth_estimateGas", [{"to": NOBODY, "from": NOBODY, "data": None}, "latest"], "0x5208"),
    ("eth_getTransactionByHash", [HASH], None),
    ("eth_getTransactionReceipt", [HASH], None),
    ("eth_getBlockReceipts", ["0x0"], []),
    ("eth_getBlockReceipts", [HASH], None),
    ("eth_getBlockReceipts", ["0xffffff"], None),
    ("eth_getBlockByNumber", ["0xffffff", False], None),
    ("eth_getBlockByNumber", ["earliest", True], ...),
    ("eth_getBlockByNumber", ["finalized", False], ...),
    ("eth_getBlockByNumber", ["safe"], ...),
    ("eth_getBlockByHash", [HASH, False], None),
    ("eth_getLogs", [{"address": NOBODY}], []),
    ("eth_getLogs", [{"fromBlock": "0x0", "toBlock": "latest", "topics": [[], None, [HASH]]}], []),
    ("eth_newFilter", [{}], ...),
    ("eth_newBlockFilter", [], ...),
    ("eth_uninstallFilter", ["0x1"], False),
]

CALL_BAD: list[list[object]] = [
    [],
    ["latest"],
    [{"to": "0x12"}, "latest"],
    [{"to": NOBODY, "data": "0x1"}, "latest"],
    [{"to": NOBODY, "data": "00"}, "latest"],
    [{"to": NOBODY, "data": "0x01", "input": "0x02"}, "latest"],
    [{"to": NOBODY, "value": "0x1" + "0" * 32}, "latest"],
    [{"to": NOBODY, "gas": 5}, "latest"],
    [{"to": NOBODY, "surprise": 1}, "latest"],
    [{"to": NOBODY, "data": "0x" + "00" * (MAX_INPUT_BYTES + 1)}, "latest"],
    [{"to": NOBODY}, "newest"],
    [{"to": NOBODY}, 5],
    [{"to": NOBODY}, {"blockNumber": "0x0", "blockHash": HASH}],
    [{"to": NOBODY}, {}],
    [{"to": NOBODY}, "latest", {}],
]
#: Method -> parameters that are -32602.
BAD: dict[str, list[list[object]]] = {
    "web3_clientVersion": [[1]],
    "net_version": [[None]],
    "net_listening": [[1]],
    "eth_chainId": [[1]],
    "eth_syncing": [[1]],
    "eth_accounts": [[1]],
    "eth_gasPrice": [[1]],
    "eth_maxPriorityFeePerGas": [[1]],
    "eth_blockNumber": [["latest"]],
    "eth_feeHistory": [
        [],
        ["0x1"],
        ["0x0", "latest"],
        [1025, "latest"],
        [True, "latest"],
        [1, "latest", [101]],
        [1, "latest", [50, 25]],
        [1, "latest", "50"],
    ],
    "eth_getBalance": [[], ["0x12"], [NOBODY[:-1]], [NOBODY + "00"], [5], [None], [NOBODY, "0x"], [NOBODY, "0xg"]],
    "eth_getCode": [[], ["0x"], [NOBODY, "tomorrow"], [NOBODY, "latest", 1]],
    "eth_getStorageAt": [[NOBODY], [NOBODY, "0"], [NOBODY, "0x" + "1" * 65], [NOBODY, 5]],
    "eth_getTransactionCount": [[], [NOBODY, "0x1" + "0" * 16], [{}]],
    "eth_getProof": [
        [NOBODY, []],
        [NOBODY, "0x0", "latest"],
        [NOBODY, ["0x"], "latest"],
        [NOBODY, ["0x0"] * 257, "latest"],
    ],
    "eth_call": CALL_BAD,
    "eth_estimateGas": [*CALL_BAD, [{"to": NOBODY}, "earliest"]],
    "eth_sendRawTransaction": [[], ["0x"], ["0x1234"], ["0xzz"], [5], ["0x" + "c0"], ["0x02c0"]],
    "eth_getTransactionByHash": [[], ["0x12"], [None]],
    "eth_getTransactionReceipt": [[], [HASH + "00"]],
    "eth_getBlockReceipts": [[], ["never"]],
    "eth_getBlockByNumber": [[], ["latest", "yes"], ["latest", False, 1], ["0x1" + "0" * 16, False]],
    "eth_getBlockByHash": [[], ["latest", False], [HASH, 1]],
    "eth_getLogs": [
        [],
        [[]],
        [{"address": "0x12"}],
        [{"address": [NOBODY] * 101}],
        [{"topics": HASH}],
        [{"topics": [HASH] * 5}],
        [{"topics": [[HASH] * 101]}],
        [{"topics": ["0x12"]}],
        [{"blockHash": HASH, "fromBlock": "0x0"}],
        [{"fromBlock": "latest", "toBlock": "earliest", "limit": 5}],
    ],
    "eth_newFilter": [[], [{"blockHash": HASH}], [{"fromBlock": -1}]],
    "eth_newBlockFilter": [[1]],
    "eth_getFilterChanges": [[], [5], ["0x" + "1" * 100]],
    "eth_getFilterLogs": [[], [None]],
    "eth_uninstallFilter": [[], [1]],
}


@pytest.mark.parametrize(("method", "params", "expected"), GOOD, ids=lambda value: str(value)[:40])
def test_good_input_is_answered(
    rpc: JsonRpc, published: str, method: str, params: list[object], expected: object
) -> None:
    answer = result(rpc, method, *params)
    assert expected is ... or answer == expected


@pytest.mark.parametrize("method", sorted(BAD))
@pytest.mark.usefixtures("published")
def test_bad_input_is_minus_32602(rpc: JsonRpc, method: str) -> None:
    for params in BAD[method]:
        answer = ask(rpc, method, *params)
        assert answer.get("error", {}).get("code") == -32602, (params, answer)
        assert answer["error"]["message"]


def test_the_tables_cover_every_method(rpc: JsonRpc) -> None:
    covered = {method for method, _, _ in GOOD} | {
        "eth_sendRawTransaction",
        "eth_getFilterChanges",
        "eth_getFilterLogs",
    }
    assert covered == rpc.methods
    assert set(BAD) == rpc.methods


def test_refused_transactions_carry_the_usual_words_and_our_code(rpc: JsonRpc, devnet: Devnet, published: str) -> None:
    def sent(member: int | None, nonce: int, **changes: Any) -> dict[str, Any]:
        account = dev_member(99, "stranger", "").account if member is None else devnet.members[member].account
        arguments = {"chain_id": CHAIN_ID, "nonce": nonce, "to": b"\x0a" * 20, "data": b"", "gas": 30_000} | changes
        error = ask(rpc, "eth_sendRawTransaction", "0x" + sign_transaction(account, **arguments).hex())["error"]
        assert isinstance(error, dict)
        return error

    next_ = devnet.chain.nonce(devnet.members[1].account.address)
    for error, phrase, code in (
        (sent(1, 0), "nonce too low", "tx.nonce-low"),
        (sent(1, next_ + 65), "nonce too high", "tx.nonce-gap"),
        (sent(1, next_, chain_id=1), "invalid chain id", "tx.chain-id"),
        (sent(None, 0), "not the active account", "tx.not-member"),
    ):
        assert error["code"] == -32000
        assert phrase in error["message"]
        assert error["data"]["code"] == code
    again = ask(rpc, "eth_sendRawTransaction", raw_of(devnet, published))
    assert again["result"] == published


def test_a_revert_is_code_3_with_its_data(rpc: JsonRpc) -> None:
    data = Contracts.at(lambda *_: b"", ADDRESSES).directory.encode("dataset", b"\x01" * 32)
    for method in ("eth_call", "eth_estimateGas"):
        error = ask(rpc, method, {"to": DIRECTORY, "data": "0x" + data.hex()}, "latest")["error"]
        assert error["code"] == 3
        assert error["message"].startswith("execution reverted: there is no dataset 0x0101")
        assert error["data"].endswith("01" * 32)
        assert len(error["data"]) == 2 + 8 + 64
    bare = ask(rpc, "eth_call", {"data": "0x60006000fd"}, "latest")["error"]
    assert bare == {"code": 3, "message": "execution reverted", "data": "0x"}


def test_an_endless_call_ends(rpc: JsonRpc) -> None:
    error = ask(rpc, "eth_call", {"data": "0x5b600056", "gas": "0xffffffffffff"}, "latest")["error"]
    assert error["code"] == 3


def test_state_of_a_height_outside_the_window_is_an_error(rpc: JsonRpc) -> None:
    error = ask(rpc, "eth_getBalance", NOBODY, "0xffff")["error"]
    assert (error["code"], error["message"]) == (-32000, "header not found")
    error = ask(rpc, "eth_call", {"to": NOBODY}, {"blockHash": HASH})["error"]
    assert error["code"] == -32000


def test_a_transaction_its_receipt_and_its_block_agree(rpc: JsonRpc, published: str) -> None:
    receipt = result(rpc, "eth_getTransactionReceipt", published)
    transaction = result(rpc, "eth_getTransactionByHash", published)
    block = result(rpc, "eth_getBlockByHash", receipt["blockHash"], True)
    assert transaction in block["transactions"]
    assert result(rpc, "eth_getBlockByNumber", block["number"], False)["transactions"] == [published]
    assert result(rpc, "eth_getBlockReceipts", block["number"]) == [receipt]
    assert result(rpc, "eth_getBlockReceipts", block["hash"]) == [receipt]
    assert (transaction["blockNumber"], transaction["blockHash"]) == (block["number"], block["hash"])
    assert receipt["gasUsed"] == block["gasUsed"] == receipt["cumulativeGasUsed"]
    assert receipt["status"] == "0x1"
    assert receipt["logsBloom"] == block["logsBloom"] != "0x" + "00" * 256
    assert int(block["extraData"], 16) == int(block["number"], 16)
    (log,) = receipt["logs"]
    logs = result(rpc, "eth_getLogs", {"fromBlock": block["number"], "toBlock": block["number"], "address": DIRECTORY})
    assert logs == [log]
    assert result(rpc, "eth_getLogs", {"blockHash": block["hash"], "topics": [log["topics"][0]]}) == [log]
    assert result(rpc, "eth_getLogs", {"blockHash": block["hash"], "topics": [None, HASH]}) == []


def test_log_ranges_are_bounded(rpc: JsonRpc, devnet: Devnet, monkeypatch: pytest.MonkeyPatch) -> None:
    tall = replace(devnet.chain.head(), height=MAX_LOG_BLOCKS)
    monkeypatch.setattr(devnet.chain, "head", lambda: tall)
    error = ask(rpc, "eth_getLogs", {"fromBlock": "earliest"})["error"]
    assert error["code"] == -32005
    assert error["data"]["code"] == "logs.range"
    assert "result" in ask(rpc, "eth_getLogs", {"fromBlock": "0x1"})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10) | st.sampled_from(["latest", NOBODY, HASH, "0x1"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["to", "data", "topics", "x"]), inner),
    max_leaves=8,
)


@given(st.sampled_from(sorted(BAD)), st.lists(JSON, max_size=4))
def test_no_parameters_reach_an_internal_error(rpc: JsonRpc, method: str, params: list[Any]) -> None:
    answer = ask(rpc, method, *params)
    assert answer.get("error", {}).get("code") != -32603, answer
