"""Every direct dependency is explained, pinned by hash, and without an index address."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"
NPM = (ROOT / "contracts", ROOT / "tests" / "browser")


def direct(name: str) -> list[str]:
    lines = (REQUIREMENTS / name).read_text("utf-8").splitlines()
    return [re.split(r"[<>=!~\[; ]", line)[0] for line in lines if line.strip() and line[0] not in "-#"]


def explained() -> str:
    return (ROOT / "docs" / "dependencies.md").read_text("utf-8")


@pytest.mark.parametrize("name", ["run.in", "dev.in"])
def test_every_python_dependency_has_its_line(name: str) -> None:
    missing = [package for package in direct(name) if f"`{package}`" not in explained()]
    assert missing == []


def test_every_crate_and_npm_package_has_its_line() -> None:
    cargo = tomllib.loads((ROOT / "native" / "Cargo.toml").read_text("utf-8"))
    npm = [json.loads((folder / "package.json").read_text("utf-8")) for folder in NPM]
    names = [*cargo["dependencies"]]
    names += [name for each in npm for kind in ("dependencies", "devDependencies") for name in each.get(kind, {})]
    assert [name for name in names if f"`{name}`" not in explained()] == []


@pytest.mark.parametrize("path", sorted(REQUIREMENTS.glob("*.txt")), ids=lambda path: path.name)
def test_pinned_by_hash_and_no_address(path: Path) -> None:
    text = path.read_text("utf-8")
    assert not re.search(r"^--|https?://|file://", text, re.M)
    entries = re.split(r"\n(?=[a-zA-Z0-9])", text.strip())
    unpinned = [entry.split()[0] for entry in entries if "==" not in entry or "--hash=sha256:" not in entry]
    assert unpinned == []


@pytest.mark.parametrize("folder", NPM, ids=lambda folder: folder.name)
def test_npm_lock_has_no_address(folder: Path) -> None:
    lock = (folder / "package-lock.json").read_text("utf-8")
    assert '"resolved"' not in lock
