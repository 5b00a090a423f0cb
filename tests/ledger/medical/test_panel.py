"""A blood count of 17 observations, each with a fate of its own: one item one rule."""

from __future__ import annotations

import pytest

from ledger.errors import InvalidInputError
from ledger.medical.model import Category, Facts, OfferedReport, Report, Result, facts_of
from ledger.medical.reasons import Reason
from ledger.medical.recognise import Decision, recognise
from ledger.medical.rules import load_rules, starting_rules
from ledger.medical.standing import Agreement, Eqa, Institution, Range, Standing
from tests.ledger.medical.worlds import ASKER, DAY, HERE, ISSUER, NOW, QUALITY, THERE

RULES = load_rules(starting_rules(), units=False)
PANEL = (
    "haemoglobin", "rbc", "haematocrit", "mcv", "mch", "platelets", "wbc", "neutrophils-share", "neutrophils",
    "lymphocytes-share", "lymphocytes", "monocytes-share", "monocytes", "eosinophils-share", "eosinophils",
    "basophils-share", "basophils",
)  # fmt: skip
TAKEN = NOW - 2 * DAY
HOSPITAL = Institution(member=ISSUER, region=HERE, level=3)


def assessed(item: str, **changed: object) -> Eqa:
    plain: dict[str, object] = {
        "identifier": bytes(32),
        "range": "cn-hr",
        "item": item,
        "institution": ISSUER,
        "scheme": "NCCL haematology",
        "round": "1",
        "passed": True,
        "from_s": TAKEN - 100 * DAY,
        "until_s": TAKEN + 100 * DAY,
        "quality": QUALITY,
    }
    return Eqa(**(plain | changed))  # type: ignore[arg-type]


RANGES = (
    Range(code="cn-hr", name="全国HR", quality=QUALITY, from_s=0),
    Range(code="jjj-hr", name="京津冀HR", quality=QUALITY, from_s=0),
    Range(code="city-hr", name="市HR", quality=QUALITY, from_s=0, until_s=NOW - DAY),
)

#: Item -> what is different about it -> what must be said of it.
FACTS = {
    "rbc": {"status": "preliminary"},
    "haematocrit": {"state": "unmapped-unit"},
    "mcv": {"taken_s": NOW - 7 * DAY},
    "mch": {"taken_s": NOW - 7 * DAY - 1},
    "platelets": {"taken_s": None},
    "wbc": {"taken_s": NOW + 1},
    "neutrophils-share": {"specimen": "urine"},
    "neutrophils": {"specimen": "blood"},
    "lymphocytes-share": {"valued": False},
    "lymphocytes": {"item": None, "state": "unmapped-code"},
}
EQAS = (
    *(assessed(item) for item in PANEL[:12] if item not in ("haemoglobin",)),
    assessed("haemoglobin", range="jjj-hr"),
    assessed("haemoglobin", range="cn-hr"),
    # monocytes: never assessed
    assessed("eosinophils-share", passed=False),
    assessed("eosinophils", revoked_s=NOW - 60),
    assessed("basophils-share", range="jjj-hr"),
    assessed("basophils", range="city-hr"),
    assessed("basophils", range="jjj-hr", until_s=TAKEN),
)
EXPECTED: dict[str, tuple[Reason, ...]] = {
    "haemoglobin": (),
    "rbc": (Reason("item-not-final", "preliminary"),),
    "haematocrit": (Reason("unmapped-unit"),),
    "mcv": (),
    "mch": (Reason("too-old", "7"),),
    "platelets": (Reason("no-time"),),
    "wbc": (Reason("taken-in-future"),),
    "neutrophils-share": (Reason("specimen-other", "urine"),),
    "neutrophils": (),
    "lymphocytes-share": (Reason("no-result"),),
    "lymphocytes": (Reason("unmapped-code"),),
    "monocytes-share": (),
    "monocytes": (Reason("eqa-none"),),
    "eosinophils-share": (Reason("eqa-failed", "全国HR"),),
    "eosinophils": (Reason("eqa-revoked", "全国HR"),),
    "basophils-share": (Reason("range-not-here", "京津冀HR"),),
    "basophils": (Reason("eqa-not-then", "京津冀HR"), Reason("range-not-in-force", "市HR")),
}


def panel(**changed: object) -> OfferedReport:
    facts = []
    for place, item in enumerate(PANEL):
        plain: dict[str, object] = {"place": place, "item": item, "state": "mapped", "status": "final"}
        facts.append(Facts(**(plain | {"taken_s": TAKEN} | FACTS.get(item, {}))))  # type: ignore[arg-type]
    plain = {
        "report": bytes(range(32)),
        "institution": ISSUER,
        "category": Category.LABORATORY,
        "status": "final",
        "issued_s": TAKEN + 3600,
        "facts": tuple(facts),
        "version": 1,
        "concluded": True,
    }
    return OfferedReport(**(plain | changed))  # type: ignore[arg-type]


def judge(offer: OfferedReport, **changed: object) -> tuple[Decision, ...]:
    plain: dict[str, object] = {
        "asker": ASKER,
        "at_s": NOW,
        "course": "acute",
        "rules": RULES,
        "standing": Standing(ranges=RANGES, eqas=EQAS, agreements=(), institutions=(HOSPITAL,)),
    }
    return recognise(offer, **(plain | changed))  # type: ignore[arg-type]


