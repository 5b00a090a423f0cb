"""A log that shows different histories to different witnesses is found out, with proof; an honest one never is."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest

from ledger.codec import decode_record
from ledger.evidence import merkle
from ledger.evidence.fork import ForkEvidence
from ledger.evidence.tiles import parse_tile_path
from ledger.evidence.witness import format_request
from node.chain.tracker import PeerTracker
from node.context import system_clock
from node.metrics import Metrics
from node.trail.crosscheck import CrossCheck
from node.trail.witnessing import LogWitness
from tests.node.trail.town import Answer, Body, Publishing, Town, http

Found = Callable[[int], Town]
TRUNK = [hashlib.sha256(b"%d" % number).digest() for number in range(700)]


def branch(at: int, name: bytes = b"branch") -> list[bytes]:
    """A history that is the trunk's up to ``at``."""
    return [*TRUNK[:at], *(hashlib.sha256(name + b"%d" % number).digest() for number in range(at, len(TRUNK)))]


class Shown:
    """A log's node that shows one history, whatever it signed for others."""

    def __init__(self, owner: Body, leaves: list[bytes], size: int) -> None:
        self.owner, self.leaves, self.size = owner, leaves, size
        self.silent = False
        self.whole_tiles = False

    def __call__(self, path: str, body: bytes) -> Answer:
        url = urlsplit(path)
        if self.silent:
            return http(503, b"later")
        if url.path == "/checkpoint":
            return http(200, self.owner.note(self.leaves, self.size))
        if url.path == "/v1/proof/consistency":
            size1, size2 = (int(parse_qs(url.query)[name][0]) for name in ("size1", "size2"))
            if not 0 < size1 <= size2 <= self.size:
                return http(400, b"{}")
            proof = merkle.consistency_proof(self.leaves, size1, size2)
            return http(200, json.dumps({"hashes": [base64.b64encode(one).decode() for one in proof]}).encode())
        if url.path.startswith("/tile/"):
            tile = parse_tile_path(url.path[1:])
            assert tile.level is not None
            if self.whole_tiles and tile.width < 256:
                return http(404, b"only full tiles")
            width = 256**tile.level
            found = [
                merkle.root(self.leaves[(tile.index * 256 + place) * width :][:width]) for place in range(tile.width)
            ]
            return http(200, b"".join(found))
        return http(404, b"")


class Archive:
    """The node of a member whose log was retired: it shows the tiles of the old one, beside an empty present log."""

    def __init__(self, owner: Body, leaves: list[bytes], size: int) -> None:
        self.shown = Shown(owner, leaves, size)
        self.prefix = "/mirror/" + hashlib.sha256(owner.info.origin.encode()).hexdigest()

    def __call__(self, path: str, body: bytes) -> Answer:
        if not path.startswith(self.prefix):
            return http(404, b"{}")
        rest = path.removeprefix(self.prefix)
        return http(404, b"{}") if rest.startswith("/v1/") else self.shown(rest, body)


