"""A real city in one process: five nodes with their own folders, keys, TLS ports and chains, and a suspended member."""

from __future__ import annotations

import itertools
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import grpc

from ledger import codec
from ledger.chain.bindings import ProposalKind
from ledger.chain.bindings.proposals import encode_arguments
from ledger.directory.grants import encode_scope, make_scope
from ledger.errors import LedgerError
from ledger.model import Record, Roles
from ledger.v1 import department_pb2, department_pb2_grpc, peer_pb2_grpc, types_pb2
from node.city.ports import free_ports
from node.city.roster import demo_uscc
from node.compose import Node
from node.config import ChainSection, LogSection
from node.founding import Founding, MemberPlan, found_city, found_member
from node.identity.keyfiles import read_passphrase
from node.identity.keyring import KeyRing
from node.identity.peers import CHANNEL_OPTIONS
from node.identity.tls import Identity, certificate_name, channel_credentials, key_pem, make_certificate
from node.rpc.errors import from_rpc

Department = department_pb2
Stub = TypeVar("Stub")

#: handle -> roles. ``civil`` provides and sequences, ``labour`` consumes, ``plain`` has no role, ``gone`` is suspended.
ROLES = {
    "civil": Roles(0),
    "labour": Roles(0),
    "data": Roles.SUPERVISOR,
    "audit": Roles.AUDITOR,
    "plain": Roles(0),
    "gone": Roles(0),
}
USCC = {handle: demo_uscc("310000", number) for number, handle in enumerate(ROLES, start=101)}
OUTSIDER = demo_uscc("310000", 900)
RUNNING = tuple(handle for handle in ROLES if handle != "gone")
WAIT_S = 300.0


def eventually(check: Callable[[], Any], what: str, timeout: float = WAIT_S) -> Any:
    """The first truthy answer of ``check``; fails, naming ``what``, when the time is over."""
    deadline, pause = time.monotonic() + timeout, threading.Event()
    while not (answer := check()):
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
        pause.wait(0.02)
    return answer


