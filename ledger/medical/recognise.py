"""The decision: may this institution recognise these results now, and if not, why not.

Every item of a panel is judged alone, and every reason is told. The decision offers or withholds; the receiving
physician decides. Source: 国卫医发〔2022〕6号; docs/formats.md, section "Medical rules".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from ledger.errors import InvalidInputError
from ledger.medical.labels import label
from ledger.medical.levels import level
from ledger.medical.model import Facts, OfferedReport
from ledger.medical.reasons import Reason
from ledger.medical.ruleset import Course, Item, RuleSet
from ledger.medical.standing import Institution, Standing
from ledger.medical.texts import ORDER
from ledger.medical.windows import FUTURE, NO_TIME, age, too_old

#: FHIR's statuses of a report or result that stands. ``appended`` is a kind of ``amended``.
#: Source: HL7 FHIR R4, value sets diagnostic-report-status and observation-status.
STANDS: Final = frozenset({"final", "amended", "corrected", "appended"})
WITHDRAWN: Final = frozenset({"entered-in-error", "cancelled"})

_CONCLUSION: Final = (Reason("conclusion-excluded"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One item judged. ``recognisable`` exactly when there are no ``reasons``.

    ``label``: the label that counts here (全国HR). ``age_s``: seconds since the specimen or study; None without a
    time that can be one. ``notes`` withhold nothing: that the report's conclusion is not part of the recognition.
    """

    place: int
    item: str | None
    recognisable: bool
    reasons: tuple[Reason, ...]
    label: str | None
    age_s: int | None
    notes: tuple[Reason, ...] = ()


def recognise(
    offer: OfferedReport,
    *,
    asker: Institution,
    at_s: int,
    course: Literal["acute", "chronic"],
    rules: RuleSet,
    standing: Standing,
) -> tuple[Decision, ...]:
    """The decision about each item of an offered report, in its order.

    ``at_s``: when the result would be used, Unix seconds. Raises: InvalidInputError(medical.course).
    """
    if course not in (Course.ACUTE.value, Course.CHRONIC.value):
        raise InvalidInputError(
            "medical.course", "the course of an illness is acute or chronic", actual=ascii(course)[:40]
        )
    judged = _Judged(offer, asker, at_s, Course(course), rules, standing)
    return tuple(judged.decide(facts) for facts in offer.facts)


class _Judged:
    """An offer and everything it is judged by: what does not depend on the item is found once."""

    __slots__ = ("asker", "at_s", "course", "issuer", "notes", "offer", "rules", "shared", "standing")

    def __init__(
        self, offer: OfferedReport, asker: Institution, at_s: int, course: Course, rules: RuleSet, standing: Standing
    ) -> None:
        self.offer, self.asker, self.at_s, self.course = offer, asker, at_s, course
        self.rules, self.standing = rules, standing
        self.issuer = standing.institution(offer.institution)
        self.notes = _CONCLUSION if offer.concluded else ()
        self.shared = tuple(reason for reason in self._of_report() if reason is not None)

    def _of_report(self) -> tuple[Reason | None, ...]:
        status = _status(self.offer.status, "withdrawn", "report-not-final")
        asking = None if self.asker.active else Reason("asker-inactive")
        if self.issuer is None:
            return status, asking, Reason("issuer-unknown")
        there = None if self.issuer.active else Reason("issuer-inactive")
        return status, asking, there, level(self.issuer, self.asker, self.rules)

    def decide(self, facts: Facts) -> Decision:
        item = None if facts.item is None else self.rules.item(facts.item)
        age_s = age(facts.taken_s, self.at_s)
        reasons = [*self.shared, *(reason for reason in self._of_item(facts, item) if reason is not None)]
        bears = None
        if age_s is None:
            reasons.append(NO_TIME if facts.taken_s is None else FUTURE)
        elif item is not None:
            old = too_old(item.id, age_s, self.course, self.rules)
            if old is not None:
                reasons.append(old)
            if self.issuer is not None:
                bears, none = label(
                    self.issuer, self.asker, item.id,
                    taken_s=self.at_s - age_s, at_s=self.at_s, rules=self.rules, standing=self.standing,
                )  # fmt: skip
                reasons += none
        if len(reasons) > 1:
            reasons.sort(key=_order)
        return Decision(
            place=facts.place,
            item=facts.item,
            recognisable=not reasons,
            reasons=tuple(reasons),
            label=bears,
            age_s=age_s,
            notes=self.notes,
        )

    def _of_item(self, facts: Facts, item: Item | None) -> tuple[Reason | None, ...]:
        """What is against the item apart from times and labels."""
        status = _status(facts.status, "item-withdrawn", "item-not-final")
        value = None if facts.valued else Reason("no-result")
        mapped = None if facts.state == "mapped" else Reason(facts.state)
        if item is None:
            listed = None if facts.item is None else Reason("item-not-listed", facts.item)
            return status, value, mapped, listed
        category = None if item.category is self.offer.category else Reason("category-other")
        specimen = None
        if facts.specimen is not None and facts.specimen not in item.specimens:
            specimen = Reason("specimen-other", facts.specimen)
        return status, value, mapped, category, specimen, _method(facts, item)


def _method(facts: Facts, item: Item) -> Reason | None:
    if not item.methods or facts.method in item.methods:
        return None
    return Reason("method-unstated") if facts.method is None else Reason("method-other", facts.method)


def _status(status: str, withdrawn: str, unfinished: str) -> Reason | None:
    if status in STANDS:
        return None
    return Reason(withdrawn) if status in WITHDRAWN else Reason(unfinished, status)


def _order(reason: Reason) -> int:
    return ORDER[reason.code]
