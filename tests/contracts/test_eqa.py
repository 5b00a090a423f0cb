"""Recognition: label ranges, and records of external quality assessment, which only the body a range names makes."""

from __future__ import annotations

import pytest
from contract_city import HEALTH, HOSPITAL, QUALITY, ZERO, City, digest, word
from contract_targets import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recognition_city import DAY, HERE, ITEM, LABEL, LONGEST, RANGE, THERE, Regions, found_regions, result


@pytest.fixture
def regions(city: City) -> Regions:
    return found_regions(city)


@pytest.fixture
def opened(regions: Regions) -> Regions:
    """With a range that names civil, and an item."""
    regions.open()
    regions.send(regions.city.health, "addItems", [ITEM])
    return regions


def record(regions: Regions, *results: tuple) -> list[bytes]:
    events = regions.send(regions.city.civil, "recordEqas", list(results)).events
    return [event.args["id"] for event in events]


# --- ranges -----------------------------------------------------------------------------------------------------------


def test_a_commission_opens_a_range(regions: Regions) -> None:
    city = regions.city
    event = regions.send(city.health, "openRange", RANGE, LABEL, city.civil.id, 0).only("RangeOpened")
    begun = city.now
    assert event == {
        "range": RANGE, "quality": city.civil.id, "by": city.health.id, "region": HERE, "label": LABEL,
        "validFrom": begun,
    }  # fmt: skip
    kept = regions.read("labelRange", RANGE)
    assert (kept.region, kept.validFrom, kept.validUntil, kept.openedAt) == (HERE, begun, 0, begun)
    assert (kept.label, kept.quality, kept.by) == (LABEL, city.civil.id, city.health.id)
    refused = regions.refusal(regions.far, "openRange", RANGE, LABEL, city.civil.id, 0)
    assert refused == ("RangeExists", RANGE)
    national = word("cn")
    assert regions.refusal(city.health, "openRange", ZERO, LABEL, city.civil.id, 0) == ("MalformedCode", ZERO)
    refused = regions.refusal(city.health, "openRange", national, ZERO, city.civil.id, 0)
    assert refused == ("Missing", word("label"))
    for nobody in (city.water.id, word("11310000MB2F00031J")):
        refused = regions.refusal(city.health, "openRange", national, LABEL, nobody, 0)
        assert refused == ("NotQualityBody", national, nobody)
    regions.commissions_only("openRange", national, LABEL, city.civil.id, 0)
    regions.open(national, begun - 100 * DAY, regions.far)
    assert regions.read("rangeCount") == 2
    ids, entries = regions.read("ranges", 0, 200)
    assert (ids, [entry.region for entry in entries]) == ([RANGE, national], [HERE, THERE])
    assert regions.read("ranges", 2, 1) == ([], [])
    assert regions.refusal(city.health, "labelRange", word("other")) == ("UnknownRange", word("other"))


@pytest.mark.anvil("the exact time of the next block")
def test_a_range_begins_within_ten_years(regions: Regions) -> None:
    city = regions.city
    now = city.now
    for begin in (1, now - LONGEST - 1, now + LONGEST + 1):
        refused = regions.refusal(city.health, "openRange", RANGE, LABEL, city.civil.id, begin)
        assert refused == ("WrongTime", begin, now - LONGEST, now + LONGEST)


