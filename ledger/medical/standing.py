"""What the chain says about labels, quality, regions and institutions, as data for the decision.

Filled from the contract ``Recognition`` at one head. Nothing ever disappears here: what ended has the time of its end,
so that "was it labelled on that day?" keeps its answer. Times are Unix seconds, UTC.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)
Entry = TypeVar("Entry")


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A range of labels and the quality body (USCC) whose evaluations it rests on. ``code``: its id on chain;
    ``name``: the label itself (全国HR, 京津冀HR, 市HR …).

    In force in ``[from_s, until_s)``; ``until_s`` None: not ended.
    """

    code: str
    name: str
    quality: str
    from_s: int
    until_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Eqa:
    """One external quality assessment (室间质评): an institution took part with an item in a round of a scheme.

    Valid for specimens taken in ``[from_s, until_s)``. ``quality``: the body (USCC) that recorded it. ``revoked_s``:
    since when it is revoked. Source: WS/T 644-2018.
    """

    identifier: bytes
    range: str
    item: str
    institution: str
    scheme: str
    round: str
    passed: bool
    from_s: int
    until_s: int
    quality: str
    revoked_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Labels of ``range`` for ``item`` given in one of two regions count in the other, as both regions' health
    commissions agreed. In force in ``[from_s, ended_s)``."""

    range: str
    item: str
    region_a: str
    region_b: str
    from_s: int
    ended_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Institution:
    """A hospital as its region's health commission entered it: ``member`` USCC, ``region`` six digits (GB/T 2260),
    ``level`` 1 to 3 (等级医院; 3 highest)."""

    member: str
    region: str
    level: int
    active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Everything the decision needs from the chain, read at one head."""

    ranges: tuple[Range, ...]
    eqas: tuple[Eqa, ...]
    agreements: tuple[Agreement, ...]
    institutions: tuple[Institution, ...]
    _ranges: dict[str, tuple[Range, ...]] = field(init=False, repr=False, compare=False)
    _eqas: dict[tuple[str, str], tuple[Eqa, ...]] = field(init=False, repr=False, compare=False)
    _agreements: dict[tuple[str, str, frozenset[str]], tuple[Agreement, ...]] = field(
        init=False, repr=False, compare=False
    )
    _institutions: dict[str, Institution] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Found once a head, not once an item: a city has tens of thousands of assessments.
        object.__setattr__(self, "_ranges", _grouped((entry.code, entry) for entry in self.ranges))
        object.__setattr__(self, "_eqas", _grouped(((entry.institution, entry.item), entry) for entry in self.eqas))
        agreements = (
            ((entry.range, entry.item, frozenset((entry.region_a, entry.region_b))), entry) for entry in self.agreements
        )
        object.__setattr__(self, "_agreements", _grouped(agreements))
        object.__setattr__(self, "_institutions", {entry.member: entry for entry in self.institutions})

    def ranges_named(self, code: str) -> tuple[Range, ...]:
        """Every range that has or had the code."""
        return self._ranges.get(code, ())

    def eqas_of(self, institution: str, item: str) -> tuple[Eqa, ...]:
        """Every assessment of an institution (USCC) with an item, passed or not, revoked or not."""
        return self._eqas.get((institution, item), ())

    def agreements_on(self, range_: str, item: str, region_a: str, region_b: str) -> tuple[Agreement, ...]:
        """Every agreement, ended ones too, by which two regions count each other's label of the item."""
        return self._agreements.get((range_, item, frozenset((region_a, region_b))), ())

    def institution(self, member: str) -> Institution | None:
        """The institution's entry, None where the chain has none."""
        return self._institutions.get(member)


def _grouped(pairs: Iterable[tuple[Key, Entry]]) -> dict[Key, tuple[Entry, ...]]:
    found: dict[Key, list[Entry]] = {}
    for key, entry in pairs:
        found.setdefault(key, []).append(entry)
    return {key: tuple(entries) for key, entries in found.items()}
