"""Alarms about members' logs: what this node saw that must not be, kept on disk until the operator settles it.

An alarm is a small JSON file in ``<node>/alarms``; its proof, where there is one, lies beside it as a document that
anybody can check offline (``civicledger witness check``). Both are durable before ``raise_alarm`` returns.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import msgspec
import structlog

from ledger.errors import LedgerError, NotFoundError
from ledger.evidence.fork import MAX_EVIDENCE_BYTES, ForkEvidence
from ledger.log.files import disk_errors, replace_file
from node.context import Clock

logger = structlog.get_logger("node.alarms")

#: Alarms kept of one member: who forks a hundred times is known by then.
MAX_PER_MEMBER: Final = 64
_MAX_DETAIL: Final = 500
_MAX_ROW_BYTES: Final = 16_384
_ROW, _PROOF = ".alarm.json", ".fork.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One thing that must not be, about the log of ``member`` (a USCC).

    ``kind`` is a stable code (``log.forked``); ``first_ms``, ``last_ms`` Unix milliseconds of the first and the newest
    sighting, ``count`` sightings since this node started; ``record`` the index of its record in the own log, -1 while
    there is none; ``settled`` the operator has dealt with it.
    """

    id: str
    kind: str
    member: str
    detail: str
    first_ms: int
    last_ms: int
    count: int = 1
    record: int = -1
    settled: bool = False
    evidence: ForkEvidence | None = None


class _Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: str
    member: str
    detail: str
    first_ms: int
    record: int
    settled: bool
    proof: bool


