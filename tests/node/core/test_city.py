"""Whole cities of real nodes: ordering, finality, witnessing, anchoring, restarts."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from ledger import log as ledger_log
from ledger.errors import ConflictError, LedgerError, UnavailableError
from ledger.evidence import merkle
from ledger.evidence.bundle import assemble
from ledger.evidence.checkpoint import Checkpoint, format_checkpoint, parse_checkpoint, parse_note, sign_note
from ledger.evidence.witness import format_request
from ledger.model import KeyRole
from ledger.v1 import peer_pb2, peer_pb2_grpc
from ledger.verify import verify_bundle
from node.compose import Node
from node.identity.pinned import PinnedClient
from node.rpc.errors import from_rpc
from tests.node.core.city import City, Founded, found, record
from tests.node.core.makers import eventually


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    """Five members, all running; tests add to it and stop nothing."""
    with City(found(tmp_path_factory.mktemp("city"), 5)) as running:
        running.start()
        yield running


@pytest.fixture
def founded(tmp_path: Path) -> Founded:
    """Three members whose nodes the test starts and stops."""
    return found(tmp_path, 3)


def same_height(city: City) -> int:
    heights = {node.core.chain.head().height for node in city.nodes.values()}
    return heights.pop() if len(heights) == 1 else 0


def test_every_node_executes_every_block_and_the_head_becomes_final(city: City) -> None:
    sender = city[3].sender
    anchors = city[3].core.contracts.anchors
    first = city[3].core.log.append_record(record(city[3], 1))
    city[3].anchors.parts(first, 180)
    assert sender.address == city[3].core.keys[KeyRole.ACCOUNT].public
    eventually(lambda: len({node.core.chain.head().hash for node in city.nodes.values()}) == 1)
    for node in city.nodes.values():
        eventually(lambda node=node: node.core.board.final_height() >= 1)
        assert node.core.contracts.anchors.anchor(city[3].core.member) == anchors.anchor(city[3].core.member)
    finality = city[4].core.board.finality
    assert finality is not None
    assert len(finality.cosignatures) == 3, "of four others three must cosign"


def test_a_checkpoint_is_cosigned_by_the_others_and_anchored_as_it_is(city: City) -> None:
    node = city[1]
    index = node.core.log.append_record(record(node, 2))
    published = node.publisher.publish_now(wait_witnessed_s=180)
    assert published is not None
    assert published.size > index
    assert published.witnessed
    kept = node.anchors.parts(index, 180)
    checkpoint = parse_checkpoint(parse_note(kept.parts.note).text)
    anchor = node.core.contracts.anchors.anchor(node.core.member)
    assert anchor is not None
    assert checkpoint.size == kept.size >= published.size
    assert len(parse_note(kept.parts.note).signatures) == 1 + 3
    for other in (0, 2, 3, 4):
        eventually(lambda other=other: _witnessed_size(city[other], node.core.log.origin) >= published.size)


def _witnessed_size(node: Node, origin: str) -> int:
    head = node.core.stores.witness.get(origin)
    return head.checkpoint.size if head else 0


def test_the_kept_parts_make_a_bundle_that_verifies_without_the_node(city: City) -> None:
    node = city[2]
    entry = record(node, 3)
    index = node.core.log.append_record(entry)
    kept = node.anchors.parts(index, 180)
    bundle = assemble(
        node.core.log.read(index, 1)[0], index, node.core.log.prove_inclusion(index, kept.size), kept.parts
    )
    verdict = verify_bundle(bundle, node.anchors.policy())
    assert (verdict.verdict, verdict.reached, verdict.finality) == ("verified", "final", "single-signer")
    other = city[0].anchors.policy()
    assert verify_bundle(bundle, other).verdict == "verified", "any member's policy will do"


def test_the_index_follows_the_log(city: City) -> None:
    node = city[4]
    node.core.log.append_record(record(node, 4))
    eventually(lambda: node.core.stores.index.indexed_size == node.core.log.size)


def test_the_doctor_finds_nothing_wrong(city: City) -> None:
    for node in city.nodes.values():
        eventually(lambda node=node: all(one.severity == "ok" for one in node.context.diagnose()))


def test_only_the_sequencer_admits_and_gathers(city: City) -> None:
    stub = peer_pb2_grpc.BlockServiceStub(city[0].core.peers.channel(city[1].core.member))
    for call, request in (
        (stub.SubmitTransactions, peer_pb2.SubmitTransactionsRequest(transactions=[b"\x02"])),
        (stub.Cosign, peer_pb2.CosignRequest()),
    ):
        assert _code_of(lambda call=call, request=request: call(request, timeout=180)) == "chain.not-sequencer"


def test_bad_calls_of_the_block_service_are_named(city: City) -> None:
    stub = peer_pb2_grpc.BlockServiceStub(city[1].core.peers.channel(city[0].core.member))
    far = peer_pb2.FollowRequest(**{"from": 10_000})
    assert _code_of(lambda: next(iter(stub.Follow(far, timeout=180)))) == "follow.ahead"
    assert _code_of(lambda: stub.Cosign(peer_pb2.CosignRequest(), timeout=180)) == "head.malformed"
    assert (
        _code_of(lambda: stub.GetFinality(peer_pb2.GetFinalityRequest(height=10_000), timeout=180)) == "finality.none"
    )
    many = peer_pb2.SubmitTransactionsRequest(transactions=[b"\x02"] * 5_001)
    assert _code_of(lambda: stub.SubmitTransactions(many, timeout=180)) == "submit.too-many"
    answer = stub.SubmitTransactions(peer_pb2.SubmitTransactionsRequest(transactions=[b"\x02"]), timeout=180)
    assert answer.results[0].code == "tx.malformed"


def _code_of(call: object) -> str:
    with pytest.raises(grpc.RpcError) as caught:
        call()  # type: ignore[operator]
    return from_rpc(caught.value).code


def test_a_follower_that_was_away_catches_up(founded: Founded) -> None:
    with City(founded) as city:
        city.start()
        city.stop(2)
        index = city[1].core.log.append_record(record(city[1], 1))
        # Two others are needed of two, so the missing one stops witnessing, and the doctor says whom to start.
        published = city[1].publisher.publish_now(wait_witnessed_s=0.5)
        assert published is not None
        assert not published.witnessed
        eventually(lambda: (newest := city[1].publisher.newest()) is not None and newest.cosignatures == 1)
        with pytest.raises(UnavailableError, match=r"anchor\.timeout") as caught:
            city[1].anchors.parts(index, 0.1)
        assert "1 of 2 cosignatures" in caught.value.hint
        eventually(lambda: "peer.unreachable" in {one.code for one in city[1].context.diagnose()})
        city.start(2)
        assert city[1].anchors.parts(index, 180).size > index
        eventually(lambda: same_height(city))


def test_the_sequencer_comes_back_and_the_chain_goes_on(founded: Founded) -> None:
    with City(founded) as city:
        city.start()
        index = city[1].core.log.append_record(record(city[1], 1))
        city[1].anchors.parts(index, 180)
        before = city[1].core.board.final_height()
        city.stop(0)
        city.start(0)
        index = city[1].core.log.append_record(record(city[1], 2))
        city[1].anchors.parts(index, 180)
        assert city[1].core.board.final_height() > before


def test_a_whole_city_restarts_where_it_was(founded: Founded) -> None:
    with City(founded) as city:
        city.start()
        index = city[2].core.log.append_record(record(city[2], 1))
        kept = city[2].anchors.parts(index, 180)
        city.stop()
        sizes = [ledger_log_size(folder) for folder in founded.folders]
        city.start()
        again = city[2].anchors.newest()
        assert again is not None
        assert again.size >= kept.size
        for node, size in zip(city.nodes.values(), sizes, strict=True):
            # One record more: system.started; and no recovery, because the stop was clean.
            assert node.core.log.size == size + 1
            assert b'"type":"system.started"' in node.core.log.read(size, 1)[0]


def ledger_log_size(folder: Path) -> int:
    report = ledger_log.fsck(folder / "log")
    assert report.ok, report.problems
    return report.size


def test_a_log_restored_from_an_old_copy_stays_closed(founded: Founded, tmp_path: Path) -> None:
    with City(founded) as city:
        city.start()
        city.stop(1)
        shutil.copytree(founded.folders[1] / "log", tmp_path / "backup")
        city.start(1)
        index = city[1].core.log.append_record(record(city[1], 1))
        city[1].anchors.parts(index, 180)
        city.stop(1)
        shutil.rmtree(founded.folders[1] / "log")
        shutil.copytree(tmp_path / "backup", founded.folders[1] / "log")
        node = Node.open(founded.folders[1], environ={})
        city.nodes[1] = node
        node.start()
        eventually(lambda: (reason := node.closed_reason()) is not None and reason.code == "log.behind")
        assert not node.gate.is_open
        with pytest.raises(ConflictError, match=r"log\.behind"):
            node.core.log.append_record(record(node, 2))
        assert "log.behind" in {one.code for one in node.context.diagnose()}


def test_a_sequencer_restored_from_an_old_copy_takes_its_blocks_back(founded: Founded, tmp_path: Path) -> None:
    with City(founded) as city:
        city.start()
        index = city[1].core.log.append_record(record(city[1], 1))
        city[1].anchors.parts(index, 180)
        city.stop(0)
        shutil.copytree(founded.folders[0] / "store" / "chain", tmp_path / "backup")
        city.start(0)
        for number in range(3):
            index = city[1].core.log.append_record(record(city[1], number))
            city[1].anchors.parts(index, 180)
        height = city[1].core.board.final_height()
        final = city[1].core.chain.store.block(height)
        assert final is not None
        city.stop(0)
        shutil.rmtree(founded.folders[0] / "store" / "chain")
        shutil.copytree(tmp_path / "backup", founded.folders[0] / "store" / "chain")
        city.start(0)
        eventually(lambda: city[0].core.chain.head().height >= height)
        again = city[0].core.chain.store.block(height)
        assert again is not None
        assert again.hash == final.hash, "no second block of a height that others executed"
        index = city[1].core.log.append_record(record(city[1], 9))
        assert city[1].anchors.parts(index, 180).size > index
        eventually(lambda: same_height(city))


def test_a_sequencer_alone_makes_no_block(founded: Founded) -> None:
    with City(founded) as city:
        city.nodes[0] = node = Node.open(founded.folders[0], environ={})
        node.start()
        eventually(lambda: "chain.rejoining" in {one.code for one in node.context.diagnose()})
        directory = node.core.contracts.directory
        calldata = directory.encode_add_demand(
            "", bytes(31) + b"\1", bytes(31) + b"\2", node.core.clock() // 1_000 + 99_999
        )
        with pytest.raises(UnavailableError, match=r"chain\.timeout"):
            node.sender.send(directory.address, calldata, timeout=0.5)
        assert node.core.chain.head().height == 0
        city.start(1, 2)
        assert node.wait_open(180)
        eventually(lambda: node.core.board.final_height() >= 1)


def test_a_log_whose_double_was_cosigned_signs_nothing_more(founded: Founded) -> None:
    with City(founded) as city:
        city.start()
        node = city[1]
        index = node.core.log.append_record(record(node, 1))
        size = node.anchors.parts(index, 180).size
        # A copy of this folder runs elsewhere with the same keys: it gets ahead at one witness.
        leaves = [node.core.log.leaf(place) for place in range(size)] + [bytes([place]) * 32 for place in range(3)]
        double = Checkpoint(origin=node.core.log.origin, size=size + 3, root=merkle.root(leaves))
        note = sign_note(format_checkpoint(double), double.origin, node.core.keys[KeyRole.LOG])
        client = PinnedClient(city[0].core.peers[city[2].core.member], 180)
        proof = merkle.consistency_proof(leaves, size, size + 3)
        assert client.post("/add-checkpoint", format_request(size, proof, note)).status == 200
        client.close()
        node.core.log.append_record(record(node, 2))
        eventually(lambda: (closed := node.core.log.why_closed) is not None and closed.code == "log.behind")
        with pytest.raises(ConflictError, match=r"log\.behind"):
            node.core.log.append_record(record(node, 3))
        assert "log.behind" in {one.code for one in node.context.diagnose()}


def test_a_log_stays_closed_while_too_few_witnesses_answer(founded: Founded) -> None:
    with City(founded) as city:
        node = Node.open(founded.folders[1], environ={})
        city.nodes[1] = node
        node.start()
        eventually(lambda: "0 of the 2 witnesses" in node.opening.waiting_for)
        with pytest.raises(UnavailableError, match=r"log\.unguarded"):
            node.core.log.append_record(record(node, 1))
        closed = node.closed_reason()
        assert closed is not None
        assert "silent" in closed.message
        city.start(0, 2)
        assert node.wait_open(180)


def test_a_stale_view_judges_nothing(founded: Founded) -> None:
    with City(founded) as city:
        city.start()
        city[1].context.require_fresh_chain()
        city.stop(0)
        late = city[1].core.clock() + 181_000
        object.__setattr__(city[1].core.board, "_clock", lambda: late)
        with pytest.raises(UnavailableError, match=r"chain\.stale") as caught:
            city[1].context.require_fresh_chain()
        assert caught.value.expected == 180_000
        assert "chain.stale" in {one.code for one in city[1].context.diagnose()}


def test_a_folder_has_one_process_and_a_port_one_owner(founded: Founded) -> None:
    with City(founded) as city:
        node = Node.open(founded.folders[0], environ={})
        city.nodes[0] = node
        with pytest.raises(ConflictError, match=r"store\.locked"):
            Node.open(founded.folders[0], environ={})
        node.start()
        taken = (founded.folders[0] / "node.toml").read_text(encoding="utf-8")
        port = f"port = {founded.foundings[0].peer.https.rpartition(':')[2]}"
        mine = (founded.folders[1] / "node.toml").read_text(encoding="utf-8")
        own = f"port = {founded.foundings[1].peer.https.rpartition(':')[2]}"
        assert port in taken
        (founded.folders[1] / "node.toml").write_text(mine.replace(own, port), encoding="utf-8")
        with pytest.raises(ConflictError, match=r"listen\.in-use"):
            Node.open(founded.folders[1], environ={}).start()
        # Nothing of the failed start is left: with its own port the same folder starts.
        (founded.folders[1] / "node.toml").write_text(mine, encoding="utf-8")
        city.nodes[1] = Node.open(founded.folders[1], environ={})
        city.nodes[1].start()


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda folder: (folder / "genesis.json").unlink(), "genesis.missing"),
        (lambda folder: (folder / "peers.json").write_bytes(b"{}"), "peers.invalid"),
        (lambda folder: (folder / "keys" / "log.pem").unlink(), "key.missing"),
        (lambda folder: (folder / "keys" / "log.pem").chmod(0o644), "key.mode"),
        (lambda folder: (folder / "passphrase").unlink(), "key.no-passphrase"),
        (
            lambda folder: (folder / "node.toml").write_text(
                (folder / "node.toml").read_text(encoding="utf-8").replace("dept-1", "dept-9"), encoding="utf-8"
            ),
            "config.member-mismatch",
        ),
    ],
)
def test_a_spoiled_folder_is_one_clear_error_and_leaves_no_lock(founded: Founded, spoil, code: str) -> None:
    folder = founded.folders[0]
    backup = folder.with_name("backup")
    shutil.copytree(folder, backup)
    spoil(folder)
    with pytest.raises(LedgerError) as caught:
        Node.open(folder, environ={})
    assert caught.value.code == code
    assert caught.value.hint
    shutil.rmtree(folder)
    shutil.copytree(backup, folder)
    Node.open(folder, environ={}).core.closing.run()
