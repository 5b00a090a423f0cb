"""Checkpoints, proofs and bundles through the services, checked with the library as a stranger would."""

from __future__ import annotations

import json

import pytest
from services_city import USCC, City, refused
from test_records import used

from ledger.errors import LedgerError
from ledger.evidence.checkpoint import parse_checkpoint, parse_note, parse_proof
from ledger.evidence.merkle import leaf_hash, verify_consistency, verify_inclusion
from ledger.v1 import department_pb2, node_pb2
from ledger.v1.department_pb2_grpc import RecordServiceStub
from ledger.v1.node_pb2_grpc import ProofServiceStub, StatusServiceStub
from ledger.verify import verify_bundle


def append(city: City, handle: str, count: int) -> int:
    """The index of the first of some fresh records."""
    records = [used(USCC[handle], number) for number in range(count)]
    return city.stub(RecordServiceStub, handle).Append(department_pb2.AppendRequest(records=records)).first


def test_a_fresh_checkpoint_covers_what_was_appended(city: City) -> None:
    first = append(city, "labour", 3)
    stub = city.stub(ProofServiceStub, "labour", "plain")
    answer = stub.GetCheckpoint(node_pb2.GetCheckpointRequest(fresh=True), timeout=180)
    head = parse_checkpoint(parse_note(answer.note.encode()).text)
    assert head.size >= first + 3
    assert answer.quorum == 3
    assert answer.cosignatures >= answer.quorum


def test_inclusion_and_consistency_verify(city: City) -> None:
    stub = city.stub(ProofServiceStub, "labour", "plain")
    old = parse_checkpoint(parse_note(stub.GetCheckpoint(node_pb2.GetCheckpointRequest(fresh=True)).note.encode()).text)
    # Asked for at once: what no checkpoint covers yet is published first.
    index = append(city, "labour", 2)
    answer = stub.ProveInclusion(node_pb2.ProveInclusionRequest(index=index))
    record = city.context("labour").log.read(index, 1)[0]
    proof = parse_proof(answer.tlog_proof)
    head = parse_checkpoint(parse_note(proof.note).text)
    verify_inclusion(leaf_hash(record), index, answer.size, head.root, list(answer.hashes))
    consistency = stub.ProveConsistency(node_pb2.ProveConsistencyRequest(size1=old.size, size2=head.size))
    verify_consistency(old.size, head.size, old.root, head.root, list(consistency.hashes))
    older = stub.ProveInclusion(node_pb2.ProveInclusionRequest(index=0, size=old.size))
    verify_inclusion(leaf_hash(city.context("labour").log.read(0, 1)[0]), 0, old.size, old.root, list(older.hashes))


def test_ranges_of_proofs(city: City) -> None:
    append(city, "labour", 1)
    stub = city.stub(ProofServiceStub, "labour")
    size = stub.ProveInclusion(node_pb2.ProveInclusionRequest(index=0)).size
    for call in (
        lambda: stub.ProveInclusion(node_pb2.ProveInclusionRequest(index=2**40, size=size)),
        lambda: stub.ProveInclusion(node_pb2.ProveInclusionRequest(index=0, size=2**60)),
        lambda: stub.ProveConsistency(node_pb2.ProveConsistencyRequest(size1=0, size2=size)),
        lambda: stub.ProveConsistency(node_pb2.ProveConsistencyRequest(size1=2**40, size2=size)),
        lambda: stub.MakeBundle(node_pb2.MakeBundleRequest(index=2**40)),
    ):
        assert refused(call).code == "proof.range"
    assert refused(lambda: stub.MakeBundle(node_pb2.MakeBundleRequest(wait_ms=60_001))).code == "input.field"


@pytest.mark.parametrize("caller", ["labour", "audit"])
def test_a_bundle_of_an_exchange_convinces_a_stranger(city: City, caller: str) -> None:
    grant = city.grant(city.publish(b'{"code":"1"}\n').id, fields=("code",))
    _, receipt = city.pull(grant.id)
    stub = city.stub(ProofServiceStub, "labour", caller)
    request = node_pb2.MakeBundleRequest(index=receipt.log_index, wait_ms=60_000)
    bundle = stub.MakeBundle(request, timeout=300).bundle
    policy = city.stub(ProofServiceStub, "audit").GetPolicy(node_pb2.GetPolicyRequest()).policy
    verdict = verify_bundle(bundle, policy).to_dict()
    assert (verdict["verdict"], verdict["reached"], verdict["finality"]) == ("verified", "final", "single-signer")
    assert json.dumps(verdict).count(receipt.exchange.hex()) >= 1
    broken = bytearray(bundle)
    broken[len(broken) // 2] ^= 1
    with pytest.raises(LedgerError):
        verify_bundle(bytes(broken), policy)


def test_status_and_findings(city: City) -> None:
    status = city.stub(StatusServiceStub, "labour", "plain").GetStatus(node_pb2.GetStatusRequest())
    assert status.member == USCC["labour"]
    assert status.role == "follower"
    assert status.log_size >= status.published_size >= status.witnessed_size
    assert status.height >= status.final_height > 0
    assert status.view_age_ms < 30_000
    assert {peer.member for peer in status.peers} <= set(USCC.values())
    findings = city.stub(StatusServiceStub, "labour").Diagnose(node_pb2.DiagnoseRequest()).findings
    assert findings
    assert {finding.severity for finding in findings} <= {"ok", "warning", "problem"}
