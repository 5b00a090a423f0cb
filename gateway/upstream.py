"""Reading a member's node over its public HTTPS surface, pinned to one certificate."""

from __future__ import annotations

import hashlib
import http.client
import ssl
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from gateway.config import Peer
from gateway.timed import TimedSocket
from ledger.errors import InvalidInputError, UnavailableError, UntrustedError

MAX_ANSWER = 1 << 20
#: Opening brackets in an answer: JSON nested without end must reach no decoder, whose own guard is the interpreter's
#: recursion limit (a library of the chain client raises it beyond what the stack holds, and the process would end).
#: What a node sends has a few; a tile's random bytes hold about 64.
MAX_BRACKETS = 500
#: Idle connections kept to one node.
_KEPT = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Within:
    """Bounds of one answer other than the usual: seconds until it is there whole, bytes; ``opaque``: it is read by
    nobody here, so that its brackets mean nothing."""

    seconds: float
    most: int = MAX_ANSWER
    opaque: bool = False


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
    """Requests to one node, each at an end after ``timeout`` seconds. Thread-safe; connections are reused."""

    def __init__(self, peer: Peer, *, timeout: float = 5.0) -> None:
        self.peer = peer
        self.spki = certificate_spki(peer.certificate)
        self._usual = Within(seconds=timeout)
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

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """The answer to a path, asked for with further headers.

        Raises:
            UnavailableError: ``node.unreachable``; UntrustedError: ``node.certificate``, another one was presented.
        """
        with self._lock:
            kept = self._idle.pop() if self._idle else None
        if kept is not None:
            try:
                return self._ask(kept, "GET", path, None, headers, self._usual)
            except (OSError, http.client.HTTPException):
                # The node may have closed it while idle; a read may be repeated on a fresh connection.
                kept.close()
        return self._fresh("GET", path, None, headers, self._usual)

    def post(
        self, path: str, body: bytes, headers: Mapping[str, str] | None = None, within: Within | None = None
    ) -> Answer:
        """The answer to a body sent to a path, once: whether a request that broke off was carried out, nobody knows.

        Raises: as :meth:`get`.
        """
        return self._fresh("POST", path, body, headers, within or self._usual)

    def _fresh(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str] | None, within: Within
    ) -> Answer:
        host, _, port = self.peer.https.rpartition(":")
        fresh = http.client.HTTPSConnection(host, int(port), timeout=within.seconds, context=self._context)
        try:
            return self._ask(fresh, method, path, body, headers, within)
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

    def _ask(
        self,
        connection: http.client.HTTPSConnection,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str] | None,
        within: Within,
    ) -> Answer:
        if connection.sock is None:
            connection.connect()
            connection.sock = TimedSocket(connection.sock)  # type: ignore[assignment]
        cast("TimedSocket", connection.sock).begin(within.seconds)
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        data = response.read(within.most + 1)
        if len(data) > within.most:
            raise http.client.HTTPException(f"the answer is larger than {within.most} bytes")
        if not within.opaque and data.count(b"[") + data.count(b"{") > MAX_BRACKETS:
            raise http.client.HTTPException("the answer is nested like nothing a node sends")
        with self._lock:
            if self._closed or len(self._idle) >= _KEPT or response.will_close:
                connection.close()
            else:
                self._idle.append(connection)
        return Answer(status=response.status, body=data)

    def close(self) -> None:
        """Drop the connections."""
        with self._lock:
            self._closed = True
            while self._idle:
                self._idle.pop().close()
