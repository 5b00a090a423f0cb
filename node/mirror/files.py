"""One mirrored log on disk: flat append-only files like a log's own, without its engine.

``level-<L>.dat`` holds the hashes of tile level L, ``entries.dat`` and ``entries.idx`` the entries where they may be
read, ``state.json`` how far all of them are durable, ``checkpoint`` the newest head that is wholly here, ``pending``
the head under which what lies beyond it was verified. Nothing written is ever changed; what a crash left behind the
durable size is cut at the next start. ``before``: the newest head of a mirror that was damaged and begun anew, until
this one has come to it.
"""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from typing import Final

import msgspec

from ledger.errors import FatalError, LedgerError, NotFoundError, UnavailableError, UntrustedError
from ledger.evidence import merkle
from ledger.evidence.checkpoint import Checkpoint
from ledger.evidence.tiles import MAX_LEVEL, TILE_WIDTH, Tile, bundle_end
from ledger.evidence.tiletree import HASH, edge_root, edge_widths
from ledger.log.files import CHECKPOINT_FILE, disk_errors, parse_head, read_note, replace_file

PENDING_FILE: Final = "pending"
BEFORE_FILE: Final = "before"
STATE_FILE: Final = "state.json"
_ENTRIES: Final = "entries.dat"
_INDEX: Final = "entries.idx"
#: What the folder of a damaged mirror is called, behind its name, once another one has taken its place.
ASIDE: Final = ".damaged"
DAMAGED: Final = "mirror.damaged"
#: Refused notes kept of one log.
_MAX_REFUSED: Final = 64
_FULL: Final = TILE_WIDTH * HASH


