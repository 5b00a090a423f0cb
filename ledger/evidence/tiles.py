"""Names of tiles (C2SP tlog-tiles): which tiles a tree of a size has, and their paths.

``tile/<L>/<N>[.p/<W>]`` for hashes, ``tile/entries/<N>[.p/<W>]`` for entries; N in groups of three digits, all but the
last with an ``x`` in front. A full tile has 256 hashes or entries.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ledger.errors import NotFoundError

TILE_WIDTH: Final = 256
#: 256^8 leaves are more than a u64 can count.
MAX_LEVEL: Final = 7
#: The largest bundle: 256 entries of 65,535 bytes, each with its length.
MAX_BUNDLE_BYTES: Final = TILE_WIDTH * (2 + 65_535)
_MAX_INDEX: Final = (1 << 56) - 1

_PATH: Final = re.compile(
    r"tile/(?P<level>0|[1-9][0-9]?|entries)/(?P<index>(?:x[0-9]{3}/)*[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?\Z",
    re.ASCII,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One tile. ``level`` None: an entry bundle. ``width``: 1 to 256 hashes or entries, 256 is the full tile."""

    level: int | None
    index: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """The path below the log's prefix, e.g. ``tile/0/x001/x234/067.p/8``."""
        groups = [f"{self.index % 1000:03d}"]
        rest = self.index // 1000
        while rest:
            groups.append(f"x{rest % 1000:03d}")
            rest //= 1000
        kind = "entries" if self.level is None else str(self.level)
        partial = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{kind}/{'/'.join(reversed(groups))}{partial}"

    @property
    def first_leaf(self) -> int:
        """The first leaf under the tile."""
        return self.index * int(TILE_WIDTH ** ((self.level or 0) + 1))

    @property
    def leaves_needed(self) -> int:
        """The smallest tree size in which the tile exists."""
        return (self.index * TILE_WIDTH + self.width) * int(TILE_WIDTH ** (self.level or 0))


def parse_tile_path(path: str) -> Tile:
    """The tile of a path, in its only spelling.

    Raises:
        NotFoundError: ``tile.path``: nothing can be at such a path.
    """
    match = _PATH.match(path) if len(path) <= 80 else None
    if match is not None:
        level = None if match["level"] == "entries" else int(match["level"])
        index = int(match["index"].replace("x", "").replace("/", ""))
        width = TILE_WIDTH if match["width"] is None else int(match["width"])
        tile = Tile(level=level, index=index, width=width)
        # A second spelling (leading x000 groups, a partial width of 256 or more) does not come out the same.
        if (level or 0) <= MAX_LEVEL and index <= _MAX_INDEX and width <= TILE_WIDTH and tile.path == path:
            return tile
    raise NotFoundError(
        "tile.path",
        f"not a tile path: {ascii(path)[:80]}",
        hint="tile/<level>/<index>[.p/<width>], the index in groups of three digits: tile/0/x001/067.p/8",
    )


def tiles_of(size: int) -> Iterator[Tile]:
    """Every tile a tree of ``size`` leaves has: the entry bundles, then the hash tiles from level 0 up. Only the last
    of a level is partial; an empty tile does not exist."""
    for level in (None, *range(MAX_LEVEL + 1)):
        hashes = size // TILE_WIDTH ** (level or 0)
        full, rest = divmod(hashes, TILE_WIDTH)
        for index in range(full):
            yield Tile(level=level, index=index)
        if rest:
            yield Tile(level=level, index=full, width=rest)


def tile_count(size: int, *, entries: bool = True) -> int:
    """How many tiles and bundles :func:`tiles_of` gives."""
    levels = (None, *range(MAX_LEVEL + 1)) if entries else tuple(range(MAX_LEVEL + 1))
    return sum(-(-(size >> (8 * (level or 0))) // TILE_WIDTH) for level in levels)


def narrower(tile: Tile, full: bytes) -> bytes:
    """A partial tile or bundle out of the bytes of the full one, which may be all that is left of it."""
    if tile.level is not None:
        return full[: 32 * tile.width]
    return full[: bundle_end(full, tile.width)]


def bundle_end(bundle: bytes, count: int) -> int:
    """Where the first ``count`` entries of a bundle end with their lengths, bytes; beyond its end when they are not
    all there."""
    at = 0
    for _ in range(count):
        at += 2 + int.from_bytes(bundle[at : at + 2], "big")
    return at
