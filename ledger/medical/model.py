"""What a report says, and what an offer says of it: the types the rules of recognition judge.

A ``Report`` has values and a patient and stays in the hospital's vault. An ``OfferedReport`` has neither: it is what
another hospital sees before it opens anything. Times are Unix seconds, UTC.
Source: docs/formats.md, section "Medical rules"; HL7 FHIR R4 DiagnosticReport, Observation.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from ledger.errors import InvalidInputError

#: Items in one report. The largest panels have a few dozen.
MAX_ITEMS: Final = 1_000
#: Characters in a code, unit, method, specimen or status.
MAX_WORD: Final = 200
#: 9999-12-31T23:59:59Z
MAX_TIME_S: Final = 253_402_300_799
REPORT_ID_BYTES: Final = 32

#: ``unmapped-code``: the rule set knows no item for the code. ``unmapped-unit``: it does, but the unit cannot be
#: converted into the item's. Both are states a clerk sees and that block recognition; neither loses a report.
State = Literal["mapped", "unmapped-code", "unmapped-unit"]
STATES: Final[tuple[State, ...]] = ("mapped", "unmapped-code", "unmapped-unit")


class Category(StrEnum):
    """检验 data from materials of the human body; 检查 images or data of the body itself."""

    LABORATORY = "laboratory"
    IMAGING = "imaging"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One item of a report: a laboratory's observation, or an imaging study.

    ``system`` and ``code`` as received; ``item`` the rule set's id. ``value``, ``low``, ``high`` (reference range) are
    decimal texts as received, to the byte; ``unit`` the UCUM code as received; ``canonical`` the value in the item's
    unit. ``text`` a coded or worded value. ``specimen`` the rule set's id where it knows the code. ``status`` is FHIR's
    code. ``taken_s`` specimen or study time.
    """

    place: int
    system: str
    code: str
    item: str | None
    state: State
    status: str
    taken_s: int | None
    value: str | None = None
    text: str | None = None
    unit: str | None = None
    canonical: str | None = None
    specimen: str | None = None
    method: str | None = None
    low: str | None = None
    high: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report as its hospital keeps it.

    ``identifier`` the hospital's own number, ``institution`` its USCC, ``patient`` the hospital's local id or the
    identity (only inside the vault), ``concluded`` whether it holds a physician's conclusion (which is never
    recognised), ``replaces`` the identifier of the report it corrects.
    """

    identifier: str
    institution: str
    category: Category
    status: str
    taken_s: int | None
    issued_s: int | None
    results: tuple[Result, ...]
    concluded: bool
    patient: str
    replaces: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What an offer says of one item: no value, no patient.

    ``valued``: there is something to recognise (a value or text; images for a study): an item without a value is
    offered as such. Raises: InvalidInputError(medical.offer).
    """

    place: int
    item: str | None
    state: State
    status: str
    taken_s: int | None
    method: str | None = None
    specimen: str | None = None
    valued: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.place < MAX_ITEMS:
            raise _malformed("the place of an item", f"0 to {MAX_ITEMS - 1}", self.place)
        if self.state not in STATES:
            raise _malformed("the state of an item", ", ".join(STATES), self.state)
        if (self.item is None) != (self.state == "unmapped-code"):
            raise _malformed("an item's id", "an id, and none where the code is unmapped", self.state)
        _check_time(self.taken_s)
        for word in (self.item, self.status, self.method, self.specimen):
            if word is not None and len(word) > MAX_WORD:
                raise _malformed("a text of an item", f"at most {MAX_WORD} characters", len(word))


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedReport:
    """What another hospital sees of a report before it opens it.

    ``report``: 32 random bytes given at ingest. ``version``: 1, one more with each correction. ``facts`` in ascending
    places. Raises: InvalidInputError(medical.offer).
    """

    report: bytes
    institution: str
    category: Category
    status: str
    issued_s: int | None
    facts: tuple[Facts, ...]
    version: int
    concluded: bool

    def __post_init__(self) -> None:
        if len(self.report) != REPORT_ID_BYTES:
            raise _malformed("the report's id", f"{REPORT_ID_BYTES} bytes", len(self.report))
        if self.version < 1:
            raise _malformed("the report's version", "1 or more", self.version)
        if len(self.status) > MAX_WORD:
            raise _malformed("the report's status", f"at most {MAX_WORD} characters", len(self.status))
        if len(self.facts) > MAX_ITEMS:
            raise _malformed("the items of a report", f"at most {MAX_ITEMS}", len(self.facts))
        _check_time(self.issued_s)
        before = -1
        for facts in self.facts:
            if facts.place <= before:
                raise _malformed("the places of items", "ascending, each once", facts.place)
            before = facts.place


def facts_of(report: Report) -> tuple[Facts, ...]:
    """What may be offered of a report's items, in ascending places."""
    return tuple(
        Facts(
            place=result.place,
            item=result.item,
            state=result.state,
            status=result.status,
            taken_s=result.taken_s,
            method=result.method,
            specimen=result.specimen,
            valued=report.category is Category.IMAGING or result.value is not None or result.text is not None,
        )
        for result in report.results
    )


def _check_time(seconds: int | None) -> None:
    if seconds is not None and not 0 <= seconds <= MAX_TIME_S:
        raise _malformed("a time", f"Unix seconds, 0 to {MAX_TIME_S}", seconds)


def _malformed(what: str, expected: str, actual: object) -> InvalidInputError:
    return InvalidInputError(
        "medical.offer",
        f"{what} of an offered report is malformed",
        hint="the hospital that offers the report repairs it; nothing of it was taken over",
        expected=expected,
        actual=ascii(actual)[:80],
    )
