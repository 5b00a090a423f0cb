"""The one tree of errors, each with a stable code.

The classes say *who must act*; the ``code`` says what happened (``grant.expired``); the message is for people; the
``hint`` is the next step; ``expected`` and ``actual`` are the two values that disagreed, where there are two.
``docs/errors.md`` lists every code. ``STATUS`` is the one table that maps the classes to gRPC and HTTP.
"""

from __future__ import annotations

from typing import Any


class LedgerError(Exception):
    """Base of every error this library raises on purpose.

    ``code`` is stable and lower-case (``area.reason``), ``message`` and ``hint`` are for people.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        hint: str = "",
        expected: object = None,
        actual: object = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.expected = expected
        self.actual = actual

    def __str__(self) -> str:
        return f"{self.message} [{self.code}]"

    def to_dict(self) -> dict[str, Any]:
        """The error as a JSON-ready dict: ``code``, ``message`` and, where they are set, ``hint``, ``expected``,
        ``actual``."""
        out: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.hint:
            out["hint"] = self.hint
        if self.expected is not None:
            out["expected"] = _plain(self.expected)
        if self.actual is not None:
            out["actual"] = _plain(self.actual)
        return out


class InvalidInputError(LedgerError):
    """The caller sent something malformed or out of bounds: the caller corrects it."""


class UntrustedError(LedgerError):
    """A signature, proof or digest did not verify: nobody should act on the data."""


class NotAllowedError(LedgerError):
    """The caller is known but may not do this."""


class NotFoundError(LedgerError):
    """The thing named does not exist here."""


class ConflictError(LedgerError):
    """The request disagrees with the present state (a second writer, a repeated id with other content)."""


class UnavailableError(LedgerError):
    """It may work later: overload, a peer away, a chain view that is too old."""


class FatalError(LedgerError):
    """Our own data or disk is broken: stop, tell the operator, recover."""


#: class -> (gRPC status name, HTTP status)
STATUS: dict[type[LedgerError], tuple[str, int]] = {
    InvalidInputError: ("INVALID_ARGUMENT", 400),
    UntrustedError: ("FAILED_PRECONDITION", 422),
    NotAllowedError: ("PERMISSION_DENIED", 403),
    NotFoundError: ("NOT_FOUND", 404),
    ConflictError: ("ALREADY_EXISTS", 409),
    UnavailableError: ("UNAVAILABLE", 503),
    FatalError: ("INTERNAL", 500),
}


def _plain(value: object) -> str | int | bool:
    if isinstance(value, bool | int | str):
        return value
    if isinstance(value, bytes | bytearray):
        return bytes(value).hex()
    return str(value)
