"""One LevelDB folder behind a small door that speaks ``ledger.errors``.

Writes are synced unless the caller says otherwise, and batches are atomic. After a failed write the store takes no
more writes until it is opened again: LevelDB's log may end in a torn frame, and only recovery knows where.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, NoReturn, Self

import plyvel

from ledger.errors import ConflictError, FatalError, LedgerError, UnavailableError

#: What LevelDB and the OS print when the disk, the quota or the file-size limit is reached.
_FULL = ("No space left", "File too large", "quota exceeded")
_READ_ONLY = ("Read-only file system", "Permission denied")
#: plyvel answers a closed database with RuntimeError.
_ERRORS = (plyvel.Error, OSError, RuntimeError)
#: What LevelDB prints when another process (or this one) holds the folder.
_LOCKED = ("already held by process", "Resource temporarily unavailable")


def disk_full(what: str) -> UnavailableError:
    """The one error for a full disk, whoever noticed it."""
    return UnavailableError(
        "disk.full",
        f"no space is left for {what}; nothing of this write was kept",
        hint="free space (civicledger doctor shows the folders) and start the node again",
    )


def store_error(error: Exception, path: str) -> LedgerError:
    """LevelDB's or the OS's error as one of ours."""
    text = str(error)
    if isinstance(error, RuntimeError):
        return UnavailableError(
            "store.closed", f"the store in {path} is closed", hint="the node is stopping: try again"
        )
    if any(part in text for part in _FULL):
        return disk_full(path)
    if any(part in text for part in _LOCKED):
        return ConflictError(
            "store.locked",
            f"another process holds the store in {path}",
            hint="stop the other node process; a folder is opened by one process only",
        )
    if any(part in text for part in _READ_ONLY):
        return UnavailableError(
            "store.read-only",
            f"the store in {path} cannot be written: {text}",
            hint="make the folder writable (a disk with errors is mounted read-only), then start the node again",
        )
    return FatalError(
        "store.corrupt",
        f"the store in {path} cannot be read or written: {text}",
        hint="delete nothing: copy the folder aside, check the disk, then restore it or rejoin from other members",
    )


class Batch:
    """Writes that become visible and durable together. Made by :meth:`Store.batch`."""

    __slots__ = ("_batch", "_prefix")

    def __init__(self, batch: Any, prefix: bytes) -> None:
        self._batch = batch
        self._prefix = prefix

    def put(self, key: bytes, value: bytes) -> None:
        """Add one row."""
        self._batch.put(self._prefix + key, value)

    def delete(self, key: bytes) -> None:
        """Remove one row; no error when it is absent."""
        self._batch.delete(self._prefix + key)

    def apply(self, rows: Iterable[tuple[bytes, bytes | None]], *, within: bytes = b"") -> None:
        """Add many rows with keys under ``within``: to put, or to remove where the value is None."""
        prefix = self._prefix + within
        put, delete = self._batch.put, self._batch.delete
        for key, value in rows:
            if value is None:
                delete(prefix + key)
            else:
                put(prefix + key, value)

    def sub(self, prefix: bytes) -> Batch:
        """The same batch, its keys under a prefix."""
        return Batch(self._batch, self._prefix + prefix)


class _Writing:
    """The context of one batch: written at a clean exit, dropped at an exception."""

    __slots__ = ("_batch", "_store", "_sync")

    def __init__(self, store: Store, *, sync: bool) -> None:
        self._store = store
        self._sync = sync
        self._batch = store._core.db.write_batch(transaction=False, sync=sync)

    def __enter__(self) -> Batch:
        return Batch(self._batch, self._store._prefix)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._store._core.write(self._batch)
        else:
            self._batch.clear()


class _Core:
    """The open database, shared by a store and its sub-stores."""

    __slots__ = ("closed", "db", "failed", "lock", "owner", "path")

    def __init__(self, path: str, db: Any, owner: int) -> None:
        self.path = path
        self.db = db
        self.owner = owner
        self.lock = threading.Lock()
        self.failed: LedgerError | None = None
        self.closed = False

    def write(self, batch: Any) -> None:
        with self.lock:
            if self.failed is not None:
                raise self.failed
            if self.closed:
                raise store_error(RuntimeError(), self.path)
            try:
                batch.write()
            except _ERRORS as error:
                self.fail(error)

    def fail(self, error: Exception) -> NoReturn:
        self.failed = store_error(error, self.path)
        raise self.failed from error


class Store:
    """A LevelDB folder, or a part of it under a key prefix. Thread-safe."""

    __slots__ = ("_core", "_prefix")

    def __init__(self, core: _Core, prefix: bytes) -> None:
        self._core = core
        self._prefix = prefix

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, write_buffer: int = 4 << 20) -> Store:
        """Create or recover the folder. ``write_buffer``: bytes gathered in memory before a file is written.

        Raises:
            ConflictError: ``store.locked``, another process has it open.
            FatalError: ``store.corrupt``, LevelDB's own checks failed.
            UnavailableError: ``disk.full``, ``store.read-only``.
        """
        name = os.fspath(path)
        try:
            os.makedirs(name, mode=0o700, exist_ok=True)
            owner = _own(name)
        except OSError as error:
            raise store_error(error, name) from error
        try:
            # paranoid_checks: a damaged row must stop us here, never be skipped silently.
            db = plyvel.DB(name, create_if_missing=True, paranoid_checks=True, write_buffer_size=write_buffer)
        except _ERRORS as error:
            os.close(owner)
            raise store_error(error, name) from error
        return cls(_Core(name, db, owner), b"")

    @staticmethod
    def destroy(path: str | os.PathLike[str]) -> None:
        """Delete a database that can be made again. Raises: as :meth:`open`."""
        name = os.fspath(path)
        try:
            owner = _own(name)
            try:
                plyvel.destroy_db(name)
            finally:
                os.close(owner)
        except _ERRORS as error:
            raise store_error(error, name) from error

    @property
    def path(self) -> str:
        """The folder."""
        return self._core.path

    @property
    def closed(self) -> bool:
        """True after :meth:`close`."""
        return self._core.closed

    def sub(self, prefix: bytes) -> Store:
        """The same store, its keys under a prefix. Closing either closes both."""
        return Store(self._core, self._prefix + prefix)

    def get(self, key: bytes) -> bytes | None:
        """The value, or None.

        Raises:
            FatalError: ``store.corrupt``, the row's checksum does not fit.
        """
        try:
            value: bytes | None = self._core.db.get(self._prefix + key, verify_checksums=True)
        except _ERRORS as error:
            raise store_error(error, self.path) from error
        return value

    def put(self, key: bytes, value: bytes, *, sync: bool = True) -> None:
        """Write one row. Raises as :meth:`batch`."""
        with self.batch(sync=sync) as batch:
            batch.put(key, value)

    def delete(self, key: bytes, *, sync: bool = True) -> None:
        """Remove one row; no error when it is absent. Raises as :meth:`batch`."""
        with self.batch(sync=sync) as batch:
            batch.delete(key)

    def batch(self, *, sync: bool = True) -> _Writing:
        """``with store.batch() as b:`` — all of it is written at the end of the block, or nothing.

        Raises:
            UnavailableError: ``disk.full``; nothing was written, and the store takes no more writes.
            FatalError: ``store.corrupt``.
        """
        return _Writing(self, sync=sync)

    def scan(
        self,
        prefix: bytes = b"",
        *,
        start: bytes | None = None,
        stop: bytes | None = None,
        reverse: bool = False,
    ) -> Iterator[tuple[bytes, bytes]]:
        """Rows whose key begins with ``prefix``, in key order, of one moment.

        ``start`` (inclusive) and ``stop`` (exclusive) are whole keys and narrow the range further. Keys come back
        as the caller wrote them.
        """
        whole = self._prefix + prefix
        low = whole if start is None else max(whole, self._prefix + start)
        high = prefix_end(whole)
        if stop is not None:
            high = self._prefix + stop if high is None else min(high, self._prefix + stop)
        if high is not None and high <= low:
            return
        cut = len(self._prefix)
        try:
            # Backwards, plyvel 1.5 leaves out a row that is both the first and the only one of a range with a start:
            # the lower bound is kept here.
            first = None if reverse else low
            with self._core.db.iterator(start=first, stop=high, reverse=reverse, verify_checksums=True) as rows:
                for key, value in rows:
                    if key < low:
                        return
                    yield key[cut:], value
        except _ERRORS as error:
            raise store_error(error, self.path) from error

    def erase(self, prefix: bytes) -> None:
        """Delete every row under a prefix so that its bytes leave the disk, not only the answers."""
        self.erase_all([key for key, _ in self.scan(prefix)], within=prefix)

    def erase_all(self, keys: Sequence[bytes], *, within: bytes) -> None:
        """The same for single rows; ``within``: the prefix they share.

        Twice on purpose: a compaction flushes what is in memory beside the old rows and leaves the deepest level alone.
        The second round deletes two rows that never were, at both ends of the prefix: they lie above that level, span
        it, and are merged into it, which drops rows and deletions both.
        """
        for deleted in (keys, (within, within + b"\xff" * 64)):
            with self.batch() as batch:
                for key in deleted:
                    batch.delete(key)
            self.compact(within)

    def compact(self, prefix: bytes) -> None:
        """Rewrite the files that hold a prefix into the deepest level in use."""
        whole = self._prefix + prefix
        try:
            self._core.db.compact_range(start=whole, stop=prefix_end(whole) or b"\xff" * 64)
        except _ERRORS as error:
            raise store_error(error, self.path) from error

    def close(self) -> None:
        """Close the folder; a second call does nothing."""
        with self._core.lock:
            if not self._core.closed:
                self._core.closed = True
                self._core.db.close()
                os.close(self._core.owner)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _own(folder: str) -> int:
    """Hold the folder by a file of our own; the descriptor. LevelDB's lock is not enough: it is a POSIX record lock,
    and a refused second opening by the same process closes the file, which silently gives the lock up."""
    owner = os.open(os.path.join(folder, "OWNER"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(owner)
        raise
    return owner


def prefix_end(prefix: bytes) -> bytes | None:
    """The first key after every key that begins with ``prefix``; None when there is none."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else None


def u64(value: int) -> bytes:
    """An unsigned integer whose byte order is its numeric order."""
    return value.to_bytes(8, "big")
