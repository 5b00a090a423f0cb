"""The city is governed by the command alone while it runs: a fifth body joins, changes its keys, leaves; a contract is
replaced; every change is a vote that the commands make readable."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode as abi_encode
from typer.testing import CliRunner

import contracts
from ledger.errors import LedgerError
from ledger.model import KeyRole
from node.city.ports import free_ports
from node.cli.main import build
from node.compose import Node
from tests.node.core.city import City, found, record
from tests.node.core.makers import eventually, make_uscc

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    with City(found(tmp_path, 4)) as running:
        running.start()
        yield running


def command(folder: Path, *words: str) -> tuple[str, LedgerError | None]:
    """Standard output and the refusal if there was one; in this process, which has started already."""
    done = CliRunner().invoke(build(words), [*words, "--node", str(folder)])
    refusal = done.exception if isinstance(done.exception, LedgerError) else None
    assert refusal is not None or done.exit_code == 0, (words, done.stdout, done.exception)
    return done.stdout, refusal


def answer(folder: Path, *words: str) -> Any:
    text, refusal = command(folder, *words, "--json")
    assert refusal is None, (words, refusal)
    # The nodes of this process write their own lines in between; a document is written at once.
    return json.JSONDecoder().raw_decode(text[text.index("{\n") :])[0]


def refused(folder: Path, *words: str) -> LedgerError:
    _, refusal = command(folder, *words)
    assert refusal is not None, words
    return refusal


def chinese(folder: Path, *words: str) -> str:
    """Standard output as people see it who read Chinese."""
    environment = {**os.environ, "CIVICLEDGER_LANG": "zh", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "node.cli.main", *words, "--node", str(folder)],
        capture_output=True, text=True, env=environment, timeout=300, check=False, cwd=ROOT,
    )  # fmt: skip
    return done.stdout


class Council:
    """The members' operators: whoever proposes, all of them vote."""

    def __init__(self, city: City) -> None:
        self.city = city
        self.folders = list(city.founded.folders)

    def settle(self) -> None:
        """Every active member's own chain is as far as the furthest."""
        roster = self.city[0].core.rosters.current()
        nodes = [node for node in self.city.nodes.values() if roster.is_active(node.core.member)]
        height = max(node.core.chain.head().height for node in nodes)
        eventually(lambda: all(node.core.chain.head().height >= height for node in nodes))

    def propose(self, *words: str, by: int = 0) -> int:
        number = int(answer(self.folders[by], "member", "propose", *words)["proposal"])
        self.settle()
        return number

    def carry(self, *words: str, by: int = 0, voters: tuple[int, ...] = (0, 1, 2)) -> int:
        """Propose, and vote until it is carried out."""
        number = self.propose(*words, by=by)
        for voter in voters:
            said = answer(self.folders[voter], "member", "vote", str(number), "--yes")
            self.settle()
        assert said["state"] == "executed", (words, said)
        return number


def join(city: City, tmp_path: Path) -> tuple[Path, Path]:
    """A fifth body's folder and card, made by its own operator with two files of the city."""
    folder, home = tmp_path / "health", city.founded.folders[1]
    port = str(min(free_ports(3)))
    ports = free_ports(3)
    words = ("node", "init", str(folder), "--uscc", make_uscc(5), "--handle", "health", "--region", "310000")
    done = CliRunner().invoke(build(words), [*words, "--name", "Health", "--port", port])
    assert done.exit_code == 0, done.output
    # The three ports follow one another by default: other tests may have one of them.
    settings = (folder / "node.toml").read_text("utf-8")
    for at, free in enumerate(ports):
        settings = settings.replace(f"port = {int(port) + at}\n", f"port = {free}\n")
    (folder / "node.toml").write_text(settings, "utf-8")
    text, _ = command(
        folder, "node", "join", "--genesis", str(home / "genesis.json"), "--peers", str(home / "peers.json")
    )
    card = tmp_path / "health.card.json"
    card.write_text(json.dumps(json.JSONDecoder().raw_decode(text[text.index("{\n") :])[0]), "utf-8")
    return folder, card


def test_a_fifth_body_joins_works_and_leaves(city: City, tmp_path: Path) -> None:
    council, (first, second, *_) = Council(city), city.founded.folders
    folder, card = join(city, tmp_path)
    shown = json.loads(card.read_text("utf-8"))
    assert shown["chain"] == city[0].core.genesis.digest.hex()
    number = council.propose("admit", str(card))
    waiting = answer(second, "member", "proposals", str(number))["proposals"][0]
    assert (waiting["kind"], waiting["state"], waiting["needed"]) == ("admit", "open", 3)
    assert waiting["waiting"] == list(city.founded.members)
    assert "还需 3 票赞成" in chinese(second, "member", "proposals", "--open")
    assert refused(first, "member", "execute", str(number)).code == "contract.consortium-not-carried"
    for voter in (0, 1, 2):
        said = answer(council.folders[voter], "member", "vote", str(number), "--yes")
        council.settle()
    assert said["state"] == "executed"
    again = refused(first, "member", "vote", str(number), "--no")
    assert again.code == "contract.consortium-proposal-closed"
    # Every operator enters the new node's address; what counts is on chain.
    for member in city.founded.folders:
        command(member, "node", "peer", str(card))
    text, _ = command(first, "node", "peer", str(card))
    assert "already" in text
    joiner = Node.open(folder, environ={})
    city.nodes[4] = joiner
    council.folders.append(folder)
    joiner.start()
    assert joiner.wait_open(180)
    index = joiner.core.log.append_record(record(joiner, 1))
    assert joiner.anchors.parts(index, 180).size > index
    council.settle()
    fact = answer(second, "member", "show", "health")
    assert (fact["status"], fact["roles"], fact["validator"]) == ("active", [], False)
    assert fact["active_keys"]["account"] == fact["active_keys"]["log"] == 1
    # Five members: four votes carry; who is concerned has none.
    council.carry("set-roles", "health", "--role", "auditor", voters=(0, 1, 2))
    assert answer(folder, "member", "show", "health")["roles"] == ["auditor"]
    number = council.propose("suspend", "health")
    target = refused(folder, "member", "vote", str(number), "--no")
    assert target.code == "contract.consortium-target-may-not-vote"
    for voter in (0, 1, 2):
        answer(council.folders[voter], "member", "vote", str(number), "--yes")
        council.settle()
    assert answer(first, "member", "show", "health")["status"] == "suspended"
    council.carry("reinstate", "health")
    council.carry("remove", "health")
    fact = answer(first, "member", "show", "health")
    assert (fact["status"], sum(fact["active_keys"].values())) == ("removed", 0)
    assert "移除 health" in chinese(first, "member", "proposals")


