"""What a node answers a citizen who signed in: who fetched a licence, from this node's log; at a hospital what became
of results, and a word on sharing them. The token travels in a header, so that it stands in no address; answers are kept
by nobody."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ledger.errors import InvalidInputError, LedgerError
from node.web.webserver import SECURITY_HEADERS, bounded_body, endpoint, error_response, whole_number

if TYPE_CHECKING:
    from node.context import NodeContext

#: The header of the proof that goes with the token.
PROOF_HEADER = "civicledger-proof"
DEFAULT_LIMIT, MAX_LIMIT = 50, 100
MAX_WISH: Final = 512
_REPORT = re.compile("([0-9a-f]{64})?")
_NO_STORE = {"Cache-Control": "no-store", **SECURITY_HEADERS}


class CitizenParts(Protocol):
    """The citizens' desk of a node."""

    def about(self) -> dict[str, Any]:
        """Whose tokens are taken here."""

    def accesses(self, address: str, token: str, proof: str, *, before_ms: int, limit: int) -> dict[str, Any]:
        """A page about the citizen of a token."""

    def results(self, address: str, token: str, proof: str, *, after: bytes) -> dict[str, Any]:
        """A page about the results of the citizen of a token."""

    def wish(self, address: str, token: str, proof: str, body: bytes) -> dict[str, Any]:
        """What the citizen of a token forbids or allows."""


def citizen_parts(context: NodeContext) -> CitizenParts | None:
    """The desk, where the settings name a provider. Raises: InvalidInputError(citizen.*)."""
    if not context.config.citizens.issuer:
        return None
    # Verifying tokens is for nodes that answer citizens; the others do not load it.
    from node.citizens.desk import CitizenDesk

    return CitizenDesk(context)


def citizen_routes(parts: CitizenParts) -> tuple[Route, ...]:
    """``/citizen``, ``/citizen/accesses``, ``/citizen/results`` and ``POST /citizen/sharing``."""

    def about(_request: Request) -> Response:
        return JSONResponse(parts.about(), headers={"Cache-Control": "no-cache", **SECURITY_HEADERS})

    def accesses(request: Request) -> Response:
        query = request.query_params
        limit = whole_number(query.get("limit", str(DEFAULT_LIMIT)), "limit")
        if not 1 <= limit <= MAX_LIMIT:
            raise InvalidInputError("page.size", f"a page has 1 to {MAX_LIMIT} rows", actual=limit)
        before = whole_number(query.get("before", "0"), "before")
        if before >= 1 << 53:
            raise InvalidInputError("http.number", "before is out of range", actual=before)
        page = parts.accesses(*_asker(request), before_ms=before, limit=limit)
        return JSONResponse(page, headers=_NO_STORE)

    def results(request: Request) -> Response:
        after = request.query_params.get("after", "")
        if _REPORT.fullmatch(after) is None:
            raise InvalidInputError("citizen.after", "after is the id of a report, 64 hex digits", actual=after[:80])
        return JSONResponse(parts.results(*_asker(request), after=bytes.fromhex(after)), headers=_NO_STORE)

    async def sharing(request: Request) -> Response:
        try:
            body = await bounded_body(request, MAX_WISH)
        except LedgerError as error:
            return error_response(error)
        return await endpoint(lambda request: JSONResponse(parts.wish(*_asker(request), body), headers=_NO_STORE))(
            request
        )

    return (
        Route("/citizen", endpoint(about)),
        Route("/citizen/accesses", endpoint(accesses)),
        Route("/citizen/results", endpoint(results)),
        Route("/citizen/sharing", sharing, methods=["POST"]),
    )


def _asker(request: Request) -> tuple[str, str, str]:
    """(address, token, proof) of who asks."""
    address = request.client.host if request.client is not None else ""
    return address, _bearer(request), request.headers.get(PROOF_HEADER, "")


def _bearer(request: Request) -> str:
    """The token of ``Authorization: Bearer``; "" where there is none. Source: RFC 6750, section 2.1."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