class Scene:
    """Member 0's log, our witness (1), another one (2)."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.owner = town.bodies[0]
        self.other = town.honest(2)
        self.doubts: list[tuple[str, bytes]] = []
        self.alarms = town.alarms("ours")
        self.ours = town.witness(
            1, alarms=self.alarms, on_doubt=lambda origin, note: self.doubts.append((origin, note))
        )
        self.publishing: Publishing | None = None
        self.check = CrossCheck(
            member=town.bodies[1].uscc, store=self.ours._store, roster=town.roster, peers=town.peers,
            rests=PeerTracker(system_clock).rests, alarms=self.alarms, context=self._context,
            is_open=lambda: self.publishing is not None, timeout=180, metrics=Metrics(), on_fatal=lambda error: None,
        )  # fmt: skip
        town.at_end(self.check.close)

    def _context(self) -> object:
        assert self.publishing is not None
        return SimpleNamespace(log=self.publishing.log, member=self.owner.uscc, clock=system_clock)

    def tell(self, witness: LogWitness, leaves: list[bytes], *sizes: int) -> None:
        """The log offers heads of a history to a witness, which cosigns them."""
        old = 0
        for size in sizes:
            proof = merkle.consistency_proof(leaves, old, size) if old else ()
            assert witness.add_checkpoint(format_request(old, proof, self.owner.note(leaves, size)))[0] == 200
            old = size

    def tell_on(self, witness: LogWitness, leaves: list[bytes], size: int) -> None:
        """One more head for a witness that has some already."""
        known = witness._store.get(self.owner.info.origin)
        old = known.checkpoint.size if known else 0
        proof = merkle.consistency_proof(leaves, old, size) if old else ()
        assert witness.add_checkpoint(format_request(old, proof, self.owner.note(leaves, size)))[0] == 200

    def round(self) -> None:
        """One round per member, so that everybody was asked."""
        for _ in range(2):
            self.check._step()

    def proof(self) -> ForkEvidence:
        (alarm,) = self.alarms.alarms()
        assert (alarm.kind, alarm.member) == ("log.forked", self.owner.uscc)
        assert alarm.evidence is not None
        alarm.evidence.verify((self.owner.vkey,))
        return alarm.evidence


@pytest.fixture
def scene(found: Found) -> Scene:
    return Scene(found(3))


@pytest.mark.parametrize("sizes", [(9, 9), (9, 20), (20, 9), (8, 20), (1, 300), (256, 700), (300, 512), (0, 5)])
def test_an_honest_log_raises_nothing(scene: Scene, sizes: tuple[int, int]) -> None:
    scene.town.liar(0, Shown(scene.owner, TRUNK, 700))
    for witness, size in zip((scene.ours, scene.other), sizes, strict=True):
        if size:
            scene.tell(witness, TRUNK, size)
    for _ in range(5):
        scene.round()
    assert scene.alarms.alarms() == ()


# Sizes that are powers of two matter: there a consistency proof does not hold the smaller tree's hash.
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(9, 9), (9, 20), (20, 9), (8, 20), (20, 8), (64, 65), (256, 700), (512, 700), (300, 256), (1, 2)],
)
@pytest.mark.parametrize("shows_ours", [True, False])
def test_two_histories_are_found_out_with_proof(scene: Scene, ours: int, theirs: int, shows_ours: bool) -> None:
    fork = branch(0)
    scene.town.liar(0, Shown(scene.owner, TRUNK if shows_ours else fork, 700))
    scene.tell(scene.ours, TRUNK, ours)
    scene.tell(scene.other, fork, theirs)
    scene.round()
    evidence = scene.proof()
    roots = {merkle.root(leaves[:size]) for leaves, size in ((TRUNK, ours), (fork, theirs), (TRUNK, 700), (fork, 700))}
    proven = evidence.verify((scene.owner.vkey,))
    assert {proven.first.root, proven.second.root} <= roots
    # Seen again and again, it is one alarm; it survives a restart.
    scene.round()
    assert len(scene.alarms.alarms()) == 1
    assert scene.proof() == evidence


def test_a_fork_whose_branches_grow_is_one_alarm_and_one_record(scene: Scene) -> None:
    fork = branch(0)
    scene.town.liar(0, Shown(scene.owner, fork, 700))
    scene.publishing = scene.town.publishing()
    for number in range(1, 5):
        scene.tell_on(scene.ours, TRUNK, 9 * number)
        scene.tell_on(scene.other, fork, 20 * number)
        scene.round()
    assert scene.proof()
    assert scene.publishing.log.size == 1


def test_a_node_that_shows_a_third_history_contradicts_itself(scene: Scene) -> None:
    scene.town.liar(0, Shown(scene.owner, branch(2, b"third"), 700))
    scene.tell(scene.ours, TRUNK, 9)
    scene.tell(scene.other, branch(5), 20)
    scene.round()
    proven = scene.proof().verify((scene.owner.vkey,))
    assert proven.second.size == 700
    assert proven.first.root == merkle.root(TRUNK[:9])


def test_full_tiles_serve_where_partial_ones_are_gone(scene: Scene) -> None:
    shown = Shown(scene.owner, branch(3), 700)
    shown.whole_tiles = True
    scene.town.liar(0, shown)
    scene.tell(scene.ours, TRUNK, 64)
    scene.tell(scene.other, branch(3), 300)
    scene.round()
    assert scene.proof().verify((scene.owner.vkey,)).first.size == 64


def retire(scene: Scene) -> None:
    """The members voted: the log's successor is in force, the heads of the old one are held as before."""
    before = scene.town.bodies[0]
    scene.town.bodies[0] = replace(before, info=replace(before.info, generation=2))


@pytest.mark.parametrize(("ours", "theirs"), [(9, 9), (9, 20), (20, 8), (256, 700), (512, 700), (1, 2)])
@pytest.mark.parametrize("shows_ours", [True, False])
def test_a_retired_log_is_compared_too(scene: Scene, ours: int, theirs: int, shows_ours: bool) -> None:
    fork = branch(0)
    scene.town.liar(0, Archive(scene.owner, TRUNK if shows_ours else fork, 700))
    scene.tell(scene.ours, TRUNK, ours)
    scene.tell(scene.other, fork, theirs)
    retire(scene)
    scene.round()
    assert scene.proof().origin == scene.owner.info.origin
    # What is retired is cosigned by nobody any more.
    old = scene.ours._store.get(scene.owner.info.origin)
    assert old is not None
    request = format_request(old.checkpoint.size, (), old.note)
    assert scene.ours.add_checkpoint(request)[0] == 404


