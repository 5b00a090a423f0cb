"""Following one member's log: look, judge, compare, catch up, compare again what was here before."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from ledger.errors import LedgerError, NotAllowedError, NotFoundError, UnavailableError, UntrustedError
from ledger.evidence import merkle
from ledger.evidence.checkpoint import VKey, parse_checkpoint, parse_note
from ledger.evidence.tiles import TILE_WIDTH, Tile, bundle_end
from ledger.evidence.tiletree import HASH, VerifiedTiles
from ledger.model import KeyRole
from node.identity.pinned import OwnCertificate, PinnedClient
from node.identity.tls import spki_of_pem
from node.identity.trust import fetch_certificate
from node.mirror.files import MirrorFiles, damaged
from node.mirror.judging import (
    CERTIFICATE_CHANGED,
    FORKED,
    REWRITTEN,
    Contradiction,
    SeenHead,
    compare,
    evidence,
    judge_note,
    log_vkeys,
)
from node.mirror.reader import AHEAD, LogReader
from node.mirror.recheck import Recheck

if TYPE_CHECKING:
    from node.chain.roster import Roster
    from node.identity.peers import PeerBook
    from node.trail.alarms import AlarmBook

logger = structlog.get_logger("node.mirror")

#: Tiles written between two syncs; what a crash costs is fetched again.
_COMMIT_TILES = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What came of the newest look: ``size`` the served head's, ``alarm`` its contradiction's kind ("" for none)."""

    size: int
    alarm: str = ""
    detail: str = ""


