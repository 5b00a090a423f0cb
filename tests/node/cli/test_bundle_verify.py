"""``civicledger bundle verify`` on bundles of both engines: exit status, words in both languages, JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ledger.evidence.city import City
from tests.ledger.evidence.comet_city import CometCity


def verify(folder: Path, bundle: bytes, policy: bytes, *words: str) -> tuple[int, str]:
    """Exit status and standard output."""
    (folder / "use.civic").write_bytes(bundle)
    (folder / "city.policy").write_bytes(policy)
    command = ["bundle", "verify", "use.civic", "--policy", "city.policy", *words]
    done = subprocess.run(
        [sys.executable, "-m", "node.cli.main", *command],
        cwd=folder,
        env={"PYTHONPATH": str(Path(__file__).resolve().parents[3]), "PATH": "", "COLUMNS": "200", "LANG": "C.UTF-8"},
        capture_output=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout.decode()


@pytest.mark.parametrize(
    ("city", "kind", "en", "zh"),
    [
        (City(), "single-signer", "one sequencer signs", "单一出块方签名"),
        (CometCity(changed=True), "bft", "more than two thirds of the validators sign", "超过三分之二的验证节点签名"),
    ],
    ids=["solo", "cometbft"],
)
def test_final_on_either_engine(tmp_path: Path, city: City, kind: str, en: str, zh: str) -> None:
    bundle, policy = city.bundle(), city.policy()
    status, shown = verify(tmp_path, bundle, policy, "--json")
    verdict = json.loads(shown)
    assert (status, verdict["verdict"], verdict["reached"], verdict["finality"]) == (0, "verified", "final", kind)
    for language, words in (("en", en), ("zh", zh)):
        status, shown = verify(tmp_path, bundle, policy, "--lang", language)
        assert (status, kind in shown, words in shown) == (0, True, True), shown


def test_a_bundle_whose_hand_over_is_missing_is_refused_with_its_link(tmp_path: Path) -> None:
    old = CometCity()
    status, shown = verify(tmp_path, CometCity(changed=True).bundle(), old.policy(), "--json")
    assert (status, json.loads(shown)["verdict"]) == (0, "verified")
    value = json.loads(CometCity(changed=True).bundle())
    value["finality"]["handover"] = []
    changed = json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()
    status, shown = verify(tmp_path, changed, old.policy(), "--json")
    refused = json.loads(shown)
    assert (status, refused["verdict"], refused["code"]) == (1, "refused", "finality.validators")
    assert "policy" in refused["hint"]
