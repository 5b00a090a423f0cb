"""Strict and bounded reading of JSON that people write: every refusal says where.

One text has one meaning: no name twice in an object, no floating-point number, no field that is not known. A decimal
is a text, because a float round trip changes it. Source: RFC 8259, section 4; RFC 7493 (I-JSON).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from ledger.errors import InvalidInputError

MAX_DEPTH: Final = 8
_MAX_INTEGER: Final = 2**53 - 1
#: A text, also one without an end: what always matches is never tried again from each of its characters.
_STRINGS: Final = re.compile(r'"(?:[^"\\]|\\.)*["\\]?', re.S)
#: Controls and what turns the direction of writing: nobody's rules need them, and terminals and pages are steered by
#: them.
_STEERING: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


class _RefusedError(ValueError):
    """What the JSON decoder met that has more than one meaning."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A JSON value and where it stands (``items[3].unit``). Every reader raises InvalidInputError(medical.rules-field |
    medical.rules-value) naming the place."""

    value: Any
    where: str

    def fields(self, required: frozenset[str], optional: frozenset[str] = frozenset()) -> dict[str, Cursor]:
        """An object of exactly these fields; the optional ones may be absent."""
        if not isinstance(self.value, dict):
            self._refuse("an object is expected", "an object", self.value)
        missing = sorted(required - self.value.keys())
        unknown = sorted(self.value.keys() - required - optional)
        if missing or unknown:
            raise InvalidInputError(
                "medical.rules-field",
                f"{self.where or 'the file'}: " + ("a field is missing" if missing else "a field is not known"),
                hint="the fields of a rule set stand in docs/formats.md, section 'Medical rules'",
                expected=", ".join(missing or sorted(required | optional)),
                actual=", ".join(ascii(name)[:40] for name in unknown[:5]) or "not there",
            )
        base = self.where and self.where + "."
        return {name: Cursor(value, base + name) for name, value in self.value.items()}

    def array(self, least: int, most: int) -> Iterator[Cursor]:
        """Each of ``least`` to ``most`` values."""
        if not isinstance(self.value, list) or not least <= len(self.value) <= most:
            self._refuse("a list is too long, too short or none", f"a list of {least} to {most}", self.value)
        return (Cursor(value, f"{self.where}[{at}]") for at, value in enumerate(self.value))

    def text(self, most: int, pattern: re.Pattern[str] | None = None, what: str = "text") -> str:
        """A text of 1 to ``most`` characters without controls, blanks at its ends or line breaks."""
        value = self.value
        if not isinstance(value, str) or not 0 < len(value) <= most or value != value.strip():
            self._refuse("a text is empty, too long or none", f"{what}, 1 to {most} characters", value)
        if _STEERING.search(value) or (pattern is not None and not pattern.fullmatch(value)):
            self._refuse("a text has not the form it must have", what, value)
        return value

    def integer(self, least: int, most: int) -> int:
        """An integer of these bounds."""
        if type(self.value) is not int or not least <= self.value <= most:
            self._refuse("a number is out of bounds or none", f"an integer from {least} to {most}", self.value)
        return self.value

    def flag(self) -> bool:
        """true or false."""
        if not isinstance(self.value, bool):
            self._refuse("true or false is expected", "true or false", self.value)
        return self.value

    def word(self, words: tuple[str, ...]) -> str:
        """One of these words."""
        if self.value not in words:
            self._refuse("not one of the words known here", ", ".join(words), self.value)
        return str(self.value)

    def _refuse(self, message: str, expected: str, actual: object) -> NoReturn:
        shown = ascii(actual)[:60] if isinstance(actual, str | int) else type(actual).__name__
        raise InvalidInputError(
            "medical.rules-value",
            f"{self.where or 'the file'}: {message}",
            hint="correct the value at that place of the file",
            expected=expected,
            actual=shown,
        )


def read(data: bytes, *, max_bytes: int) -> Cursor:
    """The value of UTF-8 JSON bytes. Raises: InvalidInputError(medical.rules-size | medical.rules-json)."""
    if len(data) > max_bytes:
        raise InvalidInputError(
            "medical.rules-size", "the file is larger than any rule set", expected=max_bytes, actual=len(data)
        )
    try:
        text = data.decode("utf-8")
        _check_depth(text)
        return Cursor(_DECODER.decode(text), "")
    except UnicodeDecodeError as error:
        why = f"not UTF-8 text: byte {error.start}"
    except _RefusedError as error:
        why = str(error)
    except json.JSONDecodeError as error:
        why = f"not JSON: line {error.lineno}, column {error.colno}"
    except (ValueError, RecursionError):
        why = "not JSON"
    raise InvalidInputError(
        "medical.rules-json", why, hint="a JSON file in UTF-8 is expected; decimals are written as text"
    )


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _RefusedError(f"the name {ascii(name)[:40]} stands twice in one object")
            seen.add(name)
    return found


def _integer(text: str) -> int:
    value = int(text) if len(text) <= 17 else _MAX_INTEGER + 1
    if abs(value) > _MAX_INTEGER:
        raise _RefusedError("a number that readers read differently")
    return value


def _float(text: str) -> NoReturn:
    raise _RefusedError(f"the number {text[:40]}: decimals are written as text")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_int=_integer, parse_float=_float, parse_constant=_float
)


def _check_depth(text: str) -> None:
    depth = 0
    for character in _STRINGS.sub("", text):
        if character in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise _RefusedError(f"nested deeper than {MAX_DEPTH}")
        elif character in "]}":
            depth -= 1
