"""A real browser for the tests of pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

#: A browser of a test needs nothing from the network but the page.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
#: How long anything may take on a loaded machine, milliseconds.
PATIENCE_MS = 300_000


@contextmanager
def chromium(more: Sequence[str] = ()) -> Iterator[Any]:
    """Chromium with ``more`` arguments, driven by playwright; the test is skipped where it is not installed."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("Chromium is not on this machine: scripts/system-packages installs it")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=[*ARGUMENTS, *more], timeout=PATIENCE_MS)
        yield opened
        opened.close()


def picture(page: Any, name: str) -> None:
    """A picture of the whole page, where ``scripts/test --screenshots`` asked for pictures."""
    folder = os.environ.get("CIVICLEDGER_SCREENSHOTS")
    if folder:
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True, animations="disabled")


def broken_rules(page: Any) -> list[str]:
    """Which rules of accessibility (axe-core's) the page breaks as it stands, each with where and why.

    The test is skipped where the rules are not installed.
    """
    rules = Path(__file__).parent / "browser" / "node_modules" / "axe-core" / "axe.min.js"
    if not rules.is_file():
        pytest.skip("the rules of accessibility are not here: scripts/setup --dev installs them")
    page.evaluate(rules.read_text("utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{rule['id']}: {rule['help']}: {node['target']}: {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]
