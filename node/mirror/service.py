"""All mirrors of a node: which logs are followed, how each is, and their serving under ``/mirror/``."""

from __future__ import annotations

import hashlib
import random
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from ledger.errors import FatalError, LedgerError, NotFoundError, UnavailableError
from ledger.evidence.tiles import Tile
from ledger.log.files import disk_errors
from ledger.model import KeyRole, Roles
from node.identity.keyfiles import key_file
from node.loops import Loop
from node.mirror.files import ASIDE, DAMAGED, STATE_FILE, MirrorFiles, begin_anew
from node.mirror.follower import Follower, Seen
from node.mirror.recheck import Recheck
from node.mirror.retired import RetiredLog, retired_log
from node.web.logpaths import require_tile

if TYPE_CHECKING:
    from node.core import NodeCore
    from node.identity.pinned import OwnCertificate
    from node.trail.alarms import AlarmBook

logger = structlog.get_logger("node.mirror")

STATUS_FILE: Final = "status.json"
ALL: Final = "all"
#: Below this a mirror takes nothing more: the own log needs the disk. Bytes.
LEAST_FREE: Final = 512 << 20
#: Between two looks at the chain, while a key may still turn out to be a rotation that is not seen here yet, seconds.
_SETTLE_S: Final = 0.1
#: A refused tile may be a passing thing for this long: the other node's view of the chain may lag. Seconds.
_PATIENCE_S: Final = 600.0


class MirrorStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How the mirror of one log is. Sizes are entries; times Unix milliseconds, 0 for never; ``again_s`` in how many
    seconds everything that is here was compared once more."""

    member: str
    origin: str
    size: int = 0
    hashes: int = 0
    entries: int = 0
    served: int = 0
    looked_ms: int = 0
    good_ms: int = 0
    again_s: int = 0
    alarm: str = ""
    detail: str = ""
    problem: str = ""


class MirroredLog:
    """A mirror as it is served: what lies under its newest whole checkpoint."""

    def __init__(self, files: MirrorFiles) -> None:
        self.owner = files.member
        self._files = files

    def note(self) -> bytes:
        """The newest checkpoint that is wholly here. Raises: NotFoundError(checkpoint.none)."""
        if self._files.note is None:
            raise NotFoundError(
                "checkpoint.none", "no checkpoint of that log is wholly here yet", hint="try again later"
            )
        return self._files.note

    def tile(self, tile: Tile) -> bytes:
        """A tile or bundle. Raises: NotFoundError(tile.absent)."""
        head = self._files.head
        require_tile(tile, head.size if head is not None else 0)
        return self._files.tile(tile)


class Mirrors:
    """Follows the members that the settings name, each in a loop of its own, and serves what it has."""

    def __init__(self, core: NodeCore, alarms: AlarmBook) -> None:
        self._core = core
        self._alarms = alarms
        self._section = core.config.mirror
        self._folder = core.config.mirror_folder
        self._lock = threading.Lock()
        #: Mirrors found damaged while they were read; put aside when they are opened again.
        self._damaged: set[str] = set()
        self._open: dict[str, MirrorFiles] = {}
        self._followers: dict[str, tuple[Follower, Loop]] = {}
        self.loop = Loop("mirror", self._step, metrics=core.metrics, on_fatal=self._broken)

    def loops(self) -> Iterator[Loop]:
        """Every loop of the mirrors."""
        yield self.loop
        yield from (loop for _, loop in tuple(self._followers.values()))

    def close(self) -> None:
        """Drop connections and files, after the loops ended."""
        for follower, _ in self._followers.values():
            follower.close()
        with self._lock:
            for files in self._open.values():
                files.close()
            self._open.clear()

    def serve(self, origin_digest: bytes) -> MirroredLog | RetiredLog:
        """The mirror of the log whose origin has this SHA-256, followed now or once; or an own log that was retired.

        Raises: NotFoundError(mirror.unknown).
        """
        name = origin_digest.hex()
        with self._lock:
            files = self._open.get(name)
        if files is None:
            own = retired_log(self._core.config, self._core.generation, origin_digest)
            if own is not None:
                return own
            status = _read_state(self._folder / name)
            if status is None:
                raise NotFoundError(
                    "mirror.unknown",
                    "that log is not mirrored here",
                    hint="`[mirror] members` in node.toml names those that are; the path is an origin's SHA-256",
                )
            files = self._files(*status)
        return MirroredLog(files)

    # --- following ----------------------------------------------------------------------------------------------------

    def _step(self) -> float | None:
        if not self._section.members:
            return None
        core = self._core
        core.peers.refresh()
        for info in core.rosters.current().others(core.member):
            named = ALL in self._section.members or info.uscc in self._section.members
            if named and info.uscc in core.peers and info.uscc not in self._followers and not self.loop.stopping:
                self._start(info.uscc)
        aside = sorted(self._folder.glob("*" + ASIDE))
        if aside:
            raise UnavailableError(
                "mirror.put-aside",
                f"a damaged mirror was put aside and begun anew: {aside[0]}",
                hint="look at the disk; keep the folder while that log is in question, then remove it",
            )
        return float(self._section.interval)

    def _start(self, member: str) -> None:
        core = self._core
        loop = Loop(f"mirror-{member[-6:]}", lambda: self._look(member), metrics=core.metrics, on_fatal=self._broken)
        follower = Follower(
            member,
            open_files=self._files,
            roster=core.rosters.current,
            peers=core.peers,
            alarms=self._alarms,
            own=self._own_certificate,
            entries=self._may_keep_entries,
            recheck=Recheck(
                sample=self._section.sample,
                budget=self._budget,
                interval=float(self._section.interval),
                patience=_PATIENCE_S,
                draw=random.Random(),  # noqa: S311 - which tiles are compared is no secret
                stopping=lambda: loop.stopping,
            ),
            timeout=float(core.config.log.witness_timeout),
            settle=lambda: self._settle(loop),
            stopping=lambda: loop.stopping,
            room=self._room,
        )
        self._followers[member] = (follower, loop)
        loop.start()

    def _budget(self) -> int | None:
        """How many tiles and bundles one look at one log may ask for again."""
        if self._section.recheck == "all":
            return None
        return self._section.recheck * self._section.interval // max(1, len(self._followers))

    def _room(self) -> None:
        """Raise UnavailableError(mirror.disk-low) when the own log needs what is left of the disk."""
        if self._folder.exists() and shutil.disk_usage(self._folder).free < LEAST_FREE:
            raise UnavailableError(
                "mirror.disk-low",
                f"less than {LEAST_FREE >> 20} MiB are free: the mirrors take nothing more",
                hint="free space, or name fewer logs in [mirror] members",
            )

    def _look(self, member: str) -> float:
        follower, _ = self._followers[member]
        try:
            self._room()
            seen = follower.look()
        except FatalError as error:
            self._mend(follower, error)
            raise UnavailableError(
                "mirror.failed", f"the mirror of {member} is opened again: {error.message}", hint=error.hint
            ) from error
        except LedgerError as error:
            self._note(follower, None, f"{error.message} [{error.code}]")
            raise
        self._note(follower, seen, "")
        return float(self._section.interval)

    def _note(self, follower: Follower, seen: Seen | None, problem: str) -> None:
        """Leave what the look found for `civicledger mirror status`; it is no more than a note, so it is not synced."""
        files = follower.files
        if files is None:
            return
        now = self._core.clock()
        before = read_status(files.folder)
        status = MirrorStatus(
            member=files.member,
            origin=files.origin,
            size=files.head.size if files.head is not None else 0,
            hashes=files.size,
            entries=files.entries,
            served=seen.size if seen is not None else (before.served if before else 0),
            looked_ms=now,
            again_s=follower.looks() * self._section.interval,
            good_ms=now if seen is not None and not seen.alarm else (before.good_ms if before else 0),
            alarm=seen.alarm if seen is not None else (before.alarm if before else ""),
            detail=seen.detail if seen is not None else (before.detail if before else ""),
            problem=problem,
        )
        fresh = files.folder / (STATUS_FILE + ".new")
        with disk_errors(files.folder):
            fresh.write_bytes(msgspec.json.encode(status))
            fresh.replace(files.folder / STATUS_FILE)

    def _files(self, member: str, origin: str) -> MirrorFiles:
        name = hashlib.sha256(origin.encode()).hexdigest()
        with self._lock:
            if name not in self._open:
                self._open[name] = self._opened(name, member, origin)
            return self._open[name]

    def _opened(self, name: str, member: str, origin: str) -> MirrorFiles:
        folder = self._folder / name
        if name not in self._damaged:
            try:
                return MirrorFiles.open(folder, member, origin)
            except FatalError as error:
                if error.code not in (DAMAGED, "log.damaged-note"):
                    raise
                self._broken(error)
        aside = begin_anew(folder)
        self._damaged.discard(name)
        logger.warning("mirror.anew", member=member, origin=origin, message=f"the damaged one is {aside}")
        return MirrorFiles.open(folder, member, origin)

    def _mend(self, follower: Follower, error: FatalError) -> None:
        """Let go of files that failed: the next look opens them again, and puts them aside where they are damaged."""
        self._broken(error)
        with self._lock:
            for name, files in tuple(self._open.items()):
                if files is follower.files:
                    del self._open[name]
                    files.close()
                    if error.code == DAMAGED:
                        self._damaged.add(name)
        follower.files = None

    def _settle(self, loop: Loop) -> Callable[[], bool]:
        """A wait for signed time of the chain that is newer than now: a key not on chain then was not on chain now."""
        core = self._core
        began, limit = core.clock(), core.config.chain.max_view_age * 1_000
        newer = False

        def wait() -> bool:
            nonlocal newer
            if newer:
                return False
            newer = core.board.newest_time_ms() >= began
            if not newer and (core.clock() - began > limit or not loop.pause(_SETTLE_S)):
                raise UnavailableError(
                    "chain.stale",
                    "whether a key is a rotation not seen here yet cannot be told: the chain gives no sign of life",
                    hint="`civicledger doctor` says who is missing",
                )
            return True

        return wait

    def _own_certificate(self) -> OwnCertificate:
        keys = self._core.keys
        return keys.certificate_file, key_file(keys.folder, KeyRole.TLS), keys.passphrase

    def _may_keep_entries(self) -> bool:
        info = self._core.rosters.current().members.get(self._core.member)
        return self._section.entries and info is not None and bool(info.roles & (Roles.SUPERVISOR | Roles.AUDITOR))

    def _broken(self, error: LedgerError) -> None:
        """A damaged mirror is no matter of the node's own log, which goes on."""
        logger.error("mirror.failed", code=error.code, message=error.message, hint=error.hint)


def read_status(folder: Path) -> MirrorStatus | None:
    """The newest note about a mirror; None before the first."""
    try:
        return msgspec.json.decode((folder / STATUS_FILE).read_bytes(), type=MirrorStatus)
    except (OSError, msgspec.MsgspecError):
        return None


class _Named(msgspec.Struct, frozen=True):
    member: str
    origin: str


def _read_state(folder: Path) -> tuple[str, str] | None:
    try:
        found = msgspec.json.decode((folder / STATE_FILE).read_bytes(), type=_Named)
    except (OSError, msgspec.MsgspecError):
        return None
    return found.member, found.origin
