"""Recognition: agreements of regions hold by the will of both, and end by that of one."""

from __future__ import annotations

import pytest
from contract_city import ZERO, City, digest, word
from contract_targets import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recognition_city import HERE, ITEM, RANGE, THERE, Regions, found_regions

ITEMS = [word("img.chest-ct"), ITEM, word("lab.sodium")]


@pytest.fixture
def regions(city: City) -> Regions:
    made = found_regions(city)
    made.open()
    made.send(city.health, "addItems", ITEMS)
    return made


def test_an_agreement_holds_when_the_other_region_accepted(regions: Regions) -> None:
    city = regions.city
    event = regions.send(city.health, "proposeAgreement", RANGE, THERE, ITEMS).only("AgreementProposed")
    proposed = city.now
    assert event == {"number": 1, "region": HERE, "other": THERE, "range": RANGE, "by": city.health.id}
    (kept,) = regions.read("agreements", 0, 200)
    assert (kept.range, kept.region, kept.other, kept.items) == (RANGE, HERE, THERE, 3)
    assert (kept.proposedAt, kept.acceptedAt, kept.endedAt) == (proposed, 0, 0)
    assert (kept.proposedBy, kept.acceptedBy, kept.endedBy) == (city.health.id, ZERO, ZERO)
    assert regions.read("agreementItems", 1, 0, 200) == ITEMS
    assert regions.read("agreementItems", 1, 2, 1) == ITEMS[2:]
    assert regions.read("agreementItems", 1, 3, 1) == regions.read("agreementItems", 2, 0, 1) == []
    # Who proposed does not accept for the other.
    assert regions.refusal(city.health, "acceptAgreement", 1) == ("NotParty", 1, city.health.id)
    regions.commissions_only("acceptAgreement", 1)
    for number in (0, 2):
        assert regions.refusal(regions.far, "acceptAgreement", number) == ("UnknownAgreement", number)
    event = regions.send(regions.far, "acceptAgreement", 1).only("AgreementAccepted")
    accepted = city.now
    assert event == {"number": 1, "by": regions.far.id}
    assert regions.refusal(regions.far, "acceptAgreement", 1) == ("AgreementClosed", 1, accepted, 0)
    assert regions.refusal(city.health, "endAgreement", 1, ZERO) == ("Missing", word("reasonDigest"))
    regions.commissions_only("endAgreement", 1, digest("r"))
    event = regions.send(city.health, "endAgreement", 1, digest("r")).only("AgreementEnded")
    assert event == {"number": 1, "by": city.health.id, "reasonDigest": digest("r")}
    (kept,) = regions.read("agreements", 0, 1)
    assert (kept.acceptedAt, kept.endedAt, kept.endedBy) == (accepted, city.now, city.health.id)
    assert kept.acceptedBy == regions.far.id
    refused = regions.refusal(city.health, "endAgreement", 1, digest("r"))
    assert refused == ("AgreementClosed", 1, accepted, city.now)
    assert regions.refusal(city.health, "endAgreement", 2, digest("r")) == ("UnknownAgreement", 2)
    assert regions.read("agreements", 1, 1) == []
    assert regions.read("agreementCount") == 1


def test_what_is_proposed_is_known_and_in_use(regions: Regions) -> None:
    city = regions.city

    def refused(code: bytes = RANGE, other: int = THERE, items: list | None = None) -> tuple:
        return regions.refusal(city.health, "proposeAgreement", code, other, ITEMS if items is None else items)

    for other in (0, 99_999, 1_000_000, HERE):
        assert refused(other=other) == ("WrongRegion", other)
    assert refused(code=word("x")) == ("UnknownRange", word("x"))
    assert refused(items=[]) == ("WrongCount", 0, 200)
    assert refused(items=[ITEM] * 201) == ("WrongCount", 201, 200)
    assert refused(items=[word("lab.x")]) == ("UnknownItem", word("lab.x"))
    assert refused(items=[ITEMS[1], ITEMS[0]]) == ("NotAscending", 1)
    assert refused(items=[ITEMS[0], ITEMS[1], ITEMS[1]]) == ("NotAscending", 2)
    regions.commissions_only("proposeAgreement", RANGE, THERE, ITEMS)
    regions.send(city.health, "proposeAgreement", RANGE, THERE, ITEMS)
    regions.send(city.health, "endRange", RANGE, 0, digest("r"))
    ended = city.now
    assert refused() == ("RangeEnded", RANGE, ended)
    assert regions.refusal(regions.far, "acceptAgreement", 1) == ("RangeEnded", RANGE, ended)


def test_a_proposal_is_refused_or_taken_back(regions: Regions) -> None:
    city = regions.city
    for number, who in ((1, regions.far), (2, city.health)):
        regions.send(city.health, "proposeAgreement", RANGE, THERE, ITEMS[:1])
        regions.send(who, "endAgreement", number, digest("r"))
        refused = regions.refusal(regions.far, "acceptAgreement", number)
        assert refused == ("AgreementClosed", number, 0, city.now)


def test_a_third_region_has_no_say(regions: Regions) -> None:
    city = regions.city
    regions.send(city.health, "proposeAgreement", RANGE, 330000, ITEMS[:1])
    assert regions.refusal(regions.far, "acceptAgreement", 1) == ("NotParty", 1, regions.far.id)
    assert regions.refusal(regions.far, "endAgreement", 1, digest("r")) == ("NotParty", 1, regions.far.id)


STEPS = st.lists(
    st.tuples(st.sampled_from(["propose", "accept", "end"]), st.integers(0, 3), st.integers(1, 3)),
    min_size=1,
    max_size=12,
)


@settings(max_examples=examples(20), deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_none_holds_without_both_and_none_comes_back(city: City, steps: list) -> None:
    """Whoever does whatever in whatever order: an agreement holds exactly while the other region's commission
    accepted it and neither ended it; nothing of it is ever forgotten."""
    with city.target.untouched():
        regions = found_regions(city)
        regions.open()
        regions.send(city.health, "addItems", ITEMS)
        parties = (city.health, regions.far, city.water, city.civil)
        held: list[list[str]] = []  # of each: proposed, accepted, ended by the names of regions
        for what, who, number in steps:
            sender = parties[who]
            region = {city.health: "here", regions.far: "there"}.get(sender, "")
            if what == "propose":
                other = THERE if sender is city.health else HERE
                done = not regions.attempt(sender, "proposeAgreement", RANGE, other, ITEMS[:number])
                assert done is bool(region)
                if done:
                    held.append([region, "", ""])
                continue
            entry = held[number - 1] if number <= len(held) else None
            if what == "accept":
                good = entry is not None and region not in ("", entry[0]) and not entry[1] and not entry[2]
                assert (not regions.attempt(sender, "acceptAgreement", number)) is good
                if good and entry is not None:
                    entry[1] = region
            else:
                good = entry is not None and bool(region) and not entry[2]
                assert (not regions.attempt(sender, "endAgreement", number, digest("r"))) is good
                if good and entry is not None:
                    entry[2] = region
        kept = regions.read("agreements", 0, 200)
        names = {HERE: "here", THERE: "there"}
        by = {city.health.id: "here", regions.far.id: "there", ZERO: ""}
        assert [[names[one.region], by[one.acceptedBy], by[one.endedBy]] for one in kept] == held
        assert [[bool(one.acceptedAt), bool(one.endedAt)] for one in kept] == [[bool(a), bool(e)] for _, a, e in held]
