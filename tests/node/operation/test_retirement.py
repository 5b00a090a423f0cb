"""A log retired by vote: the node takes up the next one by itself, and what stood in the old one stays provable."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.chain.bindings import ProposalKind
from ledger.chain.bindings.proposals import encode_arguments
from ledger.codec import decode
from ledger.errors import NotFoundError
from ledger.evidence import merkle
from ledger.evidence.bundle import assemble
from ledger.evidence.checkpoint import parse_checkpoint, parse_note
from ledger.evidence.tiletree import hashes
from ledger.log import fsck
from ledger.storage.openings import Opening
from ledger.v1 import department_pb2, department_pb2_grpc, node_pb2, node_pb2_grpc
from ledger.verify import verify_bundle
from node import erasure
from node.compose import Node
from node.identity.pinned import PinnedClient
from node.trail.feeding import witness_note
from node.trail.generations import retired_bundle
from tests.node.core.city import City, Founded, found, record
from tests.node.core.makers import eventually
from tests.node.core.test_membership import decide
from tests.node.operation.test_backup_commands import civicledger

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def founded(tmp_path: Path) -> Founded:
    return found(tmp_path, 3)


def retire(city: City, member: str) -> None:
    decide([city[0], city[2]], ProposalKind.RETIRE_LOG, encode_arguments(ProposalKind.RETIRE_LOG, member))


def keep_opening(node: Node) -> Opening:
    """A record about a subject, and the opening of its commitment."""
    made = Opening(index=node.core.log.size, salt=os.urandom(32), subject="resident-4711")
    entry = record(node, 100)
    body = {**entry.body, "commitment": made.commitment().hex()}
    index = node.core.log.append_record(dataclasses.replace(entry, body=body))
    kept = dataclasses.replace(made, index=index)
    node.core.stores.openings.keep([kept])
    return kept


def said(process: subprocess.Popen[str], event: str) -> dict[str, object]:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "the daemon ended"
    answer = json.loads(line)
    assert answer["event"] == event, answer
    return answer


def ended(process: subprocess.Popen[str], seconds: float) -> int:
    """The exit code; a process that does not end is asked for the stacks of its threads (node.daemon prints them)."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        return process.wait(300)


