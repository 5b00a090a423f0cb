"""docs/odrl.md says what the code does."""

import re
from pathlib import Path

from ledger.directory.grants import _HINTS, REFUSAL_REASONS, decode_scope

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "odrl.md").read_text("utf-8")


def test_the_reasons_are_the_table_of_the_code() -> None:
    rows = re.findall(r"^\| (\d+) \| ([a-z-]+) \| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE)
    assert {int(code): (word, zh, en) for code, word, zh, en in rows} == {
        code: tuple(reason) for code, reason in REFUSAL_REASONS.items()
    }


def test_every_refusal_of_a_use_is_on_the_page() -> None:
    table = PAGE.split("## Judging a use")[1].split("## Reasons")[0]
    assert set(re.findall(r"\| `([a-z.-]+)` \|", table)) == {
        *_HINTS,
        # Judged where the request is: the grant on chain holds the matter's digest only.
        "grant.matter",
    }


def test_the_scope_on_the_page_is_a_scope() -> None:
    text = re.search(r"`(\{\"fields\".*?\}\})`", PAGE)
    assert text is not None
    scope = decode_scope(text[1].encode())
    assert scope.fields == ("code", "name")
    assert scope.holds({"province": "31", "kind": "city"})
