"""Hash tiles of a log, taken from somebody and believed only as far as a checkpoint's root goes.

A full tile is right when its own Merkle root is the hash that stands for it one level up; the partial tiles at the
right edge of a tree are right when together they make the checkpoint's root. So every hash that leaves here is under a
checkpoint that was verified, and roots of older sizes can be computed instead of believed.

Checkpoints given one after the other must extend each other (the caller checks that with :meth:`VerifiedTiles.root`
and starts a new object when it fails): what was right under one is then right under the next.

Source: C2SP tlog-tiles; RFC 6962 section 2.1.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

from ledger.errors import InvalidInputError, NotFoundError, UntrustedError
from ledger.evidence import merkle
from ledger.evidence.checkpoint import Checkpoint
from ledger.evidence.tiles import MAX_LEVEL, TILE_WIDTH, Tile

HASH = 32
#: Full tiles kept: they never change. 1,024 x 8 KiB a log.
_KEPT = 1024

Fetch = Callable[[Tile], bytes]


class VerifiedTiles:
    """The tiles of one log under checkpoints given one after the other. Thread-safe."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._full: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._edge: tuple[Checkpoint, dict[int, bytes]] | None = None

    def tile(self, head: Checkpoint, level: int, index: int, width: int) -> bytes:
        """``width`` hashes of a tile, concatenated.

        Raises:
            NotFoundError: ``tile.absent``, the checkpoint's tree does not have it.
            UntrustedError: ``tile.mismatch``, the log handed out hashes that are not under the checkpoint.
        """
        if not 0 <= level <= MAX_LEVEL:
            raise NotFoundError("tile.absent", f"a log has no tiles of level {level}")
        there = (head.size >> (8 * level)) - index * TILE_WIDTH
        if width > there:
            raise NotFoundError(
                "tile.absent",
                f"the checkpoint of {head.size} entries does not have this tile",
                hint="a tile appears once a published checkpoint covers it",
                actual=width,
                expected=max(there, 0),
            )
        data = self._whole(head, level, index) if there >= TILE_WIDTH else self._edges(head)[level]
        return data[: width * HASH]

    def leaf(self, head: Checkpoint, index: int) -> bytes:
        """The leaf hash of an entry. Raises as :meth:`tile`."""
        return self.tile(head, 0, index // TILE_WIDTH, index % TILE_WIDTH + 1)[-HASH:]

    def root(self, head: Checkpoint, size: int) -> bytes:
        """The root of the first ``size`` entries, computed from the tiles.

        Raises:
            InvalidInputError: ``proof.range``, the checkpoint does not reach that far; and as :meth:`tile`.
        """
        if size > head.size:
            raise InvalidInputError(
                "proof.range",
                "the newest verified checkpoint does not reach that size",
                expected=head.size,
                actual=size,
            )
        if size == head.size:
            return head.root
        parts = {
            level: self.tile(head, level, (size >> (8 * level)) // TILE_WIDTH, width)
            for level, width in edge_widths(size)
        }
        return edge_root(size, parts)

    def consistency_path(self, head: Checkpoint, size: int) -> tuple[bytes, ...]:
        """The RFC 6962 consistency path from ``size`` to the checkpoint's tree *with* the hash it starts from
        (``PROOF`` with ``b = false``), as fork evidence wants it. 0 < ``size`` < the checkpoint's size.

        Raises: as :meth:`tile`.
        """
        if not 0 < size < head.size:
            raise InvalidInputError("proof.range", "a path leads from a smaller tree that is not empty to a larger one")
        path: list[bytes] = []
        low, high = 0, head.size
        while high != size:
            middle = low + (1 << ((high - low - 1).bit_length() - 1))
            if size <= middle:
                path.append(self._range(head, middle, high))
                high = middle
            else:
                path.append(self._range(head, low, middle))
                low = middle
        path.append(self._range(head, low, high))
        return tuple(reversed(path))

    def _range(self, head: Checkpoint, low: int, high: int) -> bytes:
        """MTH(D[low:high]) for a range the tree splits into."""
        count = high - low
        if count & (count - 1):
            middle = low + (1 << ((count - 1).bit_length() - 1))
            return merkle.node_hash(self._range(head, low, middle), self._range(head, middle, high))
        level, rest = divmod(count.bit_length() - 1, 8)
        first = low >> (8 * level)
        tile = self.tile(head, level, first // TILE_WIDTH, first % TILE_WIDTH + (1 << rest))
        return subtree(hashes(tile)[first % TILE_WIDTH :])

    def _whole(self, head: Checkpoint, level: int, index: int) -> bytes:
        known = self._recall(level, index)
        if known is not None:
            return known
        data = self._load(Tile(level=level, index=index))
        # Its root stands one level up, in a tile of the same tree: full or at the edge, believed the same way.
        above = self.tile(head, level + 1, index // TILE_WIDTH, index % TILE_WIDTH + 1)[-HASH:]
        root = merkle.tile_roots(data)
        if root != above:
            raise _mismatch(Tile(level=level, index=index).path, above, root)
        with self._lock:
            self._full[level, index] = data
            while len(self._full) > _KEPT:
                self._full.popitem(last=False)
        return data

    def _edges(self, head: Checkpoint) -> dict[int, bytes]:
        known = self._edge
        if known is not None and known[0] == head:
            return known[1]
        parts = {
            level: self._load(Tile(level=level, index=(head.size >> (8 * level)) // TILE_WIDTH, width=width))
            for level, width in edge_widths(head.size)
        }
        root = edge_root(head.size, parts)
        if root != head.root:
            raise _mismatch("the tiles at the tree's edge", head.root, root)
        self._edge = (head, parts)
        return parts

    def _recall(self, level: int, index: int) -> bytes | None:
        with self._lock:
            data = self._full.get((level, index))
            if data is not None:
                self._full.move_to_end((level, index))
            return data

    def _load(self, tile: Tile) -> bytes:
        data = self._fetch(tile)
        if len(data) != tile.width * HASH:
            raise UntrustedError(
                "tile.mismatch", f"{tile.path} has another length", expected=tile.width * HASH, actual=len(data)
            )
        return data


def edge_root(size: int, parts: dict[int, bytes]) -> bytes:
    """The root of a tree from the partial tiles at its right edge (level -> hashes)."""
    peaks: list[bytes] = []
    for level, width in sorted(edge_widths(size), reverse=True):
        rest = hashes(parts[level])
        # The hashes of a partial tile are complete subtrees of one height: the tree joins them by powers of two.
        while rest:
            count = 1 << (len(rest).bit_length() - 1)
            peaks.append(subtree(rest[:count]))
            rest = rest[count:]
        if len(parts[level]) != width * HASH:
            raise UntrustedError("tile.mismatch", "a tile at the edge has another width", expected=width)
    if not peaks:
        return merkle.EMPTY_ROOT
    root = peaks.pop()
    while peaks:
        root = merkle.node_hash(peaks.pop(), root)
    return root


def subtree(level: Sequence[bytes]) -> bytes:
    """The root over a power of two of hashes."""
    while len(level) > 1:
        level = [merkle.node_hash(left, right) for left, right in zip(level[::2], level[1::2], strict=True)]
    return level[0]


def hashes(tile: bytes) -> list[bytes]:
    """A tile's hashes."""
    return [tile[place : place + HASH] for place in range(0, len(tile), HASH)]


def edge_widths(size: int) -> list[tuple[int, int]]:
    """(level, width) of every partial tile of a tree."""
    widths = ((level, (size >> (8 * level)) & 0xFF) for level in range(MAX_LEVEL + 1))
    return [(level, width) for level, width in widths if width]


def _mismatch(what: str, expected: bytes, actual: bytes) -> UntrustedError:
    return UntrustedError(
        "tile.mismatch",
        f"{what}: the log handed out hashes that are not under its signed checkpoint",
        hint="keep both: a signed checkpoint with hashes that contradict it is evidence against the log",
        expected=expected,
        actual=actual,
    )
