"""Recognition: a region's rules, the items they name, and its institutions."""

from __future__ import annotations

import pytest
from contract_city import HEALTH, HOSPITAL, ZERO, City, digest, word
from contract_targets import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recognition_city import DAY, HERE, ITEM, LONGEST, THERE, Regions, found_regions


@pytest.fixture
def regions(city: City) -> Regions:
    return found_regions(city)


def test_a_commission_adopts_the_rules_of_its_region(regions: Regions) -> None:
    city = regions.city
    event = regions.send(city.health, "adoptRules", 1, digest("rules", 1), 0).only("RulesAdopted")
    begun = city.now
    assert event == {
        "region": HERE, "version": 1, "by": city.health.id, "digest": digest("rules", 1), "inForceFrom": begun,
    }  # fmt: skip
    (kept,) = regions.read("rules", HERE, 0, 200)
    assert (kept.inForceFrom, kept.adoptedAt, kept.withdrawnAt) == (begun, begun, 0)
    assert (kept.digest, kept.by) == (digest("rules", 1), city.health.id)
    for time, found in ((begun - 1, (0, ZERO)), (begun, (1, digest("rules", 1))), (2**64 - 1, (1, digest("rules", 1)))):
        assert regions.read("rulesAt", HERE, time) == found
    # The other region has rules of its own, with numbers of its own.
    assert regions.read("rulesAt", THERE, begun) == (0, ZERO)
    assert regions.send(regions.far, "adoptRules", 1, digest("rules", 1), 0).only("RulesAdopted")["region"] == THERE
    assert regions.read("ruleRegions", 0, 200) == [HERE, THERE]
    assert regions.read("ruleRegions", 1, 1) == [THERE]
    assert regions.read("ruleCount", HERE) == regions.read("ruleCount", THERE) == 1
    regions.commissions_only("adoptRules", 2, digest("rules", 2), 0)


def test_versions_count_without_gaps_and_change_something(regions: Regions) -> None:
    city = regions.city
    for version in (0, 2, 2**32 - 1):
        refused = regions.refusal(city.health, "adoptRules", version, digest("rules"), 0)
        assert refused == ("WrongVersion", HERE, version, 1)
    assert regions.refusal(city.health, "adoptRules", 1, ZERO, 0) == ("Missing", word("digest"))
    regions.send(city.health, "adoptRules", 1, digest("rules", 1), 0)
    later = city.now + DAY
    same = regions.refusal(city.health, "adoptRules", 2, digest("rules", 1), later)
    assert same == ("SameRules", HERE, 1, digest("rules", 1))
    regions.send(city.health, "adoptRules", 2, digest("rules", 2), later)
    assert [entry.digest for entry in regions.read("rules", HERE, 1, 5)] == [digest("rules", 2)]
    assert regions.read("rules", HERE, 2, 5) == []
    refused = regions.refusal(city.health, "adoptRules", 3, digest("rules", 3), later)
    assert (refused[0], refused[1:3]) == ("WrongTime", (later, later + 1))
    # An earlier rule set may come back.
    regions.send(city.health, "adoptRules", 3, digest("rules", 1), later + 1)


@pytest.mark.anvil("the exact time of the next block")
def test_rules_come_into_force_now_or_later(regions: Regions) -> None:
    city = regions.city
    now = city.now
    for begin in (1, now - 1, now + LONGEST + 1):
        refused = regions.refusal(city.health, "adoptRules", 1, digest("rules"), begin)
        assert refused == ("WrongTime", begin, now, now + LONGEST)
    regions.send(city.health, "adoptRules", 1, digest("rules"), now + LONGEST)


