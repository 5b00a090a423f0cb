"""Corrections and withdrawals reach every hospital that opened the report and every office that made a certificate of
it, also one that was away meanwhile.

What is owed is worked out from the openings and the reports as they are, so that a stop anywhere loses nothing: at the
start every opened report is looked at, later those that changed. Both logs record the same notice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
import structlog

from ledger.errors import InvalidInputError, LedgerError, NotFoundError, UnavailableError
from ledger.evidence.medicalnotice import ChangeNotice, decode_notice, notice_digest, sign_notice, verify_notice
from ledger.evidence.medicalstep import decode_step
from ledger.model import KeyRole
from ledger.storage.changes import ChangeEntry, ChangeStore
from ledger.storage.examinations import ExaminationStore
from node.exchange.parties import by_any_key
from node.loops import Loop
from node.medical.certifying import tells_of
from node.medical.judging import require_hospital, require_own_hospital
from node.medical.notices import change_event
from node.trail import records as trail

if TYPE_CHECKING:
    from ledger.model import MemberInfo
    from node.medical.dialogue import Dialogue
    from node.medical.ports import Change

logger = structlog.get_logger("node.medical")

#: How often what is owed is tried again at least, seconds.
INTERVAL_S = 30.0
#: Notices handed over in one call.
MAX_NOTICES = 500
#: Notices of one report that were replaced and may have arrived.
_REPLACED = 8


class Changes:
    """The changes of one node's reports, and those it was told of."""

    def __init__(
        self,
        dialogue: Dialogue,
        store: ChangeStore,
        examinations: ExaminationStore,
        is_open: Callable[[], bool],
        on_fatal: Callable[[LedgerError], None],
    ) -> None:
        self._dialogue = dialogue
        self._context = dialogue.context
        self._store = store
        self._examinations = examinations
        self._is_open = is_open
        self._lock = threading.Lock()
        self._pending: set[bytes] | None = None
        #: Held while a row of what is owed is compared and written.
        self._owing = threading.Lock()
        self._noticed = 0
        self.loop = Loop("medical-changes", self._step, metrics=dialogue.context.metrics, on_fatal=on_fatal)
        dialogue.reports.on_changed(self._changed)

    def look(self, report: bytes) -> None:
        """Compare a report with what the hospitals that opened it know of it, soon."""
        with self._lock:
            if self._pending is not None:
                self._pending.add(report)
        self.loop.wake()

    def take(self, caller: str, notice: bytes) -> int:
        """Another hospital tells that a report opened here changed; the index of the record.

        Raises: UntrustedError(medical.notice-signature), InvalidInputError(medical.notice),
        NotFoundError(medical.not-opened).
        """
        told = decode_notice(notice)
        context = self._context
        if (told.provider, told.consumer, told.chain) != (caller, context.member, context.genesis_digest):
            raise InvalidInputError(
                "medical.notice", "the notice is another hospital's, or for another hospital or chain", actual=caller
            )
        by_any_key(context, caller, lambda key: verify_notice(notice, key), ended_too=True)
        steps = self._dialogue.steps.of_report(told.report, "consumer")
        opened = any(step.kind == "open" and step.counterpart == caller and step.state != "refused" for step in steps)
        if not opened and not any(one.institution == caller for one in self._examinations.used(told.report)):
            raise NotFoundError(
                "medical.not-opened",
                "this member did not open that report, and has no certificate of it",
                hint="nothing needs to be told",
            )
        with self._lock:
            known = self._store.get("consumer", caller, told.report)
            if known is not None and known.notice == notice:
                entry = known
            elif known is not None and known.time_ms > told.time_ms:
                # It was overtaken: the newer one says all there is to know.
                return max(known.log_index, 0)
            else:
                entry = self._store.put("consumer", _entry(told, caller, notice, context.clock()))
            return self._log("consumer", entry).log_index

    def told(self) -> tuple[ChangeEntry, ...]:
        """What other hospitals told of reports opened here, newest first."""
        return tuple(sorted(self._store.every("consumer"), key=lambda entry: -entry.time_ms))

    def of(self, hospital: str, report: bytes) -> ChangeEntry | None:
        """The newest change that a hospital told of a report; None where it told none."""
        return self._store.get("consumer", hospital, report)

    def given(self) -> tuple[ChangeEntry, ...]:
        """What other hospitals were told of reports of this one, or are to be told."""
        return tuple(self._store.every("provider"))

    def owed(self) -> tuple[ChangeEntry, ...]:
        """What other hospitals have not been told yet."""
        return tuple(entry for entry in self._store.every("provider") if entry.log_index < 0)

    @property
    def noticed(self) -> int:
        """How many notices were made since the start: whoever waits for one looks again when it moved."""
        return self._noticed

    def fetch(self, caller: MemberInfo, received: frozenset[bytes]) -> tuple[bytes, ...]:
        """Notices that a hospital was not told yet, which it fetches itself; those it has by now, named by their
        digests, are told and on record.

        Raises: NotAllowedError(medical.not-hospital).
        """
        require_own_hospital(self._context)
        require_hospital(self._context, caller, "the asking member")
        left: list[bytes] = []
        for entry in self.owed():
            if entry.counterpart != caller.uscc:
                continue
            for notice in (*entry.replaced, entry.notice):
                if notice_digest(notice) in received:
                    self._settle(caller.uscc, notice)
                elif notice == entry.notice and len(left) < MAX_NOTICES:
                    left.append(notice)
        return tuple(left)

    def _changed(self, report: bytes, version: int, change: Change) -> None:
        logger.info("medical.report-changed", report=report.hex(), version=version, change=change)
        self.look(report)

    def _step(self) -> float:
        if not self._is_open():
            return 0.5
        with self._lock:
            pending, self._pending = self._pending, set()
        try:
            if pending is None:
                pending = {step.report for step in self._dialogue.steps.every() if step.role == "provider"}
                pending |= {one.report for one in self._examinations.given()}
            for report in sorted(pending):
                self._compare(report)
        except BaseException:
            with self._lock:
                self._pending = None  # everything is looked at again
            raise
        self._deliver()
        return INTERVAL_S

    def _compare(self, report: bytes) -> None:
        """Queue a notice for each member that has the report, or facts of it, and does not know what it is now; and
        one for the patient, who was told that it was opened."""
        kept = self._dialogue.reports.get(report)
        if kept is None:
            return
        change: Change = "withdrawn" if kept.withdrawn else "corrected"
        opened: dict[str, int] = {}
        for step in self._dialogue.steps.of_report(report, "provider"):
            if step.kind == "open" and step.half:
                opened[step.counterpart] = max(step.version, opened.get(step.counterpart, 0))
        for one in self._examinations.given(report):
            exchange = self._context.exchanges.get(one.exchange, "provider")
            # Before the half receipt nothing of an exchange was released.
            if exchange is not None and exchange.half:
                opened[one.consumer] = max(one.version, opened.get(one.consumer, 0))
        for hospital, version in opened.items():
            with self._owing:
                known = self._store.get("provider", hospital, report)
                knows = (known.version, known.change) if known is not None else (0, "")
                if knows == (kept.offer.version, change) or (change == "corrected" and version >= kept.offer.version):
                    continue
                notice = ChangeNotice(
                    chain=self._context.genesis_digest,
                    provider=self._context.member,
                    consumer=hospital,
                    report=report,
                    version=kept.offer.version,
                    change=change,
                    time_ms=self._context.clock(),
                )
                if self._is_told(report):
                    # Before it is noted who knows: a stop in between posts it again, under the same key.
                    event = change_event(report, notice.version, change)
                    self._dialogue.notices.post(event, kept.subject, change, report, notice.time_ms // 1_000)
                signed = sign_notice(self._context.signers[KeyRole.RECEIPT], notice)
                entry = _entry(notice, hospital, signed, 0)
                if known is not None and known.log_index < 0:
                    entry = msgspec.structs.replace(entry, replaced=(*known.replaced, known.notice)[-_REPLACED:])
                self._store.put("provider", entry)
                self._noticed += 1

    def _is_told(self, report: bytes) -> bool:
        """Whether the patient is told of an access to a report: not where all were for purposes that are withheld."""
        citizens = self._context.config.citizens
        for step in self._dialogue.steps.of_report(report, "provider"):
            if step.kind == "open" and step.half and citizens.tells(decode_step(step.request).purpose):
                return True
        found = (self._context.exchanges.get(one.exchange, "provider") for one in self._examinations.given(report))
        return any(tells_of(self._context, exchange) for exchange in found)

    def _deliver(self) -> None:
        problem: LedgerError | None = None
        away: set[str] = set()
        for entry in self.owed():
            if entry.counterpart in away:
                continue
            try:
                if not entry.told_ms:
                    self._dialogue.road.tell(self._context, entry.counterpart, entry.notice)
                self._settle(entry.counterpart, entry.notice)
            except UnavailableError as error:
                away.add(entry.counterpart)
                problem = error
            except LedgerError as error:
                logger.warning("medical.not-told", hospital=entry.counterpart, code=error.code)
                if error.code == "medical.not-opened":
                    # Its side of the step was refused: there is nothing it relies on, and nothing is owed any more.
                    self._drop(entry)
        if problem is not None:
            raise problem

    def _drop(self, entry: ChangeEntry) -> None:
        """The other member says that it has nothing of the report: unless there is a newer notice, none is owed."""
        with self._owing:
            now = self._store.get("provider", entry.counterpart, entry.report)
            if now is not None and now.notice == entry.notice:
                self._store.remove("provider", entry.counterpart, entry.report)

    def _settle(self, counterpart: str, notice: bytes) -> None:
        """The other hospital has a notice: that is kept and put on record, also where a newer one took its place."""
        told = decode_notice(notice)
        with self._owing:
            now = self._store.get("provider", counterpart, told.report)
            if now is not None and now.notice == notice:
                if not now.told_ms:
                    now = self._store.put("provider", msgspec.structs.replace(now, told_ms=self._context.clock()))
                self._log("provider", now)
            elif now is not None and notice in now.replaced:
                # Its own time: a repeat after a crash must be the same record.
                self._log("provider", _entry(told, counterpart, notice, told.time_ms), now)

    def _log(self, role: str, entry: ChangeEntry, instead: ChangeEntry | None = None) -> ChangeEntry:
        """Put a notice on record, once. ``instead``: the row that took its place, in which it is named no more."""
        if entry.log_index >= 0:
            return entry
        side = "provider" if role == "provider" else "consumer"
        body = {
            "report": entry.report.hex(),
            "version": entry.version,
            "change": entry.change,
            "counterpart": entry.counterpart,
            "role": side,
            "notice": notice_digest(entry.notice).hex(),
        }
        key = side.encode() + b"\n" + notice_digest(entry.notice)
        index = trail.write_once(self._context, "medical.told", body, entry.told_ms, key)
        if instead is not None:
            left = tuple(one for one in instead.replaced if one != entry.notice)
            return self._store.put(side, msgspec.structs.replace(instead, replaced=left))
        return self._store.put(side, msgspec.structs.replace(entry, log_index=index))


def _entry(notice: ChangeNotice, counterpart: str, signed: bytes, told_ms: int) -> ChangeEntry:
    return ChangeEntry(
        counterpart=counterpart,
        report=notice.report,
        version=notice.version,
        change=notice.change,
        time_ms=notice.time_ms,
        notice=signed,
        told_ms=told_ms,
    )
