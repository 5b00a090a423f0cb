"""Measures the department log: durable appends against what disk and SHA-256 allow, proofs, memory, start.

``scripts/bench log [--quick] [--json] [--only NAME]``. The native part is ``native/examples/log_bench.rs``, so that no
Python lock is in the figures; ``door`` measures the same calls from Python. Nothing is asserted here; figures are kept
in ``docs/benchmarks.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ledger import _native

ROOT = Path(__file__).resolve().parent.parent.parent
BATCH = 1_000
ENTRY_SIZES = (200, 600)
CALLERS = (1, 4, 16)

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much is measured."""

    records: int
    single: int
    leaves: tuple[int, ...]
    proofs: int


QUICK = Sizes(records=400_000, single=40_000, leaves=(100_000, 1_000_000), proofs=2_000)
FULL = Sizes(records=4_000_000, single=400_000, leaves=(1_000_000, 10_000_000), proofs=10_000)
HUGE = Sizes(records=4_000_000, single=400_000, leaves=(1_000_000, 100_000_000), proofs=10_000)


def native(what: str, folder: Path, *, dies: bool = False, **arguments: int) -> Figures:
    """One run of the native helper in ``folder``; ``dies``: it ends by a signal."""
    words = [f"folder={folder}", *(f"{name}={value}" for name, value in arguments.items())]
    done = subprocess.run([str(helper()), what, *words], check=False, capture_output=True, text=True)
    if done.returncode != 0 and not dies:
        raise SystemExit(f"log_bench {what} failed: {done.stderr.strip()}")
    figures: Figures = json.loads(done.stdout)
    return figures


@cache
def helper() -> Path:
    """The native helper, built when it is not there or older than its sources."""
    command = ["cargo", "build", "-q", "--release", "--locked", "--no-default-features", "--example", "log_bench"]
    command += ["--manifest-path", "native/Cargo.toml", "--message-format=json"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout.splitlines()
    made = [json.loads(line) for line in lines if '"log_bench"' in line]
    return Path(next(line["executable"] for line in made if line.get("executable")))


def measure_batches(folder: Path, sizes: Sizes) -> Figures:
    """Durable batches of 1,000, raw and validated, beside the physical limit of the same bytes in the same run."""
    figures: Figures = {}
    for size in ENTRY_SIZES:
        for check in (0, 1):
            for callers in CALLERS:
                run = folder / f"{size}-{check}-{callers}"
                got = native("append", run, size=size, records=sizes.records, batch=BATCH, callers=callers, check=check)
                chunk = max(BATCH, got["records"] // got["commits"])
                limit = native("stream", run, size=size, records=sizes.records, chunk=chunk)
                got["physical"] = limit
                got["share_of_physical"] = got["per_second"] / limit["limit_per_second"]
                figures[f"{size}B {'validated' if check else 'raw'} callers={callers}"] = got
                remove(run)
    return figures


def measure_single(folder: Path, sizes: Sizes) -> Figures:
    """Single records from 64 native callers."""
    return native("append", folder, size=200, records=sizes.single, batch=1, callers=64, check=0)


def measure_door(folder: Path, sizes: Sizes) -> Figures:
    """Batches of 1,000 through the Python door: lists of bytes in, indices out."""
    figures: Figures = {}
    entries = [os.urandom(200) for _ in range(BATCH)]
    for callers in CALLERS:
        log = _native.LogEngine.open(str(folder / f"door-{callers}"))
        rounds = sizes.records // BATCH // callers

        def work(log: _native.LogEngine = log, rounds: int = rounds) -> None:
            for _ in range(rounds):
                log.append_batch(entries)

        threads = [threading.Thread(target=work) for _ in range(callers)]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - start
        figures[f"200B raw callers={callers}"] = {"records": log.size(), "per_second": log.size() / seconds}
        log.close()
    return figures


def measure_large(folder: Path, sizes: Sizes) -> Figures:
    """Proofs, memory and start of logs of growing size; start after a kill and after a clean stop."""
    figures: Figures = {}
    for leaves in sizes.leaves:
        run = folder / f"large-{leaves}"
        figures[f"{leaves} leaves"] = {
            "grown": native("grow", run, dies=True, size=112, records=leaves),
            "start_after_kill": native("close", run),
            "start_after_clean_stop": native("close", run),
            "proofs": native("proofs", run, proofs=sizes.proofs),
        }
        remove(run)
    return figures


def remove(folder: Path) -> None:
    """Free the disk between measures."""
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


def hardware() -> Figures:
    """What it ran on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if "model name" in line]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"cpu": names[0] if names else platform.machine(), "cores": os.cpu_count(), "memory_gib": memory >> 30}


MEASURES: dict[str, Callable[[Path, Sizes], Figures]] = {
    "batches": measure_batches,
    "single": measure_single,
    "door": measure_door,
    "large": measure_large,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the measures and print them."""
    parser = argparse.ArgumentParser(prog="bench log", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--huge", action="store_true", help="up to 100,000,000 leaves (40 GB of disk)")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument("--only", choices=MEASURES, help="one measure")
    options = parser.parse_args(argv)
    sizes = QUICK if options.quick else HUGE if options.huge else FULL
    words = ["scripts/bench log", *(sys.argv[1:] if argv is None else argv)]
    report: Figures = {"command": " ".join(words), "hardware": hardware(), "batch": BATCH}
    for name, measure in MEASURES.items():
        if options.only in (None, name):
            with tempfile.TemporaryDirectory(prefix="civicledger-bench-") as folder:
                report[name] = measure(Path(folder), sizes)
    if options.json:
        print(json.dumps(report))
        return 0
    for name, figures in report.items():
        print(f"{name}: {figures}" if not isinstance(figures, dict) else f"{name}:")
        for key, value in figures.items() if isinstance(figures, dict) else ():
            print(f"  {key}: {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
