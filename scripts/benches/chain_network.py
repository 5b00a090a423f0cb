"""Four validators on this machine: writes a second beside the key-value sample, memory, idleness, what kills cost."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ledger.chain.abi import interface
from ledger.chain.account import TransactionSender, sign_transaction
from ledger.chain.genesis import contract_addresses
from ledger.identifiers import ascii_bytes32, dataset_id
from scripts import procfigures
from scripts.benches.chain_sample import generate, measure_sample
from scripts.network import CHAIN_ID, Network
from scripts.network_load import Journal, Writers
from scripts.network_node import Account, NetworkNode, Program, wait_for

#: Gas limit of a write; it takes 293,804.
GAS = 500_000
#: Transactions of one member ahead of what its watcher saw committed. Admission allows 64: so a node that is a block
#: behind still takes every one of them.
WINDOW = 56
_DIGEST = hashlib.sha256(b"bench").digest()
#: Without a chain block for this long a network is at rest, seconds.
_SETTLE_S = 5.0

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSizes:
    """How much is measured on the network."""

    writes: int
    members: int
    kills: int
    idle_s: int


class Processes:
    """The processes of the validators: processor time and memory."""

    def __init__(self, nodes: Sequence[NetworkNode]) -> None:
        self.pids = {
            node.name: (node.pid, wait_for(node.comet_pid, f"{node.name} runs its CometBFT")) for node in nodes
        }
        self._began = time.perf_counter()
        self._before = {pid: procfigures.cpu_seconds(pid) for pids in self.pids.values() for pid in pids}

    def used(self) -> dict[str, list[float]]:
        """Processor seconds of node and CometBFT since this was made."""
        return {
            name: [round(procfigures.cpu_seconds(pid) - self._before[pid], 2) for pid in pids]
            for name, pids in self.pids.items()
        }

    def seconds(self) -> float:
        """How long ago that was."""
        return time.perf_counter() - self._began

    def memory(self) -> dict[str, list[dict[str, float]]]:
        """MiB of node and CometBFT."""
        return {name: [procfigures.memory_mib(pid) for pid in pids] for name, pids in self.pids.items()}


def measure_network(folder: Path, sizes: NetworkSizes, progress: Progress) -> dict[str, Any]:
    """Everything about four validators, one run."""
    report: dict[str, Any] = {}
    progress("key-value sample, four validators", 0, 4)
    report["sample"] = measure_sample(folder, sizes.writes)
    progress(f"contract writes of {sizes.members} members, four validators", 1, 4)
    with Network.found(folder / "loaded", members=sizes.members, launch=Program) as network:
        network.start()
        report["writes"] = _writes(network, folder, sizes)
    # Every member's node runs in this one, as in a city that is well.
    with Network.found(folder / "quiet", launch=Program) as network:
        network.start()
        report["memory_at_start_mib"] = Processes(network.nodes).memory()
        progress(f"idle for {sizes.idle_s} s", 2, 4)
        report["idle"] = _idle(network, sizes.idle_s)
        progress("kills", 3, 4)
        with closing(Journal(folder / "acknowledged.jsonl")) as journal:
            writers = Writers(network, journal, network.accounts())
            with writers.running():
                writers.wait_more(5, 60)
                report["one_killed"] = [_kill_one(network, number, writers, journal) for number in range(sizes.kills)]
                report["two_killed"] = _kill_two(network, writers)
        report["same_head"] = list(network.same_head())
    report["share_of_sample"] = round(report["writes"]["per_second"] / report["sample"]["per_second"], 3)
    return report


# --- throughput ------------------------------------------------------------------------------------------------------
def _writes(network: Network, folder: Path, sizes: NetworkSizes) -> dict[str, Any]:
    """Requests for grants by every member, signed beforehand, handed to the four validators' nodes."""
    senders = [node.account() for node in network.members]
    # The second member asks the first, everybody else the second.
    asked = {place: _publish(network, senders[place]) for place in (0, 1)}
    links = [node.link() for node in network.nodes]
    doors: list[dict[str, Any]] = [{"node": link.address, "members": []} for link in links]
    to = contract_addresses()["Grants"]
    for place, sender in enumerate(senders):
        address, data = "0x" + sender.signer.address.hex(), asked[0 if place == 1 else 1]
        nonce = int(links[0].call("eth_getTransactionCount", [address, "latest"]), 16)
        raws = [
            sign_transaction(sender.signer, chain_id=CHAIN_ID, nonce=nonce + number, to=to, data=data, gas=GAS)
            for number in range(sizes.writes // len(senders))
        ]
        texts = [base64.b64encode(raw).decode("ascii") for raw in raws]
        doors[place % len(doors)]["members"].append({"address": address, "nonce": nonce, "raws": texts})
    before = int(links[0].call("eth_blockNumber", []), 16)
    processes = Processes(network.nodes)
    figures = generate({"kind": "members", "window": WINDOW, "doors": doors}, folder)
    figures |= {"cpu_seconds": processes.used(), "memory_mib": processes.memory()}
    figures |= {"members": len(senders), "bytes": len(raws[0])}
    height, _hash, _root = network.same_head()
    figures["blocks"] = height - before
    figures["largest_block"] = _check_blocks(network.nodes[0], before + 1, height, figures["writes"])
    for link in links:
        link.close()
    return figures


def _publish(network: Network, provider: Account) -> bytes:
    """Publish the dataset that is asked for; the calldata of a request."""
    client = network.nodes[0].client()
    sender = TransactionSender(
        provider.signer, chain_id=CHAIN_ID, nonce=client.nonce, submit=client.submit, wait=client.wait
    )
    dataset = dataset_id(provider.uscc, "population")
    publish = interface("Directory").functions["publishDataset"].encode(dataset, 2, 1, _DIGEST, _DIGEST, "population")
    sender.send(contract_addresses()["Directory"], publish, timeout=60)
    now = client.head().time
    words = (dataset, ascii_bytes32("audit"), _DIGEST, _DIGEST, _DIGEST, 100, now + 86_400 * 300, now + 86_400 * 30)
    return interface("Grants").functions["request"].encode(*words)


def _check_blocks(node: NetworkNode, first: int, last: int, writes: int) -> int:
    """Every write stands in a block and took effect; the size of the largest block."""
    largest = found = 0
    for height in range(first, last + 1):
        receipts = node.call("eth_getBlockReceipts", hex(height))
        done = [receipt for receipt in receipts if receipt["status"] == "0x1"]
        if len(done) != len(receipts):
            raise SystemExit(f"{len(receipts) - len(done)} writes of the bench reverted in block {height}")
        found += len(done)
        largest = max(largest, len(done))
    if found < writes:
        raise SystemExit(f"{found} of {writes} writes stand in the blocks")
    return largest


# --- standing still, and failing --------------------------------------------------------------------------------------
def _idle(network: Network, seconds: int) -> dict[str, Any]:
    """What the network does while nobody asks for anything."""
    network.same_head()
    node = network.nodes[0]
    _settle(node)
    before = (node.height(), node.consensus_height())
    processes = Processes(network.nodes)
    time.sleep(seconds)
    used, elapsed = processes.used(), processes.seconds()
    after = (node.height(), node.consensus_height())
    return {
        "seconds": round(elapsed, 1),
        "chain_blocks": (after[0] or 0) - (before[0] or 0),
        "consensus_heights": after[1] - before[1],
        "cpu_seconds": used,
        "share_of_core": {name: round(sum(parts) / elapsed, 4) for name, parts in used.items()},
        "memory_mib": processes.memory(),
    }


def _settle(node: NetworkNode) -> None:
    """Wait until no chain block was made for a while: what followed from the load is done."""
    began, height = time.monotonic(), node.height()

    def still() -> bool:
        nonlocal began, height
        now = node.height()
        if now != height:
            began, height = time.monotonic(), now
        return time.monotonic() - began > _SETTLE_S

    wait_for(still, "the network comes to rest")


def _kill_one(network: Network, number: int, writers: Writers, journal: Journal) -> dict[str, Any]:
    """The longest time without an acknowledged write from the kill of one validator until it follows again."""
    victim = network.nodes[number]
    journal.begin()
    began = time.monotonic()
    victim.kill()
    writers.wait_more(20, 60)
    away = time.monotonic() - began
    victim.start()
    victim.wait_serving()
    serving = time.monotonic() - began
    target = max(node.height() or 0 for node in network.nodes)
    victim.wait_height(target)
    writers.wait_more(5, 60)
    return {
        "validator": victim.name,
        "longest_pause_s": round(journal.longest_pause, 2),
        "away_s": round(away, 2),
        "serving_again_s": round(serving - away, 2),
    }


def _kill_two(network: Network, writers: Writers) -> dict[str, Any]:
    """Two of four: when a survivor's doctor says so, and when writes go on after both came back."""
    victims, witness = network.nodes[2:], network.nodes[0]
    began = time.monotonic()
    for victim in victims:
        victim.kill()
    found = wait_for(lambda: _explains(witness, victims), "doctor explains the halt", 60)
    explained = time.monotonic() - began
    began = time.monotonic()
    for victim in victims:
        victim.start()
    for victim in victims:
        victim.wait_serving()
    serving = time.monotonic() - began
    writers.wait_more(1, 120)
    moving = time.monotonic() - began
    return {
        "explained_s": round(explained, 2),
        "finding": found,
        "serving_again_s": round(serving, 2),
        "moving_again_s": round(moving, 2),
    }


def _explains(witness: NetworkNode, victims: Sequence[NetworkNode]) -> list[str] | None:
    """The problem that names both missing validators, once there is one."""
    for code, message in witness.problems():
        if all(victim.name in message or victim.config.member.uscc in message for victim in victims):
            return [code, message]
    return None
