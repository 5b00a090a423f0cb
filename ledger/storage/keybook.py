"""The key store: small secret rows, sealed under one epoch key, that can be forgotten for good.

A row has a kind, a name and a value, and shows none of them: it stands at HMAC(epoch key, kind, name) and holds the
ciphertext. Forgetting seals the rows that stay under a new epoch key, takes that one into use in one write, and
destroys the old key: whatever copies of old rows exist, in files of LevelDB or in backups, nobody opens them any more.
A crash leaves the old epoch or the new one, never both; the next opening finishes.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger.errors import FatalError
from ledger.storage.keyfolder import KeyFolder
from ledger.storage.store import Store, u64

EPOCH_NAME: Final = "epoch-"
_CURRENT, _ROW = b"v", b"r"
_PLACE, _NONCE = 32, 12
_BATCH: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A row in clear."""

    kind: bytes
    name: bytes
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A change of epoch: the key of ``ended`` (its fingerprint 32 bytes) is destroyed, ``begun`` is in use."""

    ended: int
    ended_key: bytes
    begun: int
    begun_key: bytes
    dropped: int


class _Row(msgspec.Struct, frozen=True, array_like=True):
    kind: bytes
    name: bytes
    value: bytes


class _Epoch:
    """One epoch's key, and what is made of it."""

    __slots__ = ("_aead", "_place_key", "fingerprint", "number")

    def __init__(self, number: int, secret: bytes) -> None:
        self.number = number
        self.fingerprint = hashlib.sha256(b"civicledger/epoch-key/v1\n" + secret).digest()
        self._aead = AESGCM(hmac.digest(secret, b"civicledger/epoch-seal/v1\n", "sha256"))
        self._place_key = hmac.digest(secret, b"civicledger/epoch-place/v1\n", "sha256")

    def place(self, kind: bytes, name: bytes) -> bytes:
        return hmac.digest(self._place_key, len(kind).to_bytes(1, "big") + kind + name, "sha256")

    def seal(self, entry: Entry) -> tuple[bytes, bytes]:
        """The row's key below the epoch, and its sealed bytes."""
        place = self.place(entry.kind, entry.name)
        nonce = secrets.token_bytes(_NONCE)
        plain = msgspec.msgpack.encode(_Row(entry.kind, entry.name, entry.value))
        return place, nonce + self._aead.encrypt(nonce, plain, u64(self.number) + place)

    def open(self, place: bytes, sealed: bytes) -> Entry:
        try:
            plain = self._aead.decrypt(sealed[:_NONCE], sealed[_NONCE:], u64(self.number) + place)
            row = msgspec.msgpack.decode(plain, type=_Row)
        except (InvalidTag, ValueError, msgspec.MsgspecError) as error:
            raise FatalError(
                "vault.corrupt",
                "a row of the key store does not open",
                hint="restore it: civicledger medical restore-keys",
            ) from error
        return Entry(kind=row.kind, name=row.name, value=row.value)


