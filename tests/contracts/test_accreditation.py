"""Licences: who may issue which type, from when to when; nothing that is past ever changes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from contract_city import ZERO, City, digest, licence_code, word
from contract_targets import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

DAY = 86_400
LONGEST = 36_500 * DAY
SUSPEND, REMOVE = 2, 4


@pytest.fixture
def code(city: City) -> bytes:
    """A type of the water bureau."""
    made = licence_code(city.water)
    city.send(city.water, "Licences.defineType", made, digest("description"))
    return made


def spans(city: City, code: bytes) -> list:
    return city.read("Licences.accreditations", code, city.civil.id, 0, 200)


def test_a_member_is_accredited_now_without_an_end(city: City, code: bytes) -> None:
    args = (code, city.civil.id, 0, 0, digest("basis"))
    event = city.send(city.water, "Licences.accredit", *args).only("Accredited")
    begun = city.now
    assert event == {
        "code": code, "member": city.civil.id, "by": city.water.id, "number": 1, "validFrom": begun, "validUntil": 0,
        "basisDigest": digest("basis"),
    }  # fmt: skip
    (span,) = spans(city, code)
    assert (span.validFrom, span.validUntil, span.madeAt, span.endedAt) == (begun, 0, begun, 0)
    assert (span.by, span.endedBy, span.basisDigest) == (city.water.id, ZERO, digest("basis"))
    for time, expected in ((begun - 1, False), (begun, True), (2**64 - 1, True)):
        assert city.read("Licences.accreditedAt", code, city.civil.id, time) is expected
    assert not city.read("Licences.accreditedAt", code, city.health.id, begun)
    assert not city.read("Licences.accreditedAt", licence_code(city.water, 9), city.civil.id, begun)
    refused = city.refusal(city.water, "Licences.accredit", *args)
    assert refused == ("Licences__AlreadyAccredited", code, city.civil.id, 1)


def test_a_body_may_accredit_itself(city: City, code: bytes) -> None:
    city.send(city.water, "Licences.accredit", code, city.water.id, 0, 0, digest("basis"))
    assert city.read("Licences.issuersOf", code, 0, 10) == [city.water.id]


def test_only_active_members_are_accredited_and_with_a_basis(city: City, code: bytes) -> None:
    stranger = word("11310000MB2F00031J")
    refused = city.refusal(city.water, "Licences.accredit", code, stranger, 0, 0, digest("basis"))
    assert refused == ("Licences__UnknownMember", stranger)
    refused = city.refusal(city.water, "Licences.accredit", code, city.civil.id, 0, 0, ZERO)
    assert refused == ("Licences__Missing", word("basisDigest"))
    unknown = licence_code(city.water, 9)
    refused = city.refusal(city.water, "Licences.accredit", unknown, city.civil.id, 0, 0, digest("basis"))
    assert refused == ("Licences__UnknownType", unknown)
    city.decide(SUSPEND, ["bytes32"], city.civil.id, without=(city.civil,))
    refused = city.refusal(city.water, "Licences.accredit", code, city.civil.id, 0, 0, digest("basis"))
    assert refused == ("Licences__UnknownMember", city.civil.id)


@pytest.mark.anvil("the exact time of the next block")
def test_a_span_lies_ahead_and_has_an_end_after_its_begin(city: City, code: bytes) -> None:
    now = city.now
    latest = now + LONGEST
    for begin, end in ((1, 0), (now - 1, 0), (now + 9, now + 9), (now + 9, now + 8), (latest + 1, 0), (0, latest + 1)):
        refused = city.refusal(city.water, "Licences.accredit", code, city.civil.id, begin, end, digest("basis"))
        assert refused == ("Licences__WrongSpan", begin or now, end, now, latest)
    # The call above is judged at the time of the newest block, the transaction at that of its own.
    city.send(city.water, "Licences.accredit", code, city.civil.id, latest - 1, latest, digest("basis"))


def test_an_end_moves_earlier_only_and_not_into_the_past(city: City, code: bytes) -> None:
    begin, end = city.now + 10 * DAY, city.now + 20 * DAY
    city.send(city.water, "Licences.accredit", code, city.civil.id, begin, end, digest("basis"))

    def refused(until: int) -> tuple:
        args = (code, city.civil.id, 1, until, digest("reason"))
        return city.refusal(city.water, "Licences.endAccreditation", *args)

    for until in (begin - 1, end, end + 1, 1):
        assert refused(until) == ("Licences__WrongEnd", until, begin, end)
    args = (code, city.civil.id, 1, end - 1, digest("reason"))
    event = city.send(city.water, "Licences.endAccreditation", *args).only("AccreditationEnded")
    assert event == {
        "code": code, "member": city.civil.id, "by": city.water.id, "number": 1, "validUntil": end - 1,
        "reasonDigest": digest("reason"),
    }  # fmt: skip
    (span,) = spans(city, code)
    assert (span.validUntil, span.endedAt, span.endedBy) == (end - 1, city.now, city.water.id)
    assert refused(end - 1) == ("Licences__WrongEnd", end - 1, begin, end - 1)
    # A span that has not begun, ended now: it is empty, and takes nobody's place.
    city.send(city.water, "Licences.endAccreditation", code, city.civil.id, 1, 0, digest("reason"))
    assert spans(city, code)[0].validUntil == begin
    assert not city.read("Licences.accreditedAt", code, city.civil.id, begin)
    city.send(city.water, "Licences.accredit", code, city.civil.id, 0, begin + 1, digest("basis"))
    assert city.read("Licences.accreditedAt", code, city.civil.id, begin)


def test_an_open_span_ends_now_and_the_next_begins_then_or_later(city: City, code: bytes) -> None:
    city.send(city.water, "Licences.accredit", code, city.civil.id, 0, 0, digest("basis"))
    begun = city.now
    city.send(city.water, "Licences.endAccreditation", code, city.civil.id, 1, 0, digest("reason"))
    ended = city.now
    assert (spans(city, code)[0].validUntil, ended >= begun) == (ended, True)
    assert not city.read("Licences.accreditedAt", code, city.civil.id, ended)
    event = city.send(city.water, "Licences.accredit", code, city.civil.id, 0, city.now + DAY, digest("b")).only(
        "Accredited"
    )
    assert event["number"] == 2
    last = event["validUntil"]
    refused = city.refusal(city.water, "Licences.accredit", code, city.civil.id, last - 1, 0, digest("b"))
    assert (refused[0], refused[1:4]) == ("Licences__WrongSpan", (last - 1, 0, last))
    city.send(city.water, "Licences.accredit", code, city.civil.id, last, 0, digest("b"))
    assert [span.validFrom for span in spans(city, code)][1:] == [event["validFrom"], last]
    assert city.read("Licences.issuersOf", code, 0, 10) == [city.civil.id]


def test_who_ends_an_accreditation(city: City, code: bytes) -> None:
    args = (code, city.civil.id, 1, 0, digest("reason"))
    city.send(city.water, "Licences.accredit", code, city.civil.id, 0, 0, digest("basis"))
    for other in (city.civil, city.health, city.audit):
        refused = city.refusal(other, "Licences.endAccreditation", *args)
        assert refused == ("Licences__NotDefiningBody", code, other.id)
    assert city.refusal(city.outsider, "Licences.endAccreditation", *args)[0] == "Consortium__NotActiveMember"
    for number in (0, 2, 2**256 - 1):
        refused = city.refusal(city.water, "Licences.endAccreditation", code, city.civil.id, number, 0, digest("r"))
        assert refused == ("Licences__UnknownAccreditation", code, city.civil.id, number)
    refused = city.refusal(city.water, "Licences.endAccreditation", *args[:-1], ZERO)
    assert refused == ("Licences__Missing", word("reasonDigest"))
    unknown = licence_code(city.water, 9)
    refused = city.refusal(city.water, "Licences.endAccreditation", unknown, *args[1:])
    assert refused == ("Licences__UnknownType", unknown)
    # A supervisor may, for any type; also after the type was withdrawn and the issuer left.
    city.send(city.water, "Licences.withdrawType", code, digest("reason"))
    city.decide(SUSPEND, ["bytes32"], city.civil.id, without=(city.civil,))
    event = city.send(city.bigdata, "Licences.endAccreditation", *args).only("AccreditationEnded")
    assert event["by"] == city.bigdata.id
    assert spans(city, code)[0].endedBy == city.bigdata.id


def test_a_withdrawn_type_is_issued_by_nobody_from_then_on(city: City, code: bytes) -> None:
    city.send(city.water, "Licences.accredit", code, city.civil.id, 0, 0, digest("basis"))
    begun = city.now
    if city.target.kind == "anvil":
        city.target.pass_time(100)
    city.send(city.water, "Licences.withdrawType", code, digest("reason"))
    withdrawn = city.now
    assert city.read("Licences.accreditedAt", code, city.civil.id, begun) is (begun < withdrawn)
    assert city.read("Licences.accreditedAt", code, city.civil.id, withdrawn) is False


def test_issuers_and_spans_come_in_pages(city: City, code: bytes) -> None:
    for member in (city.civil, city.health, city.audit):
        city.send(city.water, "Licences.accredit", code, member.id, 0, city.now + DAY, digest("basis"))
    assert city.read("Licences.issuersOf", code, 1, 1) == [city.health.id]
    assert city.read("Licences.issuersOf", code, 3, 9) == []
    last = city.read("Licences.accreditations", code, city.health.id, 0, 1)[0].validUntil
    city.send(city.water, "Licences.accredit", code, city.health.id, last, 0, digest("later"))
    assert city.read("Licences.accreditationCount", code, city.health.id) == 2
    page = city.read("Licences.accreditations", code, city.health.id, 1, 2**256 - 1)
    assert [span.basisDigest for span in page] == [digest("later")]
    assert city.read("Licences.accreditations", code, city.health.id, 2, 1) == []


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("accredit"), st.integers(0, 40), st.integers(0, 60)),
        st.tuples(st.just("end"), st.integers(1, 4), st.integers(0, 60)),
        st.tuples(st.just("wait"), st.integers(1, 15), st.just(0)),
    ),
    min_size=1,
    max_size=9,
)


@pytest.mark.anvil("moves the clock")
@settings(max_examples=examples(20), deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_what_was_true_of_a_past_time_stays_true(city: City, code: bytes, steps: list) -> None:
    """After any steps: spans do not overlap, and the contract answers for each past second as it did at that second."""
    with city.target.untouched():
        start = city.now
        answers: dict[int, bool] = {}

        def look() -> None:
            now = city.now
            kept = [(span.validFrom, span.validUntil or 2**64) for span in spans(city, code)]
            real = sorted(span for span in kept if span[0] < span[1])
            assert all(one[1] <= two[0] for one, two in pairwise(real))
            for second in range(start, now + 1, 3):
                covered = any(begin <= second < end for begin, end in real)
                assert city.read("Licences.accreditedAt", code, city.civil.id, second) is covered
                assert answers.setdefault(second, covered) is covered

        for what, first, second in steps:
            if what == "wait":
                city.target.pass_time(first)
            elif what == "accredit":
                begin = city.now + first if first else 0
                end = city.now + second if second else 0
                city.attempt(city.water, "Licences.accredit", code, city.civil.id, begin, end, digest("basis"))
            else:
                until = city.now + second if second else 0
                args = (code, city.civil.id, first, until, digest("reason"))
                city.attempt(city.water, "Licences.endAccreditation", *args)
            look()
