"""Reports of hospitals about people who do not exist: the same each time, with a mix of what goes wrong."""

from __future__ import annotations

import json
import re
from collections import Counter

import stdnum.cn.ric

from ledger.medical.rules import load_rules, starting_rules
from node.city import clinic
from node.city.roster import demo_uscc

NOW_S = 1_780_272_000
HOSPITALS = tuple(demo_uscc("310000", number) for number in (11, 12, 13))


def test_the_same_arguments_give_the_same_reports() -> None:
    sent = clinic.reports(HOSPITALS, NOW_S)
    assert sent == clinic.reports(HOSPITALS, NOW_S)
    assert len(sent) == 300
    assert {one.institution for one in sent} == set(HOSPITALS)
    # Patients come again, also to another hospital.
    seen = Counter(one.identity for one in sent)
    assert 20 < len(seen) <= 60
    places = {one.identity: {two.institution for two in sent if two.identity == one.identity} for one in sent}
    assert sum(len(those) > 1 for those in places.values()) > 20


def test_every_hundred_reports_have_the_whole_mix() -> None:
    fates = Counter(one.fate for one in clinic.reports(HOSPITALS, NOW_S))
    assert fates["plain"] > 150
    assert {fate for fate, number in fates.items() if number >= 3} == set(fates)
    assert len(fates) == 12
    assert sum(number for fate, number in fates.items() if fate in clinic.REFUSED) == 15


def test_nobody_alive_and_every_decimal_as_written() -> None:
    for one in clinic.reports(HOSPITALS, NOW_S):
        assert stdnum.cn.ric.is_valid(one.identity)
        assert one.identity[6:9] == "190"
        if one.fate != "cut short":
            assert json.loads(one.data)["resourceType"] in ("Bundle", "Patient", "Organization")
    texts = b"".join(one.data for one in clinic.reports(HOSPITALS, NOW_S))
    assert re.search(rb'"value":[0-9]+\.[0-9]0,', texts)


def test_items_and_codes_are_those_of_the_starting_rules() -> None:
    rules = load_rules(starting_rules(), units=False)
    found = clinic.assessments(HOSPITALS)
    assert all(rules.item(one.item) is not None for one in found)
    named = {one.item for one in found}
    listed = [one for _, part in clinic._PANELS.values() for one in part] + list(clinic._STUDIES)
    assert named == {one.item for one in listed}
    assert all(rules.item_of(HOSPITALS[0], clinic.LOINC, one.loinc) == one.item for one in listed)
    assert {one.unit for one in listed} >= {"10*9/L", "mmol/L", "m[IU]/L"}
    assert [one.item for one in found if not one.passed] == ["triglycerides", "ggt"]
    assert len([one for one in found if one.institution == HOSPITALS[2]]) == len(listed) - 3
