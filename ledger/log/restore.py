"""Putting a backup of a log back in place of a folder that is gone, damaged or older.

What is put back never signs anew what was signed already: the last signed head found in the old folder goes with it,
and ``DepartmentLog.guard`` compares with what witnesses and the chain saw before anything is appended or signed.
"""

from __future__ import annotations

import fcntl
import glob
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ledger._native import LogEngine, LogReader
from ledger.errors import ConflictError, LedgerError, UntrustedError
from ledger.evidence.checkpoint import Checkpoint
from ledger.log.backup import Progress, check_folder, committed_size, copy_prefix, ignore_progress
from ledger.log.files import (
    CHECKPOINT_FILE,
    CONTRARY_FILE,
    SIGNED_FILE,
    disk_errors,
    parse_head,
    read_note,
    replace_file,
    restoring_folder,
)
from ledger.log.guard import contrary_heads, encode_contrary
from ledger.log.manifest import BATCHES, Manifest, read_manifest

_ASIDE = ".before-restore-"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreReport:
    """A log that was put back. ``kept``: where the folder that was there before is now, None when there was none;
    ``signed``: the last head known to be signed, which may be beyond ``head``: then the log stays closed."""

    head: Checkpoint
    kept: Path | None
    signed: Checkpoint


def restore(
    backup: str | os.PathLike[str],
    log: str | os.PathLike[str],
    *,
    origin: str,
    replace: bool = False,
    progress: Progress = ignore_progress,
) -> RestoreReport:
    """Put a verified copy of a backup in the place of a log folder; what was there is kept beside it.

    ``replace``: also when the folder holds as many records or more (it is damaged).

    Raises:
        NotFoundError: ``backup.missing``. InvalidInputError: ``backup.manifest``.
        ConflictError: ``backup.other-log``; ``log.locked``, the node runs; ``restore.not-older``, the log here holds
            all of the backup.
        UntrustedError: ``backup.damaged``; nothing was changed.
        UnavailableError: ``disk.full``; nothing was changed.
    """
    source, folder = Path(backup), Path(log)
    manifest = read_manifest(source)
    if manifest.head.origin != origin:
        raise ConflictError(
            "backup.other-log",
            "this is the backup of another log",
            hint="give the folder of the node whose log it is, or the backup of this node's log",
            expected=origin,
            actual=manifest.head.origin,
        )
    with _held(folder):
        here = committed_size(folder)
        fresh = restoring_folder(folder)
        signed = _last_signed(folder, manifest)
        if here >= manifest.head.size and not replace:
            if signed[0].size <= here:
                # Left by a run that was cut short before it replaced anything; the log does not open beside it.
                shutil.rmtree(fresh, ignore_errors=True)
            raise _not_older(folder, here, manifest.head)
        with disk_errors(fresh):
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir(mode=0o700, parents=True)
        try:
            _fill(source, fresh, manifest, signed[1], progress)
            _carry_contrary(folder, fresh, origin)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        with disk_errors(folder):
            kept = _aside(folder)
            os.rename(fresh, folder)
            _sync_folder(folder.parent)
    return RestoreReport(head=manifest.head, kept=kept, signed=signed[0])


def _fill(source: Path, fresh: Path, manifest: Manifest, signed: bytes, progress: Progress) -> None:
    total, done = sum(file.byte_count for file in manifest.files), 0
    with disk_errors(fresh):
        for file in manifest.files:
            digest = hashlib.sha256()
            name = BATCHES if file.name.startswith("batches-") else file.name
            try:
                for piece in copy_prefix(source / file.name, fresh / name, file.byte_count):
                    digest.update(piece)
                    done += len(piece)
                    progress("copy", done, total)
            except FileNotFoundError:
                raise _unlike(source / file.name, "it is missing") from None
            if digest.digest() != file.digest:
                raise _unlike(source / file.name, "its SHA-256 is not the manifest's")
        replace_file(fresh / CHECKPOINT_FILE, manifest.note)
        replace_file(fresh / SIGNED_FILE, signed)
    # Opened once by the engine that will write it: whatever it would refuse is known before anything is replaced.
    LogEngine.open(os.fspath(fresh)).close()
    check_folder(fresh, manifest.head, progress)


def _carry_contrary(folder: Path, fresh: Path, origin: str) -> None:
    """What contradicted the old folder is compared with the new one before it opens."""
    try:
        notes = contrary_heads(folder, origin).values()
    except LedgerError:
        # Damaged with the rest of the folder: the witnesses and the chain are asked at the next start.
        return
    if notes:
        with disk_errors(fresh):
            replace_file(fresh / CONTRARY_FILE, encode_contrary(notes))


def _last_signed(folder: Path, manifest: Manifest) -> tuple[Checkpoint, bytes]:
    """The largest of the backup's head and the heads signed in the old folder, or in what a run that was cut short left
    of it: the folder moved aside, and the one that was to take its place."""
    best = (manifest.head, manifest.note)
    old = (folder, restoring_folder(folder), *sorted(folder.parent.glob(f"{glob.escape(folder.name)}{_ASIDE}*")))
    for file in (place / name for place in old for name in (SIGNED_FILE, CHECKPOINT_FILE)):
        try:
            note = read_note(file)
            head = parse_head(file, note) if note is not None else None
        except LedgerError:
            # Damaged with the rest of the folder: the witnesses and the chain are asked at the next start.
            continue
        if note is not None and head is not None and head.origin == best[0].origin and head.size > best[0].size:
            best = (head, note)
    return best


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Keep a node from starting on the folder meanwhile. Raises: ConflictError(log.locked)."""
    if not folder.exists():
        yield
        return
    with disk_errors(folder), (folder / "LOCK").open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConflictError(
                "log.locked",
                f"another writer has {folder}",
                hint="stop the node first: a log is put back while nobody writes it",
            ) from None
        yield


def _not_older(folder: Path, here: int, head: Checkpoint) -> LedgerError:
    try:
        same = LogReader.open(os.fspath(folder), head.size).root() == head.root
    except LedgerError:
        same = False
    if same:
        return ConflictError(
            "restore.not-older",
            f"{folder} already holds the backup's {head.size} records, {here} in all",
            hint="nothing to do: start the node",
            expected=head.size,
            actual=here,
        )
    return ConflictError(
        "restore.not-older",
        f"{folder} has {here} records that are not a continuation of the backup's {head.size}, or it is damaged",
        hint="run `civicledger log fsck`; --replace puts the backup in its place and keeps the folder beside it",
        expected=head.root,
    )


def _aside(folder: Path) -> Path | None:
    if not folder.exists():
        return None
    number = 1
    while (kept := folder.with_name(f"{folder.name}{_ASIDE}{number}")).exists():
        number += 1
    os.rename(folder, kept)
    return kept


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _unlike(path: Path, what: str) -> UntrustedError:
    return UntrustedError(
        "backup.damaged", f"{path}: {what}", hint="take another copy of the backup; nothing here was changed"
    )
