"""A member's log as the gateway sees it: every way a node can be wrong or lie, and what is then shown."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from gateway.chain import log_keys
from gateway.config import Peer
from gateway.logs import FRESH_MS, MemberLog
from gateway.upstream import Answer
from gateway.views import ChainMember
from ledger import codec
from ledger.chain.bindings import AnchorInfo
from ledger.errors import InvalidInputError, LedgerError, NotFoundError, UnavailableError, UntrustedError
from ledger.evidence import merkle
from ledger.evidence.checkpoint import add_signature, cosign, parse_note, parse_proof
from ledger.evidence.tiles import Tile, parse_tile_path
from ledger.keys import Ed25519Signer
from ledger.log import DepartmentLog
from ledger.model import KeyInfo, KeyRole, KeyStatus, MemberInfo, MemberStatus, Roles, format_time

USCCS = ["91110000600037341L", "91320621MA1MRHG205", "91110000802100433B", "11310000MB2F00001X"]
NOW_S = 1_790_000_000
SPKI = b"s" * 32


def info(number: int) -> MemberInfo:
    return MemberInfo(
        uscc=USCCS[number],
        handle=f"m{number}",
        region="310000",
        roles=Roles(0),
        status=MemberStatus.ACTIVE,
        account=bytes([number]) * 20,
        generation=1,
        since=0,
        validator=False,
    )


def witness(number: int) -> Ed25519Signer:
    return Ed25519Signer(KeyRole.WITNESS, bytes([number + 100]) * 32)


def key(number: int, role: KeyRole, material: bytes, status: KeyStatus = "active") -> KeyInfo:
    return KeyInfo(
        material=material, member=USCCS[number], role=role, status=status, valid_from=0, valid_to=0, ended_at=0
    )


def record(number: int, text: str = "0.1") -> bytes:
    return codec.encode(
        {
            "body": {"version": f"{text}.{number}"},
            "member": USCCS[0],
            "time": format_time(NOW_S * 1000),
            "type": "system.started",
            "v": 1,
        }
    )


class Node:
    """What stands behind a pinned connection: a real log, and ways to answer wrongly."""

    def __init__(self, log: DepartmentLog) -> None:
        self.log = log
        self.peer = Peer(uscc=USCCS[0], https="node:1", certificate="")
        self.spki = SPKI
        self.note = b""
        self.down = False
        self.change: Callable[[str, bytes], bytes] = lambda path, body: body

    def publish(self, witnesses: tuple[int, ...] = (1, 2, 3)) -> None:
        note = self.log.publish()
        for number in witnesses:
            line = cosign(parse_note(note).text, info(number).witness_name, witness(number), NOW_S + number)
            note = add_signature(note, line)
        self.note = note

    def get(self, path: str) -> Answer:
        if self.down:
            raise UnavailableError("node.unreachable", "the node does not answer")
        return Answer(status=200, body=self.change(path, self._body(path)))

    def _body(self, path: str) -> bytes:
        route, _, query = path.partition("?")
        numbers = [int(part.partition("=")[2]) for part in query.split("&") if part]
        if route == "/checkpoint":
            return self.note
        if route == "/v1/proof/inclusion":
            return _hashes(self.log.prove_inclusion(*numbers))
        if route == "/v1/proof/consistency":
            return _hashes(self.log.prove_consistency(*numbers))
        tile = parse_tile_path(path[1:])
        assert tile.level is not None
        return self.log.hash_tile(tile.level, tile.index, tile.width)

    def close(self) -> None:
        self.down = True


def _hashes(items: list[bytes]) -> bytes:
    return json.dumps({"hashes": [base64.b64encode(item).decode() for item in items]}).encode()


@dataclass(slots=True)
class Scene:
    """A node, the gateway's view of it, and a clock that moves by hand."""

    node: Node
    member: ChainMember
    seen: MemberLog
    now: list[int]

    def later(self) -> None:
        self.now[0] += FRESH_MS

    def problem(self) -> LedgerError:
        self.later()
        found = self.seen.refresh(self.member).problem
        assert found is not None
        return found


@pytest.fixture
def open_log(tmp_path: Path, log_signer: Ed25519Signer) -> Iterator[Callable[[str], DepartmentLog]]:
    opened: list[DepartmentLog] = []

    def do(name: str) -> DepartmentLog:
        log = DepartmentLog.open(tmp_path / name, origin=info(0).origin, signer=log_signer, clock=lambda: NOW_S * 1000)
        log.guard(())
        opened.append(log)
        return log

    yield do
    for log in opened:
        log.close()


@pytest.fixture
def scene(open_log: Callable[[str], DepartmentLog], log_signer: Ed25519Signer) -> Scene:
    log = open_log("log")
    log.append([record(number) for number in range(300)])
    node = Node(log)
    node.publish()
    now = [NOW_S * 1000]
    seen = MemberLog(node, lambda: now[0])  # type: ignore[arg-type]
    return Scene(node, member_with(log_signer), seen, now)


