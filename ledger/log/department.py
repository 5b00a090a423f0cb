"""The department log: the native engine, and the checkpoints that are signed over it.

Two rules live here. A head is on disk (file ``signed``) before its signature leaves, and no size is ever signed with
two roots, a restored backup included: nothing is appended or signed until :meth:`DepartmentLog.guard` compared the log
with what witnesses and the chain saw of it.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from ledger._native import LogEngine, LogReader, PendingAppend
from ledger.bulk import BulkSchema
from ledger.codec import encode_record
from ledger.errors import ConflictError, FatalError, LedgerError
from ledger.evidence.checkpoint import Checkpoint, format_checkpoint, parse_checkpoint, parse_note, sign_note
from ledger.keys import Signer
from ledger.log.export import export_tiles
from ledger.log.files import CHECKPOINT_FILE, SIGNED_FILE, disk_errors, read_note, replace_file, restoring_folder
from ledger.log.guard import Contrary, compare, signed_heads, unguarded
from ledger.log.writing import append_many
from ledger.model import Record

#: Unix milliseconds.
Clock = Callable[[], int]


class DepartmentLog:
    """The one writer of a log folder. Thread-safe: any number of callers append, read and publish."""

    __slots__ = (
        "_beyond", "_clock", "_closed", "_contrary", "_engine", "_last", "_lock", "_note", "_path",
        "_signer", "_why_closed", "origin",
    )  # fmt: skip

    def __init__(self, path: Path, engine: LogEngine, origin: str, signer: Signer, clock: Clock) -> None:
        self._path = path
        self._engine = engine
        self._signer = signer
        self._clock = clock
        self._lock = threading.Lock()
        self._last: Checkpoint | None = None
        self._note: bytes | None = None
        #: The note of the last signed head while this log does not hold it; ``_note`` is then of what there is.
        self._beyond: bytes | None = None
        #: Heads that were seen and that this log does not hold: it opens when all of them hold again.
        self._contrary = Contrary(path)
        self._closed = False
        self._why_closed: LedgerError | None = unguarded()
        self.origin = origin

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, origin: str, signer: Signer, clock: Clock) -> DepartmentLog:
        """Create or recover the folder. Reading works at once; appending and signing after :meth:`guard`.

        Raises:
            ConflictError: ``log.locked``, another process holds it; ``log.other-origin``, it is another log's folder;
                ``log.half-restored``, a restore was cut short.
            FatalError: ``log.*``, the folder is damaged beyond what recovery repairs.
            UnavailableError: ``disk.full``.
        """
        folder = Path(path)
        if restoring_folder(folder).exists():
            raise ConflictError(
                "log.half-restored",
                f"putting a backup in the place of {folder} was cut short",
                hint="run civicledger log restore with that backup again: it knows what was signed before",
            )
        with disk_errors(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        engine = LogEngine.open(os.fspath(folder), now_ms=clock())
        try:
            log = cls(folder, engine, origin, signer, clock)
            log._recall()
        except BaseException:
            engine.close()
            raise
        return log

    @property
    def path(self) -> Path:
        """The folder."""
        return self._path

    @property
    def size(self) -> int:
        """Records that are durable."""
        return self._engine.size()

    @property
    def published(self) -> bytes | None:
        """The last signed note, with the cosignatures kept by :meth:`keep_cosigned`; None before the first."""
        return self._note

    @property
    def signed(self) -> Checkpoint | None:
        """The last signed head; None before the first."""
        return self._last

    @property
    def why_closed(self) -> LedgerError | None:
        """Why nothing can be appended or signed; None when the log is open. Reading and proving go on."""
        if not isinstance(self._why_closed, FatalError):
            try:
                self._engine.check()
            except FatalError as error:
                self._why_closed = error
        return self._why_closed

    # --- writing ------------------------------------------------------------------------------------------------------

    def append(self, records: Sequence[bytes], batch: bytes | None = None) -> tuple[int, int]:
        """Append canonical records; (first index, count) after all of them are durable.

        ``batch``: 16 bytes chosen by the caller; a repeat within 24 h returns the first answer.

        Raises:
            InvalidInputError: ``json.*`` or ``record.*``, an entry is no canonical record; nothing was appended.
            ConflictError: ``log.batch-conflict``; ``log.behind`` or ``log.forked``, the log is closed.
            UnavailableError: ``log.saturated``, ``log.unguarded``, ``disk.full``.
            FatalError: ``log.no-space``, ``log.read-only``, ``log.failed``, a write failed: only opening the folder
                again recovers; what was acknowledged is still read and proved.
        """
        return self.begin(records, batch).result()

    def begin(
        self, records: Sequence[bytes], batch: bytes | None = None, schema: BulkSchema | None = None
    ) -> PendingAppend:
        """:meth:`append` in two steps: queued when this returns, durable when ``result()`` does, which answers (first
        index, count). What one thread begins keeps its order, and what waits together shares one sync of the disk.

        ``schema``: records that it recognises need no second check. Both steps raise as :meth:`append`.
        """
        self._check_open()
        return self._engine.begin_records(records, batch, self._clock(), schema.native if schema else None)

    def append_record(self, record: Record) -> int:
        """Append one record, checked against the catalogue; its durable index. Raises as :meth:`append`."""
        return self.append((encode_record(record),))[0]

    def append_many(
        self,
        records: Iterable[Record | bytes],
        *,
        schema: BulkSchema | None = None,
        on_durable: Callable[[int, int], None] | None = None,
    ) -> list[tuple[int, int]]:
        """Append any number of records from any iterable, read as fast as the log takes them.

        Returns the ranges (first index, count), neighbouring ones as one. Raises as :meth:`append`.
        """
        return append_many(self.begin, records, schema, on_durable)

    def guard(self, seen: Iterable[Checkpoint], notes: Iterable[bytes] = ()) -> None:
        """Compare the log with what others saw of it, and open it when it holds all of that.

        ``seen``: the heads that witnesses cosigned and the chain anchored. An empty ``seen`` is the caller's word that
        nobody saw anything. ``notes``: such heads as notes, whose signature by a key of this log was checked: one
        beyond the log, or of another history, is kept on disk, so that it is known when nobody says so any more. What
        once contradicted the log is compared again every time, also after a restart.

        Raises:
            ConflictError: ``log.behind``, somebody saw a larger log (a restored backup); ``log.forked``, somebody saw
                another history. The log stays closed.
            InvalidInputError: ``log.other-origin``.
            UnavailableError: ``disk.full``. FatalError: ``log.failed``.
        """
        with self._lock:
            if isinstance(self.why_closed, FatalError):
                raise self.why_closed
            noted = {parse_checkpoint(parse_note(note).text): note for note in notes}
            known = dict.fromkeys([*seen, *noted, *self._contrary.heads, *([self._last] if self._last else [])])
            wrong: list[LedgerError] = []
            for head in known:
                try:
                    compare(self._engine, self.origin, head)
                except LedgerError as error:
                    wrong.append(error)
                    if isinstance(error, ConflictError):
                        self._contrary.add(head, noted.get(head))
            if wrong:
                # A conflict outweighs a caller's mistake: that one must not hide why the log is closed.
                self._why_closed = next((one for one in wrong if isinstance(one, ConflictError)), wrong[0])
                self._keep_beyond(noted)
                self._contrary.keep(self._replace)
                raise self._why_closed
            if self._beyond is not None:
                self._replace(CHECKPOINT_FILE, self._beyond)
                self._note, self._beyond = self._beyond, None
            self._contrary.forget()
            self._why_closed = None

    def publish(self) -> bytes:
        """Sign the present head and return the note; the last note again when nothing is new.

        The head is on disk before the signature leaves: whoever has seen a note can count on the log never signing
        another root of that size.

        Raises:
            ConflictError: ``log.behind`` or ``log.forked``, others saw more or something else.
            UnavailableError: ``log.unguarded``, ``disk.full``; no signature left.
            FatalError: ``log.failed``.
        """
        with self._lock:
            self._check_open()
            size = self._engine.size()
            if self._last is not None and self._note is not None and self._last.size == size:
                return self._note
            head = Checkpoint(origin=self.origin, size=size, root=self._engine.root(size))
            if self._last is not None:
                compare(self._engine, self.origin, self._last)
            note = sign_note(format_checkpoint(head), self.origin, self._signer)
            self._replace(SIGNED_FILE, note)
            self._last, self._note = head, note
            self._replace(CHECKPOINT_FILE, note)
            return note

    def refill(self, entries: Sequence[bytes]) -> None:
        """Append entries that were in this log before, proven by a signed head of it. Only while the log is closed:
        nothing new may come in between.

        Raises: ConflictError(log.open), FatalError(log.failed), UnavailableError(disk.full).
        """
        with self._lock:
            if self._why_closed is None:
                raise ConflictError("log.open", "this log is open: it misses nothing", hint="nothing is to be done")
            self._engine.append_batch(entries)

    def adopt_signed(self, note: bytes) -> None:
        """Take up a head that this log signed before its files were lost. Its signature was checked.

        Raises: InvalidInputError(log.other-origin), ConflictError(log.behind | log.forked),
            UnavailableError(disk.full).
        """
        head = parse_checkpoint(parse_note(note).text)
        with self._lock:
            compare(self._engine, self.origin, head)
            if self._last is None or self._last.size < head.size:
                self._replace(SIGNED_FILE, note)
                self._last, self._note, self._beyond = head, note, None
                self._replace(CHECKPOINT_FILE, note)

    def stop(self, error: FatalError) -> None:
        """Append and sign nothing more for this reason until the folder is opened again; reading goes on."""
        with self._lock:
            if not isinstance(self._why_closed, FatalError):
                self._why_closed = error

    def use_signer(self, signer: Signer) -> None:
        """Sign the next checkpoints with another ``log`` key: the old one was retired on chain."""
        with self._lock:
            self._signer = signer

    def keep_cosigned(self, note: bytes) -> None:
        """Serve the last note with its cosignatures.

        Raises:
            ConflictError: ``log.other-note``, it is not the last signed head (a newer one may have been signed).
        """
        head = parse_checkpoint(parse_note(note).text)
        with self._lock:
            if head != self._last:
                raise ConflictError("log.other-note", "the cosigned note is not over the last signed head")
            self._replace(CHECKPOINT_FILE, note)
            self._note = note

    # --- reading ------------------------------------------------------------------------------------------------------

    def root(self, size: int | None = None) -> bytes:
        """The RFC 6962 root of the first ``size`` records (default: all)."""
        return self._engine.root(size)

    def prove_inclusion(self, index: int, size: int | None = None) -> list[bytes]:
        """Hashes from the leaf to the root of ``size`` (default: the last signed size).

        Raises:
            InvalidInputError: ``log.range`` and the like, the index is not below the size, or the size not reached.
        """
        if size is None:
            size = min(self._last.size, self._engine.size()) if self._last is not None else self._engine.size()
        return self._engine.inclusion_proof(index, size)

    def prove_consistency(self, size1: int, size2: int) -> list[bytes]:
        """Hashes that prove the tree of ``size1`` a prefix of that of ``size2``."""
        return self._engine.consistency_proof(size1, size2)

    def read(self, first: int, count: int) -> list[bytes]:
        """Entries [first, first + count)."""
        return self._engine.read(first, count)

    def index_rows(self, first: int, count: int) -> list[tuple[bytes, bytes]]:
        """Rows (key, value) of the record index for entries [first, first + count), made without the GIL."""
        return self._engine.index_rows(first, count)

    def leaf(self, index: int) -> bytes:
        """The leaf hash of an entry."""
        return self._engine.leaf(index)

    def hash_tile(self, level: int, index: int, width: int) -> bytes:
        """``width`` hashes of a tile, concatenated."""
        return self._engine.hash_tile(level, index, width)

    def entry_tile(self, index: int, width: int) -> bytes:
        """``width`` entries of a bundle, each with its u16 length."""
        return self._engine.entry_tile(index, width)

    def stat(self) -> dict[str, int]:
        """Figures of the engine: size, entries_bytes, commits, watermark, pool_bytes, batches."""
        return self._engine.stat()

    def export(self, target: str | os.PathLike[str]) -> int:
        """Write the published log as a static tlog-tiles tree for third-party tools; the exported size.

        Raises:
            ConflictError: ``log.export-exists``, ``log.export-other``, ``log.unpublished``.
            UnavailableError: ``disk.full``.
        """
        with self._lock:
            note = self._note
        if note is None:
            raise ConflictError(
                "log.unpublished", "this log has no checkpoint yet", hint="append a record and wait for a checkpoint"
            )
        head = parse_checkpoint(parse_note(note).text)
        export_tiles(self, Path(target), head, note)
        return head.size

    def close(self) -> None:
        """Make the level files durable and let go of the folder; a second call does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            try:
                self._engine.sync()
            finally:
                self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- inside -------------------------------------------------------------------------------------------------------

    def _recall(self) -> None:
        """Find the last signed head. Its file is written first, so a crash may leave ``checkpoint`` one behind."""
        heads = signed_heads(self._path, self.origin)
        self._contrary.recall(self.origin)
        if not heads:
            return
        self._last, self._note = heads[0]
        if self._last.size > self._engine.size():
            # Closed for good, as guard() says to whoever asks; what an older note covers is still served.
            self._beyond, self._note = self._note, heads[-1][1]
            return
        with contextlib.suppress(ConflictError):
            compare(self._engine, self.origin, self._last)
            if read_note(self._path / CHECKPOINT_FILE) != self._note:
                self._replace(CHECKPOINT_FILE, self._note)

    def _keep_beyond(self, noted: dict[Checkpoint, bytes]) -> None:
        """Put the largest of these heads on disk as the last signed one, when the log does not reach it."""
        own = [head for head in noted if head.origin == self.origin and head.size > self._engine.size()]
        head = max(own, key=lambda one: one.size, default=None)
        if head is not None and (self._last is None or self._last.size < head.size):
            self._replace(SIGNED_FILE, noted[head])
            self._last, self._beyond = head, noted[head]

    def _check_open(self) -> None:
        if self.why_closed is not None:
            raise self.why_closed

    def _replace(self, name: str, data: bytes) -> None:
        try:
            with disk_errors(self._path):
                replace_file(self._path / name, data)
        except FatalError as error:
            # A disk that failed for one of the log's files is not trusted with the others.
            self._why_closed = error
            raise


def open_reader(path: str | os.PathLike[str], size: int) -> LogReader:
    """The first ``size`` records of a folder, read-only, beside its writer or without one.

    Raises: NotFoundError(log.missing), UnavailableError(log.not-yet).
    """
    return LogReader.open(os.fspath(path), size)
