"""The decision table: every combination, against an independent naive implementation (``book``)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import product
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.medical.recognise import Decision, recognise
from ledger.medical.texts import REASONS
from tests.ledger.medical import book
from tests.ledger.medical.table import LABELS, Product, Record, chain, eqa, fact, institution, offered, report
from tests.ledger.medical.worlds import DAY, HERE, ISSUER, NOW, OTHER_BODY, QUALITY, THERE, document, ruleset

RULES, SET = document(), ruleset()
ME = "12310000MB2F30004W"
#: (id, category): a quantity, one with method groups, a coded one, images.
KINDS = [(each["id"], each["category"]) for each in RULES["items"]]
METHODS = {"haemoglobin": "sls"}
LEVELS = list(product((1, 2, 3), (1, 2, 3)))
FAR = "110000"
#: Region of the issuer, and from when to when an agreement with it: in the large table, and besides.
PLACES = ((HERE, None), (FAR, None), (FAR, (0, None)), (FAR, (0, NOW)))
MORE_PLACES = (*PLACES, (THERE, None), (FAR, (NOW, NOW + 1)), (FAR, (NOW + 1, None)))
STATUSES = ("final", "preliminary", "entered-in-error")
MORE_STATUSES = (*STATUSES, "amended", "corrected", "appended", "registered", "partial", "cancelled", "unknown", "")
STATES = (
    "none", "passed", "failed", "revoked before use", "revoked after use", "over when taken", "not begun when taken",
    "a later round failed", "a later round passed",
)  # fmt: skip
MORE_STATES = (*STATES, "begun when taken", "by another body")


def assessments(item: str, range_: str, taken: int) -> dict[str, list[Record]]:
    """Every state of external quality assessment, to the second around specimen and use."""
    since, until = taken - 30 * DAY, taken + 400 * DAY

    def one(**changed: Any) -> Record:
        return eqa(item, range_, since, until) | changed

    return {
        "none": [],
        "passed": [one()],
        "failed": [one(passed=False)],
        "revoked before use": [one(revoked=NOW)],
        "revoked after use": [one(revoked=NOW + 1)],
        "over when taken": [one(until=taken)],
        "begun when taken": [one(**{"from": taken})],
        "not begun when taken": [one(**{"from": taken + 1})],
        "a later round failed": [one(), one(passed=False, **{"from": taken - 5 * DAY})],
        "a later round passed": [one(passed=False), one(**{"from": taken - 5 * DAY})],
        "by another body": [one(quality=OTHER_BODY)],
    }


def moments() -> Iterator[tuple[str, dict[str, int]]]:
    """Course, and when each item was taken: a second before the end of its window, at it, and after it."""
    for course, edge in product(("acute", "chronic"), (-1, 0, 1)):
        days = {each["item"]: each["days"] for each in RULES["windows"] if each["course"] == course}
        yield course, {item: NOW - count * DAY - edge for item, count in days.items()}


def check(case: book.Case, got: Decision) -> list[str]:
    expected = book.reasons(case)
    told = [reason.code for reason in got.reasons]
    assert all(reason.zh and reason.en and "{}" not in reason.zh + reason.en for reason in got.reasons)
    assert list(dict.fromkeys(told)) == expected, (case.fact, case.report, case.chain, told, expected)
    assert got.recognisable == (not expected)
    assert got.label == case.label
    assert got.age_s == (NOW - case.taken if case.timed else None)
    return expected


def worlds(places: Any, states: Any, taken: dict[str, int]) -> Iterator[tuple[Record, str]]:
    for range_, (region, agreed) in product(LABELS, places):
        every = {item: assessments(item, range_, taken[item]) for item, _ in KINDS}
        agreements = [
            {"range": range_, "item": item, "one": HERE, "other": FAR, "from": agreed[0], "ended": agreed[1]}
            for item, _ in KINDS
            if agreed is not None
        ]
        for state in states:
            eqas = [each for item, _ in KINDS for each in every[item][state]]
            yield chain(eqas=eqas, agreements=agreements), region


def test_the_whole_table() -> None:
    """Item x range x assessment x window edge x level x agreement x status x conclusion."""
    seen: Counter[str] = Counter()
    judged = 0
    for course, taken in moments():
        for world, region in worlds(PLACES, STATES, taken):
            for levels in LEVELS:
                judged += compare(world, region, taken, course, levels, STATUSES, seen)
    assert judged == 2 * 3 * 4 * 4 * 9 * 9 * 3 * 4
    assert 0 < seen["recognisable"] < judged // 4
    assert set(seen) == {
        "recognisable", "withdrawn", "report-not-final", "too-old", "level", "eqa-none", "eqa-not-then", "eqa-failed",
        "eqa-revoked", "range-not-here",
    }  # fmt: skip


def test_every_status_place_and_assessment() -> None:
    """What the large table leaves out, at the last second of the window."""
    seen: Counter[str] = Counter()
    course, taken = next((course, taken) for course, taken in moments() if taken["glucose"] == NOW - DAY)
    for world, region in worlds(MORE_PLACES, MORE_STATES, taken):
        compare(world, region, taken, course, (2, 2), MORE_STATUSES, seen)
    assert seen["eqa-body"]
    assert seen["recognisable"]


def compare(
    world: Record,
    region: str,
    taken: dict[str, int],
    course: str,
    levels: tuple[int, int],
    statuses: tuple[str, ...],
    seen: Counter[str],
) -> int:
    issuer = {"member": ISSUER, "region": region, "level": levels[0], "active": True}
    asker = {"member": ME, "region": HERE, "level": levels[1], "active": True}
    there = world | {"institutions": [issuer]}
    standing, judged = Product.of(there).standing, 0
    for status, category in product(statuses, ("laboratory", "imaging")):
        facts = [fact(item, taken[item], method=METHODS.get(item)) for item, of in KINDS if of == category]
        plain = report(category, facts, status=status)
        without, concluded = (
            recognise(
                offered(plain | {"concluded": which}), asker=institution(asker), at_s=NOW, course=course, rules=SET,
                standing=standing,
            )
            for which in (False, True)
        )  # fmt: skip
        for each, one, other in zip(facts, without, concluded, strict=True):
            told = check(book.Case(RULES, there, plain, each, asker, NOW, course), one)
            # The conclusion is never recognised, and withholds nothing of the data.
            assert (one.notes, [note.code for note in other.notes]) == ((), ["conclusion-excluded"])
            assert (one.recognisable, one.reasons, one.label) == (other.recognisable, other.reasons, other.label)
            seen.update(told or ["recognisable"])
            judged += 1
    return judged


WORDS = st.sampled_from(["final", "corrected", "preliminary", "entered-in-error", "cancelled"])
TIMES = st.sampled_from([NOW + offset for offset in (-91 * DAY, -90 * DAY, -7 * DAY, -DAY - 1, -DAY, -1, 0, 1)])
REGIONS = st.sampled_from([HERE, THERE, FAR])
MEMBERS = st.sampled_from([ISSUER, ME])
ITEMS = st.sampled_from([item for item, _ in KINDS])
CODES = st.sampled_from([*LABELS, "unopened"])
FACTS = st.fixed_dictionaries(
    {
        "item": st.sampled_from([None, "unlisted", *(item for item, _ in KINDS)]),
        "taken": st.one_of(st.none(), TIMES),
        "state": st.sampled_from(["mapped", "unmapped-unit"]),
        "status": WORDS,
        "method": st.sampled_from([None, "sls", "other"]),
        "specimen": st.sampled_from([None, "serum", "blood", "tears"]),
        "valued": st.booleans(),
    }
).map(lambda each: each | ({"state": "unmapped-code"} if each["item"] is None else {}))
EQAS = st.fixed_dictionaries(
    {
        "item": ITEMS,
        "range": CODES,
        "institution": MEMBERS,
        "quality": st.sampled_from([QUALITY, OTHER_BODY]),
        "passed": st.booleans(),
        "from": TIMES,
        "until": TIMES,
        "revoked": st.one_of(st.none(), TIMES),
    }
)
RANGES = st.fixed_dictionaries(
    {
        "code": CODES.filter(lambda code: code != "unopened"),
        "name": st.sampled_from(["甲HR", "乙HR"]),
        "quality": st.sampled_from([QUALITY, OTHER_BODY]),
        "from": TIMES,
        "until": st.one_of(st.none(), TIMES),
    }
)
AGREEMENTS = st.fixed_dictionaries(
    {
        "range": CODES,
        "item": ITEMS,
        "one": REGIONS,
        "other": REGIONS,
        "from": TIMES,
        "ended": st.one_of(st.none(), TIMES),
    }
)
HOSPITALS = st.fixed_dictionaries(
    {"member": MEMBERS, "region": REGIONS, "level": st.sampled_from([1, 2, 3]), "active": st.booleans()}
)


@settings(max_examples=250, deadline=None)
@given(
    facts=st.lists(FACTS, min_size=1, max_size=4),
    eqas=st.lists(EQAS, max_size=8),
    ranges=st.lists(RANGES, max_size=6),
    agreements=st.lists(AGREEMENTS, max_size=4),
    asker=HOSPITALS,
    hospitals=st.lists(HOSPITALS, max_size=2, unique_by=lambda each: each["member"]),
    status=WORDS,
    category=st.sampled_from(["laboratory", "imaging"]),
    course=st.sampled_from(["acute", "chronic"]),
)
def test_any_world(
    facts: list[Record], eqas: list[Record], ranges: list[Record], agreements: list[Record], asker: Record,
    hospitals: list[Record], status: str, category: str, course: str,
) -> None:  # fmt: skip
    """Records that nobody would think of together."""
    world = chain(eqas=eqas, agreements=agreements, institutions=hospitals, ranges=ranges)
    plain = report(category, facts, status=status)
    got = recognise(
        offered(plain),
        asker=institution(asker),
        at_s=NOW,
        course=course,
        rules=SET,
        standing=Product.of(world).standing,
    )
    for each, one in zip(facts, got, strict=True):
        check(book.Case(RULES, world, plain, each, asker, NOW, course), one)


def test_every_reason_has_its_words_and_is_in_the_book() -> None:
    assert set(REASONS) == set(book.QUESTIONS) | {"conclusion-excluded"}
    assert all(zh and en and zh.count("{}") == en.count("{}") <= 1 for zh, en in REASONS.values())
