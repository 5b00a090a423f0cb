"""The floors and the size rule hold, and their checks can fail: each is shown a planted violation."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.sizes import LIMIT, offenders

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("ledger", "node", "gateway", "contracts")


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command; lint_imports_command(['--no-cache'])",
    ]
    # The rule for the native core lives in scripts, which is not copied; the packages come from the tree under test.
    environment = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{ROOT}"}
    return subprocess.run(command, cwd=root, capture_output=True, text=True, env=environment, check=False, timeout=300)


@pytest.fixture
def copy_of_tree(tmp_path: Path) -> Path:
    ignore = shutil.ignore_patterns("__pycache__", "node_modules", ".build", "artifacts")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    return tmp_path


def test_the_floors_hold() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("ledger/codec.py", "import ledger.log", "Floors of the library"),
        ("ledger/evidence/bundle.py", "import time", "F1-F4 are pure"),
        ("ledger/directory/grants.py", "import grpc", "F1-F4 are pure"),
        ("gateway/__init__.py", "import node", "Node and gateway never import each other"),
        ("ledger/storage/store.py", "import node", "The library knows neither node nor gateway"),
        ("ledger/verify.py", "from ledger import _native", "The native core is entered by few doors"),
        ("node/__init__.py", "import ledger._native", "The native core is entered by few doors"),
        ("ledger/chain/engine.py", "from ledger._native import Chain", "The native core is entered by few doors"),
        ("ledger/chain/engine.py", "from ledger.v1 import types_pb2", "The library does not speak protobuf"),
    ],
)
def test_a_planted_import_is_caught(copy_of_tree: Path, file: str, line: str, contract: str) -> None:
    target = copy_of_tree / file
    text = target.read_text("utf-8")
    marker = "from __future__ import annotations\n"
    planted = text.replace(marker, marker + line + "\n", 1) if marker in text else text + "\n" + line + "\n"
    target.write_text(planted, "utf-8")
    done = lint_imports(copy_of_tree)
    assert done.returncode != 0, f"{line} in {file} went unnoticed"
    broken = [row for row in done.stdout.splitlines() if "BROKEN" in row]
    assert any(contract in row for row in broken), done.stdout


def test_every_file_is_under_the_limit() -> None:
    assert offenders(ROOT) == []


def test_a_planted_long_file_is_caught(tmp_path: Path) -> None:
    for package in ("ledger", "node"):
        (tmp_path / package).mkdir()
    (tmp_path / "ledger" / "long.py").write_text("x = 1\n" * LIMIT, "utf-8")
    (tmp_path / "node" / "short.py").write_text("x = 1\n" * (LIMIT - 1), "utf-8")
    assert offenders(tmp_path) == [(Path("ledger/long.py"), LIMIT)]