def test_a_running_node_takes_up_the_next_log_by_itself(founded: Founded, tmp_path: Path) -> None:
    folder, member = founded.folders[1], founded.members[1]
    with City(founded) as city:
        city.start()
        node = city[1]
        indices = [node.core.log.append_record(record(node, number)) for number in range(5)]
        kept = node.anchors.parts(indices[-1], 180)
        entry, proof = node.core.log.read(indices[0], 1)[0], node.core.log.prove_inclusion(indices[0], kept.size)
        bundle = assemble(entry, indices[0], proof, kept.parts)
        old_origin = node.core.log.origin
        opening = keep_opening(node)
        city.stop(1)
        output = tmp_path / "daemon.err"
        process = subprocess.Popen(
            [sys.executable, "-m", "node.daemon", str(folder)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=output.open("wb"),
            text=True,
            env={**os.environ, "PYTHONUTF8": "1"},
        )
        try:
            said(process, "listening")
            said(process, "serving")
            retire(city, member)
            assert said(process, "reopening")["generation"] == 2
            said(process, "listening")
            said(process, "serving")
            anchors = city[0].core.contracts.anchors
            eventually(lambda: (last := anchors.anchor(member)) is not None and last.generation == 2, 300)
            process.send_signal(signal.SIGTERM)
            assert ended(process, 300) == 0, output.read_text("utf-8", "replace")[-20_000:]
        finally:
            process.kill()
            process.communicate()

        # The old log is whole and frozen, the new one begins where it ended, and the chain has both heads.
        old, new = fsck(folder / "log"), fsck(folder / "log.2")
        assert (old.ok, new.ok) == (True, True)
        retired = anchors.retired(member, 1)
        assert retired is not None
        assert kept.size <= retired.size <= old.size
        city.start(1)
        again = city[1]
        assert (again.core.generation, again.core.log.origin) == (2, old_origin + "/2")
        first = decode(again.core.log.read(0, 1)[0])
        assert first["type"] == "log.continued"
        assert first["body"] == {"generation": 2, "size": old.size, "root": old.root.hex(), "held": old.size}
        assert verify_bundle(bundle, city[0].anchors.policy()).verdict == "verified", "old proofs stay proofs"
        assert erasure.look(again.context, again.core.clock()).openings == 1, "openings of the old log age, too"
        assert erasure.purge(again.context, again.core.clock()).openings == 1
        assert again.core.stores.openings.get(opening.commitment()) is None
        remade = retired_bundle(again.context, 1, indices[0])
        assert verify_bundle(remade, city[0].anchors.policy()).verdict == "verified", "made anew from its folder"
        proofs = node_pb2_grpc.ProofServiceStub(again.core.peers.channel(member))
        asked = node_pb2.MakeBundleRequest(index=indices[0], generation=1)
        assert proofs.MakeBundle(asked, timeout=180).bundle == remade
        for place, generation, code in ((retired.size, 1, "record.range"), (0, 3, "log.no-generation")):
            with pytest.raises(NotFoundError) as caught:
                retired_bundle(again.context, generation, place)
            assert caught.value.code == code
        # Whoever holds a head of the old log can compare: the node shows it, and the witnesses say what they saw.
        digest = hashlib.sha256(old_origin.encode()).hexdigest()
        client = PinnedClient(city[0].core.peers[member], 180)
        shown = client.get(f"/mirror/{digest}/checkpoint").body
        assert shown == (folder / "log" / "checkpoint").read_bytes()
        head = parse_checkpoint(parse_note(shown).text)
        edge = client.read(f"/mirror/{digest}/tile/0/000.p/{head.size}", 8192)
        assert (edge.status, merkle.root(hashes(edge.body))) == (200, head.root)
        assert client.read(f"/mirror/{digest}/tile/entries/000.p/{head.size}", 1 << 20).status == 403
        client.close()
        seen = witness_note(city[0].core.peers[city[2].core.member], old_origin, city[0].core.rosters.current(), 180)
        assert seen is not None
        # And new records are proven under the new origin.
        index = again.core.log.append_record(record(again, 99))
        fresh = again.anchors.parts(index, 180)
        made = assemble(
            again.core.log.read(index, 1)[0], index, again.core.log.prove_inclusion(index, fresh.size), fresh.parts
        )
        assert verify_bundle(made, city[2].anchors.policy()).verdict == "verified"
        eventually(lambda: again.core.stores.index.indexed_size == again.core.log.size)
        eventually(lambda: all(one.severity != "problem" for one in again.context.diagnose()))
        # With its view of the chain lost, the node does not go back to the retired log before it has caught up.
        city.stop(1)
        shutil.rmtree(folder / "store" / "chain")
        city.start(1)
        assert (city[1].core.generation, city[1].core.log.origin) == (2, old_origin + "/2")
        assert fsck(folder / "log").size == old.size, "the retired log has not grown"


def test_a_log_lost_everywhere_is_followed_by_one_that_says_so(founded: Founded) -> None:
    folder, member = founded.folders[1], founded.members[1]
    with City(founded) as city:
        city.start()
        node = city[1]
        size = node.anchors.parts(node.core.log.append_record(record(node, 1)), 60).size
        root = node.core.log.root(size)
        city.stop(1)
        anchored = city[0].core.contracts.anchors.anchor(member)
        assert anchored is not None
        shutil.rmtree(folder / "log")
        closed = Node.open(folder, environ={})
        city.nodes[1] = closed
        closed.start()
        eventually(lambda: (reason := closed.closed_reason()) is not None and reason.code == "log.behind")
        # Its own log takes no proposal; another member makes it, and the vote carries it.
        own = json.loads(civicledger("log", "retire", "--yes", "--json", "--node", str(folder), status=1))["error"]
        assert (own["code"], "--member" in own["hint"]) == ("node.starting", True)
        words = ("log", "retire", "--member", "dept-2", "--yes", "--json", "--node", str(founded.folders[0]))
        number = json.loads(civicledger(*words))["proposal"]
        for voter in (0, 2):
            channel = city[voter].core.peers.channel(city[voter].core.member)
            request = department_pb2.VoteRequest(proposal=number, yes=True)
            department_pb2_grpc.MemberServiceStub(channel).Vote(request, timeout=180)
        assert closed.retired.wait(300)
        assert "log.retired" in {one.code for one in closed.context.diagnose()}
        city.stop(1)
        city.start(1)
        assert city[1].core.config.log_generations == (1, 2)
        first = decode(city[1].core.log.read(0, 1)[0])
        assert first["body"] == {"generation": 2, "size": anchored.size, "root": anchored.root.hex(), "held": 0}
        assert anchored.size >= size
        if anchored.size == size:
            assert anchored.root == root
