"""A small HTTPS client to one peer: one kept connection, one pinned certificate, bounded answers."""

from __future__ import annotations

import http.client
import io
import ssl
import threading
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

from ledger.errors import UnavailableError
from node.identity.peers import Peer
from node.identity.tls import client_context

MAX_ANSWER = 1 << 20
#: Opening brackets in an answer: JSON nested without end must reach no decoder, whose own guard is the interpreter's
#: recursion limit. What a node sends has a few; a tile's random bytes hold about 64.
MAX_BRACKETS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Status and whole body of an answer."""

    status: int
    body: bytes


#: Certificate file, key file and passphrase of the certificate a client presents.
OwnCertificate = tuple[Path, Path, bytes]


class _Timed:
    """A TLS socket whose every wait ends at the request's deadline: a peer that sends a byte now and then would
    otherwise hold its caller for hours."""

    def __init__(self, inner: ssl.SSLSocket) -> None:
        self.inner = inner
        self.deadline = 0.0

    def left(self) -> float:
        """Seconds until the deadline. Raises: TimeoutError."""
        seconds = self.deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("the answer took too long")
        return seconds

    def sendall(self, data: bytes) -> None:
        """As the socket's."""
        self.inner.settimeout(self.left())
        self.inner.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What http.client reads answers from."""
        return io.BufferedReader(_TimedReader(self))

    def close(self) -> None:
        """As the socket's."""
        self.inner.close()


class _TimedReader(io.RawIOBase):
    def __init__(self, timed: _Timed) -> None:
        self._timed = timed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        self._timed.inner.settimeout(self._timed.left())
        return self._timed.inner.recv_into(buffer)


class PinnedClient:
    """Requests to a peer's HTTPS address; only the certificate of ``peers.json`` is accepted. Thread-safe, one request
    at a time. Connecting, and then each request, ends after ``timeout`` seconds. With ``own`` it presents a
    certificate: entries are for some readers only."""

    def __init__(self, peer: Peer, timeout: float, own: OwnCertificate | None = None) -> None:
        self.peer = peer
        self._own = own
        self._timeout = timeout
        self._lock = threading.Lock()
        self._connection: http.client.HTTPSConnection | None = None
        self._socket: _Timed | None = None

    def get(self, path: str) -> Answer:
        """GET. Raises: UnavailableError(peer.unreachable)."""
        return self._request("GET", path, None)

    def read(self, path: str, most: int) -> Answer:
        """GET of bytes that no decoder of JSON will see (tiles, entry bundles): at most ``most`` of them, compressed on
        the way when the peer likes. Raises: UnavailableError(peer.unreachable)."""
        return self._request("GET", path, None, most)

    def post(self, path: str, body: bytes) -> Answer:
        """POST. Raises: UnavailableError(peer.unreachable)."""
        return self._request("POST", path, body)

    def close(self) -> None:
        """Drop the connection."""
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = self._socket = None

    def _request(self, method: str, path: str, body: bytes | None, most: int = 0) -> Answer:
        with self._lock:
            kept = self._connection is not None
            try:
                return self._once(method, path, body, most)
            except (OSError, http.client.HTTPException) as error:
                self._drop()
                if not kept or isinstance(error, TimeoutError):
                    raise self._unreachable(error) from error
            try:
                # The kept connection may have been closed by the peer while idle: once more on a new one. Both
                # requests this client makes may be repeated without harm.
                return self._once(method, path, body, most)
            except (OSError, http.client.HTTPException) as error:
                self._drop()
                raise self._unreachable(error) from error

    def _once(self, method: str, path: str, body: bytes | None, most: int = 0) -> Answer:
        if self._connection is None:
            host, _, port = self.peer.https.rpartition(":")
            self._connection = http.client.HTTPSConnection(
                host, int(port), timeout=self._timeout, context=client_context(self.peer.certificate, self._own)
            )
            self._connection.connect()
            self._connection.sock = self._socket = _Timed(self._connection.sock)
        if self._socket is not None:
            self._socket.deadline = time.monotonic() + self._timeout
        self._connection.request(method, path, body=body, headers={"Accept-Encoding": "gzip"} if most else {})
        response = self._connection.getresponse()
        # What does not compress grows a little by it.
        bound = most + (most >> 10) + 1_024 if most and response.status == 200 else MAX_ANSWER
        data = response.read(bound + 1)
        if len(data) > bound:
            raise http.client.HTTPException(f"the answer is larger than {bound} bytes")
        if response.will_close:
            # http.client would connect anew by itself, without a deadline.
            self._drop()
        if response.length:
            raise http.client.HTTPException("the answer was cut short")
        if most and response.status == 200:
            packed = (response.headers.get("Content-Encoding") or "").lower() == "gzip"
            data = _unpacked(data, most) if packed else data
            if len(data) > most:
                raise http.client.HTTPException(f"the answer is larger than {most} bytes")
            return Answer(status=200, body=data)
        if data.count(b"[") + data.count(b"{") > MAX_BRACKETS:
            raise http.client.HTTPException("the answer is nested like nothing a node sends")
        return Answer(status=response.status, body=data)

    def _unreachable(self, error: Exception) -> UnavailableError:
        return UnavailableError(
            "peer.unreachable",
            f"the node of {self.peer.uscc} at https://{self.peer.https} cannot be reached: {error}",
            hint="check that it runs, that the address in peers.json is right, and that its certificate is the same",
        )


def _unpacked(data: bytes, most: int) -> bytes:
    """What was compressed with gzip, at most ``most`` bytes of it."""
    unzip = zlib.decompressobj(wbits=31)
    try:
        found = unzip.decompress(data, most + 1)
    except zlib.error as error:
        raise http.client.HTTPException(f"the answer is not gzip: {error}") from error
    if len(found) <= most and not unzip.eof:
        raise http.client.HTTPException("the compressed answer is cut short")
    return found
