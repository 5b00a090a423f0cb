"""What was read of a report, as much of it as taking it in needs: made where it was read, which may be another process.

Bounded by the report it was read from; nothing of the report's values is in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ledger.errors import InvalidInputError
from ledger.medical.fhir import Reading, read_report
from ledger.medical.fhirproblems import Problem, problem
from ledger.medical.model import facts_of
from ledger.storage.reports import FactsRow, facts_rows

if TYPE_CHECKING:
    from ledger.medical.ruleset import RuleSet


class ReportDraft(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A report that may be taken in. ``identifier``, ``patient``, ``identity``: of its sender, for the vault alone;
    ``updated_s``, ``about``: as in ``Reading``."""

    identifier: str
    patient: str
    identity: str | None
    institution: str
    category: str
    status: str
    issued_s: int | None
    updated_s: int | None
    concluded: bool
    held: bool
    withdraws: bool
    facts: tuple[FactsRow, ...]
    about: frozenset[tuple[str, str]]


class Draft(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What was read. ``report`` None: refused, and ``problems`` say why."""

    report: ReportDraft | None
    problems: tuple[Problem, ...]


def read_draft(data: bytes, *, institution: str, now_s: int, rules: RuleSet | None) -> Draft:
    """Read a report, as ``read_report``; one whose items cannot be offered is refused."""
    reading = read_report(data, institution=institution, now_s=now_s, rules=rules)
    try:
        return Draft(report=_report(reading), problems=reading.problems)
    except InvalidInputError as error:
        return Draft(report=None, problems=(problem("fhir.invalid", reason=error.message),))


def _report(reading: Reading) -> ReportDraft | None:
    report = reading.report
    if report is None:
        return None
    return ReportDraft(
        identifier=report.identifier,
        patient=report.patient,
        identity=reading.identity,
        institution=report.institution,
        category=report.category.value,
        status=report.status,
        issued_s=report.issued_s,
        updated_s=reading.updated_s,
        concluded=report.concluded,
        held=reading.held,
        withdraws=reading.withdraws,
        facts=facts_rows(facts_of(report)),
        about=reading.about,
    )
