"""The BlockService on a BFT network: blocks travel between the members' CometBFT processes, so little is left."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from ledger.errors import NotFoundError, UnavailableError
from ledger.evidence.bft import decode_bft
from ledger.v1 import peer_pb2, peer_pb2_grpc

if TYPE_CHECKING:
    from ledger.chain.engine import EmbeddedChain


class BftBlockServicer(peer_pb2_grpc.BlockServiceServicer):
    """Serves finality proofs; what only a sequencer or its followers have is refused by name."""

    def __init__(self, chain: EmbeddedChain) -> None:
        self._chain = chain

    def SubmitTransactions(  # noqa: N802 - the name of the RPC
        self, _request: peer_pb2.SubmitTransactionsRequest, _context: Any
    ) -> peer_pb2.SubmitTransactionsResponse:
        """Refused: every member's own node hands transactions to its own CometBFT."""
        _no_sequencer()

    def Follow(self, _request: peer_pb2.FollowRequest, _context: Any) -> Iterator[peer_pb2.FollowResponse]:  # noqa: N802
        """Refused: blocks come by CometBFT."""
        _no_sequencer()

    def Cosign(self, _request: peer_pb2.CosignRequest, _context: Any) -> peer_pb2.CosignResponse:  # noqa: N802
        """Refused: validators sign headers, there are no cosignatures."""
        _no_sequencer()

    def GetFinality(self, request: peer_pb2.GetFinalityRequest, _context: Any) -> peer_pb2.Finality:  # noqa: N802
        """The first kept finality at or above a height; 0 asks for the newest."""
        kept = self._chain.store.finality(request.height)
        if kept is None:
            raise NotFoundError(
                "finality.none",
                "no block at or above this height is final yet",
                hint="more than two thirds of the validators must run: see `civicledger doctor`",
                actual=request.height,
            )
        head = decode_bft(kept[1]).head
        return peer_pb2.Finality(
            head=peer_pb2.SignedHead(chain=head.chain, height=head.height, hash=head.hash, time=head.time_ms),
            bft=kept[1],
        )


def _no_sequencer() -> NoReturn:
    raise UnavailableError(
        "chain.engine",
        "this chain is ordered by CometBFT: it has no sequencer and no cosigned heads",
        hint="your own node takes part by its own CometBFT; give transactions to it",
    )