def test_a_range_ends_earlier_only_and_not_in_the_past(regions: Regions) -> None:
    city = regions.city
    begin = city.now + 10 * DAY
    regions.open(begin=begin)
    assert regions.refusal(city.health, "endRange", RANGE, 0, ZERO) == ("Missing", word("reasonDigest"))
    assert regions.refusal(city.health, "endRange", word("x"), 0, digest("r")) == ("UnknownRange", word("x"))
    refused = regions.refusal(regions.far, "endRange", RANGE, 0, digest("r"))
    assert refused == ("OtherRegion", RANGE, HERE, THERE)
    regions.commissions_only("endRange", RANGE, 0, digest("r"))
    refused = regions.refusal(city.health, "endRange", RANGE, begin - 1, digest("r"))
    assert refused == ("WrongEnd", begin - 1, begin, 0)
    event = regions.send(city.health, "endRange", RANGE, begin + DAY, digest("r")).only("RangeEnded")
    assert event == {"range": RANGE, "by": city.health.id, "validUntil": begin + DAY, "reasonDigest": digest("r")}
    for until in (begin + DAY, begin + DAY + 1):
        refused = regions.refusal(city.health, "endRange", RANGE, until, digest("r"))
        assert refused == ("WrongEnd", until, begin, begin + DAY)
    regions.send(city.health, "endRange", RANGE, 0, digest("r"))
    assert regions.read("labelRange", RANGE).validUntil == begin
    other = word("310000-2")
    regions.open(other)
    regions.send(city.health, "endRange", other, 0, digest("r"))
    assert regions.read("labelRange", other).validUntil == city.now


# --- records ----------------------------------------------------------------------------------------------------------


def test_the_quality_body_of_the_range_records(opened: Regions) -> None:
    city = opened.city
    good, failed = result(opened), result(opened, round=2, passed=False)
    events = opened.send(city.civil, "recordEqas", [good, failed]).events
    first, second = (event.args for event in events)
    assert first == {
        "id": first["id"], "institution": city.water.id, "item": ITEM, "range": RANGE, "by": city.civil.id,
        "scheme": word("NCCL-chem"), "round": 1, "passed": True,
    }  # fmt: skip
    assert (second["round"], second["passed"], second["id"] != first["id"]) == (2, False, True)
    kept = opened.read("eqa", first["id"])
    assert (kept.range, kept.item, kept.institution, kept.scheme) == good[:4]
    assert (kept.certificateDigest, kept.round, kept.passed, kept.validFrom, kept.validUntil) == good[4:]
    assert (kept.recordedAt, kept.revokedSince, kept.revokedAt) == (city.now, 0, 0)
    assert (kept.by, kept.revokedBy) == (city.civil.id, ZERO)
    clinic = result(opened, institution=opened.clinic.id)
    record(opened, clinic)
    assert opened.read("eqaCount") == 3
    ids, entries = opened.read("eqas", 0, 200)
    assert (ids[0], [entry.institution for entry in entries]) == (first["id"], [city.water.id] * 2 + [clinic[2]])
    assert opened.read("eqas", 3, 1) == ([], [])
    assert opened.read("eqaCountOf", city.water.id) == 2
    assert opened.read("eqasOf", city.water.id, 1, 200)[0] == [second["id"]]
    assert opened.read("eqasOf", opened.clinic.id, 1, 1) == ([], [])
    unknown = digest("nothing")
    assert opened.refusal(city.civil, "eqa", unknown) == ("UnknownEqa", unknown)


def test_nobody_else_records(opened: Regions) -> None:
    city = opened.city
    for other in (city.water, city.health, city.bigdata, city.audit, opened.far):
        assert opened.refusal(other, "recordEqas", [result(opened)]) == ("NotQualityBody", RANGE, other.id)
    assert opened.refusal(city.outsider, "recordEqas", [result(opened)])[0] == "Consortium__NotActiveMember"
    # Another quality body: not the one of this range.
    opened.set_roles(city.audit, QUALITY)
    refused = opened.refusal(city.audit, "recordEqas", [result(opened)])
    assert refused == ("NotQualityBody", RANGE, city.audit.id)
    # The body of the range without its role.
    opened.set_roles(city.civil, 0)
    refused = opened.refusal(city.civil, "recordEqas", [result(opened)])
    assert refused == ("NotQualityBody", RANGE, city.civil.id)


