"""Checking a log that somebody exported or serves: every tile re-derived from the entries, up to the signed root.

Memory stays bounded whatever the size: entries are hashed bundle by bundle and only the right edge of the tree is kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from ledger.errors import LedgerError, NotAllowedError, NotFoundError
from ledger.evidence import merkle
from ledger.evidence.checkpoint import Checkpoint
from ledger.evidence.tiles import TILE_WIDTH, Tile
from ledger.evidence.tiletree import HASH, edge_root, edge_widths
from ledger.log.source import LogSource

#: Told (entries done, entries in all).
Progress = Callable[[int, int], None]
_THREADS: Final = 4
#: Tiles fetched ahead of the one that is checked.
_AHEAD: Final = 16
_FULL: Final = TILE_WIDTH * HASH


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeDifference:
    """The first thing that differs. ``file``: its tlog-tiles path; ``index``: the entry or hash in the log, -1 for the
    whole file."""

    file: str
    index: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeReport:
    """What was found: ``entries`` checked against their hashes (less than ``size`` when they may not be read), the
    first ``difference`` or None."""

    size: int
    entries: int
    difference: TreeDifference | None


class _Differs(Exception):  # noqa: N818 - an outcome, raised to end the walk
    def __init__(self, file: str, index: int, detail: str) -> None:
        super().__init__(detail)
        self.found = TreeDifference(file=file, index=index, detail=detail)


def check_tree(
    source: LogSource, head: Checkpoint, *, entries: bool = True, progress: Progress | None = None
) -> TreeReport:
    """Re-derive the tree of ``head`` and compare every tile the source has for it. Without ``entries``, or where the
    source does not show them to us, from the leaf hashes on.

    Raises: UnavailableError(source.*): it could not be read to the end.
    """
    walk = _Walk(source, head, entries)
    try:
        walk.run(progress)
    except _Differs as differs:
        return TreeReport(size=head.size, entries=walk.entries, difference=differs.found)
    return TreeReport(size=head.size, entries=walk.entries, difference=None)


class _Walk:
    def __init__(self, source: LogSource, head: Checkpoint, with_entries: bool) -> None:
        self._source = source
        self._head = head
        self._with_entries = with_entries
        self.entries = 0
        #: Per level the derived hashes of its last tile that is not full, and the index of that tile.
        self._edge: dict[int, bytes] = {}

    def run(self, progress: Progress | None) -> None:
        size = self._head.size
        for index, (hashes, bundle) in enumerate(self._fetched()):
            width = min(TILE_WIDTH, size - index * TILE_WIDTH)
            self._check_leaves(Tile(level=0, index=index, width=width), hashes, bundle)
            self._climb(0, index, hashes)
            if progress is not None and (index % 16 == 0 or (index + 1) * TILE_WIDTH >= size):
                progress(index * TILE_WIDTH + width, size)
        for level, width in edge_widths(size):
            if level > 0:
                self._compare(
                    Tile(level=level, index=(size >> (8 * level)) // TILE_WIDTH, width=width), self._edge[level]
                )
        root = edge_root(size, {level: self._edge[level] for level, _ in edge_widths(size)})
        if root != self._head.root:
            raise _Differs(
                "checkpoint", -1, f"the tree of {size} entries has the root {root.hex()}, not {self._head.root.hex()}"
            )

    def _fetched(self) -> Iterator[tuple[bytes, bytes | None]]:
        """Leaf tiles and bundles in order, some of them fetched ahead."""
        count = -(-self._head.size // TILE_WIDTH)
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="fsck") as pool:
            ahead: deque[Future[tuple[bytes, bytes | None]]] = deque()
            try:
                for index in range(count):
                    ahead.append(pool.submit(self._fetch, index))
                    if len(ahead) >= _AHEAD:
                        yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()
            finally:
                for future in ahead:
                    future.cancel()

    def _fetch(self, index: int) -> tuple[bytes, bytes | None]:
        width = min(TILE_WIDTH, self._head.size - index * TILE_WIDTH)
        hashes = self._get(Tile(level=0, index=index, width=width))
        bundle = None
        if self._with_entries:
            try:
                bundle = self._get(Tile(level=None, index=index, width=width))
            except NotAllowedError:
                self._with_entries = False
        return hashes, bundle

    def _get(self, tile: Tile) -> bytes:
        try:
            data = self._source.tile(tile)
        except NotFoundError:
            raise _Differs(tile.path, -1, "it is missing") from None
        if tile.level is not None and len(data) != tile.width * HASH:
            raise _Differs(tile.path, -1, f"{len(data)} bytes long instead of {tile.width * HASH}")
        return data

    def _check_leaves(self, tile: Tile, hashes: bytes, bundle: bytes | None) -> None:
        if bundle is None:
            return
        name = Tile(level=None, index=tile.index, width=tile.width).path
        try:
            derived = merkle.bundle_leaves(bundle, tile.width)
        except LedgerError as error:
            raise _Differs(name, -1, error.message) from None
        if derived != hashes:
            wrong = next(at for at in range(tile.width) if derived[at * HASH :][:HASH] != hashes[at * HASH :][:HASH])
            raise _Differs(
                name, tile.index * TILE_WIDTH + wrong, f"the entry does not hash to what {tile.path} has for it"
            )
        self.entries += tile.width

    def _climb(self, level: int, index: int, hashes: bytes) -> None:
        """Take the hashes of a tile; a full one gives the next hash of the level above."""
        if len(hashes) < _FULL:
            self._edge[level] = hashes
            return
        self._edge[level] = b""
        above = self._edge.get(level + 1, b"") + merkle.tile_roots(hashes)
        parent = index // TILE_WIDTH
        if len(above) == _FULL:
            self._compare(Tile(level=level + 1, index=parent), above)
        self._edge[level + 1] = above
        if len(above) == _FULL:
            self._climb(level + 1, parent, above)

    def _compare(self, tile: Tile, derived: bytes) -> None:
        served = self._get(tile)
        if served != derived:
            wrong = next(at for at in range(tile.width) if served[at * HASH :][:HASH] != derived[at * HASH :][:HASH])
            raise _Differs(tile.path, tile.index * TILE_WIDTH + wrong, "the hash does not follow from the level below")
