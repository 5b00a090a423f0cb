"""The verdict on a licence: one code, and a line for every check.

A verdict is an outcome, not an error: a forged licence is judged, not raised. The plain words of each line, in Chinese
and English, are in :mod:`ledger.licences.texts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

#: The checks of every verdict, in the order of its lines.
CHECKS: Final = (
    "structure",
    "signature",
    "issuer",
    "accredited",
    "time",
    "status",
    "holder",
    "audience",
    "identifier",
    "purpose",
)

#: The verdicts under which a licence may be relied on.
ACCEPTED: Final = frozenset({"valid", "valid-when-issued"})


class Outcome(StrEnum):
    """How a check ended; ``skip``: it did not apply, or an earlier one failed."""

    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    WARN = "warn"
    SKIP = "skip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line: ``name`` is one of :data:`CHECKS`, ``code`` says what was found (``licence.revoked``), ``detail`` the
    values its text needs (times as in the rest of the project, identifiers, never holder data)."""

    name: str
    outcome: Outcome
    code: str
    detail: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenceSummary:
    """What the licence itself says, without anything undisclosed.

    ``issuer``: USCC; ``type_code``: 21 characters; ``claims``: the claims that were disclosed or always visible, by
    their GB/T 36903 names; ``not_before_ms``, ``expires_ms``: None where not stated; ``hidden``: how many were held
    back.
    """

    issuer: str
    type_code: str
    claims: Mapping[str, Any]
    not_before_ms: int | None = None
    expires_ms: int | None = None
    hidden: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The judgement at ``at_ms``: ``code``, the lines, and the age of the chain view it rests on (None where no chain
    view was reached)."""

    code: str
    checks: tuple[Check, ...]
    at_ms: int
    licence: LicenceSummary | None = None
    view_height: int | None = None
    view_time_ms: int | None = None
    proven: str | None = None

    @property
    def accepted(self) -> bool:
        """Whether the licence may be relied on."""
        return self.code in ACCEPTED

    def check(self, name: str) -> Check:
        """The line of one check."""
        return next(item for item in self.checks if item.name == name)
