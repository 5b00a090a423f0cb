"""What a node shows everybody of its licences: the issuer's keys, and the status lists. Nothing about a holder."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ledger.errors import NotFoundError
from ledger.licences.statustoken import MEDIA_TYPE
from ledger.licences.suites import ES256, kid_of
from node.web.webserver import SECURITY_HEADERS, endpoint, whole_number

_FRESH = {"Cache-Control": "no-cache", **SECURITY_HEADERS}


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenceParts:
    """``issuer``: USCC; ``keys``: SubjectPublicKeyInfo of the present issuer key and of former ones; ``token``: the
    signed status list of a number, the newest or (with Unix seconds) the one that spoke then."""

    issuer: str
    keys: Callable[[], Sequence[bytes]]
    token: Callable[[int, int | None], str | None]


def licence_routes(parts: LicenceParts) -> tuple[Route, ...]:
    """``/licence/issuer`` and ``/licence/status/<number>``."""

    def issuer(_request: Request) -> Response:
        spkis = parts.keys()
        keys = [{"alg": ES256.alg, "kid": kid_of(spki), "spki": base64.b64encode(spki).decode()} for spki in spkis]
        return JSONResponse({"issuer": parts.issuer, "keys": keys}, headers=_FRESH)

    def status(request: Request) -> Response:
        number = whole_number(request.path_params["number"], "number")
        time = request.query_params.get("time")
        token = parts.token(number, None if time is None else whole_number(time, "time"))
        if token is None:
            raise NotFoundError(
                "licence.no-status-list",
                "there is no such status list" if time is None else "no status list spoke for that time",
                hint="the address stands in the licence; give a time in Unix seconds, or none",
            )
        return Response(token, media_type=MEDIA_TYPE, headers=_FRESH)

    return (
        Route("/licence/issuer", endpoint(issuer)),
        Route("/licence/status/{number}", endpoint(status)),
    )