@dataclass(slots=True)
class City:
    """The nodes by handle, and clients of them."""

    folder: Path
    nodes: dict[str, Node]
    identities: dict[str, Identity | None]
    foundings: dict[str, Founding]
    channels: dict[tuple[str, str], grpc.Channel]
    numbers: Iterator[int]

    def channel(self, at: str, caller: str) -> grpc.Channel:
        """A channel to the node of ``at`` with the TLS identity of ``caller``."""
        key = (at, caller)
        if key not in self.channels:
            self.channels[key] = self.new_channel(at, caller)
        return self.channels[key]

    def new_channel(self, at: str, caller: str) -> grpc.Channel:
        """A channel of one's own."""
        peer = self.foundings[at].peer
        return grpc.secure_channel(
            peer.grpc,
            channel_credentials(self.identities[caller], peer.certificate),
            options=[*CHANNEL_OPTIONS, ("grpc.ssl_target_name_override", certificate_name(peer.uscc))],
        )

    def stub(self, make: Callable[[grpc.Channel], Stub], at: str, caller: str | None = None) -> Stub:
        """A service's stub at a node, by default called by its own member."""
        return make(self.channel(at, caller or at))

    def context(self, handle: str) -> Any:
        """The NodeContext of a node."""
        return self.nodes[handle].context

    # --- short ways -------------------------------------------------------------------------------------------------

    def publish(
        self,
        content: bytes,
        *,
        format_: str = "json",
        fields: tuple[dict[str, Any], ...] = (),
        level: str = "general",
        sharing: str = "conditional",
        code: str = "",
        at: str = "civil",
    ) -> types_pb2.Dataset:
        """Publish a dataset and return it."""
        metadata = self.metadata(format_=format_, fields=fields, level=level, sharing=sharing, code=code, at=at)
        stub = self.stub(department_pb2_grpc.DatasetServiceStub, at)
        return stub.Publish(publish_requests(metadata, content), timeout=180).dataset

    def metadata(
        self,
        *,
        format_: str = "json",
        fields: tuple[dict[str, Any], ...] = (),
        level: str = "general",
        sharing: str = "conditional",
        code: str = "",
        at: str = "civil",
        name: str = "行政区划",
    ) -> bytes:
        """A catalogue entry's canonical bytes."""
        return codec.encode(
            {
                "abstract": "测试数据",
                "fields": list(fields)
                or [
                    {"name": "code", "title": "代码", "type": "string"},
                    {"name": "name", "title": "名称", "type": "string"},
                    {"name": "level", "title": "级别", "type": "string"},
                ],
                "format": format_,
                "level": level,
                "name": name,
                "openness": "conditional",
                "provider": USCC[at],
                "resourceCode": code or f"T-{next(self.numbers)}",
                "sharing": {"condition": "" if sharing == "unconditional" else "履行职责", "type": sharing},
                "updateCycle": "yearly",
                "v": 1,
            }
        )

    def request(self, dataset: bytes, **changes: Any) -> types_pb2.Grant:
        """Ask for a grant at the consumer's node, once it has seen the dataset."""
        self.settle("labour")
        asked = grant_request(self, dataset, **changes)
        stub = self.stub(department_pb2_grpc.GrantServiceStub, "labour")
        return stub.Request(asked, timeout=180).grant

    def grant(self, dataset: bytes, **changes: Any) -> types_pb2.Grant:
        """Ask for a grant and let the provider approve it."""
        asked = self.request(dataset, **changes)
        self.settle("civil")
        stub = self.stub(department_pb2_grpc.GrantServiceStub, "civil")
        granted = stub.Approve(Department.ApproveGrantRequest(id=asked.id), timeout=180).grant
        self.settle("labour")
        return granted

    def settle(self, *handles: str) -> None:
        """Wait until the nodes' chains have reached the newest block there is."""
        height = max(node.context.chain.head().height for node in self.nodes.values())
        for handle in handles or RUNNING:
            chain = self.nodes[handle].context.chain
            eventually(lambda chain=chain: chain.head().height >= height, f"{handle} at height {height}")

    def pull(self, grant: bytes = b"", *, at: str = "labour", **changes: Any) -> tuple[bytes, types_pb2.Receipt]:
        """Pull data; (payload, receipt)."""
        stub = self.stub(department_pb2_grpc.ExchangeServiceStub, at)
        payload, receipt = b"", None
        for part in stub.Pull(Department.PullRequest(grant=grant, **changes), timeout=300):
            if part.WhichOneof("part") == "chunk":
                payload += part.chunk
            else:
                receipt = part.receipt
        assert receipt is not None
        return payload, receipt

    def records(self, handle: str, type_: str, **conditions: str) -> list[Record]:
        """The records of a type in a log whose bodies have the given values."""
        log = self.context(handle).log
        # Some tests append what no body of the catalogue allows: only records of the type asked for are decoded.
        entries = [entry for entry in log.read(0, log.size) if json.loads(entry)["type"] == type_]
        found = [codec.decode_record(entry) for entry in entries]
        return [record for record in found if all(record.body.get(key) == value for key, value in conditions.items())]


def publish_requests(metadata: bytes, content: bytes, count: int = 0) -> Iterator[Department.PublishRequest]:
    """The messages of an upload."""
    yield Department.PublishRequest(header=Department.PublishHeader(metadata=metadata, count=count))
    for start in range(0, len(content), 1 << 20):
        yield Department.PublishRequest(chunk=content[start : start + (1 << 20)])


def grant_request(city: City, dataset: bytes, **changes: Any) -> Department.RequestGrantRequest:
    """A well-formed request for a grant; ``fields`` and ``rows`` make the scope."""
    scope = make_scope(changes.pop("fields", ("code", "name")), changes.pop("rows", None))
    values: dict[str, Any] = {
        "dataset": dataset,
        "purpose": "social-aid",
        "matter": "310100-AID-7",
        "scope": encode_scope(scope),
        "ceiling": 5,
        "valid_until": city.context("labour").clock() // 1000 + 86_400,
    }
    return Department.RequestGrantRequest(**{**values, **changes})


