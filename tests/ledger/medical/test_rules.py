"""Rule sets: what is right is loaded, and every bad file is refused with a code and where."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from ledger.errors import InvalidInputError
from ledger.medical.reasons import NATIONAL, check_retest, retest_reasons
from ledger.medical.rulecheck import MAX_PROBLEMS, loinc_check_digit
from ledger.medical.rulefile import MAX_BYTES
from ledger.medical.rules import check_rules, load_rules, parse_rules, rules_digest, starting_rules
from ledger.medical.ruleset import LOINC, Course
from tests.ledger.medical.worlds import ISSUER, document, ruleset

Change = Callable[[dict[str, Any]], object]


def without(part: str, at: int) -> Change:
    return lambda rules: rules[part].pop(at)


def again(part: str, at: int = 0, **changed: Any) -> Change:
    return lambda rules: rules[part].append(rules[part][at] | changed)


def put(part: str, at: int, **changed: Any) -> Change:
    return lambda rules: rules[part][at].update(changed)


def drop(part: str, at: int, name: str) -> Change:
    return lambda rules: rules[part][at].pop(name)


#: What is done to a good file -> the code of the refusal, and where it says the fault is.
BAD: list[tuple[Change, str, str]] = [
    (lambda rules: rules.pop("levels"), "field", "the file"),
    (lambda rules: rules.update(extra=1), "field", "the file"),
    (lambda rules: rules.update(v=2), "value", "v"),
    (lambda rules: rules.update(items=[]), "value", "items"),
    (lambda rules: rules.update(items={}), "value", "items"),
    (put("items", 1, colour="red"), "field", "items[1]"),
    (drop("items", 1, "price_cents"), "field", "items[1]"),
    (put("items", 0, id="Glucose"), "value", "items[0].id"),
    (put("items", 0, id="g" * 33), "value", "items[0].id"),
    (put("items", 0, zh="\u202e"), "value", "items[0].zh"),
    (put("items", 0, zh=" "), "value", "items[0].zh"),
    (put("items", 0, category="pathology"), "value", "items[0].category"),
    (put("items", 0, kind=["quantity"]), "value", "items[0].kind"),
    (put("items", 0, price_cents=-1), "value", "items[0].price_cents"),
    (put("items", 0, price_cents=True), "value", "items[0].price_cents"),
    (put("items", 0, molar_mass="180,1"), "value", "items[0].molar_mass"),
    (put("items", 0, molar_mass="0.0"), "molar-mass", "items[0].molar_mass"),
    (put("items", 2, molar_mass="1"), "molar-mass", "items[2].molar_mass"),
    (put("items", 0, loinc=["14749"]), "value", "items[0].loinc[0]"),
    (put("items", 0, loinc=["2345-7", "14749-7"]), "loinc", "items[0].loinc[1]"),
    (put("items", 1, loinc=["2345-7"]), "mapping", "items"),
    (put("items", 0, unit="mmol/Litre"), "unit", "items[0].unit"),
    (put("items", 0, unit="10^9 /L"), "value", "items[0].unit"),
    (drop("items", 0, "unit"), "unit", "items[0].unit"),
    (put("items", 2, unit="g/L"), "unit", "items[2].unit"),
    (put("items", 0, kind="images"), "kind", "items[0].kind"),
    (put("items", 3, kind="coded"), "kind", "items[3].kind"),
    (put("items", 0, specimens=["serum", "tears"]), "specimen", "items[0].specimens"),
    (drop("items", 0, "specimens"), "specimen", "items[0].specimens"),
    (put("items", 3, specimens=["serum"]), "specimen", "items[3].specimens"),
    (again("items", 0, loinc=[]), "duplicate", "items[4]"),
    (again("specimens", 1, codes=[]), "duplicate", "specimens[3]"),
    (again("specimens", 1, id="third"), "duplicate", "specimens"),
    (again("sources"), "duplicate", "sources[1]"),
    (again("ranges"), "duplicate", "ranges[3]"),
    (again("reasons"), "duplicate", "reasons[1]"),
    (put("reasons", 0, code="emergency"), "duplicate", "reasons[0]"),
    (put("windows", 0, item="sodium"), "item", "windows[0].item"),
    (without("windows", 3), "window-gap", "items[1]"),
    (again("windows", 3), "window-overlap", "windows[8]"),
    (again("windows", 3, days=15), "window-overlap", "windows[8]"),
    (put("windows", 0, days=8), "window-order", "items[0]"),
    (put("windows", 0, days=0), "value", "windows[0].days"),
    (put("windows", 1, days=731), "value", "windows[1].days"),
    (put("windows", 1, days="7"), "value", "windows[1].days"),
    (put("windows", 0, course="subacute"), "value", "windows[0].course"),
    (put("windows", 0, source="nobody"), "source", "windows[0].source"),
    (drop("windows", 0, "source"), "field", "windows[0]"),
    (put("reasons", 0, source="nobody"), "source", "reasons[0].source"),
    (without("levels", 4), "levels", "levels"),
    (again("levels", 4), "levels", "levels[9]"),
    (put("levels", 4, asker=4), "value", "levels[4].asker"),
    (put("levels", 4, recognised=1), "value", "levels[4].recognised"),
    (put("ranges", 0, regions=["31"]), "territory", "ranges[0].regions"),
    (drop("ranges", 1, "regions"), "territory", "ranges[1].regions"),
    (put("ranges", 1, regions=["31", "31"]), "territory", "ranges[1].regions"),
    (put("ranges", 1, regions=["310"]), "value", "ranges[1].regions[0]"),
    (put("ranges", 0, quality="12310000MB2F30001X"), "value", "ranges[0].quality"),
    (put("ranges", 0, quality=7), "value", "ranges[0].quality"),
    (put("ranges", 1, code="三角"), "value", "ranges[1].code"),
    (put("mappings", 0, item="sodium"), "item", "mappings[0].item"),
    (again("mappings", 0, item="haemoglobin"), "mapping", "mappings[2]"),
    (put("mappings", 0, system=LOINC, code="2823-3"), "mapping", "mappings[0].system"),
    (put("mappings", 0, institution="12310000MB2F30003X"), "value", "mappings[0].institution"),
]


@pytest.mark.parametrize("at", range(len(BAD)))
def test_a_bad_file_is_refused_with_code_and_place(at: int) -> None:
    change, code, where = BAD[at]
    rules = document()
    change(rules)
    with pytest.raises(InvalidInputError) as refused:
        load_rules(json.dumps(rules).encode())
    assert refused.value.code == f"medical.rules-{code}"
    assert f"{where}: " in refused.value.message, refused.value.message
    assert refused.value.hint


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "json"),
        (b"[1, 2", "json"),
        (b"\xff{}", "json"),
        (b'{"v": 1, "v": 1}', "json"),
        (b'{"v": 1.0}', "json"),
        (b'{"v": NaN}', "json"),
        (b'{"v": 12345678901234567890}', "json"),
        (b"[" * 100_000, "json"),
        (b'{"\\"' * 9, "json"),
        (b"[]", "value"),
        (b"3", "value"),
        (b'{"v": "\\ud800"}', "field"),
        (b" " * (MAX_BYTES + 1), "size"),
    ],
)
def test_what_is_no_rule_set_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        load_rules(data)
    assert refused.value.code == f"medical.rules-{code}"


def test_every_problem_is_told_not_only_the_first() -> None:
    rules = document()
    for change, _, _ in (BAD[at] for at in range(len(BAD)) if BAD[at][1] in ("unit", "levels", "source", "window-gap")):
        change(rules)
    found = check_rules(parse_rules(json.dumps(rules).encode()))
    assert {problem.code.removeprefix("medical.rules-") for problem in found} >= {"levels", "source", "window-gap"}
    assert all(problem.zh and problem.en and problem.where for problem in found)
    with pytest.raises(InvalidInputError, match=r"; and [0-9]+ more"):
        load_rules(json.dumps(rules).encode())


def test_the_list_of_problems_is_bounded() -> None:
    rules = document()
    rules["mappings"] = rules["mappings"][:1] * 1_000
    assert len(check_rules(parse_rules(json.dumps(rules).encode()))) == MAX_PROBLEMS


def test_units_may_be_left_out_where_they_were_checked_before() -> None:
    rules = document()
    rules["items"][0]["unit"] = "mmol/Litre"
    assert load_rules(json.dumps(rules).encode(), units=False).item("glucose") is not None


def test_the_digest_is_of_the_value_not_of_the_layout() -> None:
    rules = document()
    turned = dict(reversed(rules.items()))
    assert rules_digest(load_rules(json.dumps(turned, indent=3).encode())) == rules_digest(ruleset())
    assert len(rules_digest(ruleset())) == 32
    for change in (put("windows", 0, days=2), put("items", 0, price_cents=501), lambda each: each.update(note="other")):
        changed = copy.deepcopy(rules)
        change(changed)
        assert rules_digest(ruleset(changed)) != rules_digest(ruleset())


def test_what_a_rule_set_says() -> None:
    rules = ruleset()
    assert rules.days("glucose", "acute") == 1
    assert rules.days("sodium", "acute") is None
    assert rules.level_recognised(3, 1)
    assert not rules.level_recognised(1, 3)
    assert rules.item_of("anybody", LOINC, "2345-7") == "glucose"
    assert rules.item_of("anybody", "urn:local", "GLU") == "glucose"
    assert rules.item_of("anybody", "urn:local", "HGB") is None
    assert rules.item_of(ISSUER, "urn:local", "HGB") == "haemoglobin"
    assert rules.specimen_of("http://snomed.info/sct", "119297000") == "blood"
    assert rules.specimen_of("urn:local", "119297000") is None


def test_the_six_national_reasons_and_the_registered_local_ones() -> None:
    rules = ruleset()
    assert tuple(NATIONAL) == (
        "condition-changed", "fast-changing", "before-major-procedure", "emergency", "forensic-or-disability",
        "other-need",
    )  # fmt: skip
    for code in NATIONAL:
        assert check_retest(code, rules).national
    assert not check_retest("family-request", rules).national
    assert [entry.code for entry in retest_reasons(rules)] == [*NATIONAL, "family-request"]
    assert all(entry.zh and entry.en for entry in retest_reasons(rules))
    for unknown in ("", "Emergency", "curiosity", "family-request "):
        with pytest.raises(InvalidInputError) as refused:
            check_retest(unknown, rules)
        assert refused.value.code == "medical.retest-reason"
        assert "family-request" in refused.value.hint


def test_check_digits_of_loinc() -> None:
    # Source: LOINC Users' Guide: 12345 has the check digit 5; the others are codes in use.
    for code in ("12345-5", "718-7", "6690-2", "2345-7", "24627-2", "58410-2", "4548-4"):
        number, _, digit = code.partition("-")
        assert loinc_check_digit(number) == int(digit)
        wrong = {loinc_check_digit(f"{number[:-1]}{other}") for other in "0123456789" if other != number[-1]}
        assert int(digit) not in wrong


def test_the_starting_set() -> None:
    rules = load_rules(starting_rules())
    laboratory = [item for item in rules.items if item.category.value == "laboratory"]
    imaging = [item for item in rules.items if item.category.value == "imaging"]
    assert len(laboratory) >= 60
    assert len(imaging) >= 20
    assert all(item.loinc for item in rules.items)
    assert all(rules.days(item.id, course) for item in rules.items for course in Course)
    assert all(item.specimens for item in laboratory)
    assert all(item.unit for item in laboratory if item.kind.value == "quantity")
    assert all(item.price_cents > 0 for item in rules.items)
    # The licence of LOINC asks for its notice; a city must read that windows and prices are examples.
    assert "LOINC is copyright Regenstrief Institute" in rules.note
    assert "replaces it" in rules.note
    assert {entry.label for entry in rules.ranges} >= {"全国HR", "京津冀HR", "市HR"}


def test_the_starting_set_knows_the_codes_of_a_blood_count() -> None:
    rules = load_rules(starting_rules(), units=False)
    codes = [
        "718-7", "789-8", "4544-3", "787-2", "785-6", "777-3", "6690-2", "770-8", "751-8", "736-9", "731-0", "5905-5",
        "742-7", "713-8", "711-2", "706-2", "704-7",
    ]  # fmt: skip
    assert len({rules.item_of("anybody", LOINC, code) for code in codes} - {None}) == 17


def test_nesting_is_bounded_before_anything_is_decoded() -> None:
    """Libraries raise the recursion limit beyond what the stack holds: the decoder's own guard is none then."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)
    try:
        for data in (b"[" * 5_000_000, b'{"a":' * 1_000_000):
            with pytest.raises(InvalidInputError) as refused:
                load_rules(data)
            assert refused.value.code == "medical.rules-json"
    finally:
        sys.setrecursionlimit(limit)