class Follower:
    """Follows the log of ``member`` into ``folder/<sha256 of origin>``. Not thread-safe: one loop calls :meth:`look`.

    ``entries()``: whether this node may keep entries now; ``settle()`` makes a function that waits a moment for a newer
    view of the chain and says False once the view is newer than its making; ``stopping()``: long work ends early;
    ``room()`` raises when the disk has no room for more.
    """

    def __init__(
        self,
        member: str,
        *,
        open_files: Callable[[str, str], MirrorFiles],
        roster: Callable[[], Roster],
        peers: PeerBook,
        alarms: AlarmBook,
        own: Callable[[], OwnCertificate],
        entries: Callable[[], bool],
        recheck: Recheck,
        timeout: float,
        settle: Callable[[], Callable[[], bool]],
        stopping: Callable[[], bool],
        room: Callable[[], None],
    ) -> None:
        self.member = member
        self._open_files = open_files
        self._roster = roster
        self._peers = peers
        self._alarms = alarms
        self._own = own
        self._entries = entries
        self._recheck = recheck
        self._timeout = timeout
        self._settle = settle
        self._stopping = stopping
        self._room = room
        self._client: PinnedClient | None = None
        self._presented: OwnCertificate | None = None
        self.files: MirrorFiles | None = None

    def close(self) -> None:
        """Drop the connection."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def looks(self) -> int:
        """After how many looks everything that is here was compared again."""
        if self.files is None or self.files.head is None:
            return 1
        return self._recheck.looks(self.files.head.size, self.files.entry_bytes)

    def look(self) -> Seen:
        """One poll: everything served is compared with everything kept; what is new and right is kept.

        A contradiction raises an alarm and changes nothing of what is here.

        Raises: UnavailableError, NotFoundError, InvalidInputError: the log cannot be followed now; FatalError: our
        files are damaged.
        """
        roster = self._roster()
        info = roster.members.get(self.member)
        if info is None:
            raise NotFoundError("member.unknown", f"{self.member} is no member of the consortium")
        files = self.files = self._open_files(self.member, info.origin)
        note, size = b"", 0
        try:
            reader = LogReader(self._connected())
            note = self._note(reader)
            seen = judge_note(note, self._roster, info, settle=self._settle())
            size = seen.checkpoint.size
            keys = log_vkeys(self._roster(), info)
            for known in (files.note, files.pending, files.before):
                if known is not None:
                    self._compare(files, seen, known, keys)
            self._follow(files, reader, seen, keys)
        except Contradiction as found:
            files.keep_refused(note)
            self._alarms.raise_alarm(found.kind, self.member, found.detail, found.evidence)
            return Seen(size=size, alarm=found.kind, detail=found.detail)
        except NotAllowedError:
            # The connection may still speak for a certificate of ours that was rotated.
            self.close()
            raise
        return Seen(size=size)

    # --- going forward ------------------------------------------------------------------------------------------------

    def _follow(self, files: MirrorFiles, reader: LogReader, seen: SeenHead, keys: tuple[VKey, ...]) -> None:
        head = seen.checkpoint
        tiles = VerifiedTiles(reader.tile)
        try:
            if files.size and head.size >= files.size:
                self._extends(files, tiles, seen, keys)
            if seen.witnessed and head.size >= files.size:
                self._hashes(files, reader, tiles, seen)
            self._as_before(files, tiles, seen, keys)
        except UntrustedError as error:
            if error.code != "tile.mismatch":
                raise
            raise Contradiction(REWRITTEN, f"{error.message} (checkpoint of {head.size} entries)") from error
        held = files.head.size if files.head is not None else 0
        may_read = self._entries()
        # What is here is compared before new entries are asked for: who refuses these does not escape the comparison.
        # What is wrong with an old tile does not keep new entries, which the hashes prove, from being kept either.
        wrong = self._recheck.compare(files, reader, min(held, head.size), entries=may_read)
        if may_read:
            try:
                self._keep_entries(files, reader, held)
            except (Contradiction, LedgerError):
                if isinstance(wrong, Contradiction):
                    raise wrong from None
                raise
        if wrong is not None:
            raise wrong
        if not seen.witnessed and files.head is None:
            raise UnavailableError(
                "mirror.not-witnessed",
                f"the log of {self.member} has no checkpoint yet that a quorum cosigned",
                hint="start the other members' nodes: a mirror keeps what was witnessed",
            )

    def _compare(self, files: MirrorFiles, seen: SeenHead, known: bytes, keys: tuple[VKey, ...]) -> None:
        try:
            compare(seen, known, files.tile, keys)
        except UntrustedError as error:
            # Our own tiles do not make the root of a head that they were verified under.
            raise damaged(files.folder, error.message) from error

    def _extends(self, files: MirrorFiles, tiles: VerifiedTiles, seen: SeenHead, keys: tuple[VKey, ...]) -> None:
        """The served tree must begin with what is here."""
        here = files.root(files.size)
        if tiles.root(seen.checkpoint, files.size) == here:
            return
        if not files.whole():
            raise damaged(files.folder, "the tiles at the edge do not make the root of the newest head here")
        known = files.pending or files.note
        proof = None
        if known is not None:
            held = parse_checkpoint(parse_note(known).text)
            if 0 < held.size < seen.checkpoint.size:
                path = tiles.consistency_path(seen.checkpoint, held.size)
                proof = evidence(seen.note, known, keys, path)
        raise Contradiction(
            FORKED,
            f"the signed head of {seen.checkpoint.size} entries does not extend the {files.size} entries seen before",
            proof,
        )

    def _as_before(self, files: MirrorFiles, tiles: VerifiedTiles, seen: SeenHead, keys: tuple[VKey, ...]) -> None:
        """A mirror that was begun anew comes to what the damaged one had seen."""
        if files.before is None:
            return
        held = parse_checkpoint(parse_note(files.before).text)
        if held.size > files.size:
            return
        if files.root(held.size) != held.root:
            path = tiles.consistency_path(seen.checkpoint, held.size) if held.size < seen.checkpoint.size else ()
            raise Contradiction(
                FORKED,
                f"its first {held.size} entries are not those that this node had seen before its mirror was damaged",
                evidence(seen.note, files.before, keys, path),
            )
        files.forget_before()

    def _hashes(self, files: MirrorFiles, reader: LogReader, tiles: VerifiedTiles, seen: SeenHead) -> None:
        head = seen.checkpoint
        indexes = range(files.size // TILE_WIDTH, -(-head.size // TILE_WIDTH))
        for number, index in enumerate(indexes):
            if files.size == head.size or self._stopping():
                break
            if number % AHEAD == 0:
                # The tiles at the edge are here since the root was compared.
                reader.ahead(_full_tiles(0, indexes[number : number + AHEAD], head.size))
            width = min(TILE_WIDTH, head.size - index * TILE_WIDTH)
            leaves = tiles.tile(head, 0, index, width)
            files.append_hashes(leaves[(files.size - index * TILE_WIDTH) * HASH :])
            if (number + 1) % _COMMIT_TILES == 0:
                files.commit(seen.note)
                self._room()
        if files.size != head.size:
            files.commit(seen.note)
        elif files.note != seen.note:
            files.commit(seen.note)
            files.complete(seen.note, head)
            logger.debug("mirror.head", member=self.member, size=head.size)

    def _keep_entries(self, files: MirrorFiles, reader: LogReader, size: int) -> None:
        indexes = range(files.entries // TILE_WIDTH, -(-size // TILE_WIDTH))
        for number, index in enumerate(indexes):
            if files.entries >= size or self._stopping():
                break
            if number % AHEAD == 0:
                reader.ahead(_full_tiles(None, indexes[number : number + AHEAD], size))
            tile = Tile(level=None, index=index, width=min(TILE_WIDTH, size - index * TILE_WIDTH))
            bundle = self._right_entries(files, reader, tile)
            at = bundle_end(bundle, files.entries - index * TILE_WIDTH)
            files.append_entries(bundle[at:], index * TILE_WIDTH + tile.width - files.entries)
            if (number + 1) % _COMMIT_TILES == 0:
                files.commit()
                self._room()
        files.commit()

    def _right_entries(self, files: MirrorFiles, reader: LogReader, tile: Tile) -> bytes:
        bundle = self._recheck.served(reader, tile)
        try:
            leaves = merkle.bundle_leaves(bundle, tile.width)
        except UntrustedError as error:
            raise Contradiction(REWRITTEN, f"{tile.path}: {error.message}") from error
        if leaves != files.hash_tile(0, tile.index, tile.width):
            raise Contradiction(REWRITTEN, f"{tile.path}: the entries do not hash to the log's own leaf hashes")
        return bundle

    def _note(self, reader: LogReader) -> bytes:
        """The served checkpoint. A server with another certificate than the pinned one must have it from a rotation.

        Raises: Contradiction(tls.key-changed), UnavailableError(peer.*).
        """
        try:
            return reader.note()
        except UnavailableError as error:
            if not isinstance(error.__cause__, ssl.SSLCertVerificationError):
                raise
            presented = spki_of_pem(fetch_certificate(self._peers.require(self.member).https))
            wait = self._settle()
            while not self._roster().has_key(self.member, KeyRole.TLS, presented):
                if not wait():
                    raise Contradiction(
                        CERTIFICATE_CHANGED,
                        f"its node presents a certificate whose key ({presented.hex()[:16]}) is not on chain",
                    ) from error
            raise

    # --- the connection -----------------------------------------------------------------------------------------------

    def _connected(self) -> PinnedClient:
        peer = self._peers.require(self.member)
        if not self._roster().has_key(self.member, KeyRole.TLS, peer.spki):
            raise UnavailableError(
                "peer.certificate",
                f"the certificate of {self.member} in peers.json is not its active tls key on chain",
                hint="a rotated certificate is learnt by itself within seconds; else copy peers.json again",
            )
        own = self._own()
        if self._client is None or self._client.peer != peer or own != self._presented:
            self.close()
            self._client, self._presented = PinnedClient(peer, self._timeout, own), own
        return self._client


def _full_tiles(level: int | None, indexes: Iterable[int], size: int) -> list[Tile]:
    return [Tile(level=level, index=index) for index in indexes if (index + 1) * TILE_WIDTH <= size]
