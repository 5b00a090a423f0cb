"""The node's public HTTPS surface: checkpoint, hash tiles (C2SP tlog-tiles), proofs, status, and the witness.

Nothing here needs a certificate: checkpoints, hash tiles and proofs are public, an ``add-checkpoint`` request carries
the log's own signature. Entries are not served (design, trust boundaries): entry tiles answer 404.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ledger.errors import InvalidInputError, LedgerError, NotFoundError
from ledger.evidence.checkpoint import format_proof
from node.context import Published, Publisher
from node.web.webserver import ERROR_PAGES, SECURITY_HEADERS, bounded_body, endpoint, error_response, whole_number

#: A request holds at most 63 proof lines and a note with at most 16 signatures: far below this.
MAX_ADD_CHECKPOINT = 64 << 10
_TILE = re.compile(r"(0|[1-9][0-9]?)/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")
_IMMUTABLE = {"Cache-Control": "public, max-age=31536000, immutable", **SECURITY_HEADERS}
_FRESH = {"Cache-Control": "no-cache", **SECURITY_HEADERS}
TEXT = "text/plain; charset=utf-8"


class LogProofs(Protocol):
    """What the public surface reads of the department log."""

    def prove_inclusion(self, index: int, size: int) -> list[bytes]:
        """RFC 6962 audit path."""

    def prove_consistency(self, size1: int, size2: int) -> list[bytes]:
        """RFC 6962 consistency proof."""

    def hash_tile(self, level: int, index: int, width: int) -> bytes:
        """``width`` hashes of 32 bytes."""


class Witness(Protocol):
    """The tlog-witness part of the node."""

    def add_checkpoint(self, body: bytes) -> tuple[int, bytes, str]:
        """Status, body and content type of the answer."""

    def seen(self, origin_digest: bytes) -> bytes:
        """The newest cosigned checkpoint of the origin with this SHA-256. Raises: NotFoundError."""


def public_app(
    log: LogProofs, publisher: Publisher, witness: Witness, status: Callable[[], Mapping[str, Any]]
) -> Starlette:
    """The application. ``status`` gives the public subset of the node's state."""

    def newest() -> Published:
        found = publisher.witnessed() or publisher.newest()
        if found is None:
            raise NotFoundError("checkpoint.none", "this log has published no checkpoint yet", hint="try again later")
        return found

    def checkpoint(_request: Request) -> Response:
        return Response(newest().note, media_type=TEXT, headers=_FRESH)

    def tile(request: Request) -> Response:
        level, index, width = parse_tile(request.path_params["path"])
        published = publisher.newest()
        # Only what a signed checkpoint covers: hashes beyond it are not promised to anybody.
        available = (published.size if published else 0) >> (8 * level)
        if index * 256 + width > available:
            raise NotFoundError("tile.absent", "no published checkpoint of this log has that tile")
        data = log.hash_tile(level, index, width)
        return Response(data, media_type="application/octet-stream", headers=_IMMUTABLE)

    def inclusion(request: Request) -> Response:
        query = request.query_params
        index = whole_number(query.get("index"), "index")
        published = newest() if query.get("size") is None else None
        size = published.size if published else whole_number(query.get("size"), "size")
        _published_size(publisher, size)
        if index >= size:
            raise InvalidInputError("proof.range", "the index lies outside the tree", expected=size, actual=index)
        hashes = log.prove_inclusion(index, size)
        answer: dict[str, Any] = {"index": index, "size": size, "hashes": _base64(hashes)}
        if kept := published or publisher.at(size):
            answer["tlogProof"] = format_proof(index, hashes, kept.note)
        return JSONResponse(answer, headers=_FRESH)

    def consistency(request: Request) -> Response:
        size1 = whole_number(request.query_params.get("size1"), "size1")
        size2 = whole_number(request.query_params.get("size2"), "size2")
        _published_size(publisher, size2)
        if size1 > size2:
            raise InvalidInputError("proof.range", "size1 is larger than size2", expected=size2, actual=size1)
        hashes = log.prove_consistency(size1, size2)
        return JSONResponse({"size1": size1, "size2": size2, "hashes": _base64(hashes)}, headers=_FRESH)

    def show_status(_request: Request) -> Response:
        return JSONResponse(dict(status()), headers=_FRESH)

    async def add_checkpoint(request: Request) -> Response:
        try:
            body = await bounded_body(request, MAX_ADD_CHECKPOINT)
            code, answer, media = await run_in_threadpool(witness.add_checkpoint, body)
        except LedgerError as error:
            return error_response(error)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is left to read it
        return Response(answer, status_code=code, headers={**_FRESH, "Content-Type": media})

    def witnessed(request: Request) -> Response:
        try:
            digest = bytes.fromhex(request.path_params["origin"])
        except ValueError as error:
            raise InvalidInputError("http.origin", "the path holds no SHA-256 of an origin") from error
        return Response(witness.seen(digest), media_type=TEXT, headers=_FRESH)

    app = Starlette(
        routes=[
            Route("/checkpoint", endpoint(checkpoint)),
            Route("/tile/{path:path}", endpoint(tile)),
            Route("/v1/proof/inclusion", endpoint(inclusion)),
            Route("/v1/proof/consistency", endpoint(consistency)),
            Route("/v1/status", endpoint(show_status)),
            Route("/add-checkpoint", add_checkpoint, methods=["POST"]),
            Route("/witness/{origin}/checkpoint", endpoint(witnessed)),
        ],
        exception_handlers=ERROR_PAGES,
    )
    # A redirect would be built from whatever Host the client names.
    app.router.redirect_slashes = False
    return app


def parse_tile(path: str) -> tuple[int, int, int]:
    """``<L>/<N>[.p/<W>]`` of tlog-tiles: (level, index, width).

    Raises: NotFoundError(tile.absent) for anything else, entry tiles included.
    """
    match = _TILE.fullmatch(path)
    if match is None:
        raise NotFoundError("tile.absent", "there is no such hash tile", hint="entries are read over gRPC")
    groups = match[2].split("/")
    level, index = int(match[1]), int("".join(group.lstrip("x") for group in groups))
    width = int(match[3] or 256)
    if level > 63 or width > 256 or match[3] == "256" or (len(groups) > 1 and groups[0] == "x000"):
        raise NotFoundError("tile.absent", "there is no such hash tile")
    return level, index, width


def _published_size(publisher: Publisher, size: int) -> None:
    published = publisher.newest()
    limit = published.size if published else 0
    if size > limit:
        raise InvalidInputError(
            "proof.range", "the tree size lies beyond the published checkpoint", expected=limit, actual=size
        )


def _base64(hashes: list[bytes]) -> list[str]:
    return [base64.b64encode(item).decode() for item in hashes]
