"""What other members' nodes know of the time before this one joined: their finality proofs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import grpc

from ledger.errors import LedgerError
from ledger.v1 import peer_pb2, peer_pb2_grpc

if TYPE_CHECKING:
    from node.core import NodeCore

#: Patience with one node, seconds: another one may know as well.
_TIMEOUT_S = 5.0


def ask_elders(core: NodeCore, height: int) -> Iterator[bytes]:
    """The encoded finality of a block, or of a later one, from one member's node after another; nothing is verified."""
    for info in core.rosters.current().others(core.member):
        try:
            stub = peer_pb2_grpc.BlockServiceStub(core.peers.channel(info.uscc))
            found = stub.GetFinality(peer_pb2.GetFinalityRequest(height=height), timeout=_TIMEOUT_S)
        except (grpc.RpcError, LedgerError):
            continue
        if found.bft:
            yield found.bft
