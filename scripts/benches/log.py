"""Measures the department log against its bars: durable appends and what disk and SHA-256 allow, checkpoints, gRPC,
proofs, memory, start.

``scripts/bench log [--quick] [--json | --markdown] [--only NAME] [--leaves N] [--folder DIR] [--report FILE]``. Prints
the table of bars, hardware and command; ``--json`` prints one document with all raw figures, ``--report`` reads such a
document instead of measuring. Progress goes to the error stream. Nothing is asserted here; figures are kept in
``docs/benchmarks.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from scripts.benches import log_grpc
from scripts.benches.log_bars import rows
from scripts.benches.log_door import measure_door, measure_published
from scripts.benches.log_native import (
    BATCH,
    Figures,
    Progress,
    Sizes,
    helper,
    measure_batches,
    measure_large,
    measure_single,
)
from scripts.benches.log_page import page

QUICK = Sizes(records=400_000, single=100_000, leaves=(100_000, 1_000_000), proofs=2_000, grpc=100_000, published_s=3)
FULL = Sizes(
    records=4_000_000,
    single=1_000_000,
    leaves=(1_000_000, 100_000_000),
    proofs=10_000,
    grpc=1_000_000,
    published_s=15,
)


def measure_grpc(folder: Path, sizes: Sizes, progress: Progress) -> Figures:
    """Batches of 1,000 over one connection to a real node."""
    progress("gRPC appends to a node", 0, 1)
    return log_grpc.measure(folder, sizes.grpc)


MEASURES: dict[str, Callable[[Path, Sizes, Progress], Figures]] = {
    "batches": measure_batches,
    "single": measure_single,
    "published": measure_published,
    "door": measure_door,
    "grpc": measure_grpc,
    "large": measure_large,
}


def hardware(folder: Path) -> Figures:
    """What it ran on, and how busy that was."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if "model name" in line]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": names[0] if names else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": memory >> 30,
        "kernel": platform.release(),
        "file_system": _file_system(folder),
        "load_at_start": os.getloadavg()[0],
    }


def _file_system(folder: Path) -> str:
    """The type of the deepest mount that holds the folder."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    holding = [(Path(point), kind) for point, kind in mounts if folder.resolve().is_relative_to(point)]
    return max(holding, key=lambda mount: len(mount[0].parts), default=(Path("/"), "unknown"))[1]


def check_room(folder: Path, sizes: Sizes) -> None:
    """Raises SystemExit when the disk of the scratch folder cannot hold the largest log."""
    free, needed = shutil.disk_usage(folder).free, sizes.disk_bytes()
    if free < needed:
        raise SystemExit(
            f"bench log: {folder} has {free / 1e9:.1f} GB free, this run needs {needed / 1e9:.1f} GB\n"
            "  next step: choose a smaller --leaves N, or another disk with --folder DIR"
        )


def run(sizes: Sizes, names: Sequence[str], scratch: Path, bar: Bar) -> Figures:
    """Measure; the figures by name, and how long each took."""
    report: Figures = {}
    seconds: Figures = {}
    for name in names:
        task = bar.add_task(name, total=None)

        def progress(text: str, done: int, total: int, task: TaskID = task) -> None:
            # Where no bar can be drawn, each step is a line.
            if not bar.console.is_terminal and bar.tasks[task].description != text:
                print(f"{datetime.now(UTC):%H:%M:%S} {text}", file=sys.stderr, flush=True)
            bar.update(task, description=text, completed=done, total=total)

        began = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="civicledger-bench-", dir=scratch) as folder:
            report[name] = MEASURES[name](Path(folder), sizes, progress)
        seconds[name] = time.perf_counter() - began
        bar.update(task, description=f"{name}: {seconds[name]:.0f} s", completed=1, total=1)
    return report | {"seconds": seconds}


def print_table(report: Figures, console: Console, title: str = "department log") -> None:
    """The bars, for people."""
    table = Table("figure", "bar", "measured", "met", title=title)
    for row in report["bars"]:
        table.add_row(row["figure"], row["bar"], row["measured"], {True: "yes", False: "NO", None: ""}[row["met"]])
    console.print(table)
    for key in ("hardware", "command", "began"):
        console.print(f"{key}: {report[key]}", highlight=False)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the measures and print them."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="scripts/bench log", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, about a minute")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON document with all raw figures")
    form.add_argument("--markdown", action="store_true", help="tables for docs/benchmarks.md")
    parser.add_argument("--report", type=Path, metavar="FILE", help="show this JSON document; measure nothing")
    parser.add_argument("--only", choices=MEASURES, action="append", help="this measure (may be repeated)")
    parser.add_argument("--leaves", type=int, metavar="N", help="size of the large log (default: 100,000,000)")
    parser.add_argument("--folder", type=Path, help="scratch space is made in here (default: the temporary folder)")
    options = parser.parse_args(words)
    if options.report is None:
        report = measure(parser, options, words)
    else:
        report = json.loads(options.report.read_text(encoding="utf-8"))
    if options.json:
        print(json.dumps(report, indent=1))
    if options.markdown:
        print(page(report), end="")
    print_table(report, Console(stderr=options.json or options.markdown))
    return 0


def measure(parser: argparse.ArgumentParser, options: argparse.Namespace, words: Sequence[str]) -> Figures:
    """What the options ask for, with hardware, command and bars."""
    sizes = QUICK if options.quick else FULL
    if options.leaves is not None:
        if options.leaves < sizes.leaves[0]:
            parser.error(f"--leaves is at least {sizes.leaves[0]}")
        sizes = replace(sizes, leaves=(sizes.leaves[0], options.leaves))
    names = [name for name in MEASURES if options.only is None or name in options.only]
    if "large" not in names:
        sizes = replace(sizes, leaves=sizes.leaves[:1])
    scratch = options.folder or Path(tempfile.gettempdir())
    scratch.mkdir(parents=True, exist_ok=True)
    check_room(scratch, sizes)
    report: Figures = {
        "command": " ".join(["scripts/bench log", *words]),
        "began": datetime.now(UTC).isoformat(timespec="seconds"),
        "hardware": hardware(scratch),
        "batch": BATCH,
    }
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True)) as bar:
        helper()
        report |= run(sizes, names, scratch, bar)
    return report | {"bars": [row.to_dict() for row in rows(report)]}


if __name__ == "__main__":
    sys.exit(main())