def member_with(signer: Ed25519Signer, status: KeyStatus = "active", **changes: Any) -> ChainMember:
    infos = tuple(info(number) for number in range(4))
    keys = {one.uscc: (key(n, KeyRole.WITNESS, witness(n).public),) for n, one in enumerate(infos)}
    keys[USCCS[0]] += (key(0, KeyRole.LOG, signer.public, status), key(0, KeyRole.TLS, SPKI))
    made = ChainMember(info=infos[0], name="m0", keys=log_keys(infos[0], infos, keys), anchor=None)
    return replace(made, **changes)


def anchor(size: int, root: bytes, generation: int = 1) -> AnchorInfo:
    return AnchorInfo(member=USCCS[0], size=size, root=root, index_root=bytes(32), time=NOW_S, generation=generation)


# --- what is right ---------------------------------------------------------------------------------------------------


def test_a_good_log_is_shown_with_its_cosignatures(scene: Scene) -> None:
    view = scene.seen.refresh(scene.member)
    assert (view.reachable, view.size, view.cosignatures, view.cosigned_at) == (True, 300, 3, NOW_S + 3)
    assert view.problem is None
    assert scene.seen.checkpoint(scene.member)[0] == scene.node.note


def test_proofs_are_checked_and_complete(scene: Scene) -> None:
    answer = scene.seen.inclusion(scene.member, 77, None)
    proof = parse_proof(answer.tlog_proof)
    assert (proof.index, proof.note) == (77, scene.node.note)
    leaf = merkle.leaf_hash(record(77))
    merkle.verify_inclusion(leaf, 77, 300, scene.node.log.root(300), proof.hashes)
    older = scene.seen.inclusion(scene.member, 77, 100)
    merkle.verify_inclusion(leaf, 77, 100, scene.node.log.root(100), older.hashes)
    assert older.tlog_proof == ""
    hashes = scene.seen.consistency(scene.member, 100, 257)
    merkle.verify_consistency(100, 257, scene.node.log.root(100), scene.node.log.root(257), hashes)


def test_tiles_are_served_and_entries_are_not(scene: Scene) -> None:
    data = scene.seen.tile(scene.member, Tile(level=0, index=1, width=44))
    assert data == scene.node.log.hash_tile(0, 1, 44)
    with pytest.raises(NotFoundError) as caught:
        scene.seen.tile(scene.member, Tile(level=None, index=0, width=1))
    assert caught.value.code == "tile.entries"


def test_a_growing_log_is_followed(scene: Scene) -> None:
    scene.seen.refresh(scene.member)
    scene.node.log.append([record(number) for number in range(300, 700)])
    scene.node.publish()
    scene.later()
    assert scene.seen.refresh(scene.member).size == 700


def test_while_the_newest_head_gathers_cosignatures_the_one_before_is_shown(scene: Scene) -> None:
    scene.seen.refresh(scene.member)
    scene.node.log.append([record(300)])
    scene.node.publish((1,))
    scene.later()
    view = scene.seen.refresh(scene.member)
    assert (view.size, view.problem) == (300, None)


def test_an_anchor_of_an_older_size_is_compared(scene: Scene) -> None:
    scene.member = replace(scene.member, anchor=anchor(256, scene.node.log.root(256)))
    assert scene.seen.refresh(scene.member).problem is None


# --- what is wrong ---------------------------------------------------------------------------------------------------


def test_too_few_cosignatures_are_not_shown(scene: Scene) -> None:
    scene.node.publish((1,))
    assert scene.problem().code == "checkpoint.quorum"
    with pytest.raises(UntrustedError):
        scene.seen.checkpoint(scene.member)


def test_the_own_witness_does_not_count(scene: Scene) -> None:
    scene.node.publish((0, 1))
    assert scene.problem().code == "checkpoint.quorum"


def test_a_foreign_or_compromised_log_key_is_refused(scene: Scene, log_signer: Ed25519Signer) -> None:
    scene.member = member_with(Ed25519Signer(KeyRole.LOG, b"\2" * 32))
    assert scene.problem().code == "checkpoint.log-signature"
    scene.member = member_with(log_signer, "compromised")
    assert scene.problem().code == "checkpoint.log-signature"


def test_a_retired_log_key_still_counts(scene: Scene, log_signer: Ed25519Signer) -> None:
    scene.member = member_with(log_signer, "retired")
    assert scene.seen.refresh(scene.member).problem is None


def test_a_certificate_that_is_not_on_chain_is_refused(scene: Scene) -> None:
    scene.node.spki = b"x" * 32
    assert scene.problem().code == "node.certificate"


def test_a_rewritten_log_contradicts_its_anchor(scene: Scene) -> None:
    scene.member = replace(scene.member, anchor=anchor(256, b"x" * 32))
    assert scene.problem().code == "anchor.root"
    with pytest.raises(UntrustedError):
        scene.seen.inclusion(scene.member, 1, None)


