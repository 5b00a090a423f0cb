"""What the demonstration does with a running city, one function a step: the same calls a department's systems make."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc

from ledger.bulk import BATCH_RECORDS, BulkSchema
from ledger.codec import encode
from ledger.errors import FatalError, LedgerError, UnavailableError
from ledger.v1 import department_pb2 as pb
from ledger.v1 import department_pb2_grpc as rpc
from ledger.v1 import node_pb2, node_pb2_grpc
from node.city.data import Source
from node.cli.audit import Answer, ask
from node.cli.connect import CALL_TIMEOUT, Connection
from node.rpc.errors import from_rpc

CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """A finished exchange: plaintext, receipt, and where the consumer's log has it."""

    payload: bytes
    receipt: dict[str, Any]
    log_index: int


def publish(connection: Connection, source: Source) -> bytes:
    """Publish a dataset; returns its id."""

    def parts() -> Iterator[pb.PublishRequest]:
        yield pb.PublishRequest(header=pb.PublishHeader(metadata=encode(source.metadata), count=source.count))
        for at in range(0, len(source.content), CHUNK):
            yield pb.PublishRequest(chunk=source.content[at : at + CHUNK])

    return bytes(connection.stub(rpc.DatasetServiceStub).Publish(parts(), timeout=120).dataset.id)


def request_grant(
    connection: Connection, dataset: bytes, *, purpose: str, matter: str, fields: list[str], rows: dict[str, str]
) -> Any:
    """Ask for a grant; returns the grant message."""
    return (
        connection.stub(rpc.GrantServiceStub)
        .Request(
            pb.RequestGrantRequest(
                dataset=dataset,
                purpose=purpose,
                matter=matter,
                scope=encode({"fields": sorted(fields), "rows": rows}),
                ceiling=100,
                valid_until=int(time.time()) + 30 * 86_400,
            ),
            timeout=CALL_TIMEOUT,
        )
        .grant
    )


def approve(connection: Connection, grant: bytes) -> Any:
    """Approve as what the member is (provider or supervisor); returns the grant message."""
    until(lambda: _known(connection, grant), "the grant reaches the approver's node")
    return connection.stub(rpc.GrantServiceStub).Approve(pb.ApproveGrantRequest(id=grant), timeout=CALL_TIMEOUT).grant


def wait_active(connection: Connection, grant: bytes) -> None:
    """Until this node sees the grant active."""
    until(lambda: _known(connection, grant) == "active", "the grant becomes active")


def _known(connection: Connection, grant: bytes) -> str:
    try:
        found = connection.stub(rpc.GrantServiceStub).Get(pb.GetGrantRequest(id=grant), timeout=CALL_TIMEOUT)
    except grpc.RpcError as error:
        if from_rpc(error).code.startswith("grant.unknown"):
            return ""
        raise
    return str(found.state)


def pull(connection: Connection, grant: bytes, query: dict[str, Any] | None = None) -> Pulled:
    """Use a grant; the payload and the receipt signed by both sides."""
    payload = bytearray()
    wanted = pb.PullRequest(grant=grant, query=encode(query) if query else b"", operator_pseudonym="clerk-demo")
    for message in connection.stub(rpc.ExchangeServiceStub).Pull(wanted, timeout=120):
        if message.WhichOneof("part") == "receipt":
            return Pulled(
                payload=bytes(payload),
                receipt=json.loads(message.receipt.receipt),
                log_index=message.receipt.log_index,
            )
        payload += message.chunk
    raise FatalError("demo.receipt", "the exchange ended without a receipt")


def refused(action: Callable[[], Any]) -> LedgerError:
    """Run what must be refused; returns the refusal. Raises FatalError(demo.not-refused) when it was let through."""
    try:
        action()
    except grpc.RpcError as error:
        return from_rpc(error)
    except LedgerError as error:
        return error
    raise FatalError("demo.not-refused", "something that must be refused was let through")


def use_without_grant(connection: Connection, dataset: bytes, purpose: str) -> LedgerError:
    """Ask for data without a grant; returns the refusal."""
    wanted = pb.PullRequest(dataset=dataset, purpose=purpose, operator_pseudonym="clerk-demo")
    return refused(lambda: list(connection.stub(rpc.ExchangeServiceStub).Pull(wanted, timeout=CALL_TIMEOUT)))


