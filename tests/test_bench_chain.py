"""The table of ``scripts/bench chain``: a bar is judged by the figure beside it; the load generator keeps windows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scripts.benches import chain
from scripts.benches.chain_bars import limit, rows
from scripts.benches.chain_load import MemberSupply, Queue, SampleCounter, SampleSupply, longest_pause, sample_pair
from scripts.benches.chain_page import page

MACHINE = {"cpu": "c", "cores": 2, "memory_gib": 4, "kernel": "6", "file_system": "ext4", "load_at_start": 0.1}


def report(*, per_second: int, ratio: float, seconds: float, share: float, heights: int) -> dict[str, Any]:
    """What a run measures, all of it as good or as bad as these."""
    memory = {"dept-1": [{"rss": 100.0}, {"rss": 50.0}], "dept-2": [{"rss": 90.0}, {"rss": 60.0}]}
    load: dict[str, Any] = {"writes": 10_000, "seconds": 10.0, "per_second": per_second, "generator_cpu_seconds": 2.5}
    load |= {"members": 8, "blocks": 20, "memory_mib": memory, "bytes": 64}
    load["validators_cpu_seconds"] = 7.0
    load["cpu_seconds"] = {"dept-1": [1.0, 2.0], "dept-2": [1.5, 2.5]}
    idle: dict[str, Any] = {
        "seconds": 60.0,
        "chain_blocks": heights // 3,
        "consensus_heights": heights,
        "memory_mib": memory,
    }
    idle["share_of_core"] = {"dept-1": seconds / 1_000, "dept-2": 0.001}
    return {
        "hardware": {"cores": 2},
        "contract_writes": {
            "writes": 4_000,
            "cpu_seconds": 1.0,
            "block": 500,
            "gas_per_write": 300_000,
            "writes_per_second": per_second * 5,
        },
        "eth_call": {
            "web3_per_second": per_second / 2,
            "one_by_one_per_second": per_second * 50,
            "call_many_per_second": 1,
        },
        "state_growth": {
            "block": 500,
            "rounds": 4,
            "ratio": ratio,
            "ratio_of_least": ratio,
            "small": {"slots_before": 10_000},
            "large": {"slots_before": 1_000_000},
            "restart_of_large": {"rows": 1_000, "seconds": 1.0},
        },
        "network": {
            "sample": load,
            "writes": load,
            "share_of_sample": share,
            "one_killed": [{"longest_pause_s": 0.5}, {"longest_pause_s": seconds}],
            "two_killed": {
                "explained_s": seconds * 2,
                "finding": ["consensus.no-quorum", "two of four"],
                "serving_again_s": 2.0,
                "moving_again_s": seconds * 3,
            },
            "idle": idle,
        },
    }


def test_every_bar_is_judged_by_its_figure() -> None:
    good = rows(report(per_second=1_000, ratio=1.5, seconds=5, share=0.25, heights=2))
    bad = rows(report(per_second=999, ratio=1.51, seconds=20.1, share=0.24, heights=3))
    assert len(good) == len(bad)
    judged = [row for row in good if row.bar != "none"]
    assert len(judged) == 12
    assert {row.met for row in judged} == {True}
    assert {row.met for row in bad if row.bar != "none"} == {False}
    assert {row.met for row in good if row.bar == "none"} == {None}


def test_only_what_was_measured_is_in_the_table() -> None:
    full = report(per_second=1_000, ratio=1, seconds=1, share=1, heights=1)
    assert [row.met for row in rows({"eth_call": full["eth_call"]})] == [True, True]
    # The limit is of the same run, or there is none.
    assert limit(full) == 2_000
    network = [row.figure for row in rows({"network": full["network"]})]
    assert not any("limit" in figure for figure in network)
    assert any("limit of 2,000/s" in row.figure for row in rows(full))


def test_a_report_becomes_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    full = report(per_second=1_000, ratio=1.6, seconds=1, share=0.3, heights=1)
    full |= {"command": "scripts/bench chain", "began": "2026-11-22T10:00:00+00:00", "hardware": MACHINE}
    full["bars"] = [row.to_dict() for row in rows(full)]
    text = page(full)
    assert "| contract writes, share of the limit of 2,000/s | >= 50% | 50% (4 times the processor time" in text
    assert "| contract writes, share of the key-value sample | none | 30% |" in text
    assert "1,000,000 against 10,000 slots | <= 1.50 x | 1.60 x (median of 4; least 1.60 x) | **no** |" in text
    assert "| dept-1, 10.0 s | 1.0 | 2.0 | 0.10% |" in text
    file = tmp_path / "chain.json"
    file.write_text(json.dumps(full), encoding="utf-8")
    assert chain.main(["--report", str(file), "--markdown"]) == 0
    assert capsys.readouterr().out == text


def test_members_take_turns_within_their_windows() -> None:
    queues = [Queue(name, 5, [f"{name}{number}".encode() for number in range(9)]) for name in ("a", "b")]
    supply = MemberSupply("127.0.0.1:1", queues, window=4)
    assert supply.total == 18
    first = supply.next(6)
    assert [raw for _place, raw in first] == [b"a0", b"a1", b"a2", b"a3", b"b0", b"b1"]
    assert [raw for _place, raw in supply.next(6)] == [b"b2", b"b3"]
    assert supply.next(6) == []  # both windows are full until something is committed
    supply.refused(first[2][0])  # a2 again, and what follows it
    queues[1].committed = 2
    assert sorted(raw for _place, raw in supply.next(9)) == [b"a2", b"a3", b"b4", b"b5"]


def test_the_sample_keeps_no_more_under_way_than_its_window() -> None:
    counter = SampleCounter(5)
    supply = SampleSupply("127.0.0.1:1", 0, 8, 64, counter)
    given = supply.next(100)
    assert len(given) == 5
    assert len({raw for _place, raw in given}) == 5
    assert {len(raw) for _place, raw in given} == {64}
    assert supply.next(100) == []
    counter.saw(2)
    assert [raw for _place, raw in supply.next(100)] == [sample_pair(5, 64), sample_pair(6, 64)]


def test_the_longest_pause_is_between_neighbours() -> None:
    assert longest_pause([1.0]) == 0.0
    assert longest_pause([1.0, 1.5, 4.0, 4.25]) == 2.5