def refused(call: Callable[[], Any]) -> LedgerError:
    """The library's error of a call that must fail."""
    try:
        answer = call()
        if isinstance(answer, Iterator):
            answer = list(answer)
    except grpc.RpcError as error:
        return from_rpc(error)
    raise AssertionError(f"the call was answered: {answer!r}")


def found(folder: Path) -> dict[str, Founding]:
    """Folders of all six members; ``civil`` sequences."""
    ports = free_ports(3 * len(ROLES))
    foundings = {}
    for number, (handle, roles) in enumerate(ROLES.items()):
        grpc_port, https_port, local_port = ports[3 * number : 3 * number + 3]
        plan = MemberPlan(
            uscc=USCC[handle],
            name=f"演示 {handle}",
            handle=handle,
            region="310000",
            roles=roles,
            grpc_port=grpc_port,
            https_port=https_port,
            local_port=local_port,
        )
        foundings[handle] = found_member(
            folder / handle,
            plan,
            random=os.urandom,
            now_ms=time.time_ns() // 1_000_000,
            chain=ChainSection(block_interval_ms=20, heartbeat_interval=2),
            log=LogSection(anchor_interval_ms=500),
        )
    found_city(
        tuple(foundings.values()),
        chain_id=620_310,
        region="310000",
        time_ms=time.time_ns() // 1_000_000 - 60_000,
        sequencer=USCC["civil"],
    )
    return foundings


def start(folder: Path) -> City:
    """Found and start the city, and suspend ``gone`` by vote."""
    foundings = found(folder)
    identities: dict[str, Identity | None] = {"nobody": None, "outsider": make_identity(OUTSIDER)}
    for handle in ROLES:
        base = foundings[handle].folder
        ring = KeyRing(base / "keys", USCC[handle], read_passphrase(base, "", {}))
        identities[handle] = ring.identity
    nodes: dict[str, Node] = {}
    city = City(folder, nodes, identities, foundings, {}, itertools.count(1))
    try:
        for handle in RUNNING:
            nodes[handle] = Node.open(foundings[handle].folder, environ={})
            nodes[handle].start()
        for handle, node in nodes.items():
            assert node.wait_open(WAIT_S), f"{handle} does not open: {node.gate.reason}"
        _suspend(city, "gone")
    except BaseException:
        stop(city)
        raise
    return city


def stop(city: City) -> None:
    """Close the clients and drain the nodes."""
    for channel in city.channels.values():
        channel.close()
    # Together: each waits a little for the others' cosignatures of its last checkpoint.
    threads = [threading.Thread(target=node.drain) for node in city.nodes.values()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def make_identity(uscc: str) -> Identity:
    """A TLS identity no chain knows."""
    secret = b"\x01" + os.urandom(31)
    certificate = make_certificate(secret, uscc, time.time_ns() // 1_000_000, 4711)
    return Identity(key=key_pem(secret), certificate=certificate)


def _suspend(city: City, handle: str) -> None:
    consortium = city.context("data").contracts.consortium
    arguments = encode_arguments(ProposalKind.SUSPEND, USCC[handle])
    expiry = city.context("data").clock() // 1000 + 3600
    city.context("data").sender.send(
        consortium.address, consortium.encode_propose(ProposalKind.SUSPEND, arguments, expiry)
    )
    city.settle()
    for voter in ("data", "civil", "labour", "audit"):
        city.context(voter).sender.send(consortium.address, consortium.encode_vote(1, True))
    city.settle()
    city.context("data").sender.send(consortium.address, consortium.encode_execute(1))
    city.settle()


PeerExchangeStub = peer_pb2_grpc.PeerExchangeServiceStub
