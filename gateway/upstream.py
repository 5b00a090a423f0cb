"""Reading a member's node over its public HTTPS surface, pinned to one certificate."""

from __future__ import annotations

import hashlib
import http.client
import ssl
import threading
from collections import deque
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from gateway.config import Peer
from ledger.errors import InvalidInputError, UnavailableError, UntrustedError

MAX_ANSWER = 1 << 20
#: Opening brackets in an answer: JSON nested without end must reach no decoder, whose own guard is the interpreter's
#: recursion limit (a library of the chain client raises it beyond what the stack holds, and the process would end).
#: What a node sends has a few; a tile's random bytes hold about 64.
MAX_BRACKETS = 500
#: Idle connections kept to one node.
_KEPT = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Status and whole body of an answer."""

    status: int
    body: bytes


def certificate_spki(pem: str) -> bytes:
    """SHA-256 of a certificate's SubjectPublicKeyInfo, 32 bytes: the ``tls`` key material on chain.

    Raises:
        InvalidInputError: ``gateway.certificate``.
    """
    try:
        key = x509.load_pem_x509_certificate(pem.encode()).public_key()
    except ValueError as error:
        raise InvalidInputError("gateway.certificate", f"not a certificate: {error}") from error
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).digest()


class NodeReader:
    """GET requests to one node. Thread-safe; connections are kept and reused."""

    def __init__(self, peer: Peer, *, timeout: float = 5.0) -> None:
        self.peer = peer
        self.spki = certificate_spki(peer.certificate)
        self._timeout = timeout
        self._lock = threading.Lock()
        self._idle: deque[http.client.HTTPSConnection] = deque()
        self._closed = False
        # The certificate is its own and only trust root, so its name adds nothing to what the pin says.
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_3
        self._context.check_hostname = False
        try:
            self._context.load_verify_locations(cadata=peer.certificate)
        except ssl.SSLError as error:
            raise InvalidInputError("gateway.certificate", f"not a certificate: {error}") from error

    def get(self, path: str) -> Answer:
        """The answer to a path.

        Raises:
            UnavailableError: ``node.unreachable``; UntrustedError: ``node.certificate``, another one was presented.
        """
        with self._lock:
            kept = self._idle.pop() if self._idle else None
        if kept is not None:
            try:
                return self._ask(kept, path)
            except (OSError, http.client.HTTPException):
                # The node may have closed it while idle; a read may be repeated on a fresh connection.
                kept.close()
        host, _, port = self.peer.https.rpartition(":")
        fresh = http.client.HTTPSConnection(host, int(port), timeout=self._timeout, context=self._context)
        try:
            return self._ask(fresh, path)
        except ssl.SSLCertVerificationError as error:
            fresh.close()
            raise UntrustedError(
                "node.certificate",
                f"the node of {self.peer.uscc} presented another certificate than the one in peers.json",
                hint="after a key rotation, copy the new peers.json; otherwise somebody stands in between",
            ) from error
        except (OSError, http.client.HTTPException) as error:
            fresh.close()
            raise UnavailableError(
                "node.unreachable",
                f"the node of {self.peer.uscc} does not answer: {type(error).__name__}",
                hint="its operator sees the cause with civicledger doctor; try again later",
            ) from error

    def _ask(self, connection: http.client.HTTPSConnection, path: str) -> Answer:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read(MAX_ANSWER + 1)
        if len(body) > MAX_ANSWER:
            raise http.client.HTTPException("the answer is larger than 1 MiB")
        if body.count(b"[") + body.count(b"{") > MAX_BRACKETS:
            raise http.client.HTTPException("the answer is nested like nothing a node sends")
        with self._lock:
            if self._closed or len(self._idle) >= _KEPT or response.will_close:
                connection.close()
            else:
                self._idle.append(connection)
        return Answer(status=response.status, body=body)

    def close(self) -> None:
        """Drop the connections."""
        with self._lock:
            self._closed = True
            while self._idle:
                self._idle.pop().close()
