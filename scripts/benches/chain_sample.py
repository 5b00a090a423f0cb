"""The reference of the network bench: CometBFT's own key-value sample, four validators on loopback."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from node.city.ports import free_ports
from node.comet.binary import find_cometbft
from node.comet.settings import HomeSettings, encode_settings
from scripts import procfigures
from scripts.jsonlink import Link, LinkError
from scripts.network_node import wait_for

VALIDATORS = 4
#: Bytes of one pair: a small transaction.
PAIR_BYTES = 64
#: Pairs under way at once.
_WINDOW = 4_000
_START_S = 60.0
_STOP_S = 20.0


def generate(plan: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Run the load generator, a process of its own, on a plan; its figures."""
    path = folder / "plan.json"
    path.write_text(json.dumps(plan), "ascii")
    command = [sys.executable, "-m", "scripts.benches.chain_load", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"the load generator failed: {done.stderr.strip()[-2000:]}")
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def measure_sample(folder: Path, writes: int) -> dict[str, Any]:
    """Pairs a second committed by four validators with the sample application built into CometBFT."""
    with _running(folder) as (pids, addresses):
        share = writes // VALIDATORS
        doors = [{"node": address, "count": share} for address in addresses]
        plan = {"kind": "sample", "window": _WINDOW, "size": PAIR_BYTES, "doors": doors}
        before = sum(map(procfigures.cpu_seconds, pids))
        figures = generate(plan, folder)
        figures["validators_cpu_seconds"] = round(sum(map(procfigures.cpu_seconds, pids)) - before, 2)
        figures["memory_mib"] = [procfigures.memory_mib(pid) for pid in pids]
        figures["bytes"] = PAIR_BYTES
        figures["consensus_height"] = _height(Link(addresses[0]))
    return figures


@contextmanager
def _running(folder: Path) -> Iterator[tuple[list[int], list[str]]]:
    """Four processes that make blocks: their ids and RPC addresses."""
    binary = str(find_cometbft())
    home = folder / "sample"
    ports = free_ports(1 + VALIDATORS)
    made = subprocess.run(
        [
            *(binary, "testnet", "--v", str(VALIDATORS), "--o", str(home)),
            *("--starting-ip-address", "127.0.0.1", "--p2p-port", str(ports[0])),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        raise SystemExit(f"cometbft testnet failed: {(made.stderr or made.stdout).strip()[-1000:]}")
    processes: list[subprocess.Popen[bytes]] = []
    addresses = [f"127.0.0.1:{port}" for port in ports[1:]]
    try:
        for number, address in enumerate(addresses):
            node = home / f"node{number}"
            _set(node, number, address, ports[0])
            with (node / "output.log").open("wb") as output:
                command = [binary, "start", "--home", str(node)]
                processes.append(subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT))
        for number, address in enumerate(addresses):
            _wait_blocks(address, processes[number], home / f"node{number}" / "output.log")
        yield [process.pid for process in processes], addresses
    finally:
        _end(processes)


def _set(node: Path, number: int, rpc: str, port: int) -> None:
    """Give one validator the settings our nodes give theirs, so that only the application differs."""
    path = node / "config" / "config.toml"
    made = re.search(r'(?m)^persistent_peers = "([^"]+)"', path.read_text("utf-8"))
    if made is None:
        raise SystemExit("this CometBFT names no persistent_peers in the config.toml of its testnet")
    settings = HomeSettings(
        name=node.name,
        app="kvstore",
        rpc=f"tcp://{rpc}",
        p2p=f"127.0.0.{number + 1}:{port}",
        peers=tuple(made[1].split(",")),
        own_pool=False,
    )
    path.write_bytes(encode_settings(settings))


def _wait_blocks(address: str, process: subprocess.Popen[bytes], output: Path) -> None:
    def moves() -> bool:
        if process.poll() is not None:
            raise SystemExit(f"the sample ended: {output.read_text('utf-8', 'replace')[-1000:]}")
        return _height(Link(address)) >= 1

    wait_for(moves, "the sample network makes blocks", _START_S)


def _height(link: Link) -> int:
    """The newest consensus height; 0 while nobody answers."""
    try:
        return int(link.call("status", {})["sync_info"]["latest_block_height"])
    except LinkError:
        return 0
    finally:
        link.close()


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + _STOP_S
    for process in processes:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
