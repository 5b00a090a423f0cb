"""A node's HTTP(S) server, and what all its answers share."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ledger.errors import STATUS, FatalError, InvalidInputError, LedgerError, NotFoundError
from ledger.webserver import HttpServer
from node.web.connections import MemberConnection

logger = structlog.get_logger("node.web.webserver")

#: Every answer carries these: no sniffing, no framing, no external resource.
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}


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


class WebServer(HttpServer):
    """A node's listening server. ``context`` None means plain HTTP: loopback only."""

    def __init__(self, app: Any, host: str, port: int, context: ssl.SSLContext | None, *, name: str) -> None:
        super().__init__(
            app,
            host,
            port,
            context,
            name=name,
            connection=MemberConnection,
            keep_alive_s=75,
            # Idle connections of TLS clients do not answer a close at once; what is under way is short.
            grace_s=1,
            settings="node.toml",
        )
