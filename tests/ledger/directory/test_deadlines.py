"""Working-day deadlines against the published calendar of 2026 and beyond it."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.days import CST
from ledger.directory.deadlines import deadline_after, due, is_working_day, working_days_between
from ledger.errors import InvalidInputError


def at(text: str) -> int:
    """A Chinese local time as Unix seconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=CST).timestamp())


@pytest.mark.parametrize(
    ("start", "days", "end"),
    [
        # A Friday: two working days end on Tuesday.
        ("2026-11-20T10:00:00", 2, "2026-11-24T23:59:59"),
        # Before the National Day holiday of 2026 (1 to 7 October), with 10 October a working Saturday.
        ("2026-09-30T09:00:00", 1, "2026-10-08T23:59:59"),
        ("2026-09-30T09:00:00", 3, "2026-10-10T23:59:59"),
        # One second before and at midnight in China are two days.
        ("2026-11-23T23:59:59", 1, "2026-11-24T23:59:59"),
        ("2026-11-24T00:00:00", 1, "2026-11-25T23:59:59"),
    ],
)
def test_known_deadlines(start: str, days: int, end: str) -> None:
    seconds, provisional = due(at(start), days)
    assert datetime.fromtimestamp(seconds, CST).isoformat()[:19] == end
    assert not provisional


def test_a_year_without_a_calendar_has_weekends_only_and_is_provisional() -> None:
    deadline = deadline_after(at("2031-01-01T12:00:00"), 10)
    assert deadline.provisional
    assert datetime.fromtimestamp(deadline.at, CST).isoformat()[:19] == "2031-01-15T23:59:59"
    assert is_working_day(date(2031, 1, 4)) == (False, True)


def test_a_deadline_that_reaches_into_an_unknown_year_is_provisional() -> None:
    assert not deadline_after(at("2026-12-01T12:00:00"), 5).provisional
    assert deadline_after(at("2026-12-28T12:00:00"), 10).provisional


@pytest.mark.parametrize(
    ("start", "days", "code"),
    [(0, 0, "deadline.days"), (0, 367, "deadline.days"), (-1, 1, "deadline.start"), (2**40, 1, "deadline.start")],
)
def test_bounds(start: int, days: int, code: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        due(start, days)
    assert caught.value.code == code


@given(st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2030, 1, 1)), st.integers(1, 60))
def test_the_deadline_ends_the_nth_working_day(start: datetime, days: int) -> None:
    start_s = int(start.replace(tzinfo=UTC).timestamp())
    end_s, _ = due(start_s, days)
    assert end_s > start_s
    assert working_days_between(start_s, end_s) == days
    assert is_working_day(datetime.fromtimestamp(end_s, CST).date())[0]
