"""Licences over HTTPS and JSON: the same answers as LicenceService gives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.bodies import client_of, json_body, whole_number
from gateway.licences import answers
from gateway.licences.copying import COST, draw_copy
from gateway.licences.issuers import Issuers
from gateway.licences.judging import PROOF_COST, LicenceDesk, Presented
from gateway.limits import RateLimit
from ledger.identifiers import parse_licence_type, parse_uscc
from ledger.licences.statustoken import MEDIA_TYPE

#: A licence of 64 KiB, written in JSON.
MAX_BODY = 160 << 10
#: With a bundle of 1 MiB, in Base64 or with every quotation mark written as two characters.
MAX_WITH_PROOF = MAX_BODY + (2 << 20)
_NO_CACHE = {"Cache-Control": "no-store"}

#: Answers a request: (route, request, behaviour).
Answer = Callable[[str, Request, Callable[[], Awaitable[Response]]], Awaitable[Response]]


_T = TypeVar("_T")


class _Ask(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    licence: str
    nonce: str = ""
    audience: str = ""
    recipient: str = ""
    require_binding: bool = False
    #: Base64 of the bundle.
    proof: bytes = b""


class _Leave(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    licence: str


class _Draw(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    licence: str
    recipient_name: str


class LicenceRoutes:
    """The routes under ``/v1/licence``. ``answer`` is what surrounds every answer of the gateway."""

    def __init__(self, desk: LicenceDesk, issuers: Issuers, limit: RateLimit) -> None:
        """``limit``: licences a client may have judged."""
        self._desk = desk
        self._issuers = issuers
        self._limit = limit

    def routes(self, answer: Answer) -> list[Route]:
        """The routes, each wrapped by ``answer``."""

        def route(path: str, method: str, work: Callable[[Request], Awaitable[Response]]) -> Route:
            async def endpoint(request: Request) -> Response:
                return await answer(path, request, lambda: work(request))

            return Route(path, endpoint, methods=[method])

        return [
            route("/v1/licence/nonce", "GET", self._nonce),
            route("/v1/licence/verify", "POST", self._verify),
            route("/v1/licence/reference", "POST", self._leave),
            route("/v1/licence/copy", "POST", self._draw),
            route("/v1/licence/issuer/{uscc}", "GET", self._issuer),
            route("/v1/licence/status/{uscc}/{number}", "GET", self._status),
        ]

    async def _nonce(self, _request: Request) -> Response:
        nonce = self._desk.nonce()
        return JSONResponse({"nonce": nonce.text, "expires": nonce.expires_ms}, headers=_NO_CACHE)

    async def _verify(self, request: Request) -> Response:
        self._limit.take(client_of(request))
        asked = await _body(request, _Ask, MAX_WITH_PROOF)
        presented = Presented(**msgspec.structs.asdict(asked))
        if presented.has_proof:
            self._limit.take(client_of(request), self._limit.bounded(PROOF_COST))
        judged = await run_in_threadpool(self._desk.judge, presented)
        return Response(answers.verdict(judged), media_type="application/json", headers=_NO_CACHE)

    async def _leave(self, request: Request) -> Response:
        self._limit.take(client_of(request))
        asked = await _body(request, _Leave)
        waiting = self._desk.leave(request.headers.get("host", ""), asked.licence)
        return JSONResponse({"url": waiting.reference.url, "expires": waiting.expires_ms}, headers=_NO_CACHE)

    async def _draw(self, request: Request) -> Response:
        self._limit.take(client_of(request), COST)
        asked = await _body(request, _Draw)
        host = request.headers.get("host", "")
        page = await run_in_threadpool(draw_copy, self._desk, asked.licence, asked.recipient_name, host)
        headers = {"Content-Disposition": 'attachment; filename="copy.pdf"', **_NO_CACHE}
        return Response(page, media_type="application/pdf", headers=headers)

    async def _issuer(self, request: Request) -> Response:
        uscc = parse_uscc(request.path_params["uscc"])
        code = request.query_params.get("type")
        found = await run_in_threadpool(self._issuers.issuer, uscc, None if code is None else parse_licence_type(code))
        return JSONResponse(answers.issuer(found), headers={"Cache-Control": "no-cache"})

    async def _status(self, request: Request) -> Response:
        uscc = parse_uscc(request.path_params["uscc"])
        number = whole_number(request.path_params["number"], "number")
        text = request.query_params.get("time")
        time_s = None if text is None else whole_number(text, "time")
        kept = await run_in_threadpool(self._issuers.status_list, uscc, number, time_s)
        return Response(kept.token, media_type=MEDIA_TYPE, headers={"Cache-Control": "no-cache"})


async def _body(request: Request, kind: type[_T], most: int = MAX_BODY) -> _T:
    return await json_body(
        request,
        kind,
        most,
        size="a licence is at most 64 KiB, a bundle 1 MiB",
        form='{"licence": "…"}, and where wanted nonce, audience, recipient: docs/formats.md',
    )
