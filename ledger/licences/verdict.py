"""The verdict on a licence: one code, and a line for every check.

A verdict is an outcome, not an error: a forged licence is judged, not raised. The plain words of each line, in Chinese
and English, are in :mod:`ledger.licences.texts`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

import msgspec

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


_FAIL: Final = Outcome.FAIL


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line: ``name`` is one of :data:`CHECKS`, ``code`` says what was found (``licence.revoked``), ``detail`` the
    values its text needs (times as in the rest of the project, identifiers, never holder data); ``line``: see
    :func:`shared`."""

    name: str
    outcome: Outcome
    code: str
    detail: Mapping[str, str] = field(default_factory=dict)
    line: msgspec.Raw | None = field(default=None, compare=False, repr=False)


class LicenceSummary(msgspec.Struct, frozen=True, kw_only=True):
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


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The judgement at ``at_ms``: ``code``, the lines, the age of the chain view it rests on (None where no chain view
    was reached), and the time and version of the status list that was asked."""

    code: str
    checks: tuple[Check, ...]
    at_ms: int
    licence: LicenceSummary | None = None
    view_height: int | None = None
    view_time_ms: int | None = None
    proven: str | None = None
    finality: str | None = None
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
        found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self.told()))
        return found

    def told(self) -> dict[str, Any]:
        """The same for ``msgspec.json.encode``: what many verdicts have in common is in JSON already."""
        title, todo = _heading(self.code)
        found: dict[str, Any] = {
            "code": self.code,
            "accepted": self.accepted,
            "title": title,
            "todo": todo,
            "at": self.at_ms,
            "checks": [item.line or _line(item) for item in self.checks],
        }
        licence = self.licence
        if licence is not None:
            found["issuer"] = licence.issuer
            found["type"] = licence.type_code
            found["claims"] = [
                {"name": name, "label": _label(name), "value": value} for name, value in licence.claims.items()
            ]
            found["hidden"] = licence.hidden
        if self.view_height is not None and self.view_time_ms is not None:
            found["view"] = {
                "height": self.view_height,
                "time": self.view_time_ms,
                "age_ms": max(0, self.at_ms - self.view_time_ms),
                "proven": self.proven,
            }
            if self.finality is not None:
                found["view"]["finality"] = self.finality
        if self.status_time_ms is not None:
            found["status"] = {"time": self.status_time_ms, "version": self.status_version}
        return found


def shared(check: Check) -> Check:
    """A check with its line in JSON, for those that very many verdicts have in common."""
    return replace(check, line=_line(check))


def worst(checks: Iterable[Check], *, when_issued: bool) -> str:
    """The verdict code that the lines amount to: the gravest failure; ``when_issued``: without one, whether the licence
    rests on a proven time of issue."""
    failed = {texts_refusals.verdict_of(item.name, item.code) for item in checks if item.outcome is _FAIL}
    if not failed:
        return "valid-when-issued" if when_issued else "valid"
    return next(code for code in GRAVITY if code in failed)


def _line(check: Check) -> msgspec.Raw:
    if check.name in _OF_ONE:
        return _shown(check.name, check.outcome, check.code, tuple(check.detail.items()))
    return _kept(check.name, check.outcome, check.code, tuple(check.detail.items()))


def _shown(name: str, outcome: Outcome, code: str, detail: tuple[tuple[str, str], ...]) -> msgspec.Raw:
    line: dict[str, Any] = {
        "name": name,
        "label": _both(texts.CHECKS[name]),
        "outcome": outcome.value,
        "code": code,
        "text": _both(texts_refusals.line(name, code, dict(detail))),
    }
    if outcome is Outcome.FAIL:
        line["todo"] = _both(texts.todo(texts_refusals.verdict_of(name, code)))
    return _raw(line)


#: Lines that say the same of very many licences are made once.
_kept = lru_cache(maxsize=4_096)(_shown)


@lru_cache(maxsize=64)
def _heading(code: str) -> tuple[msgspec.Raw, msgspec.Raw]:
    return _raw(_both(texts.title(code))), _raw(_both(texts.todo(code)))


@lru_cache(maxsize=512)
def _label(name: str) -> msgspec.Raw:
    found = LABELS.get(name)
    return _raw(_both((found.zh, found.en) if found else (name, name)))


def _both(pair: texts.Pair) -> dict[str, str]:
    return {"zh": pair[0], "en": pair[1]}


def _raw(value: dict[str, Any]) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))
