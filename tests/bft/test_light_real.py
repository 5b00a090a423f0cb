"""The light client against real CometBFT processes: four validators with the key-value sample; a fifth joins."""

from __future__ import annotations

import base64
import json
import random
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ledger import _native
from ledger.errors import InvalidInputError, LedgerError, UntrustedError
from ledger.evidence.light import LightBlock, verify_light
from ledger.evidence.lightrpc import light_block
from node.city.ports import free_ports
from tests.bft.comet_homes import cometbft
from tests.ledger.evidence.comet import public
from tests.node.core.makers import eventually

SLOW, QUICK = 'timeout_commit = "1s"', 'timeout_commit = "50ms"'


class Network:
    """Four validators on loopback; asked by the RPC of the first."""

    def __init__(self, folder: Path) -> None:
        binary = cometbft()
        subprocess.run([binary, "testnet", "--v", "4", "--o", folder], check=True, capture_output=True, timeout=180)
        ports = free_ports(8)
        homes = [folder / f"node{number}" for number in range(4)]
        ids = [
            subprocess.run(
                [binary, "show-node-id", "--home", home], check=True, capture_output=True, text=True, timeout=60
            ).stdout.strip()
            for home in homes
        ]
        peers = ",".join(f"{node}@127.0.0.1:{port}" for node, port in zip(ids, ports[4:], strict=True))
        self.address = f"http://127.0.0.1:{ports[0]}"
        self.processes = []
        for number, home in enumerate(homes):
            config = home / "config" / "config.toml"
            text = config.read_text("utf-8")
            assert SLOW in text
            config.write_text(text.replace(SLOW, QUICK), "utf-8")
            arguments = [
                "--home", home, "--proxy_app", "kvstore", "--rpc.laddr", f"tcp://127.0.0.1:{ports[number]}",
                "--p2p.laddr", f"tcp://127.0.0.1:{ports[4 + number]}", "--p2p.persistent_peers", peers,
                "--log_level", "error",
            ]  # fmt: skip
            with (home / "log").open("wb") as log:
                self.processes.append(
                    subprocess.Popen([binary, "start", *arguments], stdout=log, stderr=subprocess.STDOUT)
                )

    def ask(self, path: str, **query: object) -> bytes:
        """The answer to a GET, as it is."""
        with urllib.request.urlopen(f"{self.address}/{path}?{urllib.parse.urlencode(query)}", timeout=180) as answer:
            data: bytes = answer.read()
            return data

    def submit(self, transaction: bytes) -> None:
        """A transaction into the pool of the first."""
        body = {"jsonrpc": "2.0", "id": 1, "method": "broadcast_tx_sync"}
        params = {"params": {"tx": base64.b64encode(transaction).decode()}}
        request = urllib.request.Request(
            self.address, json.dumps(body | params).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=180) as answer:
            assert json.load(answer)["result"]["code"] == 0

    def height(self) -> int:
        """The newest height, 0 while nothing answers."""
        try:
            status: Any = json.loads(self.ask("status"))
        except OSError:
            return 0
        return int(status["result"]["sync_info"]["latest_block_height"])

    def wait(self, height: int) -> None:
        """Until there is a height."""

        def there() -> bool:
            assert all(process.poll() is None for process in self.processes), "a CometBFT ended"
            return self.height() >= height

        eventually(there)

    def answers(self, height: int) -> tuple[bytes, bytes]:
        return self.ask("commit", height=height), self.ask("validators", height=height, per_page=100)

    def light(self, height: int) -> LightBlock:
        return light_block(*self.answers(height))

    def close(self) -> None:
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    made = Network(tmp_path_factory.mktemp("comet"))
    try:
        yield made
    finally:
        made.close()


def test_real_headers_commits_and_a_change_of_validators(network: Network) -> None:
    network.wait(3)
    first = network.light(1)
    assert first.header.last_block_id is None
    assert len(first.validators) == 4
    (facts,) = verify_light([first], first.chain_id)
    pin = (1, facts.hash, first.validators_hash)

    network.submit(b"val=ed25519!" + base64.b64encode(public(5)) + b"!1")
    known: dict[int, LightBlock] = {1: first}
    change = 0
    while not change:
        height = max(known) + 1
        network.wait(height)
        known[height] = network.light(height)
        change = height if known[height].changes_set else 0
        assert height < 2_000, "the key-value sample did not take the validator"
    network.wait(change + 3)
    handover, later = known[change], network.light(change + 3)
    assert len(later.validators) == 5
    assert verify_light([handover, later], first.chain_id, pin)[-1].total == 5
    adjacent = network.light(change + 1)
    assert verify_light([handover, adjacent], first.chain_id, pin)[-1].signed == 4
    for wrong in ([later], [first, handover, later], [later, handover]):
        with pytest.raises(LedgerError):
            verify_light(wrong, first.chain_id, pin)

    encoded = later.encode()
    for position in random.sample(range(8 * len(encoded)), 200):
        changed = bytearray(encoded)
        changed[position // 8] ^= 1 << position % 8
        with pytest.raises(LedgerError):
            _native.verify_light([handover.encode(), bytes(changed)], first.chain_id, pin)

    commit, validators = network.answers(change + 3)
    for _ in range(200):
        changed = bytearray(commit)
        position = random.randrange(8 * len(changed))
        changed[position // 8] ^= 1 << position % 8
        # What no light block takes may differ: the id of the answer, a vote beyond two thirds.
        with suppress(InvalidInputError, UntrustedError):
            assert light_block(bytes(changed), validators).header == later.header, f"bit {position}"
