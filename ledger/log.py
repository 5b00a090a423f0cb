"""The department log: the native engine, and the checkpoints that are signed over it.

Two rules live here. A head is on disk (file ``signed``) before its signature leaves, and no size is ever signed with two
roots, a restored backup included: nothing is appended or signed until :meth:`DepartmentLog.guard` compared the log with
what witnesses and the chain saw of it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ledger._native import LogEngine, LogReader, log_fsck
from ledger.codec import encode_record
from ledger.errors import ConflictError, FatalError, InvalidInputError, LedgerError, UnavailableError
from ledger.evidence.checkpoint import Checkpoint, format_checkpoint, parse_checkpoint, parse_note, sign_note
from ledger.evidence.tiles import Tile, tiles_of
from ledger.keys import Signer
from ledger.model import Record

#: Unix milliseconds.
Clock = Callable[[], int]

SIGNED_FILE = "signed"
CHECKPOINT_FILE = "checkpoint"
#: A signed note is a few hundred bytes and a cosignature about 200: a file beyond this is not one of ours.
_MAX_NOTE = 65_536
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class DepartmentLog:
    """The one writer of a log folder. Thread-safe: any number of callers append, read and publish."""

    __slots__ = ("_clock", "_engine", "_last", "_lock", "_note", "_path", "_signer", "_why_closed", "origin")

    def __init__(self, path: Path, engine: LogEngine, origin: str, signer: Signer, clock: Clock) -> None:
        self._path = path
        self._engine = engine
        self._signer = signer
        self._clock = clock
        self._lock = threading.Lock()
        self._last: Checkpoint | None = None
        self._note: bytes | None = None
        self._why_closed: LedgerError | None = _unguarded()
        self.origin = origin

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, origin: str, signer: Signer, clock: Clock) -> DepartmentLog:
        """Create or recover the folder. Reading works at once; appending and signing after :meth:`guard`.

        Raises:
            ConflictError: ``log.locked``, another process holds it; ``log.other-origin``, it is another log's folder.
            FatalError: ``log.*``, the folder is damaged beyond what recovery repairs.
            UnavailableError: ``disk.full``.
        """
        folder = Path(path)
        with _disk_errors(folder):
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
        """Why nothing can be appended or signed; None when the log is open."""
        return self._why_closed

    # --- writing ------------------------------------------------------------------------------------------------------

    def append(self, records: Sequence[bytes], batch: bytes | None = None) -> tuple[int, int]:
        """Append canonical records; (first index, count) after all of them are durable.

        ``batch``: 16 bytes chosen by the caller; a repeat within 24 h returns the first answer.

        Raises:
            InvalidInputError: ``json.*`` or ``record.*``, an entry is no canonical record; nothing was appended.
            ConflictError: ``log.batch-conflict``; ``log.behind`` or ``log.forked``, the log is closed.
            UnavailableError: ``log.saturated``, ``log.unguarded``, ``disk.full``.
            FatalError: ``log.failed``, a write failed: only opening again recovers.
        """
        self._check_open()
        return self._engine.append_records(records, batch, self._clock())

    def append_record(self, record: Record) -> int:
        """Append one record, checked against the catalogue; its durable index. Raises as :meth:`append`."""
        return self.append((encode_record(record),))[0]

    def guard(self, seen: Iterable[Checkpoint]) -> None:
        """Compare the log with what others saw of it, and open it when it holds all of that.

        ``seen``: the heads that witnesses cosigned and the chain anchored. An empty ``seen`` is the caller's word that
        nobody saw anything.

        Raises:
            ConflictError: ``log.behind``, somebody saw a larger log (a restored backup); ``log.forked``, somebody saw
                another history. The log stays closed.
            InvalidInputError: ``log.other-origin``.
        """
        with self._lock:
            known = list(seen)
            if self._last is not None:
                known.append(self._last)
            try:
                for head in known:
                    self._compare(head)
            except LedgerError as error:
                self._why_closed = error
                raise
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
                self._compare(self._last)
            note = sign_note(format_checkpoint(head), self.origin, self._signer)
            self._replace(SIGNED_FILE, note)
            self._last, self._note = head, note
            self._replace(CHECKPOINT_FILE, note)
            return note

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
            size = self._last.size if self._last is not None else self._engine.size()
        return self._engine.inclusion_proof(index, size)

    def prove_consistency(self, size1: int, size2: int) -> list[bytes]:
        """Hashes that prove the tree of ``size1`` a prefix of that of ``size2``."""
        return self._engine.consistency_proof(size1, size2)

    def read(self, first: int, count: int) -> list[bytes]:
        """Entries [first, first + count)."""
        return self._engine.read(first, count)

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
            ConflictError: ``log.export-exists``, the target is not an empty folder; ``log.unpublished``.
            UnavailableError: ``disk.full``.
        """
        with self._lock:
            note, head = self._note, self._last
        if note is None or head is None:
            raise ConflictError(
                "log.unpublished", "this log has no checkpoint yet", hint="append a record and wait for a checkpoint"
            )
        export_tiles(self, Path(target), head.size, note)
        return head.size

    def close(self) -> None:
        """Make the level files durable and let go of the folder."""
        with self._lock:
            self._engine.sync()
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
        signed, served = self._path / SIGNED_FILE, self._path / CHECKPOINT_FILE
        for file in (signed, served):
            note = _read_note(file)
            if note is None:
                continue
            head = _parse_head(file, note)
            if head.origin != self.origin:
                raise ConflictError(
                    "log.other-origin",
                    f"{file} is of another log",
                    hint="check the node's region, handle and log generation against the folder",
                    expected=self.origin,
                    actual=head.origin,
                )
            if self._last is not None and head.size == self._last.size and head.root != self._last.root:
                raise FatalError("log.forked", f"{signed} and {served} disagree about size {head.size}")
            if self._last is None or head.size >= self._last.size:
                self._last, self._note = head, note
        if self._last is not None and self._note is not None:
            with contextlib.suppress(ConflictError):
                # Closed already; guard() says the same again to whoever asks for the log to be opened.
                self._compare(self._last)
                if _read_note(served) != self._note:
                    self._replace(CHECKPOINT_FILE, self._note)

    def _compare(self, head: Checkpoint) -> None:
        if head.origin != self.origin:
            raise InvalidInputError(
                "log.other-origin",
                "this head is of another log",
                expected=self.origin,
                actual=head.origin,
            )
        size = self._engine.size()
        if head.size > size:
            raise ConflictError(
                "log.behind",
                f"this log has {size} records, but a head of {head.size} was seen: it was restored from an older copy",
                hint="refetch the missing records from peers before anything is signed (log restore --from-peers)",
                expected=head.size,
                actual=size,
            )
        root = self._engine.root(head.size)
        if root != head.root:
            raise ConflictError(
                "log.forked",
                f"the first {head.size} records have another root than the one that was seen",
                hint="run civicledger log fsck; do not append: keep the folder as evidence",
                expected=head.root,
                actual=root,
            )

    def _check_open(self) -> None:
        if self._why_closed is not None:
            raise self._why_closed

    def _replace(self, name: str, data: bytes) -> None:
        with _disk_errors(self._path):
            replace_file(self._path / name, data)


