"""What became of the reports: counted from the own steps, and again from the records of a log. Both are the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ledger.medical.statistics import Step, StepEvent
from ledger.model import Record
from ledger.storage.steps import Shown, StepEntry


@dataclass(slots=True, kw_only=True)
class Count:
    """Steps between this hospital and another in one role. ``reasons``: items tested again, by reason."""

    opened: int = 0
    recognised: int = 0
    retested: int = 0
    recognised_items: int = 0
    retested_items: int = 0
    opened_unrecognised: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


#: (role, counterpart) -> count
Counts = dict[tuple[str, str], Count]


def count_steps(steps: Iterable[StepEntry], from_s: int, until_s: int) -> Counts:
    """Count complete steps that were closed in ``[from_s, until_s)``, Unix seconds."""
    tally = _Tally()
    for step in steps:
        if step.state == "complete" and from_s <= step.closed_ms // 1_000 < until_s:
            tally.add(step.role, step.counterpart, step.kind, step.opening or step.id, len(step.items), step.reason)
    return tally.counts()


_KINDS = {"medical.opened": "open", "medical.recognised": "recognise", "medical.retested": "retest"}


def count_records(records: Iterable[Record], from_s: int, until_s: int) -> Counts:
    """The same from the records of one hospital's log: what an auditor can count."""
    tally = _Tally()
    for record in records:
        kind = _KINDS.get(record.type)
        if kind is None or not from_s <= record.time_ms // 1_000 < until_s:
            continue
        body = record.body
        tally.add(
            body["role"],
            body["counterpart"],
            kind,
            bytes.fromhex(body["step"] if kind == "open" else body["opening"]),
            body.get("items", 0),
            body.get("reason", ""),
        )
    return tally.counts()


#: What a step of a kind makes of its items.
STEPS = {"open": Step.OPENED, "recognise": Step.RECOGNISED, "retest": Step.RETESTED}


def events(member: str, shown: Iterable[Shown], steps: Iterable[StepEntry]) -> Iterator[StepEvent]:
    """What became of each item, as the figures count it: offered to this hospital, and every complete step of both
    roles."""
    for one in shown:
        for place, item in one.items:
            yield StepEvent(
                kind=Step.OFFERED,
                report=one.report,
                version=one.version,
                place=place,
                item=item,
                provider=one.institution,
                asker=member,
                at_s=one.at_s,
            )
    for step in steps:
        if step.state != "complete":
            continue
        ours = step.role == "provider"
        for place, item in step.items:
            yield StepEvent(
                kind=STEPS[step.kind],
                report=step.report,
                version=step.version,
                place=place,
                item=item,
                provider=member if ours else step.counterpart,
                asker=step.counterpart if ours else member,
                at_s=step.closed_ms // 1_000,
                reason=step.reason or None,
            )


class _Tally:
    def __init__(self) -> None:
        self._counts: Counts = {}
        self._opened: dict[bytes, tuple[str, str]] = {}
        self._recognised: set[bytes] = set()

    def add(self, role: str, counterpart: str, kind: str, opening: bytes, items: int, reason: str) -> None:
        count = self._counts.setdefault((role, counterpart), Count())
        if kind == "open":
            count.opened += 1
            self._opened[opening] = (role, counterpart)
        elif kind == "recognise":
            count.recognised += 1
            count.recognised_items += items
            self._recognised.add(opening)
        else:
            count.retested += 1
            count.retested_items += items
            count.reasons[reason] += items

    def counts(self) -> Counts:
        for opening, key in self._opened.items():
            self._counts[key].opened_unrecognised += opening not in self._recognised
        return self._counts
