"""Figures of recognition: counted once each, whatever the order, and compared with a count by hand."""

from __future__ import annotations

import random
from collections import Counter

from ledger.medical.reasons import NATIONAL
from ledger.medical.statistics import UNLISTED, Counts, Step, StepEvent, count
from tests.ledger.medical.worlds import ASKER, ISSUER, NOW, ruleset

RULES = ruleset()
OTHER = "12310000MB2F30001K"


def event(kind: Step, place: int = 0, item: str = "glucose", **changed: object) -> StepEvent:
    plain: dict[str, object] = {
        "kind": kind,
        "report": bytes(32),
        "version": 1,
        "place": place,
        "item": item,
        "provider": ISSUER,
        "asker": ASKER.member,
        "at_s": NOW,
    }
    return StepEvent(**(plain | changed))  # type: ignore[arg-type]


def test_opened_and_not_recognised_is_told() -> None:
    got = count(
        [
            *(event(Step.OFFERED, place) for place in range(5)),
            *(event(Step.OPENED, place) for place in range(4)),
            event(Step.RECOGNISED, 0),
            event(Step.RECOGNISED, 1),
            event(Step.RETESTED, 2, reason="emergency"),
        ],
        RULES,
    ).total
    assert got == Counts(
        offered=5, opened=4, recognised=2, retested=1, unrecognised=2, saved_cents=1000, reasons={"emergency": 1}
    )


def test_a_step_told_twice_counts_once_and_another_version_or_asker_again() -> None:
    events = [event(Step.OPENED), event(Step.OPENED, at_s=NOW + 5), event(Step.OPENED, version=2)]
    events += [event(Step.OPENED, asker=OTHER), event(Step.OPENED, report=b"\1" * 32)]
    got = count(events, RULES)
    assert got.total.opened == 4
    assert got.askers[OTHER].opened == 1


def test_a_span_of_time() -> None:
    events = [event(Step.OPENED, at_s=NOW - 1), event(Step.RECOGNISED, at_s=NOW)]
    assert count(events, RULES, until_s=NOW).total.recognised == 0
    assert count(events, RULES, from_s=NOW).total.opened == 0
    assert count([], RULES).total == Counts(
        offered=0, opened=0, recognised=0, retested=0, unrecognised=0, saved_cents=0, reasons={}
    )


def test_by_hospital_item_and_specialty_in_any_order() -> None:
    draw = random.Random(7)
    items = [item.id for item in RULES.items] + ["another"]
    events, opened, recognised, reasons = [], Counter(), Counter(), Counter()
    for number in range(300):
        item, report = draw.choice(items), number.to_bytes(32, "big")
        events.append(event(Step.OPENED, item=item, report=report))
        opened[item] += 1
        if draw.random() < 0.5:
            events.append(event(Step.RECOGNISED, item=item, report=report))
            recognised[item] += 1
        elif draw.random() < 0.7:
            reason = draw.choice(tuple(NATIONAL))
            events.append(event(Step.RETESTED, item=item, report=report, reason=reason))
            reasons[reason] += 1
    draw.shuffle(events)
    got = count(events, RULES)
    assert {item: counts.opened for item, counts in got.items.items()} == opened
    assert {item: counts.recognised for item, counts in got.items.items()} == {i: recognised[i] for i in opened}
    assert got.total.reasons == reasons
    assert got.total.unrecognised == 300 - sum(recognised.values())
    prices = {item.id: item.price_cents for item in RULES.items}
    assert got.total.saved_cents == sum(prices.get(item, 0) * number for item, number in recognised.items())
    assert got.specialties["endocrinology"].opened == opened["glucose"]
    assert got.specialties[UNLISTED].opened == opened["another"]
    assert got.providers.keys() == {ISSUER}
    assert sum(counts.opened for counts in got.specialties.values()) == 300
