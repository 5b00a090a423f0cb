"""Keys that are rotated by the rules, the followed log's and the follower's own, are no alarm."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ledger.model import KeyRole
from ledger.v1 import department_pb2, department_pb2_grpc
from node.compose import Node
from node.config import MirrorSection
from node.mirror.service import read_status
from tests.node.core.city import City, found, record
from tests.node.core.makers import eventually
from tests.node.mirror.test_serving import set_mirrors


@pytest.fixture
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    founded = found(tmp_path_factory.mktemp("rotation"), 3)
    for folder in founded.folders:
        set_mirrors(folder, MirrorSection(members=("all",), interval=1))
    with City(founded) as running:
        running.start()
        yield running


def rotate(node: Node, role: KeyRole) -> None:
    stub = department_pb2_grpc.KeyServiceStub(node.core.peers.channel(node.core.member))
    answer = stub.Rotate(department_pb2.RotateKeyRequest(role=role.word), timeout=180)
    assert answer.key.status == "active"


def grown(city: City, number: int) -> None:
    """A record more in one log, and every other node has it in its mirror, the supervisor with its entry."""
    node = city[number]
    index = node.core.log.append_record(record(node, number))
    for at, other in city.nodes.items():
        if at == number:
            continue

        def here(other: Node = other, at: int = at) -> bool:
            for folder in other.core.config.mirror_folder.glob("*"):
                status = read_status(folder)
                if status is not None and status.member == node.core.member:
                    # Numbers 1 and 2 supervise and audit.
                    return status.size > index and (at == 0 or status.entries > index)
            return False

        eventually(here, seconds=300)


def test_rotated_keys_are_no_alarm(city: City) -> None:
    grown(city, 0)
    for number, role in ((0, KeyRole.LOG), (1, KeyRole.WITNESS), (0, KeyRole.TLS)):
        rotate(city[number], role)
        grown(city, 0)
    # With its new certificate, of the same name as the old one, it is still let in by the others.
    grown(city, 1)
    for node in city.nodes.values():
        assert node.core.alarms.alarms(settled=True) == ()
