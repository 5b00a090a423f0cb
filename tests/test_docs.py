"""docs/ARCHITECTURE.md and the folder tree agree; links between the pages hold."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def tree_of_the_page() -> set[str]:
    text = (ROOT / "docs" / "ARCHITECTURE.md").read_text("utf-8")
    block = text.split("## The tree")[1].split("```")[1]
    found: set[str] = set()
    top = ""
    for line in block.strip("\n").splitlines():
        name = line.split()[0].rstrip("/")
        if line.startswith("  "):
            found.add(f"{top}/{name}")
        else:
            top = name
            found.add(name)
    return found


def folders_in_git() -> set[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    if not listed:
        pytest.skip("this tree is not a git checkout")
    return {str(parent) for name in listed for parent in Path(name).parents if str(parent) != "."}


def test_what_the_page_names_exists() -> None:
    assert [name for name in tree_of_the_page() if not (ROOT / name).is_dir()] == []


def test_every_source_folder_is_on_the_page() -> None:
    named = tree_of_the_page()
    packages = {
        folder for folder in folders_in_git() if folder.count("/") == 1 and folder.split("/")[0] in ("ledger", "node")
    } | {folder for folder in folders_in_git() if "/" not in folder and not folder.startswith(".")}
    assert sorted(packages - named - {"requirements"}) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_hold(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []
