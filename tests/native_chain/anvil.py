"""anvil as the other implementation: started on a free port, spoken to by raw JSON-RPC."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: No account gets money, no fee is asked, transactions keep their order, nothing is mined unasked.
_FLAGS = (
    *("--hardfork", "paris", "--accounts", "0", "--block-base-fee-per-gas", "0", "--gas-price", "0"),
    *("--disable-min-priority-fee", "--order", "fifo", "--no-mining", "--disable-default-create2-deployer"),
    *("--host", "127.0.0.1", "--port", "0", "--no-request-size-limit"),
)


def program() -> str:
    """The anvil to run; skips where there is none."""
    found = Path(os.environ.get("CIVICLEDGER_ANVIL") or ROOT / "contracts" / "node_modules" / ".bin" / "anvil")
    if not found.exists():
        pytest.skip(f"anvil is not installed ({found}): run `npm ci` in contracts/, or set CIVICLEDGER_ANVIL")
    return str(found)


class Anvil:
    """A running anvil."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._link = http.client.HTTPConnection("127.0.0.1", port, timeout=180)
        self._number = 0

    def batch(self, calls: list[tuple[str, list[Any]]]) -> list[Any]:
        """The results of many calls, in order; an error fails the test."""
        body = [
            {"jsonrpc": "2.0", "id": place, "method": method, "params": params}
            for place, (method, params) in enumerate(calls)
        ]
        self._link.request("POST", "/", json.dumps(body), {"content-type": "application/json"})
        answers = {answer["id"]: answer for answer in json.loads(self._link.getresponse().read())}
        wrong = [answers[place] for place in range(len(calls)) if "error" in answers[place]]
        assert not wrong, wrong[:3]
        return [answers[place]["result"] for place in range(len(calls))]

    def call(self, method: str, *params: Any) -> Any:
        """One call."""
        return self.batch([(method, list(params))])[0]

    def mine(self, time_s: int) -> dict[str, Any]:
        """One block of everything pending at that time; the block with its transactions' hashes."""
        self.call("evm_setNextBlockTimestamp", time_s)
        self.call("evm_mine")
        block: dict[str, Any] = self.call("eth_getBlockByNumber", "latest", False)
        return block

    def accounts(self) -> dict[str, dict[str, Any]]:
        """All accounts with their storage by plain slot."""
        packed = bytes.fromhex(self.call("anvil_dumpState").removeprefix("0x"))
        found: dict[str, dict[str, Any]] = json.loads(gzip.decompress(packed))["accounts"]
        return found


@contextmanager
def running(*flags: str) -> Iterator[Anvil]:
    """An anvil that ends with the block."""
    process = subprocess.Popen([program(), *_FLAGS, *flags], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            found = re.search(r"Listening on 127\.0\.0\.1:(\d+)", line)
            if found:
                # anvil prints a line per call: a pipe nobody reads would fill up and stop it.
                threading.Thread(target=process.stdout.read, daemon=True).start()
                yield Anvil(int(found[1]))
                return
        raise AssertionError("anvil ended before it listened")
    finally:
        process.terminate()
        process.wait(300)
