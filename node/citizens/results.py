"""What a hospital tells a patient about the results it holds: what there is, who searched and opened, what was decided,
corrected, withdrawn and told, and what the patient allows. Never a value.

Everything is read from the rows of the dialogue between hospitals. A patient who was erased is nobody any more: then,
as for somebody who never was here, there is nothing to tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from ledger.errors import LedgerError, NotFoundError
from ledger.evidence.medicalreceipt import step_receipt_digest
from ledger.evidence.medicalstep import decode_step
from ledger.evidence.receipt import receipt_digest
from ledger.medical.reasons import retest_reasons
from node.medical.consents import ALL, ConsentRule
from node.medical.notices import change_event
from node.medical.pseudonyms import IDENTITY

if TYPE_CHECKING:
    from ledger.medical.ruleset import RuleSet
    from ledger.storage.changes import ChangeEntry
    from ledger.storage.reports import ReportRow
    from ledger.storage.steps import StepEntry
    from node.context import NodeContext
    from node.medical.desk import Medical

#: What one answer holds at most, counted in objects: a gateway takes no larger ones. Further reports: the next page.
MAX_OBJECTS: Final = 400
#: Of one report the newest of what happened, of a patient the newest searches and changes of consent.
MAX_EVENTS, MAX_SEARCHES, MAX_RULES = 60, 40, 20


def subject_of(medical: Medical, identity: str) -> bytes | None:
    """The patient of this hospital with a citizen's number; None for one who is none, or not any more."""
    if not medical.keeping.exists:
        return None
    link = medical.vault.linked(IDENTITY, b"ric:" + identity.encode())
    return link.subject if link is not None and medical.vault.knows(link.subject) else None


