"""What the commands around the record index take and refuse, before a node is asked."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ledger.errors import InvalidInputError
from node.cli.records_openings import requests_of
from node.cli.records_query import span_of_days


def ms(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp() * 1_000)  # type: ignore[arg-type]


def test_a_day_begins_at_midnight_in_china() -> None:
    day = (ms(2026, 3, 1, 16), ms(2026, 3, 2, 16))
    assert span_of_days("2026-03-02", "", "") == day
    assert span_of_days("", "2026-03-02", "2026-03-02") == day
    assert span_of_days("", "2026-03-02", "") == (day[0], 0)
    assert span_of_days("", "", "2026-03-02") == (0, day[1])
    assert span_of_days("", "", "") == (0, 0)


@pytest.mark.parametrize(
    "words",
    [
        ("2026-02-30", "", ""),
        ("1969-12-31", "", ""),
        ("9999-12-31", "", ""),
        ("today", "", ""),
        ("2026-02-01", "2026-01-01", ""),
        ("2026-02-01", "", "2026-03-01"),
        ("", "2026-02-02", "2026-02-01"),
    ],
)
def test_what_is_no_day_is_refused(words: tuple[str, str, str]) -> None:
    with pytest.raises(InvalidInputError) as caught:
        span_of_days(*words)
    assert caught.value.code == "input.day"


def test_openings_come_in_requests_and_say_how_far_they_are(tmp_path: Path) -> None:
    file = tmp_path / "openings.jsonl"
    line = '{"index":7,"salt":"' + "0f" * 32 + '","subject":"居民"}\n'
    file.write_text(line * 1_200, encoding="utf-8")
    size = len(line.encode())
    found = [(len(openings), last, at) for openings, last, at in requests_of(file)]
    assert found == [(500, 500, 500 * size), (500, 1_000, 1_000 * size), (200, 1_200, 1_200 * size)]
    first = next(requests_of(file))[0][0]
    assert (first.index, first.salt, first.subject) == (7, b"\x0f" * 32, "居民")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('{"index":1,"salt":"zz","subject":"x"}', "input.opening"),
        ('{"index":-1,"salt":"00","subject":"x"}', "input.opening"),
        ('{"index":true,"salt":"00","subject":"x"}', "input.opening"),
        ('{"index":1,"salt":"00","subject":"\\ud800"}', "input.opening"),
        ('{"index":1,"salt":"00"}', "input.opening"),
        ("[1]", "input.opening"),
        ("{", "input.json"),
        ('"' + "x" * 5_000 + '"', "input.line"),
    ],
)
def test_a_bad_line_of_openings_is_named(tmp_path: Path, line: str, code: str) -> None:
    file = tmp_path / "openings.jsonl"
    file.write_text("\n" + line + "\n")
    with pytest.raises(InvalidInputError) as caught:
        list(requests_of(file))
    assert caught.value.code == code
    assert f"{file}:2" in caught.value.message
