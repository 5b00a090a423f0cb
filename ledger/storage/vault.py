"""The vault: what a hospital keeps of patients, each under a key of the patient's own that can be forgotten.

Data stand in one store, which may be copied with the payloads; the keys they are sealed under stand in the key store
(:mod:`ledger.storage.keybook`), which has a backup of its own. A patient is a *subject* here: 32 random bytes. What
leads to a subject from outside (the hospital's number of the patient, an identity, a pseudonym) are links, which stand
in the key store too: from a copy of the data nobody learns whose they are. Erasing a subject forgets its key and its
links, so that every copy of its data, also in old backups, is noise; then its rows are deleted.

Source: PIPL article 47 (deletion), article 51 (encryption and de-identification).
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger.errors import ConflictError, FatalError, NotFoundError
from ledger.storage.keybook import Entry, KeyBook, Turn
from ledger.storage.store import Batch, Store
from ledger.storage.vaultrows import (
    KEY,
    PATIENT,
    SUBJECT_BYTES,
    Link,
    check_data,
    check_name,
    link_entry,
    link_kind,
    read_link,
    subject_in,
)
from ledger.storage.vaultstage import Stage

_NONCE: Final = 12
_DATA, _INDEX, _ERASING = b"d", b"s", b"e"
#: Data keys held open in memory.
_OPEN_KEYS: Final = 4_096
#: Rows that are dropped one by one; more of them are worth writing the whole store anew.
_FEW: Final = 64
_DATA_SHARED, _INDEX_SHARED = 13, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """What an erasure forgot. ``count``: subjects; ``turn``: the change of epoch, None where nobody was known."""

    epoch: int
    count: int
    turn: Turn | None


class Vault:
    """Data of subjects, by name. Thread-safe. ``store``: of the data; ``book``: of the keys."""

    __slots__ = ("_keys", "_lock", "_store", "book")

    def __init__(self, store: Store, book: KeyBook) -> None:
        """Open; finish an erasure that a crash cut short."""
        self._store = store
        self.book = book
        self._lock = threading.RLock()
        self._keys: OrderedDict[bytes, AESGCM] = OrderedDict()
        for key, _ in list(store.scan(_ERASING)):
            self._finish(key[1:])

    def still(self) -> AbstractContextManager[object]:
        """While inside, only this thread changes anything."""
        return self._lock

    # --- subjects and what leads to them ------------------------------------------------------------------------------
    def subject_of(self, patient: bytes) -> bytes:
        """The subject of a patient of this hospital, made where it is new; durable on return.

        Raises: InvalidInputError(vault.name).
        """
        with self._lock:
            found = self.find(patient)
            if found is None:
                found = secrets.token_bytes(SUBJECT_BYTES)
                self.book.put(
                    (Entry(kind=KEY, name=found, value=secrets.token_bytes(32)), link_entry(PATIENT, patient, found, 0))
                )
            return found

    def find(self, patient: bytes) -> bytes | None:
        """The subject of a patient; None for one who is not known, or not any more."""
        link = self.linked(PATIENT, patient)
        return None if link is None else link.subject

    def knows(self, subject: bytes) -> bool:
        """Whether there is such a subject, not erased."""
        return self.book.get(KEY, subject) is not None

    def subjects(self) -> Iterator[bytes]:
        """Every subject, in no order."""
        return (entry.name for entry in self.book.entries(KEY))

    def link(self, kind: bytes, name: bytes, subject: bytes, mark: int = 0) -> None:
        """Let a name lead to a subject, instead of where it led before. Raises: NotFoundError(vault.no-subject)."""
        self.link_all(((kind, name, subject, mark),))

    def link_all(self, links: Iterable[tuple[bytes, bytes, bytes, int]]) -> None:
        """The same for many (kind, name, subject, mark), all or none. Raises: NotFoundError(vault.no-subject)."""
        with self._lock:
            rows = [link_entry(kind, name, subject, mark) for kind, name, subject, mark in links]
            for subject in {row.value[:SUBJECT_BYTES] for row in rows}:
                self._key(subject)
            if rows:
                self.book.put(rows)

    def linked(self, kind: bytes, name: bytes) -> Link | None:
        """Where a name leads; None when it leads nowhere."""
        value = self.book.get(link_kind(kind), name)
        return None if value is None else read_link(name, value)

    def links(self, kind: bytes) -> Iterator[Link]:
        """Every link of a kind, in no order."""
        return (read_link(entry.name, entry.value) for entry in self.book.entries(link_kind(kind)))

    def unlink(self, kind: bytes, names: Iterable[bytes]) -> None:
        """Let names lead nowhere."""
        with self._lock:
            self.book.remove(link_kind(kind), names)

    # --- data ---------------------------------------------------------------------------------------------------------
    def put(self, subject: bytes, name: bytes, data: bytes, commitment: bytes = b"") -> None:
        """Keep data of a subject under a name (for good: another subject's name is refused), durable on return.

        ``commitment``: what the log holds of it (32 bytes, or none); an erasure records it.
        Raises: NotFoundError(vault.no-subject), ConflictError(vault.other-subject), InvalidInputError(vault.name |
        vault.too-large), UnavailableError(disk.full).
        """
        self.put_all(subject, {name: data}, {name: commitment})

    def put_all(
        self, subject: bytes, rows: Mapping[bytes, bytes], commitments: Mapping[bytes, bytes] | None = None
    ) -> None:
        """The same for many names, all or none. Raises: as :meth:`put`."""
        named = commitments or {}
        with self._lock:
            key = self._key(subject)
            with self._store.batch() as batch:
                for name, data in rows.items():
                    owner = self._owner(check_name(name))
                    if owner not in (None, subject):
                        raise ConflictError("vault.other-subject", "this name holds the data of another subject")
                    _seal(batch, key, subject, name, check_data(data), named.get(name, b""))

    def stage(self) -> Stage:
        """Begin to gather changes for :meth:`write`."""
        return Stage(self)

    def write(self, stage: Stage) -> None:
        """Write what was staged, durable on return: first subjects and links, all or none; then data, all or none.

        Raises: NotFoundError(vault.no-subject), a subject was erased since; ConflictError(vault.other-subject): nothing
        was written. UnavailableError(disk.full).
        """
        with self._lock:
            keys = {subject: self._key(subject) for subject in stage.subjects()}
            for name, row in stage.data.items():
                if not row.fresh and self._owner(name) not in (None, row.subject):
                    raise ConflictError("vault.other-subject", "this name holds the data of another subject")
            if stage.entries:
                self.book.put(stage.entries.values())
            for subject, secret in stage.made.items():
                keys[subject] = self._open(subject, secret)
            if stage.data:
                with self._store.batch() as batch:
                    for name, row in stage.data.items():
                        _seal(batch, keys[row.subject], row.subject, name, row.data, row.commitment)

    def get(self, name: bytes) -> bytes:
        """The data of a name.

        Raises: NotFoundError(vault.missing), there is none, or none any more; FatalError(vault.corrupt).
        """
        data = self._store.get(_DATA + name)
        if data is None:
            raise _missing()
        subject, nonce, sealed = (
            data[:SUBJECT_BYTES],
            data[SUBJECT_BYTES : SUBJECT_BYTES + _NONCE],
            data[SUBJECT_BYTES + _NONCE :],
        )
        try:
            return self._key(subject).decrypt(nonce, sealed, subject + name)
        except NotFoundError as error:
            raise _missing() from error
        except InvalidTag as error:
            raise FatalError(
                "vault.corrupt",
                "data in the vault do not open under their subject's key",
                hint="data and key store are of different backups: restore both of the same time",
            ) from error

    def has(self, name: bytes) -> bool:
        """Whether data stand under a name."""
        return self._store.get(_DATA + name) is not None

    def remove(self, names: Sequence[bytes]) -> None:
        """Delete single data so that their bytes leave the disk; older copies open as long as the subject is known."""
        with self._lock:
            known = [(owner, name) for name in names if (owner := self._owner(name)) is not None]
            if known:
                self._drop(known)

    def names(self, subject: bytes) -> tuple[bytes, ...]:
        """The names of a subject's data, in order."""
        prefix = _INDEX + subject
        return tuple(key[len(prefix) :] for key, _ in self._store.scan(prefix))

    def commitments(self, subject: bytes) -> tuple[bytes, ...]:
        """What the log holds of a subject's data, each once, sorted."""
        return tuple(sorted({value for _, value in self._store.scan(_INDEX + subject) if value}))

    # --- forgetting ---------------------------------------------------------------------------------------------------
    def erase(self, subjects: Iterable[bytes]) -> Erasure:
        """Forget subjects: their keys, every link to them, all their data. One change of epoch for all of them.

        On return no key and no row is left here; a crash before that is finished at the next opening, or leaves
        everything as it was. Raises: UnavailableError(disk.*).
        """
        with self._lock:
            gone = frozenset(subject for subject in subjects if self.knows(subject))
            if not gone:
                return Erasure(epoch=self.book.epoch, count=0, turn=None)
            with self._store.batch() as batch:
                for subject in gone:
                    batch.put(_ERASING + subject, b"")
            turn = self.book.renew(lambda entry: subject_in(entry) not in gone)
            self._keys.clear()
            self._delete(gone)
            return Erasure(epoch=turn.begun, count=len(gone), turn=turn)

    def _finish(self, subject: bytes) -> None:
        """What a crash left of an erasure: done with where the key is gone, else as if it had not begun."""
        if self.knows(subject):
            self._store.erase_all([_ERASING + subject], within=_ERASING)
        else:
            self._delete((subject,))
            # The crash may have come between a deletion and the writing anew that takes its bytes off the disk.
            for prefix in (_DATA, _INDEX):
                self._store.erase_all((), within=prefix)

    def _delete(self, gone: Iterable[bytes]) -> None:
        gone = tuple(gone)
        self._drop([(subject, name) for subject in gone for name in self.names(subject)])
        self._store.erase_all([_ERASING + subject for subject in gone], within=_ERASING)

    def _drop(self, rows: Sequence[tuple[bytes, bytes]]) -> None:
        """Delete (subject, name)s from the disk: data first, for the index is what finds them again."""
        for shared, keys in (
            (_DATA_SHARED, [_DATA + name for _, name in rows]),
            (_INDEX_SHARED, [_INDEX + subject + name for subject, name in rows]),
        ):
            # A few rows in a large store: only the files around them are written anew. What stays of a deletion is the
            # beginning of the key that it is given, so that beginning is too short to name anybody.
            if len(keys) <= _FEW:
                for key in keys:
                    self._store.erase_all([key], within=key[:shared])
            elif keys:
                self._store.erase_all(keys, within=keys[0][:1])

    def _owner(self, name: bytes) -> bytes | None:
        data = self._store.get(_DATA + name)
        return None if data is None else data[:SUBJECT_BYTES]

    def _key(self, subject: bytes) -> AESGCM:
        with self._lock:
            key = self._keys.get(subject)
            if key is None:
                secret = self.book.get(KEY, subject)
                if secret is None:
                    raise NotFoundError(
                        "vault.no-subject",
                        "no such patient is kept here, or not any more",
                        hint="it may have been erased",
                    )
                return self._open(subject, secret)
            self._keys.move_to_end(subject)
            return key

    def _open(self, subject: bytes, secret: bytes) -> AESGCM:
        key = self._keys[subject] = AESGCM(secret)
        if len(self._keys) > _OPEN_KEYS:
            self._keys.popitem(last=False)
        return key


def _seal(batch: Batch, key: AESGCM, subject: bytes, name: bytes, data: bytes, commitment: bytes) -> None:
    nonce = secrets.token_bytes(_NONCE)
    batch.put(_DATA + name, subject + nonce + key.encrypt(nonce, data, subject + name))
    batch.put(_INDEX + subject + name, commitment)


def _missing() -> NotFoundError:
    return NotFoundError("vault.missing", "nothing is kept under this name, or nothing any more")