def read(context: NodeContext, identity: str, *, withheld: frozenset[str], after: bytes) -> dict[str, Any]:
    """What is told. ``after``: id of the last report that was told before, empty for the first page, which alone has
    ``searches``; ``next``: id to ask on with, "" at the end. Steps and searches for ``withheld`` purposes are left out.

    Raises: NotFoundError(citizen.page-gone).
    """
    medical = context.medical
    subject = subject_of(medical, identity)
    if subject is None:
        return {"known": False, "sharing": None, "searches": [], "reports": [], "names": {}, "reasons": {}, "next": ""}
    rules = _rules(context)
    rows = sorted(medical.reports.rows(subject), key=lambda row: (-_time_of(row), row.id))
    told = Telling(context, withheld)
    searches = [] if after else told.searches(subject)
    room = MAX_OBJECTS - len(searches) - 2 * MAX_RULES
    reports: list[dict[str, Any]] = []
    for row in _from(rows, after):
        report = told.report(row)
        room -= 3 + len(report["events"])
        if room < 0 and reports:
            following = reports[-1]["id"]
            break
        reports.append(report)
    else:
        following = ""
    return {
        "known": True,
        "sharing": sharing(medical, subject, context.clock() // 1_000),
        "searches": searches,
        "reports": reports,
        "names": _names(rules, (item for report in reports for item in report["items"].split())),
        "reasons": _reasons(rules, {event["reason"] for report in reports for event in report["events"]}),
        "next": following,
    }


def sharing(medical: Medical, subject: bytes, at_s: int) -> dict[str, Any]:
    """What a patient allows now: ``all``, then what names one hospital and goes before it; ``said``: the newest
    changes, newest first. Times in Unix seconds, 0 for no end."""
    holds = medical.consents.standing(subject, at_s)
    general = holds.pop(ALL, None)
    said = medical.consents.rules(subject)[: -MAX_RULES - 1 : -1]
    return {
        "all": general is None or general.permit,
        "until": 0 if general is None else _end(general),
        "named": [_rule(rule) for rule in list(holds.values())[:MAX_RULES]],
        "said": [_rule(rule) | {"time": rule.from_s, "via": rule.via} for rule in said],
    }


class Telling:
    """Tells of one hospital's rows without what is withheld."""

    def __init__(self, context: NodeContext, withheld: frozenset[str]) -> None:
        self._context = context
        self._medical = medical = context.medical
        self._withheld = withheld
        self._changes: dict[bytes, list[ChangeEntry]] = {}
        for change in medical.speaking.changes.given():
            self._changes.setdefault(change.report, []).append(change)

    def searches(self, subject: bytes) -> list[dict[str, Any]]:
        """Who searched, newest first."""
        return [
            {
                "by": one.asker,
                "purpose": one.purpose,
                "first": one.first_ms,
                "last": one.last_ms,
                "count": one.count,
                "shown": one.shown,
            }
            for one in self._medical.asked.of(subject)
            if not self._is_withheld(one.purpose)
        ][:MAX_SEARCHES]

    def report(self, row: ReportRow) -> dict[str, Any]:
        """One report with everything that happened to it, oldest first."""
        taken = [facts.taken_s for facts in row.facts if facts.taken_s is not None]
        items = dict.fromkeys(facts.item for facts in row.facts if facts.item is not None)
        seen = (*self._steps(row), *self._given(row))
        told = self._told(row, {str(event["by"]) for event in seen})
        events = sorted((*seen, *told, self._changed(row)), key=lambda event: event["time"])
        return {
            "id": row.id.hex(),
            "category": row.category,
            "version": row.version,
            "withdrawn": row.withdrawn,
            "held": row.held,
            "taken": min(taken, default=0),
            "issued": row.issued_s or 0,
            "received": row.received_ms,
            "items": " ".join(items),
            "unmapped": sum(facts.item is None for facts in row.facts),
            "earlier": max(0, len(events) - MAX_EVENTS),
            "events": events[-MAX_EVENTS:],
        }

    def _steps(self, row: ReportRow) -> Iterator[dict[str, Any]]:
        kinds = {"open": "opened", "recognise": "recognised", "retest": "retested"}
        for step in self._medical.steps.of_report(row.id, "provider"):
            # Before its receipt nothing of a step was released.
            if not step.half:
                continue
            purpose = decode_step(step.request).purpose
            if self._is_withheld(purpose):
                continue
            yield _event(kinds[step.kind], step.time_ms, by=step.counterpart) | self._of_step(step, purpose)

    def _of_step(self, step: StepEntry, purpose: str) -> dict[str, Any]:
        notice, at_s = self._medical.notices.fate(step.id)
        return {
            "purpose": purpose,
            "reason": step.reason,
            # Of an opening everything was shown: the report says what that is.
            "items": "" if step.kind == "open" else " ".join(dict.fromkeys(item for _, item in step.items if item)),
            "count": len(step.items),
            "version": step.version,
            "record": step.log_index,
            "receipt": step_receipt_digest(step.receipt).hex() if step.receipt else "",
            "notice": notice,
            "noticed": at_s * 1_000,
        }

    def _given(self, row: ReportRow) -> Iterator[dict[str, Any]]:
        """To which offices its finding was given, for certificates; what was purged of that is told to nobody."""
        for given in self._medical.examinations.given(row.id):
            exchange = self._context.exchanges.get(given.exchange, "provider")
            # Before the half receipt nothing of an exchange was released.
            if exchange is None or not exchange.half:
                continue
            grant = self._context.contracts.grants.grant(exchange.grant)
            purpose = "" if grant is None else grant.purpose
            if self._is_withheld(purpose):
                continue
            notice, at_s = self._medical.notices.fate(exchange.id)
            yield _event("certified", exchange.time_ms, by=given.consumer) | {
                "purpose": purpose,
                "version": given.version,
                "record": exchange.log_index,
                "receipt": receipt_digest(exchange.receipt).hex() if exchange.receipt else "",
                "notice": notice,
                "noticed": at_s * 1_000,
            }

    def _told(self, row: ReportRow, seen: set[str]) -> Iterator[dict[str, Any]]:
        """Who was told of changes; ``seen``: whose accesses are told of, where some are withheld."""
        for change in self._changes.get(row.id, ()):
            if self._withheld and change.counterpart not in seen:
                continue
            kind = "told" if change.told_ms else "owed"
            told = _event(kind, change.told_ms or change.time_ms, by=change.counterpart)
            yield told | {"version": change.version, "reason": change.change, "record": change.log_index}

    def _changed(self, row: ReportRow) -> dict[str, Any]:
        if not row.withdrawn and row.version == 1:
            return _event("received", row.received_ms) | {"record": row.log_index}
        kind = "withdrawn" if row.withdrawn else "corrected"
        said = {"reason": row.reason} if row.withdrawn else {"version": row.version}
        notice, at_s = self._medical.notices.fate(change_event(row.id, row.version, kind))
        told = {"record": row.log_index, "notice": notice, "noticed": at_s * 1_000}
        return _event(kind, row.received_ms) | said | told

    def _is_withheld(self, purpose: str) -> bool:
        # A purpose that nobody knows any more might be a withheld one.
        return bool(self._withheld) and (purpose in self._withheld or not purpose)


def _event(kind: str, time_ms: int, by: str = "") -> dict[str, Any]:
    return {
        "kind": kind,
        "time": time_ms,
        "by": by,
        "purpose": "",
        "reason": "",
        "items": "",
        "count": 0,
        "version": 0,
        "record": -1,
        "receipt": "",
        "notice": "",
        "noticed": 0,
    }


def _time_of(row: ReportRow) -> int:
    """By which reports are in order: when the specimen was taken, else when the report came, Unix seconds."""
    taken = [facts.taken_s for facts in row.facts if facts.taken_s is not None]
    return min(taken, default=row.issued_s or row.received_ms // 1_000)


def _from(rows: Sequence[ReportRow], after: bytes) -> Sequence[ReportRow]:
    if not after:
        return rows
    for place, row in enumerate(rows):
        if row.id == after:
            return rows[place + 1 :]
    raise NotFoundError(
        "citizen.page-gone", "what was told before is not kept any more", hint="begin at the first page"
    )


def _rules(context: NodeContext) -> RuleSet | None:
    try:
        return context.medical.rules.in_force(context.clock() // 1_000)[2]
    except LedgerError:
        # Without rules items have their codes and no names.
        return None


def _names(rules: RuleSet | None, codes: Iterator[str]) -> dict[str, dict[str, str]]:
    found = [item for code in dict.fromkeys(codes) if rules is not None and (item := rules.item(code)) is not None]
    return {"zh": {item.id: item.zh for item in found}, "en": {item.id: item.en for item in found}}


def _reasons(rules: RuleSet | None, codes: set[str]) -> dict[str, dict[str, str]]:
    found = [one for one in ([] if rules is None else retest_reasons(rules)) if one.code in codes]
    return {"zh": {one.code: one.zh for one in found}, "en": {one.code: one.en for one in found}}


def _rule(rule: ConsentRule) -> dict[str, Any]:
    return {"asker": rule.asker, "permit": rule.permit, "until": _end(rule)}


def _end(rule: ConsentRule) -> int:
    return rule.until_s if rule.ends else 0
