"""Publishing the log: signing checkpoints, gathering cosignatures, knowing which checkpoint is witnessed."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from ledger.errors import ConflictError, UntrustedError
from ledger.evidence.checkpoint import (
    Note,
    NoteSignature,
    add_signature,
    parse_checkpoint,
    parse_note,
    verify_cosignature,
)
from ledger.evidence.witness import parse_answer
from node.chain.roster import Roster
from node.context import Clock, Published
from node.metrics import Metrics
from node.trail.attendance import Attendance
from node.trail.quorum import WitnessQuorum
from node.trail.witnessing import count_cosignatures, witness_keys

if TYPE_CHECKING:
    from ledger.log import DepartmentLog
    from ledger.model import MemberInfo
    from ledger.storage.exchanges import CheckpointStore

logger = structlog.get_logger("node.publishing")

#: Notes kept in memory while they gather cosignatures.
_OPEN_NOTES = 64
#: Witnessed notes kept on disk for inclusion receipts of older sizes.
_KEPT_NOTES = 1_024
#: How far a cosignature's time may lie from now: it was made a moment ago, the rest is the two clocks.
_MAX_SKEW_S = 300


class CheckpointPublisher:
    """Signs what is new, collects cosignatures, and keeps the witnessed notes. Thread-safe.

    ``on_signed`` is told of every new note (feeds to the witnesses), ``on_witnessed`` when one reached its quorum (the
    anchor loop).
    """

    def __init__(
        self,
        *,
        member: str,
        log: DepartmentLog,
        store: CheckpointStore,
        roster: Callable[[], Roster],
        quorum: WitnessQuorum,
        attendance: Attendance,
        clock: Clock,
        metrics: Metrics,
        on_signed: Callable[[], None],
        on_witnessed: Callable[[], None],
    ) -> None:
        self._member = member
        self._log = log
        self._store = store
        self._roster = roster
        self._quorum = quorum
        self._attendance = attendance
        self._clock = clock
        self._metrics = metrics
        self._on_signed = on_signed
        self._on_witnessed = on_witnessed
        self._condition = threading.Condition()
        self._signing = threading.Lock()
        self._open: OrderedDict[int, tuple[Published, frozenset[str]]] = OrderedDict()
        self._newest: Published | None = None
        self._witnessed: Published | None = None
        self._written = 0
        self._recall()

    def newest(self) -> Published | None:
        """The newest signed checkpoint."""
        return self._newest

    def witnessed(self) -> Published | None:
        """The newest checkpoint with a quorum."""
        return self._witnessed

    def at(self, size: int) -> Published | None:
        """The kept checkpoint of exactly this size."""
        with self._condition:
            entry = self._open.get(size)
        if entry is not None:
            return entry[0]
        note = self._store.get(size)
        return None if note is None else self._published(note)[0]

    def publish(self) -> Published | None:
        """Sign the present size if it is new. None while the log is empty.

        Raises: as ``DepartmentLog.publish``.
        """
        with self._signing:
            newest = self._newest
            if self._log.size == (newest.size if newest else 0):
                return newest
            published, members = self._published(self._log.publish())
            with self._condition:
                self._open[published.size] = (published, members)
                while len(self._open) > _OPEN_NOTES:
                    self._open.popitem(last=False)
                self._newest = published
                self._attendance.signed(self._missing(members))
                self._condition.notify_all()
        self._on_signed()
        return published

    def publish_now(self, *, wait_witnessed_s: float = 0.0) -> Published | None:
        """Sign what is new at once; with a wait, return the witnessed note as soon as there is one of that size, else
        what there is when the time is over."""
        published = self.publish()
        if published is None or wait_witnessed_s <= 0:
            return published
        self.wait_witnessed(published.size, wait_witnessed_s)
        return self.at(published.size) or published

    def wait_witnessed(self, size: int, timeout: float) -> bool:
        """Wait for a witnessed checkpoint of at least ``size``; False when the time is over first."""
        with self._condition:
            return self._condition.wait_for(
                lambda: self._witnessed is not None and self._witnessed.size >= size, timeout
            )

    def wanted_from(self, witness: str) -> Published | None:
        """The newest note, when this witness has not cosigned it and its cosignature would count."""
        if not self._roster().is_active(witness):
            return None
        with self._condition:
            newest = self._newest
            if newest is None:
                return None
            entry = self._open.get(newest.size)
            return None if entry is None or witness in entry[1] else entry[0]

    def cosigned(self, witness: str, size: int, answer: bytes) -> None:
        """Take a witness's answer for our note of ``size``: signature lines, of which one is by its key on chain.

        Raises: UntrustedError(checkpoint.cosignature, checkpoint.cosignature-time), InvalidInputError(witness.answer).
        """
        roster = self._roster()
        lines = parse_answer(answer)
        with self._condition:
            entry = self._open.get(size)
            if entry is None or witness in entry[1] or not roster.is_active(witness):
                return
            published, members = entry
            line = self._verified(roster, roster.members[witness], published.note, lines)
            fresh = add_signature(published.note, str(line))
            members |= {witness}
            was = published.witnessed
            published = replace(
                published,
                note=fresh,
                cosignatures=len(members),
                quorum=roster.quorum,
                policy_met=self._quorum.met(roster, members),
            )
            self._open[size] = (published, members)
            newest = self._newest is not None and self._newest.size == size
            if newest:
                self._newest = published
            self._attendance.cosigned(witness, size, newest=newest)
        self._metrics.cosigned(witness)
        if published.witnessed and not was:
            self._keep(published)

    def _verified(
        self, roster: Roster, info: MemberInfo, note: bytes, lines: tuple[NoteSignature, ...]
    ) -> NoteSignature:
        """The line of a key the chain knows, judged alone over our text; lines of other keys are ignored."""
        text = parse_note(note).text
        for key in witness_keys(roster, info):
            for line in lines:
                found = verify_cosignature(Note(text=text, signatures=(line,)), key)
                if found is None:
                    continue
                now = self._clock() // 1_000
                if abs(found.time - now) > _MAX_SKEW_S:
                    raise UntrustedError(
                        "checkpoint.cosignature-time",
                        f"the cosignature of {info.uscc} is dated {abs(found.time - now)} s away from now",
                        hint="synchronise the clocks of both machines (NTP)",
                        expected=now,
                        actual=found.time,
                    )
                return line
        raise UntrustedError(
            "checkpoint.cosignature",
            f"the answer of {info.uscc} carries no cosignature of its witness key",
            hint="its node may have rotated the key: it counts once the rotation is on chain here",
        )

    def _keep(self, published: Published) -> None:
        # On disk before anybody is told: a bundle made from it must find it again after a crash.
        self._store.put(published.size, published.note)
        with contextlib.suppress(ConflictError):
            # A newer head may have been signed meanwhile: the served file is then already about that one.
            self._log.keep_cosigned(published.note)
        with self._condition:
            if self._witnessed is None or self._witnessed.size < published.size:
                self._witnessed = published
            self._condition.notify_all()
            self._written += 1
            prune = self._written % 256 == 0
        if prune:
            self._store.prune(newest=_KEPT_NOTES)
        logger.debug("checkpoint.witnessed", size=published.size, cosignatures=published.cosignatures)
        self._on_witnessed()

    def _recall(self) -> None:
        """Take up after a restart: the last signed note may still lack cosignatures."""
        kept = self._store.newest()
        if kept is not None:
            self._witnessed = self._published(kept[1])[0]
        if self._log.published is not None:
            published, members = self._published(self._log.published)
            self._newest = published
            self._open[published.size] = (published, members)
            self._attendance.signed(self._missing(members))

    def _missing(self, members: frozenset[str]) -> list[str]:
        return [info.uscc for info in self._roster().others(self._member) if info.uscc not in members]

    def _published(self, data: bytes) -> tuple[Published, frozenset[str]]:
        note = parse_note(data)
        checkpoint = parse_checkpoint(note.text)
        roster = self._roster()
        members = frozenset(count_cosignatures(note, roster, self._member))
        published = Published(
            size=checkpoint.size,
            root=checkpoint.root,
            note=data,
            cosignatures=len(members),
            quorum=roster.quorum,
            policy_met=self._quorum.met(roster, members),
        )
        return published, members
