"""How long a result is recognised, to the second: the window counts from specimen or study time, not from issue."""

from __future__ import annotations

from typing import Final

from ledger.medical.reasons import Reason
from ledger.medical.ruleset import Course, RuleSet

DAY_S: Final = 86_400
NO_TIME: Final = Reason("no-time")
FUTURE: Final = Reason("taken-in-future")


def age(taken_s: int | None, at_s: int) -> int | None:
    """Seconds since the specimen or study; None where the time is missing or lies in the future."""
    return None if taken_s is None or taken_s > at_s else at_s - taken_s


def too_old(item: str, age_s: int, course: Course, rules: RuleSet) -> Reason | None:
    """Why a result of that age is too old, None where it is not: a window of n days ends with its last second,
    ``n * 86,400`` seconds after the specimen. Days are spans here, not civil days."""
    days = rules.days(item, course.value)
    if days is not None and age_s <= days * DAY_S:
        return None
    return Reason("too-old", str(days or 0))
