"""The members' logs, read from their nodes and verified before anything is said about them."""

from __future__ import annotations

import base64
import binascii
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.config import Peer
from gateway.upstream import Answer, NodeReader, Within
from gateway.views import ChainMember, LogKeys, LogView
from ledger.errors import InvalidInputError, LedgerError, NotFoundError, UnavailableError, UntrustedError
from ledger.evidence import merkle
from ledger.evidence.checkpoint import Checkpoint, WitnessedCheckpoint, format_proof, parse_note, verify_checkpoint
from ledger.evidence.tiles import TILE_WIDTH, Tile
from ledger.evidence.tiletree import VerifiedTiles

#: Unix milliseconds.
Clock = Callable[[], int]
#: A checkpoint fetched this recently is not fetched again.
FRESH_MS = 500
MAX_PROOF_HASHES = 63


@dataclass(frozen=True, slots=True, kw_only=True)
class InclusionAnswer:
    """A checked inclusion proof. ``tlog_proof``: the receipt as text, "" where the size is not the checkpoint's."""

    index: int
    size: int
    hashes: tuple[bytes, ...]
    tlog_proof: str


class _Refusal(msgspec.Struct, frozen=True):
    code: str = "node.refused"
    message: str = ""
    hint: str = ""


class _Hashes(msgspec.Struct, frozen=True):
    hashes: list[str]


