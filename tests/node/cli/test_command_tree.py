"""The command as people meet it: help in two languages, misuse, refusals without tracebacks."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
WALK = """
import json, sys
import typer
from node.cli.main import build
tree = typer.main.get_command(build())
found = {}
def walk(command, path):
    found[" ".join(path)] = command.help or ""
    for parameter in command.params:
        found[" ".join(path) + " --" + parameter.name] = getattr(parameter, "help", None) or ""
    for name, child in getattr(command, "commands", {}).items():
        walk(child, [*path, name])
walk(tree, ["civicledger"])
print(json.dumps(found))
"""
#: Everything the design names, group by group.
COMMANDS = {
    "city": {"init", "found", "up", "recover"},
    "node": {"init", "join", "peer", "run", "status"},
    "member": {"list", "show", "propose", "vote", "execute", "proposals", "deploy", "contract-code"},
    "dataset": {"publish", "list", "show", "withdraw", "regrade"},
    "list": {"responsibility", "demand", "negative"},
    "grant": {"request", "approve", "refuse", "revoke", "list", "show"},
    "exchange": {"pull", "list"},
    "record": {"add", "purge-payloads", "list", "keep-openings", "erase-openings", "reindex"},
    "licence": {
        "issue",
        "certify",
        "examinations",
        "renew",
        "supersede",
        "suspend",
        "resume",
        "revoke",
        "status",
        "erase",
        "show",
        "present",
    }
    | {"bundle", "copy", "fetch", "slip", "verify", "type", "accredit", "end-accreditation", "accreditations"},
    "log": {"show", "prove", "fsck", "export", "backup", "restore", "stat", "generations", "retire"},
    "witness": {"list", "policy", "evidence", "settle", "check"},
    "mirror": {"status"},
    "medical": {
        "changes",
        "audit-events",
        "desk",
        "list",
        "open",
        "recognise",
        "retest",
        "rules",
        "search",
        "statistics",
    }
    | {"agreement", "eqa", "institution", "range"}
    | {"erase", "erasure-proof", "verify-erasure", "backup-keys", "restore-keys", "notices"}
    | {"consent", "contact", "pseudonym-key", "ingest", "reports", "withdraw"},
    "bundle": {"make", "verify"},
    "key": {"list", "rotate", "end", "new-account"},
    "doctor": set(),
}


def run(*arguments: str, language: str = "en", cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "CIVICLEDGER_LANG": language, "PYTHONPATH": str(ROOT)}
    environment.pop("CIVICLEDGER_NODE", None)
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, cwd=cwd, env=environment, timeout=300, check=False
    )


def command(*arguments: str, language: str = "en", cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return run("-m", "node.cli.main", *arguments, language=language, cwd=cwd)


@pytest.fixture(scope="module")
def helps() -> dict[str, dict[str, str]]:
    return {language: json.loads(run("-c", WALK, language=language).stdout) for language in ("en", "zh")}


def test_the_tree_is_the_designs(helps: dict[str, dict[str, str]]) -> None:
    found: dict[str, set[str]] = {}
    for path in helps["en"]:
        words = path.split()
        if "--" in path or len(words) < 2:
            continue
        found.setdefault(words[1], set())
        if len(words) == 3:
            found[words[1]].add(words[2])
    assert found == COMMANDS


def test_every_command_has_help_in_both_languages(helps: dict[str, dict[str, str]]) -> None:
    chinese = re.compile(r"[\u4e00-\u9fff]")
    commands = [path for path in helps["en"] if " --" not in path]
    assert [path for path in commands if not helps["en"][path].strip()] == []
    assert [path for path in commands if not chinese.search(helps["zh"][path])] == []


def test_every_option_is_explained(helps: dict[str, dict[str, str]]) -> None:
    options = {path: text for path, text in helps["en"].items() if " --" in path}
    plain = ("--help",)
    assert [path for path, text in options.items() if not text.strip() and not path.endswith(plain)] == []


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["nonsense"], 2),
        (["grant", "request"], 2),
        (["log", "show", "--count", "0"], 2),
        (["bundle", "verify", "missing.civic", "--policy", "missing.policy"], 1),
        (["city", "up", "/nonexistent-city"], 1),
        (["city", "up"], 1),
        (["node", "status"], 1),
        (["doctor", "--node", "/nonexistent"], 1),
        (["log", "fsck", "--node", "/nonexistent"], 1),
    ],
    ids=lambda value: "_".join(value) if isinstance(value, list) else str(value),
)
def test_misuse_is_2_a_refusal_is_1_and_no_traceback(arguments: list[str], status: int, tmp_path: Path) -> None:
    done = command(*arguments, cwd=tmp_path)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert done.stderr.strip(), "says nothing"


def test_a_refusal_names_code_and_next_step_in_the_language_asked_for(tmp_path: Path) -> None:
    english = command("node", "status", cwd=tmp_path).stderr
    chinese = command("node", "status", language="zh", cwd=tmp_path).stderr
    assert "config.missing" in english
    assert "next step" in english
    assert "config.missing" in chinese
    assert "下一步" in chinese


def test_a_refusal_is_json_on_demand(tmp_path: Path) -> None:
    done = command("node", "status", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["error"]["code"] == "config.missing"


LIGHT = """
import json, sys
import typer
from node.cli.main import build
tree = typer.main.get_command(build(["--help"]))
import node.cli.fsck
print(json.dumps({
    "said": {name: child.help for name, child in tree.commands.items()},
    "imported": sorted(sys.modules),
}))
"""


def test_help_and_a_check_of_files_load_nothing_that_takes_a_second(helps: dict[str, dict[str, str]]) -> None:
    done = run("-c", LIGHT)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    # The list of groups says of each what the group itself says.
    assert found["said"] == {name: helps["en"][f"civicledger {name}"] for name in COMMANDS}
    heavy = {"web3", "eth_abi", "pydantic", "rlp", "uvicorn", "node.compose", "node.cli.city", "ledger.chain.client"}
    heavy |= {"pint", "ucumvert", "lark", "fhir"}
    assert heavy.isdisjoint(found["imported"])
