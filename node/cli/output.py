"""What commands print: a table for people, or one JSON document with ``--json``; errors on standard error."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ledger.errors import LedgerError
from node.cli.texts import t


def _usable_streams() -> None:
    """Output that is closed, or that cannot hold every character, is no reason to fail: what it cannot hold is escaped."""
    if sys.stdout is None:  # closed by the caller: >&-
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - lives as long as the process
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - lives as long as the process
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


_usable_streams()
#: Tables in a file or a pipe are not folded to a terminal's eighty columns.
out = Console(highlight=False, width=None if sys.stdout.isatty() else 150)
err = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else 150)
#: Hex digits of an id that a table shows; commands take any unique prefix of eight or more.
SHORT = 12
#: What steers a terminal, or turns the direction of writing: texts of others stand in tables, and say nothing to either.
_STEERING = {
    number: "\ufffd"
    for number in (*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
    if chr(number) not in "\n\t"
}


def print_json(value: Any) -> None:
    """One JSON document on standard output; bytes as hex."""
    plain = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    sys.stdout.write(json.dumps(value, ensure_ascii=plain, indent=2, default=_plain) + "\n")


def write_private(path: Path, data: bytes) -> None:
    """A file that its owner alone reads, 0600: whoever reads it can show the licence in it."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)


def _plain(value: object) -> str:
    if isinstance(value, bytes | bytearray):
        return bytes(value).hex()
    return str(value)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table; an empty one says so in words."""
    made = Table(title=title, title_justify="left", header_style="bold", title_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    count = 0
    for row in rows:
        made.add_row(*[_cell(value) for value in row])
        count += 1
    if count:
        out.print(made)
    else:
        out.print(f"{title}: " + t("nothing yet", "暂无"), markup=False)


def _cell(value: object) -> Text:
    if isinstance(value, bytes):
        return Text(value.hex()[:SHORT], no_wrap=True)
    if isinstance(value, bool):
        return Text(t("yes", "是") if value else t("no", "否"))
    return Text(str(value).translate(_STEERING))


def facts(title: str, values: Mapping[str, object]) -> None:
    """Name-value lines."""
    made = Table(title=title, title_justify="left", show_header=False, box=None, title_style="bold")
    made.add_column(style="dim")
    made.add_column(overflow="fold")
    for name, value in values.items():
        made.add_row(name, Text(value.hex()) if isinstance(value, bytes) else _cell(value))
    out.print(made)


def print_error(error: LedgerError, *, as_json: bool = False) -> None:
    """Message, code and next step on standard error (with ``as_json`` also the error as JSON on standard output)."""
    if as_json:
        print_json({"error": error.to_dict()})
    message, hint = in_own_language(error)
    err.print(Text.assemble((t("error: ", "错误："), "bold red"), message, (f"  [{error.code}]", "dim")))
    shown = error.to_dict()
    words = [
        word + str(shown[name])
        for name, word in (("expected", t("expected ", "应为 ")), ("actual", t("got ", "实为 ")))
        if shown.get(name) is not None
    ]
    if words:
        err.print(Text("  " + t(", ", "，").join(words)))
    if hint:
        err.print(Text(t("  next step: ", "  下一步：") + hint))


def in_own_language(error: LedgerError) -> tuple[str, str]:
    """Message and next step in the language of this run, where the contracts refused; else as they are."""
    if error.code.startswith("contract.") and t("en", "zh") == "zh":
        from ledger.chain.refusals_zh import in_chinese

        return in_chinese(error.code, error.message, error.hint) or (error.message, error.hint)
    return error.message, error.hint
