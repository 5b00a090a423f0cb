"""Answers have the shape anvil's have: the same keys with the same kinds of values, but for what is listed here."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from eth_account import Account

from ledger.chain.devnet import Devnet
from node.city.ports import free_ports

ROOT = Path(__file__).resolve().parents[3]
#: Newer additions of anvil that belong to later hard forks or to other clients' habits.
ONLY_ANVIL = {
    "blockTimestamp",
    "blobGasPrice",
    "baseFeePerBlobGas",
    "blobGasUsedRatio",
    "blobGasUsed",
    "excessBlobGas",
}
_ANVIL_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"

Ask = Callable[..., Any]


def _asker(url: str) -> Ask:
    def ask(method: str, *params: object) -> Any:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        return requests.post(url, json=body, timeout=180).json()

    return ask


@pytest.fixture(scope="module")
def anvil() -> Iterator[Ask]:
    """A fresh anvil on a free port, under the rules of Paris and without prices."""
    program = Path(os.environ.get("CIVICLEDGER_ANVIL") or ROOT / "contracts/node_modules/.bin/anvil")
    if not program.exists():
        pytest.skip(f"anvil is not installed at {program}: run npm ci in contracts, or set CIVICLEDGER_ANVIL")
    (port,) = free_ports(1)
    arguments = ["--port", str(port), "--hardfork", "paris", "--base-fee", "0", "--gas-price", "0"]
    with subprocess.Popen([str(program), *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("Listening on"):
                break
        yield _asker(f"http://127.0.0.1:{port}")
        process.terminate()


@pytest.fixture(scope="module")
def ours(devnet: Devnet) -> Ask:
    return _asker(devnet.url)


def transactions(ask: Ask, key: str, target: str) -> list[str]:
    """A typed and a legacy transaction to ``target``, each included; their hashes."""
    account, chain_id = Account.from_key(key), int(ask("eth_chainId")["result"], 16)
    hashes = []
    for price in ({"maxFeePerGas": 0, "maxPriorityFeePerGas": 0}, {"gasPrice": 0}):
        nonce = int(ask("eth_getTransactionCount", account.address, "pending")["result"], 16)
        fields = {"chainId": chain_id, "nonce": nonce, "gas": 100_000, "to": target, "value": 0, "data": b"\x01"}
        raw = account.sign_transaction(fields | price).raw_transaction.to_0x_hex()
        hash_ = ask("eth_sendRawTransaction", raw)["result"]
        asked = (ask("eth_getTransactionReceipt", hash_)["result"] for _ in range(10_000))
        assert any(receipt is not None for receipt in asked)
        hashes.append(hash_)
    return hashes


def shape(value: Any) -> Any:
    """The kind of a JSON value; objects by key, lists by the kind of their first element."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items() if key not in ONLY_ANVIL}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    if isinstance(value, str) and re.fullmatch(r"0x[0-9a-f]*", value):
        if len(value) > 42 or len(value) in (18, 42):
            return f"data{len(value)}" if len(value) in (18, 42, 66, 514) else "data"
        return "quantity" if not value.startswith("0x0") or value == "0x0" else "data"
    return type(value).__name__


def both(anvil: Ask, ours: Ask, method: str, *params: Any) -> tuple[Any, Any]:
    """The answers to one question; parameters that are callables are asked of each side."""

    def asked(ask: Ask) -> Any:
        given = [param(ask) if callable(param) else param for param in params]
        return ask(method, *given)

    return asked(anvil), asked(ours)


@pytest.fixture(scope="module")
def hashes(anvil: Ask, ours: Ask, devnet: Devnet) -> dict[int, list[str]]:
    target = "0x" + "77" * 20
    return {
        id(anvil): transactions(anvil, _ANVIL_KEY, target),
        id(ours): transactions(ours, "0x" + devnet.members[2].secret.hex(), target),
    }


@pytest.mark.parametrize("kind", [0, 1], ids=["type-2", "legacy"])
@pytest.mark.parametrize("method", ["eth_getTransactionByHash", "eth_getTransactionReceipt"])
def test_transactions_and_receipts(anvil: Ask, ours: Ask, hashes: dict[int, list[str]], method: str, kind: int) -> None:
    theirs, mine = both(anvil, ours, method, lambda ask: hashes[id(ask)][kind])
    expected, actual = shape(theirs["result"]), shape(mine["result"])
    assert actual == expected


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("which", ["latest", "earliest"])
@pytest.mark.usefixtures("hashes")
def test_blocks(anvil: Ask, ours: Ask, full: bool, which: str) -> None:
    theirs, mine = both(anvil, ours, "eth_getBlockByNumber", which, full)
    expected, actual = shape(theirs["result"]), shape(mine["result"])
    # The consensus height stands in extraData here; anvil leaves it empty.
    assert actual.pop("extraData") == "data18"
    expected.pop("extraData")
    assert actual == expected


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("eth_chainId", []),
        ("eth_blockNumber", []),
        ("eth_gasPrice", []),
        ("eth_maxPriorityFeePerGas", []),
        ("eth_syncing", []),
        ("net_version", []),
        ("net_listening", []),
        ("web3_clientVersion", []),
        ("eth_getCode", ["0x" + "77" * 20, "latest"]),
        ("eth_getStorageAt", ["0x" + "77" * 20, "0x0", "latest"]),
        ("eth_getTransactionCount", ["0x" + "77" * 20, "latest"]),
        ("eth_getBalance", ["0x" + "78" * 20, "latest"]),
        ("eth_getProof", ["0x" + "78" * 20, [], "latest"]),
        ("eth_feeHistory", ["0x2", "latest", [50]]),
        ("eth_call", [{"to": "0x" + "77" * 20}, "latest"]),
        ("eth_estimateGas", [{"to": "0x" + "77" * 20}]),
        ("eth_getLogs", [{"fromBlock": "0x0"}]),
        ("eth_getTransactionByHash", ["0x" + "66" * 32]),
        ("eth_getTransactionReceipt", ["0x" + "66" * 32]),
        ("eth_getBlockByHash", ["0x" + "66" * 32, False]),
        ("eth_getBlockByNumber", ["0xffffff", False]),
        ("eth_getBlockReceipts", ["0xffffff"]),
        ("eth_newBlockFilter", []),
        ("eth_newFilter", [{}]),
        ("eth_uninstallFilter", ["0x1"]),
    ],
    ids=lambda value: str(value)[:30],
)
@pytest.mark.usefixtures("hashes")
def test_plain_answers(anvil: Ask, ours: Ask, method: str, params: list[Any]) -> None:
    theirs, mine = both(anvil, ours, method, *params)
    assert "result" in theirs, theirs
    assert "result" in mine, mine
    assert shape(mine["result"]) == shape(theirs["result"])


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("eth_nope", []),
        ("eth_getBalance", ["0x12"]),
        ("eth_sendRawTransaction", ["0x1234"]),
        ("eth_call", [{"data": "0x60006000fd"}, "latest"]),
        ("eth_estimateGas", [{"data": "0x60006000fd"}]),
        ("eth_getFilterChanges", ["0x1"]),
    ],
    ids=lambda value: str(value)[:30],
)
def test_errors_have_the_same_codes(anvil: Ask, ours: Ask, method: str, params: list[Any]) -> None:
    theirs, mine = both(anvil, ours, method, *params)
    assert mine["error"]["code"] == theirs["error"]["code"]
    if theirs["error"]["code"] == 3:
        assert mine["error"] == theirs["error"]
