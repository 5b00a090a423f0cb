"""Copies of a department log, taken beside its running node.

A backup is a log folder up to one signed checkpoint, with ``manifest.json`` beside it (docs/formats.md); ``log fsck``
and other readers of a log folder take it as it is. Its files only grow, so a second run into the same folder copies
what is new. Nothing counts before the manifest is replaced: until then the one before is whole.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ledger import codec
from ledger._native import LogReader, log_fsck
from ledger.errors import ConflictError, UntrustedError
from ledger.evidence.checkpoint import Checkpoint
from ledger.evidence.tiles import MAX_LEVEL, TILE_WIDTH
from ledger.log.files import CHECKPOINT_FILE, disk_errors, parse_head, read_note, replace_file
from ledger.log.manifest import (
    BATCHES,
    COMMITS,
    ENTRIES,
    INDEX,
    MANIFEST_FILE,
    BackupFile,
    Manifest,
    batches_name,
    read_manifest,
)

_CLAIM_FILE: Final = "unfinished"
FRAME_BYTES: Final = 32
BATCH_ROW_BYTES: Final = 40
_FRAME = struct.Struct("<QIQQI")
_STEP = 4 << 20

#: Told how far a stage is: its name (``copy``, ``verify``, ``rehash``), bytes done, bytes in all (0: not known).
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupReport:
    """A backup that was made and verified. ``copied``: bytes that were new in this run."""

    manifest: Manifest
    copied: int


def ignore_progress(_stage: str, _done: int, _total: int) -> None:
    """For callers that show nothing."""


def back_up(
    log: str | os.PathLike[str], target: str | os.PathLike[str], progress: Progress = ignore_progress
) -> BackupReport:
    """Copy a log up to its newest signed checkpoint, re-derive every hash of the copy, then count it as done.

    ``log`` may be in use by its node: nothing of what a checkpoint covers ever changes.

    Raises:
        ConflictError: ``log.unpublished``; ``backup.other-log``, the target holds another log's backup;
            ``backup.ahead``, it holds more than this log; ``backup.forked``, it holds another history.
        UntrustedError: ``backup.damaged``, the copy does not have the signed root: the log or the target is damaged.
        UnavailableError: ``disk.full``; ``log.not-yet``. The backup before stays whole in every case.
    """
    source, folder = Path(log), Path(target)
    note, head = _published(source)
    reader = LogReader.open(os.fspath(source), head.size)
    before = read_manifest(folder) if (folder / MANIFEST_FILE).exists() else None
    if before is not None:
        _check_follows(reader, before.head, head)
    else:
        _claim(folder, head.origin)
    rows = _batch_rows(source, head.size)
    lengths = _lengths(source, head.size)
    have = {file.name: file.byte_count for file in before.files} if before else {}
    total, done = sum(lengths.values()) - sum(have.get(name, 0) for name in lengths), 0
    with disk_errors(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, length in lengths.items():
            for count in _extend(source / name, folder / name, have.get(name, 0), length):
                done += count
                progress("copy", done, total)
        batches = batches_name(head.size)
        replace_file(folder / batches, rows)
        replace_file(folder / CHECKPOINT_FILE, note)
    lengths[batches] = len(rows)
    files = _digests(folder, lengths, progress)
    check_folder(folder, head, progress)
    manifest = Manifest(head=head, note=note, files=files)
    with disk_errors(folder):
        replace_file(folder / MANIFEST_FILE, codec.encode(manifest.to_dict()))
        for old in folder.glob("batches-*.dat"):
            if old.name != batches:
                old.unlink()
        (folder / _CLAIM_FILE).unlink(missing_ok=True)
    return BackupReport(manifest=manifest, copied=done)


def verify(target: str | os.PathLike[str], progress: Progress = ignore_progress) -> Manifest:
    """Check a backup from its bytes alone: every SHA-256, every hash of the tree, the root of the signed checkpoint.

    Raises: NotFoundError(backup.missing), InvalidInputError(backup.manifest), UntrustedError(backup.damaged).
    """
    folder = Path(target)
    manifest = read_manifest(folder)
    found = _digests(folder, {file.name: file.byte_count for file in manifest.files}, progress)
    for file, there in zip(manifest.files, found, strict=True):
        if file.digest != there.digest:
            raise _damaged(folder / file.name, "its SHA-256 is not the manifest's", file.digest, there.digest)
    check_folder(folder, manifest.head, progress)
    return manifest


def check_folder(folder: Path, head: Checkpoint, progress: Progress = ignore_progress) -> None:
    """Re-derive every hash of a log folder that ends at ``head``.

    Raises: UntrustedError(backup.damaged), naming the first difference.
    """
    progress("rehash", 0, 0)
    report: Any = log_fsck(os.fspath(folder))
    # A run that was cut short leaves more than its manifest counts; the beginning is what matters then.
    for problem in report["problems"]:
        raise _damaged(folder / str(problem["file"]), f"{problem['detail']} (at {problem['index']})")
    if report["size"] != head.size or report["root"] != head.root.hex():
        raise _damaged(folder, f"it has {report['size']} records of {head.size}", head.root, report["root"])


def committed_size(folder: Path) -> int:
    """Records that the last whole commit of a folder counts; 0 for none. Reads one frame and checks nothing.

    Raises: FatalError(log.failed).
    """
    return committed(folder)[0]


def committed(folder: Path) -> tuple[int, int]:
    """:func:`committed_size`, and the bytes of ``entries.dat`` that it counts: there may be zeros behind them.

    Raises: FatalError(log.failed).
    """
    file = folder / COMMITS
    with disk_errors(file):
        if not file.exists():
            return 0, 0
        whole = file.stat().st_size // FRAME_BYTES
        with file.open("rb") as commits:
            return _frame(commits, whole - 1) if whole else (0, 0)


def copy_prefix(source: Path, target: Path, length: int) -> Iterator[bytes]:
    """Copy the first ``length`` bytes into a new synced file; what was copied comes out piece by piece, for digests.

    Raises: UntrustedError(backup.damaged), the source is shorter; OSError.
    """
    with source.open("rb") as given, target.open("xb") as made:
        left = length
        while left:
            piece = given.read(min(_STEP, left))
            if not piece:
                raise _damaged(source, f"it is {left} bytes too short")
            made.write(piece)
            left -= len(piece)
            yield piece
        made.flush()
        os.fsync(made.fileno())


def _published(source: Path) -> tuple[bytes, Checkpoint]:
    note = read_note(source / CHECKPOINT_FILE)
    if note is None:
        raise ConflictError(
            "log.unpublished", "this log has no checkpoint yet", hint="start its node and append a record"
        )
    return note, parse_head(source / CHECKPOINT_FILE, note)


def _check_follows(reader: LogReader, old: Checkpoint, new: Checkpoint) -> None:
    """The backup is a beginning of the log as it is now."""
    if old.origin != new.origin:
        raise ConflictError(
            "backup.other-log",
            "the folder holds the backup of another log",
            hint="give every log a folder of its own",
            expected=new.origin,
            actual=old.origin,
        )
    if old.size > new.size:
        raise ConflictError(
            "backup.ahead",
            f"the backup has {old.size} records, the log {new.size}: this log was put back from an older copy",
            hint="keep the backup: `civicledger log restore` brings the log up to it",
            expected=old.size,
            actual=new.size,
        )
    if reader.root(old.size) != old.root:
        raise ConflictError(
            "backup.forked",
            f"the backup's {old.size} records are not the first of this log",
            hint="keep both as evidence: run `civicledger log fsck`, and back up into a new folder",
            expected=old.root,
            actual=reader.root(old.size),
        )


def _claim(folder: Path, origin: str) -> None:
    """Make sure that what the first run may overwrite is its own: a folder that is new, empty, or was begun as the
    backup of this log. A log folder holds files of the same names."""
    with disk_errors(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mark = folder / _CLAIM_FILE
        begun = mark.is_file() and mark.read_bytes() == origin.encode()
        if not begun and any(folder.iterdir()):
            raise ConflictError(
                "backup.not-empty",
                f"{folder} holds something else",
                hint="give a new or empty folder",
                actual=str(folder),
            )
        replace_file(mark, origin.encode())


def _lengths(source: Path, size: int) -> dict[str, int]:
    """How much of each file the first ``size`` records are; the commits come last, since they promise the rest."""
    with (source / COMMITS).open("rb") as commits:
        count = os.fstat(commits.fileno()).st_size // FRAME_BYTES
        low, high = 0, count
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if _frame(commits, middle)[0] >= size else (middle + 1, high)
        reached, end = _frame(commits, low) if low < count else (0, 0)
    if reached != size:
        raise UntrustedError(
            "backup.damaged",
            f"{source / COMMITS} has no commit that ends at {size} records",
            hint="run `civicledger log fsck`",
            expected=size,
            actual=reached,
        )
    lengths = {ENTRIES: end, INDEX: -(-size // TILE_WIDTH) * 8}
    for level in range(MAX_LEVEL + 1):
        if hashes := size >> (8 * level):
            lengths[f"level-{level}.dat"] = 32 * hashes
    lengths[COMMITS] = (low + 1) * FRAME_BYTES
    return lengths


def _frame(commits: Any, number: int) -> tuple[int, int]:
    """(size, end of ``entries.dat``) after a commit."""
    commits.seek(number * FRAME_BYTES)
    first, count, end, _, _ = _FRAME.unpack(commits.read(FRAME_BYTES))
    return first + count, end


def _batch_rows(source: Path, size: int) -> bytes:
    """The batch ids whose entries the backup holds. The file is replaced whole by its writer, so one read sees one of
    its states; a row being written at its end is not ours yet."""
    try:
        data = (source / BATCHES).read_bytes()
    except FileNotFoundError:
        return b""
    rows = (data[at : at + BATCH_ROW_BYTES] for at in range(0, len(data), BATCH_ROW_BYTES))
    return b"".join(row for row in rows if len(row) == BATCH_ROW_BYTES and _row_end(row) <= size)


def _row_end(row: bytes) -> int:
    first, count = struct.unpack_from("<QI", row, 16)
    return int(first) + int(count)


def _extend(source: Path, target: Path, have: int, want: int) -> Iterator[int]:
    """Bring a file from ``have`` counted bytes to ``want``; sizes of the pieces copied."""
    with source.open("rb") as given, target.open("ab") as made:
        # What a run that was cut short left behind goes; what was counted must still be there.
        if made.tell() < have:
            raise _damaged(target, f"it has {made.tell()} bytes of {have}")
        made.truncate(have)
        given.seek(have)
        left = want - have
        while left:
            piece = given.read(min(_STEP, left))
            if not piece:
                raise _damaged(source, f"it ends {left} bytes too early")
            made.write(piece)
            left -= len(piece)
            yield len(piece)
        made.flush()
        os.fsync(made.fileno())


def _digests(folder: Path, lengths: dict[str, int], progress: Progress) -> tuple[BackupFile, ...]:
    total, done = sum(lengths.values()), 0
    files = []
    for name, length in lengths.items():
        digest = hashlib.sha256()
        left = length
        with disk_errors(folder / name), _opened(folder / name) as file:
            while left:
                piece = file.read(min(_STEP, left))
                if not piece:
                    raise _damaged(folder / name, f"it is {left} bytes too short")
                digest.update(piece)
                left -= len(piece)
                done += len(piece)
                progress("verify", done, total)
        files.append(BackupFile(name=name, byte_count=length, digest=digest.digest()))
    return tuple(files)


def _opened(path: Path) -> Any:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise _damaged(path, "it is missing") from None


def _damaged(path: Path, what: str, expected: object = None, actual: object = None) -> UntrustedError:
    return UntrustedError(
        "backup.damaged",
        f"{path}: {what}",
        hint="run `civicledger log fsck` on the log; if that is clean, back up into a new folder on another disk",
        expected=expected,
        actual=actual,
    )
