"""The tlog-witness dialogue with a real node over HTTPS: every status with its body and content type, and the race."""

from __future__ import annotations

import hashlib
import http.client
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from ledger.evidence import merkle
from ledger.evidence.checkpoint import (
    ED25519_COSIGNATURE,
    Checkpoint,
    VKey,
    add_signature,
    format_checkpoint,
    parse_note,
    sign_note,
    verify_cosignature,
)
from ledger.evidence.witness import format_request, parse_answer
from ledger.keys import Ed25519Signer, Signer
from ledger.model import KeyRole
from node.compose import Node
from node.context import system_clock
from node.identity.keyfiles import read_passphrase
from node.identity.keyring import KeyRing
from node.identity.tls import client_context
from node.web.https import MAX_ADD_CHECKPOINT
from tests.node.core.city import found

LEAVES = [hashlib.sha256(bytes([number])).digest() for number in range(200)]
FORKED = [*LEAVES[:3], hashlib.sha256(b"fork").digest(), *LEAVES[4:]]
SIZE, TEXT = "text/x.tlog.size", "text/plain; charset=utf-8"
STRANGER = Ed25519Signer(KeyRole.LOG, b"\x55" * 32)


@dataclass(frozen=True)
class Said:
    """An answer."""

    status: int
    body: bytes
    type: str


class Owner:
    """A member whose node does not run: its log's key speaks through the test alone."""

    def __init__(self, node: Node, signer: Signer, origin: str) -> None:
        self.node = node
        self.signer = signer
        self.origin = origin

    def note(self, size: int, leaves: list[bytes] = LEAVES, *, signer: Signer | None = None, origin: str = "") -> bytes:
        root = merkle.root(leaves[:size]) if size else merkle.EMPTY_ROOT
        return self.sign(Checkpoint(origin=origin or self.origin, size=size, root=root), signer)

    def sign(self, head: Checkpoint, signer: Signer | None = None) -> bytes:
        return sign_note(format_checkpoint(head), head.origin, signer or self.signer)

    def post(self, body: bytes, method: str = "POST") -> Said:
        peer = self.node.core.peers[self.node.core.member]
        host, _, port = peer.https.rpartition(":")
        line = http.client.HTTPSConnection(host, int(port), timeout=180, context=client_context(peer.certificate))
        try:
            line.request(method, "/add-checkpoint", body=body)
            answer = line.getresponse()
            return Said(answer.status, answer.read(), answer.getheader("Content-Type", ""))
        finally:
            line.close()

    def ask(self, old: int, new: int, leaves: list[bytes] = LEAVES) -> Said:
        proof = merkle.consistency_proof(leaves, old, new) if 0 < old < new else ()
        return self.post(format_request(old, proof, self.note(new, leaves)))

    def held(self) -> int:
        head = self.node.core.stores.witness.get(self.origin)
        return 0 if head is None else head.checkpoint.size


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, list[tuple[Signer, str]]]]:
    founded = found(tmp_path_factory.mktemp("dialogue"), 7)
    node = Node.open(founded.folders[0], environ={})
    node.start()
    logs = []
    for founding in founded.foundings[1:]:
        ring = KeyRing(founding.folder / "keys", founding.member.uscc, read_passphrase(founding.folder, "", {}))
        origin = node.core.rosters.current().members[founding.member.uscc].origin
        logs.append((ring[KeyRole.LOG], origin))
    yield node, logs
    node.drain()


@pytest.fixture
def owner(node: tuple[Node, list[tuple[Signer, str]]]) -> Owner:
    """Another log for each test: a witness never forgets."""
    return Owner(node[0], *node[1].pop())


def cosigned(owner: Owner, note: bytes, said: Said) -> None:
    """The answer carries exactly this witness's cosignature of now over this note."""
    assert (said.status, said.type) == (200, TEXT)
    (line,) = parse_answer(said.body)
    roster = owner.node.core.rosters.current()
    info = roster.members[owner.node.core.member]
    (material,) = roster.materials(info.uscc, KeyRole.WITNESS)
    key = VKey(name=info.witness_name, type=ED25519_COSIGNATURE, public=material)
    found = verify_cosignature(parse_note(add_signature(note, str(line))), key)
    assert found is not None
    assert abs(found.time - system_clock() / 1_000) < 600


