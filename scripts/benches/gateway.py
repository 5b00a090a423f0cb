"""Measures licences against their bars: unary verification through the gateway's gRPC beside an empty echo through the
same server; batches beside the bare P-256 limit; issuing; status lists of a million.

``scripts/bench gateway [--quick] [--json | --markdown] [--only NAME] [--report FILE]``. Prints the table of bars,
hardware and command; ``--json`` prints one document with all raw figures, ``--report`` reads such a document instead of
measuring. Progress goes to the error stream. Nothing is asserted here; figures are kept in ``docs/benchmarks.md``.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from scripts.benches import gateway_grpc, licences
from scripts.benches.bar_table import Figures, Row, bar_line, heading, least, plain, table
from scripts.benches.log import hardware, print_table

Progress = Callable[[str, int, int], None]

MEASURES: dict[str, Callable[[bool, Progress], Figures]] = {
    "unary": gateway_grpc.measure,
    "library": licences.measure,
}


def rows(report: Figures) -> list[Row]:
    """Every row whose measure is in the report."""
    makers: dict[str, Callable[[Figures], Iterable[Row]]] = {"unary": _unary, "library": licences.rows}
    return [row for name, make in makers.items() if name in report for row in make(report[name])]


def _unary(unary: Figures) -> Iterator[Row]:
    for callers in gateway_grpc.CALLERS:
        got = unary[f"callers={callers}"]
        of = f"{callers} caller" + ("s" if callers > 1 else "")
        note = (
            f"{got['plain']['per_second']:,.0f} of {got['echo']['per_second']:,.0f}/s; gRPC alone "
            f"{got['bare']['per_second']:,.0f}"
        )
        figure = f"unary verify beside an empty echo, {of}"
        yield least(figure, got["plain"]["share"], 0.7, "{:.0%}", note)
        yield plain(
            f"the same with key binding, {of}", f"{got['bound']['share']:.0%} ({got['bound']['per_second']:,.0f}/s)"
        )
    yield plain("licences/s in one VerifyBatch stream", f"{unary['stream']['per_second']:,.0f}")


def page(report: Figures) -> str:
    """The report as Markdown, for ``docs/benchmarks.md``."""
    lines = [heading(report), "", *table(("figure", "bar", "measured", "met"), map(bar_line, report["bars"]))]
    if "unary" in report:
        headings = ("unary call", "callers", "calls/s", "server's processor, µs a call")
        found = [
            (name, str(callers), f"{got['per_second']:,.0f}", f"{median(got['server_us']):.0f}")
            for callers in gateway_grpc.CALLERS
            for name, got in report["unary"][f"callers={callers}"].items()
        ]
        lines += ["", *table(headings, found)]
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the measures and print them."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="scripts/bench gateway", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, half a minute")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON document with all raw figures")
    form.add_argument("--markdown", action="store_true", help="tables for docs/benchmarks.md")
    parser.add_argument("--report", type=Path, metavar="FILE", help="show this JSON document; measure nothing")
    parser.add_argument("--only", choices=MEASURES, action="append", help="this measure (may be repeated)")
    options = parser.parse_args(words)
    if options.report is None:
        report = _measure(options, words)
    else:
        report = json.loads(options.report.read_text(encoding="utf-8"))
    if options.json:
        print(json.dumps(report, indent=1))
    if options.markdown:
        print(page(report), end="")
    print_table(report, Console(stderr=options.json or options.markdown), "licences")
    return 0


def _measure(options: argparse.Namespace, words: Sequence[str]) -> Figures:
    report: Figures = {
        "command": " ".join(["scripts/bench gateway", *words]),
        "began": datetime.now(UTC).isoformat(timespec="seconds"),
        "hardware": hardware(Path(tempfile.gettempdir())),
    }
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True)) as bar:
        for name, measure in MEASURES.items():
            if options.only is None or name in options.only:
                task = bar.add_task(name, total=None)

                def progress(text: str, done: int, total: int, task: int = task) -> None:
                    bar.update(task, description=text, completed=done, total=total)  # type: ignore[arg-type]

                report[name] = measure(options.quick, progress)
                bar.update(task, description=name, completed=1, total=1)
    return report | {"bars": [row.to_dict() for row in rows(report)]}


if __name__ == "__main__":
    sys.exit(main())
