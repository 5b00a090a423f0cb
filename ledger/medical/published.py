"""What a hospital tells everybody of recognition: figures by month, from which no patient can be told.

An item counts once at the hospital that asked for it, in the month it was opened in; one that was only offered, in the
month of its first offer. What became of it later counts in that month, too. Months are China's.

A figure of 1 to 4 is withheld, and with it those of the same sum that are below five, 0 too: one that is withheld may
be any. They are at least two and five together, or others are withheld until they are. A figure is None where it is
withheld. Only the asking hospital tells figures, so that no two hospitals tell the same one, and withhold others. What
one column is less than another is not withheld: how many of the offered ones were not opened.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from ledger.days import day_of
from ledger.medical.statistics import Step, StepEvent

#: A figure below this is of too few to be told.
LEAST: Final = 5
COLUMNS: Final = ("offered", "recognised", "unrecognised", "retested")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Items by what became of them; None: withheld. ``unrecognised``: opened, and not recognised; what was opened is
    the sum of both. ``retested``: examined again, recognised or not."""

    offered: int | None
    recognised: int | None
    unrecognised: int | None
    retested: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """What became of others' results at one hospital in a month (``2026-11``): in all, by item, by the hospital that
    examined (USCC), and re-tests by reason."""

    month: str
    total: Row
    items: Mapping[str, Row]
    providers: Mapping[str, Row]
    reasons: Mapping[str, int | None]


#: One item of one version of a report at one asking institution.
_Case = tuple[bytes, int, int, str]


@dataclass(slots=True)
class _Tally:
    total: Counter[str] = field(default_factory=Counter)
    items: dict[str, Counter[str]] = field(default_factory=dict)
    providers: dict[str, Counter[str]] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)


def month_of(time_s: int) -> str:
    """The month of China in which a time (Unix seconds) lies, as ``2026-11``."""
    return day_of(time_s * 1_000).isoformat()[:7]


def months(events: Iterable[StepEvent], asker: str) -> dict[str, Month]:
    """The figures of one asking hospital (USCC) by month, in any order of the steps. A step told twice counts once."""
    cases: dict[_Case, dict[Step, StepEvent]] = {}
    for event in events:
        if event.asker != asker:
            continue
        steps = cases.setdefault((event.report, event.version, event.place, event.asker), {})
        known = steps.get(event.kind)
        if known is None or (event.at_s, event.reason or "") < (known.at_s, known.reason or ""):
            steps[event.kind] = event
    tallies: dict[str, _Tally] = {}
    for steps in cases.values():
        first = steps.get(Step.OPENED) or min(steps.values(), key=lambda event: event.at_s)
        _add(tallies.setdefault(month_of(first.at_s), _Tally()), first, steps)
    return {month: _month(month, tallies[month]) for month in sorted(tallies)}


def no_figures(month: str) -> Month:
    """A month in which nothing was offered."""
    return _month(month, _Tally())


def _add(tally: _Tally, first: StepEvent, steps: Mapping[Step, StepEvent]) -> None:
    # What was opened had been offered, also where the note of the offer was lost.
    found = ["offered"]
    if Step.RECOGNISED in steps:
        found.append("recognised")
    elif Step.OPENED in steps or Step.RETESTED in steps:
        found.append("unrecognised")
    if (retest := steps.get(Step.RETESTED)) is not None:
        found.append("retested")
        tally.reasons[retest.reason or ""] += 1
    rows = (tally.items.setdefault(first.item, Counter()), tally.providers.setdefault(first.provider, Counter()))
    for row in (tally.total, *rows):
        row.update(found)


def _month(month: str, tally: _Tally) -> Month:
    items: dict[str, dict[str, int | None]] = {key: {} for key in sorted(tally.items)}
    providers: dict[str, dict[str, int | None]] = {key: {} for key in sorted(tally.providers)}
    total: dict[str, int | None] = {}
    reasons: dict[str, int | None] = {}
    for column in COLUMNS:
        parts = [
            (items, {key: row[column] for key, row in tally.items.items()}),
            (providers, {key: row[column] for key, row in tally.providers.items()}),
        ]
        # A row is there because something of it was offered.
        each = 1 if column == "offered" else 0
        hidden = [withheld(tally.total[column], part, each=each) for _, part in parts]
        if column == "retested":
            hidden.append(withheld(tally.total[column], tally.reasons, each=1))
        # A sum that must not be told must not be made from its parts either.
        told = all(part is not None for part in hidden)
        total[column] = tally.total[column] if told or not tally.total[column] else None
        for (rows, part), names in zip(parts, hidden, strict=False):
            for key, value in part.items():
                rows[key][column] = None if key in (names or ()) or (value and not told) else value
        if column == "retested":
            for key, value in sorted(tally.reasons.items()):
                reasons[key] = None if not told or key in (hidden[-1] or ()) else value
    return Month(
        month=month,
        total=Row(**total),
        items={key: Row(**row) for key, row in items.items()},
        providers={key: Row(**row) for key, row in providers.items()},
        reasons=reasons,
    )


def withheld(total: int, parts: Mapping[str, int], *, each: int = 0) -> frozenset[str] | None:
    """Which parts of a sum are not told, so that none below ``LEAST`` can be worked out; None: the sum is not either.

    ``parts`` add up to ``total``; ``each``: what everybody knows each of them to be at least.
    """
    if 0 < total < LEAST:
        return None
    if not any(0 < value < LEAST for value in parts.values()):
        return frozenset()
    hidden = {key for key, value in parts.items() if value < LEAST}
    others = sorted((value, key) for key, value in parts.items() if value >= LEAST)
    # Each of them may then be from ``each`` to ``LEAST`` and more.
    while len(hidden) < 2 or sum(parts[key] for key in hidden) < LEAST + each * (len(hidden) - 1):
        if not others:
            return None
        hidden.add(others.pop(0)[1])
    return frozenset(hidden)
