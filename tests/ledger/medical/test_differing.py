"""What was offered of a report against what its bytes say; and the invented reports through reader and decision."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from ledger.medical.differing import differing
from ledger.medical.fhir import read_report
from ledger.medical.model import Category, OfferedReport, facts_of
from ledger.medical.recognise import recognise
from ledger.medical.rules import load_rules, starting_rules
from ledger.medical.standing import Eqa, Institution, Range, Standing
from node.city import clinic
from node.city.roster import demo_uscc

NOW_S = 1_780_272_000
HOSPITALS = tuple(demo_uscc("310000", number) for number in (11, 12, 13))
CENTRE = demo_uscc("310000", 14)
RULES = load_rules(starting_rules(), units=False)
DAY_S = 86_400


def offered(sent: clinic.Sent) -> OfferedReport | None:
    """What the hospital offers of a report it was sent, None where it refuses it."""
    report = read_report(sent.data, institution=sent.institution, now_s=NOW_S, rules=RULES).report
    if report is None:
        return None
    return OfferedReport(
        report=bytes(32),
        institution=report.institution,
        category=report.category,
        status=report.status,
        issued_s=report.issued_s,
        facts=facts_of(report),
        version=1,
        concluded=report.concluded,
    )


def test_a_true_offer_differs_nowhere_and_a_false_one_where_it_is_false() -> None:
    sent = next(one for one in clinic.reports(HOSPITALS, NOW_S) if one.fate == "old" and b'"6690-2"' in one.data)
    offer = offered(sent)
    assert offer is not None

    def told(changed: OfferedReport, data: bytes = sent.data) -> tuple[int, ...]:
        return differing(changed, data, now_s=NOW_S, rules=RULES)

    assert told(offer) == ()
    first, second, *others = offer.facts
    taken_s = NOW_S - DAY_S
    # An old result offered as yesterday's, a preliminary one as final, one item as another: each place is named.
    assert told(replace(offer, facts=(replace(first, taken_s=taken_s), second, *others))) == (0,)
    assert told(replace(offer, facts=(first, replace(second, status="corrected"), *others))) == (1,)
    assert told(replace(offer, facts=(first, replace(second, item="sodium"), *others))) == (1,)
    assert told(replace(offer, facts=(*offer.facts, replace(first, place=17)))) == (17,)
    every = tuple(range(len(offer.facts)))
    assert told(replace(offer, status="corrected")) == every
    assert told(replace(offer, category=Category.IMAGING)) == every
    assert told(offer, sent.data[:-9]) == every
    assert told(offer, b"") == every


def test_the_invented_reports_meet_the_fates_they_have() -> None:
    sent = clinic.reports(HOSPITALS, NOW_S)
    standing = Standing(
        ranges=(Range(code="city-hr", name="市HR", quality=CENTRE, from_s=0),),
        eqas=tuple(
            Eqa(
                identifier=number.to_bytes(32, "big"), range="city-hr", item=one.item, institution=one.institution,
                scheme="demo", round="1", passed=one.passed, from_s=NOW_S - 300 * DAY_S, until_s=NOW_S + 60 * DAY_S,
                quality=CENTRE,
            )
            for number, one in enumerate(clinic.assessments(HOSPITALS))
        ),
        agreements=(),
        institutions=tuple(Institution(member=one, region="310000", level=2) for one in HOSPITALS),
    )  # fmt: skip
    asker, told, recognisable = standing.institutions[0], Counter[str](), Counter[str]()
    for one in sent:
        offer = offered(one)
        assert (offer is None) == one.refused, one.fate
        if offer is None:
            continue
        assert differing(offer, one.data, now_s=NOW_S, rules=RULES) == ()
        for decision in recognise(offer, asker=asker, at_s=NOW_S, course="chronic", rules=RULES, standing=standing):
            told.update(f"{one.fate}: {reason.code}" for reason in decision.reasons)
            recognisable[one.fate] += decision.recognisable
    assert recognisable["plain"] > 800
    assert recognisable["in mg/dL"] > 30
    # Half of a panel's items lack what makes them recognisable, one by one.
    assert recognisable["local code"] > 10
    assert recognisable["odd unit"] > 10
    held = ("old", "not final", "without time", "other specimen")
    assert not any(recognisable[fate] for fate in held)
    wanted = {
        "old: too-old", "not final: report-not-final", "local code: unmapped-code", "odd unit: unmapped-unit",
        "without time: no-time", "other specimen: specimen-other", "plain: eqa-none", "plain: eqa-failed",
    }  # fmt: skip
    assert wanted <= set(told)
