"""Requests over HTTPS as they come in: bodies within bounds, numbers in one spelling, who asks."""

from __future__ import annotations

import asyncio
from typing import TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request

from ledger.errors import InvalidInputError, UnavailableError

#: A body arrives within this time, seconds, or the connection is given up.
UPLOAD_S = 30
_T = TypeVar("_T")


async def bounded_body(request: Request, limit: int, hint: str) -> bytes:
    """The request's body.

    Raises: InvalidInputError ``http.too-large`` as soon as more than ``limit`` bytes came, ``http.cut``.
    """
    parts: list[bytes] = []
    size = 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > limit:
                raise InvalidInputError(
                    "http.too-large",
                    f"the body is larger than {limit} bytes",
                    hint=hint,
                    expected=limit,
                )
            parts.append(part)
    except ClientDisconnect:
        # Nobody hears the answer, but a client that goes away is no defect of this server.
        raise InvalidInputError("http.cut", "the connection ended before the body did") from None
    return b"".join(parts)


async def timely_body(request: Request, limit: int, hint: str) -> bytes:
    """The request's body, if it arrives in time. Raises: as :func:`bounded_body`; UnavailableError ``http.slow``."""
    try:
        async with asyncio.timeout(UPLOAD_S):
            return await bounded_body(request, limit, hint)
    except TimeoutError as error:
        raise UnavailableError(
            "http.slow", f"the body did not arrive within {UPLOAD_S} s", hint="try again on a better line"
        ) from error


async def json_body(request: Request, kind: type[_T], limit: int, *, size: str, form: str) -> _T:
    """The request's body, JSON of one kind. ``size``, ``form``: hints that say how large and of which shape it is.

    Raises: as :func:`timely_body`; InvalidInputError ``http.body``.
    """
    data = await timely_body(request, limit, size)
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        # The decoder's own words name fields of the request, and no value of it.
        raise InvalidInputError(
            "http.body", "the body is not the JSON object that this path takes", hint=form
        ) from error


def whole_number(text: str | None, name: str) -> int:
    """A number in its one spelling, below 2^63. Raises: InvalidInputError ``http.number``."""
    if text is None or not text.isascii() or not text.isdecimal() or len(text) > 19 or str(int(text)) != text:
        raise InvalidInputError("http.number", f"{name} must be a whole number", actual=(text or "")[:40])
    if int(text) >= 1 << 63:
        raise InvalidInputError("http.number", f"{name} is out of range", actual=text)
    return int(text)


def client_of(request: Request) -> str:
    """The address of the caller: what limits count by."""
    return request.client.host if request.client is not None else ""