class KeyBook:
    """The rows of a store, sealed under the newest epoch key of a folder. Thread-safe."""

    __slots__ = ("_epoch", "_lock", "_store", "folder")

    def __init__(self, store: Store, folder: KeyFolder) -> None:
        """Open, or begin with epoch 1; finish the change of epoch that a crash cut short.

        Raises: FatalError(vault.key-missing | vault.rows-missing | vault.corrupt), InvalidInputError(key.passphrase),
        UnavailableError(disk.*).
        """
        self._store = store
        self._lock = threading.RLock()
        self.folder = folder
        current = store.get(_CURRENT)
        if current is None:
            self._begin()
            current = u64(1)
        number = int.from_bytes(current, "big")
        if f"{EPOCH_NAME}{number}" not in folder.names():
            raise FatalError(
                "vault.key-missing",
                f"the key store is of epoch {number}, and that epoch's key is not in {folder.path}",
                hint="rows and keys belong together: civicledger medical restore-keys puts both back from their backup",
            )
        self._epoch = _Epoch(number, folder.read(f"{EPOCH_NAME}{number}"))
        self.settle()

    @property
    def epoch(self) -> int:
        """The epoch in use: 1, one more with every forgetting."""
        return self._epoch.number

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 with a domain line of the epoch key in use, 32 bytes: says nothing of the key."""
        return self._epoch.fingerprint

    def still(self) -> AbstractContextManager[object]:
        """While inside, no row and no epoch changes."""
        return self._lock

    def get(self, kind: bytes, name: bytes) -> bytes | None:
        """The value of a row; None where there is none, or none any more."""
        with self._lock:
            place = self._epoch.place(kind, name)
            sealed = self._store.get(self._prefix + place)
            if sealed is None:
                return None
            entry = self._epoch.open(place, sealed)
        if (entry.kind, entry.name) != (kind, name):
            raise FatalError("vault.corrupt", "a row of the key store stands in another's place", hint="restore it")
        return entry.value

    def put(self, entries: Iterable[Entry]) -> None:
        """Write rows, all or none, durable on return.

        Raises: UnavailableError(disk.full), FatalError(store.corrupt).
        """
        with self._lock, self._store.batch() as batch:
            for entry in entries:
                place, sealed = self._epoch.seal(entry)
                batch.put(self._prefix + place, sealed)

    def remove(self, kind: bytes, names: Iterable[bytes]) -> None:
        """Take rows out. Their bytes leave the disk; only :meth:`renew` makes older copies worthless as well."""
        with self._lock:
            keys = [self._prefix + self._epoch.place(kind, name) for name in names]
            if keys:
                self._store.erase_all(keys, within=self._prefix)

    def entries(self, kind: bytes | None = None) -> Iterator[Entry]:
        """Every row (of a kind), opened, in no order."""
        epoch = self._epoch
        for place, sealed in self.sealed(epoch.number):
            entry = epoch.open(place, sealed)
            if kind is None or entry.kind == kind:
                yield entry

    def sealed(self, number: int) -> Iterator[tuple[bytes, bytes]]:
        """(place, sealed bytes) of every row of an epoch: what a backup of the key store holds."""
        prefix = _ROW + u64(number)
        for key, sealed in self._store.scan(prefix):
            yield key[len(prefix) :], sealed

    def renew(self, keep: Callable[[Entry], bool]) -> Turn:
        """Forget every row that ``keep`` refuses: seal the others anew, take the new epoch into use, destroy the old
        key. On return both is durable.

        Raises: UnavailableError(disk.*). When the new epoch is not yet in use nothing has changed; when it is, what was
        to be forgotten is, and :meth:`settle` destroys the old key.
        """
        with self._lock:
            old = self._epoch
            secret = secrets.token_bytes(32)
            new = _Epoch(old.number + 1, secret)
            self.settle()
            self.folder.make(f"{EPOCH_NAME}{new.number}", secret)
            dropped, held = 0, list[tuple[bytes, bytes]]()
            for entry in self.entries():
                if not keep(entry):
                    dropped += 1
                    continue
                held.append(new.seal(entry))
                if len(held) == _BATCH:
                    self._write(new, held)
                    held = []
            self._write(new, held)
            self._store.put(_CURRENT, u64(new.number))
            self._epoch = new
            self.settle()
        return Turn(
            ended=old.number,
            ended_key=old.fingerprint,
            begun=new.number,
            begun_key=new.fingerprint,
            dropped=dropped,
        )

    def settle(self) -> None:
        """Destroy the keys and delete the rows of every epoch but the one in use. Raises: UnavailableError(disk.*)."""
        with self._lock:
            own = f"{EPOCH_NAME}{self._epoch.number}"
            for name in self.folder.names():
                if name.startswith(EPOCH_NAME) and name != own:
                    self.folder.destroy(name)
            for low, high in ((_ROW, self._prefix), (_ROW + u64(self._epoch.number + 1), None)):
                keys = [key for key, _ in self._store.scan(_ROW, start=low, stop=high)]
                if keys:
                    self._store.erase_all(keys, within=_ROW)

    @property
    def _prefix(self) -> bytes:
        return _ROW + u64(self._epoch.number)

    def _begin(self) -> None:
        first = f"{EPOCH_NAME}1"
        others = [name for name in self.folder.names() if name.startswith(EPOCH_NAME) and name != first]
        if others:
            raise FatalError(
                "vault.rows-missing",
                f"{self.folder.path} holds {others[-1]}, and the rows of the key store are gone",
                hint="civicledger medical restore-keys puts both back from their backup",
            )
        # Nothing was sealed under a first key that was made but not taken into use.
        self.folder.destroy(first)
        self.folder.make(first, secrets.token_bytes(32))
        self._store.put(_CURRENT, u64(1))

    def _write(self, epoch: _Epoch, rows: list[tuple[bytes, bytes]]) -> None:
        if rows:
            with self._store.batch() as batch:
                batch.apply(rows, within=_ROW + u64(epoch.number))


def adopt_rows(store: Store, epoch: int, rows: Iterable[tuple[bytes, bytes]]) -> None:
    """Fill an empty store with the sealed rows of a backup. Raises: UnavailableError(disk.full)."""
    with store.batch() as batch:
        batch.apply(rows, within=_ROW + u64(epoch))
        batch.put(_CURRENT, u64(epoch))
