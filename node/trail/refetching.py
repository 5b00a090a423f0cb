"""Bringing a lost or restored log up to what others saw of it, from the members that mirror it.

The node is stopped: its folder is opened here, passively, for its view of the chain, its keys and its log. Witnesses
and the chain say how far the log had got; every entry that comes is proven by a head that this log signed.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ledger.errors import FatalError, LedgerError, NotFoundError, UnavailableError
from ledger.evidence.checkpoint import Checkpoint, parse_checkpoint, parse_note, verify_log_signature
from ledger.evidence.tiles import MAX_BUNDLE_BYTES, Tile
from ledger.log.refill import refill
from ledger.model import KeyRole
from node.core import NodeCore
from node.identity.keyfiles import key_file
from node.identity.peers import Peer
from node.identity.pinned import PinnedClient
from node.trail.anchoring import anchored_checkpoint
from node.trail.feeding import witness_view
from node.trail.witnessing import log_keys

if TYPE_CHECKING:
    from ledger.log import DepartmentLog

_MAX_NOTE = 65_536

#: Told of the member whose mirror is read, entries fetched, entries to fetch.
Told = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a member answered. ``seen``: size its witness saw; ``mirrored``: size its mirror holds; 0 for nothing."""

    member: str
    seen: int = 0
    mirrored: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refetched:
    """What came back. ``wanted``: the largest size anybody saw signed; ``size``: what the log holds now."""

    origin: str
    before: int
    size: int
    wanted: int
    asked: tuple[Asked, ...]

    @property
    def missing(self) -> int:
        """Records that were signed and are nowhere."""
        return max(0, self.wanted - self.size)


def refetch(core: NodeCore, told: Told) -> Refetched:
    """Ask every other member, then take what is missing from those that mirror this log, the longest first.

    Raises:
        ConflictError: ``log.forked``, the entries here are not those that were signed.
        UnavailableError: ``restore.no-answer``, nobody answered; ``disk.full``.
        FatalError: ``log.failed``.
    """
    with contextlib.ExitStack() as closing:
        return _refetch(core, told, closing)


def _refetch(core: NodeCore, told: Told, closing: contextlib.ExitStack) -> Refetched:
    log, before = core.log, core.log.size
    heads = [head for head in (log.signed, _anchored(core)) if head is not None]
    mirrors: list[tuple[Checkpoint, bytes, Mirror]] = []
    asked = []
    for info in core.rosters.current().others(core.member):
        answer, head, mirror = _ask(core, info.uscc)
        asked.append(answer)
        if head is not None:
            heads.append(head)
        if mirror is not None:
            closing.callback(mirror[2].close)
            mirrors.append(mirror)
            heads.append(mirror[0])
    if asked and all(item.problem and not item.mirrored for item in asked):
        raise UnavailableError(
            "restore.no-answer",
            "no other member's node said what it saw of this log: " + asked[0].problem,
            hint="start the other members' nodes; peers.json names their addresses",
        )
    problems = take_missing(log, mirrors, told)
    return Refetched(
        origin=log.origin,
        before=before,
        size=log.size,
        wanted=max((head.size for head in heads), default=0),
        asked=tuple(
            Asked(
                member=item.member,
                seen=item.seen,
                mirrored=item.mirrored,
                problem=problems.get(item.member, item.problem),
            )
            for item in asked
        ),
    )


class Mirror(Protocol):
    """A member's copy of a log."""

    @property
    def member(self) -> str:
        """Whose it is."""

    def bundle(self, tile: Tile) -> bytes:
        """An entry bundle."""

    def close(self) -> None:
        """Drop the connection."""


