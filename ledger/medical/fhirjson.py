"""Strict and bounded reading of FHIR JSON, its numbers kept as the text they came in.

``1.0`` and ``1.00`` are different results of a laboratory, and a float makes one of them: numbers are handed on as
:class:`Number`, a text. One input has one meaning here: no name twice in an object, no NaN, no half of a surrogate
pair, no nesting beyond the bound. Source: HL7 FHIR R4, datatypes (decimal); RFC 8259, section 4; RFC 7493 (I-JSON).
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any, Final

#: Size of one report: what another hospital opens travels in one message.
MAX_BYTES: Final = 6 << 20
#: FHIR's own resources nest to about twenty; extensions and contained resources add some.
MAX_DEPTH: Final = 40
#: Longest number. FHIR asks for 18 digits.
MAX_NUMBER: Final = 40
_MAX_EXPONENT: Final = 30
#: A text, also one without an end: what always matches is never tried again from each of its characters.
_STRINGS: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*["\\]?', re.S)
_OTHERS: Final = bytes(set(range(256)) - set(b"[]{}"))
_OPEN: Final = ord("{")
_ALIKE: Final = bytes.maketrans(b"[]", b"{}")
#: The escape of half a surrogate pair. UTF-8 has no other way to one.
_HALVES: Final = re.compile(rb"\\u[dD][89a-fA-F]")


class Number(Decimal):
    """A JSON number; ``text`` is how it was written."""

    text: str

    def __new__(cls, text: str) -> Number:
        """Of the text of a JSON number."""
        made = super().__new__(cls, text)
        made.text = text
        return made


class FhirJsonError(ValueError):
    """Why bytes are not read: a code of ``fhirproblems``, and what names the place."""

    def __init__(self, finding: str, /, **values: str) -> None:
        super().__init__(finding)
        self.code = finding
        self.values = values


def read(data: bytes) -> Any:
    """The value of UTF-8 bytes, numbers as :class:`Number`.

    Raises: FhirJsonError with the code ``fhir.too-large`` (before anything is parsed), ``fhir.json-text``,
    ``fhir.json-depth``, ``fhir.json-duplicate``, ``fhir.json-number`` or ``fhir.json``.
    """
    if len(data) > MAX_BYTES:
        raise _refused("fhir.too-large", limit=str(MAX_BYTES >> 20))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _refused("fhir.json-text", byte=str(error.start)) from None
    if text.startswith("\ufeff"):
        raise _refused("fhir.json-text", byte="0")
    _check_depth(data)
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise _refused("fhir.json", line=str(error.lineno), column=str(error.colno)) from None
    except RecursionError:
        raise _refused("fhir.json-depth", limit=str(MAX_DEPTH)) from None
    if _HALVES.search(data):
        _check_surrogates(value)
    return value


def _refused(finding: str, /, **values: str) -> FhirJsonError:
    return FhirJsonError(finding, **values)


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _refused("fhir.json-duplicate", name=ascii(name)[:40])
            seen.add(name)
    return found


def _number(text: str) -> Number:
    # Longer ones, and powers of ten without measure, cost whoever computes with them more than any result is worth.
    exponent = text.replace("E", "e").partition("e")[2]
    if len(text) > MAX_NUMBER or (exponent and abs(int(exponent)) > _MAX_EXPONENT):
        raise _refused("fhir.json-number")
    return Number(text)


def _constant(_: str) -> Any:
    raise _refused("fhir.json-number")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_int=_number, parse_float=_number, parse_constant=_constant
)


def _check_depth(data: bytes) -> None:
    """Of the bytes, before anything is decoded: libraries raise the recursion limit beyond what the stack holds, so
    that the decoder's own guard is none."""
    brackets = _STRINGS.sub(b"", data).translate(_ALIKE, _OTHERS)
    # Each turn takes the innermost pairs away: what is empty in time was not deeper.
    rest = brackets
    for _ in range(MAX_DEPTH):
        if not rest:
            return
        rest = rest.replace(b"{}", b"")
    depth = 0
    for bracket in brackets:
        depth += 1 if bracket == _OPEN else -1
        if depth > MAX_DEPTH:
            raise FhirJsonError("fhir.json-depth", limit=str(MAX_DEPTH))


def _check_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode("utf-8")
    except UnicodeEncodeError as error:
        raise _refused("fhir.json-text", byte=str(error.start)) from None
