"""Bringing back entries of a log that others still hold: nothing is taken that a signed head does not prove.

Entries are fetched into a file beside the log while their tree is computed on from the log's own right edge. Only when
that tree has the root of the signed head are they appended; a source that lies costs its download and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from ledger.errors import ConflictError, UntrustedError
from ledger.evidence import merkle
from ledger.evidence.checkpoint import Checkpoint
from ledger.evidence.tiles import MAX_LEVEL, TILE_WIDTH, Tile
from ledger.log.files import disk_errors

_APPEND = 10_000
_APPEND_BYTES = 16 << 20


class Refillable(Protocol):
    """What is asked of the log that is brought back."""

    @property
    def path(self) -> Path: ...
    @property
    def size(self) -> int: ...
    def root(self, size: int | None = None) -> bytes: ...
    def read(self, first: int, count: int) -> list[bytes]: ...
    def hash_tile(self, level: int, index: int, width: int) -> bytes: ...
    def refill(self, entries: list[bytes]) -> None: ...


class Edge:
    """The right edge of a Merkle tree: as much of it as is needed to go on and to tell its root."""

    __slots__ = ("_levels",)

    def __init__(self) -> None:
        self._levels: list[list[bytes]] = [[]]

    @classmethod
    def of(cls, log: Refillable, size: int) -> Edge:
        """The edge of a log's first ``size`` leaves, from its hash tiles."""
        edge = cls()
        edge._levels = []
        for level in range(MAX_LEVEL + 1):
            count = size >> (8 * level)
            full, width = divmod(count, TILE_WIDTH)
            tile = log.hash_tile(level, full, width) if width else b""
            edge._levels.append([tile[at : at + 32] for at in range(0, len(tile), 32)])
        return edge

    def add(self, leaf_hash: bytes) -> None:
        """Go on by one leaf."""
        fresh, level = leaf_hash, 0
        while True:
            if level == len(self._levels):
                self._levels.append([])
            hashes = self._levels[level]
            hashes.append(fresh)
            if len(hashes) < TILE_WIDTH:
                return
            fresh = merkle.root(hashes)
            hashes.clear()
            level += 1

    def root(self) -> bytes:
        """RFC 6962 MTH of all leaves so far: perfect subtrees, joined from the right."""
        found: bytes | None = None
        for hashes in self._levels:
            for subtree in reversed(_perfect(hashes)):
                found = subtree if found is None else merkle.node_hash(subtree, found)
        return merkle.EMPTY_ROOT if found is None else found


def refill(
    log: Refillable, head: Checkpoint, bundle: Callable[[Tile], bytes], progress: Callable[[int, int], None]
) -> int:
    """Append what is missing up to ``head``; how many entries that were. The signature of ``head`` was checked.

    ``bundle`` hands out entry bundles of the tree of ``head``; ``progress`` is told of entries fetched and in all.

    Raises:
        UntrustedError: ``refill.bundle`` or ``refill.root``, what came is not what was signed; nothing was appended.
        ConflictError: ``log.forked``, the entries here are not the first of ``head``; ``log.open``.
        UnavailableError: ``disk.full``; what ``bundle`` raises.
    """
    start = log.size
    if head.size <= start:
        _check_prefix(log, head)
        return 0
    spool = log.path.with_name(log.path.name + ".refetched")
    try:
        with disk_errors(spool), spool.open("w+b") as file:
            edge = Edge.of(log, start)
            for number, entry in enumerate(_fetched(log, start, head.size, bundle), 1):
                edge.add(merkle.leaf_hash(entry))
                file.write(len(entry).to_bytes(2, "big") + entry)
                if number % TILE_WIDTH == 0 or start + number == head.size:
                    progress(number, head.size - start)
            if edge.root() != head.root:
                raise UntrustedError(
                    "refill.root",
                    f"the entries that came do not have the signed root of {head.size} records",
                    hint="the source is wrong, or the entries here are: run `civicledger log fsck`, try another source",
                    expected=head.root,
                    actual=edge.root(),
                )
            file.seek(0)
            for batch in _batches(file):
                log.refill(batch)
    finally:
        with disk_errors(spool):
            spool.unlink(missing_ok=True)
    return head.size - start


def split_bundle(data: bytes, count: int) -> list[bytes]:
    """The entries of a bundle: exactly ``count``, nothing over. Raises: UntrustedError(refill.bundle)."""
    entries: list[bytes] = []
    at = 0
    while len(entries) < count and at + 2 <= len(data):
        length = int.from_bytes(data[at : at + 2], "big")
        entries.append(data[at + 2 : at + 2 + length])
        at += 2 + length
    if len(entries) != count or at != len(data) or not all(entries):
        raise UntrustedError("refill.bundle", f"not a bundle of exactly {count} entries", expected=count)
    return entries


def _fetched(log: Refillable, start: int, size: int, bundle: Callable[[Tile], bytes]) -> Iterator[bytes]:
    for index in range(start // TILE_WIDTH, -(-size // TILE_WIDTH)):
        first = index * TILE_WIDTH
        tile = Tile(level=None, index=index, width=min(TILE_WIDTH, size - first))
        entries = split_bundle(bundle(tile), tile.width)
        held = max(0, start - first)
        if held and entries[:held] != log.read(first, held):
            raise UntrustedError(
                "refill.root",
                f"{tile.path} begins with other entries than those here",
                hint="the source is wrong, or the entries here are: run `civicledger log fsck`, try another source",
            )
        yield from entries[held:]


def _batches(file: BinaryIO) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    while length := file.read(2):
        batch.append(file.read(int.from_bytes(length, "big")))
        size += len(batch[-1])
        if len(batch) == _APPEND or size > _APPEND_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _check_prefix(log: Refillable, head: Checkpoint) -> None:
    if log.root(head.size) != head.root:
        raise ConflictError(
            "log.forked",
            f"the first {head.size} records have another root than the one that was signed",
            hint="run civicledger log fsck; do not append: keep the folder as evidence",
            expected=head.root,
            actual=log.root(head.size),
        )


def _perfect(hashes: list[bytes]) -> list[bytes]:
    """Roots of the perfect subtrees over the hashes of a partial tile, the largest first."""
    found, at = [], 0
    width = TILE_WIDTH // 2
    while width:
        if len(hashes) & width:
            found.append(merkle.root(hashes[at : at + width]))
            at += width
        width //= 2
    return found
