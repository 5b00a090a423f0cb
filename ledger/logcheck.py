"""Judging a log folder from its bytes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ledger._native import LogReader, log_fsck
from ledger.errors import LedgerError
from ledger.evidence.checkpoint import Checkpoint
from ledger.logfiles import CHECKPOINT_FILE, SIGNED_FILE, parse_head, read_note


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