def test_every_item_has_its_own_fate() -> None:
    got = judge(panel())
    assert len(got) == 17
    for place, (item, decision) in enumerate(zip(PANEL, got, strict=True)):
        assert decision.place == place
        assert decision.reasons == EXPECTED[item], item
        assert decision.recognisable == (not EXPECTED[item])
        assert [note.code for note in decision.notes] == ["conclusion-excluded"]
    assert [decision.label for decision in got if decision.recognisable] == ["全国HR"] * 4
    assert got[0].age_s == 2 * DAY
    assert (got[5].age_s, got[6].age_s) == (None, None)
    assert got[10].item is None


@pytest.mark.parametrize("status", ["entered-in-error", "cancelled"])
def test_a_withdrawn_report_takes_every_item_with_it(status: str) -> None:
    for decision in judge(panel(status=status)):
        assert not decision.recognisable
        assert decision.reasons[0] == Reason("withdrawn")


def test_the_whole_report_is_held_by_what_concerns_it_whole() -> None:
    away = Institution(member=ASKER.member, region=HERE, level=3, active=False)
    ended = Institution(member=ISSUER, region=HERE, level=1, active=False)
    standing = Standing(ranges=RANGES, eqas=EQAS, agreements=(), institutions=(ended,))
    got = judge(panel(status="partial"), asker=away, standing=standing)[0]
    assert got.reasons == (
        Reason("report-not-final", "partial"), Reason("issuer-inactive"), Reason("asker-inactive"),
        Reason("level", "1 → 3"),
    )  # fmt: skip
    assert got.reasons[0].en == "The report is not final (status: partial)"
    assert got.reasons[3].zh == "机构等级规则不予互认（1 → 3）"


def test_nobody_the_chain_knows() -> None:
    nobody = Standing(ranges=RANGES, eqas=EQAS, agreements=(), institutions=())
    got = judge(panel(), standing=nobody)
    assert got[0].reasons == (Reason("issuer-unknown"),)
    assert got[0].label is None


def test_an_agreement_counts_in_both_directions_and_for_its_item_alone() -> None:
    far = Institution(member=ISSUER, region=THERE, level=3)
    eqas = (assessed("haemoglobin", range="city-hr"), assessed("rbc", range="city-hr"))
    ranges = (Range(code="city-hr", name="市HR", quality=QUALITY, from_s=0),)
    for one, other in ((HERE, THERE), (THERE, HERE)):
        agreement = Agreement(range="city-hr", item="haemoglobin", region_a=one, region_b=other, from_s=NOW)
        standing = Standing(ranges=ranges, eqas=eqas, agreements=(agreement,), institutions=(far,))
        got = judge(panel(), standing=standing)
        assert (got[0].recognisable, got[0].label) == (True, "市HR")
        assert got[1].reasons == (Reason("item-not-final", "preliminary"), Reason("range-not-here", "市HR"))


def test_an_institution_takes_its_own_results_whatever_its_level() -> None:
    own = Institution(member=ISSUER, region=HERE, level=1)
    standing = Standing(ranges=RANGES, eqas=EQAS, agreements=(), institutions=(own,))
    assert judge(panel(), asker=own, standing=standing)[0].recognisable


def test_a_course_that_is_none() -> None:
    with pytest.raises(InvalidInputError) as refused:
        judge(panel(), course="subacute")
    assert refused.value.code == "medical.course"


@pytest.mark.parametrize(
    "changed",
    [
        {"report": bytes(31)},
        {"version": 0},
        {"issued_s": -1},
        {"status": "f" * 201},
        {"facts": (panel().facts[1], panel().facts[0])},
        {"facts": (panel().facts[0],) * 2},
        {"facts": tuple(panel().facts[0] for _ in range(1_001))},
    ],
)
def test_an_offer_that_is_none(changed: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError) as refused:
        panel(**changed)
    assert refused.value.code == "medical.offer"


@pytest.mark.parametrize(
    "changed",
    [
        {"place": -1},
        {"place": 1_000},
        {"state": "mapped?"},
        {"state": "unmapped-code"},
        {"item": None},
        {"taken_s": 253_402_300_800},
        {"method": "m" * 201},
    ],
)
def test_an_item_of_an_offer_that_is_none(changed: dict[str, object]) -> None:
    plain: dict[str, object] = {"place": 0, "item": "wbc", "state": "mapped", "status": "final", "taken_s": TAKEN}
    with pytest.raises(InvalidInputError) as refused:
        Facts(**(plain | changed))  # type: ignore[arg-type]
    assert refused.value.code == "medical.offer"


def test_an_offer_says_nothing_of_value_or_patient() -> None:
    def result(place: int, **changed: object) -> Result:
        plain: dict[str, object] = {"place": place, "system": "urn:x", "code": "c", "item": "wbc", "state": "mapped"}
        return Result(**(plain | {"status": "final", "taken_s": TAKEN} | changed))  # type: ignore[arg-type]

    def of(category: Category) -> tuple[Facts, ...]:
        report = Report(
            identifier="2026-1", institution=ISSUER, category=category, status="final", taken_s=TAKEN, issued_s=None,
            results=(
                result(0, value="4.75", unit="10*9/L", canonical="4.75", low="4.00", high="10.00", method="flow"),
                result(1, text="negative", specimen="blood"),
                result(2),
            ),
            concluded=False, patient="MRN-4711",
        )  # fmt: skip
        return facts_of(report)

    facts = of(Category.LABORATORY)
    assert [each.valued for each in facts] == [True, True, False]
    assert [each.valued for each in of(Category.IMAGING)] == [True, True, True]
    assert (facts[0].method, facts[1].specimen) == ("flow", "blood")
    for secret in ("4.75", "negative", "MRN-4711", "4.00", "2026-1"):
        assert secret not in repr(facts)
