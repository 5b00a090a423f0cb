"""Strict base64url without padding, as JOSE writes it. Source: RFC 7515, section 2; RFC 4648, sections 3.5 and 5."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode

from ledger.errors import InvalidInputError


def encode(data: bytes) -> str:
    """The text of bytes, without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode(text: str) -> bytes:
    """The bytes of a text that is exactly what :func:`encode` writes.

    Raises: InvalidInputError(licence.base64 | licence.base64-bits).
    """
    try:
        data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        again = encode(data)
    except (binascii.Error, ValueError):
        raise _refusal() from None
    if again != text:
        # Python's decoder skips foreign characters and lets unused bits of the last character pass: then two texts
        # would mean the same bytes, and a digest over the text would not speak about them.
        if len(again) == len(text) and again[:-1] == text[:-1]:
            raise InvalidInputError(
                "licence.base64-bits",
                "base64url with unused bits set in its last character",
                hint="take the licence again from where it was issued; it was changed on the way",
                expected=again[-4:],
                actual=text[-4:],
            )
        raise _refusal()
    return data


def _refusal() -> InvalidInputError:
    return InvalidInputError(
        "licence.base64",
        "not base64url without padding",
        hint="take the licence again from where it was issued; it was changed or cut on the way",
    )
