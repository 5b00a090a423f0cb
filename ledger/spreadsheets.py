"""Texts of others in files that spreadsheets open."""

from __future__ import annotations

from typing import Final

#: What makes a formula of a text, also in full width as East Asian spreadsheets take it.
#: Source: OWASP, CSV Injection.
_BEGINS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def plain_cell(text: str) -> str:
    """The text, with an apostrophe before one that a spreadsheet would take for a formula."""
    return "'" + text if text.startswith(_BEGINS) else text
