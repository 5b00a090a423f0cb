"""Days of the command line as chain times (Unix seconds), and back: days are China's, both ends included."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ledger.days import CST, start_of
from node.cli.inputs import parse_day


def begin_of(day: str) -> int:
    """The first second of a day; 0 for none. Raises: InvalidInputError(input.day)."""
    return start_of(parse_day(day)) // 1_000 if day else 0


def end_of(day: str) -> int:
    """The first second after a day; 0 for none. Raises: InvalidInputError(input.day)."""
    return start_of(parse_day(day) + timedelta(days=1)) // 1_000 if day else 0


def when(seconds: int) -> str:
    """A chain time for people, in China's time; empty for none."""
    return f"{datetime.fromtimestamp(seconds, UTC).astimezone(CST):%Y-%m-%d %H:%M:%S}" if seconds else ""
