"""FHIR's times as Unix seconds."""

from __future__ import annotations

import pytest

from ledger.medical.fhirtimes import seconds, span


@pytest.mark.parametrize(
    ("text", "first", "after"),
    [
        ("2026-11-20T00:00:00Z", 1_795_132_800, 1_795_132_801),
        ("2026-11-20T08:00:00+08:00", 1_795_132_800, 1_795_132_801),
        ("2026-11-19T20:00:00.999-04:00", 1_795_132_800, 1_795_132_801),
        ("2026-06-30T23:59:60Z", 1_782_863_999, 1_782_864_000),
        # Midnights in China, +08:00.
        ("2026-11-20", 1_795_104_000, 1_795_190_400),
        ("2026-02", 1_769_875_200, 1_772_294_400),
        ("2026-12", 1_796_054_400, 1_798_732_800),
        ("2026", 1_767_196_800, 1_798_732_800),
    ],
)
def test_spans(text: str, first: int, after: int) -> None:
    assert span(text) == (first, after)
    assert seconds(text) == first


@pytest.mark.parametrize(
    "text",
    [
        None,
        2026,
        "",
        "today",
        "2026-13",
        "2026-02-30",
        "2026-11-20T08:00Z",
        "2026-11-20T08:00:00",
        "2026-11-20T25:00:00Z",
        "2026-11-20T08:00:61Z",
        "2026-11-20T08:00:00+99:00",
        "2026-11-20 08:00:00Z",
        "２０２６",
        "0000",
        "2026-11-20\n",
    ],
)
def test_what_is_no_time(text: object) -> None:
    assert span(text) is None
    assert seconds(text) is None


def test_before_1970_is_no_time_of_a_result() -> None:
    assert span("1964-01-01") is not None
    assert seconds("1964-01-01") is None


def test_the_last_year_has_an_end() -> None:
    assert span("9999") is None
