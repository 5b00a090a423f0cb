"""Judging a log folder from its bytes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ledger._native import FsckProgress, LogReader, log_fsck
from ledger.errors import LedgerError, UntrustedError
from ledger.evidence.checkpoint import (
    ED25519_NOTE,
    Checkpoint,
    Note,
    VKey,
    parse_note,
    verify_cosignature,
    verify_log_signature,
)
from ledger.log.files import CHECKPOINT_FILE, CONTRARY_FILE, SIGNED_FILE, parse_head, read_note
from ledger.log.guard import contrary_heads

#: Told (records done, records in all).
Progress = Callable[[int, int], None]
_TELL_S = 0.2
_FRAME = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class FsckProblem:
    """The first difference found in a file. ``index``: the record, hash or frame, -1 for the whole file."""

    file: str
    index: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FsckReport:
    """What re-deriving a log from its entries found. ``root``: 32 bytes, of all ``size`` entries. ``unchecked``: what
    no key was given for, in words."""

    size: int
    root: bytes
    problems: tuple[FsckProblem, ...]
    unchecked: tuple[str, ...] = ()

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
            "unchecked": list(self.unchecked),
        }


def fsck(
    path: str | os.PathLike[str],
    *,
    seen: Iterable[Checkpoint] = (),
    keys: Iterable[VKey] = (),
    progress: Progress | None = None,
) -> FsckReport:
    """Re-derive everything from the entries and compare with hashes, signed heads and what others saw.

    ``keys``: every key the log had, by which its own signatures are judged, and the witnesses' keys, by which
    cosignatures are; without them the report says what was not checked. The folder may be in use by its node: what is
    committed now is checked. Raises nothing for a broken log: that is the report.
    """
    folder = Path(path)
    keys = tuple(keys)
    unchecked: list[str] = []
    heads = [("seen by others", head) for head in seen]
    unread: list[FsckProblem] = []
    # The heads first: beside a running node the log may grow meanwhile, and must then still cover them.
    for name in (SIGNED_FILE, CHECKPOINT_FILE):
        try:
            note = read_note(folder / name)
            if note is not None:
                heads.append((name, parse_head(folder / name, note)))
                unchecked += _check_signatures(name, parse_note(note), keys)
        except LedgerError as error:
            unread.append(FsckProblem(file=name, index=-1, detail=error.message))
    try:
        heads += [(CONTRARY_FILE, head) for head in contrary_heads(folder)]
    except LedgerError as error:
        unread.append(FsckProblem(file=CONTRARY_FILE, index=-1, detail=error.message))
    native: Any = _derive(folder, progress)
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
    return FsckReport(
        size=size,
        root=bytes.fromhex(str(native["root"])),
        problems=tuple(problems),
        unchecked=tuple(unchecked),
    )


def _check_signatures(file: str, note: Note, keys: Sequence[VKey]) -> list[str]:
    """Judge each signature of a note file; what could not be judged, in words. Raises: UntrustedError(checkpoint.*)."""
    unchecked = []
    own = [key for key in keys if key.type == ED25519_NOTE]
    witnesses = {(key.name, key.key_id): key for key in keys if key.type != ED25519_NOTE}
    of_log = {(key.name, key.key_id): key for key in own}
    found = [of_log[line] for line in ((s.name, s.key_id) for s in note.signatures) if line in of_log]
    if not own:
        unchecked.append(f"{file}: the log's signature (no key of the log is known here)")
    elif not found:
        raise UntrustedError("checkpoint.log-signature", "there is no signature of a key this log has or had")
    for key in found:
        verify_log_signature(note, key)
    for signature in note.signatures[1:] if not own else note.signatures:
        line = (signature.name, signature.key_id)
        if line in of_log:
            continue
        if line in witnesses:
            verify_cosignature(note, witnesses[line])
        else:
            unchecked.append(f"{file}: the signature of {signature.name} (its key is not known here)")
    return unchecked


def _derive(folder: Path, progress: Progress | None) -> Any:
    """The native check; with ``progress`` in a thread of its own, looked at now and then."""
    if progress is None:
        return log_fsck(os.fspath(folder))
    told, total = FsckProgress(), _committed(folder)
    with ThreadPoolExecutor(1, thread_name_prefix="fsck") as pool:
        work = pool.submit(log_fsck, os.fspath(folder), 0, told)
        while not wait((work,), timeout=_TELL_S).done:
            progress(told.done(), max(total, told.done()))
    progress(told.done(), max(total, told.done()))
    return work.result()


def _committed(folder: Path) -> int:
    """Records of the last whole frame: no more than a guess of how much there is to do."""
    try:
        data = (folder / "commits.dat").open("rb")
    except OSError:
        return 0
    with data:
        whole = data.seek(0, os.SEEK_END) // _FRAME
        data.seek(max(whole - 1, 0) * _FRAME)
        frame = data.read(12)
    return int.from_bytes(frame[:8], "little") + int.from_bytes(frame[8:], "little")