def test_keys_are_ended_and_a_lost_account_is_replaced_by_vote(city: City, tmp_path: Path) -> None:
    council, (first, second, third, fourth) = Council(city), city.founded.folders
    old = city[3].core.keys.material(KeyRole.RECEIPT)
    answer(fourth, "key", "rotate", "receipt")
    ended = answer(fourth, "key", "end", old.hex(), "--compromised-since", "2026-01-31T08:00:00Z")
    assert ended["material"] == old.hex()
    keys = {key["material"]: key["status"] for key in answer(fourth, "key", "list")["keys"]}
    assert keys[old.hex()] == "compromised"
    assert refused(fourth, "key", "end", old.hex()).code == "contract.consortium-key-ended"
    account = city[3].core.keys.material(KeyRole.ACCOUNT)
    assert refused(fourth, "key", "end", account.hex()).code == "contract.consortium-key-in-service"
    assert refused(first, "key", "end", city[3].core.keys.material(KeyRole.LOG).hex()).code.endswith("not-own-key")
    # The operator lost the account key: nothing can be sent, the others decide about a new one.
    card = tmp_path / "account.json"
    text, _ = command(fourth, "key", "new-account")
    again, _ = command(fourth, "key", "new-account")
    decoder = json.JSONDecoder()
    made = decoder.raw_decode(text[text.index("{\n") :])[0]
    assert decoder.raw_decode(again[again.index("{\n") :])[0] == made
    card.write_text(json.dumps(made), "utf-8")
    council.carry("replace-account", str(card))
    eventually(lambda: "0x" + city[3].core.keys.material(KeyRole.ACCOUNT)[-20:].hex() == made["account"], 300)
    assert answer(fourth, "member", "propose", "adopt-code", str(_code_file(tmp_path, b"\x60\x00")))["proposal"]
    # Another member's key, by vote.
    council.settle()
    witness = city[2].core.keys.material(KeyRole.ISSUER)
    council.carry("end-key", witness.hex(), voters=(0, 1, 3))
    keys = {key["material"]: key["status"] for key in answer(third, "key", "list")["keys"]}
    assert keys[witness.hex()] == "retired"
    assert answer(second, "member", "list")["members"][3]["status"] == "active"


def test_a_contract_is_replaced_while_the_city_works(city: City, tmp_path: Path) -> None:
    council, first = Council(city), city.founded.folders[0]
    node = city[1]
    index = node.core.log.append_record(record(node, 1))
    before = node.anchors.parts(index, 180)
    consortium = city[0].core.contracts.consortium.address
    code = contracts.artifact("Anchors").bytecode + abi_encode(["address"], [consortium])
    file = _code_file(tmp_path, code)
    assert refused(first, "member", "deploy", str(file)).code == "code.not-adopted"
    council.carry("adopt-code", str(file))
    made = answer(first, "member", "deploy", str(file))
    council.settle()
    old = city[1].core.contracts.anchors.address
    assert refused(first, "member", "propose", "replace-contract", "Anchors", made["address"], "zz").code.startswith(
        "ident"
    )
    # The Consortium itself stays.
    never = council.propose("replace-contract", "Consortium", made["address"], made["code_hash"])
    for voter in (0, 1):
        answer(council.folders[voter], "member", "vote", str(never), "--yes")
        council.settle()
    assert refused(council.folders[2], "member", "vote", str(never), "--yes").code.endswith("not-replaceable")
    council.carry("replace-contract", "Anchors", made["address"], made["code_hash"])
    for number in range(4):
        eventually(lambda at=number: "0x" + city[at].core.contracts.anchors.address.hex() == made["address"])
    assert bytes.fromhex(made["address"][2:]) != old
    # It was in force now, and versions of the state machine only grow.
    council.carry("activate-version", "2", "--height", "1000000")
    assert city[0].core.contracts.consortium.active_version() == (2, 1_000_000)
    assert refused(first, "member", "execute", str(never)).code.endswith("was-in-force")
    assert "state machine version 2 from height 1000000 on" in command(first, "member", "proposals")[0]
    # The log goes on where the old contract knew it: the new one takes the head over by a consistency proof.
    later = node.core.log.append_record(record(node, 2))
    after = node.anchors.parts(later, 180)
    assert after.size > later > before.size - 1
    assert node.core.contracts.anchors.anchor(node.core.member) is not None


def _code_file(folder: Path, code: bytes) -> Path:
    path = folder / f"{code[:4].hex()}-{len(code)}.hex"
    path.write_text("0x" + code.hex() + "\n", "ascii")
    return path
