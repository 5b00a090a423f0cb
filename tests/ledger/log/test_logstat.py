"""The figures of a log folder are those of its records; a large one is told from samples and says so."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ledger import codec
from ledger.errors import NotFoundError
from ledger.log import DepartmentLog
from ledger.log import stat as logstat
from ledger.log.backup import committed
from ledger.log.stat import log_stat
from ledger.model import format_time
from tests.ledger.log.conftest import NOW, record

DAY = 86_400_000


def at(time_ms: int, number: int) -> bytes:
    return codec.encode(
        {
            "body": {"version": f"0.1.{number}"},
            "member": "91110000600037341L",
            "time": format_time(time_ms),
            "type": "system.started",
            "v": 1,
        }
    )


def fill(log: DepartmentLog) -> None:
    log.append([at(NOW - 20 * DAY, number) for number in range(10)])
    log.append([at(NOW - 3 * DAY, number) for number in range(400)], b"c" * 16)
    log.append([at(NOW, number) for number in range(300)])


def test_days_growth_and_batches_are_counted(log: DepartmentLog) -> None:
    fill(log)
    log.publish()
    log.append([record(1)])
    found = log_stat(log.path, NOW)
    assert (found.size, found.published_size, found.batches, found.estimated) == (711, 710, 1, False)
    assert [count for _, count in found.by_day] == [300, 400, 10], "newest first"
    assert found.by_day[0][0] == format_time(NOW)[:10]
    assert (found.first_ms, found.last_ms) == (NOW - 20 * DAY, NOW)
    assert found.records_a_day == 100, "700 in the last week"
    used = sum(found.files.values()) - found.files["entries.dat"] + committed(log.path)[1]
    assert found.bytes_a_day == pytest.approx(100 * used / 711, abs=1)
    assert found.days_until_full == found.disk_free // found.bytes_a_day
    assert found.files["entries.dat"] == (log.path / "entries.dat").stat().st_size
    assert found.published_ms == 0, "no witness has cosigned"
    assert log_stat(log.path, NOW + 2 * DAY).batches == 0, "ids are remembered for a day"


def test_zeros_behind_the_last_entry_are_no_growth(log: DepartmentLog) -> None:
    for number in range(6):
        log.append([at(NOW, number)])
    log.publish()
    found = log_stat(log.path, NOW)
    entries = sum(2 + len(at(NOW, number)) for number in range(6))
    zeros = found.files["entries.dat"] - entries
    assert 0 < zeros < 256 << 10, "a run of small commits is written ahead, and fills it"
    used = sum(found.files.values()) - zeros
    assert (found.records_a_day, found.bytes_a_day) == (6, used)
    assert found.days_until_full == found.disk_free // used


def test_a_day_is_one_of_china(log: DepartmentLog) -> None:
    midnight = int(datetime(2026, 9, 20, 16, tzinfo=UTC).timestamp()) * 1_000
    log.append([at(midnight - 1, 1), at(midnight, 2), at(midnight + DAY - 1, 3)])
    log.publish()
    assert log_stat(log.path, NOW).by_day == (("2026-09-21", 2), ("2026-09-20", 1))


def test_a_large_log_is_told_from_samples(log: DepartmentLog, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(log)
    log.publish()
    monkeypatch.setattr(logstat, "EXACT", 500)
    monkeypatch.setattr(logstat, "SAMPLES", 71)
    found = log_stat(log.path, NOW)
    assert found.estimated
    assert [count for _, count in found.by_day] == [300, 400, 10]
    assert found.records_a_day == 100


def test_a_log_without_a_checkpoint_and_no_log(log: DepartmentLog, tmp_path: Path) -> None:
    log.append([record(1)])
    found = log_stat(log.path, NOW)
    assert (found.size, found.published_size, found.by_day, found.records_a_day) == (1, 0, (), 0)
    assert found.days_until_full is None
    assert found.to_dict()["bytes"] == sum(found.files.values())
    with pytest.raises(NotFoundError) as caught:
        log_stat(tmp_path / "nothing", NOW)
    assert caught.value.code == "log.missing"
