"""Faults of real processes under load. After each test nothing acknowledged is lost, all nodes have one head and one
state (the ``journal`` fixture looks)."""

from __future__ import annotations

import multiprocessing
from functools import partial
from pathlib import Path

from scripts.network import Network
from scripts.network_load import Writers
from scripts.network_node import NetworkNode, Running, wait_for
from tests.bft.skewed import run_skewed

SECONDS = 300.0
#: How far the clock of one node is ahead, milliseconds.
AHEAD_MS = 5 * 60_000


def missing(witness: NetworkNode, victims: tuple[NetworkNode, ...]) -> str | None:
    """The problem in which the doctor of one node names all the others that are away."""
    for _code, message in witness.problems():
        if all(victim.name in message or victim.config.member.uscc in message for victim in victims):
            return message
    return None


def test_each_of_four_killed_under_load(network: Network, writers: Writers) -> None:
    for victim in network.nodes:
        victim.kill()
        writers.wait_more(5, SECONDS)  # three of four go on
        victim.start()
        victim.wait_serving()
        victim.wait_height(max(node.height() or 0 for node in network.nodes))


def test_a_killed_cometbft_is_started_again_by_its_node(network: Network, writers: Writers) -> None:
    victim = network.nodes[1]
    pid = victim.pid
    victim.kill_comet()
    wait_for(victim.comet_pid, "the node started another CometBFT")
    writers.wait_more(5, SECONDS)
    victim.wait_height(max(node.height() or 0 for node in network.nodes))
    assert victim.pid == pid


def test_two_of_four_killed_is_a_halt_that_doctor_explains(network: Network, writers: Writers) -> None:
    victims = network.nodes[2:]
    for victim in victims:
        victim.kill()

    def told() -> str | None:
        # The numbers: how many there are and how many it takes. One that was away in the test before may be connected
        # only now: it is counted as missing until then.
        said = missing(network.nodes[0], victims) or ""
        return said if "2 of 4" in said and "3 are needed" in said else None

    wait_for(told, "doctor names both missing validators, and no other", SECONDS)
    for victim in victims:
        victim.start()
    for victim in victims:
        victim.wait_serving()
    writers.wait_more(5, SECONDS)
    wait_for(lambda: missing(network.nodes[0], victims) is None, "doctor is content again", SECONDS)


def test_half_of_the_network_paused_and_going_on(network: Network, writers: Writers) -> None:
    for node in network.nodes[:2]:
        node.pause()
    survivor = network.nodes[2]
    wait_for(lambda: any(code == "chain.stale" for code, _ in survivor.problems()), "the view is called stale", SECONDS)
    halted = survivor.height()
    for node in network.nodes[:2]:
        node.resume()
    writers.wait_more(5, SECONDS)
    assert (survivor.height() or 0) > (halted or 0)


def test_a_lost_disk_is_filled_again_from_the_others(network: Network, writers: Writers) -> None:
    victim = network.nodes[3]
    victim.kill()
    writers.wait_more(3, SECONDS)
    network.wipe(victim, "log")
    victim.start()
    victim.wait_serving()
    victim.wait_height(max(node.height() or 0 for node in network.nodes))


def test_a_node_whose_clock_is_minutes_ahead_follows_and_says_so(network: Network, writers: Writers) -> None:
    victim = network.nodes[2]
    victim.stop()
    victim.start(partial(skewed, offset_ms=AHEAD_MS))
    victim.wait_serving()
    writers.wait_more(5, SECONDS)
    victim.wait_height(max(node.height() or 0 for node in network.nodes))
    wait_for(
        lambda: any(code.startswith("clock.") for _, code, _ in victim.diagnose()), "doctor names the clock", SECONDS
    )
    victim.stop()
    victim.start()
    victim.wait_serving()


def skewed(folder: Path, offset_ms: int) -> Running:
    """Launch a node whose clock is off."""
    context = multiprocessing.get_context("forkserver")
    process = context.Process(target=run_skewed, args=(str(folder), offset_ms), daemon=True)
    process.start()
    return process
