"""JSON-RPC to a node of somebody's EVM network: loopback or TLS, every wait and every answer bounded.

Unlike ``ledger.chain.client``, which speaks to our own nodes, nothing is taken on trust here: the other side may be
slow, too talkative, of another make, or behind a balancer.
"""

from __future__ import annotations

import http.client
import io
import itertools
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from ledger.chain.rpc.errors import RpcError
from ledger.errors import InvalidInputError, LedgerError, UnavailableError, UntrustedError

TIMEOUT_S: Final = 10.0
MAX_ANSWER_BYTES: Final = 32 << 20
MAX_BATCH: Final = 100
_CHUNK: Final = 1 << 16
_IDLE_LINKS: Final = 8

Call = tuple[str, Sequence[object]]


class RpcLink:
    """Calls over HTTP/1.1 with connections kept. Thread-safe.

    ``token`` is sent as a bearer token; ``ca_file`` (PEM) replaces the system's certificate authorities.
    Raises InvalidInputError(chain.address) for an address that is neither loopback nor ``https``.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float = TIMEOUT_S,
        max_bytes: int = MAX_ANSWER_BYTES,
        token: str = "",
        ca_file: str | None = None,
    ) -> None:
        parts = urlsplit(url)
        host = parts.hostname or ""
        try:
            port = parts.port
        except ValueError:
            host = ""
        loopback = host == "localhost" or _is_loopback(host)
        if not host or parts.username or parts.fragment or parts.scheme not in ("http", "https"):
            raise InvalidInputError(
                "chain.address", "the address of a JSON-RPC is http://127.0.0.1:PORT or https://HOST", actual=url[:80]
            )
        if parts.scheme == "http" and not loopback:
            raise InvalidInputError(
                "chain.address",
                f"{host} is not this machine: JSON-RPC over the network needs https",
                hint="use https, or a tunnel that ends on 127.0.0.1",
            )
        self.url: Final = f"{parts.scheme}://{parts.netloc}"
        self._host, self._port = host, port
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._tls = None
        if parts.scheme == "https":
            try:
                self._tls = ssl.create_default_context(cafile=ca_file)
            except (OSError, ssl.SSLError) as error:
                raise InvalidInputError("chain.address", f"the file of authorities is unreadable: {error}") from error
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._closed = False

    def request(self, method: str, *params: object) -> Any:
        """The result of one call. Raises RpcError, UnavailableError(chain.unreachable | chain.busy),
        UntrustedError(chain.answer)."""
        (answer,) = self._ask([(method, params)], single=True)
        if isinstance(answer, RpcError):
            raise answer
        return answer

    def batch(self, calls: Sequence[Call]) -> list[Any]:
        """The results of many calls in order; a refusal stands in its place as RpcError."""
        out: list[Any] = []
        for first in range(0, len(calls), MAX_BATCH):
            out += self._ask(calls[first : first + MAX_BATCH], single=False)
        return out

    def close(self) -> None:
        """Give the connections back; later calls are refused."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _ask(self, calls: Sequence[Call], *, single: bool) -> list[Any]:
        numbers = [next(self._numbers) for _ in calls]
        body: Any = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}
            for number, (method, params) in zip(numbers, calls, strict=True)
        ]
        status, raw = self._exchange(msgspec.json.encode(body[0] if single else body))
        try:
            answer = msgspec.json.decode(raw)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            if status != 200:
                raise self._busy(status) from None
            raise _nonsense(f"{self.url} answered with something that is not JSON") from None
        if isinstance(answer, Mapping):
            # One call, or a batch refused as a whole.
            refusal = _refusal(answer)
            if not single and refusal is not None:
                raise refused("a batch of calls", refusal)
            answer = [answer]
        if not isinstance(answer, list) or len(answer) != len(calls):
            raise _nonsense(f"{self.url} did not answer every call of a batch")
        by_number = {
            item["id"]: item for item in answer if isinstance(item, Mapping) and isinstance(item.get("id"), int)
        }
        return [
            self._one(method, by_number.get(number), status) for number, (method, _) in zip(numbers, calls, strict=True)
        ]

    def _one(self, method: str, answer: Mapping[str, Any] | None, status: int) -> Any:
        if answer is None:
            raise self._busy(status) if status != 200 else _nonsense(f"{self.url} answered another call than {method}")
        refusal = _refusal(answer)
        if refusal is not None:
            return refusal
        if status != 200 or "result" not in answer:
            raise self._busy(status) if status != 200 else _nonsense(f"the answer to {method} holds no result")
        return answer["result"]

    def _exchange(self, body: bytes) -> tuple[int, bytes]:
        """Status and body of one POST. A kept connection that turns out closed is replaced once."""
        deadline = time.monotonic() + self._timeout
        connection = self._take()
        try:
            if connection is not None:
                try:
                    return self._post(connection, body, deadline)
                except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                    connection.close()
            connection = self._connect()
            return self._post(connection, body, deadline)
        except (http.client.HTTPException, OSError) as error:
            if connection is not None:
                connection.close()
            raise UnavailableError(
                "chain.unreachable",
                f"no answer from the chain at {self.url}: {type(error).__name__}: {error}",
                hint="check that the network's node runs and that the address is its JSON-RPC address",
            ) from error
        except LedgerError:
            if connection is not None:
                connection.close()
            raise

    def _post(self, connection: http.client.HTTPConnection, body: bytes, deadline: float) -> tuple[int, bytes]:
        if connection.sock is not None:
            connection.sock.settimeout(self._timeout)
        connection.response_class = partial(_Response, deadline)  # type: ignore[assignment]
        connection.request("POST", self._path, body, self._headers)
        response = connection.getresponse()
        parts, size = [], 0
        while chunk := response.read1(_CHUNK):
            size += len(chunk)
            if size > self._max_bytes:
                raise _nonsense(f"{self.url} answered with more than {self._max_bytes} bytes")
            parts.append(chunk)
        response.close()  # only now may the connection be used again
        if response.will_close:
            connection.close()
        else:
            self._keep(connection)
        return response.status, b"".join(parts)

    def _connect(self) -> http.client.HTTPConnection:
        if self._tls is not None:
            return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=self._tls)
        return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)

    def _take(self) -> http.client.HTTPConnection | None:
        with self._lock:
            if self._closed:
                raise UnavailableError("chain.closed", "the node is stopping", hint="ask another node")
            return self._idle.pop() if self._idle else None

    def _keep(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            if not self._closed and len(self._idle) < _IDLE_LINKS:
                self._idle.append(connection)
                return
        connection.close()

    def _busy(self, status: int) -> LedgerError:
        return UnavailableError(
            "chain.busy",
            f"{self.url} answered with HTTP status {status}",
            hint="401 and 403 ask for a token; 429 and 5xx pass: the node tries again",
        )


class _Timely(io.RawIOBase):
    """A socket's bytes up to a deadline: neither headers nor body can trickle in for ever."""

    def __init__(self, held: io.BufferedReader, sock: socket.socket, deadline: float) -> None:
        self._held, self._sock, self._deadline = held, sock, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer is not complete in time")
        self._sock.settimeout(left)
        return self._sock.recv_into(buffer)

    def close(self) -> None:
        # The socket counts who reads it by the file it made itself.
        self._held.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, deadline: float, sock: socket.socket, **options: Any) -> None:
        super().__init__(sock, **options)
        self.fp = io.BufferedReader(_Timely(self.fp, sock, deadline))


def refused(what: str, refusal: RpcError) -> LedgerError:
    """The refusal as an error where nothing better is known: UnavailableError(chain.refused)."""
    return UnavailableError(
        "chain.refused",
        f"{what}: {refusal.message or 'refused'} ({refusal.code})",
        hint="ask the operator of that node; it must answer eth_* calls, eth_getProof among them",
    )


def _refusal(answer: Mapping[str, Any]) -> RpcError | None:
    error = answer.get("error")
    if error is None:
        return None
    if not isinstance(error, Mapping):
        return RpcError(0, str(error)[:500])
    code = error.get("code")
    return RpcError(code if isinstance(code, int) else 0, str(error.get("message", ""))[:500], error.get("data"))


def _nonsense(message: str) -> UntrustedError:
    return UntrustedError("chain.answer", message, hint="check that the address is the JSON-RPC of an EVM network")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
