"""What the sequencer does before its first block: it asks the others whether they hold more of the chain than it does.

A sequencer whose folder was restored from an older copy would sign a second block of a height that others executed long
ago. So it waits for a quorum of the others, and takes back what it once signed: only blocks below a head that carries
its own signature, each of them executed again.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc
import msgspec
import structlog

from ledger.errors import FatalError, LedgerError, UnavailableError, UntrustedError
from ledger.evidence.finality import Head, decode_header, verify_head
from ledger.model import KeyRole
from ledger.v1 import peer_pb2, peer_pb2_grpc
from node.chain.blockwire import finality_of, head_of
from node.chain.roster import Roster
from node.chain.tracker import PeerTracker
from node.identity.peers import PeerBook
from node.identity.pinned import PinnedClient
from node.rpc.errors import from_rpc

if TYPE_CHECKING:
    from ledger.chain.engine import EmbeddedChain

logger = structlog.get_logger("node.rejoining")

_TIMEOUT_S = 5.0
#: Blocks taken back in one go.
_MAX_BLOCKS = 100_000


class _Status(msgspec.Struct, frozen=True):
    height: int


class Rejoining:
    """One attempt per call until ``done``; ``waiting_for`` says what is missing."""

    def __init__(
        self,
        *,
        member: str,
        chain: EmbeddedChain,
        roster: Callable[[], Roster],
        peers: PeerBook,
        tracker: PeerTracker,
    ) -> None:
        self._member = member
        self._chain = chain
        self._roster = roster
        self._peers = peers
        self._tracker = tracker
        self.done = False
        self.waiting_for = "the other members' view of the chain"

    def attempt(self) -> bool:
        """Ask everybody, catch up with the furthest; True when the chain may go on from here.

        Raises: FatalError(chain.forked) when the others' chain is not ours continued.
        """
        roster = self._roster()
        others = [info.uscc for info in roster.others(self._member)]
        needed = min(roster.quorum, len(others))
        with ThreadPoolExecutor(max_workers=max(1, min(len(others), 16)), thread_name_prefix="rejoin") as pool:
            heights = dict(zip(others, pool.map(self._height, others), strict=True))
        answered = {uscc: height for uscc, height in heights.items() if height is not None}
        if len(answered) < needed:
            silent = ", ".join(uscc for uscc in others if uscc not in answered)
            self.waiting_for = f"{len(answered)} of the {needed} members needed answered; silent: {silent}"
            return False
        for uscc, height in sorted(answered.items(), key=lambda item: -item[1]):
            if height > self._chain.head().height:
                self._take_back(uscc, height)
        self.done = True
        self.waiting_for = ""
        return True

    def _height(self, uscc: str) -> int | None:
        client = PinnedClient(self._peers.require(uscc), _TIMEOUT_S)
        try:
            return msgspec.json.decode(client.get("/v1/status").body, type=_Status).height
        except (LedgerError, msgspec.MsgspecError) as error:
            self._tracker.missed(uscc, str(error))
            return None
        finally:
            client.close()

    def _take_back(self, uscc: str, height: int) -> None:
        ours = self._chain.head().height
        blocks, head = self._read(uscc, ours, height)
        if head is None:
            logger.warning("rejoin.unsigned", peer=uscc, height=height)
            return
        signed = blocks[: max(0, head.height - ours)]
        if not signed or decode_header(signed[-1].header).hash != head.hash:
            return
        for block in signed:
            try:
                self._chain.import_block(block.header, list(block.transactions))
            except UntrustedError as error:
                raise FatalError(
                    "chain.forked",
                    f"{uscc} holds blocks signed here that do not continue this node's chain: {error.message}",
                    hint="this folder is of another history: remove store/chain and start again to take all back",
                    expected=error.expected,
                    actual=error.actual,
                ) from error
        logger.warning("rejoin.taken-back", peer=uscc, height=self._chain.head().height, count=len(signed))

    def _read(self, uscc: str, ours: int, height: int) -> tuple[list[Any], Head | None]:
        """The peer's blocks above ours, and the highest head among what it holds that our own key signed."""
        stub = peer_pb2_grpc.BlockServiceStub(self._peers.channel(uscc))
        call = stub.Follow(peer_pb2.FollowRequest(**{"from": ours + 1}), timeout=60, wait_for_ready=True)
        blocks: list[Any] = []
        head: Head | None = None
        try:
            for message in call:
                part = message.WhichOneof("part")
                if part == "block":
                    blocks.append(message.block)
                    if len(blocks) >= _MAX_BLOCKS:
                        break
                    continue
                found = self._own_head(message, part)
                head = max((one for one in (head, found) if one), key=lambda one: one.height, default=None)
                # A peer sends its blocks first, then its newest head and its newest finality, one of them at least.
                if head is None or head.height >= height or part == "finality":
                    break
        except grpc.RpcError as error:
            failure = from_rpc(error, uscc)
            raise UnavailableError(failure.code, failure.message, hint=failure.hint) from error
        finally:
            call.cancel()
        return blocks, head

    def _own_head(self, message: peer_pb2.FollowResponse, part: str | None) -> Head | None:
        if part == "head":
            signed = head_of(message.head)
        else:
            finality = finality_of(message.finality)
            signed = head_of(message.finality.head)
            if signed.head != finality.head:
                return None
        if signed.head.chain != self._chain.genesis_digest:
            return None
        # Ended keys too: it may have signed before a rotation this folder has not seen.
        known = self._roster().keys.get(signed.key)
        if known is None or known.member != self._member or known.role is not KeyRole.SEQUENCER:
            return None
        try:
            verify_head(signed)
        except UntrustedError:
            return None
        return signed.head
