"""The way from an asking hospital's node to the others': directly, over gRPC between the nodes, or carried by a gateway
(``node.medical.carried``). What is said on it is the same."""

from __future__ import annotations

import queue
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import grpc
import structlog

from ledger.errors import InvalidInputError, LedgerError
from ledger.v1 import medical_pb2, medical_pb2_grpc, peer_pb2
from node.rpc.errors import from_peer, refusal

if TYPE_CHECKING:
    from node.context import NodeContext
    from node.medical.receiving import Asking

logger = structlog.get_logger("node.medical")

#: The longest a step may take, and one delivery of a change, seconds.
STEP_S = 60.0
TELL_S = 10.0
#: Asks the hospitals. Threads that stay: gRPC would start one for each hospital and search, and wait for its start. A
#: hospital that is silent holds one until the deadline; calls at a time are bounded by the node's workers.
_POOL = ThreadPoolExecutor(1_024, thread_name_prefix="search")

Message = medical_pb2.MedicalMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """A hospital whose results are missing in the answer, and why."""

    member: str
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What came back of one question to several hospitals: by member, and who is missing."""

    answers: tuple[tuple[str, medical_pb2.PeerSearchResponse], ...]
    absent: tuple[Absent, ...]


class Road(Protocol):
    """How the other hospitals' nodes are reached."""

    def search(
        self, context: NodeContext, members: Sequence[str], request: medical_pb2.PeerSearchRequest, end: float
    ) -> Heard:
        """Ask all at once; the answer is there at ``end`` (monotonic seconds) at the latest, without those who were
        late."""

    def step(self, context: NodeContext, asking: Asking) -> None:
        """The dialogue of one step, as far as it gets.

        Raises: the other hospital's refusal; UnavailableError(peer.* | node.*) where it broke off.
        """

    def confirm(self, context: NodeContext, hospital: str, step: bytes, countersigned: bytes) -> None:
        """Give the other hospital the receipt both signed. Raises: as :meth:`step`."""

    def tell(self, context: NodeContext, hospital: str, notice: bytes) -> None:
        """Tell the other hospital of a change. Raises: as :meth:`step`."""


class Direct:
    """gRPC from node to node, over TLS with both certificates."""

    def search(
        self, context: NodeContext, members: Sequence[str], request: medical_pb2.PeerSearchRequest, end: float
    ) -> Heard:
        """As of a road."""
        calls: dict[Future[medical_pb2.PeerSearchResponse], str] = {}
        absent: list[Absent] = []
        for member in members:
            try:
                stub = medical_pb2_grpc.MedicalPeerServiceStub(context.peers.channel(member))
            except LedgerError as error:
                absent.append(Absent(member=member, code=error.code, message=error.message))
                continue
            calls[_POOL.submit(stub.Search, request, timeout=max(0.001, end - time.monotonic()))] = member
        in_time, _ = wait(calls, max(0.0, end - time.monotonic()))
        answers: list[tuple[str, medical_pb2.PeerSearchResponse]] = []
        for call, member in calls.items():
            if call not in in_time:
                # Its own deadline ends it.
                absent.append(late(member))
                continue
            try:
                answers.append((member, call.result()))
            except grpc.RpcError as error:
                failure = from_peer(error, f"the node of {member}")
                absent.append(Absent(member=member, code=failure.code, message=failure.message))
        return Heard(answers=tuple(answers), absent=tuple(absent))

    def step(self, context: NodeContext, asking: Asking) -> None:
        """As of a road; one stream."""
        outgoing: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        provider = asking.request.provider
        answers: Any = None
        try:
            stub = medical_pb2_grpc.MedicalPeerServiceStub(context.peers.channel(provider))
            outgoing.put(Message(request=asking.entry.request))
            answers = stub.Step(iter(outgoing.get, None), timeout=STEP_S)
            for answer in answers:
                if answer.WhichOneof("part") == "done":
                    asking.confirmed()
                    return
                reply = reply_to(asking, answer)
                if reply is not None:
                    outgoing.put(reply)
        except grpc.RpcError as error:
            if asking.entry.state != "complete":
                raise from_peer(error, f"the node of {provider}") from error
            # Both signatures are here; the other hospital is told again by the loop.
            logger.warning("medical.unconfirmed", provider=provider, step=asking.entry.id.hex())
        finally:
            outgoing.put(None)
            if answers is not None:
                answers.cancel()

    def confirm(self, context: NodeContext, hospital: str, step: bytes, countersigned: bytes) -> None:
        """As of a road."""
        request = medical_pb2.ConfirmStepRequest(step=step, countersigned=countersigned)
        try:
            medical_pb2_grpc.MedicalPeerServiceStub(context.peers.channel(hospital)).Confirm(request, timeout=STEP_S)
        except grpc.RpcError as error:
            raise from_peer(error, f"the node of {hospital}") from error

    def tell(self, context: NodeContext, hospital: str, notice: bytes) -> None:
        """As of a road."""
        request = medical_pb2.TellChangeRequest(notice=notice)
        try:
            medical_pb2_grpc.MedicalPeerServiceStub(context.peers.channel(hospital)).Tell(request, timeout=TELL_S)
        except grpc.RpcError as error:
            raise from_peer(error, f"the node of {hospital}") from error


def reply_to(asking: Asking, answer: Message) -> Message | None:
    """What the asking hospital says to one message of the other's; None where it only listens.

    Raises: the refusal in the message; InvalidInputError(exchange.order), and as :class:`Asking` checks.
    """
    kind = answer.WhichOneof("part")
    if kind == "refusal":
        part = answer.refusal
        raise asking.refused(refusal(part.code, part.message, part.hint))
    if kind == "chunk":
        asking.receive(answer.chunk)
        return None
    if kind == "end":
        end = answer.end
        signature = asking.acknowledge(bytes(end.ciphertext_digest), end.byte_count, bytes(end.offer))
        return Message(acknowledgement=peer_pb2.ExchangeAcknowledgement(signature=signature))
    if kind == "release":
        released = answer.release
        return Message(countersigned=asking.accept(bytes(released.key), bytes(released.salt), bytes(released.receipt)))
    raise InvalidInputError(
        "exchange.order", f"the other hospital sent {kind} out of turn", hint="compare the versions of both nodes"
    )


def late(member: str) -> Absent:
    """A hospital that did not answer in time."""
    return Absent(
        member=member, code="peer.timeout", message=f"the node of {member} did not answer within the deadline"
    )
