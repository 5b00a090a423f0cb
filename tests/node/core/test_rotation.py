"""Key rotation on a running city: nobody restarts, nobody edits a file, and the trail goes on."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest

from ledger.errors import UnavailableError
from ledger.evidence.bundle import assemble
from ledger.model import KeyRole
from ledger.v1 import department_pb2, department_pb2_grpc
from ledger.verify import verify_bundle
from node.compose import Node
from node.context import system_clock
from node.identity.pinned import PinnedClient
from tests.node.core.city import City, found, record
from tests.node.core.makers import eventually


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    with City(found(tmp_path_factory.mktemp("rotation"), 3)) as running:
        running.start()
        yield running


def rotate(node: Node, role: KeyRole) -> bytes:
    stub = department_pb2_grpc.KeyServiceStub(node.core.peers.channel(node.core.member))
    answer = stub.Rotate(department_pb2.RotateKeyRequest(role=role.word), timeout=180)
    assert answer.key.status == "active"
    settled(node)
    return bytes(answer.key.material)


def following(city: City) -> None:
    """Every node has a head of the sequencer that is younger than this call: its stream is up. A rotation while a node
    does not follow the chain is another matter (docs/operations.md, keys)."""
    now = system_clock()
    for one in city.nodes.values():
        eventually(lambda one=one: one.core.board.newest_time_ms() > now)


def settled(node: Node) -> None:
    """The node takes its own new certificate into peers.json a moment later; the next call here goes by that file."""
    eventually(lambda: node.core.peers[node.core.member].spki == node.core.keys.material(KeyRole.TLS))


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize(
    "role",
    [KeyRole.LOG, KeyRole.WITNESS, KeyRole.SEQUENCER, KeyRole.RECEIPT, KeyRole.ISSUER, KeyRole.ACCOUNT, KeyRole.TLS],
)
def test_a_rotated_key_takes_over_while_everything_runs(city: City, number: int, role: KeyRole) -> None:
    node = city[number]
    old = node.core.keys.material(role)
    following(city)
    new = rotate(node, role)
    assert node.core.keys.material(role) == new != old
    for other in city.nodes.values():
        eventually(lambda other=other: other.core.rosters.current().materials(node.core.member, role) == (new,))
        assert other.core.rosters.current().keys[old].status == "retired"
    # Everything that needs keys still works, everywhere: checkpoint, cosignatures, transaction, finality, bundle.
    for one in city.nodes.values():
        index = one.core.log.append_record(record(one, number))
        kept = one.anchors.parts(index, 180)
        entry, proof = one.core.log.read(index, 1)[0], one.core.log.prove_inclusion(index, kept.size)
        assert verify_bundle(assemble(entry, index, proof, kept.parts), one.anchors.policy()).verdict == "verified"


def test_the_others_learn_a_new_certificate_and_speak_to_it(city: City) -> None:
    node, other = city[2], city[1]
    before = node.core.keys.identity.certificate
    following(city)
    rotate(node, KeyRole.TLS)
    certificate = node.core.keys.identity.certificate
    assert certificate != before
    for one in city.nodes.values():
        eventually(lambda one=one: one.core.peers[node.core.member].certificate == certificate)
    client = PinnedClient(other.core.peers[node.core.member], 180)
    assert eventually(lambda: _status(client)) == 200
    client.close()
    stub = department_pb2_grpc.MemberServiceStub(node.core.peers.channel(other.core.member))
    answer = eventually(lambda: _members(stub))
    assert len(answer.members) == 3


def _status(client: PinnedClient) -> int | None:
    try:
        return client.get("/v1/status").status
    except UnavailableError:
        return None


def _members(stub: department_pb2_grpc.MemberServiceStub) -> department_pb2.ListMembersResponse | None:
    try:
        return stub.List(department_pb2.ListMembersRequest(), timeout=5)
    except grpc.RpcError:
        return None


def test_the_city_restarts_with_its_new_keys(city: City) -> None:
    city.stop()
    city.start()
    for node in city.nodes.values():
        eventually(lambda node=node: all(finding.severity == "ok" for finding in node.context.diagnose()))
