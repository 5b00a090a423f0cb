"""The two small files beside a log's data: the last signed head and the served checkpoint, each replaced whole."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ledger.errors import FatalError, LedgerError, UnavailableError
from ledger.evidence.checkpoint import Checkpoint, parse_checkpoint, parse_note

SIGNED_FILE: Final = "signed"
CHECKPOINT_FILE: Final = "checkpoint"
#: Heads this log signed and does not hold; there is none in a log that is well.
CONTRARY_FILE: Final = "contrary.json"
#: A signed note is a few hundred bytes and a cosignature about 200: a file beyond this is not one of ours.
_MAX_NOTE: Final = 65_536
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def replace_file(path: Path, data: bytes) -> None:
    """Put a file in place of another so that a crash leaves the old or the new one whole, durably.

    Raises:
        OSError: as the disk said; the old file is untouched.
    """
    fresh = path.with_name(path.name + ".new")
    try:
        with open(fresh, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)
    except OSError:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextlib.contextmanager
def disk_errors(path: Path, *, of_log: bool = True) -> Iterator[None]:
    """What the OS says about a file, as one of our errors: ``disk.full``, else ``log.failed``, after which the log is
    not written before it was opened again; for a file that is no part of a log ``disk.failed``, which is tried again.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise UnavailableError(
                "disk.full",
                f"no space is left for {path}; nothing of this write was kept",
                hint="free space (civicledger doctor shows the folders) and try again",
            ) from error
        if not of_log:
            raise UnavailableError(
                "disk.failed", f"{path} cannot be written: {error}", hint="check the disk"
            ) from error
        raise FatalError(
            "log.failed", f"{path} cannot be written: {error}", hint="check the disk, then start the node again"
        ) from error


def restoring_folder(folder: Path) -> Path:
    """Where ``restore`` makes the folder that will take the place of this one; it is there only while that runs."""
    return folder.with_name(folder.name + ".restoring")


def read_note(file: Path) -> bytes | None:
    """The bytes of a note file; None when there is none. Raises: FatalError(log.failed, log.damaged-note)."""
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FatalError("log.failed", f"{file} cannot be read: {error}", hint="check the disk") from error
    if len(data) > _MAX_NOTE:
        raise FatalError(
            "log.damaged-note", f"{file} is too large to be a signed note", hint="run civicledger log fsck"
        )
    return data


def parse_head(file: Path, note: bytes) -> Checkpoint:
    """The head a note file is over. Raises: FatalError(log.damaged-note)."""
    try:
        return parse_checkpoint(parse_note(note).text)
    except LedgerError as error:
        raise FatalError(
            "log.damaged-note",
            f"{file} is not a signed checkpoint: {error.message}",
            hint="compare with the witnesses' copy (their add-checkpoint state) before anything is signed",
        ) from error
