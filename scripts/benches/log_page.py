"""A report of the log bench as Markdown, for ``docs/benchmarks.md``: the bars, and where the time goes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from scripts.benches.log_native import Figures

#: Columns of the time table: heading and where the figure stands in a batch's ``where``.
_CALLS = ("write entries", "sync entries", "write frame", "sync frame")


def page(report: Figures) -> str:
    """Tables of the measures that are in the report."""
    machine = report["hardware"]
    lines = [
        f"`{report['command']}`, {report['began']}: {machine['cpu']}, {machine['cores']} cores, "
        f"{machine['memory_gib']} GiB, Linux {machine['kernel']}, {machine['file_system']}, "
        f"load {machine['load_at_start']:.1f} at the start.",
        "",
        *_table(("figure", "bar", "measured", "met"), map(_bar, report["bars"])),
    ]
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
        lines += ["", *_table(headings, (_where(name, got) for name, got in report["batches"].items()))]
    return "\n".join(lines) + "\n"


def _bar(row: Figures) -> tuple[str, ...]:
    met = {True: "yes", False: "**no**", None: ""}[row["met"]]
    return row["figure"], row["bar"], row["measured"], met


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


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [headings, ["---"] * len(headings), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]
