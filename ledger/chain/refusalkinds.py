"""What the tables of refusals are made of: one custom error of a contract in plain words."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.errors import ConflictError, InvalidInputError, LedgerError, NotAllowedError, NotFoundError


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One custom error. ``message`` and ``hint`` are format strings over the error's arguments."""

    kind: type[LedgerError]
    message: str
    hint: str


def invalid(message: str, hint: str) -> Refusal:
    """The call has a wrong value."""
    return Refusal(kind=InvalidInputError, message=message, hint=hint)


def denied(message: str, hint: str) -> Refusal:
    """The sender may not."""
    return Refusal(kind=NotAllowedError, message=message, hint=hint)


def unknown(message: str, hint: str) -> Refusal:
    """There is no such thing."""
    return Refusal(kind=NotFoundError, message=message, hint=hint)


def conflict(message: str, hint: str) -> Refusal:
    """The present state forbids it."""
    return Refusal(kind=ConflictError, message=message, hint=hint)
