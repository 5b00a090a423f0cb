"""What a follower makes of a checkpoint before it looks at a single tile: whose key, which size, which history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from ledger.errors import InvalidInputError, LedgerError, NotFoundError, UntrustedError
from ledger.evidence.checkpoint import (
    ED25519_NOTE,
    Checkpoint,
    Note,
    VKey,
    parse_checkpoint,
    parse_note,
    verify_log_signature,
)
from ledger.evidence.fork import ForkEvidence
from ledger.evidence.tiles import Tile
from ledger.evidence.tiletree import VerifiedTiles
from ledger.model import KeyRole, MemberInfo
from node.trail.witnessing import count_cosignatures

if TYPE_CHECKING:
    from node.chain.roster import Roster

logger = structlog.get_logger("node.mirror")

#: Kinds of alarms: stable codes, ``docs/operations.md``.
FORKED = "log.forked"
SHORTENED = "log.shortened"
REWRITTEN = "log.rewritten"
WITHHELD = "log.withheld"
KEY_CHANGED = "log.key-changed"
CERTIFICATE_CHANGED = "tls.key-changed"


class Contradiction(Exception):  # noqa: N818 - it is what was seen, raised to end the look at once
    """Something about a member's log that must not be: becomes an alarm."""

    def __init__(self, kind: str, detail: str, evidence: ForkEvidence | None = None) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.evidence = evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenHead:
    """A checkpoint as served: signed by a key of the log. ``witnessed``: a quorum of other members cosigned it."""

    note: bytes
    checkpoint: Checkpoint
    witnessed: bool


def judge_note(data: bytes, roster: Callable[[], Roster], info: MemberInfo, *, settle: Callable[[], bool]) -> SeenHead:
    """The head of a served note.

    A key this node's view of the chain does not know may be a rotation that is on chain and not here yet: ``settle``
    waits for a newer view and says False when it has waited long enough.

    Raises: Contradiction(log.key-changed), InvalidInputError(note.* | checkpoint.* | mirror.other-origin).
    """
    note = parse_note(data)
    checkpoint = parse_checkpoint(note.text)
    if checkpoint.origin != info.origin:
        raise InvalidInputError(
            "mirror.other-origin",
            f"the node of {info.uscc} serves another log than the chain says",
            hint="after a vote to retire a log its node takes up the next one; until then there is nothing new",
            expected=info.origin,
            actual=checkpoint.origin,
        )
    while True:
        now = roster()
        witnessed = len(count_cosignatures(note, now, info.uscc)) >= now.quorum
        problem = _signed(note, now, info, witnessed=witnessed)
        if problem is None:
            return SeenHead(note=data, checkpoint=checkpoint, witnessed=witnessed)
        if not settle():
            raise Contradiction(KEY_CHANGED, f"the checkpoint of {checkpoint.size} entries {problem}")


def log_vkeys(roster: Roster, info: MemberInfo) -> tuple[VKey, ...]:
    """Every key this log ever had on chain."""
    return tuple(
        VKey(name=info.origin, type=ED25519_NOTE, public=key.material)
        for key in roster.keys.values()
        if key.member == info.uscc and key.role is KeyRole.LOG
    )


def _signed(note: Note, roster: Roster, info: MemberInfo, *, witnessed: bool) -> str | None:
    """None when a key of the log signed the note; else what is wrong with its signature, in words."""
    for known in roster.keys.values():
        if known.member != info.uscc or known.role is not KeyRole.LOG:
            continue
        key = VKey(name=info.origin, type=ED25519_NOTE, public=known.material)
        if not any((item.name, item.key_id) == (key.name, key.key_id) for item in note.signatures):
            continue
        try:
            verify_log_signature(note, key)
        except UntrustedError as error:
            return f"carries a signature that does not verify: {error.message}"
        # What was signed before a rotation is as good as ever, and witnesses cosign active keys only.
        if known.status == "active" or (known.status == "retired" and witnessed):
            return None
        return f"is signed by a key that is {known.status} on chain ({key.key_id.hex()})"
    found = ", ".join(item.key_id.hex() for item in note.signatures if item.name == info.origin) or "none"
    return f"is signed by no key of this log on chain (key ids found: {found})"


def compare(seen: SeenHead, known: bytes, kept: Callable[[Tile], bytes], keys: tuple[VKey, ...]) -> None:
    """Compare a served head that is not larger with one this node kept, by the tiles that are kept here.

    Raises: Contradiction(log.forked | log.shortened).
    """
    held = parse_checkpoint(parse_note(known).text)
    if held.origin != seen.checkpoint.origin or seen.checkpoint.size > held.size:
        return
    if seen.checkpoint.size == held.size:
        if seen.checkpoint.root != held.root:
            raise Contradiction(
                FORKED,
                f"two signed roots for {held.size} entries: {held.root.hex()} before, {seen.checkpoint.root.hex()} now",
                evidence(seen.note, known, keys),
            )
        return
    here = VerifiedTiles(kept)
    try:
        if here.root(held, seen.checkpoint.size) != seen.checkpoint.root:
            raise Contradiction(
                FORKED,
                f"the signed head of {seen.checkpoint.size} entries is not the beginning of the one of {held.size}",
                evidence(seen.note, known, keys, here.consistency_path(held, seen.checkpoint.size)),
            )
    except NotFoundError:
        # The larger head is not wholly here yet: only the sizes can be compared.
        logger.info("mirror.partial", size=held.size)
    raise Contradiction(
        SHORTENED,
        f"its node serves a head of {seen.checkpoint.size} entries; one of {held.size} was seen before",
    )


def evidence(one: bytes, other: bytes, keys: tuple[VKey, ...], path: tuple[bytes, ...] = ()) -> ForkEvidence | None:
    """The proof for strangers; None when the pair does not make one (a key the chain does not know)."""
    try:
        return ForkEvidence.make(one, other, keys, path)
    except LedgerError:
        return None
