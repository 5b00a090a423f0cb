"""The committed artifacts are what the sources compile to, and the loader reads them."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

import contracts
from contracts import build

pytestmark = pytest.mark.anvil("does not depend on the chain: run once")

INTERFACES = sorted(build.SOURCES.glob("I*.sol"))


def test_compiling_again_gives_the_same_bytes() -> None:
    for path, content in build.build().items():
        assert path.read_bytes() == content, f"{path.name}: run python contracts/build.py"


def test_the_check_names_what_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A changed artifact, a missing one and one too many are each found; writing puts all of it right."""
    made = {path: path.read_bytes() for path in (build.LAYOUT, *build.ARTIFACTS.glob("*.json"))}
    moved = {tmp_path / path.relative_to(build.HERE.parent): content for path, content in made.items()}
    monkeypatch.setattr(build, "build", lambda: moved)
    monkeypatch.setattr(build, "HERE", tmp_path / "contracts")
    monkeypatch.setattr(build, "ARTIFACTS", tmp_path / "contracts" / "artifacts")
    (tmp_path / "contracts").mkdir()
    assert build.main([]) == 0
    assert build.main(["--check"]) == 0
    folder = tmp_path / "contracts" / "artifacts"
    (folder / "Old.json").write_text("{}", "utf-8")
    (folder / "Grants.json").write_text("{}", "utf-8")
    (folder / "Anchors.json").unlink()
    capsys.readouterr()
    assert build.main(["--check"]) == 1
    told = capsys.readouterr().err
    assert all(name in told for name in ("Old.json", "Grants.json", "Anchors.json"))
    assert "Directory.json" not in told
    assert build.main([]) == 0
    assert build.main(["--check"]) == 0
    assert not (folder / "Old.json").exists()


def test_a_source_that_does_not_compile_is_named() -> None:
    for text, message in (("contract X {", "ParserError"), ("pragma solidity 0.8.37; contract X {}", "SPDX")):
        with pytest.raises(RuntimeError, match=message):
            build.compile_sources({"X.sol": text}, ("X",))


def test_settings_are_the_designs() -> None:
    for name in contracts.NAMES:
        entry = json.loads((build.ARTIFACTS / f"{name}.json").read_text("utf-8"))
        assert entry["compiler"].startswith("0.8.37")
        assert entry["settings"]["evmVersion"] == "paris"
        assert entry["settings"]["optimizer"]["enabled"] is True
        assert entry["settings"]["metadata"]["bytecodeHash"] == "none"


def test_no_contract_is_larger_than_the_evm_allows() -> None:
    for name in contracts.NAMES:
        assert 0 < len(contracts.artifact(name).deployed) <= 24_576


def test_the_loader_fills_in_the_one_immutable() -> None:
    grants = contracts.artifact("Grants")
    assert len(grants.immutables) > 0
    made = grants.runtime(b"\x11" * 20)
    assert len(made) == len(grants.deployed)
    for start in grants.immutables:
        assert grants.deployed[start : start + 32] == bytes(32)
        assert made[start : start + 32] == bytes(12) + b"\x11" * 20
    assert contracts.artifact("Consortium").immutables == ()
    with pytest.raises(ValueError, match="20 bytes"):
        grants.runtime(b"\x11" * 21)
    with pytest.raises(KeyError):
        contracts.artifact("../package")


def test_every_error_carries_its_contracts_name() -> None:
    names = [entry["name"] for entry in contracts.errors()]
    assert len(names) == len(set(names))
    assert all(
        re.fullmatch(r"(Consortium|Directory|Grants|Anchors|Licences|Recognition|Consorted)__[A-Z][A-Za-z]+", name)
        for name in names
    )


@pytest.mark.parametrize("path", INTERFACES, ids=lambda path: path.stem)
def test_every_function_of_an_interface_is_documented_or_says_it_by_name(path: Path) -> None:
    """NatSpec stands on interfaces: a function that takes more than its subject's id says what it does."""
    bare = []
    lines = path.read_text("utf-8").splitlines()
    for number, line in enumerate(lines):
        if re.match(r"    function \w+\(.+,", line) and not lines[number - 1].strip().startswith("///"):
            bare.append(line.strip())
    allowed = {"changeMetadata", "settlement", "demands", "negatives", "responsibilities"}
    assert [line for line in bare if re.match(r"function (\w+)", line)[1] not in allowed] == []


def test_no_source_is_longer_than_a_file_may_be() -> None:
    assert all(len(path.read_text("utf-8").splitlines()) < 400 for path in build.SOURCES.glob("*.sol"))


def test_the_compiler_is_asked_nothing_from_the_network() -> None:
    """The shim answers two questions and refuses every other."""
    environment = {"PATH": os.environ["PATH"]}
    for arguments, code in ((["--version"], 0), (["--bin"], 2)):
        done = subprocess.run([str(build.COMPILER), *arguments], capture_output=True, env=environment, timeout=180)
        assert done.returncode == code
