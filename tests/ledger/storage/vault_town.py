"""A vault in a folder, opened and closed as a process would; and a disk that dies at a chosen write."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.storage import keyfolder
from ledger.storage.keybook import KeyBook
from ledger.storage.keycopies import KeyCopies
from ledger.storage.keyfolder import KeyFolder
from ledger.storage.store import Store, _Core
from ledger.storage.vault import Vault

PASSPHRASE = b"correct horse battery"
OWNER = "11310000MB2F30046C"


class Killed(BaseException):
    """The process ended here."""


class Hospital:
    """The folders of a vault: ``vault`` (data), ``keys`` (key store)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stores: list[Store] = []
        self.vault: Vault = None  # type: ignore[assignment]

    def open(self, passphrase: bytes = PASSPHRASE) -> Vault:
        rows = Store.open(self.folder / "keys" / "rows")
        self._stores.append(rows)
        data = Store.open(self.folder / "vault")
        self._stores.append(data)
        self.vault = Vault(data, KeyBook(rows, KeyFolder(self.folder / "keys", passphrase)))
        return self.vault

    def close(self) -> None:
        for store in self._stores:
            store.close()
        self._stores.clear()

    def reopen(self) -> Vault:
        self.close()
        return self.open()

    def copies(self) -> KeyCopies:
        path = self.folder.parent / f"{self.folder.name}-key-backup"
        path.mkdir(exist_ok=True)
        return KeyCopies(path, OWNER)

    def copied(self, name: str) -> Hospital:
        """The folder as a backup or a crash shows it."""
        target = self.folder.parent / name
        shutil.copytree(self.folder, target)
        return Hospital(target)


def bytes_under(folder: Path) -> bytes:
    """Every byte of every file below a folder."""
    return b"\0".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def rows_under(folder: Path) -> bytes:
    """The same without what LevelDB says of its files: the first and last key of each, which are random numbers."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name[:3] not in ("MAN", "LOG"))
    return b"\0".join(path.read_bytes() for path in files)


class Disk:
    """Counts what reaches the disk, and ends the process before or after the ``at``-th of it.

    Of the thread that made it only: cities of other tests run in this process, and their writes are not to be ended.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.at = -1
        self._thread = threading.get_ident()
        # The cost of a guess of the passphrase is not what is looked at here, and paid at every opening.
        monkeypatch.setattr(keyfolder, "_COST", 1)
        for owner, name in ((_Core, "write"), (Store, "compact")):
            monkeypatch.setattr(owner, name, self._counted(getattr(owner, name)))

        class Os:
            """The os module of the key files."""

            def __getattr__(_self, name: str) -> Any:
                real = getattr(keyfolder_os, name)
                return self._counted(real) if name in ("fsync", "replace", "unlink") else real

        keyfolder_os = keyfolder.os
        monkeypatch.setattr(keyfolder, "os", Os())

    def arm(self, at: int) -> None:
        """Die at the ``at``-th point from now, each write being two: before it and after it."""
        self.count, self.at = 0, at

    def _counted(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            self._point()
            answer = real(*args, **named)
            self._point()
            return answer

        return call

    def _point(self) -> None:
        if threading.get_ident() != self._thread:
            return
        if self.at >= 0 and self.count >= self.at:
            raise Killed
        self.count += 1
