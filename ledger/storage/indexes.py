"""The record index of one department log: who used which dataset, under which grant, about whom, when.

Derived and never the truth: it can be dropped at any time and is made again, rows from the log, subjects from the
openings in the payload store. A folder that is damaged, of another version or of another log is dropped by itself.
``indexed_size`` says how far the index has got: an answer is complete up to there, and only up to there.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Protocol

from ledger.errors import FatalError, InvalidInputError, LedgerError, UnavailableError
from ledger.storage.openings import Opening, Openings, record_time
from ledger.storage.postings import prefix, single
from ledger.storage.queries import MAX_PAGE, SUBJECT, IndexRow, Page, RecordFilter, answer
from ledger.storage.store import Store, u64

__all__ = ["MAX_PAGE", "IndexRow", "LogReader", "Page", "RecordFilter", "RecordIndex"]

#: Changes with the form of the rows.
_VERSION_NOW: Final = b"2"
_VERSION, _SIZE, _LEAF, _OPENINGS, _REMAKING = b"!version", b"!size", b"!leaf", b"!openings", b"!remaking"
#: Commitment -> the key of its subject row, so that an erased opening finds its row.
_FILED = b"R"
#: Entries turned into rows at once.
_RANGE = 1 << 15
#: The index may lose this many records in a power cut; they are indexed again.
_SYNC_EVERY = 1 << 18
_WRITE_BUFFER = 16 << 20
_OPENINGS_AT_ONCE = 5_000
#: Below this much free space an index that could not be written is not tried again.
_ROOM = 64 << 20


class LogReader(Protocol):
    """What the index needs of a log."""

    @property
    def size(self) -> int: ...
    def read(self, first: int, count: int) -> Sequence[bytes]: ...
    def leaf(self, index: int) -> bytes: ...
    def index_rows(self, first: int, count: int) -> Sequence[tuple[bytes, bytes]]: ...


class RecordIndex:
    """The index of one log. One thread follows at a time; any number query."""

    def __init__(self, path: str, store: Store, openings: Openings | None, dropped: LedgerError | None) -> None:
        self._path = path
        self._store = store
        self._openings = openings
        self._following = threading.Lock()
        self._swap = threading.Condition()
        self._readers = 0
        self._closed = False
        self._fault: LedgerError | None = None
        self._unsynced = 0
        self._size = int.from_bytes(store.get(_SIZE) or b"", "big")
        #: Why the index was dropped and is being made again; None once it has caught up.
        self.remaking: LedgerError | None = dropped

    @classmethod
    def open(cls, path: str | os.PathLike[str], openings: Openings | None = None) -> RecordIndex:
        """Open the folder, or drop what cannot be used of it: ``remaking`` says why.

        Raises:
            ConflictError: ``store.locked``. UnavailableError: ``disk.full``. FatalError: ``store.corrupt``, even an
                empty folder cannot be made.
        """
        name = os.fspath(path)
        store, dropped = _usable(name)
        if dropped is None and store.get(_REMAKING) is not None:
            dropped = _remade("making it was interrupted")
        return cls(name, store, openings, dropped)

    @property
    def indexed_size(self) -> int:
        """Records indexed: a query is complete for the indices below it."""
        return self._size

    def follow(self, log: LogReader, limit: int | None = None) -> int:
        """Index what is new, at most ``limit`` records; how many were indexed.

        An index that does not fit the log (the log was restored, or is another one) is made from the start.

        Raises:
            UnavailableError: ``disk.full``; tried again once there is room. ``index.damaged``: it was dropped, the next
                call begins anew.
        """
        with self._following:
            try:
                self._mend()
                return self._follow(log, limit)
            except LedgerError as error:
                raise self._failed(error) from error

    def renew(self) -> None:
        """Drop everything: the next ``follow`` starts at the first record."""
        with self._following:
            self._drop(_remade("it was asked for"))

    def query(self, wanted: RecordFilter, page_size: int = 100, token: bytes = b"") -> Page:
        """One page of the records that match.

        Raises:
            InvalidInputError: ``page.size``, not within 1 to 1,000; ``page.token``, not a token of this query;
                ``query.value``, a value that no record can have.
            UnavailableError: ``index.behind``, the index was dropped between two pages and has not come so far again;
                ``index.damaged``, it is being made again.
        """
        with self._reading() as store:
            try:
                return answer(store, wanted, self._subjects(wanted), self._size, page_size=page_size, token=token)
            except LedgerError as error:
                raise self._failed(error) from error

    def close(self) -> None:
        """Make everything durable and close the folder, after the queries under way; a second call does nothing."""
        with self._following, self._alone():
            if self._closed:
                return
            self._closed = True
            try:
                if self._unsynced and self._fault is None:
                    self._store.put(_SIZE, u64(self._size))
            finally:
                self._store.close()

    # --- following ----------------------------------------------------------------------------------------------------

    def _follow(self, log: LogReader, limit: int | None) -> int:
        size = log.size
        start = self._size
        if start and not self._fits(log, start, size):
            self._drop(_remade("it does not fit the log: that was restored, or is another one"))
            start = 0
        done, stop = start, size if limit is None else min(size, start + limit)
        while done < stop:
            count = min(_RANGE, stop - done)
            rows = log.index_rows(done, count)
            done += count
            self._unsynced += count
            sync = self._unsynced >= _SYNC_EVERY
            with self._store.batch(sync=sync) as batch:
                for key, value in rows:
                    batch.put(key, value)
                batch.put(_SIZE, u64(done))
                batch.put(_LEAF, log.leaf(done - 1))
            self._size = done
            if sync:
                self._unsynced = 0
        self._follow_openings(log)
        if self.remaking is not None and done == size:
            self._store.delete(_REMAKING)
            self._unsynced = 0
            self.remaking = None
        return done - start

    def _fits(self, log: LogReader, done: int, size: int) -> bool:
        return done <= size and log.leaf(done - 1) == self._store.get(_LEAF)

    def _follow_openings(self, log: LogReader) -> None:
        """File what was opened since, and take away what was erased."""
        done = int.from_bytes(self._store.get(_OPENINGS) or b"", "big")
        while news := self._news(done):
            erased = []
            with self._store.batch() as batch:
                for sequence, commitment, opening in news:
                    if opening is not None and self._size <= opening.index < log.size:
                        break
                    done = sequence
                    if opening is None:
                        erased.append(commitment)
                        continue
                    # One of a log that was replaced fits no record of this one.
                    entries = log.read(opening.index, 1) if opening.index < log.size else ()
                    found = record_time(entries[0], commitment) if entries else None
                    if found is not None and self._openings is not None:
                        start = prefix(SUBJECT, self._openings.digest(opening.subject))
                        key, value = single(start, (found, opening.index))
                        batch.put(key, value)
                        batch.put(_FILED + commitment, key)
            # After what the same batch may have filed; a crash before the next line begins it again.
            self._unfile(erased)
            self._store.put(_OPENINGS, u64(done))
            if done != news[-1][0]:
                return

    def _news(self, done: int) -> list[tuple[int, bytes, Opening | None]]:
        """(sequence, commitment, opening or None once erased) of what changed in the payload store."""
        if self._openings is None:
            return []
        try:
            return [
                (sequence, name, self._openings.get(name))
                for sequence, name in self._openings.since(done, _OPENINGS_AT_ONCE)
            ]
        except FatalError as error:
            # Not a fault of the index: dropping it would mend nothing.
            raise UnavailableError(
                "index.subjects",
                f"the openings in the payload store cannot be read: {error.message}",
                hint="put the payloads folder back from a backup; queries by anything but subject are not affected",
            ) from error

    def _unfile(self, commitments: Sequence[bytes]) -> None:
        """Take erased openings out so that their rows leave the disk, not only the answers."""
        filed = {_FILED + commitment: self._store.get(_FILED + commitment) for commitment in commitments}
        rows = [key for key in filed.values() if key is not None]
        if rows:
            self._store.erase_all(rows, within=SUBJECT)
            self._store.erase_all(list(filed), within=_FILED)
            # LevelDB notes the first and last key of every file elsewhere, and only begins those notes anew at opening;
            # the ones before are kept until the opening after.
            self._reopen()
            self._reopen()

    # --- dropping and mending -----------------------------------------------------------------------------------------

    def _failed(self, error: LedgerError) -> LedgerError:
        """Remember what broke; the error for the caller. The log is whole: a broken index stops nothing."""
        if isinstance(error, FatalError) and error.code == "store.corrupt":
            self._fault = error
            return UnavailableError(
                "index.damaged",
                "the record index is damaged and is being made again from the log",
                hint="try again: indexed_size says how far it has come",
            )
        if error.code == "disk.full":
            self._fault = error
        return error

    def _mend(self) -> None:
        """After a fault: drop a damaged folder; open one again that had no room, once there is some."""
        fault = self._fault
        if fault is None:
            return
        if fault.code == "disk.full":
            if shutil.disk_usage(self._path).free < _ROOM:
                raise fault
            self._reopen()
            return
        self._drop(_remade(fault.message))

    def _reopen(self) -> None:
        with self._alone():
            self._store.close()
            self._take(*_usable(self._path))

    def _drop(self, why: LedgerError) -> None:
        with self._alone():
            self._store.close()
            Store.destroy(self._path)
            self._take(_usable(self._path)[0], why)
            self._store.put(_REMAKING, b"")

    def _take(self, store: Store, dropped: LedgerError | None) -> None:
        self._store = store
        self._fault = None
        self._unsynced = 0
        self._size = int.from_bytes(store.get(_SIZE) or b"", "big")
        if dropped is not None:
            self.remaking = dropped

    @contextmanager
    def _reading(self) -> Iterator[Store]:
        """The store, which is not closed meanwhile: LevelDB does not survive being closed under a reader."""
        with self._swap:
            self._readers += 1
            store = self._store
        try:
            yield store
        finally:
            with self._swap:
                self._readers -= 1
                self._swap.notify_all()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No reader is under way, none begins."""
        with self._swap:
            self._swap.wait_for(lambda: not self._readers)
            yield

    def _subjects(self, wanted: RecordFilter) -> tuple[bytes, ...]:
        if wanted.subject is None:
            return ()
        if self._openings is None:
            raise InvalidInputError("query.subject", "this index knows no subjects", hint="ask the member's own node")
        names = (wanted.subject,) if wanted.filed is None else (wanted.subject, wanted.filed)
        return tuple(self._openings.digest(name) for name in names)


def _usable(path: str) -> tuple[Store, LedgerError | None]:
    """The folder, empty where what stood there could not be used, and why."""
    try:
        store = Store.open(path, write_buffer=_WRITE_BUFFER)
        try:
            version = store.get(_VERSION)
            empty = version is None and next(iter(store.scan()), None) is None
        except FatalError:
            store.close()
            raise
    except FatalError as error:
        why = _remade(error.message)
    else:
        if version == _VERSION_NOW:
            return store, None
        if empty:
            store.put(_VERSION, _VERSION_NOW)
            return store, None
        store.close()
        why = _remade("it is of another version")
    Store.destroy(path)
    store = Store.open(path, write_buffer=_WRITE_BUFFER)
    with store.batch() as batch:
        batch.put(_VERSION, _VERSION_NOW)
        batch.put(_REMAKING, b"")
    return store, why


def _remade(why: str) -> UnavailableError:
    return UnavailableError(
        "index.remaking",
        f"the record index is being made again from the log: {why}",
        hint="nothing is lost: queries are complete up to indexed_size",
    )
