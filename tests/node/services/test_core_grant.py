"""Core data (核心) is used only when provider, supervisor and members agree: the vote is a command of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from services_city import USCC, City

from ledger.v1 import department_pb2 as pb
from ledger.v1.department_pb2_grpc import GrantServiceStub

ROOT = Path(__file__).resolve().parents[3]


def command(city: City, handle: str, *words: str, language: str = "en") -> subprocess.CompletedProcess[str]:
    """A process of its own: the nodes of this one write to its standard output."""
    return subprocess.run(
        [sys.executable, "-m", "node.cli.main", *words, "--node", str(city.foundings[handle].folder)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "CIVICLEDGER_LANG": language, "PYTHONPATH": str(ROOT)},
        timeout=300,
        check=False,
    )


def test_a_core_grant_needs_the_members(city: City) -> None:
    dataset = city.publish(b'[{"code":"310101"}]', level="core")
    city.settle()
    grant = city.request(dataset.id)
    city.settle()
    for handle in ("civil", "data"):
        city.stub(GrantServiceStub, handle).Approve(pb.ApproveGrantRequest(id=grant.id), timeout=180)
        city.settle()
    shown = city.stub(GrantServiceStub, "labour").Get(pb.GetGrantRequest(id=grant.id))
    assert (shown.state, list(shown.missing_approvals)) == ("requested", ["consortium-vote"])
    done = command(city, "plain", "member", "propose", "approve-core-grant", grant.id.hex()[:16], "--json")
    assert done.returncode == 0, done.stderr
    number = str(json.loads(done.stdout)["proposal"])
    city.settle()
    listed = json.loads(command(city, "audit", "member", "proposals", number, "--json").stdout)["proposals"][0]
    assert (listed["kind"], listed["target"], listed["needed"]) == ("approve-core-grant", USCC["labour"], 3)
    # Who would get the data has no vote.
    refused = command(city, "labour", "member", "vote", number, "--yes", language="zh")
    assert refused.returncode == 1
    assert f"提案 {number} 涉及 {USCC['labour']}，当事成员不参与表决" in refused.stderr
    for handle in ("plain", "civil", "audit"):
        done = command(city, handle, "member", "vote", number, "--yes")
        assert done.returncode == 0, done.stderr
        city.settle()
    assert "carried out (3 yes, 0 no of 4)" in done.stdout
    shown = city.stub(GrantServiceStub, "labour").Get(pb.GetGrantRequest(id=grant.id))
    assert (shown.state, list(shown.missing_approvals)) == ("active", [])
