"""A hospital's side of one examination for several certificates (一检多证): what it gives to an office under a grant.

The hospital publishes a dataset of the format ``examination``, whose content names which; a grant for it says which
fields an office may have, and for which matter. The request chooses one person by a commitment to the identity number,
opened beside it. The payload is the certificate's fields of that person's newest examination.

Nothing that opens a commitment of such an exchange is kept here: the salt of the payload is derived from that of the
report, which lies in the vault, and the record is filed under the vault's number of the patient.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ledger.codec import encode
from ledger.days import day_of
from ledger.errors import ConflictError, NotAllowedError, NotFoundError
from ledger.evidence.receipt import payload_commitment
from ledger.evidence.request import decode_request
from ledger.medical.certificates import Examination, Examined, decode_content, examined
from ledger.storage.examinations import Given
from ledger.storage.exchanges import ExchangeEntry
from ledger.storage.openings import Opening
from ledger.storage.reports import ReportRow
from node.licences.fetching import HOLDER, Subject, check_subject
from node.medical.judging import require_own_hospital
from node.medical.sealing import derived_salt
from node.trail import records as trail

if TYPE_CHECKING:
    from ledger.directory.catalogue import DatasetMetadata
    from ledger.directory.grants import Scope
    from node.context import NodeContext
    from node.medical.reports import KeptReport

FINDINGS: Mapping[str, str] = {"fit": "合格", "unfit": "不合格"}
#: How names in the vault begin that list the commitments of an exchange: its id and a commitment follow, 32 bytes each.
_GIVEN: Final = b"certified/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is given. ``data``: the payload; ``report``: 32 bytes; ``subject``: the patient, as the vault knows him;
    ``salt``: 32 bytes, which open the commitment to the payload."""

    data: bytes
    report: bytes
    version: int
    subject: bytes
    salt: bytes


