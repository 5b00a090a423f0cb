"""The reports of this hospital: taken in, corrected, withdrawn, and offered to others.

Order of a report's way in: what is about to come is noted (without the patient); the report lies in the vault under
its patient's key; its record is in the log; it is offered, and only then acknowledged. A crash between any two leaves
nothing that the next start does not finish, or, where the vault has nothing, forget: the sender sends it again.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from ledger.codec import commitment
from ledger.errors import FatalError, InvalidInputError, LedgerError, NotFoundError, UnavailableError
from ledger.events import LABEL
from ledger.medical.fhir import Reading, read_report
from ledger.medical.fhirproblems import Problem, problem
from ledger.medical.model import OfferedReport, Report, facts_of
from ledger.storage.reports import Change, Refusal, ReportRow, ReportStore, facts_rows
from node.loops import Loop
from node.medical.consenting import is_consent, take_consent
from node.medical.judging import require_own_hospital
from node.medical.patients import Patients
from node.medical.reportrows import (
    State,
    is_older,
    part_name,
    record_body,
    row_of,
    state_of,
    version_name,
)
from node.trail import records as trail

if TYPE_CHECKING:
    from ledger.medical.ruleset import RuleSet
    from ledger.storage.vault import Vault
    from node.context import NodeContext
    from node.medical.ports import RuleSource

#: Type line of the commitment to a report as received.
REPORT_TYPE: Final = "medical.offered/report"
#: Reason in the record of a withdrawal that came as a report: its status.
_ENTERED_IN_ERROR: Final = "entered-in-error"
#: The kind of links in the vault that lead from a report's number.
_BY_NUMBER: Final = b"report"
_LOCKS: Final = 64
_RETRY_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """What became of something that was sent. ``report``: 32 bytes, empty where it was refused."""

    state: State
    problems: tuple[Problem, ...]
    report: bytes = b""
    version: int = 0

    @property
    def refused(self) -> bool:
        """Whether nothing of it was kept."""
        return self.state == "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptReport:
    """A report of this hospital. ``subject``: 32 bytes, the patient; ``data``: the report as it was received."""

    offer: OfferedReport
    subject: bytes
    data: bytes
    withdrawn: bool


class Reports:
    """The reports of one hospital. Thread-safe; several may be taken in at once."""

    def __init__(
        self,
        context: NodeContext,
        vault: Callable[[], Vault],
        rules: RuleSource,
        enrol: Callable[[bytes, str], None],
        is_open: Callable[[], bool],
        on_fatal: Callable[[LedgerError], None],
    ) -> None:
        """``vault`` is opened with the first report; ``enrol``: lets a subject be found by an identity number."""
        self._context = context
        self._vault = vault
        self._rules = rules
        self._patients = Patients(vault, enrol, lambda *two: context.medical.consents.carry_over(*two))
        self._is_open = is_open
        self.store = ReportStore(context.medical.rows.sub(b"report/"))
        self._locks = tuple(threading.Lock() for _ in range(_LOCKS))
        self._settling = threading.Lock()
        self._settled = False
        #: Reports on their way in at this moment.
        self._active: set[bytes] = set()
        self._told: list[Callable[[bytes, int, Change], None]] = []
        self.loop = Loop("reports", self._step, metrics=context.metrics, on_fatal=on_fatal)

    # --- taking in ----------------------------------------------------------------------------------------------------
    def ingest(self, data: bytes, via: str) -> Ingested:
        """Take in a report or Consent in FHIR R4; durable, on record and in force when answered. A repeat is answered
        as before.

        ``via``: a word for the way it came. Raises: NotAllowedError(medical.not-hospital), UnavailableError,
        FatalError; what is wrong with the report itself is in the answer.
        """
        require_own_hospital(self._context)
        self._settle()
        now_ms = self._context.clock()
        if is_consent(data):
            changed, found = take_consent(self._context, self._patients.subject, data, now_ms // 1_000)
            if changed is None:
                return self._refuse(found, data, via, now_ms)
            return Ingested(state="consented" if changed else "known", problems=found)
        version, rules = self._in_force(now_ms // 1_000)
        reading = read_report(data, institution=self._context.member, now_s=now_ms // 1_000, rules=rules)
        if reading.report is None:
            return self._refuse(reading.problems, data, via, now_ms)
        with self._lock_of(reading.report.identifier):
            refused, known, subject = self._compare(reading, reading.report, data)
            if refused is not None:
                return self._refuse((refused,), data, via, now_ms)
            if known is not None and subject == b"":
                return Ingested(state="known", problems=reading.problems, report=known.id, version=known.version)
            row = row_of(reading, reading.report, known, rules_version=version, now_ms=now_ms, via=via)
            row = self._keep(row, known, reading.report.identifier, subject, data)
        return Ingested(state=state_of(row), problems=reading.problems, report=row.id, version=row.version)

    def take(self, data: bytes) -> Ingested:
        """A report that came by HTTP, where no gate stands before. Raises: as :meth:`ingest`."""
        if not self._is_open():
            raise UnavailableError(
                "node.starting", "the node takes nothing in before its log is open", hint="try again in a moment"
            )
        return self.ingest(data, "http")

    def withdraw(self, report: bytes, reason: str) -> ReportRow:
        """Take a report back; on record when answered, and once only. ``reason``: a code.

        Raises: NotFoundError(medical.report-unknown), InvalidInputError(medical.reason).
        """
        require_own_hospital(self._context)
        self._settle()
        if not LABEL.accepts(reason):
            raise InvalidInputError(
                "medical.reason", f"the reason of a withdrawal is not: {LABEL.meaning}", hint='e.g. "sample-mixed-up"'
            )
        # Nothing may come in of this report meanwhile, and only its sender's number says which lock is its own.
        with self._still():
            row = self.require(report)
            if row.withdrawn:
                return row
            withdrawn = msgspec.structs.replace(
                row,
                withdrawn=True,
                reason=reason,
                status=_ENTERED_IN_ERROR,
                received_ms=self._context.clock(),
                commitment=b"",
            )
            row = self._finish(self.store.begin(withdrawn))
        self._tell()
        return row

    # --- what others ask ----------------------------------------------------------------------------------------------
    def offers(self, subject: bytes) -> tuple[OfferedReport, ...]:
        """What is offered of a patient, oldest first, by the rules in force now."""
        return tuple(row.offer() for row in self.rows(subject))

    def rows(self, subject: bytes) -> tuple[ReportRow, ...]:
        """The rows of a patient's reports, oldest first, by the rules in force now."""
        names = {name[7:39] for name in self._vault().names(subject) if name.startswith(b"report/")}
        rows = [row for name in names if (row := self.store.get(name)) is not None]
        in_force = self._in_force(self._context.clock() // 1_000)
        return tuple(self._mapped(row, in_force) for row in sorted(rows, key=lambda row: row.number))

    def get(self, report: bytes) -> KeptReport | None:
        """A report by its id; None when unknown or erased."""
        row = self.store.get(report)
        if row is None:
            return None
        row = self._mapped(row, self._in_force(self._context.clock() // 1_000))
        try:
            subject = self._vault().get(part_name(row.id, b"subject"))
            data = self._data(row)
        except NotFoundError:
            return None
        return KeptReport(offer=row.offer(), subject=subject, data=data, withdrawn=row.withdrawn)

    def identified(self, identity: str) -> bytes | None:
        """The patient (32 bytes) of an identity (kind and number) that came with a report; None where none has it."""
        return self._patients.identified(identity)

    def require(self, report: bytes) -> ReportRow:
        """A report's row. Raises: NotFoundError(medical.report-unknown)."""
        row = self.store.get(report)
        if row is None:
            raise NotFoundError(
                "medical.report-unknown",
                "no such report is kept here",
                hint="civicledger medical reports shows them; it may have been erased",
                actual=report,
            )
        return row

    # --- who listens --------------------------------------------------------------------------------------------------
    def on_changed(self, told: Callable[[bytes, int, Change], None]) -> None:
        """Tell of every correction and withdrawal (report, version after it, kind), once durable; perhaps twice."""
        self._told.append(told)

    def erase(self, _subjects: Sequence[bytes], names: Sequence[bytes]) -> None:
        """Drop what is kept of reports whose data (by their names in the vault) are erased."""
        # One that was on its way in would write its row after that.
        with self._still():
            self.store.erase({name[7:39] for name in names if name.startswith(b"report/")})

    # --- inside -------------------------------------------------------------------------------------------------------
    def _compare(self, reading: Reading, report: Report, data: bytes) -> tuple[Problem | None, ReportRow | None, bytes]:
        """(why it is refused, the version kept before, whose it is): no subject where the same bytes are kept. Nothing
        is made of a patient before nothing refuses."""
        vault, identity = self._vault(), None if reading.identity is None else f"ric:{reading.identity}"
        whose = self._patients.find(report.patient, identity)
        if whose is None:
            return problem("report.patient-conflict"), None, b""
        link = vault.linked(_BY_NUMBER, report.identifier.encode())
        known = self.store.numbered(link.mark) if link is not None else None
        if link is not None and known is not None:
            # Else taken in before the patient's two record numbers were known to be one person's.
            if link.subject not in (whose[0], vault.find(report.patient.encode())):
                return problem("report.other-patient"), known, b""
            for version in range(known.version, 0, -1):
                if vault.has(version_name(known.id, version)) and vault.get(version_name(known.id, version)) == data:
                    # An earlier version sent once more is no correction of the present one.
                    return (None if version == known.version else problem("report.older")), known, b""
            if is_older(known, reading.updated_s):
                return problem("report.older"), known, b""
            before = self._about(known)
            if before and reading.about and not before & reading.about:
                return problem("report.other-examination"), known, b""
        subject = self._patients.subject(report.patient, identity)
        if subject is None:
            return problem("report.patient-conflict"), None, b""
        return None, known, subject if link is None or known is None else link.subject

    @contextmanager
    def _still(self) -> Iterator[None]:
        """While inside, no report is on its way in."""
        with ExitStack() as held:
            for lock in self._locks:
                held.enter_context(lock)
            yield

    def _keep(self, row: ReportRow, known: ReportRow | None, identifier: str, subject: bytes, data: bytes) -> ReportRow:
        vault, salt = self._vault(), secrets.token_bytes(32)
        row = msgspec.structs.replace(row, commitment=commitment(REPORT_TYPE, salt, data))
        self._active.add(row.id)
        try:
            row = self.store.begin(row)
            if known is None:
                vault.link(_BY_NUMBER, identifier.encode(), subject, row.number)
            payload = version_name(row.id, row.version)
            rows = {payload: data, payload + b"/salt": salt, part_name(row.id, b"subject"): subject}
            vault.put_all(subject, rows, {payload: row.commitment})
            row = self._finish(row)
        except BaseException:
            # What is half done is looked at before the next report comes in.
            self._settled = False
            raise
        finally:
            self._active.discard(row.id)
        if known is not None:
            self._tell()
        return row

    def _finish(self, row: ReportRow) -> ReportRow:
        """Log a version and offer it; a repeat after a crash logs nothing twice."""
        type_ = "medical.withdrawn" if row.withdrawn else "medical.offered" if row.version == 1 else "medical.corrected"
        key = row.id + row.version.to_bytes(4, "big") + (b"withdrawn" if row.withdrawn else b"")
        index = trail.write_once(self._context, type_, record_body(row), row.received_ms, key)
        row = msgspec.structs.replace(row, log_index=index)
        change: Change | None = "withdrawn" if row.withdrawn else "corrected"
        # Nobody can have opened what was withdrawn before it was offered.
        if row.version == 1 and row.commitment:
            change = None
        self.store.finish(row, change)
        return row

    def _refuse(self, problems: tuple[Problem, ...], data: bytes, via: str, now_ms: int) -> Ingested:
        codes = tuple(dict.fromkeys(item.code for item in problems))
        self.store.refuse(Refusal(time_ms=now_ms, via=via, codes=codes, byte_count=len(data)))
        return Ingested(state="refused", problems=problems)

    def _settle(self) -> None:
        """Once, before anything else: what a crash cut short is finished, or forgotten where nothing was kept."""
        if self._settled:
            return
        with self._settling:
            if self._settled:
                return
            for row in self.store.begun():
                if row.id in self._active:
                    continue
                if self._vault().has(version_name(row.id, row.version)):
                    self._finish(row)
                else:
                    self.store.abandon(row.id)
            self._settled = True

    def _tell(self) -> None:
        if not self._told:
            return
        for sequence, report, version, kind in self.store.changes():
            for told in self._told:
                told(report, version, kind)
            self.store.told(sequence)

    def _step(self) -> float:
        if not self._is_open():
            return 1.0
        # A node that keeps nothing of patients gets no vault by looking.
        if not self._settled and self.store.begun():
            self._settle()
        self._tell()
        return _RETRY_S

    def _mapped(self, row: ReportRow, in_force: tuple[int, RuleSet | None]) -> ReportRow:
        """A row by the rules in force now: a code that was unmapped at ingest may have become an item since."""
        version, rules = in_force
        if row.rules == version or rules is None:
            return row
        try:
            data = self._data(row)
        except NotFoundError:
            return row
        reading = read_report(data, institution=row.institution, now_s=row.received_ms // 1_000, rules=rules)
        if reading.report is None:
            return row
        row = msgspec.structs.replace(row, facts=facts_rows(facts_of(reading.report)), rules=version)
        self.store.remap(row)
        return row

    def _about(self, row: ReportRow) -> frozenset[tuple[str, str]]:
        try:
            data = self._data(row)
        except NotFoundError:
            return frozenset()
        return read_report(data, institution=row.institution, now_s=row.received_ms // 1_000, rules=None).about

    def _data(self, row: ReportRow) -> bytes:
        return self._vault().get(version_name(row.id, row.version))

    def _in_force(self, at_s: int) -> tuple[int, RuleSet | None]:
        try:
            version, _, rules = self._rules.in_force(at_s)
        except FatalError:
            raise
        except LedgerError:
            # No rules, or none that can be had now: everything is kept, and mapped once there are.
            return 0, None
        return version, rules

    def _lock_of(self, identifier: str) -> threading.Lock:
        return self._locks[hash(identifier) % _LOCKS]
