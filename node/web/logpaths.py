"""The C2SP tlog-tiles paths of a log over HTTPS: the department's own and those it mirrors.

Checkpoints and hash tiles are for everybody. Entry bundles go only to the log's own member, the supervisor and
auditors, who show their TLS certificate (design, trust boundaries).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from ledger.errors import NotFoundError
from ledger.evidence import tilehttp
from ledger.evidence.tiles import TILE_WIDTH, Tile, parse_tile_path
from node.context import Publisher
from node.web.webserver import SECURITY_HEADERS

#: Judges the caller (PEM certificate or None) for the entries of a member's log. Raises: NotAllowedError(auth.*).
MayRead = Callable[[bytes | None, str], None]


class ServedLog(Protocol):
    """A log that can be read over HTTP."""

    @property
    def owner(self) -> str:
        """The member whose log it is (USCC)."""

    def note(self) -> bytes:
        """The newest checkpoint. Raises: NotFoundError(checkpoint.none)."""

    def tile(self, tile: Tile) -> bytes:
        """A tile or bundle under a published checkpoint. Raises: NotFoundError(tile.absent)."""


class LogFiles(Protocol):
    """What is read of the department log."""

    def hash_tile(self, level: int, index: int, width: int) -> bytes:
        """``width`` hashes of 32 bytes."""

    def entry_tile(self, index: int, width: int) -> bytes:
        """``width`` entries with their lengths."""


class OwnLog:
    """The department's own log, as far as its newest signed checkpoint goes."""

    def __init__(self, owner: str, log: LogFiles, publisher: Publisher) -> None:
        self.owner = owner
        self._log = log
        self._publisher = publisher

    def note(self) -> bytes:
        """The newest witnessed checkpoint, before there is one the newest signed."""
        found = self._publisher.witnessed() or self._publisher.newest()
        if found is None:
            raise NotFoundError("checkpoint.none", "this log has published no checkpoint yet", hint="try again later")
        return found.note

    def tile(self, tile: Tile) -> bytes:
        """Only what a signed checkpoint covers: hashes beyond it are not promised to anybody."""
        published = self._publisher.newest()
        require_tile(tile, published.size if published else 0)
        if tile.level is None:
            return self._log.entry_tile(tile.index, tile.width)
        return self._log.hash_tile(tile.level, tile.index, tile.width)


def require_tile(tile: Tile, size: int) -> None:
    """Raise NotFoundError(tile.absent) when a tree of ``size`` does not have the tile."""
    there = (size >> (8 * (tile.level or 0))) - tile.index * TILE_WIDTH
    if tile.width > there:
        raise NotFoundError(
            "tile.absent",
            "no published checkpoint of this log has that tile",
            hint="the tiles of a checkpoint follow from its size (C2SP tlog-tiles)",
        )


def checkpoint_response(request: Request, log: ServedLog) -> Response:
    """``<prefix>/checkpoint``."""
    return _response(request, log.note(), tilehttp.Kind.CHECKPOINT)


def tile_response(request: Request, log: ServedLog, may_read: MayRead) -> Response:
    """``<prefix>/tile/...``: the path parameter ``path`` is what follows ``tile/``."""
    tile = parse_tile_path("tile/" + request.path_params["path"])
    if tile.level is None:
        may_read(client_certificate(request), log.owner)
        return _response(request, log.tile(tile), tilehttp.Kind.ENTRIES)
    return _response(request, log.tile(tile), tilehttp.Kind.HASHES)


def client_certificate(request: Request) -> bytes | None:
    """The PEM certificate this connection's client proved to hold the key of; None without one."""
    found = request.scope.get("state", {}).get("client_certificate")
    return found if isinstance(found, bytes) else None


def _response(request: Request, data: bytes, kind: tilehttp.Kind) -> Response:
    found = tilehttp.answer(data, kind, request.method, request.headers)
    return Response(found.body, status_code=found.status, headers=found.headers | SECURITY_HEADERS)
