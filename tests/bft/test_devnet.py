"""``scripts/devnet``: a founded network of real processes, and none of them left when it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from ledger.chain.client import ChainClient
from ledger.errors import LedgerError
from node.city.devnet import devnet_roster
from tests.bft.comet_homes import cometbft, until

ROOT = Path(__file__).resolve().parents[2]


def running(folder: Path) -> list[int]:
    """Processes whose command names the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if any(word.startswith(os.fsencode(folder)) for word in words):
            found.append(int(path.parent.name))
    return found


def test_its_members_are_different_and_four_of_them_vote() -> None:
    for count in (4, 6, 20):
        members = devnet_roster(count)
        assert len({member.uscc for member in members}) == len({member.handle for member in members}) == count
        assert [member.validator for member in members] == [at < 4 for at in range(count)]


def test_a_network_is_founded_served_and_ended(tmp_path: Path) -> None:
    cometbft()
    folder = tmp_path / "net"
    command = [sys.executable, "-m", "node.city.devnet", folder, "--members", "4", "--json"]
    with (tmp_path / "out").open("wb") as out, (tmp_path / "err").open("wb") as err:
        devnet = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=err)
    try:
        until(lambda: (tmp_path / "out").stat().st_size or devnet.poll() is not None, 300)
        assert devnet.poll() is None, (tmp_path / "err").read_text()
        told = json.loads(until(lambda: (text := (tmp_path / "out").read_text()).endswith("}\n") and text))
        assert [member["handle"] for member in told["members"]] == ["data", "civil", "labour", "transport"]
        assert len({member["p2p"].partition(":")[0] for member in told["members"]}) == 4
        # All of them are on one chain that grows: each node's first act is a record, and its anchor a transaction.
        clients = [ChainClient(member["jsonrpc"]) for member in told["members"]]

        def same() -> bool:
            try:
                heads = {client.head().hash for client in clients}
                return len(heads) == 1 and clients[0].head().height > 0
            except LedgerError:
                return False

        until(same, 300)
        # The command itself, four nodes, four CometBFT.
        until(lambda: len(running(folder)) == 9)
    finally:
        devnet.send_signal(signal.SIGTERM)
        status = devnet.wait(300)
    assert status == 0
    until(lambda: not running(folder))
