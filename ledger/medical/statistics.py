"""What became of offered results: offered, opened, recognised, re-tested and why, and the money saved.

In the one published study, making doctors open shared results made recognition fall: the figure that matters is what
was opened and not recognised. Counted are items of reports at an asking institution, each once, however often it was
offered or opened. No person is in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from ledger.medical.ruleset import RuleSet

#: Item ids that the rule set does not list have this specialty, and no price.
UNLISTED: Final = "unlisted"


class Step(StrEnum):
    """What happened to an item."""

    OFFERED = "offered"
    OPENED = "opened"
    RECOGNISED = "recognised"
    RETESTED = "retested"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEvent:
    """One step of one item of a report. ``provider``, ``asker``: USCC. ``reason``: of a re-test only."""

    kind: Step
    report: bytes
    version: int
    place: int
    item: str
    provider: str
    asker: str
    at_s: int
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Items by what became of them. ``unrecognised``: opened and not recognised, whether re-tested or undecided.
    ``saved_cents``: the prices of the recognised ones. ``reasons``: re-tests by reason."""

    offered: int
    opened: int
    recognised: int
    retested: int
    unrecognised: int
    saved_cents: int
    reasons: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """The counts in all, and by the hospital that examined, the one that asked, item and specialty."""

    total: Counts
    providers: Mapping[str, Counts]
    askers: Mapping[str, Counts]
    items: Mapping[str, Counts]
    specialties: Mapping[str, Counts]


@dataclass(slots=True)
class _Tally:
    steps: Counter[Step] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    unrecognised: int = 0
    saved_cents: int = 0

    def counts(self) -> Counts:
        return Counts(
            offered=self.steps[Step.OFFERED],
            opened=self.steps[Step.OPENED],
            recognised=self.steps[Step.RECOGNISED],
            retested=self.steps[Step.RETESTED],
            unrecognised=self.unrecognised,
            saved_cents=self.saved_cents,
            reasons=dict(sorted(self.reasons.items())),
        )


#: One item of one version of a report at one asking institution.
_Case = tuple[bytes, int, int, str]


def count(events: Iterable[StepEvent], rules: RuleSet, *, from_s: int = 0, until_s: int | None = None) -> Statistics:
    """The statistics of the steps in ``[from_s, until_s)``, in any order. A step told twice counts once."""
    cases: dict[_Case, dict[Step, StepEvent]] = {}
    for event in events:
        if event.at_s >= from_s and (until_s is None or event.at_s < until_s):
            case = (event.report, event.version, event.place, event.asker)
            cases.setdefault(case, {}).setdefault(event.kind, event)
    keys: dict[str, Callable[[StepEvent], str]] = {
        "total": lambda _: "",
        "providers": lambda event: event.provider,
        "askers": lambda event: event.asker,
        "items": lambda event: event.item,
        "specialties": lambda event: _specialty(event.item, rules),
    }
    tallies: dict[str, dict[str, _Tally]] = {name: {} for name in keys}
    tallies["total"][""] = _Tally()
    for steps in cases.values():
        event = next(iter(steps.values()))
        for name, key in keys.items():
            _add(tallies[name].setdefault(key(event), _Tally()), steps, rules)
    found = {name: {key: tally.counts() for key, tally in sorted(part.items())} for name, part in tallies.items()}
    return Statistics(
        total=found["total"][""],
        providers=found["providers"],
        askers=found["askers"],
        items=found["items"],
        specialties=found["specialties"],
    )


def _add(tally: _Tally, steps: Mapping[Step, StepEvent], rules: RuleSet) -> None:
    tally.steps.update(steps.keys())
    retest = steps.get(Step.RETESTED)
    if retest is not None:
        tally.reasons[retest.reason or ""] += 1
    recognised = steps.get(Step.RECOGNISED)
    if recognised is not None:
        item = rules.item(recognised.item)
        tally.saved_cents += 0 if item is None else item.price_cents
    elif Step.OPENED in steps:
        tally.unrecognised += 1


def _specialty(identifier: str, rules: RuleSet) -> str:
    item = rules.item(identifier)
    return UNLISTED if item is None else item.specialty
