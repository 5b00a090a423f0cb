"""A rule set of recognition as typed data: items, windows, levels, ranges, mappings, local re-test reasons.

A health commission writes one, puts its digest on chain with the time from which it is in force, and never changes
it: a change is the next version. Source: 国卫医发〔2022〕6号; docs/formats.md, section "Medical rules".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from ledger.medical.model import Category

LOINC: Final = "http://loinc.org"
#: Stands for every institution in a mapping.
ANY: Final = "*"
LEVELS: Final = (1, 2, 3)


class Course(StrEnum):
    """How the illness runs at the time of asking: results age faster in an acute one."""

    ACUTE = "acute"
    CHRONIC = "chronic"


class Kind(StrEnum):
    """What a result of the item is: a number with a unit, a code or word, or images and recordings."""

    QUANTITY = "quantity"
    CODED = "coded"
    IMAGES = "images"


class Territory(StrEnum):
    """Where labels of a range count."""

    NATIONAL = "national"
    LISTED = "listed"
    OWN = "own"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A thing that is measured or imaged, comparable between institutions.

    ``loinc``: the codes that mean it. ``specimens``: the
    materials it may be measured in. ``unit``: UCUM, for a quantity. ``methods``: the method groups it may be measured
    by (none: any). ``molar_mass``: g/mol as decimal text, where mass and amount of substance may be converted.
    ``price_cents``: what one costs, for the figure of money saved.
    """

    id: str
    zh: str
    en: str
    category: Category
    kind: Kind
    loinc: tuple[str, ...]
    specialty: str
    price_cents: int
    specimens: tuple[str, ...] = ()
    unit: str | None = None
    molar_mass: str | None = None
    methods: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A result of ``item`` is recognised for ``days`` from its specimen or study time, in illness of that course."""

    item: str
    course: Course
    days: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelRule:
    """Whether an institution of level ``asker`` recognises results of one of level ``issuer``."""

    issuer: int
    asker: int
    recognised: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRange:
    """Where labels of a range count: everywhere, in the listed regions (beginnings of GB/T 2260 codes), or in the
    region of the institution that holds them. An agreement between regions adds to that. ``code``: the range's id on
    chain; ``label``: 全国HR; ``quality``: the one body (USCC) whose assessments give the label, None: the one that
    opened the range on chain."""

    code: str
    label: str
    en: str
    territory: Territory
    regions: tuple[str, ...] = ()
    quality: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Specimen:
    """A material of the human body and the (system, code) pairs that mean it."""

    id: str
    zh: str
    en: str
    codes: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """A local code of an institution (or of every one) means an item."""

    institution: str
    system: str
    code: str
    item: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalReason:
    """A re-test reason that a region's rules add to the six national ones."""

    code: str
    zh: str
    en: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A document that rules come from."""

    id: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """A rule set, in the order of its file. ``canonical``: its canonical bytes, which the digest is of."""

    zh: str
    en: str
    note: str
    sources: tuple[Source, ...]
    specimens: tuple[Specimen, ...]
    items: tuple[Item, ...]
    windows: tuple[Window, ...]
    levels: tuple[LevelRule, ...]
    ranges: tuple[LabelRange, ...]
    mappings: tuple[Mapping, ...]
    reasons: tuple[LocalReason, ...]
    canonical: bytes = field(repr=False)
    _items: dict[str, Item] = field(init=False, repr=False, compare=False)
    _days: dict[tuple[str, str], int] = field(init=False, repr=False, compare=False)
    _levels: dict[tuple[int, int], bool] = field(init=False, repr=False, compare=False)
    _ranges: dict[str, tuple[int, LabelRange]] = field(init=False, repr=False, compare=False)
    _codes: dict[tuple[str, str, str], str] = field(init=False, repr=False, compare=False)
    _specimens: dict[tuple[str, str], str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        codes = {(ANY, LOINC, code): item.id for item in self.items for code in item.loinc}
        codes.update({(entry.institution, entry.system, entry.code): entry.item for entry in self.mappings})
        found = {
            "_items": {item.id: item for item in self.items},
            "_days": {(entry.item, entry.course.value): entry.days for entry in self.windows},
            "_levels": {(rule.issuer, rule.asker): rule.recognised for rule in self.levels},
            "_ranges": {entry.code: (at, entry) for at, entry in enumerate(self.ranges)},
            "_codes": codes,
            "_specimens": {pair: entry.id for entry in self.specimens for pair in entry.codes},
        }
        for name, value in found.items():
            object.__setattr__(self, name, value)

    def item(self, identifier: str) -> Item | None:
        """The item of that id."""
        return self._items.get(identifier)

    def days(self, item: str, course: str) -> int | None:
        """Days a result of the item is recognised in illness of that course."""
        return self._days.get((item, course))

    def level_recognised(self, issuer: int, asker: int) -> bool:
        """Whether the level rules let ``asker`` recognise results of ``issuer``; not where no rule says so."""
        return self._levels.get((issuer, asker), False)

    def range(self, code: str) -> LabelRange | None:
        """What the rule set says of a range."""
        found = self._ranges.get(code)
        return None if found is None else found[1]

    def range_order(self, code: str) -> tuple[int, str]:
        """Sorts ranges as the rule set lists them, then those it does not list by code."""
        found = self._ranges.get(code)
        return (len(self._ranges) if found is None else found[0], code)

    def item_of(self, institution: str, system: str, code: str) -> str | None:
        """The item that a code means at an institution: its own mapping before the one for all."""
        return self._codes.get((institution, system, code)) or self._codes.get((ANY, system, code))

    def specimen_of(self, system: str, code: str) -> str | None:
        """The specimen that a code means."""
        return self._specimens.get((system, code))
