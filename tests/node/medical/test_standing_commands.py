"""``civicledger medical rules|institution|range|eqa|agreement`` against real nodes, in both languages."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from medical_city import HOSPITALS, USCC, City, eventually

from ledger.errors import LedgerError
from ledger.medical.rules import load_rules, rules_digest, starting_rules
from tests.commands import command, document

NUMBERS: Iterator[int] = itertools.count(1)
DAYS = ("--from", "2026-01-01", "--until", "2027-12-31")


def run(clinic: City, handle: str, *words: str) -> str:
    text, refusal = command("medical", *words, "--node", str(clinic.foundings[handle].folder))
    assert refusal is None, (words, refusal)
    return text


def refusal_of(clinic: City, handle: str, *words: str) -> LedgerError:
    _, refusal = command("medical", *words, "--node", str(clinic.foundings[handle].folder))
    assert refusal is not None, words
    return refusal


def settle(clinic: City) -> None:
    height = max(node.context.chain.head().height for node in clinic.nodes.values())
    for handle, node in clinic.nodes.items():
        eventually(lambda node=node: node.context.chain.head().height >= height, f"{handle} at height {height}")


@pytest.fixture
def rules(clinic: City, tmp_path: Path) -> Path:
    """A rule set nobody adopted, written when another second than that of the last one has begun."""
    value = json.loads(starting_rules())
    value["items"][1]["price_cents"] = 2_000 + next(NUMBERS)
    file = tmp_path / "rules.json"
    file.write_text(json.dumps(value, ensure_ascii=False), "utf-8")
    context = clinic.nodes["health"].context
    last = context.contracts.recognition.rules_at("310000", 2**40)
    begun = last.in_force_from if last is not None else 0
    eventually(lambda: context.clock() // 1_000 > begun, "the next second")
    return file


def test_rules_from_adoption_to_a_file_at_a_hospital(clinic: City, rules: Path, tmp_path: Path) -> None:
    made = document(run(clinic, "health", "rules", "adopt", str(rules), "--json"))
    assert made["digest"] == rules_digest(load_rules(rules.read_bytes(), units=False)).hex()
    assert made["digest"][:8] in run(clinic, "health", "rules", "list")
    settle(clinic)
    listed = document(run(clinic, "east", "rules", "list", "--region", "310000", "--json"))["rules"]
    assert made["version"] in [item["version"] for item in listed]
    output = tmp_path / "fetched.json"
    run(clinic, "east", "rules", "fetch", str(made["version"]), "--region", "310000", "-o", str(output))
    assert rules_digest(load_rules(output.read_bytes(), units=False)).hex() == made["digest"]
    same = refusal_of(clinic, "health", "rules", "adopt", str(rules))
    assert same.code == "medical.rules-unchanged"
    gone = refusal_of(clinic, "east", "rules", "fetch", "9999", "--region", "310000", "-o", str(output))
    assert gone.code == "medical.rules-unknown"
    fixed = refusal_of(clinic, "health", "rules", "withdraw", str(made["version"]), "--reason", "x")
    assert fixed.code == "contract.recognition-rules-fixed"


def test_a_plan_is_taken_back(clinic: City, rules: Path) -> None:
    text = run(clinic, "health", "rules", "adopt", str(rules), "--from", "2028-01-01")
    assert "2028-01-01 00:00:00" in text
    rows = document(run(clinic, "health", "rules", "list", "--json"))["rules"]
    planned = rows[-1]
    assert planned["state"] == "planned"
    run(clinic, "health", "rules", "withdraw", str(planned["version"]), "--reason", "写错了")
    rows = document(run(clinic, "health", "rules", "list", "--json"))["rules"]
    assert rows[-1]["state"] == "withdrawn"


def test_hospitals_ranges_and_assessments(clinic: City, rules: Path, tmp_path: Path) -> None:
    run(clinic, "health", "rules", "adopt", str(rules))
    items = [item.id for item in load_rules(rules.read_bytes(), units=False).items[:2]]
    entered = document(run(clinic, "health", "institution", "list", "--json"))["institutions"]
    if USCC["west"] not in [item["member"] for item in entered]:
        assert USCC["west"] in run(clinic, "health", "institution", "set", "west", "2")
    code = f"cli-{next(NUMBERS)}"
    assert "沪HR" in run(clinic, "health", "range", "open", code, "沪HR", "quality", "--from", "2026-01-01")
    settle(clinic)
    assert USCC["west"] in run(clinic, "east", "institution", "list")
    assert code in run(clinic, "east", "range", "list")
    certificate, rows = tmp_path / "list.pdf", tmp_path / "results.csv"
    certificate.write_bytes(b"the list")
    lines = [f"{handle},{item},{'yes' if item == items[0] else '不合格'}" for handle in HOSPITALS for item in items]
    rows.write_text("institution,item,passed\n" + "\n".join(lines) + "\n", "utf-8")
    words = ("eqa", "record", code, "NCCL-chem", "1", "--certificate", str(certificate), *DAYS)
    ids = document(run(clinic, "quality", *words, "--file", str(rows), "--json"))["ids"]
    assert len(ids) == 6
    again = ("--institution", "west", "--item", items[0], "--failed")
    assert refusal_of(clinic, "quality", *words, *again).code == "contract.recognition-eqa-known"
    settle(clinic)
    text = run(clinic, "east", "eqa", "list", "--institution", "west")
    assert items[0] in text
    listed = document(run(clinic, "east", "eqa", "list", "--institution", "west", "--json"))["eqas"]
    found = {item["item"]: item for item in listed if item["range"] == code}
    assert (found[items[0]]["state"], found[items[1]]["state"]) == ("in-force", "failed")
    assert found[items[0]]["valid_until"] - found[items[0]]["valid_from"] == 730 * 86_400
    run(clinic, "quality", "eqa", "revoke", found[items[0]]["id"], "--since", "2026-02-01", "--reason", "样品混淆")
    later = refusal_of(clinic, "quality", "eqa", "revoke", found[items[0]]["id"], "--reason", "x")
    assert later.code == "contract.recognition-wrong-revocation"
    settle(clinic)
    proposed = document(run(clinic, "health", "agreement", "propose", code, "440100", "--item", items[0], "--json"))
    assert (proposed["state"], proposed["items"]) == ("proposed", [items[0]])
    number = str(proposed["number"])
    assert refusal_of(clinic, "health", "agreement", "accept", number).code == "contract.recognition-not-party"
    assert code in run(clinic, "health", "agreement", "end", number, "--reason", "不再需要")
    assert code in run(clinic, "health", "agreement", "list")
    assert "沪HR" in run(clinic, "health", "range", "end", code, "--reason", "换代码")


BAD_ROWS = {
    "no columns": "a,b\n1,2\n",
    "no word": "institution,item,passed\neast,wbc,perhaps\n",
    "a short row": "institution,item,passed\neast,wbc\n",
    "no row": "institution,item,passed\n",
    "empty": "",
}


@pytest.mark.parametrize("what", BAD_ROWS)
def test_a_bad_file_of_results_names_its_line(clinic: City, tmp_path: Path, what: str) -> None:
    rows = tmp_path / "results.csv"
    rows.write_text(BAD_ROWS[what], "utf-8")
    words = ("eqa", "record", "x", "S", "1", "--certificate", str(rows if what != "empty" else __file__), *DAYS)
    refused = refusal_of(clinic, "quality", *words, "--file", str(rows))
    assert refused.code == "input.rows"
    assert "results.csv" in refused.message


def test_what_is_missing_is_said_before_anything_is_sent(clinic: City, tmp_path: Path) -> None:
    file = tmp_path / "certificate"
    file.write_bytes(b"\xff\xfe")
    words = ("eqa", "record", "x", "S", "1", "--certificate", str(file), *DAYS)
    assert refusal_of(clinic, "quality", *words).code == "input.rows"
    assert refusal_of(clinic, "quality", *words, "--file", str(file)).code == "input.rows"
    empty = tmp_path / "empty"
    empty.touch()
    words = ("eqa", "record", "x", "S", "1", "--certificate", str(empty), *DAYS)
    assert refusal_of(clinic, "quality", *words).code == "input.file-size"
    assert refusal_of(clinic, "quality", "eqa", "revoke", "xyz", "--reason", "x").code == "identifier.hex32"
    assert refusal_of(clinic, "health", "institution", "set", "nobody", "1").code == "member.unknown"
    assert refusal_of(clinic, "health", "rules", "adopt", str(file)).code == "medical.rules-json"
    assert refusal_of(clinic, "health", "rules", "list", "--region", "31").code == "identifier.region"
