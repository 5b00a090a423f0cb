"""``/cds-services``: the hospital's order system asks at order time, by CDS Hooks, on the node's loopback port.

Beside ``POST /fhir``, and for the same callers; but what is answered says of a person where he was examined, so that
a call needs a token that the hospital gave its order system. Nothing of a request stands in a log.
Source: CDS Hooks 2.0 (https://cds-hooks.org); RFC 6750, section 2.1.
"""

from __future__ import annotations

import asyncio
import hmac
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ledger.errors import FatalError, InvalidInputError, LedgerError, NotAllowedError, NotFoundError, UnavailableError
from ledger.medical.cdsrequest import MAX_BYTES, Hook
from ledger.medical.cdswords import SERVICES
from node.web.statustexts import choose
from node.web.webserver import SECURITY_HEADERS, bounded_body, error_response

if TYPE_CHECKING:
    from ledger.medical.texts import Language
    from node.context import NodeContext

logger = structlog.get_logger("node.web.cds")

MIN_TOKEN, MAX_TOKEN = 16, 1_024
#: Codes whose status is not that of their class. 412: CDS Hooks asks for it where prefetched data are missing.
_STATUS = {"http.too-large": 413, "http.media": 415, "cds.prefetch": 412, "cds.token": 401}
_HEADERS = {"Cache-Control": "no-store", "Vary": "Accept-Language", **SECURITY_HEADERS}


class OrderParts(Protocol):
    """What the node answers order systems."""

    deadline_ms: int

    def services(self, language: Language) -> dict[str, Any]:
        """The discovery document."""

    def answer(self, data: bytes, hook: Hook, language: Language) -> dict[str, Any]:
        """The cards of a request."""


class Orders:
    """The door. ``token_file``: holds the token of the order systems, read at each call so that it can be changed."""

    def __init__(self, parts: OrderParts, token_file: Path) -> None:
        self._parts = parts
        self._token_file = token_file

    def routes(self, check: Callable[[Request], None]) -> tuple[Route, ...]:
        """The routes. ``check`` refuses requests of foreign web pages."""

        async def discover(request: Request) -> Response:
            return await _answered(request, self._discover, check)

        async def call(request: Request) -> Response:
            return await _answered(request, self._call, check)

        return (
            Route("/cds-services", discover, methods=["GET"]),
            Route("/cds-services/{service}", call, methods=["POST"]),
        )

    async def _discover(self, request: Request) -> dict[str, Any]:
        return await run_in_threadpool(self._parts.services, _language(request))

    async def _call(self, request: Request) -> dict[str, Any]:
        await run_in_threadpool(self._check_token, request)
        name = request.path_params["service"]
        if name not in SERVICES:
            raise NotFoundError("cds.service", "there is no such service", hint="GET /cds-services lists them")
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise InvalidInputError("http.media", "send application/json")
        body = await bounded_body(request, MAX_BYTES)
        work = asyncio.to_thread(self._parts.answer, body, SERVICES[name][0], _language(request))
        try:
            return await asyncio.wait_for(work, self._parts.deadline_ms / 1_000)
        except TimeoutError:
            raise UnavailableError(
                "cds.late",
                "the answer was not ready within medical.order_deadline_ms",
                hint="order as usual; if it happens often, is the health commission's node away? civicledger doctor",
                expected=self._parts.deadline_ms,
            ) from None

    def _check_token(self, request: Request) -> None:
        token = token_in(self._token_file)
        if not token:
            raise UnavailableError(
                "cds.token-file",
                f"the file of medical.order_token_file holds no token of {MIN_TOKEN} to {MAX_TOKEN} characters",
                hint="write one there, for the node alone to read, and give it to the order system",
            )
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), token.encode()):
            raise NotAllowedError(
                "cds.token",
                "the call has not the token that this node's order systems have",
                hint="send Authorization: Bearer with the token of medical.order_token_file",
            )


def token_in(file: Path) -> str:
    """The token in a file; empty where there is none, or none of a fitting length."""
    try:
        token = file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return token if MIN_TOKEN <= len(token) <= MAX_TOKEN else ""


def order_door(context: NodeContext) -> Orders | None:
    """The door, where the settings name a token file."""
    section = context.config.medical
    if not section.order_token_file:
        return None
    # Reading orders is for hospitals that connect an order system; the others do not load it.
    from node.medical.ordering import Ordering

    ordering = Ordering(context.medical.speaking.dialogue, section.order_deadline_ms)
    return Orders(ordering, context.config.folder / section.order_token_file)


def _language(request: Request) -> Language:
    return "en" if choose(None, request.headers.get("accept-language")) == "en" else "zh"


async def _answered(request: Request, work: Callable[[Request], Any], check: Callable[[Request], None]) -> Response:
    try:
        check(request)
        return JSONResponse(await work(request), headers=_HEADERS)
    except ClientDisconnect:
        return Response(status_code=400)  # nobody is left to read it
    except LedgerError as error:
        response = error_response(error)
        response.status_code = _STATUS.get(error.code, response.status_code)
        if response.status_code == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        return response
    except Exception as error:
        # Where and what kind, without the message: that could hold what was asked.
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.lineno}"
        logger.error("http.defect", method=request.url.path, kind=type(error).__name__, where=where)
        return error_response(FatalError("node.defect", "this answer could not be made"))
