"""What a node shows everybody of recognition: a health commission the rules it adopted, a hospital its figures by
month, signed, from which no patient can be told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from node.web.webserver import SECURITY_HEADERS, endpoint, whole_number

#: A version never changes.
_KEPT = {"Cache-Control": "public, max-age=86400", **SECURITY_HEADERS}
_FRESH = {"Cache-Control": "no-cache", **SECURITY_HEADERS}


@dataclass(frozen=True, slots=True, kw_only=True)
class MedicalParts:
    """``rules``: the canonical bytes of a version of the member's region, as its digest on chain is of; ``figures``:
    the signed bytes of some months (``2026-01``, the first and the last), of the newest where none is named."""

    rules: Callable[[int], bytes]
    figures: Callable[[str, str], bytes]


def medical_routes(parts: MedicalParts) -> tuple[Route, ...]:
    """``/medical/rules/<version>`` and ``/medical/figures?from=2026-01&to=2026-11``."""

    def rules(request: Request) -> Response:
        version = whole_number(request.path_params["version"], "version")
        return Response(parts.rules(version), media_type="application/json", headers=_KEPT)

    def figures(request: Request) -> Response:
        query = request.query_params
        data = parts.figures(query.get("from", ""), query.get("to", ""))
        return Response(data, media_type="application/json", headers=_FRESH)

    return (
        Route("/medical/rules/{version}", endpoint(rules)),
        Route("/medical/figures", endpoint(figures)),
    )
