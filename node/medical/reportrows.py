"""What a hospital keeps of a version of a report: its row, the body of its record, and its names in the vault."""

from __future__ import annotations

import secrets
from typing import Literal

from ledger.storage.reports import Change, ReportRow
from node.medical.drafts import ReportDraft

State = Literal["offered", "held", "corrected", "withdrawn", "known", "refused", "consented"]


def row_of(
    report: ReportDraft, known: ReportRow | None, *, rules_version: int, now_ms: int, via: str, commitment: bytes
) -> ReportRow:
    """A version of a report as it is noted before anything of it is kept; ``known``: the version before."""
    return ReportRow(
        id=known.id if known is not None else secrets.token_bytes(32),
        number=known.number if known is not None else 0,
        version=known.version + 1 if known is not None else 1,
        institution=report.institution,
        category=report.category,
        status=report.status,
        issued_s=report.issued_s,
        updated_s=report.updated_s,
        concluded=report.concluded,
        held=report.held,
        facts=report.facts,
        rules=rules_version,
        received_ms=now_ms,
        via=via,
        commitment=commitment,
        withdrawn=report.withdraws,
        reason=report.status if report.withdraws else "",
    )


def record_body(row: ReportRow) -> dict[str, object]:
    """The body of its ``medical.offered``, ``corrected`` or ``withdrawn`` record."""
    body: dict[str, object] = {"report": row.id.hex(), "version": row.version}
    if row.commitment:
        body["commitment"] = row.commitment.hex()
    if row.withdrawn:
        return body | {"reason": row.reason}
    body["category"] = row.category
    items = sorted({facts.item for facts in row.facts if facts.item is not None})
    if items:
        body["items"] = " ".join(items)
    taken = [facts.taken_s for facts in row.facts if facts.taken_s is not None]
    if taken:
        body["taken"] = min(taken)
    return body


def is_older(known: ReportRow, updated_s: int | None) -> bool:
    """Whether what came now is older than what is kept."""
    if known.updated_s is None or updated_s is None:
        # Without times the one that comes later counts, except that it does not revive what was withdrawn.
        return known.withdrawn
    return updated_s <= known.updated_s if known.withdrawn else updated_s < known.updated_s


def state_of(row: ReportRow) -> State:
    """What the sender is told became of it."""
    if row.withdrawn:
        return "withdrawn"
    if row.held:
        return "held"
    return "offered" if row.version == 1 else "corrected"


def identity_name(subject: bytes) -> bytes:
    """Where a subject's identity number lies in the vault."""
    return b"identity/" + subject


def part_name(report: bytes, part: bytes) -> bytes:
    """Where a part of a report lies in the vault."""
    return b"report/" + report + b"/" + part


def finishing(row: ReportRow) -> tuple[str, bytes, Change | None]:
    """(type of a version's record, what makes a repeat of it known to the log, what is to be told of it)."""
    type_ = "medical.withdrawn" if row.withdrawn else "medical.offered" if row.version == 1 else "medical.corrected"
    key = row.id + row.version.to_bytes(4, "big") + (b"withdrawn" if row.withdrawn else b"")
    # Nobody can have opened what was withdrawn before it was offered.
    if row.version == 1 and row.commitment:
        return type_, key, None
    return type_, key, "withdrawn" if row.withdrawn else "corrected"


def version_name(report: bytes, version: int) -> bytes:
    """Where a version of a report, as received, lies in the vault."""
    return part_name(report, version.to_bytes(4, "big"))


def salt_name(report: bytes, version: int) -> bytes:
    """Where the salt of a version's commitment lies in the vault."""
    return version_name(report, version) + b"/salt"
