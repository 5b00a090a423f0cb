"""A city on CometBFT: real nodes with a real CometBFT each, from a record to the proof a stranger checks."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace

import grpc
import pytest

from ledger.chain.account import sign_transaction
from ledger.errors import LedgerError, UnavailableError, UntrustedError
from ledger.evidence.bft import BftFinality, check_bft, decode_bft, inherit
from ledger.evidence.bundle import assemble, decode_bundle
from ledger.evidence.finality import decode_header
from ledger.keys import AccountSigner
from ledger.model import KeyRole
from ledger.v1 import peer_pb2, peer_pb2_grpc
from ledger.verify import verify_bundle
from node.chain.elders import ask_elders
from node.compose import Node
from node.rpc.errors import from_rpc
from node.services.keys import KeyService
from node.status import public_status
from tests.bft.bft_city import SNAPSHOT_EVERY, City, found_bft, orderer_of, same_head
from tests.node.core.city import record
from tests.node.core.makers import eventually


@pytest.fixture(scope="module")
def bft_city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    """Four validators, all running; every test leaves them so."""
    with City(found_bft(tmp_path_factory.mktemp("bft"), 4)) as running:
        running.start(wait=300)
        yield running


def anchored_bundle(node: Node, number: int) -> bytes:
    """A new record of a node, in a bundle as soon as its anchor is final."""
    index = node.core.log.append_record(record(node, number))
    kept = node.anchors.parts(index, 180)
    return assemble(node.core.log.read(index, 1)[0], index, node.core.log.prove_inclusion(index, kept.size), kept.parts)


def test_a_record_becomes_final_and_a_stranger_verifies_it(bft_city: City) -> None:
    bundle = anchored_bundle(bft_city[2], 1)
    for node in bft_city.nodes.values():
        verdict = verify_bundle(bundle, eventually(lambda node=node: node.anchors.policy()))
        assert (verdict.verdict, verdict.reached, verdict.finality) == ("verified", "final", "bft"), (
            "any policy will do"
        )
    changed = bytearray(bundle)
    changed[len(changed) // 2] ^= 1
    with pytest.raises((UntrustedError, LedgerError)):
        verify_bundle(bytes(changed), bft_city[0].anchors.policy())
    same_head(bft_city)


def test_every_block_has_a_finality_that_the_next_header_signs(bft_city: City) -> None:
    anchored_bundle(bft_city[1], 2)
    node = bft_city[0]
    height = node.core.chain.head().height
    assert eventually(lambda: node.core.board.wait_final(height, 1), 300)
    for at in range(1, height + 1):
        kept = node.core.stores.chain.finality(at)
        assert kept is not None
        assert kept[0] == at
        finality = decode_bft(kept[1])
        header = node.core.stores.chain.header(at)
        assert header is not None
        assert check_bft(finality, node.core.genesis.digest).hash == header[0]
        assert finality.light.height == decode_header(header[1]).consensus_height + 1


def test_what_a_node_says_about_itself(bft_city: City) -> None:
    node = bft_city[3]
    said = public_status(node)
    assert said["engine"] == "cometbft"
    assert node.core.board.role == "validator"
    assert said["final_height"] <= said["height"]
    assert 0 <= said["view_age_ms"] < 180_000
    eventually(lambda: (view := orderer_of(node).consensus()) is not None and view.quorum, 300)
    view = orderer_of(node).consensus()
    assert view is not None
    assert {validator.member for validator in view.validators} == set(bft_city.founded.members)


def test_heads_and_cosignatures_are_of_the_other_engine(bft_city: City) -> None:
    stub = peer_pb2_grpc.BlockServiceStub(bft_city[0].core.peers.channel(bft_city[1].core.member))
    with pytest.raises(grpc.RpcError) as refused:
        stub.Cosign(peer_pb2.CosignRequest(), timeout=180)
    assert from_rpc(refused.value, "the peer").code == "chain.engine"
    with pytest.raises(grpc.RpcError) as refused:
        next(iter(stub.Follow(peer_pb2.FollowRequest(**{"from": 1}), timeout=180)))
    assert from_rpc(refused.value, "the peer").code == "chain.engine"
    eventually(lambda: bft_city[1].core.board.final_height() >= 1, 300)
    served = stub.GetFinality(peer_pb2.GetFinalityRequest(height=1), timeout=180)
    finality = decode_bft(served.bft)
    assert (served.head.height, served.head.hash) == (finality.head.height, finality.head.hash)
    assert check_bft(finality, bft_city[0].core.genesis.digest) == finality.head


def test_a_killed_cometbft_is_started_again_and_the_others_go_on(bft_city: City) -> None:
    process = orderer_of(bft_city[1]).process
    pid, restarts = process.pid, process.restarts
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert verify_bundle(anchored_bundle(bft_city[0], 3), bft_city[2].anchors.policy()).finality == "bft"
    eventually(lambda: process.alive and process.restarts > restarts, 300)
    assert verify_bundle(anchored_bundle(bft_city[1], 4), bft_city[2].anchors.policy()).finality == "bft"
    same_head(bft_city)


def test_a_stopped_node_comes_back_to_the_same_head(bft_city: City) -> None:
    before = bft_city[3].core.chain.head().height
    bft_city.stop(3)
    bundles = [anchored_bundle(bft_city[number], 5 + number) for number in range(3)]
    bft_city.start(3)
    same_head(bft_city)
    node = bft_city[3]
    assert node.core.chain.head().height > before
    eventually(lambda: node.core.board.final_height() >= node.core.chain.head().height, 300)
    for bundle in bundles:
        assert verify_bundle(bundle, node.anchors.policy()).finality == "bft"


def test_a_node_that_lost_its_disk_takes_a_snapshot(bft_city: City) -> None:
    bundle = anchored_bundle(bft_city[3], 13)
    eventually(lambda: bft_city[0].core.board.consensus_height > 3 * SNAPSHOT_EVERY, 300)
    folder = bft_city[3].core.config.folder
    bft_city.stop(3)
    for lost in ("store/chain", "comet"):
        shutil.rmtree(folder / lost)
    for number in range(14, 17):
        anchored_bundle(bft_city[0], number)
    bft_city.start(3)
    node = bft_city[3]
    eventually(lambda: orderer_of(node).server.stats()["chunks_applied"] > 0, 300)
    same_head(bft_city)
    head = node.core.chain.head()
    assert node.core.stores.chain.block(1) is None, "what lies before the snapshot was not executed again"
    assert node.core.stores.chain.header(head.height) == (head.hash, head.header)
    assert verify_bundle(anchored_bundle(node, 17), bft_city[1].anchors.policy()).finality == "bft"
    assert verify_bundle(bundle, node.anchors.policy()).finality == "bft"
    # And from its own disk again.
    bft_city.stop(3)
    bft_city.start(3)
    same_head(bft_city)


def test_what_waits_while_nobody_can_decide_is_handed_to_those_that_come_back(bft_city: City) -> None:
    same_head(bft_city)
    node = bft_city[0]
    signer, chain = node.core.keys[KeyRole.ACCOUNT], node.core.chain
    assert isinstance(signer, AccountSigner)
    bft_city.stop(2, 3)
    # Nothing but a nonce is used up by it.
    nonce = chain.pending_nonce(signer.address)
    raw = sign_transaction(signer, chain_id=chain.chain_id, nonce=nonce, to=b"\x77" * 20, data=b"", gas=30_000)
    hash_ = chain.submit(raw)
    eventually(lambda: bft_city[1].core.embedded.waiting_transaction(hash_) == raw, 300)
    assert chain.waiting()[2], "the next block will have it"
    bft_city.start(2, 3)
    assert chain.wait(hash_, 300).succeeded
    for one in bft_city.nodes.values():
        eventually(lambda one=one: one.core.embedded.waiting_transaction(hash_) is None, 300)
    same_head(bft_city)


def test_the_whole_city_stops_and_goes_on_where_it_was(bft_city: City) -> None:
    bundle = anchored_bundle(bft_city[3], 11)
    before = same_head(bft_city)
    reached = [node.core.board.consensus_height for node in bft_city.nodes.values()]
    bft_city.stop()
    bft_city.start(wait=300)
    for node, height in zip(bft_city.nodes.values(), reached, strict=True):
        assert node.core.board.consensus_height >= height, "signed time and height are known before CometBFT runs"
    assert verify_bundle(bundle, bft_city[0].anchors.policy()).finality == "bft"
    assert verify_bundle(anchored_bundle(bft_city[0], 12), bft_city[3].anchors.policy()).finality == "bft"
    assert same_head(bft_city) > before


def test_a_consensus_key_is_exchanged_while_the_network_goes_on(bft_city: City) -> None:
    node, keys = bft_city[2], bft_city[2].core.keys
    anchored_bundle(bft_city[0], 9)
    before = bft_city[0].anchors.policy()
    old, process = keys.material(KeyRole.CONSENSUS), orderer_of(node).process
    pid = process.pid
    KeyService(node.context)._rotate(KeyRole.CONSENSUS)
    assert node.core.chain.failure is None
    eventually(lambda: keys.material(KeyRole.CONSENSUS) != old, 300)
    new = keys.material(KeyRole.CONSENSUS)
    assert node.core.rosters.current().materials(node.core.member, KeyRole.CONSENSUS) == (new,)
    assert not list(keys.folder.glob("consensus.*.*")), "the old key is destroyed, nothing is staged"
    eventually(lambda: process.pid not in (None, pid), 300)

    def votes() -> bool:
        view = orderer_of(bft_city[0]).consensus()
        return view is not None and any(one.key == new and one.signed_last for one in view.validators)

    eventually(votes, 300)
    bundle = anchored_bundle(bft_city[2], 10)
    for policy in (before, bft_city[1].anchors.policy()):
        assert verify_bundle(bundle, policy).finality == "bft", "the hand-over leads from the old set to the new"
    same_head(bft_city)
    known = decode_bundle(bundle).finality
    assert isinstance(known, BftFinality)
    late = replace(known, handover=())

    def told() -> list[bytes]:
        return list(ask_elders(bft_city[0].core, known.height))

    eventually(lambda: len(told()) == 3, 300)
    for encoded in told():
        # Nodes may have seen other three of the four votes; the heights are the same.
        longer = inherit(late, decode_bft(encoded))
        assert [block.height for block in longer.handover] == [block.height for block in known.handover] != []


def test_a_view_that_is_too_old_judges_nothing(bft_city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    node = bft_city[0]
    node.context.require_fresh_chain()
    board = node.core.board
    monkeypatch.setattr(board, "_clock", lambda: board.newest_time_ms() + 181_000)
    with pytest.raises(UnavailableError) as stale:
        node.context.require_fresh_chain()
    assert stale.value.code == "chain.stale"
