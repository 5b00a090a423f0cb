"""Deadlines in working days of the official calendar.

Days are civil days of China (UTC+8, no summer time). The day of the event does not count; a deadline of n working days
ends with the last second of the n-th working day. A year whose holidays are not published yet has its weekends only,
and what was computed with it is marked provisional.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

import chinese_calendar

from ledger.days import CST
from ledger.errors import InvalidInputError

#: Default number of working days for the check of a request's form.
FORM_CHECK_DAYS: Final = 2
#: Default number of working days to answer a conditional request.
ANSWER_DAYS: Final = 10
#: A deadline further away than this is a mistake (the Grants contract allows 90 days).
MAX_WORKING_DAYS: Final = 366


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """``at``: Unix seconds, the last second that is in time. ``provisional``: a year's calendar is not out yet."""

    at: int
    provisional: bool


def is_working_day(day: date) -> tuple[bool, bool]:
    """(whether people work that day, whether that is provisional).

    Source: the State Council's yearly holiday notices, as carried by ``chinesecalendar``.
    """
    try:
        return bool(chinese_calendar.is_workday(day)), False
    except NotImplementedError:
        return day.isoweekday() <= 5, True


def due(start_s: int, working_days: int) -> tuple[int, bool]:
    """(Unix seconds of the deadline, provisional) of ``working_days`` after an event at ``start_s``.

    Raises:
        InvalidInputError: ``deadline.days``, not within 1 to 366; ``deadline.start``, no time of this era.
    """
    deadline = deadline_after(start_s, working_days)
    return deadline.at, deadline.provisional


def deadline_after(start_s: int, working_days: int) -> Deadline:
    """The deadline as a value. Raises as :func:`due`."""
    if not 1 <= working_days <= MAX_WORKING_DAYS:
        raise InvalidInputError(
            "deadline.days", f"a deadline has 1 to {MAX_WORKING_DAYS} working days", actual=working_days
        )
    # 4102444800 = 2100-01-01: far beyond any calendar, near enough to bound the walk below.
    if not 0 <= start_s < 4_102_444_800:
        raise InvalidInputError("deadline.start", "the start of a deadline is a time before 2100", actual=start_s)
    day = datetime.fromtimestamp(start_s, UTC).astimezone(CST).date()
    left, provisional = working_days, False
    while left:
        day += timedelta(days=1)
        works, guessed = is_working_day(day)
        provisional = provisional or guessed
        left -= works
    end = datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=CST)
    return Deadline(at=int(end.timestamp()), provisional=provisional)


def working_days_between(start_s: int, end_s: int) -> int:
    """How many working days lie after the day of ``start_s`` up to and with the day of ``end_s``; 0 when none."""
    day = datetime.fromtimestamp(start_s, UTC).astimezone(CST).date()
    last = datetime.fromtimestamp(end_s, UTC).astimezone(CST).date()
    count = 0
    while day < last:
        day += timedelta(days=1)
        count += is_working_day(day)[0]
    return count
