"""Base45: bytes as the 45 characters that QR codes store most densely. Source: RFC 9285."""

from __future__ import annotations

from typing import Final

from ledger.errors import InvalidInputError

ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_VALUE: Final = {character: value for value, character in enumerate(ALPHABET)}


def encode(data: bytes) -> str:
    """Two bytes in three characters, a last single byte in two."""
    out = []
    for at in range(0, len(data) - 1, 2):
        high, low = divmod(data[at] << 8 | data[at + 1], 45)
        out.append(ALPHABET[low] + ALPHABET[high % 45] + ALPHABET[high // 45])
    if len(data) % 2:
        high, low = divmod(data[-1], 45)
        out.append(ALPHABET[low] + ALPHABET[high])
    return "".join(out)


def decode(text: str) -> bytes:
    """The bytes of a text, of which there is one only: every group in range, no single character left.

    Raises: InvalidInputError(licence.base45). Source: RFC 9285, section 6.
    """
    if len(text) % 3 == 1:
        raise _error("a character is missing or left over")
    out = bytearray()
    for at in range(0, len(text), 3):
        group = text[at : at + 3]
        try:
            number = sum(_VALUE[character] * 45**power for power, character in enumerate(group))
        except KeyError:
            raise _error("a character that is none of the 45") from None
        size = len(group) - 1
        if number >= 1 << (8 * size):
            raise _error("a group of characters beyond its range")
        out += number.to_bytes(size, "big")
    return bytes(out)


def _error(message: str) -> InvalidInputError:
    return InvalidInputError("licence.base45", f"not Base45: {message}", hint="scan the code again; it may be damaged")
