"""Measures the record index: how fast it is made anew, how far it stays behind a busy log, what it costs the appends.

``scripts/bench index [--quick] [--json]``. Records are a department's own trail and its exchanges: 200 datasets, 5,000
grants, one counterpart. Nothing is asserted here; figures are kept in ``docs/benchmarks.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ledger._native import LogEngine
from ledger.codec import domain_digest
from ledger.model import format_time
from ledger.storage.indexes import RecordFilter, RecordIndex
from node.metrics import Metrics
from node.trail.indexing import Indexing

BATCH = 1_000
MEMBER = "11100000000013338W"
COUNTERPART = "11430000006122244L"
BASE_MS = 1_790_000_000_000
#: As ``record reindex`` has it.
ROUND = 1 << 16
PACED_S = 20.0

Figures = dict[str, Any]
_DATASETS = [domain_digest("bench", b"dataset %d" % n).hex() for n in range(200)]
_GRANTS = [domain_digest("bench", b"grant %d" % n).hex() for n in range(5_000)]


class Log:
    """The engine as the index sees a log."""

    def __init__(self, folder: Path) -> None:
        self.engine = LogEngine.open(str(folder))
        self.read = self.engine.read
        self.leaf = self.engine.leaf
        self.index_rows = self.engine.index_rows

    @property
    def size(self) -> int:
        """Durable records."""
        return self.engine.size()


def batch(number: int, time_ms: int) -> list[bytes]:
    """1,000 records of one millisecond, every one with a dataset; one in five is an exchange under a grant."""
    stamp = format_time(time_ms)
    records = []
    for n in range(number * BATCH, (number + 1) * BATCH):
        dataset = _DATASETS[n * 7919 % 200]
        if n % 5:
            body = (
                f'"dataset":"{dataset}","matter":"310100-AID-7","operator":"{n:064x}","purpose":"social-aid",'
                '"system":"aid-desk"'
            )
            kind = "access.used"
        else:
            grant = _GRANTS[n * 104_729 % 5_000]
            body = (
                f'"bytes":5,"counterpart":"{COUNTERPART}","dataset":"{dataset}","exchange":"{n:064x}","grant":"{grant}",'
                '"purpose":"social-aid","role":"provider"'
            )
            kind = "exchange.completed"
        records.append(f'{{"body":{{{body}}},"member":"{MEMBER}","time":"{stamp}","type":"{kind}","v":1}}'.encode())
    return records


def measure(folder: Path, *, records: int, paced: int) -> Figures:
    """Rate of re-indexing ``records``; lag at ``paced`` records a second; slow-down of appends, with and without the
    index in the same run. ``folder``: scratch, emptied of what was written."""
    figures: Figures = {"reindex": _reindex(folder / "reindex", records)}
    figures["paced"] = _paced(folder / "paced", paced)
    figures["unpaced"] = _unpaced(folder / "unpaced", min(records, 2_000_000))
    return figures


def _reindex(folder: Path, records: int) -> Figures:
    log = Log(folder / "log")
    for number in range(records // BATCH):
        # Some 10,000 records a second, as a busy hour of a large department has them.
        log.engine.append_batch(batch(number, BASE_MS + number * 100))
    log.engine.sync()
    index = RecordIndex.open(folder / "index")
    before = resource.getrusage(resource.RUSAGE_SELF)
    started = time.perf_counter()
    while index.indexed_size < log.size:
        index.follow(log, limit=ROUND)
        if sys.stderr.isatty():
            print(f"\rre-indexed {index.indexed_size:,} of {log.size:,}", end="", file=sys.stderr)
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF)
    found = _queries(index)
    index.close()
    log.engine.close()
    size = sum(file.stat().st_size for file in (folder / "index").iterdir())
    shutil.rmtree(folder)
    return {
        "records": records,
        "seconds": seconds,
        "per_second": records / seconds,
        "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "bytes_a_record": size / records,
        "ten_million_minutes": 10_000_000 / (records / seconds) / 60,
        "query_ms": found,
    }


def _queries(index: RecordIndex) -> Figures:
    """Milliseconds of a page of 100, median of 20."""
    dataset, grant = bytes.fromhex(_DATASETS[3]), bytes.fromhex(_GRANTS[40])
    wanted = {
        "all, newest first": RecordFilter(newest_first=True),
        "dataset": RecordFilter(dataset=dataset),
        "grant, newest first": RecordFilter(grant=grant, newest_first=True),
        "dataset and type": RecordFilter(dataset=dataset, type="exchange.completed"),
        "dataset and grant": RecordFilter(dataset=dataset, grant=grant),
    }
    figures: Figures = {}
    for name, one in wanted.items():
        times = []
        for _ in range(20):
            started = time.perf_counter()
            index.query(one, 100)
            times.append((time.perf_counter() - started) * 1_000)
        figures[name] = statistics.median(times)
    return figures


@contextmanager
def _following(index: RecordIndex, log: Log) -> Iterator[None]:
    """The node's own loop."""
    loop = Indexing(index, log, metrics=Metrics(), on_fatal=lambda error: print(error, file=sys.stderr)).loop
    loop.start()
    try:
        yield
    finally:
        loop.stop()
        loop.join(60)


