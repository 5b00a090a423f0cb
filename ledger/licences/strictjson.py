"""Strict and bounded reading of the JSON inside licences, which others write and which is not canonical.

One text has one meaning here: no name twice in an object, no number that readers read differently, no half of a
surrogate pair, no nesting beyond the bound. Source: RFC 8259, section 4; RFC 7493 (I-JSON).
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

from ledger.errors import InvalidInputError

MAX_DEPTH: Final = 16
_MAX_INTEGER: Final = 2**53 - 1
#: A text, also one without an end: what always matches is never tried again from each of its characters.
_STRINGS: Final = re.compile(r'"(?:[^"\\]|\\.)*["\\]?', re.S)
_HINT: Final = "ask the issuer for a licence that its own software can read back"


class _TwiceError(ValueError):
    """A name stands twice in one object."""


class _NumberError(ValueError):
    """A number outside what every reader reads alike. It may be a person's: it stands in no message."""


def read(data: bytes) -> Any:
    """The JSON value of UTF-8 bytes.

    Raises: InvalidInputError(licence.json | licence.json-text | licence.json-duplicate | licence.json-number |
    licence.json-depth).
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _malformed("licence.json-text", f"not UTF-8 text: byte {error.start}") from None
    _check_depth(text)
    try:
        value = _DECODER.decode(text)
    except _TwiceError as error:
        raise _malformed("licence.json-duplicate", f"the name {error} stands twice in one object") from None
    except _NumberError:
        raise _malformed("licence.json-number", "a number that readers read differently") from None
    except (ValueError, RecursionError):
        raise _malformed("licence.json", "not JSON") from None
    if "\\u" in text:
        _check_surrogates(value)
    return value


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _TwiceError(ascii(name)[:40])
            seen.add(name)
    return found


def _integer(text: str) -> int:
    value = int(text) if len(text) <= 17 else _MAX_INTEGER + 1
    if abs(value) > _MAX_INTEGER:
        raise _NumberError
    return value


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _NumberError
    return value


def _constant(_: str) -> Any:
    raise _NumberError


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_int=_integer, parse_float=_float, parse_constant=_constant
)


def _check_depth(text: str) -> None:
    # What has no more brackets than the bound cannot nest deeper: nearly every input ends here.
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for character in _STRINGS.sub("", text):
        if character in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise _malformed("licence.json-depth", f"nested deeper than {MAX_DEPTH}")
        elif character in "]}":
            depth -= 1


def _check_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise _malformed("licence.json-text", "half of a surrogate pair in a text") from None


def _malformed(code: str, message: str) -> InvalidInputError:
    return InvalidInputError(code, message, hint=_HINT)
