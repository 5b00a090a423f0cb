"""Which certificates a node's TLS accepts: those whose public key is an active ``tls`` key of a member on chain.

The chain holds the digest of a key, not the certificate. When a member rotated its key, its new certificate is fetched
from its own HTTPS port over a connection that is not trusted with anything: the digest on chain decides.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from functools import cache

import structlog

from ledger.errors import LedgerError, UnavailableError
from ledger.model import KeyRole
from node.chain.roster import Roster
from node.chain.tracker import PeerTracker
from node.identity.peers import Peer, PeerBook
from node.identity.tls import Identity, next_name, spki_of_pem
from node.loops import Loop
from node.metrics import Metrics

logger = structlog.get_logger("node.trust")

_LOOK_S = 1.0
_TIMEOUT_S = 3.0


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


class CertificateKeeper:
    """Keeps peers.json and the HTTPS server in step with rotated ``tls`` keys, others' and our own. ``settle`` takes up
    our own keys of any role that the chain turned out to have."""

    def __init__(
        self,
        *,
        member: str,
        identity: Identity,
        peers: PeerBook,
        roster: Callable[[], Roster],
        tracker: PeerTracker,
        settle: Callable[[], object],
        reload_https: Callable[[], None],
        metrics: Metrics,
        on_fatal: Callable[[LedgerError], None],
    ) -> None:
        self._member = member
        self._identity = identity
        self._peers = peers
        self._roster = roster
        self._tracker = tracker
        self._settle = settle
        self._reload_https = reload_https
        self._served = identity.certificate
        self.loop = Loop("certificates", self._step, metrics=metrics, on_fatal=on_fatal)

    def _step(self) -> float:
        # A rotation that was given up on and got into a block after all.
        self._settle()
        if self._identity.certificate != self._served:
            self._reload_https()
            self._served = self._identity.certificate
        own = self._peers.get(self._member)
        if own is not None and own.certificate != self._served:
            self._peers.learn(self._member, self._served)
        roster = self._roster()
        away = {state.member for state in self._tracker.states() if not state.reachable and state.last_error}
        for info in roster.others(self._member):
            peer = self._peers.get(info.uscc)
            if peer is None:
                continue
            known = roster.has_key(info.uscc, KeyRole.TLS, peer.spki)
            if known and (info.uscc not in away or self._tracker.rests(info.uscc)):
                continue
            self._look(peer, roster)
        return _LOOK_S

    def _look(self, peer: Peer, roster: Roster) -> None:
        """Take over the certificate a peer presents, if the chain knows its key as that member's: the one it uses, else
        the one of a rotation whose block it has not seen (it cannot fetch that block unless we know this one)."""
        for name in (None, next_name(peer.uscc)):
            try:
                presented = fetch_certificate(peer.https, name)
            except UnavailableError:
                # The feed to this peer says so already, with the reason.
                self._tracker.silent(peer.uscc)
                return
            material = spki_of_pem(presented)
            if roster.has_key(peer.uscc, KeyRole.TLS, material):
                if presented != peer.certificate:
                    self._peers.learn(peer.uscc, presented)
                    logger.info("peer.certificate", peer=peer.uscc, material=material)
                self._tracker.stirred(peer.uscc)
                return


def fetch_certificate(address: str, name: str | None = None) -> bytes:
    """The PEM certificate a server presents at ``host:port`` when asked for ``name``; nothing about it is checked here.

    Raises: UnavailableError(peer.unreachable).
    """
    host, _, port = address.rpartition(":")
    try:
        with (
            socket.create_connection((host.strip("[]"), int(port)), timeout=_TIMEOUT_S) as raw,
            _any_certificate().wrap_socket(raw, server_hostname=name) as wrapped,
        ):
            der = wrapped.getpeercert(binary_form=True)
    except OSError as error:
        raise UnavailableError("peer.unreachable", f"https://{address} cannot be reached: {error}") from error
    if der is None:
        raise UnavailableError("peer.unreachable", f"https://{address} presented no certificate")
    return ssl.DER_cert_to_PEM_cert(der).encode()


@cache
def _any_certificate() -> ssl.SSLContext:
    """Made once: it costs more processor time than a look at a peer that is away."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
