"""Measures the medical part against its bars.

``scripts/bench medical [--quick] [--json | --markdown] [--only NAME] [--report FILE]``. Prints the table of bars,
hardware and command; ``--json`` prints one document with all raw figures, ``--report`` reads such a document instead of
measuring. Progress goes to the error stream. Nothing is asserted here; figures are kept in ``docs/benchmarks.md``.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from scripts.benches import medical_decisions, medical_ingest, medical_search
from scripts.benches.bar_table import Figures, Row, bar_line, heading, table
from scripts.benches.log import hardware, print_table

Progress = Callable[[str, int, int], None]

#: Name -> what it measures (quick or not), and the rows of its figures.
MEASURES: dict[str, tuple[Callable[[bool, Progress], Figures], Callable[[Figures], Iterable[Row]]]] = {
    "decisions": (medical_decisions.measure, medical_decisions.rows),
    "ingest": (medical_ingest.measure, medical_ingest.rows),
    "search": (medical_search.measure, medical_search.rows),
}


def rows(report: Figures) -> list[Row]:
    """Every row whose measure is in the report."""
    return [row for name, (_, make) in MEASURES.items() if name in report for row in make(report[name])]


def page(report: Figures) -> str:
    """The report as Markdown, for ``docs/benchmarks.md``."""
    lines = [heading(report), "", *table(("figure", "bar", "measured", "met"), map(bar_line, report["bars"]))]
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the measures and print them."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="scripts/bench medical", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small sizes")
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
    print_table(report, Console(stderr=options.json or options.markdown), "medical results")
    return 0


def _measure(options: argparse.Namespace, words: Sequence[str]) -> Figures:
    report: Figures = {
        "command": " ".join(["scripts/bench medical", *words]),
        "began": datetime.now(UTC).isoformat(timespec="seconds"),
        "hardware": hardware(Path(tempfile.gettempdir())),
    }
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True)) as bar:
        for name, (measure, _) in MEASURES.items():
            if options.only is None or name in options.only:
                task = bar.add_task(name, total=None)

                def progress(text: str, done: int, total: int, task: int = task) -> None:
                    bar.update(task, description=text, completed=done, total=total)  # type: ignore[arg-type]

                report[name] = measure(options.quick, progress)
                bar.update(task, description=name, completed=1, total=1)
    return report | {"bars": [row.to_dict() for row in rows(report)]}


if __name__ == "__main__":
    sys.exit(main())
