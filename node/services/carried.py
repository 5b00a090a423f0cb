"""Calls of other hospitals' nodes that a gateway carries: the envelope is judged, its call is done as of the member
that signed it, the answer is sealed to that call and signed. The connection authorises nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.message import DecodeError, Message

from ledger.errors import FatalError, InvalidInputError, LedgerError, UnavailableError
from ledger.evidence.carried import decode_carried, sign_answer
from ledger.evidence.envelope import envelope_digest
from ledger.model import KeyRole, MemberInfo
from ledger.v1 import medical_pb2, peer_pb2, recognition_pb2
from node.citizens.limits import Bucket
from node.forward import CARRIED, Forwarded, accept, domain_of
from node.medical.sealing import seal
from node.services.medicalpeer import MAX_WAIT_MS, PeerCalls

if TYPE_CHECKING:
    from node.context import NodeContext

#: Calls of one member, and of one address (a gateway carries many hospitals' calls): a minute, and at once.
_MEMBER: Final = (6_000.0, 1_000)
_ADDRESS: Final = (60_000.0, 5_000)
#: Calls done at a time, and calls that wait for a change: they must not take every thread of the public door.
_AT_A_TIME: Final = 16
_WAITING: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """A call whose envelope passed. ``digest``: of the envelope, 32 bytes; ``wait_ms``: how long it waits for a change
    where there is none."""

    caller: MemberInfo
    message: Message
    behaviour: Callable[[MemberInfo, Any], Message]
    reply_key: bytes
    digest: bytes
    wait_ms: int = 0


class Door:
    """What stands behind the node's public door for envelopes. Thread-safe."""

    def __init__(self, context: NodeContext, is_open: Callable[[], bool]) -> None:
        self._context = context
        self._is_open = is_open
        self._methods = PeerCalls(context).methods
        if {f"/ledger.v1.MedicalPeerService/{name}" for name in self._methods} != CARRIED:
            raise ValueError("the table of carried methods and their handlers differ")
        self._members = Bucket(*_MEMBER, context.clock)
        self._addresses = Bucket(*_ADDRESS, context.clock)
        self._places = threading.BoundedSemaphore(_AT_A_TIME)
        self._waiting = threading.BoundedSemaphore(_WAITING)

    def admit(self, address: str, data: bytes) -> Admitted:
        """Judge an envelope; afterwards it is used up.

        Raises: UnavailableError(node.starting | forward.*), InvalidInputError(envelope.field | input.field), and as
        :func:`node.forward.accept`.
        """
        if not self._is_open():
            raise UnavailableError("node.starting", "this node does not serve yet", hint="try again in a moment")
        _take(self._addresses, address.encode())
        call = decode_carried(data)
        envelope = call.envelope
        item = Forwarded(
            chain=envelope.chain,
            caller=envelope.caller,
            target=envelope.target,
            method=envelope.method,
            body=call.body,
            nonce=envelope.nonce,
            expires_ms=envelope.expires,
            signature=call.signature,
        )
        caller = accept(self._context, item, CARRIED)
        _take(self._members, envelope.caller.encode())
        message, behaviour = self._methods[envelope.method.rpartition("/")[2]]
        try:
            request = recognition_pb2.SealedRequest.FromString(call.body)
            body = message.FromString(request.message)
        except DecodeError as error:
            raise InvalidInputError(
                "input.field",
                f"body: is no SealedRequest with a {message.__name__}: {error}",
                hint="see proto/ledger/v1/recognition.proto",
            ) from error
        if len(request.reply_key) != 32:
            raise InvalidInputError(
                "envelope.reply-key",
                "the key that the answer is to be sealed to has 32 bytes",
                hint="make a fresh X25519 key for each call",
            )
        wait = body.wait_ms if isinstance(body, medical_pb2.PeerChangesRequest) else 0
        return Admitted(
            caller=caller.info,
            message=body,
            behaviour=behaviour,
            reply_key=bytes(request.reply_key),
            digest=envelope_digest(domain_of(self._context), envelope),
            wait_ms=min(wait, MAX_WAIT_MS),
        )

    def answer(self, call: Admitted) -> bytes:
        """Do what was asked; a SealedAnswer, in which a refusal too is told to nobody but the caller.

        Raises: UnavailableError(forward.busy), InvalidInputError(envelope.reply-key), FatalError.
        """
        content = recognition_pb2.SealedContent()
        with _place(self._places):
            try:
                content.message = call.behaviour(call.caller, call.message).SerializeToString()
            except FatalError:
                raise
            except LedgerError as error:
                self._context.metrics.refused(error.code)
                part = peer_pb2.ExchangeRefusal(code=error.code, message=error.message, hint=error.hint)
                content.refusal.CopyFrom(part)
        sealed = seal(content.SerializeToString(), call.reply_key, call.digest)
        signature = sign_answer(self._context.signers[KeyRole.RECEIPT], call.digest, sealed)
        return recognition_pb2.SealedAnswer(sealed=sealed, signature=signature).SerializeToString()

    # --- waiting for a change -----------------------------------------------------------------------------------------

    def waiting(self) -> AbstractContextManager[None]:
        """A place among the calls that wait. Raises: UnavailableError(forward.busy)."""
        return _place(self._waiting)

    @property
    def noticed(self) -> int:
        """Moves whenever there is a new change to be told of."""
        return self._context.medical.speaking.changes.noticed

    def has_news(self, call: Admitted) -> bool:
        """Whether a call that waits for a change has an answer: a change, or a refusal."""
        try:
            with _place(self._places):
                answer = call.behaviour(call.caller, call.message)
        except LedgerError:
            return True
        return not isinstance(answer, medical_pb2.PeerChangesResponse) or bool(answer.notices)


@contextmanager
def _place(places: threading.BoundedSemaphore) -> Iterator[None]:
    if not places.acquire(blocking=False):
        raise UnavailableError(
            "forward.busy", "this node is answering enough carried calls at this moment", hint="call again in a moment"
        )
    try:
        yield
    finally:
        places.release()


def _take(bucket: Bucket, name: bytes) -> None:
    try:
        bucket.take(name)
    except UnavailableError as error:
        raise UnavailableError(
            "forward.too-often", "this node was called too often", hint="wait a minute and call again"
        ) from error