def test_a_planned_version_is_taken_back_before_it_is_in_force(regions: Regions) -> None:
    city = regions.city
    regions.send(city.health, "adoptRules", 1, digest("rules", 1), 0)
    begun, planned = city.now, city.now + 10 * DAY
    regions.send(city.health, "adoptRules", 2, digest("rules", 2), planned)
    for version in (0, 3):
        refused = regions.refusal(city.health, "withdrawRules", version, digest("reason"))
        assert refused == ("UnknownRules", HERE, version)
    assert regions.refusal(regions.far, "withdrawRules", 2, digest("reason")) == ("UnknownRules", THERE, 2)
    assert regions.refusal(city.health, "withdrawRules", 2, ZERO) == ("Missing", word("reasonDigest"))
    refused = regions.refusal(city.health, "withdrawRules", 1, digest("reason"))
    assert refused == ("RulesFixed", HERE, 1, begun, 0)
    regions.commissions_only("withdrawRules", 2, digest("reason"))
    assert regions.read("rulesAt", HERE, planned)[0] == 2
    event = regions.send(city.health, "withdrawRules", 2, digest("reason")).only("RulesWithdrawn")
    withdrawn = city.now
    assert event == {"region": HERE, "version": 2, "by": city.health.id, "reasonDigest": digest("reason")}
    assert regions.read("rulesAt", HERE, planned)[0] == 1
    assert regions.read("rules", HERE, 1, 1)[0].withdrawnAt == withdrawn
    refused = regions.refusal(city.health, "withdrawRules", 2, digest("reason"))
    assert refused == ("RulesFixed", HERE, 2, planned, withdrawn)
    # Its number is not given again, and its place in time is free.
    same = regions.refusal(city.health, "adoptRules", 3, digest("rules", 1), 0)
    assert same == ("SameRules", HERE, 1, digest("rules", 1))
    regions.send(city.health, "adoptRules", 3, digest("rules", 2), planned - DAY)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("adopt"), st.integers(0, 30), st.integers(0, 2)),
        st.tuples(st.just("withdraw"), st.integers(1, 4), st.just(0)),
        st.tuples(st.just("wait"), st.integers(1, 15), st.just(0)),
    ),
    min_size=2,
    max_size=9,
)


