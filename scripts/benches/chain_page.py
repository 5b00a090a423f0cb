"""A report of the chain bench as Markdown, for ``docs/benchmarks.md``: the bars, and where processor time went."""

from __future__ import annotations

from collections.abc import Iterator

from scripts.benches.bar_table import Figures, bar_line, heading, table


def page(report: Figures) -> str:
    """Tables of the measures that are in the report."""
    lines = [heading(report), "", *table(("figure", "bar", "measured", "met"), map(bar_line, report["bars"]))]
    if "network" in report:
        headings = ("four validators", "under load: seconds of node", "of CometBFT", "idle: share of a core")
        lines += ["", *table(headings, _processor(report["network"]))]
    return "\n".join(lines) + "\n"


def _processor(network: Figures) -> Iterator[tuple[str, ...]]:
    """Processor time by validator; the run took ``seconds``."""
    writes, idle = network["writes"], network["idle"]
    for name, (node, comet) in writes["cpu_seconds"].items():
        share = idle["share_of_core"][name]
        yield f"{name}, {writes['seconds']:.1f} s", f"{node:.1f}", f"{comet:.1f}", f"{share:.2%}"