class MemberLog:
    """One member's log. Every checkpoint handed out was signed by the log's key, cosigned by the quorum of the other
    active members, agrees with the anchor on chain, and extends the one handed out before. Thread-safe."""

    def __init__(self, reader: NodeReader, clock: Clock) -> None:
        self._reader = reader
        self._clock = clock
        self._lock = threading.Lock()
        self._tiles = VerifiedTiles(self._fetch_tile)
        self._note = b""
        self._known: WitnessedCheckpoint | None = None
        self._asked_ms = -FRESH_MS
        self._reachable = False
        self._problem: LedgerError | None = None

    @property
    def peer(self) -> Peer:
        """Where it is read from."""
        return self._reader.peer

    def close(self) -> None:
        """Drop the connections."""
        self._reader.close()

    def refresh(self, member: ChainMember) -> LogView:
        """Ask the node and say what is known now; a problem is part of the answer."""
        with self._lock:
            self._refresh(member)
            return self._view()

    def checkpoint(self, member: ChainMember) -> tuple[bytes, Checkpoint]:
        """(note, head) of the newest verified checkpoint, at most half a second old where the node answers.

        Raises:
            UnavailableError, UntrustedError, NotFoundError: why there is none: ``checkpoint.*``, ``anchor.*``,
                ``node.*``.
        """
        with self._lock:
            self._refresh(member)
            if self._known is None:
                raise self._problem or NotFoundError("checkpoint.none", "this log has published no checkpoint yet")
            if isinstance(self._problem, UntrustedError):
                # Something signed contradicts what was shown before: nothing of this log is shown as good.
                raise self._problem
            return self._note, self._known.checkpoint

    def tile(self, member: ChainMember, tile: Tile) -> bytes:
        """The hashes of a tile, checked against the newest checkpoint.

        Raises:
            NotFoundError: ``tile.entries``, entries are not public; ``tile.absent``.
            UntrustedError: ``tile.mismatch``; and as :meth:`checkpoint`.
        """
        if tile.level is None:
            raise NotFoundError(
                "tile.entries",
                "entries of a department's log are not public",
                hint="auditors read them from the department's node; hash tiles and proofs are public",
            )
        if not 1 <= tile.width <= TILE_WIDTH:
            raise InvalidInputError("tile.width", f"a tile has 1 to {TILE_WIDTH} hashes", actual=tile.width)
        _, head = self.checkpoint(member)
        return self._tiles.tile(head, tile.level, tile.index, tile.width)

    def inclusion(self, member: ChainMember, index: int, size: int | None) -> InclusionAnswer:
        """The inclusion proof of an entry in the tree of ``size`` (None: the newest checkpoint's), checked.

        Raises:
            InvalidInputError: ``proof.range``; UntrustedError: ``inclusion.*``; and as :meth:`checkpoint`.
        """
        note, head = self.checkpoint(member)
        size = head.size if size is None else size
        if not 0 <= index < size:
            raise InvalidInputError(
                "proof.range", "the index is not below the tree's size", expected=size, actual=index
            )
        root = self._tiles.root(head, size)
        leaf = self._tiles.leaf(head, index)
        hashes = self._fetch_hashes(f"/v1/proof/inclusion?index={index}&size={size}")
        merkle.verify_inclusion(leaf, index, size, root, hashes)
        text = format_proof(index, hashes, note) if size == head.size else ""
        return InclusionAnswer(index=index, size=size, hashes=hashes, tlog_proof=text)

    def consistency(self, member: ChainMember, size1: int, size2: int) -> tuple[bytes, ...]:
        """The consistency proof between two sizes, checked against the newest checkpoint.

        Raises:
            InvalidInputError: ``proof.range``; UntrustedError: ``consistency.*``; and as :meth:`checkpoint`.
        """
        _, head = self.checkpoint(member)
        if not 0 < size1 <= size2:
            raise InvalidInputError("proof.range", "sizes are 0 < size1 <= size2", expected=size2, actual=size1)
        root2 = self._tiles.root(head, size2)
        root1 = self._tiles.root(head, size1)
        hashes = self._fetch_hashes(f"/v1/proof/consistency?size1={size1}&size2={size2}")
        merkle.verify_consistency(size1, size2, root1, root2, hashes)
        return hashes

    def ask(self, member: ChainMember, path: str, headers: Mapping[str, str] | None = None) -> bytes:
        """The body of the node's answer at a public path. What it says proves itself, or must not be believed.

        Raises: NotFoundError, UnavailableError: what the node refused with; ``node.*``.
        """
        self._check_certificate(member)
        return self._get(path, headers).body

    def post(self, member: ChainMember, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
        """The body of the node's answer to what is sent to a public path. Raises: as :meth:`ask`."""
        self._check_certificate(member)
        return _answered(self._reader.post(path, body, headers)).body

    def send(self, member: ChainMember, path: str, body: bytes, within: Within) -> Answer:
        """The node's answer, whatever its status, to what is sent to a path. Raises: UnavailableError(node.*)."""
        self._check_certificate(member)
        return self._reader.post(path, body, None, within)

    def status(self) -> dict[str, Any]:
        """What the node says about itself: believed no further than it is told by the home node."""
        answer = self._get("/v1/status")
        try:
            value = msgspec.json.decode(answer.body)
        except msgspec.MsgspecError as error:
            raise _odd("status") from error
        if not isinstance(value, dict):
            raise _odd("status")
        return value

    # --- inside -------------------------------------------------------------------------------------------------------

    def _view(self) -> LogView:
        known = self._known
        return LogView(
            reachable=self._reachable,
            size=known.checkpoint.size if known else 0,
            cosignatures=len(known.cosignatures) if known else 0,
            cosigned_at=max((item.time for item in known.cosignatures), default=0) if known else 0,
            problem=self._problem,
        )

    def _refresh(self, member: ChainMember) -> None:
        now = self._clock()
        if now - self._asked_ms < FRESH_MS:
            return
        self._asked_ms = now
        try:
            self._check_certificate(member)
            note = self._get("/checkpoint").body
            self._reachable = True
            if self._known is None or note != self._note:
                known = check_checkpoint(note, member.keys)
                if self._known is not None and self._known.checkpoint.origin != known.checkpoint.origin:
                    # A new generation of the log: other entries, other tiles.
                    self._tiles, self._known = VerifiedTiles(self._fetch_tile), None
                self._check_against_anchor(known.checkpoint, member)
                self._check_extends(known.checkpoint)
                self._note, self._known = note, known
            else:
                self._check_against_anchor(self._known.checkpoint, member)
            self._problem = None
        except LedgerError as error:
            self._reachable = self._reachable and error.code != "node.unreachable"
            if isinstance(error, UntrustedError):
                # What was fetched to judge a head that failed must not be believed for the next one.
                self._tiles = VerifiedTiles(self._fetch_tile)
            if error.code == "checkpoint.quorum" and self._known is not None:
                # The newest one still gathers cosignatures; the one before is complete and stays shown.
                self._problem = None
                return
            self._problem = error

    def _check_certificate(self, member: ChainMember) -> None:
        if self._reader.spki not in member.keys.tls:
            raise UntrustedError(
                "node.certificate",
                "the certificate in peers.json is not the member's active tls key on chain",
                hint="copy peers.json again from any node of the city",
                actual=self._reader.spki,
            )

    def _check_against_anchor(self, head: Checkpoint, member: ChainMember) -> None:
        anchor = member.anchor
        if anchor is None or anchor.generation != member.info.generation:
            return
        if anchor.size > head.size:
            raise UnavailableError(
                "checkpoint.older",
                "the node serves a checkpoint from before the log's anchor on chain",
                hint="its operator sees the cause with civicledger doctor",
                expected=anchor.size,
                actual=head.size,
            )
        root = self._tiles.root(head, anchor.size)
        if root != anchor.root:
            raise UntrustedError(
                "anchor.root",
                "the log's signed checkpoint contradicts its anchor on chain",
                hint="this is evidence of a rewritten log: keep the checkpoint and tell the supervisor",
                expected=anchor.root,
                actual=root,
            )

    def _check_extends(self, head: Checkpoint) -> None:
        before = self._known.checkpoint if self._known else None
        if before is None or before.origin != head.origin:
            return
        if head.size < before.size:
            raise UnavailableError(
                "checkpoint.older",
                "the node serves an older checkpoint than before",
                expected=before.size,
                actual=head.size,
            )
        root = self._tiles.root(head, before.size)
        if root != before.root:
            raise UntrustedError(
                "checkpoint.forked",
                "the log's new checkpoint contradicts the one it signed before",
                hint="this is evidence of a rewritten log: keep both checkpoints and tell the supervisor",
                expected=before.root,
                actual=root,
            )

    def _fetch_tile(self, tile: Tile) -> bytes:
        return self._get("/" + tile.path).body

    def _fetch_hashes(self, path: str) -> tuple[bytes, ...]:
        try:
            rows = msgspec.json.decode(self._get(path).body, type=_Hashes).hashes
            hashes = tuple(base64.b64decode(row, validate=True) for row in rows)
        except (msgspec.MsgspecError, binascii.Error) as error:
            raise _odd("proof") from error
        if len(hashes) > MAX_PROOF_HASHES or any(len(item) != 32 for item in hashes):
            raise _odd("proof")
        return hashes

    def _get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        return _answered(self._reader.get(path) if headers is None else self._reader.get(path, headers))


def _answered(answer: Answer) -> Answer:
    """An answer that is no refusal. Raises: NotFoundError, UnavailableError: what the node refused with."""
    if answer.status == 200:
        return answer
    try:
        refusal = msgspec.json.decode(answer.body, type=_Refusal)
    except msgspec.MsgspecError:
        refusal = _Refusal(message=f"status {answer.status}")
    kind = NotFoundError if answer.status == 404 else UnavailableError
    raise kind(refusal.code[:64], f"the member's node answered: {refusal.message[:200]}", hint=refusal.hint[:200])


def check_checkpoint(note: bytes, keys: LogKeys) -> WitnessedCheckpoint:
    """A checkpoint verified under whichever of the log's keys signed it.

    Raises:
        UntrustedError: ``checkpoint.*``; InvalidInputError where it is no signed note.
    """
    parsed = parse_note(note)
    signers = {(item.name, item.key_id) for item in parsed.signatures}
    if not keys.log:
        raise UntrustedError("checkpoint.log-signature", "the chain knows no log key of this member")
    key = next((key for key in keys.log if (key.name, key.key_id) in signers), keys.log[-1])
    return verify_checkpoint(parsed, key, keys.witnesses, keys.quorum)


def _odd(what: str) -> UntrustedError:
    return UntrustedError("node.answer", f"the member's node answered with something that is no {what}")
