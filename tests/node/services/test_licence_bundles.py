"""A licence taken away in one file at a real node: checked without a network, also after its issuer's right ended."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from licence_office import accredit, holder, order, stub
from services_city import USCC, City, eventually, refused

from ledger.v1 import department_pb2, department_pb2_grpc, licences_pb2_grpc, node_pb2, node_pb2_grpc
from ledger.v1 import licences_pb2 as pb
from ledger.verify import Verdict, verify_bundle

ROOT = Path(__file__).resolve().parents[3]
#: A member and a type of their own: what ends here ends for nobody else's test.
MAKER = "audit"
TYPE = USCC["data"] + "077"


@pytest.fixture(scope="module")
def office(city: City) -> City:
    """The city with an issuer that may lose its right."""
    accredit(city, TYPE, MAKER)
    return city


def policy(city: City, at: str = "plain") -> bytes:
    """The trust policy as another member hands it out now."""
    trust: bytes = city.stub(node_pb2_grpc.ProofServiceStub, at).GetPolicy(node_pb2.GetPolicyRequest()).policy
    return trust


def bundle(city: City, issued: pb.IssuedLicence, *show: str) -> bytes:
    """The licence in a file."""
    request = pb.MakeLicenceBundleRequest(id=issued.licence.id, show=show, wait_ms=60_000)
    made: bytes = stub(city, MAKER).MakeBundle(request, timeout=300).bundle
    return made


def judged(city: City, made: bytes) -> Verdict:
    """The verdict of a stranger, now."""
    return verify_bundle(made, policy(city), city.context(MAKER).clock())


def command(*words: str, isolated: bool = False) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, without a network where that is allowed."""
    line = [sys.executable, "-m", "node.cli.main", *words]
    return subprocess.run(
        ["unshare", "--net", *line] if isolated else line,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "CIVICLEDGER_LANG": "en", "COLUMNS": "200"},
        timeout=300,
        check=False,
    )


def may_isolate() -> bool:
    """Whether this user may leave the network."""
    isolate = shutil.which("unshare")
    return isolate is not None and not subprocess.run([isolate, "--net", "true"], check=False).returncode


def checks(value: dict[str, Any]) -> dict[str, str]:
    """The lines of a verdict on a licence by name."""
    return {line["name"]: line["code"] for line in value["checks"]}


def test_a_licence_goes_from_issue_to_the_end_of_its_issuers_right(office: City, tmp_path: Path) -> None:
    issued = stub(office, MAKER).Issue(order(50_001, "bundle-1", type=TYPE), timeout=180)
    stub(office, MAKER).PublishStatus(pb.PublishStatusRequest(), timeout=180)
    # By the command, and checked by it.
    file, trust = tmp_path / "zhang.civic", tmp_path / "city.policy"
    node = ("--node", str(office.foundings[MAKER].folder))
    made = command(
        "licence",
        "bundle",
        issued.identifier,
        "--show",
        "CZZT",
        "-o",
        str(file),
        "--policy",
        str(trust),
        "--json",
        *node,
    )
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["status"] is True
    assert file.stat().st_mode & 0o777 == 0o600
    checked = command("bundle", "verify", str(file), "--policy", str(trust), "--json", isolated=may_isolate())
    assert checked.returncode == 0, checked.stdout + checked.stderr
    value = json.loads(checked.stdout)
    assert (value["verdict"], value["reached"], value["licence"]["code"]) == ("verified", "final", "valid")
    assert checks(value["licence"])["status"] in ("ok", "as-of")
    assert holder(50_001)["CZZT"] in checked.stdout
    assert holder(50_001)["KZ_ZZ"] not in checked.stdout
    # The issuer gets another key, and loses its accreditation.
    keys = office.stub(department_pb2_grpc.KeyServiceStub, MAKER)
    keys.Rotate(department_pb2.RotateKeyRequest(role="issuer"), timeout=300)
    rotated = eventually(lambda: _when(office, bundle(office, issued), "issuer", "key-ended"), "the key's end")
    assert rotated.licence.code == "valid-when-issued"
    _shown_online(office, issued, file.read_bytes())
    licences = office.context("data").contracts.licences
    office.context("data").sender.send(
        licences.address, licences.encode_end_accreditation(TYPE, USCC[MAKER], 1, reason_digest=b"\x09" * 32)
    )
    office.settle()
    ended = eventually(lambda: _when(office, bundle(office, issued), "accredited", "ended"), "the end of the right")
    assert (ended.verdict, ended.licence.code) == ("verified", "valid-when-issued")
    # The file from before still verifies, and says how old its view is.
    before = judged(office, file.read_bytes())
    assert before.licence is not None
    assert (before.verdict, before.licence.code) == ("verified", "valid")
    assert (before.licence.view_time_ms or 0) < ended.licence.view_time_ms
    shown = command("bundle", "verify", str(file), "--policy", str(trust))
    assert shown.returncode == 0
    assert "trust as of" in shown.stdout


