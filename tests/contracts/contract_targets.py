"""The chains the contract tests run on: anvil of npm, or a devnet of our own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from brownie import network, web3
from brownie._config import CONFIG

CHAIN_ID = 31337
#: Seconds at genesis on anvil: 2026-11-22T00:00:00Z.
GENESIS_TIME = 1_795_305_600
GAS = 30_000_000


@dataclass(slots=True, kw_only=True)
class Target:
    """A running chain. ``keys`` are the founders' private keys where genesis was made by somebody else, else empty."""

    kind: str
    url: str
    chain_id: int
    keys: tuple[str, ...] = ()
    nonces: dict[str, int] = field(default_factory=dict)

    def rpc(self, method: str, *params: Any) -> Any:
        """Result of a JSON-RPC call; RuntimeError with the answer's error otherwise."""
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
        """Empty blocks (anvil)."""
        self.rpc("anvil_mine", hex(count))

    @contextmanager
    def untouched(self) -> Iterator[None]:
        """What happens inside is undone afterwards (anvil)."""
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
            transaction["to"] = to
        signed = account._acct.sign_transaction(transaction)
        sent = self.rpc("eth_sendRawTransaction", "0x" + bytes(signed.raw_transaction).hex())
        self.nonces[account.address] = nonce + 1
        return self.receipt(sent)

    def receipt(self, sent: str) -> dict[str, Any]:
        deadline = time.monotonic() + 20
        while (found := self.rpc("eth_getTransactionReceipt", sent)) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"no receipt for {sent}")
            time.sleep(0.005)
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
    flags = "--host 127.0.0.1 --port 0 --hardfork paris --base-fee 0 --gas-price 0 --accounts 0 --order fifo".split()
    flags += ["--chain-id", str(CHAIN_ID), "--gas-limit", "1000000000", "--timestamp", str(GENESIS_TIME)]
    flags += ["--steps-tracing"] if os.environ.get("CONTRACT_COVERAGE") else []
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
        yield _connect("anvil", f"http://{listening[1]}", CHAIN_ID)
    finally:
        if network.is_connected():
            network.disconnect(kill_rpc=False)
        process.kill()
        process.wait()


def _connect(kind: str, url: str, chain_id: int, keys: tuple[str, ...] = ()) -> Target:
    name = f"civicledger-{kind}"
    CONFIG.networks[name] = {"id": name, "name": name, "host": url, "chainid": str(chain_id)}
    network.connect(name, launch_rpc=False)
    return Target(kind=kind, url=url, chain_id=chain_id, keys=keys)


@contextmanager
def civicledger(root: Path) -> Iterator[Target]:
    raise NotImplementedError
    yield
