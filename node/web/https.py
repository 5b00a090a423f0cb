"""The node's public HTTPS surface: the log and the mirrored logs (C2SP tlog-tiles), proofs, status, and the witness.

Checkpoints, hash tiles and proofs are public, an ``add-checkpoint`` request carries the log's own signature. Entries
alone need a certificate (design, trust boundaries).
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
from node.comet.light import LightParts, light_routes
from node.context import FinalBlock, Published, Publisher
from node.web.citizens import CitizenParts, citizen_routes
from node.web.finals import final_routes
from node.web.forward import ForwardParts, forward_routes
from node.web.licences import LicenceParts, licence_routes
from node.web.logpaths import LogFiles, MayRead, OwnLog, ServedLog, checkpoint_response, tile_response
from node.web.medical import MedicalParts, medical_routes
from node.web.webserver import ERROR_PAGES, SECURITY_HEADERS, bounded_body, endpoint, error_response, whole_number

#: A request holds at most 63 proof lines and a note with at most 16 signatures: far below this.
MAX_ADD_CHECKPOINT = 64 << 10
_DIGEST = re.compile("[0-9a-f]{64}")
_FRESH = {"Cache-Control": "no-cache", **SECURITY_HEADERS}
TEXT = "text/plain; charset=utf-8"


class LogProofs(LogFiles, Protocol):
    """What the public surface reads of the department log."""

    def prove_inclusion(self, index: int, size: int) -> list[bytes]:
        """RFC 6962 audit path."""

    def prove_consistency(self, size1: int, size2: int) -> list[bytes]:
        """RFC 6962 consistency proof."""


class Mirrors(Protocol):
    """The other members' logs that are mirrored here."""

    def serve(self, origin_digest: bytes) -> ServedLog:
        """The mirror of the log whose origin has this SHA-256. Raises: NotFoundError(mirror.unknown)."""


class Witness(Protocol):
    """The tlog-witness part of the node."""

    def add_checkpoint(self, body: bytes) -> tuple[int, bytes, str]:
        """Status, body and content type of the answer."""

    def seen(self, origin_digest: bytes) -> bytes:
        """The newest cosigned checkpoint of the origin with this SHA-256. Raises: NotFoundError."""


def public_app(
    log: LogProofs,
    publisher: Publisher,
    witness: Witness,
    status: Callable[[], Mapping[str, Any]],
    *,
    member: str,
    mirrors: Mirrors,
    may_read: MayRead,
    light: LightParts | None = None,
    licences: LicenceParts | None = None,
    citizens: CitizenParts | None = None,
    medical: MedicalParts | None = None,
    final: Callable[[], FinalBlock | None] | None = None,
    forward: ForwardParts | None = None,
) -> Starlette:
    """The application. ``status`` gives the public subset of the node's state; ``light`` is there on CometBFT only,
    ``licences``, ``medical``, ``final`` and ``forward`` at every whole node, ``citizens`` where the settings name a
    provider."""
    own = OwnLog(member, log, publisher)

    def newest() -> Published:
        found = publisher.witnessed() or publisher.newest()
        if found is None:
            raise NotFoundError("checkpoint.none", "this log has published no checkpoint yet", hint="try again later")
        return found

    def checkpoint(request: Request) -> Response:
        return checkpoint_response(request, own)

    def tile(request: Request) -> Response:
        return tile_response(request, own, may_read)

    def mirrored(request: Request) -> ServedLog:
        return mirrors.serve(origin_digest(request))

    def mirror_checkpoint(request: Request) -> Response:
        return checkpoint_response(request, mirrored(request))

    def mirror_tile(request: Request) -> Response:
        return tile_response(request, mirrored(request), may_read)

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
        return Response(witness.seen(origin_digest(request)), media_type=TEXT, headers=_FRESH)

    app = Starlette(
        routes=[
            Route("/checkpoint", endpoint(checkpoint)),
            Route("/tile/{path:path}", endpoint(tile)),
            Route("/mirror/{origin}/checkpoint", endpoint(mirror_checkpoint)),
            Route("/mirror/{origin}/tile/{path:path}", endpoint(mirror_tile)),
            Route("/v1/proof/inclusion", endpoint(inclusion)),
            Route("/v1/proof/consistency", endpoint(consistency)),
            Route("/v1/status", endpoint(show_status)),
            Route("/add-checkpoint", add_checkpoint, methods=["POST"]),
            Route("/witness/{origin}/checkpoint", endpoint(witnessed)),
            *(light_routes(light) if light is not None else ()),
            *(licence_routes(licences) if licences is not None else ()),
            *(medical_routes(medical) if medical is not None else ()),
            *(final_routes(final) if final is not None else ()),
            *(citizen_routes(citizens) if citizens is not None else ()),
            *(forward_routes(forward) if forward is not None else ()),
        ],
        exception_handlers=ERROR_PAGES,
    )
    # A redirect would be built from whatever Host the client names.
    app.router.redirect_slashes = False
    return app


def origin_digest(request: Request) -> bytes:
    """The SHA-256 of an origin that the path names. Raises: InvalidInputError(http.origin)."""
    text = request.path_params["origin"]
    if _DIGEST.fullmatch(text) is None:
        raise InvalidInputError(
            "http.origin", "the path holds no SHA-256 of an origin", hint="64 hex digits in lower case"
        )
    return bytes.fromhex(text)


def _published_size(publisher: Publisher, size: int) -> None:
    published = publisher.newest()
    limit = published.size if published else 0
    if size > limit:
        raise InvalidInputError(
            "proof.range", "the tree size lies beyond the published checkpoint", expected=limit, actual=size
        )


def _base64(hashes: list[bytes]) -> list[str]:
    return [base64.b64encode(item).decode() for item in hashes]
