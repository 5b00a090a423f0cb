"""``scripts/bench medical``: a bar is judged by its figure; what is measured is a mix of decisions."""

from __future__ import annotations

import pytest

from scripts.benches import medical, medical_decisions


@pytest.mark.parametrize(("seconds", "met"), [([9.0, 1.0, 0.1], True), ([1.1, 1.1, 0.1], False)])
def test_the_bar_is_judged_by_the_middle_round(seconds: list[float], met: bool) -> None:
    figures = {"items": 20_000, "seconds": seconds, "recognisable": 0.6, "assessments": 10_000, "load_s": 1.0}
    rows = medical.rows({"decisions": figures | {"convert_s": 1.0, "converted": 5_000}})
    assert [row.met for row in rows] == [met, None, None]


def test_what_is_measured_is_a_mix_of_decisions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(medical_decisions, "HOSPITALS", 6)
    figures = medical_decisions.measure(True, lambda *_: None)
    assert figures["items"] == 500 * 17
    assert 0.2 < figures["recognisable"] < 0.9
    assert len(figures["seconds"]) == 3


@pytest.mark.parametrize(("slow", "met"), [(0.02, True), (0.3, False)])
def test_a_search_is_judged_by_its_slow_ones(slow: float, met: bool) -> None:
    # One in ten is slow: the median does not show it, the bar does.
    figures = {"hospitals": 20, "reports": 200, "seconds": [0.02] * 90 + [slow] * 10, "absent": 0, "found": 150}
    assert [row.met for row in medical.rows({"search": figures | {"items": 900}})] == [met, None]


@pytest.mark.parametrize(("read_s", "taken_s", "met"), [(1.5, 1.5, [True, True]), (1.7, 3.0, [False, False])])
def test_ingest_is_judged_by_the_faster_way_to_validate(read_s: float, taken_s: float, met: list[bool]) -> None:
    rounds = {"reports": 100, "bytes": 1, "bytes_s": [2.0] * 3, "parsed_s": [1.0, 1.0, 9.0], "read_s": [read_s] * 3}
    figures = {"senders": 4, "sets": {"city": rounds}, "taken": 100, "taken_s": taken_s}
    assert [row.met for row in medical.rows({"ingest": figures})] == [*met, None]