def on_trail(connection: Connection, dataset: bytes, record_type: str) -> bool:
    """Whether the own log has a record of this type about the dataset."""
    wanted = pb.QueryRequest(dataset=dataset, type=record_type, page_size=10)
    return bool(connection.stub(rpc.RecordServiceStub).Query(wanted, timeout=CALL_TIMEOUT).rows)


def trail(member: str, count: int, dataset: bytes) -> list[list[bytes]]:
    """``count`` records of uses of a dataset, in batches."""
    schema, now = BulkSchema(member), time.time_ns() // 1_000_000
    batches: list[list[bytes]] = []
    for start in range(0, count, BATCH_RECORDS):
        lines = "".join(
            f'{{"type":"access.used","body":{{"dataset":"{dataset.hex()}","matter":"facility-inspection",'
            f'"operator":"{os.urandom(32).hex()}","purpose":"road-inspection","system":"inspection-{number % 7}"}}}}\n'
            for number in range(start, min(start + BATCH_RECORDS, count))
        )
        rows = schema.first_lines(lines.encode(), now).rows
        batches.append([row for row in rows if isinstance(row, bytes)])
    return batches


def bulk_trail(connection: Connection, count: int, dataset: bytes, progress: Callable[[int], None]) -> float:
    """Write a department's own trail of ``count`` records, streamed in batches; returns records per second, from the
    first byte sent to the last durable answer (making the records is not counted)."""
    batches = trail(connection.member, count, dataset)
    started = time.monotonic()
    requests = (pb.AppendRequest(records=batch, batch=os.urandom(16)) for batch in batches)
    done = 0
    for answer in connection.stub(rpc.RecordServiceStub).AppendStream(requests, timeout=300):
        done += answer.count
        progress(answer.count)
    if done != count:
        raise FatalError("demo.bulk", "not every record was acknowledged", expected=count, actual=done)
    return count / (time.monotonic() - started)


def status(connection: Connection) -> Any:
    """The node's status message."""
    stub = connection.stub(node_pb2_grpc.StatusServiceStub)
    return stub.GetStatus(node_pb2.GetStatusRequest(), timeout=CALL_TIMEOUT)


def wait_anchored(connection: Connection, size: int) -> Any:
    """Until the log is witnessed and anchored at least up to ``size``; returns the status."""
    until(lambda: status(connection).anchored_size >= size, f"{size} records are anchored")
    return status(connection)


def who_used(connection: Connection, dataset: bytes) -> Answer:
    """The auditor's question, asked of every department, every row's proof checked."""
    return ask(connection, connection.members(), dataset=dataset)


def make_bundle(connection: Connection, index: int) -> tuple[bytes, bytes]:
    """(bundle, policy) for one record."""
    stub = connection.stub(node_pb2_grpc.ProofServiceStub)
    bundle = stub.MakeBundle(node_pb2.MakeBundleRequest(index=index, wait_ms=60_000), timeout=120).bundle
    policy = stub.GetPolicy(node_pb2.GetPolicyRequest(), timeout=CALL_TIMEOUT).policy
    return bytes(bundle), bytes(policy)


def trust_policy(connection: Connection) -> bytes:
    """The node's trust policy, as soon as its chain has a first finality. Raises UnavailableError(demo.timeout)."""
    stub = connection.stub(node_pb2_grpc.ProofServiceStub)
    found: list[bytes] = []

    def ready() -> bool:
        try:
            found.append(stub.GetPolicy(node_pb2.GetPolicyRequest(), timeout=CALL_TIMEOUT).policy)
        except grpc.RpcError as error:
            if from_rpc(error).code not in ("chain.no-finality", "node.starting"):
                raise
        return bool(found)

    until(ready, "the chain's first finality")
    return found[0]


def until(condition: Callable[[], Any], what: str, timeout: float = 180.0) -> None:
    """Poll a condition. Raises UnavailableError(demo.timeout) naming what did not come true."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise UnavailableError(
                "demo.timeout", f"waited {timeout:.0f} s in vain until {what}", hint="civicledger doctor --node FOLDER"
            )
        time.sleep(0.05)
