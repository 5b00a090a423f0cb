"""The file of a rule set, read strictly: what stands where, in which form, within which bounds.

Whether the parts fit together (an item's windows, its unit, its mappings) is ``ledger.medical.rulecheck``'s matter.
"""

from __future__ import annotations

import re
from typing import Final

from ledger.codec import encode
from ledger.errors import InvalidInputError
from ledger.identifiers import parse_uscc
from ledger.medical.model import Category
from ledger.medical.reading import Cursor, read
from ledger.medical.ruleset import (
    ANY,
    Course,
    Item,
    Kind,
    LabelRange,
    LevelRule,
    LocalReason,
    Mapping,
    RuleSet,
    Source,
    Specimen,
    Territory,
    Window,
)

#: A rule set travels in one message.
MAX_BYTES: Final = 6 << 20
MAX_RULE_ITEMS: Final = 5_000
MAX_MAPPINGS: Final = 50_000
MAX_DAYS: Final = 730
_MAX_CENTS: Final = 100_000_000
_TITLE: Final = 200
_FEW: Final = 64

_ID: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_LOINC: Final = re.compile(r"[0-9]{1,7}-[0-9]")
_PREFIX: Final = re.compile(r"[1-9][0-9]|[1-9][0-9]{3}|[1-9][0-9]{5}")
_DECIMAL: Final = re.compile(r"(?:0|[1-9][0-9]{0,6})(?:\.[0-9]{1,8})?")
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+")


def parse_rules(data: bytes) -> RuleSet:
    """The rule set of a file, whose parts may still disagree with each other.

    Raises: InvalidInputError(medical.rules-size | medical.rules-json | medical.rules-field | medical.rules-value) that
    says where.
    """
    top = read(data, max_bytes=MAX_BYTES)
    parts = top.fields(_TOP)
    parts["v"].integer(1, 1)
    return RuleSet(
        zh=parts["zh"].text(_TITLE),
        en=parts["en"].text(_TITLE),
        note=parts["note"].text(2_000),
        sources=tuple(_source(entry) for entry in parts["sources"].array(1, _FEW)),
        specimens=tuple(_specimen(entry) for entry in parts["specimens"].array(0, _FEW)),
        items=tuple(_item(entry) for entry in parts["items"].array(1, MAX_RULE_ITEMS)),
        windows=tuple(_window(entry) for entry in parts["windows"].array(0, 4 * MAX_RULE_ITEMS)),
        levels=tuple(_level(entry) for entry in parts["levels"].array(0, _FEW)),
        ranges=tuple(_range(entry) for entry in parts["ranges"].array(0, 1_000)),
        mappings=tuple(_mapping(entry) for entry in parts["mappings"].array(0, MAX_MAPPINGS)),
        reasons=tuple(_reason(entry) for entry in parts["reasons"].array(0, _FEW)),
        canonical=encode(top.value),
    )


_TOP: Final = frozenset(
    {
        "v", "zh", "en", "note", "sources", "specimens", "items", "windows", "levels", "ranges", "mappings", "reasons",
    }
)  # fmt: skip


def _id(at: Cursor) -> str:
    # The chain keeps an item's id as 32 bytes of ASCII.
    return at.text(32, _ID, "an id of small letters, digits and single hyphens")


def _source(at: Cursor) -> Source:
    parts = at.fields(frozenset({"id", "title"}))
    return Source(id=_id(parts["id"]), title=parts["title"].text(500))


def _specimen(at: Cursor) -> Specimen:
    parts = at.fields(frozenset({"id", "zh", "en", "codes"}))
    pairs = (entry.fields(frozenset({"system", "code"})) for entry in parts["codes"].array(0, _FEW))
    return Specimen(
        id=_id(parts["id"]),
        zh=parts["zh"].text(_TITLE),
        en=parts["en"].text(_TITLE),
        codes=tuple((pair["system"].text(_TITLE), pair["code"].text(_FEW)) for pair in pairs),
    )


def _item(at: Cursor) -> Item:
    parts = at.fields(
        frozenset({"id", "zh", "en", "category", "kind", "loinc", "specialty", "price_cents"}),
        frozenset({"specimens", "unit", "molar_mass", "methods"}),
    )
    return Item(
        id=_id(parts["id"]),
        zh=parts["zh"].text(_TITLE),
        en=parts["en"].text(_TITLE),
        category=Category(parts["category"].word(tuple(Category))),
        kind=Kind(parts["kind"].word(tuple(Kind))),
        loinc=tuple(code.text(9, _LOINC, "a LOINC code") for code in parts["loinc"].array(0, _FEW)),
        specialty=_id(parts["specialty"]),
        price_cents=parts["price_cents"].integer(0, _MAX_CENTS),
        specimens=tuple(_id(entry) for entry in parts["specimens"].array(1, _FEW)) if "specimens" in parts else (),
        unit=parts["unit"].text(_FEW, _VISIBLE, "a UCUM unit") if "unit" in parts else None,
        molar_mass=parts["molar_mass"].text(16, _DECIMAL, "a decimal in g/mol") if "molar_mass" in parts else None,
        methods=tuple(entry.text(_TITLE) for entry in parts["methods"].array(1, _FEW)) if "methods" in parts else (),
    )


def _window(at: Cursor) -> Window:
    parts = at.fields(frozenset({"item", "course", "days", "source"}))
    return Window(
        item=_id(parts["item"]),
        course=Course(parts["course"].word(tuple(Course))),
        days=parts["days"].integer(1, MAX_DAYS),
        source=_id(parts["source"]),
    )


def _level(at: Cursor) -> LevelRule:
    parts = at.fields(frozenset({"issuer", "asker", "recognised"}))
    return LevelRule(
        issuer=parts["issuer"].integer(1, 3), asker=parts["asker"].integer(1, 3), recognised=parts["recognised"].flag()
    )


def _range(at: Cursor) -> LabelRange:
    parts = at.fields(frozenset({"code", "label", "en", "territory"}), frozenset({"regions", "quality"}))
    regions = parts["regions"].array(1, 1_000) if "regions" in parts else iter(())
    return LabelRange(
        code=parts["code"].text(32, _VISIBLE, "visible ASCII characters"),
        label=parts["label"].text(_FEW),
        en=parts["en"].text(_TITLE),
        territory=Territory(parts["territory"].word(tuple(Territory))),
        regions=tuple(entry.text(6, _PREFIX, "2, 4 or 6 digits of a GB/T 2260 code") for entry in regions),
        quality=_member(parts["quality"]) if "quality" in parts else None,
    )


def _mapping(at: Cursor) -> Mapping:
    parts = at.fields(frozenset({"institution", "system", "code", "item"}))
    whose = parts["institution"]
    return Mapping(
        institution=ANY if whose.value == ANY else _member(whose),
        system=parts["system"].text(_TITLE),
        code=parts["code"].text(_FEW),
        item=_id(parts["item"]),
    )


def _member(at: Cursor) -> str:
    try:
        return parse_uscc(at.text(18))
    except InvalidInputError as error:
        raise InvalidInputError(
            "medical.rules-value",
            f"{at.where}: not a USCC",
            hint=error.hint,
            expected="18 characters with a right check character",
            actual=ascii(at.value)[:40],
        ) from None


def _reason(at: Cursor) -> LocalReason:
    parts = at.fields(frozenset({"code", "zh", "en", "source"}))
    return LocalReason(
        code=_id(parts["code"]),
        zh=parts["zh"].text(_TITLE),
        en=parts["en"].text(_TITLE),
        source=_id(parts["source"]),
    )
