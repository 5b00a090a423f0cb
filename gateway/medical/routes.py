"""RecognitionService over HTTPS and JSON, under ``/v1/recognition``."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.bodies import json_body
from gateway.medical.carrying import SINGLE, Carrying
from gateway.medical.forwarding import Brought
from ledger.evidence.carried import MAX_ENVELOPE, CarriedFile, from_file

#: Many small envelopes.
MAX_SEVERAL: Final = 1 << 20
_HEADERS: Final = {"Cache-Control": "no-store"}

#: Answers a request: (route, request, behaviour).
Answer = Callable[[str, Request, Callable[[], Awaitable[Response]]], Awaitable[Response]]
_T = TypeVar("_T")


class _Several(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    envelopes: list[CarriedFile]
    deadline_ms: int = 3_000


class HospitalRoutes:
    """The routes. ``answer`` is what surrounds every answer of the gateway."""

    def __init__(self, carrying: Carrying) -> None:
        self._carrying = carrying

    def routes(self, answer: Answer) -> list[Route]:
        """``search``, ``changes``, and one for each single call."""

        def route(name: str, work: Callable[[Request], Awaitable[Response]]) -> Route:
            path = f"/v1/recognition/{name}"

            async def endpoint(request: Request) -> Response:
                return await answer(path, request, lambda: work(request))

            return Route(path, endpoint, methods=["POST"])

        single = [route(method.lower(), self._single(method)) for method in SINGLE]
        return [route("search", self._search), route("changes", self._changes), *single]

    def _single(self, method: str) -> Callable[[Request], Awaitable[Response]]:
        async def work(request: Request) -> Response:
            call = from_file(await _body(request, CarriedFile, MAX_ENVELOPE))
            return _json(_shown(await run_in_threadpool(self._carrying.one, method, call)))

        return work

    async def _search(self, request: Request) -> Response:
        asked = await _body(request, _Several, MAX_SEVERAL)
        calls = [from_file(file) for file in asked.envelopes]
        found = await run_in_threadpool(self._carrying.search, calls, asked.deadline_ms)
        return _json({"answers": [_shown(one) for one in found]})

    async def _changes(self, request: Request) -> Response:
        asked = await _body(request, _Several, MAX_SEVERAL)
        found = await run_in_threadpool(self._carrying.changes, [from_file(file) for file in asked.envelopes])
        return _json({"answers": [_shown(one) for one in found]})


def _json(value: Any) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json", headers=_HEADERS)


def _shown(one: Brought) -> dict[str, str]:
    if one.error is None:
        return {"target": one.target, "answer": base64.b64encode(one.answer).decode()}
    return {"target": one.target, "code": one.error.code, "message": one.error.message, "hint": one.error.hint}


async def _body(request: Request, kind: type[_T], most: int) -> _T:
    return await json_body(
        request,
        kind,
        most,
        size="an envelope's body is at most 192 KiB",
        form="one envelope, or envelopes and deadline_ms: docs/formats.md, envelope",
    )
