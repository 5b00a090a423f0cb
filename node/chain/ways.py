"""How a follower reaches the sequencer when a ``tls`` key was replaced while it was not following.

The block that replaced the key says who may speak to whom, and it cannot be fetched with what was true before it. Two
ways lead out, tried in turn while the ordinary one fails:

- Our own key was replaced: the new one waits beside the old one, and the sequencer learns its certificate from our
  HTTPS port (:mod:`node.identity.trust`). It is only presented here; whether it takes the old one's place the chain
  says.
- The sequencer's key was replaced: it is called by the certificate that it presents. Nobody vouches for that
  connection, so nothing that comes over it is executed before a head with the sequencer's signature covers it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from ledger.chain.embedded import header_hash, header_parent
from ledger.errors import UnavailableError, UntrustedError
from ledger.evidence.finality import Head, verify_head
from ledger.model import KeyRole
from ledger.v1 import peer_pb2
from node.chain.blockwire import head_of
from node.identity.trust import fetch_certificate

if TYPE_CHECKING:
    import grpc

    from ledger.chain.engine import EmbeddedChain
    from node.chain.roster import Roster
    from node.identity.peers import PeerBook
    from node.identity.tls import Identity

logger = structlog.get_logger("node.chain")

#: Blocks kept in memory until a signed head covers them, bytes.
_MAX_UNSIGNED: Final = 256 << 20


#: Longest a stream from an unknown server is listened to, seconds: heads come every minute, and who sends none must not
#: keep the ordinary way from being tried.
_UNKNOWN_S: Final = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A channel to the sequencer. ``messages``: what of the stream that came over it may be taken; ``timeout``: seconds
    it is listened to, None for as long as it lasts."""

    channel: grpc.Channel
    messages: Callable[[Iterable[peer_pb2.FollowResponse]], Iterable[peer_pb2.FollowResponse]]
    timeout: float | None = None


class Ways:
    """The ways to the sequencer, for one loop. ``staged``: our TLS identity of a rotation that was not seen to end."""

    def __init__(
        self,
        *,
        sequencer: str,
        chain: EmbeddedChain,
        roster: Callable[[], Roster],
        peers: PeerBook,
        staged: Callable[[], Identity | None],
    ) -> None:
        self._sequencer = sequencer
        self._chain = chain
        self._roster = roster
        self._peers = peers
        self._staged = staged
        self._failed = 0

    def worked(self) -> None:
        """A message came: the next connection is the ordinary one again."""
        self._failed = 0

    @contextmanager
    def next(self) -> Iterator[Way]:
        """The way to try now: the ordinary one first and every other time."""
        attempt, self._failed = self._failed, self._failed + 1
        others = list(self._others()) if attempt % 2 else []
        if not others:
            yield Way(channel=self._peers.channel(self._sequencer), messages=iter)
            return
        identity, certificate = others[attempt // 2 % len(others)]
        channel = self._peers.dial(self._sequencer, identity, certificate)
        try:
            if certificate:
                yield Way(channel=channel, messages=self.covered, timeout=_UNKNOWN_S)
            else:
                yield Way(channel=channel, messages=iter)
        finally:
            channel.close()

    def _others(self) -> Iterator[tuple[Identity | None, bytes]]:
        """Own identity (None: the present one) and the server's certificate (empty: the known one)."""
        staged = self._staged()
        if staged is not None:
            yield staged, b""
        peer = self._peers.require(self._sequencer)
        try:
            presented = fetch_certificate(peer.https)
        except UnavailableError:
            return  # it is away, whatever its certificate
        if presented != peer.certificate:
            yield None, presented
            if staged is not None:
                yield staged, presented

    def covered(self, stream: Iterable[peer_pb2.FollowResponse]) -> Iterator[peer_pb2.FollowResponse]:
        """The blocks up to the first head, and that head, if the sequencer signed it with a key we know and they are
        one chain from our head to it; nothing after.

        Raises: UntrustedError(head.* | finality.signature | block.parent), UnavailableError(follow.unsigned).
        """
        blocks: list[peer_pb2.FollowResponse] = []
        size = 0
        for message in stream:
            part = message.WhichOneof("part")
            if part == "block":
                blocks.append(message)
                size += message.ByteSize()
                if size > _MAX_UNSIGNED:
                    raise UnavailableError(
                        "follow.unsigned",
                        "the sequencer's certificate is not known here, and too many blocks came without its signature",
                        hint="copy peers.json from a member whose node follows the chain",
                    )
            elif part == "head":
                signed = self._checked(message)
                if signed.height >= self._chain.head().height:
                    found = self._up_to(signed, blocks)
                    logger.info("follow.by-signature", peer=self._sequencer, count=len(found))
                    yield from found
                    yield message
                    return

    def _checked(self, message: peer_pb2.FollowResponse) -> Head:
        signed = head_of(message.head)
        if signed.head.chain != self._chain.genesis_digest:
            raise UntrustedError("head.chain", "this head is of another chain", actual=signed.head.chain)
        if not self._roster().has_key(self._sequencer, KeyRole.SEQUENCER, signed.key):
            raise UntrustedError(
                "head.signer",
                "neither the certificate nor the signature of the sequencer is of a key that is known here",
                hint="copy peers.json from a member whose node follows the chain",
                actual=signed.key,
            )
        verify_head(signed)
        return signed.head

    def _up_to(self, head: Head, blocks: list[peer_pb2.FollowResponse]) -> list[peer_pb2.FollowResponse]:
        """The blocks from our head to the signed one; there may be newer ones behind it."""
        found: list[peer_pb2.FollowResponse] = []
        parent = self._chain.head().hash
        for one in blocks:
            if parent == head.hash:
                break
            if header_parent(one.block.header) != parent:
                raise UntrustedError("block.parent", "the blocks that came are not one chain", expected=parent)
            parent = header_hash(one.block.header)
            found.append(one)
        if parent != head.hash:
            raise UntrustedError(
                "head.block", "the blocks that came do not lead to the signed head", expected=head.hash, actual=parent
            )
        return found
