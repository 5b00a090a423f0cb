"""Figures of a log folder, read from its files beside a running node or without one.

How the log grows is told from the records' own times. Up to 2^18 records every one is read; beyond that a bounded
number of evenly spaced ones stands for all, and the answer says so.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from ledger._native import LogReader
from ledger.days import day_of
from ledger.errors import LedgerError
from ledger.evidence.checkpoint import parse_note
from ledger.log.backup import BATCH_ROW_BYTES, committed
from ledger.log.files import CHECKPOINT_FILE, disk_errors, parse_head, read_note
from ledger.log.manifest import BATCHES, ENTRIES
from ledger.model import parse_time

#: Records that are all read; above it, so many samples are taken.
EXACT: Final = 1 << 18
SAMPLES: Final = 4_096
#: Days whose records are counted one by one, the newest first.
DAYS: Final = 30
_READ = 4_096
_DAY_MS = 86_400_000
_BATCH_WINDOW_MS = _DAY_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class LogStat:
    """A log in figures. Times are Unix milliseconds, 0 for never; bytes of files by name.

    ``by_day``: records by the day (China, UTC+8) of their time, newest first, of at most 30 days with records;
    ``estimated`` when they come from samples. ``days_until_full``: at the mean growth of the last week, None when
    nothing grows.
    """

    size: int
    files: Mapping[str, int]
    published_size: int
    published_ms: int
    batches: int
    first_ms: int
    last_ms: int
    by_day: tuple[tuple[str, int], ...]
    estimated: bool
    records_a_day: int
    bytes_a_day: int
    disk_free: int
    days_until_full: int | None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "size": self.size,
            "files": dict(self.files),
            "bytes": sum(self.files.values()),
            "published_size": self.published_size,
            "published_ms": self.published_ms,
            "batches": self.batches,
            "first_ms": self.first_ms,
            "last_ms": self.last_ms,
            "by_day": dict(self.by_day),
            "estimated": self.estimated,
            "records_a_day": self.records_a_day,
            "bytes_a_day": self.bytes_a_day,
            "disk_free": self.disk_free,
            "days_until_full": self.days_until_full,
        }


def log_stat(path: str | os.PathLike[str], now_ms: int) -> LogStat:
    """Read the figures. ``now_ms``: the time to which batch ids are remembered and the last week counts.

    Raises: NotFoundError(log.missing), UnavailableError(log.not-yet), FatalError(log.failed | log.damaged-note).
    """
    folder = Path(path)
    note = read_note(folder / CHECKPOINT_FILE)
    head = parse_head(folder / CHECKPOINT_FILE, note) if note is not None else None
    size, end = committed(folder)
    reader = LogReader.open(os.fspath(folder), head.size if head else 0)
    with disk_errors(folder):
        files = {file.name: file.stat().st_size for file in sorted(folder.iterdir()) if file.is_file()}
        free = shutil.disk_usage(folder).free
        batches = _live_batches(folder / BATCHES, now_ms)
    covered = head.size if head else 0
    days: Counter[date] = Counter()
    first_ms = last_ms = 0
    stretch = 1 if covered <= EXACT else covered / SAMPLES
    for time_ms in _times(reader, covered):
        days[day_of(time_ms)] += 1
        first_ms = min(first_ms or time_ms, time_ms)
        last_ms = max(last_ms, time_ms)
    today = day_of(now_ms)
    week = [count for day, count in days.items() if 0 <= (today - day).days < 7]
    span = min(7.0, max(1.0, (now_ms - first_ms) / _DAY_MS)) if first_ms else 1.0
    records_a_day = round(sum(week) * stretch / span)
    # Zeros behind the last entry do not grow with the records.
    used = sum(files.values()) - max(0, files.get(ENTRIES, 0) - end)
    bytes_a_day = round(records_a_day * used / size) if size else 0
    return LogStat(
        size=size,
        files=files,
        published_size=covered,
        published_ms=_note_ms(note),
        batches=batches,
        first_ms=first_ms,
        last_ms=last_ms,
        by_day=tuple((day.isoformat(), round(days[day] * stretch)) for day in sorted(days, reverse=True)[:DAYS]),
        estimated=covered > EXACT,
        records_a_day=records_a_day,
        bytes_a_day=bytes_a_day,
        disk_free=free,
        days_until_full=free // bytes_a_day if bytes_a_day else None,
    )


def _times(reader: LogReader, size: int) -> Iterator[int]:
    """Times of all records of a small log, of evenly spaced ones of a large one."""
    if size > EXACT:
        for sample in range(SAMPLES):
            yield from _time(reader.read(sample * size // SAMPLES, 1)[0])
        return
    for first in range(0, size, _READ):
        for entry in reader.read(first, min(_READ, size - first)):
            yield from _time(entry)


def _time(entry: bytes) -> Iterator[int]:
    try:
        yield parse_time(json.loads(entry)["time"])
    except (LedgerError, ValueError, TypeError, KeyError, RecursionError):
        # What came by another door than the records' has no time that counts.
        return


def _note_ms(note: bytes | None) -> int:
    """The newest time a witness put beside its cosignature; 0 when there is none."""
    times = [0]
    for signature in parse_note(note).signatures if note is not None else ():
        # Type 0x04: u64be seconds and 64 bytes.
        if len(signature.signature) == 72:
            times.append(int.from_bytes(signature.signature[:8], "big") * 1_000)
    return max(times)


def _live_batches(path: Path, now_ms: int) -> int:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return 0
    ids = {
        data[at : at + 16]
        for at in range(0, len(data) - BATCH_ROW_BYTES + 1, BATCH_ROW_BYTES)
        if now_ms - struct.unpack_from("<Q", data, at + 28)[0] < _BATCH_WINDOW_MS
    }
    return len(ids)
