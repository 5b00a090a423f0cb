"""``civicledger medical rules``: a rule set is checked, shown and named without a node."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ledger.medical.rules import load_rules, rules_digest, starting_rules
from node.cli.main import build
from tests.commands import command, document


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "rules.json"
    path.write_bytes(starting_rules())
    return path


def test_a_rule_set_without_problems(good: Path) -> None:
    name = rules_digest(load_rules(starting_rules(), units=False)).hex()
    printed, refusal = command("medical", "rules", "check", str(good))
    assert refusal is None
    assert name in printed.replace("\n", "")
    printed, _ = command("medical", "rules", "digest", str(good))
    assert printed.strip() == name
    found = document(command("medical", "rules", "check", str(good), "--json")[0])
    assert (found["digest"], found["problems"]) == (name, [])


def test_every_problem_is_listed_and_the_exit_status_is_1(good: Path) -> None:
    rules = json.loads(good.read_bytes())
    rules["windows"].pop(0)
    rules["items"][0]["unit"] = "10*9/Litre"
    good.write_text(json.dumps(rules), "utf-8")
    done = CliRunner().invoke(build(["medical"]), ["medical", "rules", "check", str(good), "--json"])
    assert done.exit_code == 1
    found = document(done.stdout)["problems"]
    assert [each["code"] for each in found] == ["medical.rules-window-gap", "medical.rules-unit"]
    assert [each["where"] for each in found] == ["items[0]", "items[0].unit"]
    table = CliRunner().invoke(build(["medical"]), ["medical", "rules", "check", str(good)])
    assert table.exit_code == 1
    assert "items[0].unit" in table.stdout
    _, refusal = command("medical", "rules", "digest", str(good))
    assert refusal is not None
    assert refusal.code == "medical.rules-window-gap"


def test_what_is_no_rule_set_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "no.json"
    path.write_bytes(b'{"v": 1.5}')
    _, refusal = command("medical", "rules", "check", str(path))
    assert refusal is not None
    assert refusal.code == "medical.rules-json"


def test_the_starting_set_is_shown(good: Path) -> None:
    found = document(command("medical", "rules", "show", "--json")[0])
    assert found["rules"] == json.loads(good.read_bytes())
    assert len([each for each in found["retest_reasons"] if each["national"]]) == 6
    printed, _ = command("medical", "rules", "show", str(good))
    assert "haemoglobin" in printed
    assert "LOINC is copyright" in printed.replace("\n", " ")


def test_the_starting_set_is_written_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    assert command("medical", "rules", "starting", "-o", str(path))[1] is None
    assert path.read_bytes() == starting_rules()
    path.write_bytes(b"edited")
    _, refusal = command("medical", "rules", "starting", "-o", str(path))
    assert refusal is not None
    assert refusal.code == "input.file-exists"
    assert path.read_bytes() == b"edited"
    assert command("medical", "rules", "starting")[0] == starting_rules().decode()