class _State(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far the files are durable: hashes of ``size`` leaves, ``entries`` entries in ``bytes`` bytes."""

    v: int
    member: str
    origin: str
    size: int
    entries: int
    bytes: int


class MirrorFiles:
    """The files of one mirrored log. One writer; readers at any time up to what was committed."""

    def __init__(self, folder: Path, member: str, origin: str) -> None:
        self.folder = folder
        self.member = member
        self.origin = origin
        self.size = 0
        self.entries = 0
        self._bytes = 0
        self._lock = threading.Lock()
        self._files: dict[str, int] = {}
        self.note: bytes | None = None
        self.head: Checkpoint | None = None
        #: The head under which hashes beyond ``head`` were verified; None when there are none.
        self.pending: bytes | None = None
        #: The newest head of the mirror that was here before this one was begun anew.
        self.before: bytes | None = None

    @property
    def entry_bytes(self) -> int:
        """Bytes of the entries that are here."""
        return self._bytes

    @classmethod
    def open(cls, folder: Path, member: str, origin: str) -> MirrorFiles:
        """Create or recover.

        Raises: FatalError(mirror.damaged), UnavailableError(disk.full).
        """
        made = cls(folder, member, origin)
        with disk_errors(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                made._recover()
            except LedgerError:
                made.close()
                raise
        return made

    def close(self) -> None:
        """Close the files."""
        with self._lock:
            for file in self._files.values():
                os.close(file)
            self._files.clear()

    # --- writing ------------------------------------------------------------------------------------------------------

    def append_hashes(self, leaves: bytes) -> None:
        """Leaf hashes that follow those here, verified by the caller; durable with :meth:`commit`."""
        fresh = leaves
        with disk_errors(self.folder):
            for level in range(MAX_LEVEL + 1):
                if not fresh:
                    break
                there = self.size >> (8 * level)
                file = self._file(f"level-{level}.dat")
                _write(file, fresh, there * HASH)
                # Only a full tile is hashed upward: those that became full with what was just written.
                first, end = there // TILE_WIDTH, (there + len(fresh) // HASH) // TILE_WIDTH
                fresh = merkle.tile_roots(_read(file, first * _FULL, (end - first) * _FULL)) if end > first else b""
        self.size += len(leaves) // HASH

    def append_entries(self, bundle: bytes, count: int) -> None:
        """``count`` entries with their lengths, following those here; durable with :meth:`commit`."""
        offsets = bytearray()
        at = 0
        for number in range(self.entries, self.entries + count):
            if number % TILE_WIDTH == 0:
                offsets += (self._bytes + at).to_bytes(8, "little")
            at += 2 + int.from_bytes(bundle[at : at + 2], "big")
        with disk_errors(self.folder):
            _write(self._file(_ENTRIES), bundle, self._bytes)
            _write(self._file(_INDEX), bytes(offsets), -(-self.entries // TILE_WIDTH) * 8)
        # A reader that sees the new count finds the bytes of it.
        self._bytes += len(bundle)
        self.entries += count

    def commit(self, under: bytes | None = None) -> None:
        """Make what was appended durable. ``under``: the note under which it was verified, kept while its head is not
        wholly here."""
        with disk_errors(self.folder):
            if under is not None and under != self.pending:
                replace_file(self.folder / PENDING_FILE, under)
                self.pending = under
            for file in tuple(self._files.values()):
                os.fdatasync(file)
            state = _State(
                v=1, member=self.member, origin=self.origin, size=self.size, entries=self.entries, bytes=self._bytes
            )
            replace_file(self.folder / STATE_FILE, msgspec.json.encode(state) + b"\n")

    def complete(self, note: bytes, head: Checkpoint) -> None:
        """All hashes of this head are here: serve it from now on."""
        with disk_errors(self.folder):
            replace_file(self.folder / CHECKPOINT_FILE, note)
            self.note, self.head = note, head
            if self.pending is not None:
                (self.folder / PENDING_FILE).unlink(missing_ok=True)
                self.pending = None

    def forget_before(self) -> None:
        """This mirror has come to what the one before it had seen."""
        with disk_errors(self.folder):
            (self.folder / BEFORE_FILE).unlink(missing_ok=True)
        self.before = None

    def keep_refused(self, note: bytes) -> None:
        """Keep a served note that contradicts what is here, as it came: it may be all there is to show."""
        folder = self.folder / "refused"
        file = folder / f"{hashlib.sha256(note).hexdigest()}.note"
        with disk_errors(self.folder):
            folder.mkdir(mode=0o700, exist_ok=True)
            if note and not file.exists() and sum(1 for _ in folder.iterdir()) < _MAX_REFUSED:
                replace_file(file, note)

    # --- reading ------------------------------------------------------------------------------------------------------

    def hash_tile(self, level: int, index: int, width: int) -> bytes:
        """``width`` hashes of a tile. Raises: NotFoundError(tile.absent)."""
        if not 0 <= level <= MAX_LEVEL or index * TILE_WIDTH + width > self.size >> (8 * level):
            raise _absent()
        return self._read(f"level-{level}.dat", index * _FULL, width * HASH)

    def entry_tile(self, index: int, width: int) -> bytes:
        """``width`` entries of a bundle with their lengths. Raises: NotFoundError(tile.absent)."""
        if index * TILE_WIDTH + width > self.entries:
            raise _absent()
        start = self._offset(index)
        end = self._offset(index + 1) if (index + 1) * TILE_WIDTH < self.entries else self._bytes
        if not start <= end <= self._bytes:
            raise damaged(self.folder / _INDEX, f"the place of bundle {index} is impossible")
        data = self._read(_ENTRIES, start, end - start)
        at = bundle_end(data, width)
        if at > len(data):
            raise damaged(self.folder / _ENTRIES, "an entry ends beyond its bundle")
        return data[:at]

    def tile(self, tile: Tile) -> bytes:
        """The bytes of a tile or bundle. Raises: NotFoundError(tile.absent)."""
        if tile.level is None:
            return self.entry_tile(tile.index, tile.width)
        return self.hash_tile(tile.level, tile.index, tile.width)

    def root(self, size: int) -> bytes:
        """The root of the first ``size`` leaves. Raises: NotFoundError(tile.absent)."""
        edge = {
            level: self.hash_tile(level, (size >> (8 * level)) // TILE_WIDTH, width)
            for level, width in edge_widths(size)
        }
        return edge_root(size, edge)

    def check(self, tile: Tile, data: bytes) -> None:
        """Whether what was read of a tile here is what was verified when it was written: before a log is blamed.

        Raises: FatalError(mirror.damaged).
        """
        if tile.level is None:
            try:
                good = merkle.bundle_leaves(data, tile.width) == self.hash_tile(0, tile.index, tile.width)
            except UntrustedError:
                good = False
        elif tile.width == TILE_WIDTH and tile.level < MAX_LEVEL:
            above = self.hash_tile(tile.level + 1, tile.index // TILE_WIDTH, tile.index % TILE_WIDTH + 1)
            good = merkle.tile_roots(data) == above[-HASH:]
        else:
            good = self.whole()
        if not good:
            raise damaged(self.folder, f"{tile.path} is not what was verified when it was kept")

    def whole(self) -> bool:
        """Whether the tiles at the edge still make the root of the newest whole head."""
        return self.head is None or self.root(self.head.size) == self.head.root

    # --- inside -------------------------------------------------------------------------------------------------------

    def _recover(self) -> None:
        state = self._state()
        if state is not None:
            self.size, self.entries, self._bytes = state.size, state.entries, state.bytes
        for level in range(MAX_LEVEL + 1):
            self._cut(f"level-{level}.dat", (self.size >> (8 * level)) * HASH)
        self._cut(_ENTRIES, self._bytes)
        self._cut(_INDEX, -(-self.entries // TILE_WIDTH) * 8)
        self.note = read_note(self.folder / CHECKPOINT_FILE)
        self.pending = read_note(self.folder / PENDING_FILE)
        self.before = read_note(self.folder / BEFORE_FILE)
        if self.note is not None:
            self.head = parse_head(self.folder / CHECKPOINT_FILE, self.note)
            if self.head.size > self.size or self.root(self.head.size) != self.head.root:
                raise damaged(self.folder, f"the files do not hold the checkpoint of {self.head.size} entries")

    def _state(self) -> _State | None:
        file = self.folder / STATE_FILE
        try:
            data = file.read_bytes()
        except FileNotFoundError:
            return None
        try:
            state = msgspec.json.decode(data, type=_State)
        except msgspec.MsgspecError as error:
            raise damaged(file, str(error)) from error
        if (
            state.v != 1
            or (state.member, state.origin) != (self.member, self.origin)
            or min(state.size, state.entries, state.bytes, state.size - state.entries) < 0
        ):
            raise damaged(file, "it is of another log or version")
        return state

    def _cut(self, name: str, length: int) -> None:
        file = self.folder / name
        there = file.stat().st_size if file.exists() else 0
        if there < length:
            raise damaged(file, f"{there} bytes instead of {length}")
        if there > length:
            os.truncate(file, length)

    def _offset(self, bundle: int) -> int:
        return int.from_bytes(self._read(_INDEX, bundle * 8, 8), "little")

    def _read(self, name: str, start: int, length: int) -> bytes:
        with disk_errors(self.folder):
            data = _read(self._file(name), start, length)
        if len(data) != length:
            raise damaged(self.folder / name, f"it ends before byte {start + length}")
        return data

    def _file(self, name: str) -> int:
        with self._lock:
            if name not in self._files:
                self._files[name] = os.open(self.folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            return self._files[name]


def begin_anew(folder: Path) -> Path:
    """Put a damaged mirror aside, whole, and begin another one that knows the newest head it had; where it is now.

    Raises: UnavailableError(mirror.damaged-again), one is there already; FatalError(log.failed), UnavailableError.
    """
    aside = folder.with_name(folder.name + ASIDE)
    if aside.exists():
        raise UnavailableError(
            "mirror.damaged-again",
            f"{folder} is damaged, and so is what was put aside before as {aside.name}",
            hint="look at the disk; remove the older folder, and the mirror begins anew",
        )
    newest = _newest_head(folder)
    with disk_errors(folder):
        folder.rename(aside)
        folder.mkdir(mode=0o700)
        if newest is not None:
            replace_file(folder / BEFORE_FILE, newest)
    return aside


def _newest_head(folder: Path) -> bytes | None:
    found: list[tuple[int, bytes]] = []
    for name in (BEFORE_FILE, PENDING_FILE, CHECKPOINT_FILE):
        try:
            note = read_note(folder / name)
            if note is not None:
                found.append((parse_head(folder / name, note).size, note))
        except LedgerError:
            continue  # as damaged as the rest
    return max(found, default=(0, None))[1]


def _read(file: int, start: int, length: int) -> bytes:
    parts: list[bytes] = []
    while length > 0 and (part := os.pread(file, length, start)):
        parts.append(part)
        start, length = start + len(part), length - len(part)
    return b"".join(parts)


def _write(file: int, data: bytes, start: int) -> None:
    view = memoryview(data)
    while view:
        done = os.pwrite(file, view, start)
        view, start = view[done:], start + done


def _absent() -> NotFoundError:
    return NotFoundError("tile.absent", "the mirror of this log does not reach that tile", hint="try again later")


def damaged(file: Path, detail: str) -> FatalError:
    """The refusal of files that are not what was written."""
    return FatalError(
        "mirror.damaged",
        f"{file}: {detail}",
        hint="the node puts the folder aside and begins the mirror anew; look at the disk",
    )
