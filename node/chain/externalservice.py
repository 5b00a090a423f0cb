"""The BlockService on a network that somebody else runs: every node asks that network itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

from ledger.errors import UnavailableError
from ledger.v1 import peer_pb2, peer_pb2_grpc


class NetworkBlockServicer(peer_pb2_grpc.BlockServiceServicer):
    """Refuses by name: no member orders, signs heads or keeps blocks."""

    def SubmitTransactions(  # noqa: N802 - the name of the RPC
        self, _request: peer_pb2.SubmitTransactionsRequest, _context: Any
    ) -> peer_pb2.SubmitTransactionsResponse:
        """Refused: every member's node hands transactions to the network."""
        _not_here()

    def Follow(self, _request: peer_pb2.FollowRequest, _context: Any) -> Iterator[peer_pb2.FollowResponse]:  # noqa: N802
        """Refused: blocks are the network's."""
        _not_here()

    def Cosign(self, _request: peer_pb2.CosignRequest, _context: Any) -> peer_pb2.CosignResponse:  # noqa: N802
        """Refused: no member signs heads."""
        _not_here()

    def GetFinality(self, _request: peer_pb2.GetFinalityRequest, _context: Any) -> peer_pb2.Finality:  # noqa: N802
        """Refused: finality is the network's own."""
        _not_here()


def _not_here() -> NoReturn:
    raise UnavailableError(
        "chain.engine",
        "this chain stands on a network that somebody else runs: no member orders or signs its blocks",
        hint="ask that network; your own node follows it by external.rpc of its node.toml",
    )
