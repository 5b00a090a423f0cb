"""The manifest of a log's backup: what counts in the folder beside it (docs/formats.md, backup of a log)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ledger import codec
from ledger.errors import InvalidInputError, LedgerError, NotFoundError
from ledger.evidence.checkpoint import Checkpoint, parse_checkpoint, parse_note
from ledger.evidence.fields import array, fields, integer, text, unhex
from ledger.evidence.tiles import MAX_LEVEL

MANIFEST_FILE: Final = "manifest.json"
FORMAT: Final = "civicledger/log-backup/v1"
ENTRIES, INDEX, COMMITS, BATCHES = "entries.dat", "entries.idx", "commits.dat", "batches.dat"
_MAX_MANIFEST = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupFile:
    """A file of a backup. ``digest``: SHA-256 of its first ``byte_count`` bytes, which is all of it that counts."""

    name: str
    byte_count: int
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup holds. ``head``: the checkpoint it ends at; ``note``: that checkpoint as it was signed."""

    head: Checkpoint
    note: bytes
    files: tuple[BackupFile, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, as it stands in ``manifest.json``."""
        return {
            "files": [{"bytes": f.byte_count, "name": f.name, "sha256": f.digest.hex()} for f in self.files],
            "format": FORMAT,
            "note": self.note.decode(),
            "origin": self.head.origin,
            "root": self.head.root.hex(),
            "size": self.head.size,
        }


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a backup.

    Raises: NotFoundError(backup.missing), InvalidInputError(backup.manifest).
    """
    try:
        with (folder / MANIFEST_FILE).open("rb") as file:
            data = file.read(_MAX_MANIFEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise NotFoundError(
            "backup.missing",
            f"there is no {MANIFEST_FILE} in {folder}",
            hint="give the folder that `civicledger log backup` wrote",
        ) from None
    try:
        return _decode(data)
    except LedgerError as error:
        raise InvalidInputError(
            "backup.manifest",
            f"{folder / MANIFEST_FILE} is no manifest of a log's backup: {error.message}",
            hint="take another copy of the backup",
        ) from None


def _decode(data: bytes) -> Manifest:
    names = frozenset({"files", "format", "note", "origin", "root", "size"})
    value = fields(codec.decode(data, max_bytes=_MAX_MANIFEST), names)
    head = Checkpoint(origin=text(value["origin"]), size=integer(value["size"]), root=unhex(value["root"]))
    note = text(value["note"]).encode()
    if value["format"] != FORMAT or parse_checkpoint(parse_note(note).text) != head:
        raise InvalidInputError("backup.manifest", "its format or its note is another one")
    known = {*_names(), batches_name(head.size)}
    files = []
    for item in array(value["files"], 32):
        row = fields(item, frozenset({"bytes", "name", "sha256"}))
        files.append(BackupFile(name=text(row["name"]), byte_count=integer(row["bytes"]), digest=unhex(row["sha256"])))
    if len({file.name for file in files}) != len(files) or not {file.name for file in files} <= known:
        raise InvalidInputError("backup.manifest", "it names files that are none of a log's")
    return Manifest(head=head, note=note, files=tuple(files))


def _names() -> tuple[str, ...]:
    return (ENTRIES, INDEX, *(f"level-{level}.dat" for level in range(MAX_LEVEL + 1)), COMMITS)


def batches_name(size: int) -> str:
    """The file with the batch ids of a backup of ``size`` records."""
    return f"batches-{size}.dat"
