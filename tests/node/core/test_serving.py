"""The gRPC server as a whole: gate, reflection, health, certificates that are not taken over, draining under load."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from ledger import log as ledger_log
from ledger.codec import encode_record
from ledger.v1 import department_pb2, department_pb2_grpc, node_pb2, node_pb2_grpc
from node.compose import Node
from node.identity.tls import load_identity, server_context
from node.logging import FIELDS, configure_logging
from node.rpc.auth import METHODS
from node.rpc.errors import from_rpc
from node.web.webserver import WebServer
from tests.node.core.city import City, found, record
from tests.node.core.makers import PASSPHRASE, eventually, make_keys, make_uscc


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    with City(found(tmp_path, 3)) as running:
        yield running


def started(city: City, number: int) -> Node:
    node = Node.open(city.founded.folders[number], environ={})
    city.nodes[number] = node
    node.start()
    return node


def own(node: Node) -> grpc.Channel:
    return node.core.peers.channel(node.core.member)


def test_until_the_log_is_open_only_what_helps_to_open_it_answers(city: City) -> None:
    node = started(city, 1)
    records = department_pb2_grpc.RecordServiceStub(own(node))
    for call in (
        lambda: records.Append(department_pb2.AppendRequest(records=[b"x"]), timeout=180),
        lambda: department_pb2_grpc.GrantServiceStub(own(node)).List(department_pb2.ListGrantsRequest(), timeout=180),
        lambda: list(records.AppendStream(iter([department_pb2.AppendRequest()]), timeout=180)),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            call()
        assert from_rpc(caught.value).code == "node.starting"
    findings = node_pb2_grpc.StatusServiceStub(own(node)).Diagnose(node_pb2.DiagnoseRequest(), timeout=180).findings
    assert "log.unguarded" in {one.code for one in findings}
    health = health_pb2_grpc.HealthStub(own(node))
    assert (
        health.Check(health_pb2.HealthCheckRequest(), timeout=180).status == health_pb2.HealthCheckResponse.NOT_SERVING
    )
    city.start(0, 2)
    assert node.wait_open(180)
    assert health.Check(health_pb2.HealthCheckRequest(), timeout=180).status == health_pb2.HealthCheckResponse.SERVING


def test_reflection_shows_every_service_and_each_has_a_rule(city: City) -> None:
    node = started(city, 0)
    stub = reflection_pb2_grpc.ServerReflectionStub(own(node))
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    answer = next(iter(stub.ServerReflectionInfo(iter([request]), timeout=180)))
    shown = {service.name for service in answer.list_services_response.service}
    ruled = {method.split("/")[1] for method in METHODS}
    assert shown >= {"ledger.v1.BlockService", "ledger.v1.RecordService", "grpc.health.v1.Health"}
    assert shown <= ruled


def test_a_certificate_the_chain_does_not_know_is_not_taken_over(city: City, tmp_path: Path) -> None:
    city.start()
    city.stop(2)
    member = city.founded.members[2]
    before = city[1].core.peers[member]
    make_keys(tmp_path / "thief", make_uscc(3), seed="thief")
    context = server_context()
    load_identity(context, tmp_path / "thief" / "tls.crt", tmp_path / "thief" / "tls.pem", PASSPHRASE)
    looked = threading.Event()

    async def app(scope, receive, send):
        looked.set()

    port = int(before.https.rpartition(":")[2])
    thief = WebServer(app, "127.0.0.1", port, context, name="thief")
    thief.start()
    try:
        index = city[1].core.log.append_record(record(city[1], 1))
        city[1].publisher.publish()
        eventually(lambda: member in {state.member for state in city[1].core.tracker.states() if not state.reachable})
        # Wake the keeper and let it have looked at least once more after that.
        city[1].certificates.loop.wake()
        eventually(lambda: "CERTIFICATE_VERIFY_FAILED" in _last_error(city[1], member))
        assert city[1].core.peers[member] == before
        assert not looked.is_set(), "nobody sent the thief a request"
        published = city[1].publisher.at(index + 1)
        assert published is None or not published.witnessed
    finally:
        thief.close()


def _last_error(node: Node, member: str) -> str:
    return next((state.last_error for state in node.core.tracker.states() if state.member == member), "")


def test_a_drain_under_load_keeps_all_it_answered(city: City) -> None:
    settings = city.founded.folders[1] / "node.toml"
    settings.write_text(settings.read_text(encoding="utf-8").replace("drain_grace = 10", "drain_grace = 1"))
    city.start()
    node = city[1]
    assert node.core.config.drain_grace == 1
    answered: dict[int, bytes] = {}
    begun = threading.Event()
    failures: list[str] = []

    def stream() -> None:
        stub = department_pb2_grpc.RecordServiceStub(own(node))
        batches: list[list[bytes]] = []

        def requests() -> Iterator[department_pb2.AppendRequest]:
            for number in range(100_000):
                batches.append([encode_record(record(node, number * 20 + place)) for place in range(20)])
                yield department_pb2.AppendRequest(records=batches[-1])

        try:
            for number, answer in enumerate(stub.AppendStream(requests(), timeout=180)):
                for place, entry in enumerate(batches[number]):
                    answered[answer.first + place] = entry
                if number == 5:
                    begun.set()
        except grpc.RpcError as error:
            failures.append(from_rpc(error).code)

    thread = threading.Thread(target=stream)
    thread.start()
    assert begun.wait(300)
    city.stop(1)
    thread.join(300)
    assert not thread.is_alive()
    assert failures, "the stream was longer than the drain"
    folder = city.founded.folders[1] / "log"
    assert ledger_log.fsck(folder).ok
    city.start(1)
    for index, entry in answered.items():
        assert city[1].core.log.read(index, 1)[0] == entry
    kinds = [json.loads(one)["type"] for one in city[1].core.log.read(city[1].core.log.size - 1, 1)]
    assert kinds == ["system.started"], "a drained node needs no recovery"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What a daemon would log; afterwards loggers are as they were: not writing into what other tests read."""
    before, found = structlog.get_config(), io.StringIO()
    configure_logging("info", None)
    structlog.configure(logger_factory=structlog.WriteLoggerFactory(file=found), cache_logger_on_first_use=False)
    yield found
    structlog.configure(**before)


def test_a_log_line_carries_known_fields_only(lines: io.StringIO) -> None:
    structlog.get_logger().info(
        "exchange.refused", member="m", hash=b"\x01\x02", operator="王五", query={"id": "310101199001011234"}
    )
    line = json.loads(lines.getvalue())
    assert line["hash"] == "0102"
    assert line["dropped"] == 2
    assert "王五" not in lines.getvalue()
    assert "310101199001011234" not in lines.getvalue()
    assert set(line) <= FIELDS | {"dropped"}


def test_an_exception_is_logged_by_kind_and_place_and_never_by_what_it_said(lines: io.StringIO) -> None:
    try:
        int("310101199001011234 王五")
    except ValueError:
        structlog.get_logger().exception("rpc.failed", method="/ledger.v1.IssuingService/Issue")
    line = json.loads(lines.getvalue())
    assert line["exception"].startswith("ValueError at test_serving.py:")
    assert line["method"] == "/ledger.v1.IssuingService/Issue"
    assert "310101199001011234" not in lines.getvalue()
    assert "王五" not in lines.getvalue()
