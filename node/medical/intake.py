"""Reports on their way in, many at a time: whatever came while others were being kept is kept together.

Whoever brings reports joins the queue; one of those who wait takes in all that is there, and everybody gets his own
answers. What is shared is the work, never the fate: a report that cannot be kept is taken out, and the others go on.

Order of the way in: that these are about to come is noted (without the patients); subjects and links are in the key
store; the reports lie in the vault under their patients' keys; their records are in the log; they are offered, and only
then answered. A crash between any two leaves nothing that the next start does not finish, or, where the vault has
nothing, forget: the sender sends it again.
"""

from __future__ import annotations

import secrets
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from ledger.codec import commitment
from ledger.errors import ConflictError, FatalError, InvalidInputError, LedgerError, NotFoundError, UnavailableError
from ledger.medical.fhirproblems import Problem, problem
from ledger.storage.reports import Refusal, ReportRow, ReportStore
from node.medical.drafts import ReportDraft
from node.medical.incoming import Incoming, Ingested
from node.medical.patients import Enrolment, JoiningError, Patients
from node.medical.reportrows import (
    finishing,
    is_older,
    part_name,
    record_body,
    row_of,
    salt_name,
    state_of,
    version_name,
)
from node.trail import records as trail

if TYPE_CHECKING:
    from ledger.storage.vault import Vault
    from ledger.storage.vaultstage import Stage
    from node.context import NodeContext

#: Type line of the commitment to a report as received.
REPORT_TYPE: Final = "medical.offered/report"
#: The kind of links in the vault that lead from a report's number.
BY_NUMBER: Final = b"report"
#: Reports taken in together, and their bytes: what is held in memory for one write.
_GROUP, _GROUP_BYTES = 64, 16 << 20


@dataclass(slots=True)
class _Plan:
    """A report that is to be kept."""

    item: Incoming
    report: ReportDraft
    row: ReportRow
    known: bool
    subject: bytes
    salt: bytes


@dataclass(slots=True)
class _Group:
    """What is written together."""

    stage: Stage
    plans: list[_Plan] = field(default_factory=list)
    enrolled: dict[bytes, None] = field(default_factory=dict)
    refused: list[tuple[Incoming, tuple[Problem, ...]]] = field(default_factory=list)
    known: list[tuple[Incoming, Ingested]] = field(default_factory=list)


