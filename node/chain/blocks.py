"""The BlockService: admission, the stream of blocks and heads, cosignatures, finality."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

import grpc

from ledger.errors import (
    ConflictError,
    InvalidInputError,
    LedgerError,
    NotAllowedError,
    NotFoundError,
    UnavailableError,
)
from ledger.v1 import peer_pb2, peer_pb2_grpc
from node.chain.blockwire import finality_message, head_message, head_of, stored_finality
from node.chain.heads import HeadBoard
from node.chain.tracker import PeerTracker
from node.identity.peers import PeerBook
from node.rpc.errors import from_peer

if TYPE_CHECKING:
    from ledger.chain.engine import EmbeddedChain
    from ledger.chain.mempool import Admission

#: Transactions of one SubmitTransactions call.
MAX_SUBMIT = 5_000
#: A stream judges its caller again this often, seconds.
_RECHECK_S = 1.0
#: How long a follower waits for the sequencer to be back when it hands in transactions, seconds.
_RECONNECT_S = 3.0


class BlockServicer(peer_pb2_grpc.BlockServiceServicer):
    """Every node serves it; admission and cosignatures are the sequencer's only."""

    def __init__(
        self,
        *,
        chain: EmbeddedChain,
        board: HeadBoard,
        tracker: PeerTracker,
        is_sequencer: bool,
        stopping: Callable[[], bool],
    ) -> None:
        self._chain = chain
        self._board = board
        self._tracker = tracker
        self._is_sequencer = is_sequencer
        self._stopping = stopping

    def SubmitTransactions(  # noqa: N802 - the name of the RPC
        self, request: peer_pb2.SubmitTransactionsRequest, _context: Any
    ) -> peer_pb2.SubmitTransactionsResponse:
        """Admit transactions to the pool; one result each."""
        self._sequencer_only()
        if len(request.transactions) > MAX_SUBMIT:
            raise InvalidInputError(
                "submit.too-many", f"at most {MAX_SUBMIT} transactions a call", actual=len(request.transactions)
            )
        results = [
            peer_pb2.SubmitTransactionsResponse.Result(hash=item.hash, code=item.code, message=item.message)
            for item in self._chain.submit_many(list(request.transactions))
        ]
        return peer_pb2.SubmitTransactionsResponse(results=results)

    def Follow(self, request: peer_pb2.FollowRequest, context: Any) -> Iterator[peer_pb2.FollowResponse]:  # noqa: N802
        """Blocks from a height on, then blocks, heads and finality as they come."""
        following: int = getattr(request, "from")
        height = self._chain.head().height
        if following > height + 1:
            raise ConflictError(
                "follow.ahead",
                f"the caller asks for blocks from {following}, here the chain ends at {height}",
                hint="this node lost blocks that others have: stop it and let it catch up from them",
                expected=height + 1,
                actual=following,
            )
        sent_head = sent_finality = None
        checked = time.monotonic()
        while context.is_active() and not self._stopping():
            version = self._board.version
            newest, finality = self._board.newest, self._board.finality
            following = yield from self._blocks(following)
            if newest is not None and newest is not sent_head and newest.head.height < following:
                sent_head = newest
                yield peer_pb2.FollowResponse(head=head_message(newest))
            if finality is not None and finality is not sent_finality and finality.head.height < following:
                sent_finality = finality
                yield peer_pb2.FollowResponse(finality=finality_message(finality))
            if time.monotonic() - checked > _RECHECK_S:
                try:
                    context.recheck()
                except LedgerError:
                    # The caller learns from the block that ended its key or membership why it is not served any
                    # longer: without the block of its own rotation it would never take up its new key.
                    yield from self._blocks(following)
                    raise
                checked = time.monotonic()
            self._board.wait_change(version, _RECHECK_S)

    def Cosign(self, request: peer_pb2.CosignRequest, context: Any) -> peer_pb2.CosignResponse:  # noqa: N802
        """Take the caller's cosignature over one of our recent heads."""
        self._sequencer_only()
        member = context.caller.member
        if member == self._board.sequencer:
            raise NotAllowedError("head.own", "the sequencer does not cosign its own heads")
        signed = head_of(request.head)
        count = self._board.cosigned(member, signed)
        self._tracker.reached(member, signed.head.height)
        return peer_pb2.CosignResponse(cosignatures=count)

    def GetFinality(self, request: peer_pb2.GetFinalityRequest, _context: Any) -> peer_pb2.Finality:  # noqa: N802
        """The first kept finality at or above a height; 0 asks for the newest."""
        kept = self._chain.store.finality(request.height)
        if kept is None:
            raise NotFoundError(
                "finality.none",
                "no block at or above this height is final yet",
                hint="a quorum of other members must cosign a head: see `civicledger doctor`",
                actual=request.height,
            )
        return finality_message(stored_finality(kept[1]))

    def _blocks(self, following: int) -> Generator[peer_pb2.FollowResponse, None, int]:
        """The blocks from a height up to the present head; returns the height after it."""
        head = self._chain.head().height
        for height in range(following, head + 1):
            yield peer_pb2.FollowResponse(block=self._block(height))
        return max(following, head + 1)

    def _block(self, height: int) -> peer_pb2.Block:
        block = self._chain.store.block(height)
        if block is None:
            raise NotFoundError("block.unknown", f"block {height} is not kept here", actual=height)
        return peer_pb2.Block(header=block.header, transactions=block.transactions)

    def _sequencer_only(self) -> None:
        if not self._is_sequencer:
            raise UnavailableError(
                "chain.not-sequencer",
                "this node does not order the chain",
                hint="send it to the sequencer's node; your own node forwards transactions by itself",
            )


def _submit(
    stub: peer_pb2_grpc.BlockServiceStub, request: peer_pb2.SubmitTransactionsRequest, timeout: float
) -> peer_pb2.SubmitTransactionsResponse:
    """One call; a connection that is down gets a moment to come back (the same transactions twice do no harm)."""
    try:
        return stub.SubmitTransactions(request, timeout=timeout)
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.UNAVAILABLE:
            raise
    return stub.SubmitTransactions(request, timeout=_RECONNECT_S, wait_for_ready=True)


def forward_to(
    peers: PeerBook, sequencer: str, tracker: PeerTracker, timeout: float
) -> Callable[[list[bytes]], list[Admission]]:
    """How a follower's chain hands transactions to the sequencer. Raises what ``from_peer`` makes of a failure."""
    from ledger.chain.mempool import Admission

    def forward(raws: list[bytes]) -> list[Admission]:
        stub = peer_pb2_grpc.BlockServiceStub(peers.channel(sequencer))
        answers: list[Admission] = []
        for start in range(0, len(raws), MAX_SUBMIT):
            request = peer_pb2.SubmitTransactionsRequest(transactions=raws[start : start + MAX_SUBMIT])
            try:
                response = _submit(stub, request, timeout)
            except grpc.RpcError as error:
                failure = from_peer(error, f"the sequencer {sequencer}")
                tracker.missed(sequencer, failure.message)
                raise failure from error
            answers += [Admission(hash=item.hash, code=item.code, message=item.message) for item in response.results]
        return answers

    return forward
