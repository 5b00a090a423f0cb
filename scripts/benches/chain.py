"""Measures the chain against its bars: contract writes of the solo engine, eth_call, a large state; four validators
beside CometBFT's key-value sample, what it costs when they are killed, memory, idleness.

``scripts/bench chain [--quick] [--json | --markdown] [--only NAME] [--folder DIR] [--report FILE]``. Prints the table
of bars, hardware and command; ``--json`` prints one document with all raw figures, ``--report`` reads such a document
instead of measuring. Progress goes to the error stream. Nothing is asserted here; figures are kept in
``docs/benchmarks.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog
from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from scripts.benches.bar_table import Figures
from scripts.benches.chain_bars import rows
from scripts.benches.chain_network import NetworkSizes, measure_network
from scripts.benches.chain_page import page
from scripts.benches.chain_solo import Sizes, measure_calls, measure_growth, measure_writes
from scripts.benches.log import hardware

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class AllSizes:
    """How much is measured, alone and on the network."""

    solo: Sizes
    network: NetworkSizes


FULL = AllSizes(
    solo=Sizes(writes=20_000, block=500, calls=100_000, web3_calls=5_000, small=10_000, large=1_000_000, rounds=40),
    network=NetworkSizes(writes=20_000, members=16, kills=4, idle_s=600),
)
QUICK = AllSizes(
    solo=Sizes(writes=4_000, block=500, calls=20_000, web3_calls=1_000, small=10_000, large=200_000, rounds=20),
    network=NetworkSizes(writes=10_000, members=16, kills=1, idle_s=60),
)


def _alone(measure: Callable[[Path, Sizes], Figures]) -> Callable[[Path, AllSizes, Progress], Figures]:
    return lambda folder, sizes, _progress: measure(folder, sizes.solo)


MEASURES: dict[str, Callable[[Path, AllSizes, Progress], Figures]] = {
    "contract_writes": _alone(measure_writes),
    "eth_call": _alone(measure_calls),
    "network": lambda folder, sizes, progress: measure_network(folder, sizes.network, progress),
    "state_growth": _alone(measure_growth),
}


def run(sizes: AllSizes, names: Sequence[str], scratch: Path, bar: Bar) -> Figures:
    """Measure; the figures by name, and how long each took."""
    report: Figures = {}
    seconds: Figures = {}
    for name in names:
        task = bar.add_task(name, total=None)

        def progress(text: str, done: int, total: int, task: TaskID = task) -> None:
            if not bar.console.is_terminal:
                print(f"{datetime.now(UTC):%H:%M:%S} {text}", file=sys.stderr, flush=True)
            bar.update(task, description=text, completed=done, total=total)

        # What one measure wrote is not written back in the time of the next.
        os.sync()
        began = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="civicledger-bench-", dir=scratch) as folder:
            report[name] = MEASURES[name](Path(folder), sizes, progress)
        seconds[name] = round(time.perf_counter() - began, 1)
        bar.update(task, description=f"{name}: {seconds[name]:.0f} s", completed=1, total=1)
    return report | {"seconds": seconds}


def print_table(report: Figures, console: Console) -> None:
    """The bars, for people."""
    table = Table("figure", "bar", "measured", "met", title="chain")
    for row in report["bars"]:
        table.add_row(row["figure"], row["bar"], row["measured"], {True: "yes", False: "NO", None: ""}[row["met"]])
    console.print(table)
    for key in ("hardware", "command", "began"):
        console.print(f"{key}: {report[key]}", highlight=False)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the measures and print them."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="scripts/bench chain", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, a few minutes")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON document with all raw figures")
    form.add_argument("--markdown", action="store_true", help="tables for docs/benchmarks.md")
    parser.add_argument("--report", type=Path, metavar="FILE", help="show this JSON document; measure nothing")
    parser.add_argument("--only", choices=MEASURES, action="append", help="this measure (may be repeated)")
    parser.add_argument("--folder", type=Path, help="scratch space is made in here (default: the temporary folder)")
    options = parser.parse_args(words)
    if options.report is None:
        report = measure(options, words)
    else:
        report = json.loads(options.report.read_text(encoding="utf-8"))
    if options.json:
        print(json.dumps(report, indent=1))
    if options.markdown:
        print(page(report), end="")
    print_table(report, Console(stderr=options.json or options.markdown))
    return 0


def measure(options: argparse.Namespace, words: Sequence[str]) -> Figures:
    """What the options ask for, with hardware, command and bars."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    names = [name for name in MEASURES if options.only is None or name in options.only]
    scratch = options.folder or Path(tempfile.gettempdir())
    scratch.mkdir(parents=True, exist_ok=True)
    report: Figures = {
        "command": " ".join(["scripts/bench chain", *words]),
        "began": datetime.now(UTC).isoformat(timespec="seconds"),
        "hardware": hardware(scratch),
    }
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True)) as bar:
        report |= run(QUICK if options.quick else FULL, names, scratch, bar)
    return report | {"bars": [row.to_dict() for row in rows(report)]}


if __name__ == "__main__":
    sys.exit(main())
