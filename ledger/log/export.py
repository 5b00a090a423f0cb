"""Writing a log out as a static tlog-tiles tree, for the tools of others. A later run into the same folder adds what is
new; nothing in it is ever changed.

Source: C2SP tlog-tiles.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ledger._native import LogReader
from ledger.errors import ConflictError, LedgerError
from ledger.evidence.checkpoint import Checkpoint
from ledger.evidence.tiles import Tile, bundle_end, tile_count, tiles_of
from ledger.evidence.tiletree import HASH
from ledger.log.files import CHECKPOINT_FILE, disk_errors, parse_head, read_note, replace_file

#: Told (tiles looked at, tiles in all).
Progress = Callable[[int, int], None]


class TileSource(Protocol):
    """A log that hands out tiles."""

    def hash_tile(self, level: int, index: int, width: int) -> bytes: ...
    def entry_tile(self, index: int, width: int) -> bytes: ...
    def root(self, size: int | None = None) -> bytes: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What an export wrote: the head it is of, files that are new, and the size it had before (0: none)."""

    head: Checkpoint
    written: int
    before: int


def export_tiles(
    log: TileSource,
    target: Path,
    head: Checkpoint,
    note: bytes,
    *,
    entries: bool = True,
    progress: Progress | None = None,
) -> Exported:
    """Write ``checkpoint`` and every tile of a tree under ``target``: a new folder, or one of an earlier export of the
    same log, finished or broken off. Without ``entries`` the entry bundles stay out.

    Raises:
        ConflictError: ``log.export-exists``, the folder holds something else; ``log.export-other``, it is an export of
            another log or of another history of this one.
        UnavailableError: ``disk.full``.
    """
    with disk_errors(target):
        target.mkdir(parents=True, exist_ok=True)
        before = _before(log, target, head)
        total, written = tile_count(head.size, entries=entries), 0
        for number, tile in enumerate((tile for tile in tiles_of(head.size) if entries or tile.level is not None), 1):
            written += _put(log, target / tile.path, tile, finished=tile.leaves_needed <= before)
            if progress is not None and (number % 64 == 0 or number == total):
                progress(number, total)
        # The checkpoint comes last: who finds it finds all of its tiles, after a power cut too. Those of a run that was
        # broken off may not be on the disk yet, so what was written now does not tell. One call for all: one for each
        # would take hours for a large log.
        if written or before < head.size:
            os.sync()
        replace_file(target / CHECKPOINT_FILE, note)
    return Exported(head=head, written=written, before=before)


def export_folder(
    path: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    entries: bool = True,
    progress: Progress | None = None,
) -> Exported:
    """Export the published log of a folder, beside its running node or without one.

    Raises:
        ConflictError: ``log.unpublished``, ``log.export-exists``, ``log.export-other``.
        FatalError: ``log.failed``, ``log.damaged-note``.
    """
    file = Path(path) / CHECKPOINT_FILE
    note = read_note(file)
    if note is None:
        raise ConflictError(
            "log.unpublished", "this log has no checkpoint yet", hint="start its node and append a record"
        )
    head = parse_head(file, note)
    log = LogReader.open(os.fspath(path), head.size)
    return export_tiles(log, Path(target), head, note, entries=entries, progress=progress)


def read_tile(log: TileSource, tile: Tile) -> bytes:
    """The bytes of a tile."""
    if tile.level is None:
        return log.entry_tile(tile.index, tile.width)
    return log.hash_tile(tile.level, tile.index, tile.width)


def _before(log: TileSource, target: Path, head: Checkpoint) -> int:
    """The size of the export that is there; 0 for none, or one that was broken off before its first checkpoint."""
    names = {file.name for file in target.iterdir()} - {CHECKPOINT_FILE, CHECKPOINT_FILE + ".new", "tile"}
    note = read_note(target / CHECKPOINT_FILE)
    if names:
        raise _exists(target, f"it holds {min(names)}")
    if note is None:
        return 0
    try:
        old = parse_head(target / CHECKPOINT_FILE, note)
    except LedgerError as error:
        raise _exists(target, "its checkpoint is no signed checkpoint") from error
    if old.origin != head.origin:
        raise _other(target, "it is an export of another log", expected=head.origin, actual=old.origin)
    if old.size > head.size:
        raise _other(target, "it is of a larger log than this one", expected=head.size, actual=old.size)
    if log.root(old.size) != old.root:
        raise _other(target, f"its {old.size} entries have another root", expected=log.root(old.size), actual=old.root)
    return old.size


def _put(log: TileSource, file: Path, tile: Tile, *, finished: bool) -> bool:
    """Write a tile that is not there; True when it was written. ``finished``: an earlier checkpoint covers it."""
    if finished and _whole(file, tile):
        return False
    data = read_tile(log, tile)
    if file.exists():
        # Of a run that was broken off: whole, or the beginning of what it was about to be.
        there = file.read_bytes()
        if there == data:
            return False
        if not data.startswith(there):
            raise _other(file, "it is not what this log has there")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return True


def _whole(file: Path, tile: Tile) -> bool:
    """Whether a tile is there in its length, which a power cut may have cost it."""
    try:
        if tile.level is not None:
            return file.stat().st_size == tile.width * HASH
        data = file.read_bytes()
    except FileNotFoundError:
        return False
    return len(data) == bundle_end(data, tile.width)


def _exists(target: Path, detail: str) -> ConflictError:
    return ConflictError(
        "log.export-exists",
        f"{target} is no export of a log: {detail}",
        hint="export into a new folder, or into one of an earlier export of this log",
    )


def _other(target: Path, detail: str, expected: object = None, actual: object = None) -> ConflictError:
    return ConflictError(
        "log.export-other",
        f"{target}: {detail}",
        hint="export into a new folder; if both should be the same log, compare them: civicledger log fsck --from",
        expected=expected,
        actual=actual,
    )