@pytest.mark.parametrize("sizes", [(9, 9), (9, 20), (300, 8), (256, 700)])
@pytest.mark.parametrize("gone", [False, True])
def test_an_honest_retired_log_raises_nothing(scene: Scene, sizes: tuple[int, int], gone: bool) -> None:
    archive = Archive(scene.owner, TRUNK, 700)
    archive.shown.silent = gone
    scene.town.liar(0, archive)
    for witness, size in zip((scene.ours, scene.other), sizes, strict=True):
        scene.tell(witness, TRUNK, size)
    retire(scene)
    for _ in range(4):
        scene.round()
    assert scene.alarms.alarms() == ()


def test_a_head_refused_for_its_proof_is_looked_into(scene: Scene) -> None:
    scene.town.liar(0, Shown(scene.owner, branch(3), 700))
    scene.tell(scene.ours, TRUNK, 9)
    # The log itself offers a continuation of its other history.
    proof = merkle.consistency_proof(branch(3), 9, 30)
    request = format_request(9, proof, scene.owner.note(branch(3), 30))
    assert scene.ours.add_checkpoint(request)[0] == 422
    assert scene.alarms.alarms() == (), "a wrong proof alone is nobody's fault: anybody can send one"
    ((origin, note),) = scene.doubts
    scene.check.doubt(origin, note)
    scene.round()
    assert scene.proof().verify((scene.owner.vkey,)).second.size == 30


def test_a_stranger_who_sends_wrong_proofs_accuses_nobody(scene: Scene) -> None:
    scene.town.liar(0, Shown(scene.owner, TRUNK, 700))
    scene.tell(scene.ours, TRUNK, 9)
    request = format_request(9, (bytes(32),) * 5, scene.owner.note(TRUNK, 30))
    assert scene.ours.add_checkpoint(request)[0] == 422
    scene.check.doubt(*scene.doubts[0])
    for _ in range(4):
        scene.round()
    assert scene.alarms.alarms() == ()


def test_two_roots_of_one_size_need_nobody_else(scene: Scene) -> None:
    scene.tell(scene.ours, TRUNK, 9)
    for old in (9, 0, 3):
        status, _, _ = scene.ours.add_checkpoint(format_request(old, (), scene.owner.note(branch(3), 9)))
        assert status in (409, 422)
    assert scene.proof().path == ()
    assert scene.doubts == []


def test_a_log_that_cannot_show_its_past_is_an_alarm_after_a_while(scene: Scene) -> None:
    class Wrong(Shown):
        """Answers proofs with junk, and has no newer head to be caught with."""

        def __call__(self, path: str, body: bytes) -> Answer:
            if path.startswith("/v1/proof"):
                return http(200, json.dumps({"hashes": [base64.b64encode(bytes(32)).decode()]}).encode())
            return http(404, b"") if path == "/checkpoint" else super().__call__(path, body)

    scene.town.liar(0, Wrong(scene.owner, TRUNK, 700))
    scene.tell(scene.ours, TRUNK, 9)
    scene.tell(scene.other, TRUNK, 20)
    scene.round()
    assert scene.alarms.alarms() == ()
    for _ in range(3):
        scene.round()
    (alarm,) = scene.alarms.alarms()
    assert (alarm.kind, alarm.evidence) == ("log.unshown", None)


def test_silence_is_no_accusation(scene: Scene) -> None:
    shown = Shown(scene.owner, branch(3), 700)
    shown.silent = True
    scene.town.liar(0, shown)
    scene.tell(scene.ours, TRUNK, 9)
    scene.tell(scene.other, branch(3), 20)
    for _ in range(4):
        scene.round()
    assert scene.alarms.alarms() == ()
    shown.silent = False
    scene.round()
    assert scene.proof()


def test_a_fork_is_told_of_in_the_own_log_once(scene: Scene) -> None:
    scene.tell(scene.ours, TRUNK, 9)
    scene.ours.add_checkpoint(format_request(9, (), scene.owner.note(branch(3), 9)))
    scene.check._tell()
    assert len(scene.alarms.unrecorded()) == 1, "the log is not open yet"
    scene.publishing = scene.town.publishing()
    for _ in range(3):
        scene.check._tell()
    assert scene.publishing.log.size == 1
    record = decode_record(scene.publishing.log.read(0, 1)[0])
    assert record.type == "system.fork-seen"
    assert record.body == {"member": scene.owner.uscc, "evidence": scene.proof().digest.hex(), "size": 9}
    # Killed between the record and the mark: the same bytes again are the same record.
    alarm = scene.alarms.alarms()[0]
    scene.alarms.recorded(alarm.id, -1)
    scene.check._tell()
    assert scene.publishing.log.size == 1
