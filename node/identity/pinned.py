"""A small HTTPS client to one peer: one kept connection, one pinned certificate, bounded answers."""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

from ledger.errors import UnavailableError
from node.identity.peers import Peer
from node.identity.tls import client_context

T = TypeVar("T")

MAX_ANSWER = 1 << 20
#: Answers of requests that are under way together, bytes: with the one that goes beyond it, no more is kept in memory.
MAX_TOGETHER = 32 << 20
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


class _Unclosed(io.BufferedReader):
    """A stream of answers: http.client closes the file of each one, and the next one follows in it."""

    def close(self) -> None:
        """Nothing: the socket is closed with the connection."""


class _Stream:
    """What http.client takes for a socket when it reads one answer of several."""

    def __init__(self, timed: _Timed) -> None:
        self._reader = _Unclosed(_TimedReader(timed))

    def makefile(self, _mode: str) -> io.BufferedReader:
        """The same for every answer."""
        return self._reader


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

    def read_all(self, wanted: Sequence[tuple[str, int]]) -> list[Answer]:
        """:meth:`read` of several (path, most), all asked for before the first is answered (HTTP pipelining), so that a
        long way costs its time once. The answers in order; fewer than asked for, but one at least, when the peer ends
        the connection or they are more than :data:`MAX_TOGETHER` bytes. Raises: UnavailableError(peer.unreachable)."""
        return self._twice(lambda: self._together(wanted))

    def close(self) -> None:
        """Drop the connection."""
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = self._socket = None

    def _request(self, method: str, path: str, body: bytes | None, most: int = 0) -> Answer:
        return self._twice(lambda: self._once(method, path, body, most))

    def _twice(self, attempt: Callable[[], T]) -> T:
        with self._lock:
            kept = self._connection is not None
            try:
                return attempt()
            except (OSError, http.client.HTTPException) as error:
                self._drop()
                if not kept or isinstance(error, TimeoutError):
                    raise self._unreachable(error) from error
            try:
                # The kept connection may have been closed by the peer while idle: once more on a new one. All
                # requests this client makes may be repeated without harm.
                return attempt()
            except (OSError, http.client.HTTPException) as error:
                self._drop()
                raise self._unreachable(error) from error

    def _connected(self) -> tuple[http.client.HTTPSConnection, _Timed]:
        if self._connection is None or self._socket is None:
            host, _, port = self.peer.https.rpartition(":")
            self._connection = http.client.HTTPSConnection(
                host, int(port), timeout=self._timeout, context=client_context(self.peer.certificate, self._own)
            )
            self._connection.connect()
            self._connection.sock = self._socket = _Timed(self._connection.sock)
        self._socket.deadline = time.monotonic() + self._timeout
        return self._connection, self._socket

    def _once(self, method: str, path: str, body: bytes | None, most: int = 0) -> Answer:
        connection, _ = self._connected()
        connection.request(method, path, body=body, headers={"Accept-Encoding": "gzip"} if most else {})
        response = connection.getresponse()
        answer = _answer(response, most)
        if response.will_close:
            # http.client would connect anew by itself, without a deadline.
            self._drop()
        return answer

    def _together(self, wanted: Sequence[tuple[str, int]]) -> list[Answer]:
        _, timed = self._connected()
        head = f" HTTP/1.1\r\nHost: {self.peer.https}\r\nAccept-Encoding: gzip\r\n\r\n"
        timed.sendall("".join(f"GET {path}{head}" for path, _ in wanted).encode("ascii"))
        stream = cast(socket.socket, _Stream(timed))
        answers: list[Answer] = []
        size = 0
        for _, most in wanted:
            timed.deadline = time.monotonic() + self._timeout
            try:
                response = http.client.HTTPResponse(stream, method="GET")
                response.begin()
                answers.append(_answer(response, most))
            except (OSError, http.client.HTTPException) as error:
                if not answers or isinstance(error, TimeoutError):
                    raise
                break
            size += len(answers[-1].body)
            if response.will_close or size > MAX_TOGETHER:
                break
        if len(answers) < len(wanted) or response.will_close:
            self._drop()
        return answers

    def _unreachable(self, error: Exception) -> UnavailableError:
        return UnavailableError(
            "peer.unreachable",
            f"the node of {self.peer.uscc} at https://{self.peer.https} cannot be reached: {error}",
            hint="check that it runs, that the address in peers.json is right, and that its certificate is the same",
        )


def _answer(response: http.client.HTTPResponse, most: int) -> Answer:
    """The whole answer; ``most`` bytes of what no decoder of JSON will see, or 0. Raises: HTTPException."""
    # What does not compress grows a little by it.
    bound = most + (most >> 10) + 1_024 if most and response.status == 200 else MAX_ANSWER
    data = response.read(bound + 1)
    if len(data) > bound:
        raise http.client.HTTPException(f"the answer is larger than {bound} bytes")
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
