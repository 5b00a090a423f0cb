"""The public door for envelopes: a call of another hospital's node, signed by it and carried by a gateway."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager
from typing import Any, Protocol

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from ledger.errors import FatalError, LedgerError
from ledger.evidence.carried import MAX_ENVELOPE
from node.web.webserver import SECURITY_HEADERS, bounded_body, error_response

logger = structlog.get_logger("node.web.forward")

#: How often a call that waits for a change looks whether there is one, seconds: one number is compared.
_LOOK_S = 0.2
_NO_STORE = {"Cache-Control": "no-store", **SECURITY_HEADERS}


class Waiting(Protocol):
    """A call whose envelope passed."""

    @property
    def wait_ms(self) -> int:
        """How long it waits for a change."""


class ForwardParts(Protocol):
    """What judges envelopes and does what they ask (``node.services.carried``)."""

    def admit(self, address: str, data: bytes) -> Any:
        """Judge an envelope; afterwards it is used up."""

    def answer(self, call: Any) -> bytes:
        """Do it; a SealedAnswer."""

    def waiting(self) -> AbstractContextManager[None]:
        """A place among the calls that wait."""

    @property
    def noticed(self) -> int:
        """Moves with each new change."""

    def has_news(self, call: Any) -> bool:
        """Whether a call that waits has something to hear."""


def forward_routes(parts: ForwardParts) -> tuple[Route, ...]:
    """``POST /v1/forward``."""

    async def forward(request: Request) -> Response:
        try:
            body = await bounded_body(request, MAX_ENVELOPE)
            address = request.client.host if request.client is not None else ""
            call = await run_in_threadpool(parts.admit, address, body)
            if call.wait_ms:
                await _wait(request, parts, call)
            answer = await run_in_threadpool(parts.answer, call)
        except LedgerError as error:
            return error_response(error)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is left to read it
        except Exception:
            logger.exception("http.defect", method=request.url.path)
            return error_response(FatalError("node.defect", "this answer could not be made"))
        return Response(answer, media_type="application/octet-stream", headers=_NO_STORE)

    return (Route("/v1/forward", forward, methods=["POST"]),)


async def _wait(request: Request, parts: ForwardParts, call: Waiting) -> None:
    """Until there is a change to tell, or the time is over, or nobody waits any more."""
    loop = asyncio.get_running_loop()
    end = loop.time() + call.wait_ms / 1_000
    with parts.waiting():
        seen = parts.noticed
        while not await run_in_threadpool(parts.has_news, call):
            while parts.noticed == seen:
                if loop.time() >= end or await request.is_disconnected():
                    return
                await asyncio.sleep(_LOOK_S)
            seen = parts.noticed
