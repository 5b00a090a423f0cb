"""Forks in a real city: seen by a node, told to its operator, proven to anybody; and a backup that would make one."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from ledger.codec import decode_record
from ledger.errors import ConflictError
from ledger.evidence.checkpoint import Checkpoint, format_checkpoint, parse_checkpoint, parse_note, sign_note
from ledger.evidence.fork import ForkEvidence
from ledger.evidence.note import ED25519_NOTE, VKey
from ledger.evidence.witness import format_request
from ledger.model import KeyRole
from ledger.v1 import node_pb2, node_pb2_grpc
from node.cli import texts
from node.cli.main import _run
from node.compose import Node
from node.identity.pinned import PinnedClient
from node.rpc.errors import from_rpc
from tests.node.core.city import City, Founded, found, record
from tests.node.core.makers import eventually


class Command:
    """The ``civicledger`` command in this process: what it prints, with its exit status as expected."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys = capsys
        self._monkeypatch = monkeypatch

    def __call__(self, *words: str, node: Path | None = None, status: int = 0, language: str = "en") -> str:
        self._monkeypatch.setattr(sys, "argv", ["civicledger", *words])
        self._monkeypatch.setattr(texts, "LANG", language)
        self._monkeypatch.setenv("CIVICLEDGER_NODE", str(node or "/nowhere"))
        # The nodes of this process write their own lines to standard output: not in between.
        with capture_logs():
            self._capsys.readouterr()
            done = _run(words)
            said = self._capsys.readouterr()
        assert "Traceback" not in said.err
        assert done == status, said
        return said.out

    def json(self, *words: str, node: Path | None = None, status: int = 0) -> Any:
        return json.loads(self(*words, "--json", node=node, status=status))


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    return Command(capsys, monkeypatch)


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Founded:
    return found(tmp_path_factory.mktemp("forks"), 4)


@pytest.fixture(scope="module")
def city(founded: Founded) -> Iterator[City]:
    with City(founded) as running:
        running.start()
        yield running


def codes(node: Node) -> set[str]:
    return {finding.code for finding in node.context.diagnose()}


def held(node: Node, origin: str) -> Checkpoint | None:
    head = node.core.stores.witness.get(origin)
    return None if head is None else head.checkpoint


def test_a_fork_is_seen_told_proven_and_settled(city: City, founded: Founded, tmp_path: Path, cli: Command) -> None:
    seer, forker, supervisor = city[0], city[2], city[1]
    origin = forker.core.log.origin
    eventually(lambda: held(seer, origin) is not None)
    key = forker.core.keys[KeyRole.LOG]
    client = PinnedClient(seer.core.peers[seer.core.member], 180)

    def contradict() -> bool:
        known = held(seer, origin)
        assert known is not None
        note = sign_note(format_checkpoint(Checkpoint(origin=origin, size=known.size, root=bytes(32))), origin, key)
        return client.post("/add-checkpoint", format_request(known.size, (), note)).status == 422

    # The log goes on meanwhile: a head of the size that the witness holds at that moment is what it takes.
    eventually(contradict)
    client.close()
    (alarm,) = [one for one in seer.core.alarms.alarms() if one.member == forker.core.member]
    assert alarm.kind == "log.forked"
    assert "log.forked" in codes(seer)
    # One record in the seer's log, and only one.
    eventually(lambda: not seer.core.alarms.unrecorded())
    log = seer.core.log
    told = [decode_record(data) for data in log.read(0, log.size) if b"system.fork-seen" in data]
    assert [one.body["member"] for one in told] == [forker.core.member]
    assert alarm.evidence is not None
    assert told[0].body["evidence"] == alarm.evidence.digest.hex()
    text = seer.core.metrics.render().decode()
    assert "civicledger_alarms_open 1.0" in text
    # The operator's view.
    folder = founded.folders[0]
    report = cli.json("witness", "evidence", "--out", str(tmp_path), node=folder)["alarms"]
    assert [(one["kind"], one["member"], one["settled"]) for one in report] == [("log.forked", alarm.member, False)]
    proof = Path(report[0]["file"])
    assert ForkEvidence.decode(proof.read_bytes()) == alarm.evidence
    assert cli.json("node", "status", node=folder)["open_alarms"] == 1
    findings = cli.json("doctor", node=folder, status=1)["findings"]
    (finding,) = [one for one in findings if one["code"] == "log.forked"]
    assert f"witness settle {alarm.id}" in finding["hint"]
    # Anybody's view: a file, the log's key, no node and no network.
    (used,) = alarm.evidence.keys
    proven = cli.json("witness", "check", str(proof), "--key", str(used))
    assert (proven["forked"], proven["origin"], proven["keys_trusted"]) == (True, origin, True)
    other = VKey(name=origin, type=ED25519_NOTE, public=supervisor.core.keys[KeyRole.LOG].public)
    refused = cli.json("witness", "check", str(proof), "--key", str(other), status=1)
    assert refused["error"]["code"] == "checkpoint.log-signature"
    printed = cli("witness", "check", str(proof), language="zh")
    assert "相互矛盾" in printed
    assert alarm.evidence.first.decode() in printed
    assert alarm.evidence.second.decode() in printed
    policy = tmp_path / "trusted.policy"
    policy.write_text(f"log {used}\nquorum none\n")
    assert cli.json("witness", "check", str(proof), "--policy", str(policy))["keys_trusted"] is True
    policy.write_text("quorum none\n")
    assert (
        cli.json("witness", "check", str(proof), "--policy", str(policy), status=1)["error"]["code"]
        == refused["error"]["code"]
    )
    spoiled = tmp_path / "spoiled.fork.json"
    spoiled.write_bytes(proof.read_bytes()[:-2])
    assert cli.json("witness", "check", str(spoiled), status=1)["error"]["code"] == "fork.format"
    # The supervisor may look; a member without that role may not; nobody else may settle.
    ask = node_pb2.ListAlarmsRequest()
    channel = supervisor.core.peers.channel(seer.core.member)
    assert len(node_pb2_grpc.StatusServiceStub(channel).ListAlarms(ask, timeout=180).alarms) == 1
    for caller, call in ((city[3], "ListAlarms"), (supervisor, "SettleAlarm")):
        stub = node_pb2_grpc.StatusServiceStub(caller.core.peers.channel(seer.core.member))
        message = node_pb2.SettleAlarmRequest(id=alarm.id) if call == "SettleAlarm" else ask
        with pytest.raises(grpc.RpcError) as caught:
            getattr(stub, call)(message, timeout=180)
        assert from_rpc(caught.value).code in ("auth.role", "auth.not-own")
    cli("witness", "settle", alarm.id[:8], node=folder)
    assert "log.forked" not in codes(seer)
    assert cli.json("witness", "evidence", node=folder)["alarms"] == []
    assert cli.json("witness", "evidence", "--all", node=folder)["alarms"][0]["settled"] is True