def _paced(folder: Path, rate: int) -> Figures:
    """Append latency at a pace without the index, then lag and latency with it."""
    log = Log(folder / "alone")
    alone = _at_pace(log, rate)
    log.engine.close()
    index = RecordIndex.open(folder / "index")
    lags: list[float] = []
    written: deque[tuple[int, float]] = deque()

    def sample(log: Log) -> None:
        """How old the oldest record is that is not indexed."""
        now = time.perf_counter()
        written.append((log.size, now))
        while written and written[0][0] <= index.indexed_size:
            written.popleft()
        lags.append(now - written[0][1] if written else 0.0)

    log = Log(folder / "log")
    with _following(index, log):
        indexed = _at_pace(log, rate, sample)
    log.engine.close()
    index.close()
    shutil.rmtree(folder)
    return {
        "rate": rate,
        "seconds": PACED_S,
        "alone": alone,
        "with_index": indexed,
        "lag_max_s": max(lags),
        "lag_p99_s": statistics.quantiles(lags, n=100)[98],
    }


def _at_pace(log: Log, rate: int, after: Callable[[Log], None] | None = None) -> Figures:
    """Append at a pace."""
    times = []
    started = time.perf_counter()
    for number in range(int(rate * PACED_S / BATCH)):
        due = started + number * BATCH / rate
        time.sleep(max(0.0, due - time.perf_counter()))
        records = batch(number, BASE_MS + int(number * BATCH / rate * 1_000))
        begun = time.perf_counter()
        log.engine.append_batch(records)
        times.append((time.perf_counter() - begun) * 1_000)
        if after is not None:
            after(log)
    seconds = time.perf_counter() - started
    return {
        "per_second": len(times) * BATCH / seconds,
        "append_ms_p50": statistics.median(times),
        "append_ms_p99": statistics.quantiles(times, n=100)[98],
    }


def _unpaced(folder: Path, records: int) -> Figures:
    """Appends as fast as they go, three times without and with the index, in turn."""
    # The same records over and over: making them would cost more than appending them.
    made = [batch(number, BASE_MS + number * 100) for number in range(200)]
    batches = [made[number % len(made)] for number in range(records // BATCH)]
    rates: dict[bool, list[float]] = {False: [], True: []}
    for turn in range(6):
        indexed = bool(turn % 2)
        log = Log(folder / f"log-{turn}")
        index = RecordIndex.open(folder / f"index-{turn}")
        started = time.perf_counter()
        if indexed:
            with _following(index, log):
                _all(log, batches)
                seconds = time.perf_counter() - started
        else:
            _all(log, batches)
            seconds = time.perf_counter() - started
        rates[indexed].append(len(batches) * BATCH / seconds)
        index.close()
        log.engine.close()
        shutil.rmtree(folder)
    alone, beside = statistics.median(rates[False]), statistics.median(rates[True])
    return {
        "records": len(batches) * BATCH,
        "per_second_alone": alone,
        "per_second_with_index": beside,
        "slower_by": 1 - beside / alone,
    }


def _all(log: Log, batches: list[list[bytes]]) -> None:
    """Four callers share the batches."""
    waiting = iter(batches)
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                records = next(waiting, None)
            if records is None:
                return
            log.engine.append_batch(records)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="scripts/bench index", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of a table")
    parser.add_argument("--records", type=int, default=0, help="records to re-index")
    parser.add_argument("--paced", type=int, default=50_000, help="records a second")
    parser.add_argument("--folder", type=Path, default=None, help="scratch folder (default: a temporary one)")
    given = parser.parse_args()
    records = given.records or (500_000 if given.quick else 10_000_000)
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        figures = measure(Path(name), records=records, paced=given.paced)
    document = {
        "command": " ".join(["scripts/bench index", *sys.argv[1:]]),
        "hardware": {"machine": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()},
        **figures,
    }
    if given.json:
        print(json.dumps(document, indent=2))
        return
    for name, value in _flat(figures):
        print(f"{name:48} {value:>16,.3f}")


def _flat(figures: Figures, before: str = "") -> Iterator[tuple[str, float]]:
    for name, value in figures.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}: ")
        else:
            yield f"{before}{name}", value


if __name__ == "__main__":
    main()
