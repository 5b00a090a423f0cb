"""JSON-RPC over HTTP on loopback, for tools that live beside the node."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from typing import Any

from ledger.chain.engine import EmbeddedChain
from ledger.chain.jsonrpc import MAX_BODY_BYTES, JsonRpc
from ledger.errors import InvalidInputError

MAX_CONNECTIONS = 64
#: A connection on which nothing arrives for this long is closed.
IDLE_S = 30.0
_PATIENCE_S = 0.5


class RpcServer:
    """A running server. ``url`` is where it answers; :meth:`close` stops it."""

    def __init__(self, rpc: JsonRpc, host: str, port: int) -> None:
        if not _is_loopback(host):
            raise InvalidInputError(
                "rpc.address",
                f"JSON-RPC is served on loopback only, not on {host}",
                hint="use 127.0.0.1; other members read through gRPC, the public through the gateway",
            )
        self._http = _Http((host, port), rpc.handle)
        self.host = host
        self.port = int(self._http.server_address[1])
        self.url = f"http://{host}:{self.port}"
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, name="json-rpc", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop accepting; a second call does nothing."""
        if self._thread.is_alive():
            self._http.shutdown()
            self._thread.join()
            self._http.server_close()

    def __enter__(self) -> RpcServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def serve(chain: EmbeddedChain, host: str = "127.0.0.1", port: int = 0) -> RpcServer:
    """Serve a chain; port 0 takes a free one. Raises InvalidInputError(rpc.address)."""
    return RpcServer(JsonRpc(chain), host, port)


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handle: Callable[[bytes], bytes]) -> None:
        self.handle_body = handle
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        # Each connection is a thread: one too many waits for a moment and is closed, so that closing the server never
        # waits for a client.
        if self._free.acquire(timeout=_PATIENCE_S):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_S
    # Headers and body leave in one segment: two small writes would wait for the peer's delayed acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Http

    def do_POST(self) -> None:
        """One JSON-RPC body."""
        if not self._allowed():
            return
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or len(length) > 9:
            self._refuse(411, "a Content-Length is needed")
            return
        if int(length) > MAX_BODY_BYTES:
            self._refuse(413, f"a body has at most {MAX_BODY_BYTES} bytes")
            return
        body = self.rfile.read(int(length))
        if len(body) == int(length):
            self._send(200, self.server.handle_body(body), "application/json")

    def do_GET(self) -> None:
        """There is nothing to see by GET."""
        self._refuse(405, "send JSON-RPC by POST")

    def _allowed(self) -> bool:
        # A web page of a stranger can make a browser talk to loopback: its requests carry a foreign Host name (DNS
        # rebinding) or, without preflight, no JSON content type.
        host = self.headers.get("Host", "").rsplit(":", 1)[0].strip("[]")
        if host != "localhost" and not _is_loopback(host):
            self._refuse(403, "this server answers to its loopback address only")
            return False
        if self.headers.get("Content-Type", "").split(";")[0].strip().lower() != "application/json":
            self._refuse(415, "the content type is application/json")
            return False
        return True

    def _refuse(self, status: int, message: str) -> None:
        self.close_connection = True
        self._send(status, message.encode() + b"\n", "text/plain; charset=utf-8")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def version_string(self) -> str:
        """No software versions for strangers."""
        return "civicledger"

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are counted by the node's metrics, not printed."""


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except (ValueError, socket.gaierror):
        return False
