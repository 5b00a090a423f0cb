"""A JSON-RPC endpoint whose answers the test makes: from a script, or from our own chain with something changed."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import rlp

from ledger.chain.embedded import keccak256
from ledger.chain.rpc.errors import RpcError
from ledger.chain.rpc.shapes import header_rlp

Answer = Callable[[str, list[Any]], Any]


class Endpoint:
    """A server on loopback. ``answer`` gives a call's result or raises RpcError; ``raw``, where set, takes the whole
    body and gives status and bytes instead. ``one_by_one`` ends each connection behind its answer: without a word, as
    when its keep-alive ran out, or ``announced``. ``seen``: the calls so far; ``headers``: of the newest request."""

    def __init__(self, answer: Answer, *, tls: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self.raw: Callable[[bytes], tuple[int, bytes]] | None = None
        self.one_by_one = False
        self.announced = False
        self.seen: list[str] = []
        self.headers: dict[str, str] = {}
        self.connections = 0
        self._http = _Server(self)
        if tls is not None:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
        port = self._http.server_address[1]
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{port}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def handle(self, body: bytes) -> tuple[int, bytes]:
        if self.raw is not None:
            return self.raw(body)
        request = json.loads(body)
        if isinstance(request, list):
            # In another order than asked: answers are told apart by their id.
            return 200, json.dumps([self._one(item) for item in reversed(request)]).encode()
        return 200, json.dumps(self._one(request)).encode()

    def _one(self, request: dict[str, Any]) -> dict[str, Any]:
        self.seen.append(request["method"])
        head = {"jsonrpc": "2.0", "id": request["id"]}
        try:
            return head | {"result": self.answer(request["method"], request["params"])}
        except RpcError as error:
            return head | {"error": error.to_dict()}

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def __enter__(self) -> Endpoint:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        self.server.endpoint.connections += 1
        super().setup()

    def do_POST(self) -> None:
        endpoint = self.server.endpoint
        endpoint.headers = dict(self.headers)
        status, body = endpoint.handle(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(status)
        if endpoint.announced:
            self.send_header("Connection", "close")  # the body ends with the connection
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = endpoint.one_by_one

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


def forged(block: dict[str, Any], **changes: str) -> dict[str, Any]:
    """A block with other header fields and the hash they give."""
    changed = block | changes
    return changed | {"hash": "0x" + keccak256(header_rlp(changed)).hex()}


def as_json(header: bytes, hash_: bytes, names: tuple[str, ...], numbers: frozenset[str]) -> dict[str, Any]:
    """A block without transactions from a header's RLP."""
    fields = {
        name: hex(int.from_bytes(value, "big")) if name in numbers else "0x" + value.hex()
        for name, value in zip(names, rlp.decode(header), strict=False)
    }
    return fields | {"hash": "0x" + hash_.hex(), "transactions": []}