def test_every_status_of_the_dialogue(owner: Owner) -> None:
    refusals = [
        # 404: an origin the chain does not know, and the witness's own log.
        (404, owner.post(format_request(0, (), owner.note(5, origin="310000.nobody.civicledger/log")))),
        (404, owner.post(format_request(0, (), owner.note(5, origin=owner.node.core.log.origin)))),
        # 403: signed by nobody we know; by somebody else's key under the right name; not at all by the log.
        (403, owner.post(format_request(0, (), owner.note(5, signer=STRANGER)))),
        (403, owner.post(format_request(0, (), owner.note(5).replace(b"\n5\n", b"\n6\n")))),
        # 400: the old size lies beyond the new one.
        (400, owner.ask(6, 5)),
        # 422: a proof where none belongs, an empty tree with another root.
        (422, owner.post(format_request(0, (bytes(32),), owner.note(5)))),
        (422, owner.post(format_request(0, (), owner.sign(Checkpoint(origin=owner.origin, size=0, root=bytes(32)))))),
    ]
    for status, said in refusals:
        assert (said.status, said.type) == (status, TEXT), said
        assert said.body.endswith(b"\n")
        assert len(said.body) < 300
    # 409 of a log never seen.
    assert owner.ask(3, 5) == Said(409, b"0\n", SIZE)
    assert owner.held() == 0
    cosigned(owner, owner.note(5), owner.ask(0, 5))
    cosigned(owner, owner.note(5), owner.ask(5, 5))
    cosigned(owner, owner.note(9), owner.ask(5, 9))
    for old, new in ((0, 9), (5, 9), (8, 20), (0, 20), (0, 5), (5, 5)):
        assert owner.ask(old, new) == Said(409, b"9\n", SIZE)
    proof = merkle.consistency_proof(LEAVES, 9, 20)
    for bad in (proof[:-1], (*proof, bytes(32)), (), (bytes(32), *proof[1:]), merkle.consistency_proof(LEAVES, 8, 20)):
        assert owner.post(format_request(9, bad, owner.note(20))).status == 422
    # One size, another root; and a larger tree of another history with the proof of its own.
    assert owner.ask(9, 9, FORKED).status == 422
    assert owner.ask(9, 20, FORKED).status == 422
    assert owner.post(format_request(9, (bytes(32),), owner.note(9))).status == 422
    assert owner.held() == 9
    # Signatures of others in the note are no hindrance.
    note = add_signature(owner.note(20), "— somebody.else/witness AAAAAAAA\n")
    cosigned(owner, owner.note(20), owner.post(format_request(9, proof, note)))
    assert owner.held() == 20
    assert owner.post(b"", "GET").status == 405


def test_what_is_no_request_is_400_and_bounded(owner: Owner) -> None:
    good = format_request(0, (), owner.note(5))
    note = owner.note(5)
    bodies = [
        b"", b"\n", b"old 0", b"old 0\n", b"old 0\n\n", note, good.replace(b"old 0", b"old 00"),
        good.replace(b"old 0", b"old -1"), good.replace(b"old 0", b"new 0"), good.replace(b"old 0", b"old 0 "),
        good.replace(b"old 0", b"old 99999999999999999999"), good.replace(b"old 0\n", b"old 0\r\n"),
        good.replace(b"\n5\n", b"\n05\n"), good.replace(b"\n5\n", b"\n5\nmore\n"), good.replace(b"\n5\n", b"\n-5\n"),
        good.replace("—".encode(), b"-"), good[:-1], good + b"x", good.replace(b"old 0\n", b"old 0\nno base64\n"),
        good.replace(b"old 0\n", b"old 0\nAAAA\n"), good.replace(b"civic", b"ci\xffic"), b"\x00" * 100,
        format_request(0, (bytes(32),) * 64, note), good + b"\n" * MAX_ADD_CHECKPOINT, b"[" * (MAX_ADD_CHECKPOINT - 1),
    ]  # fmt: skip
    for body in bodies:
        said = owner.post(body)
        assert said.status == 400, (body[:60], said)
        assert len(said.body) < 1_000
    assert owner.held() == 0
    # 63 hashes are the most that are read at all; as a proof they are wrong.
    assert owner.post(format_request(0, (bytes(32),) * 63, note)).status == 422
    assert owner.ask(0, 5).status == 200


def test_of_concurrent_updates_exactly_one_wins(owner: Owner) -> None:
    """From one old size to different new ones, at the same moment: the witness moves once, the others hear where to."""
    crowd = 6
    old = 0
    for at in range(6):
        sizes = [old + 1 + (at + place) % crowd for place in range(crowd)]
        start = threading.Barrier(crowd)

        def ask(new: int, old: int = old, start: threading.Barrier = start) -> Said:
            start.wait(300)
            return owner.ask(old, new)

        with ThreadPoolExecutor(crowd) as pool:
            said = list(pool.map(ask, sizes))
        winners = [size for size, one in zip(sizes, said, strict=True) if one.status == 200]
        assert len(winners) == 1, said
        assert {one for one in said if one.status != 200} == {Said(409, b"%d\n" % winners[0], SIZE)}
        assert owner.held() == winners[0]
        old = winners[0]


def test_of_two_concurrent_histories_one_is_cosigned(owner: Owner) -> None:
    assert owner.ask(0, 3).status == 200
    start = threading.Barrier(2)

    def ask(leaves: list[bytes]) -> int:
        start.wait(300)
        return owner.ask(3, 10, leaves).status

    with ThreadPoolExecutor(2) as pool:
        statuses = list(pool.map(ask, (LEAVES, FORKED)))
    assert sorted(statuses) == [200, 409]
    # Both are signed by the log: the loser's attempt is itself the proof.
    (alarm,) = [one for one in owner.node.core.alarms.alarms() if one.evidence and one.evidence.origin == owner.origin]
    assert alarm.kind == "log.forked"
