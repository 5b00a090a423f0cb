"""Keeping the chain going: the sequencer makes blocks and signs heads, the followers import, check and cosign them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import grpc
import structlog

from ledger.errors import LedgerError, UnavailableError, UntrustedError
from ledger.evidence.finality import Head, SignedHead, sign_head
from ledger.keys import Signer
from ledger.v1 import peer_pb2, peer_pb2_grpc
from node.chain.blockwire import finality_of, head_message, head_of
from node.chain.heads import HeadBoard
from node.chain.rejoining import Rejoining
from node.chain.tracker import PeerTracker
from node.chain.ways import Ways
from node.config import ChainSection
from node.context import Clock
from node.identity.peers import PeerBook
from node.loops import Loop
from node.metrics import Metrics
from node.rpc.errors import from_peer

if TYPE_CHECKING:
    from ledger.chain.engine import EmbeddedChain

logger = structlog.get_logger("node.chain")

#: Longest the sequencer sleeps in the pool before it looks at the time again, seconds.
_POOL_WAIT_S = 0.5
_COSIGN_TIMEOUT_S = 5.0
#: How often a starting sequencer asks the others again, seconds.
_REJOIN_S = 0.2
#: The whole city waits for its sequencer: ask often whether it is back (a refused connection costs nothing).
_LONGEST_DELAY_S = 0.5
#: Heads a slow follower still cosigns; older ones are worth nothing once newer ones are cosigned.
_COSIGN_BACKLOG = 16


class Sequencer:
    """Makes a block when there is something to put in it, signs heads after blocks and as heartbeats.

    Heads are paced: under load every follower cosigns the same few heads a second and a quorum forms on each.
    """

    def __init__(
        self,
        *,
        chain: EmbeddedChain,
        board: HeadBoard,
        signer: Callable[[], Signer],
        rejoining: Rejoining,
        config: ChainSection,
        clock: Clock,
        metrics: Metrics,
        on_fatal: Callable[[LedgerError], None],
    ) -> None:
        self._chain = chain
        self._board = board
        self._signer = signer
        self.rejoining = rejoining
        self._config = config
        self._clock = clock
        self._head_due: float | None = time.monotonic()
        self._last_head = 0.0
        self._block_allowed = 0.0
        self.loop = Loop("sequencer", self._step, metrics=metrics, on_fatal=on_fatal)

    def loops(self) -> Iterator[Loop]:
        """Every loop of it."""
        yield self.loop

    def stop(self) -> None:
        """Ask the loop to end."""
        self.loop.stop()
        self._chain.pool.wake()

    def _step(self) -> float:
        if not self.rejoining.done and not self.rejoining.attempt():
            return _REJOIN_S
        now = time.monotonic()
        due = self._last_head + self._config.heartbeat_interval if self._head_due is None else self._head_due
        if now >= due:
            self._sign()
            return 0.0
        waiting = self._chain.pool.wait(min(due - now, _POOL_WAIT_S))
        if not waiting or self.loop.stopping:
            return 0.0
        early = self._block_allowed - time.monotonic()
        if early > 0 and not self.loop.pause(early):
            return 0.0
        block = self._chain.produce(self._clock())
        if block is not None:
            self._block_allowed = time.monotonic() + self._config.block_interval_ms / 1_000
            if self._head_due is None:
                self._head_due = self._last_head + self._config.head_interval_ms / 1_000
        return 0.0

    def _sign(self) -> None:
        head = self._chain.head()
        # Strictly growing, whatever the clock does: followers refuse an older time.
        time_ms = max(self._clock(), self._board.newest_time_ms() + 1)
        self._board.accept(
            sign_head(
                self._signer(),
                Head(chain=self._chain.genesis_digest, height=head.height, hash=head.hash, time_ms=time_ms),
            )
        )
        self._last_head = time.monotonic()
        self._head_due = None


class Follower:
    """Follows the sequencer's stream: every block is re-executed, every head checked against it and cosigned."""

    def __init__(
        self,
        *,
        chain: EmbeddedChain,
        board: HeadBoard,
        signer: Callable[[], Signer],
        peers: PeerBook,
        tracker: PeerTracker,
        ways: Ways,
        metrics: Metrics,
        on_fatal: Callable[[LedgerError], None],
    ) -> None:
        self._chain = chain
        self._board = board
        self._signer = signer
        self._peers = peers
        self._tracker = tracker
        self._metrics = metrics
        self._ways = ways
        self._call: Any = None
        self._lock = threading.Lock()
        self._waiting: deque[SignedHead] = deque(maxlen=_COSIGN_BACKLOG)
        self.loop = Loop("follower", self._follow, metrics=metrics, on_fatal=on_fatal, longest_delay_s=_LONGEST_DELAY_S)
        self.cosigner = Loop(
            "cosigner", self._cosign, metrics=metrics, on_fatal=on_fatal, longest_delay_s=_LONGEST_DELAY_S
        )

    def loops(self) -> Iterator[Loop]:
        """Every loop of it."""
        yield from (self.loop, self.cosigner)

    def stop(self) -> None:
        """End the stream and both loops."""
        self.loop.stop()
        self.cosigner.stop()
        with self._lock:
            if self._call is not None:
                self._call.cancel()

    def _follow(self) -> float:
        sequencer = self._board.sequencer
        heard = False
        with self._ways.next() as way:
            stub = peer_pb2_grpc.BlockServiceStub(way.channel)
            request = peer_pb2.FollowRequest(**{"from": self._chain.head().height + 1})
            with self._lock:
                if self.loop.stopping:
                    return 0.0
                self._call = stub.Follow(request, timeout=way.timeout)
            try:
                for message in way.messages(self._call):
                    heard = True
                    self._take(message)
                    self.loop.well()
                    self._ways.worked()
                    if self.loop.stopping:
                        break
            except grpc.RpcError as error:
                failure = from_peer(error, f"the sequencer {sequencer}")
                self._tracker.missed(sequencer, failure.message)
                if not heard and not self.loop.stopping:
                    raise failure from error
                logger.info("follow.ended", peer=sequencer, code=failure.code)
            finally:
                self._call.cancel()
        # A stream that worked and ended: the sequencer restarts or drains, so ask again soon.
        return 0.2

    def _take(self, message: peer_pb2.FollowResponse) -> None:
        part = message.WhichOneof("part")
        if part == "block":
            block = self._chain.import_block(message.block.header, list(message.block.transactions))
            self._tracker.reached(self._board.sequencer, block.height)
        elif part == "head":
            signed = head_of(message.head)
            self._board.accept(signed)
            self._tracker.reached(self._board.sequencer, signed.head.height)
            self._waiting.append(signed)
            self.cosigner.wake()
        elif part == "finality":
            self._finalise(message.finality)
        else:
            raise UnavailableError(
                "follow.unknown-part", "the sequencer sent a message this version does not know", hint="upgrade"
            )

    def _finalise(self, message: peer_pb2.Finality) -> None:
        try:
            self._board.finalise(finality_of(message))
        except UntrustedError as error:
            # It may be of before a change of members that we executed already. The blocks do not depend on it, and
            # the next finality follows.
            self._metrics.failed("finality", error.code)
            logger.warning("finality.refused", code=error.code, message=error.message, height=message.head.height)

    def _cosign(self) -> None:
        sequencer = self._board.sequencer
        stub = peer_pb2_grpc.BlockServiceStub(self._peers.channel(sequencer))
        while self._waiting and not self.cosigner.stopping:
            signed = sign_head(self._signer(), self._waiting.popleft().head)
            try:
                stub.Cosign(peer_pb2.CosignRequest(head=head_message(signed)), timeout=_COSIGN_TIMEOUT_S)
            except grpc.RpcError as error:
                failure = from_peer(error, f"the sequencer {sequencer}")
                # An answer that came too late is not a fault: newer heads are waiting already.
                if failure.code != "head.unknown":
                    raise failure from error
