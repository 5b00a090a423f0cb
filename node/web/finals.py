"""The newest block that is proven final, for whoever reads this node's chain and does not take its word for it."""

from __future__ import annotations

import base64
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ledger.codec import encode
from ledger.errors import NotFoundError
from ledger.evidence.pieces import finality_object
from node.context import FinalBlock
from node.web.webserver import SECURITY_HEADERS, endpoint


def final_routes(newest: Callable[[], FinalBlock | None]) -> tuple[Route, ...]:
    """``/v1/final``: header (RLP) and finality (JCS) of a block, both Base64."""

    def final(_request: Request) -> Response:
        found = newest()
        if found is None:
            raise NotFoundError("chain.no-finality", "no block is proven final yet", hint="try again later")
        parts = {"finality": encode(finality_object(found.finality)), "header": found.header}
        answer = {name: base64.b64encode(data).decode("ascii") for name, data in parts.items()}
        return JSONResponse(answer, headers={"Cache-Control": "no-cache", **SECURITY_HEADERS})

    return (Route("/v1/final", endpoint(final)),)
