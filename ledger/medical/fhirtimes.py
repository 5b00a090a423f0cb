"""FHIR's dates and times as Unix seconds.

A time with less than seconds is a span, and its first moment counts: a result is never taken for younger than it may
be. Spans of days, months and years begin in China's time. Source: HL7 FHIR R4, datatypes (dateTime, instant).
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Final

#: The one time zone of the country.
CHINA: Final = timezone(timedelta(hours=8))
_TIME: Final = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d):(\d\d)(?:\.\d{1,9})?(?:(Z)|([+-])(\d\d):(\d\d)))?)?)?\Z", re.ASCII
)


def span(text: object) -> tuple[int, int] | None:
    """(first second, first second after) of a dateTime or instant; None when it is not one."""
    matched = _TIME.match(text) if isinstance(text, str) else None
    if matched is None:
        return None
    year, month, day, hour, minute, second, zulu, sign, offset_h, offset_m = matched.groups()
    try:
        if hour is None:
            first = datetime(int(year), int(month or 1), int(day or 1), tzinfo=CHINA)
            return int(first.timestamp()), int(_after(first, month, day).timestamp())
        offset = timedelta() if zulu else timedelta(hours=int(offset_h), minutes=int(offset_m))
        zone = timezone(-offset if sign == "-" else offset)
        # A leap second has no place in Unix time: it is the second before it.
        count = 59 if second == "60" else int(second)
        moment = datetime(int(year), int(month), int(day), int(hour), int(minute), count, tzinfo=zone)
        return int(moment.timestamp()), int(moment.timestamp()) + 1
    except (ValueError, OverflowError):
        return None


def seconds(text: object) -> int | None:
    """The first moment of a dateTime or instant, Unix seconds; None when it is not one, or before 1970."""
    found = span(text)
    return found[0] if found is not None and found[0] >= 0 else None


def _after(first: datetime, month: str | None, day: str | None) -> datetime:
    if day is not None:
        return first + timedelta(days=1)
    if month is not None:
        return (first + timedelta(days=32)).replace(day=1)
    return first.replace(year=first.year + 1)
