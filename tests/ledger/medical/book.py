"""The rules of recognition a second time, as a book would say them: questions over plain lists, nothing of the product.

It reads a rule set's JSON value, the chain's records as dicts, a report as a dict. Every question is asked of every
record. Source: 国卫医发〔2022〕6号, as docs/formats.md, "Medical rules", tells it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

Record = dict[str, Any]
DAY = 24 * 60 * 60


class Case:
    """One item of a report, who asks, when, in which course, under which rules and on what chain."""

    def __init__(
        self, rules: Record, chain: Record, report: Record, fact: Record, asker: Record, now: int, course: str
    ) -> None:
        self.rules, self.chain, self.report, self.fact = rules, chain, report, fact
        self.asker, self.now, self.course = asker, now, course
        self.item = next((each for each in rules["items"] if each["id"] == fact["item"]), None)
        self.issuer = next((each for each in chain["institutions"] if each["member"] == report["institution"]), None)
        self.taken = fact["taken"]
        self.timed = self.taken is not None and self.taken <= now

    def stands(self, status: str) -> bool:
        return status in ("final", "amended", "corrected", "appended")

    def gone(self, status: str) -> bool:
        return status in ("entered-in-error", "cancelled")

    def level_allows(self) -> bool:
        if self.issuer["member"] == self.asker["member"]:
            return True
        return any(
            rule["recognised"]
            for rule in self.rules["levels"]
            if rule["issuer"] == self.issuer["level"] and rule["asker"] == self.asker["level"]
        )

    def within_window(self) -> bool:
        return any(
            self.now - self.taken <= window["days"] * DAY
            for window in self.rules["windows"]
            if window["item"] == self.item["id"] and window["course"] == self.course
        )

    def assessments(self) -> list[Record]:
        return [
            each
            for each in self.chain["eqas"]
            if each["institution"] == self.report["institution"] and each["item"] == self.fact["item"]
        ]

    def range_story(self, code: str) -> str:
        """What the assessments in one range come to: ``""`` is a label that counts here, else why there is none."""
        mine = [each for each in self.assessments() if each["range"] == code]
        ranges = [each for each in self.chain["ranges"] if each["code"] == code]
        for listed in self.rules["ranges"]:
            if listed["code"] == code and "quality" in listed:
                ranges = [each for each in ranges if each["quality"] == listed["quality"]]
        mine = [each for each in mine if each["quality"] in [one["quality"] for one in ranges]]
        if not mine:
            return "eqa-body"
        mine = [each for each in mine if each["from"] <= self.taken and self.taken < each["until"]]
        if not mine:
            return "eqa-not-then"
        mine = [each for each in mine if not (each["revoked"] is not None and each["revoked"] <= self.now)]
        if not mine:
            return "eqa-revoked"
        last_round = [each for each in mine if not any(other["from"] > each["from"] for other in mine)]
        if any(not each["passed"] for each in last_round):
            return "eqa-failed"
        ranges = [each for each in ranges if each["quality"] in [one["quality"] for one in last_round]]
        ranges = [each for each in ranges if each["from"] <= self.taken]
        ranges = [each for each in ranges if each["until"] is None or each["until"] > self.now]
        if not ranges:
            return "range-not-in-force"
        return "" if self.counts_here(code) else "range-not-here"

    def counts_here(self, code: str) -> bool:
        listed = [each for each in self.rules["ranges"] if each["code"] == code]
        territory = listed[0]["territory"] if listed else "own"
        there, here = self.issuer["region"], self.asker["region"]
        by_territory = {
            "national": True,
            "own": there == here,
            "listed": all(
                any(region[: len(prefix)] == prefix for prefix in listed[0].get("regions", [])) if listed else False
                for region in (there, here)
            ),
        }[territory]
        by_agreement = [
            each
            for each in self.chain["agreements"]
            if each["range"] == code
            and each["item"] == self.fact["item"]
            and sorted((each["one"], each["other"])) == sorted((there, here))
            and each["from"] <= self.now
            and (each["ended"] is None or self.now < each["ended"])
        ]
        return by_territory or bool(by_agreement)

    @cached_property
    def stories(self) -> dict[str, str]:
        return {code: self.range_story(code) for code in {each["range"] for each in self.assessments()}}

    def labelable(self) -> bool:
        return self.timed and self.item is not None and self.issuer is not None

    @cached_property
    def label(self) -> str | None:
        if not self.labelable():
            return None
        order = [each["code"] for each in self.rules["ranges"]]
        good = [code for code, story in self.stories.items() if story == ""]
        good.sort(key=lambda code: (order.index(code) if code in order else len(order), code))
        names = [each["name"] for each in self.chain["ranges"] if good and each["code"] == good[0]]
        return names[-1] if names else None

    def unlabelled(self, why: str) -> bool:
        return self.labelable() and self.label is None and why in self.stories.values()


#: Reason -> whether it holds.
QUESTIONS: dict[str, Callable[[Case], bool]] = {
    "withdrawn": lambda case: case.gone(case.report["status"]),
    "report-not-final": lambda case: not case.stands(case.report["status"]) and not case.gone(case.report["status"]),
    "item-withdrawn": lambda case: case.gone(case.fact["status"]),
    "item-not-final": lambda case: not case.stands(case.fact["status"]) and not case.gone(case.fact["status"]),
    "unmapped-code": lambda case: case.fact["state"] == "unmapped-code",
    "unmapped-unit": lambda case: case.fact["state"] == "unmapped-unit",
    "item-not-listed": lambda case: case.fact["item"] is not None and case.item is None,
    "category-other": lambda case: case.item is not None and case.item["category"] != case.report["category"],
    "no-result": lambda case: not case.fact["valued"],
    "specimen-other": lambda case: (
        case.item is not None
        and case.fact["specimen"] is not None
        and case.fact["specimen"] not in case.item.get("specimens", [])
    ),
    "method-unstated": lambda case: case.item is not None and "methods" in case.item and case.fact["method"] is None,
    "method-other": lambda case: (
        case.item is not None and "methods" in case.item and case.fact["method"] not in [None, *case.item["methods"]]
    ),
    "no-time": lambda case: case.taken is None,
    "taken-in-future": lambda case: case.taken is not None and case.taken > case.now,
    "too-old": lambda case: case.timed and case.item is not None and not case.within_window(),
    "issuer-unknown": lambda case: case.issuer is None,
    "issuer-inactive": lambda case: case.issuer is not None and not case.issuer["active"],
    "asker-inactive": lambda case: not case.asker["active"],
    "level": lambda case: case.issuer is not None and not case.level_allows(),
    "eqa-none": lambda case: case.labelable() and not case.assessments(),
    "eqa-body": lambda case: case.unlabelled("eqa-body"),
    "eqa-not-then": lambda case: case.unlabelled("eqa-not-then"),
    "eqa-failed": lambda case: case.unlabelled("eqa-failed"),
    "eqa-revoked": lambda case: case.unlabelled("eqa-revoked"),
    "range-not-in-force": lambda case: case.unlabelled("range-not-in-force"),
    "range-not-here": lambda case: case.unlabelled("range-not-here"),
}


def reasons(case: Case) -> list[str]:
    """Every reason that holds, in the order of the book."""
    return [reason for reason, holds in QUESTIONS.items() if holds(case)]
