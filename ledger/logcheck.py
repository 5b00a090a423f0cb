"""Judging a log folder from its bytes, and writing it out for the tools of others."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ledger._native import LogReader, log_fsck
from ledger.errors import ConflictError, LedgerError
from ledger.evidence.checkpoint import Checkpoint
from ledger.evidence.tiles import Tile, tiles_of
from ledger.logfiles import CHECKPOINT_FILE, SIGNED_FILE, disk_errors, parse_head, read_note, replace_file


class TileSource(Protocol):
    """A log that hands out tiles."""

    def hash_tile(self, level: int, index: int, width: int) -> bytes: ...
    def entry_tile(self, index: int, width: int) -> bytes: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FsckProblem:
    """The first difference found in a file. ``index``: the record, hash or frame, -1 for the whole file."""

    file: str
    index: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FsckReport:
    """What re-deriving a log from its entries found. ``root``: 32 bytes, of all ``size`` entries."""

    size: int
    root: bytes
    problems: tuple[FsckProblem, ...]

    @property
    def ok(self) -> bool:
        """True when nothing differs."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "ok": self.ok,
            "size": self.size,
            "root": self.root.hex(),
            "problems": [{"file": p.file, "index": p.index, "detail": p.detail} for p in self.problems],
        }


def fsck(path: str | os.PathLike[str], *, seen: Iterable[Checkpoint] = ()) -> FsckReport:
    """Re-derive everything from the entries and compare with hashes, signed heads and what others saw.

    The folder may be in use by its node: what is committed now is checked. Raises nothing for a broken log: that is the
    report.
    """
    folder = Path(path)
    heads = [("seen by others", head) for head in seen]
    unread: list[FsckProblem] = []
    # The heads first: beside a running node the log may grow meanwhile, and must then still cover them.
    for name in (SIGNED_FILE, CHECKPOINT_FILE):
        try:
            note = read_note(folder / name)
            if note is not None:
                heads.append((name, parse_head(folder / name, note)))
        except LedgerError as error:
            unread.append(FsckProblem(file=name, index=-1, detail=error.message))
    native: Any = log_fsck(os.fspath(folder))
    size = int(native["size"])
    problems = [
        FsckProblem(file=str(item["file"]), index=int(item["index"]), detail=str(item["detail"]))
        for item in native["problems"]
    ]
    problems += unread
    for name, head in heads:
        if head.size > size:
            detail = f"a head of {head.size} records, but the log has {size}"
            problems.append(FsckProblem(file=name, index=-1, detail=detail))
            continue
        try:
            root = LogReader.open(os.fspath(folder), head.size).root()
        except LedgerError as error:
            problems.append(FsckProblem(file=name, index=-1, detail=error.message))
            continue
        if root != head.root:
            detail = f"root of the first {head.size} records: {root.hex()} here, {head.root.hex()} in the head"
            problems.append(FsckProblem(file=name, index=-1, detail=detail))
    return FsckReport(size=size, root=bytes.fromhex(str(native["root"])), problems=tuple(problems))


def export_tiles(log: TileSource, target: Path, size: int, note: bytes) -> None:
    """Write ``checkpoint`` and every tile of a tree of ``size`` under ``target``, an empty or new folder.

    Raises:
        ConflictError: ``log.export-exists``.
        UnavailableError: ``disk.full``.
    """
    with disk_errors(target):
        target.mkdir(parents=True, exist_ok=True)
        if any(target.iterdir()):
            raise ConflictError(
                "log.export-exists", f"{target} is not empty", hint="export into a new folder", actual=str(target)
            )
        for tile in tiles_of(size):
            file = target / tile.path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(read_tile(log, tile))
        # The checkpoint comes last: a reader that finds it finds all of its tiles.
        replace_file(target / CHECKPOINT_FILE, note)


def export_folder(path: str | os.PathLike[str], target: str | os.PathLike[str]) -> int:
    """Export the published log of a folder, beside its running node or without one; the exported size.

    Raises:
        ConflictError: ``log.unpublished``, ``log.export-exists``.
        FatalError: ``log.failed``, ``log.damaged-note``.
    """
    file = Path(path) / CHECKPOINT_FILE
    note = read_note(file)
    if note is None:
        raise ConflictError(
            "log.unpublished", "this log has no checkpoint yet", hint="start its node and append a record"
        )
    head = parse_head(file, note)
    export_tiles(LogReader.open(os.fspath(path), head.size), Path(target), head.size, note)
    return head.size


def read_tile(log: TileSource, tile: Tile) -> bytes:
    """The bytes of a tile."""
    if tile.level is None:
        return log.entry_tile(tile.index, tile.width)
    return log.hash_tile(tile.level, tile.index, tile.width)
