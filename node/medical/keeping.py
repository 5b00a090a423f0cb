"""Where a node keeps what is about patients: the vault and its keys, opened when first needed.

``medical/vault`` holds data and is copied with the payloads. ``medical/keys`` holds keys and what leads to a patient;
it is in no copy but its own backup (``medical.key_backup``), which forgets what is forgotten here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from ledger.errors import NotFoundError
from ledger.storage.keybook import KeyBook
from ledger.storage.keycopies import KeyCopies, KeyCopy
from ledger.storage.keyfolder import KeyFolder
from ledger.storage.store import Store
from ledger.storage.vault import Vault
from node.drain import Closing

_VAULT, _KEYS, _ROWS = "vault", "keys", "rows"
#: A new patient's key is in the backup after this, milliseconds.
_COPY_MS = 3_600_000


class Keeping:
    """The medical folder of a node. Thread-safe; a node that keeps nothing of patients has no such folder."""

    def __init__(self, folder: Path, passphrase: bytes, member: str, backup: Path | None, closing: Closing) -> None:
        self.folder = folder
        self._passphrase = passphrase
        self._lock = threading.RLock()
        self._vault: Vault | None = None
        self._keys: KeyFolder | None = None
        self._stores: list[Store] = []
        self._copied_ms = 0
        #: The backup of the key store; None where none is set.
        self.copies = None if backup is None else KeyCopies(backup, member)
        closing.add("medical-vault", self.close)

    @property
    def exists(self) -> bool:
        """Whether anything was kept here yet."""
        return (self.folder / _KEYS).is_dir()

    @property
    def keys(self) -> KeyFolder:
        """The folder of keys."""
        with self._lock:
            if self._keys is None:
                self._keys = KeyFolder(self.folder / _KEYS, self._passphrase)
            return self._keys

    @property
    def vault(self) -> Vault:
        """The vault, made with its first key where there is none.

        Raises: FatalError(vault.* | store.corrupt), InvalidInputError(key.passphrase), UnavailableError(disk.*).
        """
        with self._lock:
            if self._vault is None:
                keys = self.keys
                rows = self._opened(self.folder / _KEYS / _ROWS)
                data = self._opened(self.folder / _VAULT)
                self._vault = Vault(data, KeyBook(rows, keys))
            return self._vault

    def back_up(self) -> KeyCopy:
        """Bring the backup of the key store to what is here now.

        Raises: NotFoundError(vault.no-backup), UnavailableError(vault.copies-away | disk.failed),
        ConflictError(backup.*).
        """
        if self.copies is None:
            raise NotFoundError(
                "vault.no-backup",
                "no backup folder of the key store is set",
                hint="set medical.key_backup in node.toml to a folder on another disk, then start the node again",
            )
        return self.copies.make(self.vault.book)

    def follow_copies(self, now_ms: int) -> bool:
        """Destroy in the backup what is destroyed here, at once; take in what is new, every hour. False where nothing
        had to be done. ``now_ms``: Unix milliseconds.

        Raises: UnavailableError(vault.copies-away | disk.failed), ConflictError(backup.*).
        """
        if self.copies is None or not self.exists:
            return False
        due = not 0 <= now_ms - self._copied_ms < _COPY_MS
        if not due and not self.copies.is_behind(self.vault.book):
            return False
        self.copies.make(self.vault.book)
        self._copied_ms = now_ms
        return True

    def close(self) -> None:
        """Close the stores; later uses fail with ``store.closed``."""
        with self._lock:
            for store in self._stores:
                store.close()

    def _opened(self, folder: Path) -> Store:
        store = Store.open(folder)
        self._stores.append(store)
        return store


def restore_keys(folder: Path, passphrase: bytes, member: str, backup: Path) -> KeyCopy:
    """Put the key store of a medical folder back from its backup, while no node runs there.

    Raises: as ``KeyCopies.restore``; ConflictError(store.locked).
    """
    keys = KeyFolder(folder / _KEYS, passphrase)
    with Store.open(folder / _KEYS / _ROWS) as store:
        return KeyCopies(backup, member).restore(store, keys)


#: Told of an erasure before it is recorded: (subjects, names of their data). May be told twice.
ErasureHook = Callable[[tuple[bytes, ...], tuple[bytes, ...]], None]
