"""The records of medicine in the own log as AuditEvents of IHE BALP, each with a pseudonym of whom it is about.

The pseudonym of a patient of this hospital is a digest of a random number in its vault: the same in every event, nobody
else's, and gone with the patient's erasure. Where the hospital does not know the patient (another's report that it
opened, a patient that was erased) the pseudonym stands for that one report or record alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from ledger.codec import decode_record, domain_digest
from ledger.errors import NotFoundError
from ledger.medical.balp import audit_event, report_of
from ledger.model import Record
from node.medical.reportrows import part_name

if TYPE_CHECKING:
    from node.context import NodeContext

#: Records of the log read together.
_AT_ONCE: Final = 1_000
#: Records that one page looks through at most.
_LOOKED_THROUGH: Final = 100_000


def medical_records(context: NodeContext, first: int = 0, stop: int | None = None) -> Iterator[tuple[int, Record]]:
    """Every record of medicine in the own log with its index, in order; of the records ``[first, stop)`` only."""
    size = context.log.size if stop is None else min(stop, context.log.size)
    for begin in range(first, size, _AT_ONCE):
        for offset, entry in enumerate(context.log.read(begin, min(_AT_ONCE, size - begin))):
            if b'"type":"medical.' in entry:
                yield begin + offset, decode_record(entry)


def audit_page(
    context: NodeContext, from_s: int, until_s: int, patient: str, *, first: int, size: int
) -> tuple[list[dict[str, Any]], int]:
    """(at most ``size`` events from the record ``first`` on, the record to go on with or 0 at the end); as
    :func:`audit_events`. At most 100,000 records are looked through."""
    found: list[dict[str, Any]] = []
    stop = min(first + _LOOKED_THROUGH, context.log.size)
    for index, event in audit_events(context, from_s, until_s, patient, first=first, stop=stop):
        if len(found) == size:
            return found, index
        found.append(event)
    return found, stop if stop < context.log.size else 0


def audit_events(
    context: NodeContext, from_s: int, until_s: int, patient: str = "", *, first: int = 0, stop: int | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The events of records in ``[from_s, until_s)`` (Unix seconds) with the records' indices, in the log's order;
    ``patient``: of one only; ``first``, ``stop``: of these records only."""
    pseudonyms = _Pseudonyms(context)
    for index, record in medical_records(context, first, stop):
        if not from_s * 1_000 <= record.time_ms < until_s * 1_000:
            continue
        about = pseudonyms.of(record)
        if patient and about != patient:
            continue
        event = audit_event(record, index=index, patient=about)
        if event is not None:
            yield index, event


class _Pseudonyms:
    """Whom records are about."""

    def __init__(self, context: NodeContext) -> None:
        self._keeping = context.medical.keeping
        self._consents: dict[bytes, bytes] | None = None

    def of(self, record: Record) -> str:
        report = report_of(record)
        if report is not None:
            subject = self._subject(report) if record.body.get("role", "provider") == "provider" else None
            return _pseudonym(subject) if subject is not None else f"report-{report.hex()}"
        told = record.body.get("commitment")
        if isinstance(told, str):
            subject = self._consenting().get(bytes.fromhex(told))
            return _pseudonym(subject) if subject is not None else f"consent-{told}"
        return f"erasure-{record.body['statement']}" if "statement" in record.body else record.type

    def _subject(self, report: bytes) -> bytes | None:
        if not self._keeping.exists:
            return None
        try:
            return self._keeping.vault.get(part_name(report, b"subject"))
        except NotFoundError:
            return None

    def _consenting(self) -> dict[bytes, bytes]:
        """Commitment -> patient, read once and only where a consent changed."""
        if self._consents is None:
            self._consents = {}
            if self._keeping.exists:
                vault = self._keeping.vault
                self._consents = {told: one for one in vault.subjects() for told in vault.commitments(one)}
        return self._consents


def _pseudonym(subject: bytes) -> str:
    return domain_digest("audit-patient", subject).hex()
