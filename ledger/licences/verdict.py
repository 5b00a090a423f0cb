"""The verdict on a licence: one code, and a line for every check.

A verdict is an outcome, not an error: a forged licence is judged, not raised. The plain words of each line, in Chinese
and English, are in :mod:`ledger.licences.texts`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from ledger.licences import texts, texts_refusals
from ledger.licences.templates import LABELS

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

#: The verdicts of a failure, gravest first: a licence with two is called by the first.
GRAVITY: Final = (
    "malformed",
    "forged",
    "untrusted-issuer",
    "key-compromised",
    "unknown-type",
    "not-accredited",
    "issue-time-unproven",
    "wrong-identifier",
    "revoked",
    "suspended",
    "expired",
    "not-yet-valid",
    "status-unknown",
    "slip-expired",
    "copy-expired",
    "wrong-recipient",
    "recipient-needed",
    "holder-unproven",
    "wrong-audience",
    "replayed",
)

#: Lines whose detail is of one presentation.
_OF_ONE: Final = frozenset({"holder", "audience", "purpose"})

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
    """The judgement at ``at_ms``: ``code``, the lines, the age of the chain view it rests on (None where no chain view
    was reached), and the time and version of the status list that was asked."""

    code: str
    checks: tuple[Check, ...]
    at_ms: int
    licence: LicenceSummary | None = None
    view_height: int | None = None
    view_time_ms: int | None = None
    proven: str | None = None
    status_time_ms: int | None = None
    status_version: int | None = None

    @property
    def accepted(self) -> bool:
        """Whether the licence may be relied on."""
        return self.code in ACCEPTED

    def check(self, name: str) -> Check:
        """The line of one check."""
        return next(item for item in self.checks if item.name == name)

    def to_dict(self) -> dict[str, Any]:
        """The verdict as JSON, with its words in both languages; times in Unix milliseconds."""
        found: dict[str, Any] = {
            "code": self.code,
            "accepted": self.accepted,
            "title": _both(texts.title(self.code)),
            "todo": _both(texts.todo(self.code)),
            "at": self.at_ms,
            "checks": [_line(item) for item in self.checks],
        }
        if self.licence is not None:
            found["issuer"] = self.licence.issuer
            found["type"] = self.licence.type_code
            found["claims"] = [
                {"name": name, "label": _label(name), "value": value} for name, value in self.licence.claims.items()
            ]
            found["hidden"] = self.licence.hidden
        if self.view_height is not None and self.view_time_ms is not None:
            found["view"] = {
                "height": self.view_height,
                "time": self.view_time_ms,
                "age_ms": max(0, self.at_ms - self.view_time_ms),
                "proven": self.proven,
            }
        if self.status_time_ms is not None:
            found["status"] = {"time": self.status_time_ms, "version": self.status_version}
        return found


def worst(checks: Iterable[Check], *, when_issued: bool) -> str:
    """The verdict code that the lines amount to: the gravest failure; ``when_issued``: without one, whether the licence
    rests on a proven time of issue."""
    failed = {texts_refusals.verdict_of(item.name, item.code) for item in checks if item.outcome is Outcome.FAIL}
    for code in GRAVITY:
        if code in failed:
            return code
    return "valid-when-issued" if when_issued else "valid"


def _line(check: Check) -> dict[str, Any]:
    if check.name in _OF_ONE:
        return _shown(check.name, check.outcome, check.code, tuple(check.detail.items()))
    return _kept(check.name, check.outcome, check.code, tuple(check.detail.items()))


def _shown(name: str, outcome: Outcome, code: str, detail: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    line: dict[str, Any] = {
        "name": name,
        "label": _both(texts.CHECKS[name]),
        "outcome": outcome.value,
        "code": code,
        "text": _both(texts_refusals.line(name, code, dict(detail))),
    }
    if outcome is Outcome.FAIL:
        line["todo"] = _both(texts.todo(texts_refusals.verdict_of(name, code)))
    return line


#: Lines that say the same of very many licences are made once; nobody writes into them.
_kept = lru_cache(maxsize=4_096)(_shown)


@lru_cache(maxsize=512)
def _label(name: str) -> dict[str, str]:
    found = LABELS.get(name)
    return _both((found.zh, found.en) if found else (name, name))


def _both(pair: texts.Pair) -> dict[str, str]:
    return {"zh": pair[0], "en": pair[1]}
