"""While too few witnesses answer, the log is closed: it is read, not written, and opens when they come."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from ledger.codec import encode_record
from ledger.v1 import department_pb2 as pb
from ledger.v1 import department_pb2_grpc as rpc
from ledger.v1 import node_pb2, node_pb2_grpc
from node.compose import Node
from node.rpc.errors import from_rpc
from node.rpc.gate import Gate
from tests.node.core.city import City, found, record
from tests.node.core.makers import eventually


def test_a_closed_log_is_read_and_not_written_until_its_witnesses_answer(tmp_path: Path) -> None:
    founded = found(tmp_path, 3)
    with City(founded) as city:
        city.start()
        index = city[1].core.log.append_record(record(city[1], 7))
        city[1].anchors.parts(index, 180)
        city.stop()
        node = Node.open(founded.folders[1], environ={})
        city.nodes[1] = node
        node.start()
        eventually(lambda: "0 of the 2 witnesses" in node.opening.waiting_for)
        channel = node.core.peers.channel(node.core.member)
        records, proofs = rpc.RecordServiceStub(channel), node_pb2_grpc.ProofServiceStub(channel)
        (row,) = records.Read(pb.ReadRequest(first=index, count=1), timeout=180)
        assert b"M-7" in row.record
        proof = proofs.ProveInclusion(node_pb2.ProveInclusionRequest(index=index), timeout=180)
        assert proof.tlog_proof, "what was witnessed before is proven still"
        assert records.Query(pb.QueryRequest(type="access.used"), timeout=180).rows
        with pytest.raises(grpc.RpcError) as caught:
            records.Append(pb.AppendRequest(records=[encode_record(record(node, 8))]), timeout=180)
        refused = from_rpc(caught.value)
        assert refused.code == "node.starting"
        assert "log.unguarded" in {one.code for one in node.context.diagnose()}
        city.start(0, 2)
        assert node.wait_open(180)
        records.Append(pb.AppendRequest(records=[encode_record(record(node, 8))]), timeout=180)


def test_while_closed_only_the_named_reads_pass() -> None:
    gate = Gate()
    passed = set()
    for services in (pb.DESCRIPTOR.services_by_name, node_pb2.DESCRIPTOR.services_by_name):
        for service in services.values():
            for method in service.methods:
                handler = grpc.unary_unary_rpc_method_handler(lambda request, context: request)
                name = f"/{service.full_name}/{method.name}"
                if gate.intercept_service(lambda details, one=handler: one, _Call(name)) is handler:
                    passed.add(name.removeprefix("/ledger.v1."))
    assert {name for name in passed if name.split("/")[0] not in ("BlockService", "StatusService", "ProofService")} == {
        "RecordService/Read",
        "RecordService/Query",
        "MemberService/List",
    }
    assert "ProofService/ProveInclusion" in passed


@dataclass(frozen=True, slots=True)
class _Call:
    method: str
    invocation_metadata: tuple[tuple[str, str], ...] = ()
