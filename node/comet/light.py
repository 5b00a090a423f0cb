"""What a joining node's light client asks: signed headers, validator sets, parameters.

A node serves them to everybody over its public HTTPS (they prove themselves), so that CometBFT's own RPC stays closed.
A joining node's CometBFT asks a unix socket of its own node, which asks one member's node for it.
"""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ledger.errors import LedgerError, UnavailableError
from node.web.webserver import SECURITY_HEADERS, endpoint, whole_number

#: Method of CometBFT's RPC -> path here.
PATHS = {
    "commit": "/v1/consensus/commit",
    "validators": "/v1/consensus/validators",
    "consensus_params": "/v1/consensus/params",
}
_MAX_REQUEST_BYTES = 4_096
_TIMEOUT_S = 20.0


class LightParts(Protocol):
    """A CometBFT's answers, each the JSON of a result."""

    def commit(self, height: int | None = None) -> bytes:
        """The signed header of a height."""

    def validators(self, height: int | None = None) -> bytes:
        """The validator set of a height."""

    def consensus_params(self, height: int | None = None) -> bytes:
        """The parameters of a height."""


#: GET of a path at one member's node: the JSON it answered. Raises: UnavailableError, and what the node refused.
Ask = Callable[[str], Any]


def light_routes(parts: LightParts) -> list[Route]:
    """The public paths of a node on a CometBFT network; ``?height=`` names a height, without it the newest."""

    def route(method: str, read: Callable[[int | None], bytes]) -> Route:
        def answer(request: Request) -> Response:
            text = request.query_params.get("height")
            height = None if text is None else whole_number(text, "height")
            return Response(read(height), media_type="application/json", headers=SECURITY_HEADERS)

        return Route(PATHS[method], endpoint(answer))

    return [
        route("commit", parts.commit),
        route("validators", parts.validators),
        route("consensus_params", parts.consensus_params),
    ]


class LightSource:
    """A unix socket that answers CometBFT's light client with what one member's node says."""

    def __init__(self, path: Path, ask: Ask) -> None:
        """Listens at once. Raises: UnavailableError(comet.light-socket)."""
        path.unlink(missing_ok=True)
        try:
            self._server = _Server(str(path), ask)
        except OSError as error:
            raise UnavailableError("comet.light-socket", f"{path} cannot be listened on: {error.strerror}") from error
        path.chmod(0o600)
        self._path = path
        self._thread = threading.Thread(target=self._server.serve_forever, name="light-source", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """For ``rpc_servers``."""
        return f"unix://{self._path}"

    def close(self) -> None:
        """Stop listening; answers under way end by themselves."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(_TIMEOUT_S)
        self._path.unlink(missing_ok=True)


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, path: str, ask: Ask) -> None:
        self.ask = ask
        super().__init__(path, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that goes away is no event."""


class _Handler(BaseHTTPRequestHandler):
    timeout = _TIMEOUT_S
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        """One JSON-RPC call."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > _MAX_REQUEST_BYTES:
            self.close_connection = True
            self.send_error(400)
            return
        answer = answer_call(self.rfile.read(int(length)), self.server.ask)
        with suppress(OSError):
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: CometBFT says what it could not get."""


def answer_call(body: bytes, ask: Ask) -> bytes:
    """The answer to one JSON-RPC call of CometBFT's light client."""
    number: Any = None
    try:
        call = json.loads(body)
        number = call["id"]
        path = PATHS[call["method"]]
        height = (call.get("params") or {}).get("height")
        answer: dict[str, Any] = {"result": ask(path if height is None else f"{path}?height={int(height)}")}
    except LedgerError as error:
        # Its light client reads in these words whether a height is not there yet.
        text = str(error.actual or error.message)
        answer = {"error": {"code": -32603, "message": "Internal error", "data": text}}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        answer = {"error": {"code": -32600, "message": "Invalid request", "data": "not a call of a light client"}}
    return json.dumps({"jsonrpc": "2.0", "id": number, **answer}).encode()
