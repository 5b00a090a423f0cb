"""What a user hands to a command: JSON texts and whole numbers, refused in words before anything is sent."""

from __future__ import annotations

import json
import re
from datetime import date
from typing import Any

from ledger.errors import InvalidInputError
from node.cli.texts import t

#: The largest whole number a record, a message or the chain takes (docs/formats.md, canonical bytes).
MAX_NUMBER = (1 << 53) - 1
#: Levels of nesting a person's file may have.
MAX_DEPTH = 100
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_STRUCTURE = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[{]|[\]}]', re.DOTALL)


def too_deep(data: str | bytes) -> bool:
    """Whether a JSON text is nested deeper than ``MAX_DEPTH``: json's own guard is the interpreter's recursion limit,
    which some libraries raise beyond what the stack holds."""
    text = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    if text.count(b"[") + text.count(b"{") <= MAX_DEPTH:
        return False
    depth = 0
    for found in _STRUCTURE.finditer(text):
        if found[0] in (b"[", b"{"):
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif found[0] in (b"]", b"}"):
            depth -= 1
    return False


def parse_json(data: str | bytes, where: str, *, hint: str = "") -> Any:
    """A JSON text that a person wrote: any order of names, any white space.

    Raises: InvalidInputError(input.json) naming ``where`` for whatever is no JSON: bad UTF-8, nesting without end,
    numbers of thousands of digits.
    """
    if too_deep(data):
        raise InvalidInputError("input.json", t(f"{where}: nested too deeply", f"{where}：嵌套过深"), hint=hint)
    try:
        return json.loads(data)
    except ValueError as error:
        # JSONDecodeError and UnicodeDecodeError are ValueErrors; so is a number with too many digits.
        raise InvalidInputError("input.json", f"{where}: {error}", hint=hint) from None


def parse_day(text: str) -> date:
    """A day written YYYY-MM-DD; ``ledger.days`` says when it begins. Raises: InvalidInputError(input.day)."""
    try:
        found = date.fromisoformat(text) if _DAY.fullmatch(text) else date.min
    except ValueError:
        found = date.min
    if not date(1970, 1, 2) <= found < date.max:
        raise InvalidInputError(
            "input.day",
            t(f"{text!r} is no day", f"{text!r} 不是日期"),
            hint=t("write it as 2026-01-31, of 1970 or later", "写作 2026-01-31，不早于 1970 年"),
        )
    return found
