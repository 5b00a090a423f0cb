"""A ``tls`` key replaced while a node was not following the chain: it finds back by itself, also after a restart."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import grpc
import pytest

from ledger.errors import LedgerError, UntrustedError
from ledger.evidence.finality import Head, sign_head
from ledger.keys import Ed25519Signer
from ledger.model import KeyRole
from ledger.v1 import peer_pb2
from node.chain.blockwire import head_message
from node.chain.ways import Ways
from node.identity.tls import next_name
from node.identity.trust import fetch_certificate
from node.rpc.errors import from_rpc
from tests.node.core.city import City, found
from tests.node.core.makers import eventually
from tests.node.core.test_rotation import rotate, settled


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    with City(found(tmp_path, 2)) as running:
        running.start()
        yield running


def away(city: City, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """The follower is not following; the function that is answered lets it follow again."""
    node, parked, back = city[1], threading.Event(), threading.Event()
    follow = node.orderer.loop._step

    def idle() -> float | None:
        parked.set()
        back.wait(0.05)
        return follow() if back.is_set() else 0.0

    monkeypatch.setattr(node.orderer.loop, "_step", idle)
    node.orderer._call.cancel()
    assert parked.wait(300)
    return back.set


def rotate_unseen(city: City, monkeypatch: pytest.MonkeyPatch) -> tuple[bytes, bytes]:
    """The follower replaces its ``tls`` key and does not see the block: its old key and the new one."""
    node, sequencer = city[1], city[0]
    old = node.core.keys.material(KeyRole.TLS)
    with monkeypatch.context() as patch:
        patch.setattr(node.sender, "send", partial(node.sender.send, timeout=0.05))
        with pytest.raises(grpc.RpcError) as late:
            rotate(node, KeyRole.TLS)
    assert from_rpc(late.value, "the node").code == "chain.timeout"
    staged = node.core.keys.staged(KeyRole.TLS)
    assert staged is not None
    view = sequencer.core.rosters.current
    eventually(lambda: view().materials(node.core.member, KeyRole.TLS) == (staged[1],))
    assert node.core.keys.material(KeyRole.TLS) == old
    return old, staged[1]


def in_step(city: City) -> None:
    """Both have the same head, and a write of the follower gets into a block."""
    rotate(city[1], KeyRole.RECEIPT)
    eventually(lambda: city[1].core.chain.head().hash == city[0].core.chain.head().hash)


def test_a_node_whose_key_ended_while_it_was_away_comes_back_with_the_new_one(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow_again = away(city, monkeypatch)
    _, new = rotate_unseen(city, monkeypatch)
    # Asked by that name it shows the certificate of the new key, and by no name the one in use.
    member, https = city[1].core.member, city[1].core.config.https
    address = f"{https.host}:{https.port}"
    assert fetch_certificate(address) == city[1].core.keys.identity.certificate
    staged = city[1].core.keys.staged_identity()
    assert staged is not None
    assert fetch_certificate(address, next_name(member)) == staged.certificate
    follow_again()
    eventually(lambda: city[1].core.keys.material(KeyRole.TLS) == new)
    settled(city[1])
    assert city[1].core.keys.staged_identity() is None
    assert fetch_certificate(address, next_name(member)) == city[1].core.keys.identity.certificate
    in_step(city)


def test_it_comes_back_after_a_restart_too(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    away(city, monkeypatch)
    _, new = rotate_unseen(city, monkeypatch)
    city.stop(1)
    city.start(1)
    eventually(lambda: city[1].core.keys.material(KeyRole.TLS) == new)
    settled(city[1])
    in_step(city)


def test_a_staged_key_that_the_chain_does_not_know_is_not_taken_up(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    node = city[1]
    old = node.core.keys.material(KeyRole.TLS)
    node.core.keys.stage(KeyRole.TLS, bytes([7]) * 32, node.core.clock(), 11)
    tried = threading.Event()
    dial = node.core.peers.dial

    def watched(*given: object, **named: object) -> grpc.Channel:
        tried.set()
        return dial(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(node.core.peers, "dial", watched)
    city.stop(0)
    assert tried.wait(300), "while the sequencer is away the staged key is tried"
    city.start(0)
    eventually(lambda: node.core.chain.head().hash == city[0].core.chain.head().hash)
    assert node.core.keys.material(KeyRole.TLS) == old
    assert node.core.keys.staged(KeyRole.TLS) is not None
    assert city[0].core.peers[node.core.member].spki == old
    rotate(node, KeyRole.TLS)
    assert node.core.keys.material(KeyRole.TLS) != old


def test_a_node_that_was_away_learns_the_sequencers_new_key_by_its_signature(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow_again = away(city, monkeypatch)
    new = rotate(city[0], KeyRole.TLS)
    known = city[1].core.peers[city[0].core.member].spki
    assert known != new
    follow_again()
    eventually(lambda: city[1].core.peers[city[0].core.member].spki == new)
    in_step(city)


class Stream:
    """What an unknown server sends to a follower that has the blocks up to the first ``head``."""

    def __init__(self, city: City) -> None:
        self.core = city[1].core
        self.ways = Ways(
            sequencer=city[0].core.member,
            chain=self.core.chain,
            roster=self.core.rosters.current,
            peers=self.core.peers,
            staged=self.core.keys.staged_identity,
        )
        self.signer = city[0].core.keys[KeyRole.SEQUENCER]
        head = self.core.chain.head()
        self.head = Head(
            chain=self.core.chain.genesis_digest, height=head.height, hash=head.hash, time_ms=head.time * 1_000
        )

    def heads(self, *signed: peer_pb2.SignedHead) -> list[peer_pb2.FollowResponse]:
        return list(self.ways.covered([peer_pb2.FollowResponse(head=one) for one in signed]))

    def blocks(self, *heights: int) -> list[peer_pb2.FollowResponse]:
        found = [self.core.chain.store.block(height) for height in heights]
        return [
            peer_pb2.FollowResponse(block=peer_pb2.Block(header=one.header, transactions=one.transactions))
            for one in found
            if one is not None
        ]


def test_over_an_unknown_connection_only_what_the_sequencer_signed_counts(city: City) -> None:
    in_step(city)
    stream = Stream(city)
    good = head_message(sign_head(stream.signer, stream.head))
    assert [one.WhichOneof("part") for one in stream.heads(good)] == ["head"]
    stranger = Ed25519Signer(KeyRole.SEQUENCER, bytes([9]) * 32)
    other = Head(chain=bytes(32), height=stream.head.height, hash=stream.head.hash, time_ms=stream.head.time_ms)
    beyond = Head(chain=stream.head.chain, height=stream.head.height + 1, hash=bytes(32), time_ms=stream.head.time_ms)
    forged = head_message(sign_head(stream.signer, stream.head))
    forged.signature = bytes(64)
    wrong = {
        "head.signer": [peer_pb2.FollowResponse(head=head_message(sign_head(stranger, stream.head)))],
        "head.chain": [peer_pb2.FollowResponse(head=head_message(sign_head(stream.signer, other)))],
        "finality.signature": [peer_pb2.FollowResponse(head=forged)],
        "head.block": [peer_pb2.FollowResponse(head=head_message(sign_head(stream.signer, beyond)))],
        # A block that does not follow our head, under a head that is signed.
        "block.parent": [
            *stream.blocks(1),
            peer_pb2.FollowResponse(head=head_message(sign_head(stream.signer, beyond))),
        ],
    }
    for code, messages in wrong.items():
        with pytest.raises(LedgerError) as caught:
            list(stream.ways.covered(messages))
        assert (caught.value.code, type(caught.value)) == (code, UntrustedError)
    # Blocks that no head covers are not handed on, and an old head covers nothing.
    assert list(stream.ways.covered(stream.blocks(1))) == []
    old = Head(chain=stream.head.chain, height=0, hash=bytes(32), time_ms=stream.head.time_ms)
    assert stream.heads(head_message(sign_head(stream.signer, old))) == []
