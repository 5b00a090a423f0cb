"""Whether the parts of a rule set fit together: everything that is wrong with it, not only the first thing."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, TypeVar

from ledger.errors import InvalidInputError
from ledger.medical.model import Category
from ledger.medical.reasons import NATIONAL
from ledger.medical.ruleset import ANY, LEVELS, LOINC, Course, Item, Kind, RuleSet, Territory

Key = TypeVar("Key", bound=Hashable)
#: Problems named at most: a file with another table pasted into it would have thousands.
MAX_PROBLEMS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong with a rule set: a stable code, where it stands, and what is wrong in both languages."""

    code: str
    where: str
    zh: str
    en: str


def check_rules(rules: RuleSet, *, units: bool = True) -> tuple[Problem, ...]:
    """Everything wrong with a rule set, in the order of its file, at most ``MAX_PROBLEMS``.

    ``units``: whether the units are checked too, which loads the library that knows UCUM.
    """
    found: list[Problem] = []
    for checked in (_duplicates(rules), _items(rules), _windows(rules), _levels(rules), _ranges(rules),
                    _mappings(rules), _sources(rules), _units(rules) if units else ()):  # fmt: skip
        for problem in checked:
            found.append(problem)
            if len(found) == MAX_PROBLEMS:
                return tuple(found)
    return tuple(found)


def loinc_check_digit(number: str) -> int:
    """The check digit of a LOINC number without it. Source: LOINC Users' Guide, appendix on the mod 10 check digit."""
    # From the right: every other digit is doubled, from the first on; then all digits there are now are added up.
    digits = (str(int(digit) * 2) if at % 2 == 0 else digit for at, digit in enumerate(reversed(number)))
    return -sum(int(digit) for digit in "".join(digits)) % 10


def _duplicates(rules: RuleSet) -> Iterator[Problem]:
    names = ("sources", "specimens", "items", "ranges", "reasons")
    ids: tuple[Iterable[str], ...] = (
        (entry.id for entry in rules.sources),
        (entry.id for entry in rules.specimens),
        (entry.id for entry in rules.items),
        (entry.code for entry in rules.ranges),
        (entry.code for entry in rules.reasons),
    )
    for name, each in zip(names, ids, strict=True):
        for identifier, at in _again(each):
            yield _problem(
                "medical.rules-duplicate", f"{name}[{at}]", f"{identifier} 重复出现", f"{identifier} stands there twice"
            )
    for at, reason in enumerate(rules.reasons):
        if reason.code in NATIONAL:
            yield _problem(
                "medical.rules-duplicate",
                f"reasons[{at}]",
                f"{reason.code} 是国家规定的理由，无需也不得另行登记",
                f"{reason.code} is one of the six national reasons, which need no entry",
            )
    for (_, code), _ in _again(pair for entry in rules.specimens for pair in entry.codes):
        yield _problem("medical.rules-duplicate", "specimens", f"{code} 对应两种标本", f"{code} means two specimens")


def _items(rules: RuleSet) -> Iterator[Problem]:
    specimens = {entry.id for entry in rules.specimens}
    for at, item in enumerate(rules.items):
        where = f"items[{at}]"
        laboratory = item.category is Category.LABORATORY
        if laboratory == (item.kind is Kind.IMAGES):
            yield _problem(
                "medical.rules-kind",
                f"{where}.kind",
                f"{item.id}：检验项目为 quantity 或 coded，检查项目为 images",
                f"{item.id}: a laboratory item is a quantity or coded, an imaging item is images",
            )
        if bool(item.specimens) != laboratory or not specimens.issuperset(item.specimens):
            yield _problem(
                "medical.rules-specimen",
                f"{where}.specimens",
                f"{item.id}：检验项目须写明 specimens 中的标本，检查项目没有标本",
                f"{item.id}: a laboratory item names some of the specimens, an imaging item none",
            )
        if (item.unit is not None) != (item.kind is Kind.QUANTITY):
            yield _problem(
                "medical.rules-unit",
                f"{where}.unit",
                f"{item.id}：数值项目须有单位，其他项目没有单位",
                f"{item.id}: a quantity has a unit, other kinds have none",
            )
        if item.molar_mass is not None and (item.unit is None or Decimal(item.molar_mass) == 0):
            yield _problem(
                "medical.rules-molar-mass",
                f"{where}.molar_mass",
                f"{item.id}：摩尔质量仅用于数值项目且不为零",
                f"{item.id}: a molar mass belongs to a quantity and is not zero",
            )
        for place, code in enumerate(item.loinc):
            number, _, digit = code.partition("-")
            if loinc_check_digit(number) != int(digit):
                yield _problem(
                    "medical.rules-loinc",
                    f"{where}.loinc[{place}]",
                    f"{code} 的校验位不正确",
                    f"{code}: the check digit is wrong",
                )
    for code, _ in _again(code for item in rules.items for code in item.loinc):
        yield _problem("medical.rules-mapping", "items", f"LOINC {code} 对照了两次", f"LOINC {code} is mapped twice")


