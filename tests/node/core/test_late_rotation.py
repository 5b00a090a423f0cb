"""A rotation whose block the node sees late, or never: the new key is neither lost nor in need of a restart."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import grpc
import pytest

from ledger.chain import embedded
from ledger.errors import LedgerError
from ledger.model import KeyRole
from ledger.v1 import peer_pb2
from node.rpc.errors import from_rpc
from tests.node.core.city import City, found
from tests.node.core.makers import eventually
from tests.node.core.test_rotation import rotate, settled


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    # One each: a node that has just rotated its key is on its way back to the sequencer.
    with City(found(tmp_path, 2)) as running:
        running.start()
        yield running


def test_a_rotation_is_in_use_though_the_sequencer_knew_of_it_first(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = city[1]
    refused, admitted = threading.Event(), set[bytes]()
    submit, take = node.sender._submit, node.orderer._take

    def submit_again(raw: bytes) -> bytes:
        try:
            hash_ = submit(raw)
        except LedgerError as error:
            if raw in admitted and error.code.startswith("auth."):
                refused.set()
            raise
        admitted.add(raw)
        return hash_

    def take_late(message: peer_pb2.FollowResponse) -> None:
        # This node's view stays behind until the sequencer refuses the key that the rotation has ended.
        assert refused.wait(300)
        take(message)

    monkeypatch.setattr(node.orderer, "_take", take_late)
    monkeypatch.setattr(node.sender, "_submit", submit_again)
    monkeypatch.setattr(node.sender, "_resubmit_s", 0.05)
    old = node.core.keys.material(KeyRole.TLS)
    new = rotate(node, KeyRole.TLS)
    assert node.core.keys.material(KeyRole.TLS) == new != old
    # Nobody restarts it: with its new key it sends to the sequencer and follows the chain again.
    monkeypatch.undo()
    rotate(node, KeyRole.RECEIPT)


def test_a_rotation_given_up_on_is_taken_up_when_its_block_comes(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    node = city[1]
    given_up = threading.Event()
    take = node.orderer._take

    def take_late(message: peer_pb2.FollowResponse) -> None:
        assert given_up.wait(300)
        take(message)

    monkeypatch.setattr(node.orderer, "_take", take_late)
    monkeypatch.setattr(node.sender, "send", partial(node.sender.send, timeout=0.05))
    old = node.core.keys.material(KeyRole.TLS)
    with pytest.raises(grpc.RpcError) as late:
        rotate(node, KeyRole.TLS)
    assert from_rpc(late.value, "the node").code == "chain.timeout"
    assert node.core.keys.material(KeyRole.TLS) == old
    given_up.set()
    eventually(lambda: node.core.keys.material(KeyRole.TLS) != old)
    monkeypatch.undo()
    settled(node)
    rotate(node, KeyRole.RECEIPT)


def test_a_rotation_the_sequencer_lost_is_repeated_with_its_own_key(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = city[0]
    monkeypatch.setattr(node.sender, "_submit", embedded.keccak256)
    monkeypatch.setattr(node.sender, "send", partial(node.sender.send, timeout=0.05))
    with pytest.raises(grpc.RpcError) as lost:
        rotate(node, KeyRole.RECEIPT)
    assert from_rpc(lost.value, "the node").code == "chain.timeout"
    staged = node.core.keys.staged(KeyRole.RECEIPT)
    assert staged is not None
    monkeypatch.undo()
    assert rotate(node, KeyRole.RECEIPT) == staged[1] == node.core.keys.material(KeyRole.RECEIPT)
    assert node.core.keys.staged(KeyRole.RECEIPT) is None