class AlarmBook:
    """The alarms of one node. Thread-safe."""

    def __init__(self, folder: Path, *, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._on_raised: Callable[[], None] | None = None
        self._lock = threading.Lock()
        self._alarms: dict[str, Alarm] = {}
        with disk_errors(folder, of_log=False):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._load()

    def raise_alarm(self, kind: str, member: str, detail: str, evidence: ForkEvidence | None = None) -> Alarm:
        """Keep an alarm. The same kind and member again is the same alarm seen once more, with a proof as long as it is
        of the same log: two histories that both grow give a new proof every second, and the first one says it all.
        A proof of what was seen without one is added to the open alarm.
        One that was settled is open again when something else is said of it, one with a proof when there is another.

        Raises: UnavailableError(disk.full | disk.failed).
        """
        proof = evidence.digest if evidence is not None else b""
        id_ = hashlib.sha256(f"{kind}\n{member}\n".encode() + proof).hexdigest()[:16]
        now = self._clock()
        detail = detail[:_MAX_DETAIL]
        with self._lock:
            known = self._alarms.get(id_) or self._known(kind, member, evidence)
            if known is not None:
                alarm = replace(known, last_ms=now, count=known.count + 1)
                if known.evidence is None and evidence is not None:
                    alarm = replace(alarm, evidence=evidence)
                    self._write(alarm)
                elif known.detail != detail and evidence is None:
                    alarm = replace(alarm, detail=detail, settled=False)
                    self._write(alarm)
                self._alarms[known.id] = alarm
                if known.evidence is alarm.evidence:
                    return alarm
            else:
                alarm = Alarm(
                    id=id_, kind=kind, member=member, detail=detail, first_ms=now, last_ms=now, evidence=evidence
                )
                if sum(one.member == member for one in self._alarms.values()) >= MAX_PER_MEMBER:
                    logger.warning("alarm.dropped", member=member, code=kind)
                    return alarm
                self._write(alarm)
                self._alarms[id_] = alarm
        logger.error("alarm.raised", code=kind, member=member, message=detail)
        if self._on_raised is not None:
            self._on_raised()
        return alarm

    def tell(self, action: Callable[[], None]) -> None:
        """Call this when an alarm was seen for the first time, or proven, after it is on disk."""
        self._on_raised = action

    def alarms(self, *, settled: bool = False) -> tuple[Alarm, ...]:
        """The open alarms, oldest first; with ``settled`` all of them."""
        with self._lock:
            found = [one for one in self._alarms.values() if settled or not one.settled]
        return tuple(sorted(found, key=lambda one: (one.first_ms, one.id)))

    def settle(self, prefix: str) -> Alarm:
        """Mark an alarm as dealt with; it and its proof stay on disk. ``prefix``: its id, or a unique beginning.

        Raises: NotFoundError(alarm.unknown).
        """
        with self._lock:
            alarm = replace(self._named(prefix), settled=True)
            self._write(alarm)
            self._alarms[alarm.id] = alarm
            return alarm

    def unrecorded(self) -> tuple[Alarm, ...]:
        """Alarms with a proof that the own log does not tell of yet."""
        return tuple(one for one in self.alarms(settled=True) if one.evidence is not None and one.record < 0)

    def recorded(self, id_: str, index: int) -> None:
        """The own log tells of the alarm at ``index``."""
        with self._lock:
            alarm = replace(self._alarms[id_], record=index)
            self._write(alarm)
            self._alarms[id_] = alarm

    def _known(self, kind: str, member: str, evidence: ForkEvidence | None) -> Alarm | None:
        """The alarm that a proof belongs to: the one that has it, else the open one with a proof of the same log, else
        the open one without any."""
        if evidence is None:
            return None
        found = [one for one in self._alarms.values() if (one.kind, one.member) == (kind, member)]
        for one in found:
            if one.evidence is not None and one.evidence.digest == evidence.digest:
                return one
        for one in found:
            if one.evidence is not None and not one.settled and one.evidence.origin == evidence.origin:
                return one
        return next((one for one in found if one.evidence is None and not one.settled), None)

    def _named(self, prefix: str) -> Alarm:
        found = [one for one in self._alarms.values() if prefix and one.id.startswith(prefix)]
        if len(found) != 1:
            raise NotFoundError(
                "alarm.unknown",
                "no alarm, or more than one, has an id that begins so",
                hint="`civicledger witness evidence` lists them",
                actual=prefix[:32],
            )
        return found[0]

    def _write(self, alarm: Alarm) -> None:
        row = _Row(
            kind=alarm.kind,
            member=alarm.member,
            detail=alarm.detail,
            first_ms=alarm.first_ms,
            record=alarm.record,
            settled=alarm.settled,
            proof=alarm.evidence is not None,
        )
        proof = self._folder / (alarm.id + _PROOF)
        with disk_errors(self._folder, of_log=False):
            # The proof first: a row that names one finds it.
            if alarm.evidence is not None and not proof.exists():
                replace_file(proof, alarm.evidence.encode())
            replace_file(self._folder / (alarm.id + _ROW), msgspec.json.encode(row))

    def _load(self) -> None:
        for file in sorted(self._folder.glob("*" + _ROW)):
            id_ = file.name.removesuffix(_ROW)
            try:
                row = msgspec.json.decode(_bounded(file, _MAX_ROW_BYTES), type=_Row)
                proof = self._folder / (id_ + _PROOF)
                evidence = ForkEvidence.decode(_bounded(proof, MAX_EVIDENCE_BYTES)) if row.proof else None
            except (msgspec.MsgspecError, LedgerError, FileNotFoundError) as error:
                # An alarm nobody can read any more must not keep the node from starting, nor be forgotten.
                logger.error("alarm.unreadable", message=f"{file}: {error}")
                row = _Row(
                    kind="alarm.unreadable", member="", detail=f"{file} does not decode", first_ms=self._clock(),
                    record=-1, settled=False, proof=False,
                )  # fmt: skip
                evidence = None
            self._alarms[id_] = Alarm(
                id=id_, kind=row.kind, member=row.member, detail=row.detail, first_ms=row.first_ms,
                last_ms=row.first_ms, count=0, record=row.record, settled=row.settled, evidence=evidence,
            )  # fmt: skip


def _bounded(file: Path, most: int) -> bytes:
    with file.open("rb") as stream:
        data = stream.read(most + 1)
    return data[:most]
