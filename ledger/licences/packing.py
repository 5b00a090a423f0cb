"""Packed presentations: a whole presentation small enough for a QR code on a page.

``EP1:`` and the Base45 of a ZLIB stream of the presentation's parts as bytes: what base64url spells out in four
characters are three bytes again, and names that repeat shrink. Nothing is signed or changed here: unpacking gives the
very text that was packed, and that text is judged. A page of a copy carries it, so that nobody has to keep a copy that
somebody may check a year later.
Source: RFC 1950; RFC 9285; docs/formats.md.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Final, NoReturn

from ledger.errors import InvalidInputError, LedgerError
from ledger.licences import b64, base45
from ledger.licences.qr import SHEET_CHARACTERS
from ledger.licences.sdjwt import MAX_BYTES, MAX_DISCLOSURES

PREFIX: Final = "EP1:"
MAX_CHARACTERS: Final = SHEET_CHARACTERS
_COUNT_BYTES: Final = 2
#: Header, payload and signature of a JWT.
_JWT_PARTS: Final = 3


def is_packed(text: str) -> bool:
    """Whether a scanned text claims to be a packed presentation, of whatever version."""
    return text.startswith("EP") and text[2:3].isdigit() and ":" in text[:6]


def pack(presentation: str) -> str:
    """A presentation with or without key binding, packed; at most 3,391 characters.

    Raises: InvalidInputError(licence.packed-too-long | licence.packed-form | licence.base64 | licence.base64-bits).
    """
    issued, *rest = presentation.split("~")
    bound = rest.pop() if rest else ""
    tokens = [issued.split("."), bound.split(".") if bound else []]
    if [len(token) for token in tokens] not in ([_JWT_PARTS, 0], [_JWT_PARTS, _JWT_PARTS]):
        _refuse("a presentation is a JWT, disclosures, and perhaps the holder's JWT")
    parts = [b64.decode(part) for part in (*tokens[0], *rest, *tokens[1])]
    if len(rest) > MAX_DISCLOSURES or any(len(part) >= 1 << 16 for part in parts):
        _refuse("more or longer parts than a licence has")
    data = len(rest).to_bytes(_COUNT_BYTES, "big") + b"".join(_counted(part) for part in parts)
    text = PREFIX + base45.encode(zlib.compress(data, 9))
    if len(text) > MAX_CHARACTERS:
        raise InvalidInputError(
            "licence.packed-too-long",
            "too much for a QR code on a page",
            hint="show fewer facts",
            expected=MAX_CHARACTERS,
            actual=len(text),
        )
    return text


def unpack(text: str) -> str:
    """The presentation in a scanned text, **not verified**.

    Raises: InvalidInputError(licence.packed-prefix | licence.packed-size | licence.packed-form | licence.base45).
    """
    if not text.startswith(PREFIX):
        raise InvalidInputError(
            "licence.packed-prefix",
            "not a packed presentation, or of a version that is unknown here",
            hint="scan the code on the page of the copy itself",
            expected=PREFIX,
            actual=ascii(text[:8]),
        )
    if len(text) > MAX_CHARACTERS:
        raise InvalidInputError(
            "licence.packed-size",
            "longer than any packed presentation",
            hint="scan the code on the page of the copy itself",
            expected=MAX_CHARACTERS,
            actual=len(text),
        )
    data = _inflated(base45.decode(text[len(PREFIX) :]))
    count = int.from_bytes(data[:_COUNT_BYTES], "big")
    parts = [b64.encode(part) for part in _parts(data[_COUNT_BYTES:])]
    if count > MAX_DISCLOSURES or len(parts) - count not in (_JWT_PARTS, 2 * _JWT_PARTS):
        _refuse("other parts than a presentation has")
    end = _JWT_PARTS + count
    presentation = "~".join((_token(parts[:_JWT_PARTS]), *parts[_JWT_PARTS:end], _token(parts[end:])))
    if len(presentation) > MAX_BYTES:
        _refuse("more than a presentation may hold")
    return presentation


def plain(text: str) -> str:
    """What a text stands for: the presentation in a packed one; any other, and a broken one, as it is."""
    try:
        return unpack(text) if is_packed(text) else text
    except LedgerError:
        return text


def _inflated(data: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        # A bomb ends here: nothing beyond the largest presentation is inflated.
        found = inflater.decompress(data, MAX_BYTES)
    except zlib.error:
        _refuse("it does not inflate")
    if not inflater.eof or inflater.unused_data:
        _refuse("it is cut, goes on, or inflates to more than a presentation")
    return found


def _parts(data: bytes) -> Sequence[bytes]:
    parts, at = [], 0
    while at < len(data):
        start = at + _COUNT_BYTES
        at = start + int.from_bytes(data[at:start], "big")
        if at > len(data) or start > len(data):
            _refuse("a part of it is cut")
        parts.append(data[start:at])
    return parts


def _counted(part: bytes) -> bytes:
    return len(part).to_bytes(_COUNT_BYTES, "big") + part


def _token(parts: Sequence[str]) -> str:
    return ".".join(parts)


def _refuse(message: str) -> NoReturn:
    raise InvalidInputError(
        "licence.packed-form",
        f"no packed presentation: {message}",
        hint="scan the code again; it may be damaged",
    )
