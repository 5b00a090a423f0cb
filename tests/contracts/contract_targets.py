"""The chains the contract tests run on: anvil of npm, or our own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from brownie import network, web3
from brownie._config import CONFIG
from eth_utils import to_checksum_address

CHAIN_ID = 31337
#: Seconds at genesis on anvil: 2026-11-22T00:00:00Z.
GENESIS_TIME = 1_795_305_600
GAS = 30_000_000


def examples(count: int) -> int:
    """Examples of a property test: as many as said on anvil, a sixth on our own chain, which begins anew for each."""
    return count if os.environ.get("CONTRACT_CHAIN") == "anvil" else max(count // 6, 2)


@dataclass(slots=True, kw_only=True)
class Target:
    """A running chain. On our own chain ``restart`` begins a fresh one and gives its address; on anvil there is none,
    and ``untouched`` goes back to a snapshot."""

    kind: str
    chain_id: int
    restart: Callable[[], str] | None = None
    idle: Any = None
    watch: Callable[[dict[str, Any]], None] | None = None
    nonces: dict[str, int] = field(default_factory=dict)

    def rpc(self, method: str, *params: Any) -> Any:
        """Result of a JSON-RPC call; RuntimeError with the answer's error otherwise."""
        if method == "eth_call" and self.watch is not None:
            self.watch(params[0])
        answer = web3.provider.make_request(method, list(params))
        if "error" in answer:
            raise RpcError(answer["error"])
        return answer["result"]

    @property
    def now(self) -> int:
        """Seconds of the newest block."""
        return int(self.rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    @property
    def height(self) -> int:
        return int(self.rpc("eth_blockNumber"), 16)

    def pass_time(self, seconds: int) -> None:
        """The next block is this much later (anvil)."""
        self.rpc("evm_setNextBlockTimestamp", self.now + seconds)
        self.rpc("anvil_mine", "0x1")

    def pass_blocks(self, count: int) -> None:
        """Blocks in which nothing happens. Our own chain makes none without a transaction: a member sends to itself."""
        if self.restart is None:
            self.rpc("anvil_mine", hex(count))
            return
        end = self.height + count
        while self.height < end:
            self.transact(self.idle, self.idle.address, "0x", 21_000)

    @contextmanager
    def untouched(self) -> Iterator[None]:
        """What happens inside is undone afterwards. Once at a time on our own chain."""
        if self.restart is not None:
            self.nonces.clear()
            _connect(self.restart(), self.kind, self.chain_id)
            yield
            return
        mark = self.rpc("evm_snapshot")
        try:
            yield
        finally:
            self.rpc("evm_revert", mark)
            self.nonces.clear()

    def transact(self, account: Any, to: str | None, data: str, gas: int = GAS) -> dict[str, Any]:
        """Sign, send and wait: the receipt, whatever its status."""
        nonce = self.nonces.get(account.address)
        if nonce is None:
            nonce = int(self.rpc("eth_getTransactionCount", account.address, "latest"), 16)
        transaction = {"nonce": nonce, "gas": gas, "gasPrice": 0, "chainId": self.chain_id, "value": 0, "data": data}
        if to is not None:
            transaction["to"] = to_checksum_address(to)
        if self.watch is not None:
            self.watch({"from": account.address, "gas": hex(gas), "data": data} | ({} if to is None else {"to": to}))
        signed = account._acct.sign_transaction(transaction)
        sent = self.rpc("eth_sendRawTransaction", "0x" + bytes(signed.raw_transaction).hex())
        self.nonces[account.address] = nonce + 1
        return self.receipt(sent)

    def receipt(self, sent: str) -> dict[str, Any]:
        deadline, pause = time.monotonic() + 300, threading.Event()
        while (found := self.rpc("eth_getTransactionReceipt", sent)) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"no receipt for {sent}")
            pause.wait(0.005)
        return dict(found)


class RpcError(Exception):
    """An error answer. ``data`` is what a revert carried."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error.get("message"))
        self.code = error.get("code")
        self.data = error.get("data")


@contextmanager
def anvil(root: Path) -> Iterator[Target]:
    """npm's anvil on a free port, with the rules of our chain: Paris, no fees."""
    program = os.environ.get("ANVIL") or str(root / "contracts" / "node_modules" / ".bin" / "anvil")
    flags = ["--host", "127.0.0.1", "--port", "0", "--accounts", "0", "--order", "fifo", "--hardfork", "paris"]
    flags += ["--base-fee", "0", "--gas-price", "0", "--gas-limit", "1000000000"]
    flags += ["--chain-id", str(CHAIN_ID), "--timestamp", str(GENESIS_TIME)]
    process = subprocess.Popen([program, *flags], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout is not None
        seen = []
        for line in process.stdout:
            seen.append(line)
            listening = re.search(r"Listening on (127\.0\.0\.1:\d+)", line)
            if listening:
                break
        else:
            raise RuntimeError("anvil ended: " + "".join(seen))
        # anvil names every call it answers: a pipe nobody reads would stop it.
        threading.Thread(target=process.stdout.read, daemon=True).start()
        _connect(f"http://{listening[1]}", "anvil", CHAIN_ID)
        yield Target(kind="anvil", chain_id=CHAIN_ID)
    finally:
        _disconnect()
        process.kill()
        process.wait()


@contextmanager
def civicledger(root: Path, founders: list[dict[str, Any]]) -> Iterator[Target]:
    """Our own chain, served by the product in its own environment (``$CIVICLEDGER_PYTHON``, else ``.venv``)."""
    python = os.environ.get("CIVICLEDGER_PYTHON") or str(root / ".venv" / "bin" / "python")
    environment = os.environ | {"PYTHONPATH": str(root)}
    program = [python, str(root / "tests" / "contracts" / "own_chain.py")]
    process = subprocess.Popen(
        program, cwd=root, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None

    def restart() -> str:
        process.stdin.write("next\n")
        process.stdin.flush()
        url = process.stdout.readline().strip()
        if not url:
            raise RuntimeError("our chain did not start: see standard error")
        return url

    try:
        process.stdin.write(json.dumps({"chainId": CHAIN_ID, "members": founders}) + "\n")
        yield Target(kind="civicledger", chain_id=CHAIN_ID, restart=restart)
    finally:
        _disconnect()
        process.stdin.close()
        try:
            process.wait(300)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _connect(url: str, kind: str, chain_id: int) -> None:
    if network.is_connected():
        web3.provider.endpoint_uri = url
        return
    name = f"civicledger-{kind}"
    CONFIG.networks[name] = {"id": name, "name": name, "host": url, "chainid": str(chain_id), "timeout": 300}
    network.connect(name, launch_rpc=False)


def _disconnect() -> None:
    if network.is_connected():
        network.disconnect(kill_rpc=False)
