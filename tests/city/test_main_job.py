"""The main job, as a user runs it: five nodes and a gateway as processes, then the proof file under attack.

The city is told once for all tests (``conftest.py``).
"""

from __future__ import annotations

import base64
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import LedgerError
from ledger.verify import verify_bundle

ROOT = Path(__file__).resolve().parent.parent.parent
#: Codes begin with the link of the proof that broke.
LINKS = (
    "json",
    "bundle",
    "record",
    "inclusion",
    "checkpoint",
    "note",
    "proof",
    "anchor",
    "state",
    "header",
    "finality",
    "policy",
    "signature",
)


def civicledger(*arguments: str, timeout: float = 600.0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "node.cli.main", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "CIVICLEDGER_LANG": "en"},
        timeout=timeout,
        check=False,
    )


def test_every_step_of_the_story_happened(story: dict[str, Any]) -> None:
    assert len(story["datasets"]["own"]) == 1
    assert len(story["grants"]) == 2
    assert [sorted(receipt) for receipt in story["exchanges"]] == [["consumer", "provider", "receipt", "v"]] * 2
    assert story["rows"] > 10
    assert story["refusal"] == "exchange.no-grant"
    assert story["scope_refusal"] == "grant.scope"
    assert story["trail"]["records"] == 5000
    assert story["audit"]["uses"] >= 2
    assert all(log["anchored"] == log["witnessed"] >= 1 for log in story["logs"].values())


def test_the_three_attacks_failed(story: dict[str, Any]) -> None:
    assert (story["attack_disk"]["file"], story["attack_disk"]["index"]) == ("entries.dat", 0)
    assert story["attack_anchor"].startswith("contract.")
    assert story["attack_outsider"] == "tx.not-member"


def test_the_bundle_verifies_without_network_and_says_single_signer(story: dict[str, Any]) -> None:
    files = story["bundle"]
    command = [
        sys.executable,
        "-m",
        "node.cli.main",
        "bundle",
        "verify",
        files["file"],
        "--policy",
        files["policy"],
        "--json",
    ]
    isolate = shutil.which("unshare")
    if isolate is None or subprocess.run([isolate, "--net", "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("unshare --net is not allowed for this user")
    done = subprocess.run(
        [isolate, "--net", *command], capture_output=True, text=True, cwd=ROOT, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    verdict = json.loads(done.stdout)
    assert (verdict["verdict"], verdict["reached"], verdict["finality"]) == ("verified", "final", "single-signer")


def judged(bundle: bytes, policy: bytes) -> str:
    """The code of the refusal; fails the test when the bundle is accepted."""
    try:
        verdict = verify_bundle(bundle, policy)
    except LedgerError as error:
        return error.code
    pytest.fail(f"accepted: {verdict.to_dict()['verdict']}")


def test_every_single_bit_change_is_refused_by_the_link_that_broke(story: dict[str, Any]) -> None:
    bundle = Path(story["bundle"]["file"]).read_bytes()
    policy = Path(story["bundle"]["policy"]).read_bytes()
    assert verify_bundle(bundle, policy).to_dict()["verdict"] == "verified"
    chance = random.Random(20261122)
    codes = set()
    for _ in range(200):
        bit = chance.randrange(len(bundle) * 8)
        changed = bytearray(bundle)
        changed[bit // 8] ^= 1 << (bit % 8)
        code = judged(bytes(changed), policy)
        assert code.split(".")[0] in LINKS, code
        codes.add(code)
    assert len(codes) > 3


def test_the_command_exits_1_with_the_code(story: dict[str, Any], tmp_path: Path) -> None:
    bundle = bytearray(Path(story["bundle"]["file"]).read_bytes())
    bundle[len(bundle) // 2] ^= 1
    changed = tmp_path / "changed.civic"
    changed.write_bytes(bundle)
    done = civicledger("bundle", "verify", str(changed), "--policy", story["bundle"]["policy"], "--json")
    assert done.returncode == 1
    answer = json.loads(done.stdout)
    assert answer["verdict"] == "refused"
    assert answer["code"].split(".")[0] in LINKS
    assert "Traceback" not in done.stderr


def _reversed_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _reversed_keys(value[key]) for key in reversed(value)}
    return [_reversed_keys(item) for item in value] if isinstance(value, list) else value


def test_reordering_and_padding_are_refused(story: dict[str, Any]) -> None:
    bundle = Path(story["bundle"]["file"]).read_bytes()
    policy = Path(story["bundle"]["policy"]).read_bytes()
    value = json.loads(bundle)
    compact = {"ensure_ascii": False, "separators": (",", ":")}
    assert json.dumps(value, **compact).encode() == bundle
    variants = {
        "keys in another order": json.dumps(_reversed_keys(value), **compact).encode(),
        "spaces": json.dumps(value, ensure_ascii=False).encode(),
        "a byte after it": bundle + b"\n",
        "a byte before it": b" " + bundle,
        "an unknown field": json.dumps({**value, "zz": 1}, **compact).encode(),
        "escaped text": bundle.replace(b'"v"', b'"\\u0076"', 1),
    }
    for name, variant in variants.items():
        assert variant != bundle, name
        assert judged(variant, policy).split(".")[0] in LINKS, name


def test_another_citys_policy_does_not_accept_it(story: dict[str, Any]) -> None:
    bundle = Path(story["bundle"]["file"]).read_bytes()
    policy = json.loads(Path(story["bundle"]["policy"]).read_bytes())
    policy["chain"] = base64.b16encode(bytes(32)).decode().lower()
    foreign = json.dumps(policy, ensure_ascii=False, separators=(",", ":")).encode()
    assert judged(bundle, foreign).split(".")[0] in LINKS