class Intake:
    """The one way of reports into the vault, the log and the rows. Thread-safe."""

    def __init__(
        self,
        context: NodeContext,
        vault: Callable[[], Vault],
        store: ReportStore,
        patients: Patients,
        enrolment: Enrolment,
        about: Callable[[ReportRow], frozenset[tuple[str, str]]],
    ) -> None:
        """``about``: (system, code) pairs of what a kept version is about."""
        self._context = context
        self._vault = vault
        self._store = store
        self._patients = patients
        self._enrolment = enrolment
        self._about = about
        self._guard = threading.Lock()
        self._queue: deque[Incoming] = deque()
        #: Held while anything of reports is written: nothing else comes in meanwhile.
        self._writing = threading.RLock()
        self._settled = False

    def take(self, items: Sequence[Incoming]) -> None:
        """Take these in; on return each is over. A report that was sent before is answered as before."""
        if not items:
            return
        with self._guard:
            self._queue.extend(items)
        # In the order of the queue: the last of them is over last.
        while not items[-1].over:
            with self._writing:
                if not items[-1].over:
                    self._take_next()

    def subject(self, patient: str, identity: str | None) -> bytes | None:
        """The patient's subject, made where new, durable; None where number and identity belong to two.

        Raises: InvalidInputError(vault.name | pseudonym.identity).
        """
        with self._writing:
            self.settle()
            group = _Group(self._vault().stage())
            subject, new = self._patients.subject(group.stage, patient, identity)
            if subject is not None:
                if new:
                    group.enrolled[subject] = None
                self._write(group)
        return subject

    def still(self) -> AbstractContextManager[object]:
        """While inside, no report is on its way in but this thread's own."""
        return self._writing

    def withdraw(self, withdrawn: Callable[[], ReportRow | None]) -> ReportRow | None:
        """Put a withdrawal on record. ``withdrawn`` gives it while nothing comes in; None: it is withdrawn already."""
        with self._writing:
            self.settle()
            row = withdrawn()
            if row is None:
                return None
            self._settled = False
            (row,) = self._finish(self._store.begin([row]))
            self._settled = True
        return row

    def refuse(self, data: bytes, via: str, now_ms: int, problems: tuple[Problem, ...]) -> Ingested:
        """Remember that something was refused; the answer."""
        self._store.refuse([_refusal(data, via, now_ms, problems)])
        return Ingested(state="refused", problems=problems)

    def settle(self) -> None:
        """Before anything else: what a crash cut short is finished, or forgotten where nothing was kept."""
        if self._settled:
            return
        with self._writing:
            if self._settled:
                return
            kept = []
            for row in self._store.begun():
                if self._vault().has(version_name(row.id, row.version)):
                    kept.append(row)
                else:
                    self._store.abandon(row.id)
            self._finish(kept)
            self._settled = True

    @property
    def settled(self) -> bool:
        """Whether nothing is left of an earlier run."""
        return self._settled

    # --- inside -------------------------------------------------------------------------------------------------------
    def _take_next(self) -> None:
        group: list[Incoming] = []
        with self._guard:
            size = 0
            while self._queue and len(group) < _GROUP and (not group or size < _GROUP_BYTES):
                group.append(self._queue.popleft())
                size += len(group[-1].data)
        try:
            self.settle()
            self._take_all(group)
        except Exception as error:
            # What is half done is looked at before the next report comes in.
            self._settled = False
            for item in group:
                if not item.over:
                    item.error = error
        finally:
            if any(not item.over for item in group):
                # The thread is being ended from outside: whoever else waits is not left waiting.
                self._settled = False
                for item in (one for one in group if not one.over):
                    item.error = UnavailableError(
                        "node.stopping", "the node is stopping", hint="send it again when the node runs"
                    )

    def _take_all(self, items: Sequence[Incoming]) -> None:
        while items:
            # Two versions of one report are compared with each other only once the first is kept.
            end, numbers = 0, set[str]()
            for item in items:
                report = item.draft.report
                if report is not None:
                    if report.identifier in numbers:
                        break
                    numbers.add(report.identifier)
                end += 1
            self._take_together(items[:end])
            items = items[end:]

    def _take_together(self, items: Sequence[Incoming]) -> None:
        try:
            self._attempt(items)
        except (NotFoundError, ConflictError, InvalidInputError) as error:
            # One of them cannot be kept (its patient was erased at this moment, say): the others can.
            self._settled = False
            self.settle()
            if len(items) == 1:
                items[0].error = error
                return
            for item in items:
                if not item.over:
                    self._take_together([item])

    def _attempt(self, items: Sequence[Incoming]) -> None:
        while items:
            done = self._attempt_some(items)
            items = items[done:]

    def _attempt_some(self, items: Sequence[Incoming]) -> int:
        """Keep these, or as many of the first as can be kept together; how many."""
        group, count = _Group(self._vault().stage()), 0
        for item in items:
            try:
                self._plan(group, item)
            except JoiningError:
                break
            except FatalError:
                raise
            except LedgerError as error:
                item.error = error
            count += 1
        self._write(group)
        if group.refused:
            self._store.refuse(_refusal(item.data, item.via, item.now_ms, problems) for item, problems in group.refused)
        for item, problems in group.refused:
            item.done = Ingested(state="refused", problems=problems)
        for item, done in group.known:
            item.done = done
        return count

    def _plan(self, group: _Group, item: Incoming) -> None:
        report = item.draft.report
        if report is None:
            group.refused.append((item, item.draft.problems))
            return
        stage, enrolled = group.stage.above(), list[bytes]()
        refused, known, subject = self._compare(stage, report, item.data, enrolled)
        if refused is not None:
            group.refused.append((item, (refused,)))
            return
        if known is not None and subject == b"":
            done = Ingested(state="known", problems=item.draft.problems, report=known.id, version=known.version)
            group.known.append((item, done))
        else:
            salt = secrets.token_bytes(32)
            row = row_of(
                report,
                known,
                rules_version=item.rules,
                now_ms=item.now_ms,
                via=item.via,
                commitment=commitment(REPORT_TYPE, salt, item.data),
            )
            payload, new = version_name(row.id, row.version), known is None
            stage.put(subject, payload, item.data, row.commitment, fresh=new)
            stage.put(subject, salt_name(row.id, row.version), salt, fresh=new)
            stage.put(subject, part_name(row.id, b"subject"), subject, fresh=new)
            group.plans.append(_Plan(item, report, row, not new, subject, salt))
        group.stage.merge(stage)
        group.enrolled |= dict.fromkeys(enrolled)

    def _write(self, group: _Group) -> None:
        with self._enrolment.enrolling(tuple(group.enrolled)):
            rows = self._store.begin([plan.row for plan in group.plans]) if group.plans else []
            for plan, row in zip(group.plans, rows, strict=True):
                if not plan.known:
                    group.stage.link(BY_NUMBER, plan.report.identifier.encode(), plan.subject, row.number)
            self._vault().write(group.stage)
        for plan, row in zip(group.plans, self._finish(rows), strict=True):
            plan.item.done = Ingested(
                state=state_of(row), problems=plan.item.draft.problems, report=row.id, version=row.version
            )

    def _finish(self, rows: Sequence[ReportRow]) -> list[ReportRow]:
        """Log versions and offer them; a repeat after a crash logs nothing twice."""
        if not rows:
            return []
        ways = [finishing(row) for row in rows]
        begun = [
            trail.begin_once(self._context, type_, record_body(row), row.received_ms, key)
            for row, (type_, key, _) in zip(rows, ways, strict=True)
        ]
        done = [
            msgspec.structs.replace(row, log_index=pending.result()[0])
            for row, pending in zip(rows, begun, strict=True)
        ]
        self._store.finish((row, change) for row, (_, _, change) in zip(done, ways, strict=True))
        return done

    def _compare(
        self, stage: Stage, report: ReportDraft, data: bytes, enrolled: list[bytes]
    ) -> tuple[Problem | None, ReportRow | None, bytes]:
        """(why it is refused, the version kept before, whose it is): no subject where the same bytes are kept. Nothing
        is made of a patient before nothing refuses."""
        vault, identity = self._vault(), None if report.identity is None else f"ric:{report.identity}"
        whose = self._patients.find(stage, report.patient, identity)
        if whose is None:
            return problem("report.patient-conflict"), None, b""
        link = stage.linked(BY_NUMBER, report.identifier.encode())
        known = self._store.numbered(link.mark) if link is not None else None
        if link is not None and known is not None:
            # Else taken in before the patient's two record numbers were known to be one person's.
            if link.subject not in (whose[0], stage.find(report.patient.encode())):
                return problem("report.other-patient"), known, b""
            for version in range(known.version, 0, -1):
                if vault.has(version_name(known.id, version)) and vault.get(version_name(known.id, version)) == data:
                    # An earlier version sent once more is no correction of the present one.
                    return (None if version == known.version else problem("report.older")), known, b""
            if is_older(known, report.updated_s):
                return problem("report.older"), known, b""
            before = self._about(known)
            if before and report.about and not before & report.about:
                return problem("report.other-examination"), known, b""
        subject, new = self._patients.subject(stage, report.patient, identity)
        if subject is None:
            return problem("report.patient-conflict"), None, b""
        if new:
            enrolled.append(subject)
        return None, known, subject if link is None or known is None else link.subject


def _refusal(data: bytes, via: str, now_ms: int, problems: tuple[Problem, ...]) -> Refusal:
    codes = tuple(dict.fromkeys(one.code for one in problems))
    return Refusal(time_ms=now_ms, via=via, codes=codes, byte_count=len(data))