def take_missing(log: DepartmentLog, mirrors: Iterable[tuple[Checkpoint, bytes, Mirror]], told: Told) -> dict[str, str]:
    """Take what is missing from those mirrors (head, its note, whose signature was checked, and the mirror), the
    longest first; what was wrong with those that could not give it, by member.

    Raises: as :func:`refetch`.
    """
    problems: dict[str, str] = {}
    for head, note, mirror in sorted(mirrors, key=lambda item: -item[0].size):
        if head.size <= log.size:
            continue
        try:
            refill(log, head, mirror.bundle, lambda done, total, who=mirror.member: told(who, done, total))  # type: ignore[misc]
            log.adopt_signed(note)
        except FatalError:
            # Our own disk: no mirror is to blame, and no other one does better.
            raise
        except LedgerError as error:
            if error.code in ("log.forked", "log.open", "disk.full"):
                raise
            problems[mirror.member] = error.message
    return problems


class _Mirror:
    """A member's mirror of this log."""

    def __init__(self, core: NodeCore, peer: Peer) -> None:
        keys = core.keys
        own = (keys.certificate_file, key_file(keys.folder, KeyRole.TLS), keys.passphrase)
        self.member = peer.uscc
        self._client = PinnedClient(peer, float(core.config.log.witness_timeout), own)
        self._path = f"/mirror/{hashlib.sha256(core.log.origin.encode()).hexdigest()}/"

    def note(self) -> bytes | None:
        """Its newest checkpoint of this log; None when it mirrors nothing of it."""
        return self._get("checkpoint", _MAX_NOTE)

    def bundle(self, tile: Tile) -> bytes:
        """An entry bundle. Raises: NotFoundError(mirror.no-entries)."""
        data = self._get(tile.path, MAX_BUNDLE_BYTES)
        if data is None:
            raise NotFoundError(
                "mirror.no-entries",
                f"the mirror of {self.member} does not hand out {tile.path}",
                hint="a supervisor's or an auditor's mirror holds entries",
            )
        return data

    def close(self) -> None:
        """Drop the connection."""
        self._client.close()

    def _get(self, path: str, most: int) -> bytes | None:
        answer = self._client.read(self._path + path, most)
        if answer.status in (401, 403, 404):
            return None
        if answer.status != 200:
            raise UnavailableError("mirror.refused", f"the mirror of {self.member} answers HTTP {answer.status}")
        return answer.body


def _ask(core: NodeCore, uscc: str) -> tuple[Asked, Checkpoint | None, tuple[Checkpoint, bytes, _Mirror] | None]:
    """What a member's witness saw, and the signed head of its mirror."""
    roster = core.rosters.current()
    seen: Checkpoint | None = None
    problem = ""
    try:
        peer = core.peers.require(uscc)
        seen = witness_view(peer, core.log.origin, roster, float(core.config.log.witness_timeout))
    except LedgerError as error:
        return Asked(member=uscc, problem=error.message), None, None
    mirror = _Mirror(core, peer)
    try:
        note = mirror.note()
        head = None if note is None else _own_head(core, note)
    except LedgerError as error:
        head, note, problem = None, None, error.message
    answer = Asked(member=uscc, seen=seen.size if seen else 0, mirrored=head.size if head else 0, problem=problem)
    if head is None or note is None:
        mirror.close()
        return answer, seen, None
    return answer, seen, (head, note, mirror)


def _own_head(core: NodeCore, data: bytes) -> Checkpoint:
    """A head that this log signed, with a key of it that is or was on chain.

    Raises: UntrustedError(checkpoint.log-signature), UnavailableError(mirror.other-log).
    """
    note = parse_note(data)
    head = parse_checkpoint(note.text)
    roster = core.rosters.current()
    info = roster.by_origin(core.log.origin)
    if head.origin != core.log.origin or info is None:
        raise UnavailableError("mirror.other-log", f"a checkpoint of {head.origin} came", expected=core.log.origin)
    failure: LedgerError | None = None
    for key in log_keys(roster, info, ended=True):
        try:
            verify_log_signature(note, key)
        except LedgerError as error:
            failure = error
        else:
            return head
    raise failure or UnavailableError("mirror.other-log", f"no log key of {info.uscc} is on chain")


def _anchored(core: NodeCore) -> Checkpoint | None:
    return anchored_checkpoint(core.contracts, core.member, core.log.origin, core.generation)
