"""The table of ``scripts/bench log``: a bar is judged by the figure beside it, and nothing is measured without room."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scripts.benches import log
from scripts.benches.log_bars import rows
from scripts.benches.log_native import CALLERS, ENTRY_SIZES
from scripts.benches.log_page import page


def report(*, per_second: float, micros: float, seconds: float, mib: int) -> dict[str, Any]:
    """What a run measures, all of it as good or as bad as these."""
    calls = {
        name: {"seconds": 1.0, "calls": 1} for name in ("write entries", "sync entries", "write frame", "sync frame")
    }
    where = {"calls": calls, "validate_all_cores": 1, "copy": 1, "checksum": 1, "sha256_one_core": 1, "rest": -1}
    append = {"records": 10, "per_second": per_second, "p50_us": micros, "p99_us": micros, "where": where}
    append |= {"share_of_physical": per_second / 1e6, "physical": {"limit_per_second": 1e6}, "cpu_us_per_record": 1.0}
    published = append | {"published": {"p99_us": seconds * 1e6}}
    times = {"p50_us": micros, "p99_us": micros}
    grown = {
        "grown": {"anonymous_mib": mib},
        "start_after_kill": {"seconds": seconds, "anonymous_mib": 1},
        "start_after_clean_stop": {"seconds": seconds, "anonymous_mib": 1},
        "proofs": {"inclusion_make": times, "inclusion_check": times, "anonymous_mib": 1},
    }
    kinds = [f"{size}B {kind}" for size in ENTRY_SIZES for kind in ("raw", "validated")]
    return {
        "batches": {f"{kind} callers={callers}": append for kind in kinds for callers in CALLERS},
        "grpc": {"unary": append, "stream": append},
        "single": {"alone": append, "publishing": published, "publishing_paced": published},
        "published": {"per_second": per_second, "p99_ms": seconds * 1e3},
        "large": {"1000000": grown, "100000000": grown},
    }


def test_every_bar_is_judged_by_its_figure() -> None:
    good = rows(report(per_second=1_000_000, micros=20, seconds=1, mib=300))
    bad = rows(report(per_second=49_999, micros=20_001, seconds=5.01, mib=301))
    assert len(good) == len(bad)
    assert {row.met for row in good if row.bar != "none"} == {True}
    growth = "growth of making a proof, beside the tiles it reads"
    assert {row.figure for row in bad if row.met} == {growth}
    asked = [row for row in good if row.bar != "none"]
    assert len(asked) == 20
    assert {row.met for row in good if row.bar == "none"} == {None}


def test_only_what_was_measured_is_in_the_table() -> None:
    full = report(per_second=50_000, micros=1, seconds=0.5, mib=1)
    few = rows({"single": full["single"]})
    assert [row.met for row in few] == [True] * 4
    assert few[0].measured == "50,000"


def test_a_report_becomes_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    full = report(per_second=50_000, micros=1, seconds=0.5, mib=1)
    machine = {"cpu": "c", "cores": 2, "memory_gib": 4, "kernel": "6", "file_system": "ext4", "load_at_start": 0.1}
    full |= {"command": "scripts/bench log", "began": "2026-11-22T10:00:00+00:00", "hardware": machine}
    full["bars"] = [row.to_dict() for row in rows(full)]
    text = page(full)
    assert "| gRPC, one connection, records/s | >= 250,000 | 50,000 (unary 50,000, stream 50,000) | **no** |" in text
    lines = [line for line in text.splitlines() if line.startswith("| 200B raw | 1 |")]
    assert lines == [f"| 200B raw | 1 |{' 100000.00 |' * 5} 200000.00 | 0.00 | 100000.00 | 1.00 |"]
    file = tmp_path / "log.json"
    file.write_text(json.dumps(full), encoding="utf-8")
    assert log.main(["--report", str(file), "--markdown"]) == 0
    assert capsys.readouterr().out == text


def test_a_full_disk_is_told_before_anything_is_written(tmp_path: Path) -> None:
    huge = replace(log.FULL, leaves=(1_000_000, 10**15))
    with pytest.raises(SystemExit, match=r"(?s)GB free, this run needs 235000.* GB\n  next step: choose a smaller"):
        log.check_room(tmp_path, huge)
    log.check_room(tmp_path, replace(log.QUICK, leaves=(1,), records=1))
    options = argparse.Namespace(quick=False, leaves=10, only=None, folder=tmp_path)
    with pytest.raises(SystemExit):
        log.measure(argparse.ArgumentParser(), options, [])
    assert list(tmp_path.iterdir()) == []
