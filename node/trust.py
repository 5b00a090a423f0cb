"""Which certificates a node's TLS accepts: those whose public key is an active ``tls`` key of a member on chain."""

from __future__ import annotations

from collections.abc import Callable

from ledger.model import KeyRole
from node.peers import PeerBook
from node.roster import Roster
from node.tls import Identity


def trusted(roster: Roster, spki: bytes) -> bool:
    """Whether this SPKI SHA-256 is an active ``tls`` key of some member, suspended ones included: a suspended member is
    told so by the call's judgement, not by a broken handshake."""
    key = roster.keys.get(spki)
    return key is not None and key.role is KeyRole.TLS and key.status == "active"


def trust_roots(peers: PeerBook, identity: Identity, roster: Callable[[], Roster]) -> Callable[[], list[bytes]]:
    """The PEM roots for the server's handshakes, judged anew each time: our own (our systems and operator use it) and
    every peer's that the chain knows."""

    def roots() -> list[bytes]:
        peers.refresh()
        known = roster()
        found = [peer.certificate for peer in peers.values() if trusted(known, peer.spki)]
        if identity.certificate not in found and trusted(known, identity.spki):
            found.append(identity.certificate)
        # With no root at all gRPC would fall back to the machine's own: our own certificate can never be wrong here.
        return found or [identity.certificate]

    return roots
