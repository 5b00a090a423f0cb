"""Strict reading of decoded JSON objects: exactly these fields, of these types."""

from __future__ import annotations

import re
from typing import Any

from ledger.errors import InvalidInputError

_HEX = re.compile(r"[0-9a-f]*\Z")
_HEX_0X = re.compile(r"0x[0-9a-f]*\Z")


def fields(value: Any, required: frozenset[str], optional: frozenset[str] = frozenset()) -> dict[str, Any]:
    """An object with all required fields and no other but optional ones; a required ``v`` is 1.

    Raises: InvalidInputError(json.fields).
    """
    if not isinstance(value, dict) or not required <= value.keys() <= required | optional:
        raise InvalidInputError(
            "json.fields",
            "not an object of exactly the fields " + ", ".join(sorted(required)),
            actual=", ".join(sorted(value))[:200] if isinstance(value, dict) else type(value).__name__,
        )
    if "v" in required and integer(value["v"]) != 1:
        raise InvalidInputError("json.fields", "this library knows version 1", actual=value["v"])
    return value


def text(value: Any) -> str:
    """A JSON string."""
    if not isinstance(value, str):
        raise InvalidInputError("json.fields", "a text is expected", actual=type(value).__name__)
    return value


def integer(value: Any) -> int:
    """A JSON integer from 0 on."""
    if type(value) is not int or value < 0:
        raise InvalidInputError("json.fields", "an integer from 0 on is expected", actual=type(value).__name__)
    return value


def flag(value: Any) -> bool:
    """A JSON boolean."""
    if not isinstance(value, bool):
        raise InvalidInputError("json.fields", "true or false is expected", actual=type(value).__name__)
    return value


def array(value: Any, most: int) -> list[Any]:
    """A JSON array of at most ``most`` items."""
    if not isinstance(value, list) or len(value) > most:
        raise InvalidInputError("json.fields", f"an array of at most {most} items is expected")
    return value


def hex_of(data: bytes, length: int = 32) -> str:
    """Lower-case hex of exactly ``length`` bytes."""
    if len(data) != length:
        raise InvalidInputError("json.fields", f"{length} bytes are expected", expected=length, actual=len(data))
    return data.hex()


def unhex(value: Any, length: int = 32) -> bytes:
    """The inverse of :func:`hex_of`."""
    if len(text(value)) != 2 * length or not _HEX.match(value):
        raise InvalidInputError("json.fields", f"{2 * length} lower-case hex digits are expected", actual=value[:80])
    return bytes.fromhex(value)


def hex0x_of(data: bytes, length: int = 32) -> str:
    """The same with ``0x`` in front, as Ethereum's tools write addresses and hashes."""
    return "0x" + hex_of(data, length)


def unhex0x(value: Any, length: int = 32) -> bytes:
    """The inverse of :func:`hex0x_of`."""
    if len(text(value)) != 2 * length + 2 or not _HEX_0X.match(value):
        raise InvalidInputError(
            "json.fields", f"0x and {2 * length} lower-case hex digits are expected", actual=value[:80]
        )
    return bytes.fromhex(value[2:])
