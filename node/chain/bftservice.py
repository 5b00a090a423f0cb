"""The BlockService on a BFT network: transactions and finality proofs. Blocks travel between the members' CometBFT
processes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import grpc

from ledger.errors import InvalidInputError, NotFoundError, UnavailableError
from ledger.evidence.bft import decode_bft
from ledger.v1 import peer_pb2, peer_pb2_grpc
from node.chain.blocks import MAX_SUBMIT
from node.rpc.errors import from_peer

if TYPE_CHECKING:
    from ledger.chain.engine import EmbeddedChain
    from node.chain.handing import Hand
    from node.chain.tracker import PeerTracker
    from node.identity.peers import PeerBook

#: Patience with one call, seconds.
_TIMEOUT_S = 5.0


class BftBlockServicer(peer_pb2_grpc.BlockServiceServicer):
    """Takes transactions, serves finality proofs; what only a sequencer or its followers have is refused by name."""

    def __init__(self, chain: EmbeddedChain) -> None:
        self._chain = chain

    def SubmitTransactions(  # noqa: N802 - the name of the RPC
        self, request: peer_pb2.SubmitTransactionsRequest, _context: Any
    ) -> peer_pb2.SubmitTransactionsResponse:
        """Take what another member's node hands over into the pool here; a result for each that was refused."""
        if len(request.transactions) > MAX_SUBMIT:
            raise InvalidInputError(
                "submit.too-many", f"at most {MAX_SUBMIT} transactions a call", actual=len(request.transactions)
            )
        if self._chain.forwarding is None:
            _no_sequencer()
        results = [
            peer_pb2.SubmitTransactionsResponse.Result(hash=item.hash, code=item.code, message=item.message)
            for item in self._chain.forwarding.receive(list(request.transactions))
        ]
        return peer_pb2.SubmitTransactionsResponse(results=results)

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
        hint="your own node takes part by its own CometBFT",
    )


def hand_over(peers: PeerBook, tracker: PeerTracker) -> Hand:
    """How transactions get to another member's node."""

    def hand(member: str, raws: list[bytes]) -> list[tuple[bytes, str]]:
        stub = peer_pb2_grpc.BlockServiceStub(peers.channel(member))
        try:
            response = stub.SubmitTransactions(
                peer_pb2.SubmitTransactionsRequest(transactions=raws), timeout=_TIMEOUT_S
            )
        except grpc.RpcError as error:
            failure = from_peer(error, f"the node of {member}")
            tracker.missed(member, failure.message)
            raise failure from error
        tracker.reached(member)
        return [(item.hash, item.code) for item in response.results]

    return hand
