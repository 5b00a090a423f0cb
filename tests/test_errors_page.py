"""docs/errors.md lists every code of the sources, and nothing that is not there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from scripts.errors_page import PAGE, page

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / PAGE).read_text("utf-8")
LISTED = set(re.findall(r"^\| `([^`]+)` \|", TEXT, re.M))


def sources() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "ledger", "node", "gateway"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    if not listed:
        pytest.skip("this tree is not a git checkout")
    return [ROOT / name for name in listed if name.endswith(".py") and "/v1/" not in name and (ROOT / name).exists()]


def test_the_page_is_fresh() -> None:
    assert page(ROOT) == TEXT, "run python -m scripts.errors_page and commit docs/errors.md"


def test_every_code_given_to_an_error_class_is_listed() -> None:
    """A second, dumber reading of the sources than the generator's."""
    pattern = re.compile(r'\b[A-Z]\w*Error\(\s*(?:code=)?"([a-z0-9.-]+\.[a-z0-9-]+)"')
    raised = {code for path in sources() for code in pattern.findall(path.read_text("utf-8"))}
    assert len(raised) > 100
    assert sorted(raised - LISTED) == []


def test_every_listed_error_has_a_class() -> None:
    errors = TEXT.split("## Findings of the doctor")[0]
    rows = [line.split(" | ") for line in errors.splitlines() if line.startswith("| `")]
    assert [row[0] for row in rows if not re.fullmatch(r"[A-Z]\w+Error", row[1])] == []


def test_codes_of_others_raised_in_tests_are_listed() -> None:
    for code in ("grant.ceiling", "auth.suspended", "contract.grants-not-allowed", "log.batch-conflict", "chain.stale"):
        assert code in LISTED
