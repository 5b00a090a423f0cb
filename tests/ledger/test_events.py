"""The catalogue of audit events is closed, and the page about it says what the code does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ledger import events
from ledger.errors import InvalidInputError

ROOT = Path(__file__).resolve().parents[2]
HEX = "0f" * 32
USCC = "11100000000013338W"
#: kind -> (values it takes, values it refuses)
SAMPLES: dict[str, tuple[tuple[Any, ...], tuple[Any, ...]]] = {
    "id": ((HEX,), ("0x" + HEX, HEX[:-1], HEX.upper(), HEX + "\n", 7, None, b"")),
    "digest": ((HEX,), ("", 1)),
    "commitment": ((HEX,), ("", 1)),
    "uint": ((0, 7, 2**53 - 1), (-1, 2**53, 1.0, True, "1", None)),
    "flag": ((True, False), (0, 1, "true", None)),
    "member": ((USCC,), (USCC.lower(), "", 1, None)),
    "purpose": (("public-service",), ("Public", "", 1)),
    "label": (("1.0.0", "desk-7", "a:b/c_d"), ("", "a b", "王", "a" * 65, "-a", 1, "a\n")),
    "title": (("营业执照", "a-1"), ("", "a b", "e\u0301", "a" * 65, 1, "a\n")),
    "code": (("grant.expired", "admit", "auth.not-own"), ("", "Grant", "a..b", "a" * 65, ".a", 1, "a\n")),
    "licence-state": (("suspended",), ("begun", "", 1)),
    "list": (("demand",), ("other", 1)),
    "category": (("imaging",), ("xray", None)),
    "items": (("hb", "hb wbc-1"), ("", "wbc hb", "hb hb", "HB", "hb  wbc", "a" * 33, 1)),
    "step-kind": (("retest",), ("opened", 1)),
    "report-change": (("withdrawn",), ("erased", None)),
    "key-state": (("destroyed",), ("lost", 1)),
    "side": (("provider",), ("Provider", None)),
    "approver": (("consortium-vote",), ("me",)),
    "level": (("core",), ("CORE", 3)),
    "sharing": (("not-shared",), ("", 1)),
    "role": (("witness",), ("king", 7)),
    "licence-type": ((USCC + "011",), (USCC, USCC + "01A", "11100000000013338X011", 7, None)),
}


def good_body(event: events.EventType) -> dict[str, Any]:
    return {field.name: SAMPLES[field.kind.name][0][0] for field in event.fields}


def refused(type_: str, body: dict[str, Any]) -> str:
    with pytest.raises(InvalidInputError) as caught:
        events.check_body(type_, body)
    return caught.value.code


@pytest.mark.parametrize("event", events.TYPES.values(), ids=lambda event: event.name)
def test_every_field_of_every_type_is_judged(event: events.EventType) -> None:
    body = good_body(event)
    events.check_body(event.name, body)
    assert refused(event.name, body | {"more": 1}) == "record.body"
    for field in event.fields:
        rest = {name: value for name, value in body.items() if name != field.name}
        if field.optional:
            events.check_body(event.name, rest)
        else:
            assert refused(event.name, rest) == "record.body"
        takes, refuses = SAMPLES[field.kind.name]
        for value in takes:
            events.check_body(event.name, body | {field.name: value})
        for value in refuses:
            assert refused(event.name, body | {field.name: value}) == "record.body", (field.name, value)


def test_unknown_types_are_refused() -> None:
    for type_ in ("", "member", "member.fired", "dataset.published "):
        assert refused(type_, {}) == "record.type"


def test_no_field_takes_free_text() -> None:
    """Promise 8: what a person wrote or is called cannot enter a log by the typed path."""
    for event in events.TYPES.values():
        for field in event.fields:
            assert not field.kind.accepts("Wang Moumou, called on Monday"), (event.name, field.name)


def test_the_page_is_the_catalogue() -> None:
    page = (ROOT / "docs" / "audit-events.md").read_text(encoding="utf-8")
    _, _, tables = page.partition("<!-- generated: events.catalogue_markdown() -->\n\n")
    assert tables == events.catalogue_markdown()
