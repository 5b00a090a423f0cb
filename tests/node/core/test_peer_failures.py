"""What breaks in another member's node is a peer out of reach here, and never a reason to stop."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import grpc
import pytest

from ledger.errors import UnavailableError
from ledger.v1 import peer_pb2_grpc
from node.chain.bftservice import hand_over
from node.chain.blocks import forward_to
from node.chain.tracker import PeerTracker
from node.identity.peers import PeerBook


class Broken(peer_pb2_grpc.BlockServiceServicer):
    """A node that fails at every transaction."""

    def SubmitTransactions(self, request: Any, context: Any) -> Any:
        if request.transactions[0] == b"defect":
            raise RuntimeError("a defect there")
        context.abort(grpc.StatusCode[request.transactions[0].decode()], "its disk is broken")


class Book:
    """Everybody is the broken one."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = lambda member: channel


@pytest.fixture
def peers() -> Iterator[PeerBook]:
    with ThreadPoolExecutor(1) as threads:
        server = grpc.server(threads)
        peer_pb2_grpc.add_BlockServiceServicer_to_server(Broken(), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield cast(PeerBook, Book(channel))
        server.stop(None).wait()


@pytest.mark.parametrize("how", ["defect", "INTERNAL", "UNKNOWN", "DATA_LOSS", "UNAVAILABLE"])
def test_a_broken_validator_ends_nobody_elses_node(peers: PeerBook, how: str) -> None:
    tracker = PeerTracker(lambda: 1)
    with pytest.raises(UnavailableError):
        hand_over(peers, tracker)("other", [how.encode()])
    with pytest.raises(UnavailableError):
        forward_to(peers, "other", tracker, 60.0)([how.encode()])
    assert not tracker.states()[0].reachable