@pytest.mark.anvil("moves the clock")
@settings(max_examples=examples(20), deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_what_was_in_force_never_changes(city: City, steps: list) -> None:
    """After any steps: each past second has the version it had at that second, and that version its digest."""
    with city.target.untouched():
        start = city.now
        answers: dict[int, tuple[int, bytes]] = {}

        def look() -> None:
            now = city.now
            kept = city.read("Recognition.rules", HERE, 0, 200)
            live = [(entry.inForceFrom, n, entry.digest) for n, entry in enumerate(kept, 1) if not entry.withdrawnAt]
            assert live == sorted(live)
            assert all(entry.inForceFrom >= entry.adoptedAt for entry in kept)
            for second in range(start, now + 1, 3):
                begun = [(n, data) for begin, n, data in live if begin <= second]
                expected = begun[-1] if begun else (0, ZERO)
                assert city.read("Recognition.rulesAt", HERE, second) == expected
                if second < now:
                    assert answers.setdefault(second, expected) == expected

        for what, first, second in steps:
            if what == "wait":
                city.target.pass_time(first)
            elif what == "adopt":
                version = city.read("Recognition.ruleCount", HERE) + 1
                begin = city.now + first if first else 0
                city.attempt(city.health, "Recognition.adoptRules", version, digest("rules", second), begin)
            else:
                city.attempt(city.health, "Recognition.withdrawRules", first, digest("reason"))
            look()


def test_items_become_known_once(regions: Regions) -> None:
    city = regions.city
    listed = [ITEM, word("img.chest-ct"), b"!" * 32]
    done = regions.send(city.health, "addItems", listed)
    assert [event.args for event in done.events] == [{"item": item, "by": city.health.id} for item in listed]
    added = city.now
    assert regions.read("isItem", ITEM) is True
    assert regions.read("isItem", word("lab.sodium")) is False
    assert regions.read("itemCount") == 3
    ids, entries = regions.read("items", 1, 200)
    assert (ids, [(entry.addedAt, entry.by) for entry in entries]) == (listed[1:], [(added, city.health.id)] * 2)
    assert regions.read("items", 3, 1) == ([], [])
    known = regions.refusal(regions.far, "addItems", [word("lab.sodium"), ITEM])
    assert known == ("ItemKnown", ITEM)
    assert regions.refusal(city.health, "addItems", []) == ("WrongCount", 0, 200)
    many = [word(f"item-{number}") for number in range(201)]
    assert regions.refusal(city.health, "addItems", many) == ("WrongCount", 201, 200)
    twice = [word("lab.sodium")] * 2
    assert regions.refusal(city.health, "addItems", twice) == ("ItemKnown", twice[0])
    regions.commissions_only("addItems", [word("lab.sodium")])


WRONG_CODES = {
    "empty": b"",
    "blank": b"a b",
    "first blank": b" a",
    "gap": b"a\0b",
    "after a gap": b"\0ab",
    "control": b"a\x1f",
    "delete": b"a\x7f",
    "not ascii": "血糖".encode(),
}


@pytest.mark.parametrize("what", WRONG_CODES)
def test_a_code_is_visible_ascii(city: City, what: str) -> None:
    code = WRONG_CODES[what].ljust(32, b"\0")
    assert city.refusal(city.health, "Recognition.addItems", [code]) == ("Recognition__MalformedCode", code)


@settings(max_examples=examples(25), deadline=None, suppress_health_check=list(HealthCheck))
@given(place=st.integers(0, 31), value=st.integers(0, 255))
def test_any_changed_character_is_another_good_code_or_none(city: City, place: int, value: int) -> None:
    code = bytearray(b"lab.glucose".ljust(32, b"\0"))
    code[place] = value
    text = bytes(code).rstrip(b"\0")
    good = bool(text) and all(0x21 <= sign <= 0x7E for sign in text)
    with city.target.untouched():
        refused = city.attempt(city.health, "Recognition.addItems", [bytes(code)])
        assert refused == (() if good else ("Recognition__MalformedCode", bytes(code)))


def test_a_commission_enters_its_institutions(regions: Regions) -> None:
    city = regions.city
    hospital = city.water
    unknown = regions.refusal(city.health, "institution", hospital.id)
    assert unknown == ("UnknownInstitution", hospital.id)
    assert regions.refusal(city.health, "setInstitution", hospital.id, 0) == ("UnknownInstitution", hospital.id)
    assert regions.refusal(city.health, "setInstitution", hospital.id, 4) == ("WrongLevel", 4, 3)
    for other in (city.civil.id, word("11310000MB2F00031J")):
        assert regions.refusal(city.health, "setInstitution", other, 2) == ("NotHospital", other)
    event = regions.send(city.health, "setInstitution", hospital.id, 2).only("InstitutionSet")
    assert event == {"member": hospital.id, "region": HERE, "by": city.health.id, "level": 2}
    kept = regions.read("institution", hospital.id)
    assert (kept.region, kept.level, kept.changedAt, kept.by) == (HERE, 2, city.now, city.health.id)
    assert regions.refusal(city.health, "setInstitution", hospital.id, 2) == ("Unchanged", hospital.id)
    regions.send(city.health, "setInstitution", hospital.id, 3)
    assert regions.read("institution", hospital.id).level == 3
    regions.send(regions.far, "setInstitution", regions.clinic.id, 1)
    regions.commissions_only("setInstitution", hospital.id, 1)
    assert regions.read("institutionCount") == 2
    ids, entries = regions.read("institutions", 0, 200)
    assert (ids, [entry.level for entry in entries]) == ([hospital.id, regions.clinic.id], [3, 1])
    assert regions.read("institutions", 2, 1) == ([], [])


def test_an_institution_moves_when_nobody_answers_for_it(regions: Regions) -> None:
    city = regions.city
    hospital = city.water
    regions.send(city.health, "setInstitution", hospital.id, 2)
    refused = regions.refusal(regions.far, "setInstitution", hospital.id, 1)
    assert refused == ("OtherRegion", hospital.id, HERE, THERE)
    # Taken off once its role is gone; entered again only with it.
    regions.set_roles(hospital, 0)
    assert regions.refusal(city.health, "setInstitution", hospital.id, 1) == ("NotHospital", hospital.id)
    regions.send(city.health, "setInstitution", hospital.id, 0)
    assert regions.read("institution", hospital.id).level == 0
    assert regions.refusal(city.health, "setInstitution", hospital.id, 0) == ("Unchanged", hospital.id)
    regions.set_roles(hospital, HOSPITAL)
    regions.set_roles(city.health, 0)
    regions.send(regions.far, "setInstitution", hospital.id, 1)
    kept = regions.read("institution", hospital.id)
    assert (kept.region, kept.level, kept.by) == (THERE, 1, regions.far.id)
    assert regions.read("institutionCount") == 1
    regions.set_roles(city.health, HEALTH)
    refused = regions.refusal(city.health, "setInstitution", hospital.id, 2)
    assert refused == ("OtherRegion", hospital.id, THERE, HERE)
