"""A bar table: what was asked for, what one run measured, and whether it is met."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure beside its bar. ``met`` is None where nothing was asked for."""

    figure: str
    bar: str
    measured: str
    met: bool | None

    def to_dict(self) -> Figures:
        """For JSON."""
        return {"figure": self.figure, "bar": self.bar, "measured": self.measured, "met": self.met}


def least(figure: str, value: float, bar: float, form: str, note: str = "") -> Row:
    """A figure that must not be below its bar."""
    return _judge(figure, value, bar, form, note, ">=", operator.ge)


def most(figure: str, value: float, bar: float, form: str, note: str = "") -> Row:
    """A figure that must not be above its bar."""
    return _judge(figure, value, bar, form, note, "<=", operator.le)


def plain(figure: str, measured: str) -> Row:
    """A figure without a bar."""
    return Row(figure=figure, bar="none", measured=measured, met=None)


def _judge(
    figure: str, value: float, bar: float, form: str, note: str, sign: str, holds: Callable[[float, float], bool]
) -> Row:
    measured = form.format(value) + (f" ({note})" if note else "")
    return Row(figure=figure, bar=f"{sign} {form.format(bar)}", measured=measured, met=holds(value, bar))


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table."""
    lines = [headings, ["---"] * len(headings), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def bar_line(row: Figures) -> tuple[str, ...]:
    """A row of the table of bars, from a report."""
    met = {True: "yes", False: "**no**", None: ""}[row["met"]]
    return row["figure"], row["bar"], row["measured"], met


def heading(report: Figures) -> str:
    """What ran, when and on what."""
    machine = report["hardware"]
    return (
        f"`{report['command']}`, {report['began']}: {machine['cpu']}, {machine['cores']} cores, "
        f"{machine['memory_gib']} GiB, Linux {machine['kernel']}, {machine['file_system']}, "
        f"load {machine['load_at_start']:.1f} at the start."
    )