def _windows(rules: RuleSet) -> Iterator[Problem]:
    for at, window in enumerate(rules.windows):
        if rules.item(window.item) is None:
            yield _problem(
                "medical.rules-item",
                f"windows[{at}].item",
                f"没有项目 {window.item}",
                f"there is no item {window.item}",
            )
    for (item, course), at in _again((entry.item, entry.course.value) for entry in rules.windows):
        yield _problem(
            "medical.rules-window-overlap",
            f"windows[{at}]",
            f"{item}：{course} 的时限有两个",
            f"{item} has two windows for the {course} course",
        )
    for at, listed in enumerate(rules.items):
        days = {course: rules.days(listed.id, course) for course in Course}
        for course, count in days.items():
            if count is None:
                yield _problem(
                    "medical.rules-window-gap",
                    f"items[{at}]",
                    f"{listed.id}：缺少 {course} 的时限",
                    f"{listed.id} has no window for the {course} course",
                )
        acute, chronic = days[Course.ACUTE], days[Course.CHRONIC]
        if acute is not None and chronic is not None and acute > chronic:
            yield _problem(
                "medical.rules-window-order",
                f"items[{at}]",
                f"{listed.id}：急性病程的时限（{acute} 天）长于慢性（{chronic} 天）",
                f"{listed.id}: the window of the acute course ({acute} days) is longer than of the chronic ({chronic})",
            )


def _levels(rules: RuleSet) -> Iterator[Problem]:
    for (issuer, asker), at in _again((rule.issuer, rule.asker) for rule in rules.levels):
        yield _problem(
            "medical.rules-levels",
            f"levels[{at}]",
            f"{issuer} 级对 {asker} 级有两条",
            f"two rules from level {issuer} to {asker}",
        )
    there = {(rule.issuer, rule.asker) for rule in rules.levels}
    for pair in ((issuer, asker) for issuer in LEVELS for asker in LEVELS):
        if pair not in there:
            yield _problem(
                "medical.rules-levels",
                "levels",
                f"缺少 {pair[0]} 级对 {pair[1]} 级",
                f"no rule from level {pair[0]} to {pair[1]}",
            )


def _ranges(rules: RuleSet) -> Iterator[Problem]:
    for at, entry in enumerate(rules.ranges):
        if (entry.territory is Territory.LISTED) != bool(entry.regions):
            yield _problem(
                "medical.rules-territory",
                f"ranges[{at}].regions",
                f"{entry.code}：仅 listed 须列出地区",
                f"{entry.code}: regions are listed where the territory is 'listed', and only there",
            )
        for region, _ in _again(entry.regions):
            yield _problem(
                "medical.rules-territory", f"ranges[{at}].regions", f"{region} 重复", f"{region} stands there twice"
            )


def _mappings(rules: RuleSet) -> Iterator[Problem]:
    for at, entry in enumerate(rules.mappings):
        if rules.item(entry.item) is None:
            yield _problem(
                "medical.rules-item", f"mappings[{at}].item", f"没有项目 {entry.item}", f"there is no item {entry.item}"
            )
        if entry.system == LOINC:
            yield _problem(
                "medical.rules-mapping",
                f"mappings[{at}].system",
                "LOINC 代码写在项目中，不得另作对照",
                "a LOINC code stands in its item, whose meaning no mapping changes",
            )
    for key, at in _again((entry.institution, entry.system, entry.code) for entry in rules.mappings):
        whose = "*" if key[0] == ANY else key[0]
        yield _problem(
            "medical.rules-mapping",
            f"mappings[{at}]",
            f"{whose} 的代码 {key[2]} 对照了两次",
            f"the code {key[2]} of {whose} is mapped twice",
        )


def _sources(rules: RuleSet) -> Iterator[Problem]:
    known = {entry.id for entry in rules.sources}
    used = [(f"windows[{at}]", entry.source) for at, entry in enumerate(rules.windows)]
    used += [(f"reasons[{at}]", entry.source) for at, entry in enumerate(rules.reasons)]
    for where, source in used:
        if source not in known:
            yield _problem(
                "medical.rules-source", f"{where}.source", f"没有来源 {source}", f"there is no source {source}"
            )


def _units(rules: RuleSet) -> Iterator[Problem]:
    from ledger.medical.units import is_unit

    known: dict[str, bool] = {}
    for at, item in enumerate(rules.items):
        if item.unit is None:
            continue
        if item.unit not in known:
            known[item.unit] = is_unit(item.unit)
        if not known[item.unit]:
            yield _unknown_unit(at, item)


def _unknown_unit(at: int, item: Item) -> Problem:
    return _problem(
        "medical.rules-unit",
        f"items[{at}].unit",
        f"{item.id}：UCUM 没有单位 {item.unit}",
        f"{item.id}: UCUM has no unit {item.unit}",
    )


def _again(keys: Iterable[Key]) -> Iterator[tuple[Key, int]]:
    """Each key that came before, and its place."""
    seen: set[Key] = set()
    for at, key in enumerate(keys):
        if key in seen:
            yield key, at
        seen.add(key)


def _problem(code: str, where: str, zh: str, message: str) -> Problem:
    # What a file is refused with, where nobody asks for the whole list.
    refusal = InvalidInputError(code, message)
    return Problem(code=refusal.code, where=where, zh=zh, en=refusal.message)
