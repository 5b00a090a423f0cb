"""Votes on a running network of validators, by the command alone: a fifth department is admitted, catches up, becomes
a validator and signs; what leaves fewer than four is refused with the numbers; a suspended one leaves the set."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ledger.errors import LedgerError
from ledger.verify import verify_bundle
from node.city.ports import free_ports
from node.cli.main import build
from node.comet.view import ConsensusView
from node.compose import Node
from tests.bft.bft_city import City, found_bft, orderer_of
from tests.bft.test_node_city import anchored_bundle
from tests.node.core.makers import eventually, make_uscc

TOO_FEW = "contract.consortium-too-few-validators"


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    with City(found_bft(tmp_path, 4)) as running:
        running.start(wait=300)
        yield running


def command(folder: Path, *words: str) -> tuple[str, LedgerError | None]:
    done = CliRunner().invoke(build(words), [*words, "--node", str(folder)])
    refusal = done.exception if isinstance(done.exception, LedgerError) else None
    assert refusal is not None or done.exit_code == 0, (words, done.stdout, done.exception)
    return done.stdout, refusal


def document(text: str) -> Any:
    # The nodes of this process write their own lines in between; a document is written at once.
    return json.JSONDecoder().raw_decode(text[text.index("{\n") :])[0]


def answer(folder: Path, *words: str) -> Any:
    text, refusal = command(folder, *words, "--json")
    assert refusal is None, (words, refusal, refusal and refusal.message)
    return document(text)


def settle(city: City) -> None:
    """Every active member's own chain is as far as the furthest."""
    roster = city[0].core.rosters.current()
    nodes = [node for node in city.nodes.values() if roster.is_active(node.core.member)]
    height = max(node.core.chain.head().height for node in nodes)
    eventually(lambda: all(node.core.chain.head().height >= height for node in nodes), 300)


def carry(city: City, folders: list[Path], *words: str) -> None:
    """Propose by the first, and vote one after another until it is carried out."""
    number = answer(folders[0], "member", "propose", *words)["proposal"]
    settle(city)
    for folder in folders:
        if answer(folder, "member", "vote", str(number), "--yes")["state"] == "executed":
            settle(city)
            return
    raise AssertionError(f"{words}: not carried")


def seen(node: Node) -> ConsensusView:
    return eventually(lambda: orderer_of(node).consensus(), 300)


def test_the_members_govern_a_running_network(city: City, tmp_path: Path) -> None:
    folders = list(city.founded.folders)
    # Nobody may bring the set below four: refused before a vote, and by the contract where it is voted on all the same.
    _, refusal = command(folders[0], "member", "propose", "suspend", "dept-4")
    assert refusal is not None
    assert (refusal.code, "3 validators would be left, at least 4 are needed" in refusal.message) == (TOO_FEW, True)
    number = answer(folders[0], "member", "propose", "set-validator", "dept-4", "--off", "--anyway")["proposal"]
    settle(city)
    for folder in folders[:2]:
        answer(folder, "member", "vote", str(number), "--yes")
    _, refusal = command(folders[2], "member", "vote", str(number), "--yes")
    assert refusal is not None
    assert refusal.code == TOO_FEW
    assert "the vote is cast" in refusal.message
    assert "3 validators would be left, at least 4 are needed" in refusal.message
    assert [one["validator"] for one in answer(folders[1], "member", "list")["members"]] == [True] * 4

    # A fifth department comes: its own folder, its card, a vote, then its node.
    home, card = tmp_path / "health", tmp_path / "health.card.json"
    words = ("node", "init", str(home), "--uscc", make_uscc(5), "--handle", "health", "--region", "310000")
    p2p = free_ports(1, "127.0.0.5")[0]
    options = ("--engine", "cometbft", "--host", "127.0.0.5", "--p2p-port", str(p2p))
    made = CliRunner().invoke(build(words), [*words, *options])
    assert made.exit_code == 0, made.output
    settings = (home / "node.toml").read_text("utf-8")
    for old, new in zip((7001, 7002, 7003), free_ports(3), strict=True):
        settings = settings.replace(f"port = {old}\n", f"port = {new}\n")
    # The heights of this city come every second, as its other settings say.
    settings = settings.replace("heartbeat_interval = 60", "heartbeat_interval = 1")
    (home / "node.toml").write_text(settings, "utf-8")
    files = ("--genesis", str(folders[1] / "genesis.json"), "--peers", str(folders[1] / "peers.json"))
    text, refusal = command(home, "node", "join", *files, "--p2p-port", str(p2p))
    assert refusal is None, refusal
    card.write_text(json.dumps(document(text)), "utf-8")
    carry(city, folders, "admit", str(card))
    for folder in folders:
        _, refusal = command(folder, "node", "peer", str(card))
        assert refusal is None, refusal
    joiner = Node.open(home, environ={})
    city.nodes[4] = joiner
    joiner.start()
    assert joiner.wait_open(180)
    settle(city)
    assert answer(home, "member", "show", "health")["validator"] is False
    assert verify_bundle(anchored_bundle(joiner, 2), city[0].anchors.policy()).finality == "bft"

    # It becomes a validator and signs.
    carry(city, folders, "set-validator", "health", "--on")

    def signs(member: str) -> bool:
        """In the newest commit, which holds the first two thirds that came: not each time."""
        return any(one.member == member and one.signed_last for one in seen(city[0]).validators)

    eventually(lambda: signs(make_uscc(5)), 300)
    for node in (city[1], joiner):
        eventually(lambda node=node: len(seen(node).validators) == 5, 300)
    status = answer(home, "node", "status")
    assert (status["role"], status["consensus"]["total"], status["consensus"]["needed"]) == ("validator", 5, 4)

    # Now one may leave: the suspended one is out of the set, the network goes on with four.
    carry(city, [*folders[:3], home], "suspend", "dept-4")
    four = {*city.founded.members[:3], make_uscc(5)}
    eventually(lambda: {one.member for one in seen(city[1]).validators} == four, 300)
    text, _ = command(folders[0], "member", "proposals")
    assert "suspend dept-4" in text

    # Back as a member, and in one step a validator in the place of another.
    carry(city, [*folders[:3], home], "reinstate", "dept-4")
    carry(city, [*folders[:2], home, folders[3]], "replace-validator", "dept-3", "dept-4")
    wanted = {*city.founded.members[:2], city.founded.members[3], make_uscc(5)}

    eventually(lambda: {one.member for one in seen(city[1]).validators} == wanted, 300)
    eventually(lambda: signs(city.founded.members[3]), 300)
    told = ("civicledger_validators 4.0", "civicledger_consensus_quorum 1.0")
    eventually(lambda: all(line in joiner.core.metrics.render().decode() for line in told), 300)
    assert verify_bundle(anchored_bundle(city[1], 3), city[0].anchors.policy()).finality == "bft"
