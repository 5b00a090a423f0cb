"""What a hospital tells everybody of recognition: figures by month, from which no patient can be told.

An item counts once at the hospital that asked for it, in the month it was opened in; one that was only offered, in the
month of its first offer. What became of it later counts in that month, too. Months are China's.

A figure of 1 to 4 is withheld, and with it those of the same sum that are below five, 0 too: one that is withheld may
be any. They are at least two and five together, or others are withheld until they are. What became of the opened ones
of a row is told whole or not at all, and not where it is withheld how many were offered: the columns bound each other.
A figure is None where it is withheld. Only the asking hospital tells figures, so that no two hospitals tell the same
one, and withhold others. How many of the offered ones were not opened is not withheld.
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
#: What became of what was opened.
OPENED: Final = ("recognised", "unrecognised", "retested")


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
    tables = (tally.items, tally.providers)
    offered = [
        # A row is there because something of it was offered.
        withheld(tally.total["offered"], {key: row["offered"] for key, row in rows.items()}, each=1)
        for rows in tables
    ]
    opened = [_opened(tally.total, rows, hidden or frozenset()) for rows, hidden in zip(tables, offered, strict=True)]
    why = withheld(tally.total["retested"], tally.reasons, each=1)
    # A sum that must not be told must not be made from its parts either.
    tells_offered = not tally.total["offered"] or None not in offered
    tells_opened = not any(tally.total[name] for name in OPENED) or (tells_offered and None not in (*opened, why))

    def row(counted: Counter[str], *, all_of: bool, of_opened: bool) -> Row:
        return Row(
            offered=counted["offered"] if all_of else None,
            **{name: counted[name] if of_opened else None for name in OPENED},
        )

    items, providers = (
        {
            key: row(
                counted,
                all_of=tells_offered and key not in (hidden or ()),
                of_opened=tells_opened and key not in (closed or ()),
            )
            for key, counted in sorted(rows.items())
        }
        for rows, hidden, closed in zip(tables, offered, opened, strict=True)
    )
    return Month(
        month=month,
        total=row(tally.total, all_of=tells_offered, of_opened=tells_opened),
        items=items,
        providers=providers,
        reasons={
            key: value if tells_opened and key not in (why or ()) else None
            for key, value in sorted(tally.reasons.items())
        },
    )


def _opened(total: Counter[str], rows: Mapping[str, Counter[str]], hidden: Iterable[str]) -> frozenset[str] | None:
    """Of which rows it is not told what became of what was opened; None: not in all, either. ``hidden``: those of which
    it is not told how many were offered.

    The columns of a row go together: what was offered and not recognised would tell what was recognised.
    """
    if not any(total[name] for name in OPENED):
        return frozenset()
    if any(0 < total[name] < LEAST for name in OPENED):
        return None
    found = {*hidden, *(key for key, row in rows.items() if any(0 < row[name] < LEAST for name in OPENED))}
    if not found:
        return frozenset()
    found |= {key for key, row in rows.items() if row["recognised"] + row["unrecognised"] < LEAST}
    others = sorted((row["offered"], key) for key, row in rows.items() if key not in found)
    while len(found) < 2 or any(0 < sum(rows[key][name] for key in found) < LEAST for name in OPENED):
        if not others:
            return None
        found.add(others.pop(0)[1])
    return frozenset(found)


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
