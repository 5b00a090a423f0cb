"""The throw-away chain as a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from stdnum.cn import uscc

from ledger.chain.client import ChainClient
from ledger.chain.devnet import CHAIN_ID, dev_members, main
from ledger.chain.genesis import contract_addresses
from ledger.model import Roles

ROOT = Path(__file__).resolve().parents[3]


def test_its_members_are_valid_distinct_and_always_the_same() -> None:
    first, again = dev_members(), dev_members()
    assert [member.founder for member in first] == [member.founder for member in again]
    assert all(uscc.is_valid(member.uscc) for member in first)
    assert len({member.account.address for member in first}) == 5
    assert [member.founder.roles for member in first] == [Roles.SUPERVISOR, Roles(0), Roles(0), Roles(0), Roles.AUDITOR]


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_where_it_is_serves_and_ends(tmp_path: Path, end: signal.Signals) -> None:
    file = tmp_path / "accounts.json"
    command = [sys.executable, "-m", "ledger.chain.devnet", "--json", "--accounts-file", str(file)]
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, cwd=ROOT, env=os.environ | {"TMPDIR": str(temporary)}, text=True
    ) as process:
        assert process.stdout is not None
        printed = json.loads(process.stdout.readline())
        assert json.loads(file.read_text()) == printed
        assert ChainClient(printed["url"]).chain_id() == printed["chainId"] == CHAIN_ID
        assert printed["contracts"] == {name: "0x" + at.hex() for name, at in contract_addresses().items()}
        assert [account["address"] for account in printed["accounts"]] == [
            "0x" + member.account.address.hex() for member in dev_members()
        ]
        process.send_signal(end)
        assert process.wait(300) == 0
    assert list(temporary.iterdir()) == []


def test_a_port_that_is_taken_is_said_plainly(capsys: pytest.CaptureFixture[str]) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            assert main(["--port", str(taken.getsockname()[1])]) == 1
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    assert "cannot start" in capsys.readouterr().err
