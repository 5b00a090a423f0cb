"""What a log is held against before it is written: heads that others saw of it, and those that it signed itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ledger.errors import ConflictError, FatalError, InvalidInputError, UnavailableError
from ledger.log.files import CHECKPOINT_FILE, SIGNED_FILE, parse_head, read_note

if TYPE_CHECKING:
    from ledger.evidence.checkpoint import Checkpoint

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


def unguarded() -> UnavailableError:
    """Why a log that was just opened takes nothing."""
    return UnavailableError(
        "log.unguarded",
        "this log was not yet compared with what its witnesses and the chain saw of it",
        hint="wait until enough other members' nodes answer; civicledger doctor lists who does not",
    )
