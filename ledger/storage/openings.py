"""Openings of commitments: about whom a record of the department's own trail is (``docs/formats.md``, opening).

No pseudonym stands in a log entry, only a salted commitment. Salt and pseudonym are kept here, beside the payloads, so
that the record index can file a record under its subject; once an opening is erased, the entry says nothing any more.
The index knows a subject by a digest under a key of this store: the index folder alone tells nobody. Of a patient of
the vault no opening is kept: the record is filed under the vault's random number of the patient, who is found by it
only as long as the key store leads there.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from ledger.codec import commitment, decode
from ledger.errors import FatalError, InvalidInputError
from ledger.model import parse_time
from ledger.storage.store import Batch, Store, u64

#: The type line of a commitment to the subject of a record, and the field of the body that holds it.
SUBJECT_TYPE: Final = "access.used/subject"
SUBJECT_FIELD: Final = "commitment"
#: Longest pseudonym, bytes of UTF-8.
MAX_SUBJECT: Final = 128

_OPENING, _NEWS, _KEY = b"c", b"q", b"k"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What a record's commitment is to. ``index``: of the record; ``salt``: 32 bytes, none where the record is only
    filed; ``subject``: a pseudonym."""

    index: int
    salt: bytes
    subject: str

    def commitment(self) -> bytes:
        """The commitment this opens, 32 bytes."""
        return commitment(SUBJECT_TYPE, self.salt, self.subject.encode())

    def record_time(self, entry: bytes) -> int | None:
        """Time of the record in Unix milliseconds; None when the entry does not hold this commitment."""
        return record_time(entry, self.commitment())


class _Row(msgspec.Struct, frozen=True, array_like=True):
    index: int
    salt: bytes
    subject: str


class Openings:
    """The openings kept on this node, by commitment, and what changed among them in order. Thread-safe."""

    __slots__ = ("_key", "_lock", "_next", "_store")

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        key = store.get(_KEY)
        if key is None:
            key = secrets.token_bytes(32)
            store.put(_KEY, key)
        self._key = key
        self._next = 1 + next((int.from_bytes(name[1:], "big") for name, _ in store.scan(_NEWS, reverse=True)), 0)

    def digest(self, subject: str) -> bytes:
        """What the index knows a subject by: HMAC-SHA-256 under this store's key, 32 bytes."""
        return hmac.new(self._key, b"civicledger/subject/v1\n" + subject.encode(), hashlib.sha256).digest()

    def keep(self, openings: Sequence[Opening]) -> int:
        """Keep openings, all or none, durably; how many were not known before.

        Raises:
            InvalidInputError: ``opening.subject``, empty or too long; ``commitment.salt``.
        """
        for opening in openings:
            _check(opening.subject)
        return self._keep({opening.commitment(): opening for opening in openings})

    def file(self, name: bytes, index: int, pseudonym: str) -> int:
        """Have a record found under a pseudonym, durably, without what opens its commitment (``name``, 32 bytes); 1
        where that is new, else 0. Raises: InvalidInputError(opening.subject)."""
        _check(pseudonym)
        return self._keep({name: Opening(index=index, salt=b"", subject=pseudonym)})

    def get(self, name: bytes) -> Opening | None:
        """The opening of a commitment (32 bytes); None when there is none, or none any more."""
        data = self._store.get(_OPENING + name)
        return None if data is None else _opening(data)

    def erase(self, names: Iterable[bytes]) -> int:
        """Delete the openings of commitments so that their bytes leave the disk; how many there were.

        What the index knows of them goes at its next round.
        """
        with self._lock:
            known = [name for name in names if self._store.get(_OPENING + name) is not None]
            if not known:
                return 0
            with self._store.batch() as batch:
                # Gone in the same write that tells of it: the index must not look in between.
                for name in known:
                    batch.delete(_OPENING + name)
                self._tell(batch, known)
            self._store.erase_all([_OPENING + name for name in known], within=_OPENING)
        return len(known)

    def since(self, sequence: int, limit: int) -> list[tuple[int, bytes]]:
        """(sequence, commitment) of what was kept or erased after ``sequence``, at most ``limit``."""
        found = []
        for key, name in self._store.scan(_NEWS, start=_NEWS + u64(sequence + 1)):
            found.append((int.from_bytes(key[1:], "big"), name))
            if len(found) == limit:
                break
        return found

    def __iter__(self) -> Iterator[tuple[bytes, Opening]]:
        """(commitment, opening) of everything kept, by commitment."""
        for key, data in self._store.scan(_OPENING):
            yield key[1:], _opening(data)

    def _keep(self, named: Mapping[bytes, Opening]) -> int:
        with self._lock:
            fresh = {name: opening for name, opening in named.items() if self.get(name) != opening}
            with self._store.batch() as batch:
                for name, opening in fresh.items():
                    row = _Row(opening.index, opening.salt, opening.subject)
                    batch.put(_OPENING + name, msgspec.msgpack.encode(row))
                self._tell(batch, fresh)
        return len(fresh)

    def _tell(self, batch: Batch, names: Iterable[bytes]) -> None:
        for name in names:
            batch.put(_NEWS + u64(self._next), name)
            self._next += 1


def record_time(entry: bytes, name: bytes) -> int | None:
    """Time of a record in Unix milliseconds; None when the entry does not hold the commitment ``name`` (32 bytes)."""
    try:
        record = decode(entry)
        held, stamp = record["body"][SUBJECT_FIELD], record["time"]
    except (InvalidInputError, TypeError, KeyError):
        return None
    return parse_time(stamp) if held == name.hex() else None


def _check(subject: str) -> None:
    if not 1 <= len(subject.encode(errors="replace")) <= MAX_SUBJECT or _surrogate(subject):
        raise InvalidInputError(
            "opening.subject", f"a pseudonym is text of 1 to {MAX_SUBJECT} bytes", expected=MAX_SUBJECT
        )


def _surrogate(text: str) -> bool:
    """Whether the text holds half a character, which has no UTF-8 form."""
    return any("\ud800" <= character <= "\udfff" for character in text)


def _opening(data: bytes) -> Opening:
    try:
        row = msgspec.msgpack.decode(data, type=_Row)
    except msgspec.MsgspecError as error:
        raise FatalError("store.corrupt", f"an opening in the payload store does not decode: {error}") from error
    return Opening(index=row.index, salt=row.salt, subject=row.subject)
