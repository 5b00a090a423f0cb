"""A report of the log bench as Markdown, for ``docs/benchmarks.md``: the bars, and where the time goes."""

from __future__ import annotations

from scripts.benches.bar_table import bar_line, heading, table
from scripts.benches.log_native import Figures

#: Columns of the time table: heading and where the figure stands in a batch's ``where``.
_CALLS = ("write entries", "sync entries", "write frame", "sync frame")


def page(report: Figures) -> str:
    """Tables of the measures that are in the report."""
    lines = [heading(report), "", *table(("figure", "bar", "measured", "met"), map(bar_line, report["bars"]))]
    if "batches" in report:
        headings = (
            "batches of 1,000",
            "callers",
            *_CALLS,
            "validate",
            "copy, checksum",
            "rest",
            "SHA-256",
            "processor",
        )
        lines += ["", *table(headings, (_where(name, got) for name, got in report["batches"].items()))]
    return "\n".join(lines) + "\n"


def _where(name: str, got: Figures) -> tuple[str, ...]:
    """Microseconds a record; ``rest`` can only be told for one caller, whose work is one thing after the other."""
    kind, _, callers = name.partition(" callers=")
    where, records = got["where"], got["records"]

    def micros(seconds: float) -> str:
        return f"{seconds / records * 1e6:.2f}"

    return (
        kind,
        callers,
        *(micros(where["calls"][call]["seconds"]) for call in _CALLS),
        micros(where["validate_all_cores"]),
        micros(where["copy"] + where["checksum"]),
        micros(max(0.0, where["rest"])) if "rest" in where else "",
        micros(where["sha256_one_core"]),
        f"{got['cpu_us_per_record']:.2f}",
    )
