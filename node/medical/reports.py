"""The reports of this hospital: taken in, corrected, withdrawn, and offered to others.

Each is read first (:mod:`node.medical.drafts`), then taken in together with whatever else came
(:mod:`node.medical.intake`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from ledger.errors import FatalError, InvalidInputError, LedgerError, NotFoundError, UnavailableError
from ledger.events import LABEL
from ledger.medical.fhir import read_report
from ledger.medical.model import OfferedReport, facts_of
from ledger.storage.reports import Change, ReportRow, ReportStore, facts_rows
from node.loops import Loop
from node.medical.consenting import is_consent, take_consent
from node.medical.drafts import Draft, read_draft
from node.medical.incoming import Incoming, Ingested
from node.medical.intake import Intake
from node.medical.judging import require_own_hospital
from node.medical.patients import Enrolment, Patients
from node.medical.readers import Readers
from node.medical.reportrows import part_name, salt_name, version_name

if TYPE_CHECKING:
    from ledger.medical.ruleset import RuleSet
    from ledger.storage.vault import Vault
    from node.context import NodeContext
    from node.medical.ports import RuleSource

#: Reason in the record of a withdrawal that came as a report: its status.
_ENTERED_IN_ERROR: Final = "entered-in-error"
_RETRY_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptReport:
    """A report of this hospital. ``subject``: 32 bytes, the patient; ``data``: the report as it was received;
    ``salt``: of its record's commitment, 32 bytes."""

    offer: OfferedReport
    subject: bytes
    data: bytes
    withdrawn: bool
    salt: bytes


class Reports:
    """The reports of one hospital. Thread-safe; several may be taken in at once."""

    def __init__(
        self,
        context: NodeContext,
        vault: Callable[[], Vault],
        rules: RuleSource,
        enrolment: Enrolment,
        is_open: Callable[[], bool],
        on_fatal: Callable[[LedgerError], None],
        readers: Readers | None = None,
    ) -> None:
        """``vault`` is opened with the first report; ``enrolment``: lets a subject be found by an identity number;
        ``readers``: read what comes together."""
        self._context = context
        self._vault = vault
        self._rules = rules
        self._is_open = is_open
        self._readers = readers
        #: The rule set the readers were given last: its digest and its file.
        self._file = (b"", b"")
        self.store = ReportStore(context.medical.rows.sub(b"report/"))
        self._patients = Patients(vault, enrolment, lambda *two: context.medical.consents.carry_over(*two))
        self._intake = Intake(context, vault, self.store, self._patients, enrolment, self._about)
        #: The head of the chain at which this member was seen to be a hospital.
        self._hospital_at = b""
        self._told: list[Callable[[bytes, int, Change], None]] = []
        self.loop = Loop("reports", self._step, metrics=context.metrics, on_fatal=on_fatal)

    # --- taking in ----------------------------------------------------------------------------------------------------
    def ingest(self, data: bytes, via: str) -> Ingested:
        """Take in a report or Consent in FHIR R4; durable, on record and in force when answered. A repeat is answered
        as before.

        ``via``: a word for the way it came. Raises: NotAllowedError(medical.not-hospital), UnavailableError,
        FatalError; what is wrong with the report itself is in the answer.
        """
        (done,) = self.ingest_all((data,), via)
        if isinstance(done, Exception):
            raise done
        return done

    def ingest_all(self, sent: Sequence[bytes], via: str) -> list[Ingested | Exception]:
        """The same for many, kept together: what became of each, in their order; an error where it could not be kept.

        Raises: NotAllowedError(medical.not-hospital), UnavailableError, FatalError: nothing of them was kept.
        """
        self._require_hospital()
        done: list[Ingested | Exception] = []
        reports: list[bytes] = []
        for data in sent:
            if is_consent(data):
                done += self._reports(reports, via)
                done.append(self._consent(data, via))
                reports = []
            else:
                reports.append(data)
        return done + self._reports(reports, via)

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
        if not LABEL.accepts(reason):
            raise InvalidInputError(
                "medical.reason", f"the reason of a withdrawal is not: {LABEL.meaning}", hint='e.g. "sample-mixed-up"'
            )

        def withdrawn() -> ReportRow | None:
            row = self.require(report)
            if row.withdrawn:
                return None
            return msgspec.structs.replace(
                row,
                withdrawn=True,
                reason=reason,
                status=_ENTERED_IN_ERROR,
                received_ms=self._context.clock(),
                commitment=b"",
            )

        row = self._intake.withdraw(withdrawn) or self.require(report)
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
            salt = self._vault().get(salt_name(row.id, row.version))
        except NotFoundError:
            return None
        return KeptReport(offer=row.offer(), subject=subject, data=data, withdrawn=row.withdrawn, salt=salt)

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
        with self._intake.still():
            self.store.erase({name[7:39] for name in names if name.startswith(b"report/")})

    # --- inside -------------------------------------------------------------------------------------------------------
    def _require_hospital(self) -> None:
        head = self._context.chain.head().hash
        if head != self._hospital_at:
            require_own_hospital(self._context)
            self._hospital_at = head

    def _reports(self, sent: Sequence[bytes], via: str) -> list[Ingested | Exception]:
        if not sent:
            return []
        now_ms = self._context.clock()
        version, digest, rules = self._named(now_ms // 1_000)
        drafts = self._read_apart(sent, now_ms // 1_000, digest, rules)
        if drafts is None:
            drafts = [
                read_draft(data, institution=self._context.member, now_s=now_ms // 1_000, rules=rules) for data in sent
            ]
        coming = [
            Incoming(data=data, via=via, now_ms=now_ms, rules=version, draft=draft)
            for data, draft in zip(sent, drafts, strict=True)
        ]
        self._intake.take(coming)
        if any(one.changes for one in coming):
            self._tell()
        return [one.result() for one in coming]

    def _read_apart(
        self, sent: Sequence[bytes], now_s: int, digest: bytes, rules: RuleSet | None
    ) -> list[Draft] | None:
        """Read by processes of their own; None where there are none."""
        if self._readers is None:
            return None
        if rules is None:
            return self._readers.read(sent, self._context.member, now_s, b"", b"")
        known, file = self._file
        if known != digest:
            file = self._rules.held(digest)
            self._file = digest, file
        return self._readers.read(sent, self._context.member, now_s, digest, file) if file else None

    def _consent(self, data: bytes, via: str) -> Ingested | Exception:
        now_ms = self._context.clock()
        try:
            changed, found = take_consent(self._context, self._intake.subject, data, now_ms // 1_000)
        except LedgerError as error:
            return error
        if changed is None:
            return self._intake.refuse(data, via, now_ms, found)
        return Ingested(state="consented" if changed else "known", problems=found)

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
        if not self._intake.settled and self.store.begun():
            self._intake.settle()
        self._tell()
        if self._readers is not None:
            self._readers.rest()
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
        version, _, rules = self._named(at_s)
        return version, rules

    def _named(self, at_s: int) -> tuple[int, bytes, RuleSet | None]:
        try:
            return self._rules.in_force(at_s)
        except FatalError:
            raise
        except LedgerError:
            # No rules, or none that can be had now: everything is kept, and mapped once there are.
            return 0, b"", None