def test_who_is_missing_is_shown_since_when(city: City, founded: Founded, cli: Command) -> None:
    node, away = city[1], founded.members[3]
    folder = founded.folders[1]
    # A head that was just signed is on its way to all of them.
    eventually(lambda: [row["present"] for row in cli.json("witness", "list", node=folder)["witnesses"]] == [True] * 3)
    policy = cli("witness", "policy", node=folder)
    assert policy.count("\nwitness ") == 3
    assert "group members 2 " in policy
    city.stop(3)
    node.core.log.append_record(record(node, 1))
    eventually(
        lambda: (
            [(one.member, one.code) for one in node.context.witnesses() if one.missing_since_ms]
            == [(away, "peer.unreachable")]
        )
    )
    (row,) = [one for one in cli.json("witness", "list", node=folder)["witnesses"] if not one["present"]]
    assert (row["member"], row["code"]) == (away, "peer.unreachable")
    assert row["missing_since"].endswith("Z")
    (shown,) = [one for one in cli.json("node", "status", node=folder)["witnesses"] if not one["present"]]
    assert shown["member"] == away
    # A minute is the patience of the doctor; the clock is turned, not waited for.
    late = node.core.clock() + 61_000
    clock, node.core.clock = node.core.clock, lambda: late
    try:
        assert "witness.missing" in codes(node)
    finally:
        node.core.clock = clock
    assert "缺席自" in cli("witness", "list", node=folder, language="zh")
    city.start(3)
    eventually(lambda: all(not one.missing_since_ms for one in node.context.witnesses()), 300)


def test_a_restored_backup_signs_nothing_and_says_what_to_do(
    city: City, founded: Founded, tmp_path: Path, cli: Command
) -> None:
    folder = founded.folders[2]
    city.stop(2)
    shutil.copytree(folder, tmp_path / "backup")
    city.start(2)
    origin = city[2].core.log.origin
    index = city[2].core.log.append_record(record(city[2], 1))
    assert city[2].anchors.parts(index, 180).size > index
    city.stop(2)
    before = {number: held(city[number], origin) for number in (0, 1, 3)}
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "backup", folder)
    city.nodes[2] = node = Node.open(folder, environ={})
    old = node.core.log.published
    assert old is not None
    node.start()
    eventually(lambda: (why := node.closed_reason()) is not None and why.code == "log.behind", 300)
    # Nothing is appended, nothing signed, and nobody cosigned a second history.
    for attempt in (lambda: node.core.log.append_record(record(node, 2)), node.core.log.publish):
        with pytest.raises(ConflictError, match=r"log\.behind"):
            attempt()
    assert {number: held(city[number], origin) for number in (0, 1, 3)} == before
    assert all(city[number].core.alarms.alarms() == () for number in (1, 3))
    # It is read as before.
    client = PinnedClient(city[0].core.peers[node.core.member], 180)
    served = client.get("/checkpoint")
    assert served.status == 200
    size = parse_checkpoint(parse_note(served.body).text).size
    assert client.get(f"/v1/proof/inclusion?index=0&size={size}").status == 200
    assert (
        client.get(f"/witness/{hashlib.sha256(city[0].core.log.origin.encode()).hexdigest()}/checkpoint").status == 200
    )
    client.close()
    assert cli.json("log", "show", "--first", "0", "--count", "1", node=folder)["records"][0]["index"] == 0
    # And it says what to do.
    findings = cli.json("doctor", node=folder, status=1)["findings"]
    (finding,) = [one for one in findings if one["code"] == "log.behind"]
    assert finding["severity"] == "problem"
    assert "restore" in finding["hint"]
    assert "chain." not in finding["message"]