def facts_for(
    context: NodeContext,
    content: Iterable[bytes],
    metadata: DatasetMetadata,
    scope: Scope,
    subject: Subject | None,
    consumer: str,
    exchange: bytes,
) -> Facts:
    """The newest examination of the person a request chooses, with the fields of the scope that nothing masks.
    ``exchange``: by which it is given, 32 bytes.

    Raises: NotAllowedError(medical.not-hospital | medical.forbidden), InvalidInputError(licence.no-subject),
    UntrustedError(licence.other-subject), NotFoundError(medical.no-examination),
    ConflictError(medical.finding-conflict).
    """
    require_own_hospital(context)
    examination = decode_content(b"".join(content))
    about = check_subject(scope, subject)
    patient = context.medical.reports.identified(f"ric:{about.holder}")
    if patient is None:
        raise _none()
    if not context.medical.consents.allows(patient, consumer, context.clock() // 1_000):
        raise NotAllowedError(
            "medical.forbidden",
            "the patient forbids that this office is shown the examination",
            hint="only the patient can allow it again",
        )
    row, kept, found = _newest(context, patient, examination)
    masked = {field.name for field in metadata.fields if field.mask is not None}
    values = _values(context.member, row, found) | {HOLDER: about.holder}
    conditions = [(name, allowed) for name, allowed in scope.rows if name != HOLDER]
    if not all(values.get(name) in allowed for name, allowed in conditions):
        raise _none()
    shown = {name: values[name] for name in scope.fields if name in values and name not in masked}
    data = encode({"examination": examination.id, "facts": shown, "v": 1})
    salt = derived_salt(kept.salt, b"exchange", exchange)
    return Facts(data=data, report=row.id, version=row.version, subject=patient, salt=salt)


def give(context: NodeContext, entry: ExchangeEntry, facts: Facts, subject: Subject) -> None:
    """Before an examination can be read: keep whom to tell of changes, put it on record, post the patient's notice.

    Raises: NotFoundError(vault.no-subject), the patient was erased at this moment.
    """
    # Known before there is anything to forget: an erasure finds what leads from the person to this exchange.
    told = payload_commitment(facts.salt, hashlib.sha256(facts.data).digest()), subject.commitment()
    names = {_GIVEN + entry.id + one: one for one in told}
    context.medical.vault.put_all(facts.subject, dict.fromkeys(names, b""), names)
    context.medical.examinations.give(
        Given(report=facts.report, version=facts.version, consumer=entry.counterpart, exchange=entry.id)
    )
    log_certified(context, entry, subject, facts.report, facts.version, patient=facts.subject)
    if tells_of(context, entry):
        context.medical.notices.post(entry.id, facts.subject, "certified", facts.report, context.clock() // 1_000)


def tells_of(context: NodeContext, entry: ExchangeEntry | None) -> bool:
    """Whether a patient is told of an exchange that gave an examination: not for a purpose that is withheld."""
    if not context.config.citizens.withheld:
        return True
    grant = None if entry is None else context.contracts.grants.grant(entry.grant)
    return context.config.citizens.tells("" if grant is None else grant.purpose)


def forget(context: NodeContext, names: Iterable[bytes]) -> None:
    """Let no record be found as one about an erased patient. ``names``: of their data in the vault."""
    context.openings.erase([name[len(_GIVEN) + 32 :] for name in names if name.startswith(_GIVEN)])


def filed_as(context: NodeContext, identity: str) -> str | None:
    """The pseudonym under which records about a person (by the identity number) are filed here, beside those under the
    number itself; None for one who is no patient here, or not any more."""
    medical = context.medical
    patient = medical.reports.identified(f"ric:{identity}") if medical.keeping.exists else None
    return None if patient is None else patient.hex()


def log_certified(
    context: NodeContext,
    entry: ExchangeEntry,
    subject: Subject,
    report: bytes,
    version: int,
    *,
    cause: bytes = b"",
    patient: bytes = b"",
) -> int:
    """Put it on record once, at either side, and let it be found for the person's questions; the record's index.

    ``cause``: commitment to why, at the office; ``patient``: at the hospital, as the vault knows him."""
    body = {
        "exchange": entry.id.hex(),
        "grant": entry.grant.hex(),
        "dataset": entry.dataset.hex(),
        "counterpart": entry.counterpart,
        "role": entry.role,
        "report": report.hex(),
        "version": version,
        "commitment": subject.commitment().hex(),
    }
    if cause:
        body["cause"] = cause.hex()
    # The request's time: an exchange that broke off before its receipt begins again under its nonce, at another time,
    # and perhaps with another version of the report.
    time_ms = decode_request(entry.request).time_ms
    key = entry.role.encode() + entry.id + version.to_bytes(4, "big")
    index = trail.write_once(context, "medical.certified", body, time_ms, key)
    if patient:
        context.openings.file(subject.commitment(), index, patient.hex())
    else:
        context.openings.keep([Opening(index=index, salt=subject.salt, subject=subject.holder)])
    return index


def _newest(context: NodeContext, patient: bytes, examination: Examination) -> tuple[ReportRow, KeptReport, Examined]:
    reports, found = context.medical.reports, []
    for offer in reports.offers(patient):
        kept, row = reports.get(offer.report), reports.store.get(offer.report)
        if row is None or kept is None or row.withdrawn:
            continue
        if row.version != kept.offer.version:
            raise ConflictError("medical.changed", "the report is being corrected at this moment", hint="repeat")
        said = examined(kept.data, examination, institution=row.institution, now_s=row.received_ms // 1_000)
        if said is not None:
            found.append((said.taken_s, row.number, row, kept, said))
    if not found:
        raise _none()
    _, _, row, kept, said = max(found, key=lambda one: one[:2])
    return row, kept, said


def _values(member: str, row: ReportRow, found: Examined) -> dict[str, str]:
    return {
        **found.values,
        "KZ_TJJL": FINDINGS[found.finding],
        "KZ_TJRQ": day_of(found.taken_s * 1_000).isoformat(),
        "KZ_TJJGDM": member,
        "KZ_TJBGBS": row.id.hex(),
        "KZ_TJBGBB": str(row.version),
        "KZ_TJBGCN": row.commitment.hex(),
        "KZ_TJBGXH": str(row.log_index),
    }


def _none() -> NotFoundError:
    return NotFoundError(
        "medical.no-examination",
        "this hospital has no finished examination of that kind for that person, or none within the grant",
        hint="ask which hospital examined the person; a preliminary or withdrawn report is none",
    )
