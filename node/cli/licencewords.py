"""A verdict on a licence in words, a line for each check."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from node.cli.output import out
from node.cli.texts import LANG, t

_MARKS = {"pass": ("✓", "green"), "fail": ("✗", "bold red"), "warn": ("!", "yellow"), "skip": ("–", "dim")}


def print_verdict(verdict: dict[str, Any]) -> None:
    """Print a verdict (its JSON form) in the language of the command."""
    style = "bold green" if verdict["accepted"] else "bold red"
    out.print(Text.assemble((verdict["title"][LANG], style), f"  [{verdict['code']}]"))
    for line in verdict["checks"]:
        mark, colour = _MARKS[line["outcome"]]
        out.print(Text.assemble("  ", (mark, colour), f" {line['label'][LANG]}: {line['text'][LANG]}"))
    out.print(Text(t("  what to do: ", "  下一步：") + verdict["todo"][LANG]))