def _shown_online(city: City, issued: pb.IssuedLicence, proof: bytes) -> None:
    """Without its proof of issue a licence of the old key is not relied on; with it, by today's status."""
    stub_ = city.stub(licences_pb2_grpc.VerifyingServiceStub, "plain")

    def code(presentation: str, proof: bytes = b"") -> Any:
        request = pb.VerifyLicenceRequest(presentation=presentation, proof=proof)
        return json.loads(stub_.Verify(request, timeout=180).verdict)["code"]

    eventually(lambda: code(issued.sd_jwt) == "issue-time-unproven", "the key's end at another node")
    assert code(issued.sd_jwt, proof) == "valid-when-issued"
    assert code(proof.decode()) == "valid-when-issued"
    other = stub(city, MAKER).Issue(order(50_009, "bundle-9", type=TYPE), timeout=180)
    assert refused(lambda: code(other.sd_jwt, proof)).code == "licence.proof-other"
    record = city.stub(node_pb2_grpc.ProofServiceStub, MAKER)
    made = record.MakeBundle(node_pb2.MakeBundleRequest(index=issued.licence.log_index, wait_ms=60_000), timeout=180)
    assert refused(lambda: code(issued.sd_jwt, made.bundle)).code == "licence.proof-kind"
    assert refused(lambda: code(issued.sd_jwt, b"x")).code.partition(".")[0] in ("bundle", "json")


def _when(city: City, made: bytes, name: str, code: str) -> Any:
    """The verdict once a line of it has a code."""
    found = judged(city, made)
    return found if found.licence is not None and found.licence.check(name).code == code else None


def test_a_revoked_licence_is_rejected_by_the_command(office: City, tmp_path: Path) -> None:
    type_ = USCC["data"] + "078"
    accredit(office, type_, MAKER)
    issued = stub(office, MAKER).Issue(order(50_003, "bundle-3", type=type_), timeout=180)
    stub(office, MAKER).Revoke(pb.ChangeLicenceRequest(id=issued.licence.id, reason="court-order"), timeout=180)
    made = bundle(office, issued)
    found = judged(office, made)
    assert (found.verdict, found.code) == ("rejected", "licence.revoked")
    (tmp_path / "r.civic").write_bytes(made)
    (tmp_path / "p.policy").write_bytes(policy(office))
    done = command("bundle", "verify", str(tmp_path / "r.civic"), "--policy", str(tmp_path / "p.policy"))
    assert done.returncode == 1
    assert "Revoked" in done.stdout


def test_what_cannot_be_bundled_is_refused(office: City) -> None:
    type_ = USCC["data"] + "079"
    accredit(office, type_, MAKER)
    issued = stub(office, MAKER).Issue(order(50_004, "bundle-4", type=type_), timeout=180)
    names = {"id": issued.licence.id}
    maker = stub(office, MAKER)
    for request, code in (
        (pb.MakeLicenceBundleRequest(**names, show=["nothing"]), "licence.path"),
        (pb.MakeLicenceBundleRequest(**names, wait_ms=60_001), "input.field"),
        (pb.MakeLicenceBundleRequest(**names, show=["CZZT"] * 61), "input.field"),
        (pb.MakeLicenceBundleRequest(id=bytes(16)), "licence.unknown"),
    ):
        assert refused(lambda request=request: maker.MakeBundle(request, timeout=180)).code == code
    maker.Erase(pb.EraseLicencesRequest(ids=[issued.licence.id], basis="PIPL/47"), timeout=180)
    gone = pb.MakeLicenceBundleRequest(**names)
    assert refused(lambda: maker.MakeBundle(gone, timeout=180)).code == "licence.erased"