def test_a_log_behind_its_anchor_is_named(scene: Scene) -> None:
    scene.member = replace(scene.member, anchor=anchor(301, b"x" * 32))
    assert scene.problem().code == "checkpoint.older"


def test_the_anchor_of_another_generation_says_nothing(scene: Scene) -> None:
    scene.member = replace(scene.member, anchor=anchor(9000, b"x" * 32, generation=2))
    assert scene.seen.refresh(scene.member).problem is None


def test_a_fork_is_named_and_nothing_of_it_is_shown(scene: Scene, open_log: Callable[[str], DepartmentLog]) -> None:
    scene.seen.refresh(scene.member)
    good = scene.node.log
    forked = open_log("forked")
    forked.append([record(number, "9.9") for number in range(400)])
    scene.node.log = forked
    scene.node.publish()
    assert scene.problem().code == "checkpoint.forked"
    for ask in (
        lambda: scene.seen.checkpoint(scene.member),
        lambda: scene.seen.tile(scene.member, Tile(level=0, index=0)),
        lambda: scene.seen.consistency(scene.member, 300, 400),
    ):
        with pytest.raises(UntrustedError) as caught:
            ask()
        assert caught.value.code == "checkpoint.forked"
    # Back on the history that was shown before, nothing that the fork handed out is remembered.
    good.append([record(number) for number in range(300, 400)])
    scene.node.log = good
    scene.node.publish()
    scene.later()
    assert scene.seen.refresh(scene.member).problem is None
    assert scene.seen.tile(scene.member, Tile(level=0, index=0)) == good.hash_tile(0, 0, 256)


def test_an_older_checkpoint_than_before_is_named(scene: Scene) -> None:
    old = scene.node.note
    scene.node.log.append([record(300)])
    scene.node.publish()
    scene.seen.refresh(scene.member)
    scene.node.note = old
    assert scene.problem().code == "checkpoint.older"


def test_a_node_that_is_down_is_said_to_be_and_the_last_head_stays(scene: Scene) -> None:
    scene.seen.refresh(scene.member)
    scene.node.down = True
    scene.later()
    view = scene.seen.refresh(scene.member)
    assert (view.reachable, view.size) == (False, 300)
    assert view.problem is not None
    assert view.problem.code == "node.unreachable"
    assert scene.seen.checkpoint(scene.member)[0] == scene.node.note


@pytest.mark.parametrize("path", ["/tile/0/001.p/44", "/tile/1/000.p/1"])
def test_a_changed_tile_is_noticed(scene: Scene, path: str) -> None:
    scene.node.change = lambda asked, body: bytes(len(body)) if asked == path else body
    with pytest.raises(UntrustedError) as caught:
        scene.seen.tile(scene.member, Tile(level=0, index=1, width=44))
    assert caught.value.code == "tile.mismatch"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "node.answer"),
        (b'{"hashes":"x"}', "node.answer"),
        (b'{"hashes":["x"]}', "node.answer"),
        (b'{"hashes":["AAAA"]}', "node.answer"),
        (json.dumps({"hashes": [base64.b64encode(bytes(32)).decode()] * 64}).encode(), "node.answer"),
        (json.dumps({"hashes": [base64.b64encode(bytes(32)).decode()] * 9}).encode(), "inclusion.proof"),
        (b'{"hashes":[]}', "inclusion.proof"),
    ],
)
def test_a_wrong_proof_is_never_passed_on(scene: Scene, body: bytes, code: str) -> None:
    scene.node.change = lambda path, true: body if path.startswith("/v1/proof") else true
    with pytest.raises(UntrustedError) as caught:
        scene.seen.inclusion(scene.member, 5, None)
    assert caught.value.code == code


@pytest.mark.parametrize("note", [b"", b"nonsense", b"a\n1\nAAAA\n\n", b"\xff\xfe"])
def test_what_is_no_checkpoint_is_refused(scene: Scene, note: bytes) -> None:
    scene.node.note = note
    scene.problem()
    with pytest.raises(LedgerError):
        scene.seen.checkpoint(scene.member)


@pytest.mark.parametrize(("index", "size"), [(300, None), (5, 301), (5, 5), (-1, None)])
def test_proofs_out_of_range_are_refused(scene: Scene, index: int, size: int | None) -> None:
    with pytest.raises(InvalidInputError) as caught:
        scene.seen.inclusion(scene.member, index, size)
    assert caught.value.code == "proof.range"


@pytest.mark.parametrize(("size1", "size2"), [(0, 5), (6, 5), (5, 301)])
def test_consistency_out_of_range_is_refused(scene: Scene, size1: int, size2: int) -> None:
    with pytest.raises(InvalidInputError) as caught:
        scene.seen.consistency(scene.member, size1, size2)
    assert caught.value.code == "proof.range"


def test_a_node_is_not_asked_more_often_than_twice_a_second(scene: Scene) -> None:
    asked: list[str] = []
    scene.node.change = lambda path, body: (asked.append(path), body)[1]
    for _ in range(5):
        scene.seen.refresh(scene.member)
    assert asked == ["/checkpoint"]
