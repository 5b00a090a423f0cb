"""A TLS socket under one deadline a request: a node that sends a byte now and then holds no thread for longer."""

from __future__ import annotations

import io
import ssl
import time


class TimedSocket:
    """What http.client takes for a socket. Every wait ends at the deadline, whatever came meanwhile."""

    def __init__(self, inner: ssl.SSLSocket) -> None:
        self.inner = inner
        self._deadline = 0.0

    def begin(self, seconds: float) -> None:
        """The request that begins now ends within so many seconds."""
        self._deadline = time.monotonic() + seconds

    def sendall(self, data: bytes) -> None:
        """As the socket's. Raises: TimeoutError."""
        self._wait()
        self.inner.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What http.client reads an answer from."""
        return io.BufferedReader(_Reader(self))

    def receive(self, buffer: bytearray | memoryview) -> int:
        """Bytes received into a buffer. Raises: TimeoutError."""
        self._wait()
        return self.inner.recv_into(buffer)

    def close(self) -> None:
        """As the socket's."""
        self.inner.close()

    def _wait(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer took too long")
        self.inner.settimeout(left)


class _Reader(io.RawIOBase):
    def __init__(self, socket: TimedSocket) -> None:
        self._socket = socket

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        return self._socket.receive(buffer)
