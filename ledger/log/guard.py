"""What a log is held against before it is written: heads that others saw of it, and those that it signed itself."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from ledger.errors import ConflictError, FatalError, InvalidInputError, UnavailableError
from ledger.log.files import CHECKPOINT_FILE, CONTRARY_FILE, SIGNED_FILE, disk_errors, parse_head, read_note

if TYPE_CHECKING:
    from ledger.evidence.checkpoint import Checkpoint

#: Contrary heads kept; one is enough to close a log.
MAX_CONTRARY = 16
_MAX_CONTRARY_BYTES = 2 << 20
_KEEP = "run civicledger log fsck; do not append: keep the folder as evidence"


class Held(Protocol):
    """The records that a log holds."""

    def size(self) -> int:
        """How many."""

    def root(self, size: int) -> bytes:
        """The RFC 6962 root of the first ``size``."""


def compare(engine: Held, origin: str, head: Checkpoint) -> None:
    """Whether a log holds what a head is over.

    Raises:
        ConflictError: ``log.behind``, the head is larger than the log; ``log.forked``, it has another root.
        InvalidInputError: ``log.other-origin``.
    """
    if head.origin != origin:
        raise InvalidInputError("log.other-origin", "this head is of another log", expected=origin, actual=head.origin)
    size = engine.size()
    if head.size > size:
        raise ConflictError(
            "log.behind",
            f"this log has {size} records, but a head of {head.size} was seen: it was restored from an older copy",
            hint="stop the node and bring the rest back: civicledger log restore BACKUP, or --from-peers",
            expected=head.size,
            actual=size,
        )
    root = engine.root(head.size)
    if root != head.root:
        raise ConflictError(
            "log.forked",
            f"the first {head.size} records have another root than the one that was seen",
            hint=_KEEP,
            expected=head.root,
            actual=root,
        )


def signed_heads(folder: Path, origin: str) -> list[tuple[Checkpoint, bytes]]:
    """The heads in the files ``signed`` and ``checkpoint`` with their notes, the largest first.

    Raises: ConflictError(log.other-origin), FatalError(log.forked | log.damaged-note | log.failed).
    """
    found: list[tuple[Checkpoint, bytes]] = []
    for file in (folder / SIGNED_FILE, folder / CHECKPOINT_FILE):
        note = read_note(file)
        if note is None:
            continue
        head = parse_head(file, note)
        if head.origin != origin:
            raise ConflictError(
                "log.other-origin",
                f"{file} is of another log",
                hint="check the node's region, handle and log generation against the folder",
                expected=origin,
                actual=head.origin,
            )
        if found and head.size == found[0][0].size and head.root != found[0][0].root:
            raise FatalError(
                "log.forked",
                f"{folder / SIGNED_FILE} and {file} disagree about size {head.size}",
                hint=_KEEP,
            )
        # Of one head the served note comes first: it is the one with cosignatures.
        found.insert(0 if not found or head.size >= found[0][0].size else 1, (head, note))
    return found


class Contrary:
    """Heads that were seen and that a log does not hold. Those with a note, whose signature was checked, are on disk
    while they last. Not thread-safe: the log's lock is held."""

    __slots__ = ("_folder", "_heads", "_kept")

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._heads: dict[Checkpoint, bytes | None] = {}
        self._kept: frozenset[Checkpoint] = frozenset()

    @property
    def heads(self) -> tuple[Checkpoint, ...]:
        """All of them."""
        return tuple(self._heads)

    def recall(self, origin: str) -> None:
        """Those that were kept. Raises as :func:`contrary_heads`."""
        self._heads.update(contrary_heads(self._folder, origin))
        self._kept = frozenset(self._heads)

    def add(self, head: Checkpoint, note: bytes | None) -> None:
        """One more, with its note where it is known."""
        if self._heads.get(head) is None:
            self._heads[head] = note

    def keep(self, replace: Callable[[str, bytes], None]) -> None:
        """Keep what is new; ``replace`` puts a file of the log in place, durably."""
        noted = {head: note for head, note in self._heads.items() if note is not None}
        if noted.keys() != self._kept:
            replace(CONTRARY_FILE, encode_contrary(noted.values()))
            self._kept = frozenset(noted)

    def forget(self) -> None:
        """The log holds all of them again. Raises: FatalError(log.failed)."""
        if self._kept:
            with disk_errors(self._folder):
                (self._folder / CONTRARY_FILE).unlink(missing_ok=True)
        self._heads.clear()
        self._kept = frozenset()


def contrary_heads(folder: Path, origin: str = "") -> dict[Checkpoint, bytes]:
    """The heads (of ``origin``, empty for any) kept because this log did not hold them, with their notes, whose
    signatures were checked then.

    Raises: FatalError(log.damaged-note | log.failed).
    """
    file = folder / CONTRARY_FILE
    with disk_errors(file):
        try:
            with file.open("rb") as stream:
                data = stream.read(_MAX_CONTRARY_BYTES + 1)
        except FileNotFoundError:
            return {}
    try:
        notes = [note.encode() for note in msgspec.json.decode(data, type=list[str])]
    except msgspec.MsgspecError as error:
        raise FatalError(
            "log.damaged-note",
            f"{file} does not decode: {error}",
            hint="move it away: the witnesses are asked again at the next start",
        ) from error
    found = {parse_head(file, note): note for note in notes}
    return {head: note for head, note in found.items() if origin in ("", head.origin)}


def encode_contrary(notes: Iterable[bytes]) -> bytes:
    """The bytes of the file that :func:`contrary_heads` reads."""
    return msgspec.json.encode([note.decode() for note in itertools.islice(notes, MAX_CONTRARY)]) + b"\n"


def unguarded() -> UnavailableError:
    """Why a log that was just opened takes nothing."""
    return UnavailableError(
        "log.unguarded",
        "this log was not yet compared with what its witnesses and the chain saw of it",
        hint="wait until enough other members' nodes answer; civicledger doctor lists who does not",
    )
