"""Bounds and forms of what callers send: every field of a request passes through here before it is used."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ledger.codec import decode
from ledger.errors import InvalidInputError
from ledger.identifiers import parse_purpose, parse_uscc

MAX_PAGE = 500
DEFAULT_PAGE = 100
MAX_JSON = 60_000
MAX_TEXT = 2_000

_WORD = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}\Z")


def refuse(
    field: str, problem: str, hint: str = "", *, expected: object = None, actual: object = None
) -> InvalidInputError:
    """The one error of a malformed field: ``input.field``, naming the field."""
    return InvalidInputError(
        "input.field",
        f"{field}: {problem}",
        hint=hint or "see the field's comment in proto/ledger/v1",
        expected=expected,
        actual=actual,
    )


def member(field: str, text: str) -> str:
    """A member's USCC. Raises InvalidInputError(input.field | identifier.uscc)."""
    if len(text) > 18:
        raise refuse(field, f"{len(text)} characters are too long for a unified social credit code", expected=18)
    return parse_uscc(text)


def optional_member(field: str, text: str) -> str | None:
    """A member's USCC, or None for an empty text."""
    return member(field, text) if text else None


def id32(field: str, data: bytes) -> bytes:
    """An identifier or digest of exactly 32 bytes. Raises InvalidInputError(input.field)."""
    if len(data) != 32:
        raise refuse(field, f"needs 32 bytes, not {len(data)}", expected=32, actual=len(data))
    return bytes(data)


def optional_id32(field: str, data: bytes) -> bytes | None:
    """An identifier of 32 bytes, or None for no bytes."""
    return id32(field, data) if data else None


def purpose(text: str) -> str:
    """A purpose code. Raises InvalidInputError(input.field | identifier.purpose)."""
    if not text:
        raise refuse("purpose", "is required", hint="name the purpose code under which the data is used")
    return parse_purpose(text)


def matter(value: str) -> str:
    """The matter (事项) a use serves: 1 to 64 characters."""
    if len(value) > 64:
        raise refuse("matter", "is longer than 64 characters", expected=64, actual=len(value))
    return text("matter", value, limit=256)


def text(field: str, value: str, *, limit: int = MAX_TEXT, required: bool = True) -> str:
    """Free text for people, bounded in UTF-8 bytes, without control characters."""
    if required and not value.strip():
        raise refuse(field, "is required")
    if len(value.encode()) > limit:
        raise refuse(field, f"is longer than {limit} bytes", expected=limit, actual=len(value.encode()))
    if any(ord(char) < 32 and char not in "\n\t" for char in value):
        raise refuse(field, "holds control characters")
    return value


def word(field: str, value: str, allowed: Sequence[str]) -> str:
    """One of a closed list of words."""
    if value not in allowed:
        raise refuse(field, "is not one of " + ", ".join(allowed), actual=ascii(value)[:40])
    return value


def code(field: str, value: str) -> str:
    """A lower-case code such as a record type, or an empty text."""
    if value and not _WORD.match(value):
        raise refuse(field, "is no lower-case code", actual=ascii(value)[:40])
    return value


def number(field: str, value: int, low: int, high: int) -> int:
    """An integer within [low, high]."""
    if not low <= value <= high:
        raise refuse(field, f"must lie between {low} and {high}", expected=f"{low}..{high}", actual=value)
    return value


def json_object(field: str, data: bytes, *, required: bool = True, limit: int = MAX_JSON) -> Mapping[str, Any]:
    """A JCS object, bounded. Empty bytes are an empty object where it is not required. Raises also json.* errors."""
    if not data and not required:
        return {}
    if not data:
        raise refuse(field, "is required", hint="send a JSON object in canonical form (RFC 8785)")
    if len(data) > limit:
        raise refuse(field, f"is longer than {limit} bytes", expected=limit, actual=len(data))
    value = decode(bytes(data), max_bytes=limit)
    if not isinstance(value, dict):
        raise refuse(field, "must be a JSON object")
    return value


def token(field: str, text_: str) -> bytes:
    """The page token of a store, in hex; empty for the first page."""
    try:
        if len(text_) > 200:
            raise ValueError(text_)
        return bytes.fromhex(text_)
    except ValueError:
        raise refuse(
            field, "was not made by this node", hint="send back the token of the page before, unchanged"
        ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of a list: at most ``size`` items after offset ``start``."""

    start: int
    size: int

    def token_after(self, shown: int, more: bool) -> str:
        """The token of the next page; empty at the end."""
        return str(self.start + shown) if more else ""


def page(size: int, token: str) -> Page:
    """Page size (0: the default) and token of a list over the chain, whose order only grows at its end."""
    number("page_size", size, 0, MAX_PAGE)
    if token and (len(token) > 12 or not token.isascii() or not token.isdecimal()):
        raise refuse(
            "page_token", "was not made by this node", hint="send back the token of the page before, unchanged"
        )
    return Page(start=int(token or 0), size=size or DEFAULT_PAGE)