def test_what_a_record_must_hold(opened: Regions) -> None:
    city = opened.city

    def refused(**changes: object) -> tuple:
        return opened.refusal(city.civil, "recordEqas", [result(opened, **changes)])

    assert refused(range=word("x")) == ("UnknownRange", word("x"))
    assert refused(item=word("lab.x")) == ("UnknownItem", word("lab.x"))
    for nobody in (city.civil.id, word("11310000MB2F00031J")):
        assert refused(institution=nobody) == ("NotHospital", nobody)
    assert refused(scheme=ZERO) == ("MalformedCode", ZERO)
    assert refused(certificate=ZERO) == ("Missing", word("certificateDigest"))
    assert refused(round=0) == ("Missing", word("round"))
    assert refused(begin=0) == ("Missing", word("validFrom"))
    begin = city.now
    for end in (begin, begin - 1, begin + LONGEST + 100):
        name, *values = refused(begin=begin, end=end)
        assert (name, values[:2]) == ("SpanTooLong", [begin, end])
    assert opened.refusal(city.civil, "recordEqas", []) == ("WrongCount", 0, 200)
    many = opened.refusal(city.civil, "recordEqas", [result(opened, round=n + 1) for n in range(201)])
    assert many == ("WrongCount", 201, 200)


def test_a_suspended_hospital_gets_no_records(opened: Regions) -> None:
    opened.suspend(opened.city.water)
    refused = opened.refusal(opened.city.civil, "recordEqas", [result(opened)])
    assert refused == ("NotHospital", opened.city.water.id)


def test_a_range_that_ended_takes_no_records(opened: Regions) -> None:
    city = opened.city
    opened.send(city.health, "endRange", RANGE, city.now + 10 * DAY, digest("r"))
    record(opened, result(opened))
    opened.send(city.health, "endRange", RANGE, 0, digest("r"))
    refused = opened.refusal(city.civil, "recordEqas", [result(opened, round=2)])
    assert refused == ("RangeEnded", RANGE, city.now)


def test_a_round_is_recorded_once_until_it_is_revoked(opened: Regions) -> None:
    city = opened.city
    (first,) = record(opened, result(opened))
    again = opened.refusal(city.civil, "recordEqas", [result(opened, passed=False)])
    assert again == ("EqaKnown", first)
    twice = [result(opened, round=5)] * 2
    assert opened.refusal(city.civil, "recordEqas", twice)[0] == "EqaKnown"
    opened.send(city.civil, "revokeEqa", first, 0, digest("r"))
    (second,) = record(opened, result(opened, passed=False))
    assert second != first
    assert opened.refusal(city.civil, "recordEqas", [result(opened)]) == ("EqaKnown", second)
    assert opened.read("eqa", first).passed is True


def test_a_revocation_keeps_the_record_and_moves_earlier_only(opened: Regions) -> None:
    city = opened.city
    begin = city.now - 30 * DAY
    (made,) = record(opened, result(opened, begin=begin))
    unknown = digest("nothing")
    assert opened.refusal(city.civil, "revokeEqa", unknown, 0, digest("r")) == ("UnknownEqa", unknown)
    assert opened.refusal(city.civil, "revokeEqa", made, 0, ZERO) == ("Missing", word("reasonDigest"))
    for since in (begin - 1, city.now + DAY):
        name, *values = opened.refusal(city.civil, "revokeEqa", made, since, digest("r"))
        assert (name, values[:2], values[3]) == ("WrongRevocation", [since, begin], 0)
    event = opened.send(city.civil, "revokeEqa", made, 0, digest("r")).only("EqaRevoked")
    since = city.now
    assert event == {
        "id": made, "institution": city.water.id, "by": city.civil.id, "since": since, "reasonDigest": digest("r"),
    }  # fmt: skip
    kept = opened.read("eqa", made)
    assert (kept.revokedSince, kept.revokedAt, kept.revokedBy, kept.passed) == (since, since, city.civil.id, True)
    name, *values = opened.refusal(city.civil, "revokeEqa", made, since, digest("r"))
    assert (name, values[0], values[3]) == ("WrongRevocation", since, since)
    opened.send(city.civil, "revokeEqa", made, begin, digest("earlier"))
    kept = opened.read("eqa", made)
    assert (kept.revokedSince, kept.revokedAt, kept.recordedAt <= kept.revokedAt) == (begin, city.now, True)
    # One that has not begun is revoked from its begin.
    ahead = city.now + 10 * DAY
    (later,) = record(opened, result(opened, round=2, begin=ahead))
    opened.send(city.civil, "revokeEqa", later, 0, digest("r"))
    assert opened.read("eqa", later).revokedSince == ahead


