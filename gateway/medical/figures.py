"""The citywide figures of recognition: what hospitals told, added up. Pure.

Each item counts once, at the hospital that asked for it. What became of it stands at the hospital that examined, too:
where both sides do not know the same steps, that is said, and nothing is counted twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ledger.medical.figuresfile import HospitalFigures, HospitalMonth, ItemWord
from ledger.medical.published import Row
from ledger.medical.statistics import UNLISTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A sum. ``least``: of what was told; ``withheld``: how many figures of it were not; the sum is exact where there
    are none."""

    least: int = 0
    withheld: int = 0

    def __add__(self, other: Figure) -> Figure:
        return Figure(least=self.least + other.least, withheld=self.withheld + other.withheld)

    def __bool__(self) -> bool:
        return bool(self.least or self.withheld)


NONE: Final = Figure()


@dataclass(frozen=True, slots=True, kw_only=True)
class CityRow:
    """Items by what became of them; ``opened``: recognised or not. ``saved_cents``: the prices of the recognised
    ones by the rules of the hospital that asked; None where that cannot be told."""

    offered: Figure = NONE
    recognised: Figure = NONE
    unrecognised: Figure = NONE
    retested: Figure = NONE
    saved_cents: Figure | None = NONE

    @property
    def opened(self) -> Figure:
        """Both what was recognised and what was not."""
        return self.recognised + self.unrecognised

    def __add__(self, other: CityRow) -> CityRow:
        known = self.saved_cents is not None and other.saved_cents is not None
        return CityRow(
            offered=self.offered + other.offered,
            recognised=self.recognised + other.recognised,
            unrecognised=self.unrecognised + other.unrecognised,
            retested=self.retested + other.retested,
            saved_cents=(self.saved_cents or NONE) + (other.saved_cents or NONE) if known else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Pair:
    """Two hospitals (USCC) in a month."""

    month: str
    asker: str
    provider: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CityFigures:
    """The city's figures from month ``first`` to ``last``: in all, by month, by the hospital that asked, the one that
    examined (USCC), item and specialty, and re-tests by reason. ``item_words``, ``reason_words``: what is named.
    ``compared``: pairs whose sides were compared; ``differing``: those that do not know the same steps."""

    first: str
    last: str
    total: CityRow = field(default_factory=CityRow)
    months: Mapping[str, CityRow] = field(default_factory=dict)
    askers: Mapping[str, CityRow] = field(default_factory=dict)
    providers: Mapping[str, CityRow] = field(default_factory=dict)
    items: Mapping[str, CityRow] = field(default_factory=dict)
    specialties: Mapping[str, CityRow] = field(default_factory=dict)
    reasons: Mapping[str, Figure] = field(default_factory=dict)
    item_words: Mapping[str, ItemWord] = field(default_factory=dict)
    reason_words: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    compared: int = 0
    differing: tuple[Pair, ...] = ()


class _Adding:
    def __init__(self) -> None:
        self.total = CityRow()
        self.parts: dict[str, dict[str, CityRow]] = {
            name: {} for name in ("months", "askers", "providers", "items", "specialties")
        }
        self.reasons: dict[str, Figure] = {}

    def add(self, part: str, key: str, row: CityRow) -> None:
        known = self.parts[part]
        # The first is taken as it is: an empty sum would say that what is unknown was nothing.
        known[key] = known[key] + row if key in known else row


def combine(told: Sequence[HospitalFigures], first: str, last: str) -> CityFigures:
    """The figures of the months from ``first`` to ``last`` (``2026-11``), of hospitals each given once."""
    adding = _Adding()
    item_words: dict[str, ItemWord] = {}
    reason_words: dict[str, tuple[str, str]] = {}
    for hospital in sorted(told, key=lambda one: one.hospital):
        for key, word in hospital.items.items():
            item_words.setdefault(key, word)
        for key, words in hospital.reasons.items():
            reason_words.setdefault(key, words)
        for month in _within(hospital, first, last):
            _add_month(adding, hospital, month)
    compared, differing = _compare(told, first, last)
    parts = {name: dict(sorted(part.items())) for name, part in adding.parts.items()}
    return CityFigures(
        first=first,
        last=last,
        total=adding.total,
        reasons=dict(sorted(adding.reasons.items())),
        item_words={key: item_words.get(key) or _nameless(key) for key in sorted(parts["items"])},
        reason_words={key: reason_words.get(key, (key, key)) for key in sorted(adding.reasons)},
        compared=compared,
        differing=differing,
        **parts,
    )


def _add_month(adding: _Adding, hospital: HospitalFigures, month: HospitalMonth) -> None:
    told = month.figures
    saved = NONE
    for key, row in told.items.items():
        word = hospital.items.get(key)
        value = _figure(row.recognised)
        cents = Figure(least=value.least * (word.price_cents if word else 0), withheld=value.withheld)
        saved += cents
        item = _row(row, cents)
        adding.add("items", key, item)
        adding.add("specialties", word.specialty if word else UNLISTED, item)
    whole = _row(told.total, saved + _rest(hospital, month, saved))
    if whole.offered:
        adding.total += whole
        adding.add("months", told.month, whole)
        adding.add("askers", hospital.hospital, whole)
    for key, row in told.providers.items():
        adding.add("providers", key, _row(row, None))
    for key, cell in told.reasons.items():
        adding.reasons[key] = adding.reasons.get(key, NONE) + _figure(cell)


def _nameless(key: str) -> ItemWord:
    """An item of which no hospital told what it is called."""
    return ItemWord(zh=key, en=key, specialty=UNLISTED, price_cents=0)


def _rest(hospital: HospitalFigures, month: HospitalMonth, told: Figure) -> Figure:
    """What was saved by recognised items that are told in all and not one by one, at the price of the cheapest."""
    rows = month.figures.items
    hidden = [
        hospital.items[key].price_cents for key, row in rows.items() if row.recognised is None and key in hospital.items
    ]
    total = month.figures.total.recognised
    if total is None or not hidden or len(hidden) < told.withheld:
        return NONE
    rest = total - sum(row.recognised or 0 for row in rows.values())
    return Figure(least=max(0, rest) * min(hidden))


def _within(hospital: HospitalFigures, first: str, last: str) -> Iterable[HospitalMonth]:
    return (month for month in hospital.months if first <= month.figures.month <= last)


def _row(row: Row, saved: Figure | None) -> CityRow:
    return CityRow(
        offered=_figure(row.offered),
        recognised=_figure(row.recognised),
        unrecognised=_figure(row.unrecognised),
        retested=_figure(row.retested),
        saved_cents=saved,
    )


def _figure(value: int | None) -> Figure:
    return Figure(withheld=1) if value is None else Figure(least=value)


def _compare(told: Sequence[HospitalFigures], first: str, last: str) -> tuple[int, tuple[Pair, ...]]:
    """Only figures that end at the same time can be compared."""
    ends = {one.hospital: one.as_of_ms for one in told}
    asked: dict[Pair, bytes] = {}
    examined: dict[Pair, bytes] = {}
    for one in told:
        for month in _within(one, first, last):
            word, own = month.figures.month, one.hospital
            asked |= {Pair(month=word, asker=own, provider=key): digest for key, digest in month.asked.items()}
            examined |= {Pair(month=word, asker=key, provider=own): digest for key, digest in month.examined.items()}
    pairs = [
        pair
        for pair in sorted(asked.keys() | examined.keys())
        if pair.asker in ends and pair.provider in ends and ends[pair.asker] == ends[pair.provider]
    ]
    return len(pairs), tuple(pair for pair in pairs if asked.get(pair) != examined.get(pair))
