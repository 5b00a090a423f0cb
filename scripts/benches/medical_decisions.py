"""Decisions a second in one process, by the starting rule set and a city's worth of assessments: four in five items are
recognisable, the others for every kind of reason. Values converted a second, beside them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from statistics import median

from ledger.medical.model import Category, Facts, OfferedReport
from ledger.medical.recognise import recognise
from ledger.medical.rules import RuleSet, load_rules, starting_rules
from ledger.medical.standing import Agreement, Eqa, Institution, Range, Standing
from ledger.medical.units import convert
from scripts.benches.bar_table import Figures, Row, least, plain

NOW_S = 1_780_272_000
DAY_S = 86_400
#: Hospitals, rounds of assessment for each item of each, items in a panel.
HOSPITALS, ROUNDS, PANEL = 20, 4, 17
BODY = "12310000MB2F30001K"
HERE, AGREED = "310000", "320100"


def measure(quick: bool, progress: Callable[[str, int, int], None]) -> Figures:
    """Seconds for each round of offers judged, and of values converted."""
    rounds, offers_count = (3, 500) if quick else (7, 5_000)
    began = time.perf_counter()
    rules = load_rules(starting_rules())
    figures: Figures = {"load_s": time.perf_counter() - began, "items": offers_count * PANEL, "seconds": []}
    standing = _standing(rules)
    figures["assessments"] = len(standing.eqas)
    offers = tuple(_offer(rules, number) for number in range(offers_count))
    asker = Institution(member=_member(0), region=HERE, level=2)
    for done in range(rounds):
        progress("decisions", done, rounds)
        recognisable = 0
        began = time.perf_counter()
        for offer in offers:
            for decision in recognise(offer, asker=asker, at_s=NOW_S, course="chronic", rules=rules, standing=standing):
                recognisable += decision.recognisable
        figures["seconds"].append(time.perf_counter() - began)
    figures["recognisable"] = recognisable / figures["items"]
    figures["convert_s"] = _converting(offers_count)
    figures["converted"] = offers_count * PANEL
    return figures


def rows(figures: Figures) -> Iterator[Row]:
    """The bar of decisions, and what stands beside it."""
    rate = figures["items"] / median(figures["seconds"])
    note = f"{figures['recognisable']:.0%} recognisable, {figures['assessments']:,} assessments on chain"
    yield least("items judged a second, in process", rate, 20_000, "{:,.0f}", note)
    yield plain("values converted a second", f"{figures['converted'] / figures['convert_s']:,.0f}")
    yield plain("loading a rule set, units checked", f"{figures['load_s'] * 1000:,.0f} ms")


def _member(number: int) -> str:
    return f"HOSPITAL{number:010d}"


def _standing(rules: RuleSet) -> Standing:
    hospitals = [
        Institution(member=_member(number), region=AGREED if number % 5 == 4 else HERE, level=number % 3 + 1)
        for number in range(HOSPITALS)
    ]
    eqas = [
        Eqa(
            identifier=(number * 1_000_000 + place * 100 + turn).to_bytes(32, "big"),
            range=("cn-hr", "city-hr")[turn % 2],
            item=item.id,
            institution=hospital.member,
            scheme="bench",
            round=str(turn),
            # Few are failed or revoked, as in life.
            passed=(number * 7 + place + turn) % 23 != 0,
            from_s=NOW_S - (turn * 180 + 170) * DAY_S,
            until_s=NOW_S - (turn * 180 - 30) * DAY_S,
            quality=BODY,
            revoked_s=NOW_S - DAY_S if (number + place * 3 + turn) % 41 == 0 else None,
        )
        for number, hospital in enumerate(hospitals)
        for place, item in enumerate(rules.items)
        for turn in range(ROUNDS)
    ]
    return Standing(
        ranges=(
            Range(code="cn-hr", name="全国HR", quality=BODY, from_s=0),
            Range(code="city-hr", name="市HR", quality=BODY, from_s=0),
        ),
        eqas=tuple(eqas),
        agreements=tuple(
            Agreement(range="city-hr", item=item.id, region_a=HERE, region_b=AGREED, from_s=0)
            for item in rules.items[::2]
        ),
        institutions=tuple(hospitals),
    )


def _offer(rules: RuleSet, number: int) -> OfferedReport:
    laboratory = [item for item in rules.items if item.category is Category.LABORATORY]
    facts = []
    for place in range(PANEL):
        item = laboratory[(number * 3 + place) % len(laboratory)]
        unmapped = (number + place) % 19 == 0
        facts.append(
            Facts(
                place=place,
                item=item.id,
                state="unmapped-unit" if unmapped else "mapped",
                status="preliminary" if (number * 5 + place) % 29 == 0 else "final",
                taken_s=NOW_S - (number % 9) * DAY_S - place,
                specimen=item.specimens[0],
            )
        )
    return OfferedReport(
        report=number.to_bytes(32, "big"),
        institution=_member(number % HOSPITALS),
        category=Category.LABORATORY,
        status="final",
        issued_s=NOW_S,
        facts=tuple(facts),
        version=1,
        concluded=number % 2 == 0,
    )


def _converting(offers: int) -> float:
    pairs = (("mmol/L", "mg/dL", "180.156"), ("g/L", "g/dL", None), ("10*9/L", "/uL", None), ("U/L", "ukat/L", None))
    values = tuple(f"{number % 400 / 10:.1f}" for number in range(offers * PANEL))
    began = time.perf_counter()
    for number, value in enumerate(values):
        if convert(value, *pairs[number % len(pairs)]) is None:
            raise SystemExit(f"bench medical: a value was not converted: {value} {pairs[number % len(pairs)]}")
    return time.perf_counter() - began
