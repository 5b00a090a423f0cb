"""Who searched for a patient's results here, for the patient to see: a row for each hospital, purpose and day.

A search shows that there is a result, of what and from when, and never a value; so it is in no log, and what a stop of
the machine takes of the last rows is no harm. Rows stand under the patient's random subject and go with it.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from ledger.days import day_of
from ledger.errors import FatalError, UnavailableError
from ledger.storage.store import Store

#: Rows of a patient that are kept at most; the oldest go first.
MAX_ROWS: Final = 500
_DAY, _NAME = 4, 8


class Search(msgspec.Struct, frozen=True, array_like=True):
    """Searches of one day. ``asker``: USCC; ``shown``: reports offered at most in one; times in Unix milliseconds."""

    asker: str
    purpose: str
    first_ms: int
    last_ms: int
    count: int
    shown: int


class Asked:
    """The searches of one hospital's patients. Thread-safe; ``clock``: Unix milliseconds; ``knows``: whether there is
    such a patient, not erased."""

    def __init__(self, rows: Store, clock: Callable[[], int], knows: Callable[[bytes], bool]) -> None:
        self._rows = rows
        self._clock = clock
        self._knows = knows
        self._lock = threading.Lock()

    def note(self, subject: bytes, asker: str, purpose: str, shown: int) -> None:
        """A hospital searched, and was shown so many reports."""
        now = self._clock()
        name = hashlib.sha256(f"{asker}\n{purpose}".encode()).digest()[:_NAME]
        key = subject + day_of(now).toordinal().to_bytes(_DAY, "big") + name
        # A full disk keeps no physician from finding a result.
        with self._lock, contextlib.suppress(UnavailableError):
            if not self._knows(subject):
                # Erased while the search went on: what was to be forgotten has been, or will be without this row.
                return
            data = self._rows.get(key)
            known = Search(asker, purpose, now, now, 0, 0) if data is None else _decoded(data)
            row = Search(asker, purpose, known.first_ms, now, known.count + 1, max(known.shown, shown))
            self._rows.put(key, msgspec.msgpack.encode(row), sync=False)
            if data is None:
                self._trim(subject)

    def of(self, subject: bytes) -> tuple[Search, ...]:
        """The searches for a patient's results, newest first."""
        found = [_decoded(data) for _, data in self._rows.scan(subject)]
        return tuple(sorted(found, key=lambda row: (-row.last_ms, row.asker)))

    def forget(self, subjects: Sequence[bytes], _names: Sequence[bytes] = ()) -> None:
        """Drop what is held of erased subjects."""
        with self._lock:
            gone = [key for subject in subjects for key, _ in self._rows.scan(subject)]
            if gone:
                self._rows.erase_all(gone, within=b"")

    def _trim(self, subject: bytes) -> None:
        keys = [key for key, _ in self._rows.scan(subject)]
        if len(keys) > MAX_ROWS:
            with self._rows.batch(sync=False) as batch:
                for key in keys[: len(keys) - MAX_ROWS]:
                    batch.delete(key)


def _decoded(data: bytes) -> Search:
    try:
        return msgspec.msgpack.decode(data, type=Search)
    except msgspec.MsgspecError as error:
        raise FatalError("store.corrupt", f"a search does not decode: {error}") from error
