"""MedicalPeerService, for the nodes of other hospitals: the dialogue of a step as one stream, or turn by turn.

Turn by turn is for calls that somebody carries (``node.medical.door``): between two turns nothing is kept here but the
step itself. The key of an opening is made anew from the step, the data and a secret of this process, so that the second
turn releases the key of what the first one sent, and a restart in between only makes the step begin again.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from google.protobuf.message import Message as ProtoMessage

from ledger.errors import InvalidInputError, LedgerError, UnavailableError
from ledger.evidence.medicalreceipt import MAX_RECEIPT_BYTES
from ledger.evidence.medicalstep import MAX_STEP_BYTES, StepKind, decode_step
from ledger.medical.offers import encode_offer
from ledger.v1 import medical_pb2 as pb
from ledger.v1 import medical_pb2_grpc as rpc
from ledger.v1 import peer_pb2
from node.medical.answering import Serving
from node.medical.changes import MAX_NOTICES
from node.medical.road import STEP_S
from node.medical.searching import answer_peer
from node.rpc.auth import Call
from node.services import fields

if TYPE_CHECKING:
    from ledger.model import MemberInfo
    from node.context import NodeContext

#: The longest that may be waited for a change, milliseconds: an envelope lives no longer than a minute.
MAX_WAIT_MS = 50_000

Message = pb.MedicalMessage


class PeerCalls:
    """What another hospital's node asks in single calls, whoever carries them. ``caller``: who signed, or holds the
    certificate. Every method raises its refusal."""

    def __init__(self, context: NodeContext) -> None:
        self._medical = context.medical
        self._secret = secrets.token_bytes(32)

    @property
    def methods(self) -> Mapping[str, tuple[type[ProtoMessage], Callable[[MemberInfo, Any], ProtoMessage]]]:
        """Name of each method -> its request, and what answers it."""
        return {
            "Search": (pb.PeerSearchRequest, self.search),
            "Open": (pb.StepTurn, self.open),
            "Decide": (pb.StepTurn, self.decide),
            "Confirm": (pb.ConfirmStepRequest, self.confirm),
            "Tell": (pb.TellChangeRequest, self.tell),
            "Changes": (pb.PeerChangesRequest, self.changes),
        }

    def search(self, caller: MemberInfo, request: pb.PeerSearchRequest) -> pb.PeerSearchResponse:
        """What there is of a patient, without a value."""
        purpose = fields.purpose(request.purpose)
        offers = answer_peer(self._medical.speaking.dialogue, caller, tuple(request.pseudonyms), purpose)
        return pb.PeerSearchResponse(offers=[encode_offer(offer) for offer in offers])

    def open(self, caller: MemberInfo, turn: pb.StepTurn) -> pb.StepTurnAnswer:
        """A turn of an opening."""
        return self._turn(caller, turn, opens=True)

    def decide(self, caller: MemberInfo, turn: pb.StepTurn) -> pb.StepTurnAnswer:
        """The turn of a decision before its receipt."""
        return self._turn(caller, turn, opens=False)

    def confirm(self, caller: MemberInfo, request: pb.ConfirmStepRequest) -> pb.ConfirmStepResponse:
        """The receipt both signed, where it did not come in the dialogue itself."""
        if len(request.countersigned) > MAX_RECEIPT_BYTES:
            raise fields.refuse("countersigned", "is too large for a receipt", actual=len(request.countersigned))
        if bool(request.countersigned) == bool(request.signature) or len(request.signature) not in (0, 64):
            raise fields.refuse("signature", "stands in the place of countersigned, with 64 bytes")
        step = fields.id32("step", request.step)
        receipt, signature = bytes(request.countersigned), bytes(request.signature)
        index = self._medical.speaking.answering.confirm(caller, step, receipt, signature)
        return pb.ConfirmStepResponse(log_index=index)

    def tell(self, caller: MemberInfo, request: pb.TellChangeRequest) -> pb.TellChangeResponse:
        """A report that was opened here was corrected or withdrawn."""
        index = self._medical.speaking.changes.take(caller.uscc, bytes(request.notice))
        return pb.TellChangeResponse(log_index=index)

    def changes(self, caller: MemberInfo, request: pb.PeerChangesRequest) -> pb.PeerChangesResponse:
        """What the caller was not told yet."""
        if len(request.received) > MAX_NOTICES:
            raise fields.refuse("received", f"are at most {MAX_NOTICES}", actual=len(request.received))
        received = frozenset(fields.id32("received", digest) for digest in request.received)
        fields.number("wait_ms", request.wait_ms, 0, MAX_WAIT_MS)
        return pb.PeerChangesResponse(notices=self._medical.speaking.changes.fetch(caller, received))

    def _turn(self, caller: MemberInfo, turn: pb.StepTurn, *, opens: bool) -> pb.StepTurnAnswer:
        signed = _request(turn.request)
        if (decode_step(signed).kind is StepKind.OPEN) != opens:
            raise fields.refuse("request", "is not what this method is for", "an opening to Open, a decision to Decide")
        parts: list[Message] = []
        try:
            with self._medical.speaking.answering.serve(caller, signed, self._secret) as serving:
                if opens:
                    parts.extend(_chunks(serving))
                if turn.acknowledgement or not opens:
                    if opens and bytes(turn.ciphertext_digest) != serving.ending.ciphertext_digest:
                        raise UnavailableError(
                            "exchange.interrupted",
                            "the ciphertext that was sent before is not known any more: this node was started anew",
                            hint="repeat with the same nonce",
                        )
                    parts = [_release(serving, bytes(turn.acknowledgement))]
        except LedgerError as error:
            parts = [_refusal(error)]
        return pb.StepTurnAnswer(parts=parts)


class MedicalPeerService(rpc.MedicalPeerServiceServicer):
    """What other hospitals' nodes ask."""

    def __init__(self, context: NodeContext) -> None:
        self._medical = context.medical
        self._calls = PeerCalls(context)

    def Search(self, request: pb.PeerSearchRequest, call: Call) -> pb.PeerSearchResponse:
        """What there is of a patient, without a value."""
        return self._calls.search(call.caller.info, request)

    def Step(self, requests: Iterator[Message], call: Call) -> Iterator[Message]:
        """Request, then refusal or what is released, countersigned receipt, done."""
        # A consumer that stalls must not hold a worker for ever.
        timer = threading.Timer(STEP_S, call.cancel)
        timer.daemon = True
        timer.start()
        try:
            signed = _request(_part(next(requests, None), "request"))
            try:
                with self._medical.speaking.answering.serve(call.caller.info, signed) as serving:
                    yield from _dialogue(serving, requests)
            except LedgerError as error:
                yield _refusal(error)
        finally:
            timer.cancel()

    def Open(self, request: pb.StepTurn, call: Call) -> pb.StepTurnAnswer:
        """A turn of an opening."""
        return self._calls.open(call.caller.info, request)

    def Decide(self, request: pb.StepTurn, call: Call) -> pb.StepTurnAnswer:
        """The turn of a decision before its receipt."""
        return self._calls.decide(call.caller.info, request)

    def Confirm(self, request: pb.ConfirmStepRequest, call: Call) -> pb.ConfirmStepResponse:
        """The receipt both signed, of a step whose dialogue broke off."""
        return self._calls.confirm(call.caller.info, request)

    def Tell(self, request: pb.TellChangeRequest, call: Call) -> pb.TellChangeResponse:
        """A report that was opened here was corrected or withdrawn."""
        return self._calls.tell(call.caller.info, request)

    def Changes(self, request: pb.PeerChangesRequest, call: Call) -> pb.PeerChangesResponse:
        """What the caller was not told yet."""
        return self._calls.changes(call.caller.info, request)