@dataclass(frozen=True, slots=True, kw_only=True)
class FsckProblem:
    """The first difference found in a file. ``index``: the record, hash or frame, -1 for the whole file."""

    file: str
    index: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FsckReport:
    """What re-deriving a log from its entries found. ``root``: 32 bytes, of all ``size`` entries."""

    size: int
    root: bytes
    problems: tuple[FsckProblem, ...]

    @property
    def ok(self) -> bool:
        """True when nothing differs."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "ok": self.ok,
            "size": self.size,
            "root": self.root.hex(),
            "problems": [{"file": p.file, "index": p.index, "detail": p.detail} for p in self.problems],
        }


def fsck(path: str | os.PathLike[str], *, seen: Iterable[Checkpoint] = ()) -> FsckReport:
    """Re-derive everything from the entries and compare with hashes, signed heads and what others saw.

    The folder may be in use by its node: what is committed now is checked. Raises nothing for a broken log: that is the
    report.
    """
    folder = Path(path)
    native: Any = log_fsck(os.fspath(folder))
    size = int(native["size"])
    problems = [
        FsckProblem(file=str(item["file"]), index=int(item["index"]), detail=str(item["detail"]))
        for item in native["problems"]
    ]
    heads = [("seen by others", head) for head in seen]
    for name in (SIGNED_FILE, CHECKPOINT_FILE):
        try:
            note = _read_note(folder / name)
            if note is not None:
                heads.append((name, _parse_head(folder / name, note)))
        except LedgerError as error:
            problems.append(FsckProblem(file=name, index=-1, detail=error.message))
    for name, head in heads:
        if head.size > size:
            detail = f"a head of {head.size} records, but the log has {size}"
            problems.append(FsckProblem(file=name, index=-1, detail=detail))
            continue
        try:
            root = LogReader.open(os.fspath(folder), head.size).root()
        except LedgerError as error:
            problems.append(FsckProblem(file=name, index=-1, detail=error.message))
            continue
        if root != head.root:
            detail = f"root of the first {head.size} records: {root.hex()} here, {head.root.hex()} in the head"
            problems.append(FsckProblem(file=name, index=-1, detail=detail))
    return FsckReport(size=size, root=bytes.fromhex(str(native["root"])), problems=tuple(problems))


def export_tiles(log: DepartmentLog | LogReader, target: Path, size: int, note: bytes) -> None:
    """Write ``checkpoint`` and every tile of a tree of ``size`` under ``target``, an empty or new folder.

    Raises:
        ConflictError: ``log.export-exists``.
        UnavailableError: ``disk.full``.
    """
    with _disk_errors(target):
        target.mkdir(parents=True, exist_ok=True)
        if any(target.iterdir()):
            raise ConflictError(
                "log.export-exists", f"{target} is not empty", hint="export into a new folder", actual=str(target)
            )
        for tile in tiles_of(size):
            file = target / tile.path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(read_tile(log, tile))
        # The checkpoint comes last: a reader that finds it finds all of its tiles.
        replace_file(target / CHECKPOINT_FILE, note)


def read_tile(log: DepartmentLog | LogReader, tile: Tile) -> bytes:
    """The bytes of a tile."""
    if tile.level is None:
        return log.entry_tile(tile.index, tile.width)
    return log.hash_tile(tile.level, tile.index, tile.width)


def replace_file(path: Path, data: bytes) -> None:
    """Put a file in place of another so that a crash leaves the old or the new one whole, durably.

    Raises:
        OSError: as the disk said; the old file is untouched.
    """
    fresh = path.with_name(path.name + ".new")
    try:
        with open(fresh, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)
    except OSError:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextlib.contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise UnavailableError(
                "disk.full",
                f"no space is left for {path}; nothing of this write was kept",
                hint="free space (civicledger doctor shows the folders) and try again",
            ) from error
        raise FatalError(
            "log.failed", f"{path} cannot be written: {error}", hint="check the disk, then start the node again"
        ) from error


def _read_note(file: Path) -> bytes | None:
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FatalError("log.failed", f"{file} cannot be read: {error}", hint="check the disk") from error
    if len(data) > _MAX_NOTE:
        raise FatalError(
            "log.damaged-note", f"{file} is too large to be a signed note", hint="run civicledger log fsck"
        )
    return data


def _parse_head(file: Path, note: bytes) -> Checkpoint:
    try:
        return parse_checkpoint(parse_note(note).text)
    except LedgerError as error:
        raise FatalError(
            "log.damaged-note",
            f"{file} is not a signed checkpoint: {error.message}",
            hint="compare with the witnesses' copy (their add-checkpoint state) before anything is signed",
        ) from error


def _unguarded() -> UnavailableError:
    return UnavailableError(
        "log.unguarded",
        "this log was not yet compared with what its witnesses and the chain saw of it",
        hint="wait until enough other members' nodes answer; civicledger doctor lists who does not",
    )
