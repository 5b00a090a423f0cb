"""Running a Starlette application on uvicorn in a thread of its own, and what all its answers share."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
import uvicorn
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ledger.errors import STATUS, ConflictError, FatalError, InvalidInputError, LedgerError, NotFoundError
from node.web.connections import MemberConnection

logger = structlog.get_logger("node.web.webserver")

#: Every answer carries these: no sniffing, no framing, no external resource.
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
_START_TIMEOUT_S = 30.0


def error_response(error: LedgerError) -> JSONResponse:
    """The error as ``{code, message, hint}`` with the status of its class."""
    status = next((STATUS[base][1] for base in type(error).__mro__ if base in STATUS), 500)
    # What is absent now may be there the next moment: no cache may keep saying no.
    return JSONResponse(error.to_dict(), status_code=status, headers={"Cache-Control": "no-store", **SECURITY_HEADERS})


async def _no_path(_request: Request, _error: Exception) -> Response:
    return error_response(NotFoundError("http.path", "there is nothing at this path"))


async def _no_method(_request: Request, _error: Exception) -> Response:
    response = error_response(InvalidInputError("http.method", "this path does not take that method"))
    response.status_code = 405
    return response


#: What an application answers by itself, as JSON with code like everything else.
ERROR_PAGES: dict[Any, Callable[[Request, Exception], Awaitable[Response]]] = {404: _no_path, 405: _no_method}


def endpoint(behaviour: Callable[[Request], Response]) -> Callable[[Request], Awaitable[Response]]:
    """A synchronous behaviour as an endpoint: run in the thread pool, errors answered as JSON."""

    async def run(request: Request) -> Response:
        try:
            return await run_in_threadpool(behaviour, request)
        except LedgerError as error:
            return error_response(error)
        except Exception:
            logger.exception("http.defect", method=request.url.path)
            return error_response(FatalError("node.defect", "this answer could not be made"))

    return run


async def bounded_body(request: Request, limit: int) -> bytes:
    """The request's body.

    Raises: InvalidInputError(http.too-large) as soon as more than ``limit`` bytes came.
    """
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise InvalidInputError("http.too-large", f"the body is larger than {limit} bytes", expected=limit)
        parts.append(part)
    return b"".join(parts)


def whole_number(text: str | None, name: str) -> int:
    """A query or path number in its one spelling (no sign, no leading zero), below 2^63.

    Raises: InvalidInputError(http.number).
    """
    if text is None or not text.isascii() or not text.isdecimal() or len(text) > 19 or str(int(text)) != text:
        raise InvalidInputError("http.number", f"{name} must be a whole number", actual=(text or "")[:40])
    if int(text) >= 1 << 63:
        raise InvalidInputError("http.number", f"{name} is out of range", actual=text)
    return int(text)


class WebServer:
    """One listening HTTP(S) server. ``context`` None means plain HTTP: loopback only."""

    def __init__(self, app: Any, host: str, port: int, context: ssl.SSLContext | None, *, name: str) -> None:
        self._socket = _bind(host, port)
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            lifespan="off",
            ws="none",
            http=MemberConnection,
            limit_concurrency=256,
            timeout_keep_alive=75,
            # Idle connections of TLS clients do not answer a close at once; what is under way is short.
            timeout_graceful_shutdown=1,
            h11_max_incomplete_event_size=16_384,
            ssl_context_factory=None if context is None else (lambda _config, _default: context),
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])

    def start(self) -> None:
        """Serve in a thread. Returns at once; connections queue in the socket until the loop runs."""
        self._socket.listen(256)
        self._thread.start()

    def close(self) -> None:
        """Stop accepting, finish what is under way (at most a second), free the port."""
        self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join(_START_TIMEOUT_S)
        self._socket.close()


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio sets TCP_NODELAY only then: else head and body of an answer wait 40 ms for
    # the client's delayed acknowledgement.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise ConflictError(
            "listen.in-use",
            f"cannot listen on {host}:{port}: {error.strerror}",
            hint="another program has the port, or this node runs already; the ports stand in node.toml",
        ) from error
    return bound