def _dialogue(serving: Serving, requests: Iterator[Message]) -> Iterator[Message]:
    acknowledgement = b""
    if serving.request.kind is StepKind.OPEN:
        yield from _chunks(serving)
        acknowledgement = bytes(_part(next(requests, None), "acknowledgement").signature)
    yield _release(serving, acknowledgement)
    countersigned = bytes(_part(next(requests, None), "countersigned"))
    if len(countersigned) > MAX_RECEIPT_BYTES:
        raise fields.refuse("countersigned", "is too large for a receipt", actual=len(countersigned))
    yield Message(done=peer_pb2.ExchangeDone(log_index=serving.complete(countersigned)))


def _chunks(serving: Serving) -> Iterator[Message]:
    for chunk in serving.chunks():
        yield Message(chunk=chunk)
    ending = serving.ending
    yield Message(
        end=pb.MedicalEnd(
            ciphertext_digest=ending.ciphertext_digest,
            byte_count=ending.byte_count,
            commitment=ending.commitment,
            offer=ending.offer,
        )
    )


def _release(serving: Serving, acknowledgement: bytes) -> Message:
    release = serving.release(acknowledgement)
    return Message(release=peer_pb2.ExchangeRelease(key=release.key, salt=release.salt, receipt=release.receipt))


def _refusal(error: LedgerError) -> Message:
    return Message(refusal=peer_pb2.ExchangeRefusal(code=error.code, message=error.message, hint=error.hint))


def _request(data: bytes) -> bytes:
    if len(data) > MAX_STEP_BYTES:
        raise fields.refuse("request", "is too large", expected=MAX_STEP_BYTES, actual=len(data))
    return bytes(data)


def _part(message: Message | None, part: str) -> Any:
    if message is None:
        raise UnavailableError(
            "exchange.interrupted",
            f"the asking hospital's node ended the dialogue before its {part}",
            hint="repeat with the same nonce",
        )
    if message.WhichOneof("part") != part:
        raise InvalidInputError(
            "exchange.order",
            f"the asking hospital did not send its {part} in turn",
            hint="compare the versions of both nodes",
        )
    return getattr(message, part)
