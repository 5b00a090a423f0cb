"""Civil days: those of China (UTC+8, no summer time), everywhere a day is meant. Times of records are UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Final

#: China standard time.
CST: Final = timezone(timedelta(hours=8))


def day_of(time_ms: int) -> date:
    """The day in which a time (Unix milliseconds) lies."""
    return datetime.fromtimestamp(time_ms // 1_000, UTC).astimezone(CST).date()


def start_of(day: date) -> int:
    """The day's first moment, Unix milliseconds."""
    return int(datetime(day.year, day.month, day.day, tzinfo=CST).timestamp()) * 1_000