def test_who_revokes(opened: Regions) -> None:
    city = opened.city
    (made,) = record(opened, result(opened))
    for other in (city.water, city.health, city.bigdata, opened.far):
        assert opened.refusal(other, "revokeEqa", made, 0, digest("r")) == ("NotQualityBody", RANGE, other.id)
    assert opened.refusal(city.outsider, "revokeEqa", made, 0, digest("r"))[0] == "Consortium__NotActiveMember"
    # While the body is no quality body, the commission of the range's region does.
    opened.set_roles(city.civil, 0)
    for other in (city.civil, city.water):
        assert opened.refusal(other, "revokeEqa", made, 0, digest("r")) == ("NotCommission", other.id)
    assert opened.refusal(opened.far, "revokeEqa", made, 0, digest("r")) == ("OtherRegion", RANGE, HERE, THERE)
    event = opened.send(city.health, "revokeEqa", made, 0, digest("r")).only("EqaRevoked")
    assert event["by"] == city.health.id
    assert opened.read("eqa", made).revokedBy == city.health.id


ATTEMPTS = st.lists(
    st.tuples(
        st.integers(0, 4),  # who sends
        st.sampled_from([RANGE, word("cn"), word("gone")]),
        st.integers(0, 4),  # whose result
        st.sampled_from([ITEM, word("lab.x")]),
        st.integers(0, 2),  # round
        st.integers(-2, 2),  # days of validity
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=examples(25), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    roles=st.lists(st.sampled_from([0, QUALITY, HOSPITAL, QUALITY | HOSPITAL]), min_size=2, max_size=2), asks=ATTEMPTS
)
def test_a_record_is_by_the_ranges_body_and_for_a_hospital(city: City, roles: list[int], asks: list) -> None:
    """Whoever tries whatever: it is recorded exactly when the range names the sender, and all roles are there."""
    with city.target.untouched():
        # Roles of two members change after the ranges named them.
        holds = {city.water.id: HOSPITAL, city.civil.id: QUALITY, city.health.id: HEALTH, city.bigdata.id: 0}
        holds[city.audit.id] = 0
        named = {RANGE: city.civil.id, word("cn"): city.civil.id}
        for code in named:
            city.send(city.health, "Recognition.openRange", code, LABEL, named[code], 0)
        city.send(city.health, "Recognition.addItems", [ITEM])
        for party, role in zip((city.civil, city.audit), roles, strict=True):
            if role != holds[party.id] and not (party is city.audit and role == 0):
                city.decide(7, ["bytes32", "uint32"], party.id, role, without=(party,))
                holds[party.id] = role
        kept: set[tuple] = set()
        for who, code, whose, item, number, days in asks:
            sender, institution = city.members[who], city.members[whose]
            begin = city.now
            key = (code, item, institution.id, number)
            good = (
                named.get(code) == sender.id and holds[sender.id] & QUALITY and holds[institution.id] & HOSPITAL
                and item == ITEM and number > 0 and days > 0 and key not in kept
            )  # fmt: skip
            entry = (code, item, institution.id, word("s"), digest("c"), number, True, begin, begin + days * DAY)
            refused = city.attempt(sender, "Recognition.recordEqas", [entry])
            assert (refused == ()) is bool(good), (refused, who, code, whose)
            if good:
                kept.add(key)
        assert city.read("Recognition.eqaCount") == len(kept)
        _, entries = city.read("Recognition.eqas", 0, 200)
        assert {(entry.range, entry.item, entry.institution, entry.round) for entry in entries} == kept
