"""The backup of a key store: its own folder, never beside payloads, with the newest epoch only.

Files: ``key-store`` (a line that says whose), the sealed key files as they are, and ``rows-N`` with the sealed rows of
epoch N, each as u32 length and bytes, and the SHA-256 of all of it at the end. A new run writes what is new before it
destroys what is over, so that at every moment one whole copy is there; after it, no older epoch's key is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger.errors import ConflictError, NotFoundError, UnavailableError, UntrustedError
from ledger.storage.keybook import EPOCH_NAME, KeyBook, adopt_rows
from ledger.storage.keyfolder import SUFFIX, KeyFolder, destroy_file, disk_errors, read_file, write_file
from ledger.storage.store import Store

MARK: Final = "key-store"
_LINE: Final = "civicledger/key-store-backup/v1 "
_ROWS: Final = "rows-"
_MAX_ROWS: Final = 1 << 32


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyCopy:
    """A backup as it stands: its epoch, how many rows it holds."""

    epoch: int
    rows: int


class KeyCopies:
    """The backup folder of one key store. ``owner``: whose, a line of text (the member's USCC)."""

    __slots__ = ("_owner", "path")

    def __init__(self, path: Path, owner: str) -> None:
        self.path = path
        self._owner = owner

    def check(self) -> None:
        """That the folder can be reached and is this store's, or may become it.

        Raises: UnavailableError(vault.copies-away), ConflictError(backup.not-empty | backup.other-store).
        """
        mark = self.path / MARK
        with disk_errors(self.path):
            if mark.is_file():
                told = mark.read_bytes()[:256]
                if told != self._mark():
                    raise ConflictError(
                        "backup.other-store",
                        f"{self.path} holds the key store of somebody else",
                        hint="give every key store a backup folder of its own",
                        expected=self._owner,
                        actual=told.decode(errors="replace")[len(_LINE) :].strip(),
                    )
                return
            if not self.path.is_dir():
                raise UnavailableError(
                    "vault.copies-away",
                    f"the backup folder of the key store is not there: {self.path}",
                    hint="mount it, or make it and set medical.key_backup: what is erased must go there as well",
                )
            if any(self.path.iterdir()):
                raise ConflictError(
                    "backup.not-empty",
                    f"{self.path} holds something else",
                    hint="give a new or empty folder",
                    actual=str(self.path),
                )

    def make(self, book: KeyBook) -> KeyCopy:
        """Bring the backup to the present rows and keys, and destroy the keys that are no more.

        Raises: as :meth:`check`; UnavailableError(disk.failed): what was there stays whole.
        """
        self.check()
        with book.still(), disk_errors(self.path):
            write_file(self.path / MARK, self._mark())
            keys = {f"{name}{SUFFIX}" for name in book.folder.names()}
            for name in sorted(keys):
                data = read_file(book.folder.path / name)
                if not (self.path / name).exists() or read_file(self.path / name) != data:
                    write_file(self.path / name, data)
            writing = _Writing(book)
            write_file(self.path / f"{_ROWS}{book.epoch}", more=writing.pieces())
            for path in sorted(self.path.iterdir()):
                over = path.name.startswith(_ROWS) and path.name != f"{_ROWS}{book.epoch}"
                if over or path.name.endswith(".new") or (path.name.endswith(SUFFIX) and path.name not in keys):
                    destroy_file(path)
            return KeyCopy(epoch=book.epoch, rows=writing.rows)

    def is_behind(self, book: KeyBook) -> bool:
        """Whether a key stands here that the key store has no more, or none of the epoch in use does.

        Raises: as :meth:`check`.
        """
        self.check()
        keys = {f"{name}{SUFFIX}" for name in book.folder.names()}
        with disk_errors(self.path):
            return {path.name for path in self.path.glob(f"*{SUFFIX}")} != keys

    def restore(self, store: Store, folder: KeyFolder) -> KeyCopy:
        """Put rows and keys back into a store and a key folder that hold none; every row is opened to check it.

        Raises: NotFoundError(backup.missing), UntrustedError(backup.damaged), ConflictError(vault.not-empty),
        InvalidInputError(key.passphrase).
        """
        if next(store.scan(), None) is not None or folder.names():
            raise ConflictError(
                "vault.not-empty",
                f"there is a key store in {folder.path} already",
                hint="move it aside first; nothing of it was changed",
            )
        with disk_errors(self.path):
            # A run that was cut short may have left an older epoch beside the whole newest one.
            numbers = [path.name[len(_ROWS) :] for path in self.path.glob(f"{_ROWS}*")]
            epoch = max((int(text) for text in numbers if text.isdecimal()), default=0)
            if not epoch:
                raise NotFoundError("backup.missing", f"{self.path} holds no backup of a key store")
            newest = self.path / f"{_ROWS}{epoch}"
            data = read_file(newest, _MAX_ROWS)
            body = data[:-32]
            if hashlib.sha256(body).digest() != data[-32:]:
                raise UntrustedError("backup.damaged", f"{newest}: its SHA-256 is not the one at its end")
            for path in sorted(self.path.glob(f"*{SUFFIX}")):
                if not path.name.startswith(EPOCH_NAME) or path.name == f"{EPOCH_NAME}{epoch}{SUFFIX}":
                    write_file(folder.path / path.name, read_file(path))
        rows = list(_rows(body, newest))
        adopt_rows(store, epoch, rows)
        book = KeyBook(store, folder)
        return KeyCopy(epoch=epoch, rows=sum(1 for _ in book.entries()))

    def _mark(self) -> bytes:
        return f"{_LINE}{self._owner}\n".encode()


class _Writing:
    """The bytes of a rows file, counted as they go out."""

    def __init__(self, book: KeyBook) -> None:
        self._book = book
        self.rows = 0

    def pieces(self) -> Iterator[bytes]:
        digest = hashlib.sha256()
        for place, sealed in self._book.sealed(self._book.epoch):
            piece = (len(place) + len(sealed)).to_bytes(4, "big") + place + sealed
            digest.update(piece)
            self.rows += 1
            yield piece
        yield digest.digest()


def _rows(body: bytes, path: Path) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(body):
        length = int.from_bytes(body[at : at + 4], "big")
        row = body[at + 4 : at + 4 + length]
        if len(row) != length or length <= 32:
            raise UntrustedError("backup.damaged", f"{path}: a row is cut short")
        yield row[:32], row[32:]
        at += 4 + length
