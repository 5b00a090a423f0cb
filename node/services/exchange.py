"""ExchangeService (for the department's own systems) and PeerExchangeService (between nodes): the messages of the
exchange dialogue. What they mean is in ``node.exchange``."""

from __future__ import annotations

import queue
import secrets
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import grpc
import structlog

from ledger.errors import ConflictError, InvalidInputError, LedgerError, UnavailableError
from ledger.v1 import department_pb2, department_pb2_grpc, peer_pb2, peer_pb2_grpc
from node.documents import Documents
from node.exchange.consumer import Consuming, Use
from node.exchange.provider import Provider, Serving
from node.licences.fetching import MAX_HOLDER, Subject
from node.rpc import translate
from node.rpc.auth import Call
from node.rpc.errors import from_peer, refusal
from node.services import fields

if TYPE_CHECKING:
    from node.context import NodeContext

log = structlog.get_logger(__name__)

#: The longest a dialogue may take, seconds: it holds a worker of both nodes.
DIALOGUE_S = 600.0
_STATES = ("", "half", "complete", "refused")
MAX_REQUEST = 32_768
MAX_RECEIPT = 16_384

Message = peer_pb2.ExchangeMessage


class PeerExchangeService(peer_pb2_grpc.PeerExchangeServiceServicer):
    """The provider's side of the dialogue."""

    def __init__(self, context: NodeContext, documents: Documents) -> None:
        self._provider = Provider(context, documents)

    def Exchange(self, requests: Iterator[Message], call: Call) -> Iterator[Message]:
        """Request, then refusal or chunks and end, then acknowledgement, release, countersigned receipt, done."""
        # A consumer that stalls must not hold a worker for ever.
        timer = threading.Timer(DIALOGUE_S, call.cancel)
        timer.daemon = True
        timer.start()
        try:
            first = next(requests, None)
            signed = _part(first, "request")
            if len(signed) > MAX_REQUEST:
                raise fields.refuse("request", "is larger than 32 KiB", expected=MAX_REQUEST, actual=len(signed))
            try:
                with self._provider.serve(call.caller.member, bytes(signed), _subject(first)) as serving:
                    yield from _dialogue(serving, requests)
            except LedgerError as error:
                yield Message(refusal=peer_pb2.ExchangeRefusal(code=error.code, message=error.message, hint=error.hint))
        finally:
            timer.cancel()


def _dialogue(serving: Serving, requests: Iterator[Message]) -> Iterator[Message]:
    for chunk in serving.chunks():
        yield Message(chunk=chunk)
    ending = serving.ending
    yield Message(
        end=peer_pb2.ExchangeEnd(
            ciphertext_digest=ending.ciphertext_digest,
            byte_count=ending.byte_count,
            commitment=ending.commitment,
        )
    )
    acknowledgement = _expect(requests, "acknowledgement")
    release = serving.release(bytes(acknowledgement.signature))
    yield Message(release=peer_pb2.ExchangeRelease(key=release.key, salt=release.salt, receipt=release.receipt))
    countersigned = _expect(requests, "countersigned")
    if len(countersigned) > MAX_RECEIPT:
        raise fields.refuse("countersigned", "is too large for a receipt", actual=len(countersigned))
    yield Message(done=peer_pb2.ExchangeDone(log_index=serving.complete(bytes(countersigned))))


class ExchangeService(department_pb2_grpc.ExchangeServiceServicer):
    """The consumer's side, for the department's own systems."""

    def __init__(self, context: NodeContext) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._active: set[bytes] = set()

    def Pull(self, request: department_pb2.PullRequest, call: Call) -> Iterator[department_pb2.PullResponse]:
        """Fetch data under a grant. Nothing comes before the receipt is signed by both sides and kept here."""
        use = Use(
            grant=fields.optional_id32("grant", request.grant) or b"",
            dataset=fields.optional_id32("dataset", request.dataset) or b"",
            purpose=fields.purpose(request.purpose) if request.purpose else "",
            nonce=fields.optional_id32("nonce", request.nonce) or secrets.token_bytes(32),
            query=fields.json_object("query", request.query, required=False, limit=16_384),
            operator=fields.text("operator_pseudonym", request.operator_pseudonym, limit=128, required=False),
        )
        if not use.grant and not use.dataset:
            raise fields.refuse("grant", "is required (or the dataset, to ask without a grant)")
        with self.one_at_a_time(use.nonce), closing(Consuming.begin(self._context, use)) as consuming:
            self.converse(consuming)
            for chunk in consuming.plain():
                yield department_pb2.PullResponse(chunk=chunk)
            yield department_pb2.PullResponse(receipt=translate.receipt(consuming.entry))

    @contextmanager
    def one_at_a_time(self, nonce: bytes) -> Iterator[None]:
        """A nonce is one exchange: two calls that find it unused must not both sign a request for it."""
        with self._lock:
            if nonce in self._active:
                raise ConflictError(
                    "exchange.in-progress", "this nonce is being pulled at this moment", hint="wait for that call"
                )
            self._active.add(nonce)
        try:
            yield
        finally:
            with self._lock:
                self._active.discard(nonce)

    def List(self, request: department_pb2.ListExchangesRequest, call: Call) -> department_pb2.ListExchangesResponse:
        """Exchanges of both roles in order of time, with their receipts."""
        state: Any = fields.word("state", request.state, _STATES) or None
        size = fields.number("page_size", request.page_size, 0, fields.MAX_PAGE) or fields.DEFAULT_PAGE
        try:
            token = bytes.fromhex(request.page_token[:400])
        except ValueError:
            raise fields.refuse("page_token", "was not made by this node") from None
        entries, following = self._context.exchanges.page(
            grant=fields.optional_id32("grant", request.grant),
            dataset=fields.optional_id32("dataset", request.dataset),
            state=state,
            page_size=size,
            token=token,
        )
        return department_pb2.ListExchangesResponse(
            # What was only begun has no receipt to show: it ends as one of the three states, or is given back.
            receipts=[translate.receipt(entry) for entry in entries if entry.state != "begun"],
            next_page_token=following.hex(),
        )

    def converse(self, consuming: Consuming, subject: peer_pb2.ExchangeSubject | None = None) -> None:
        """The dialogue with the provider's node, up to the countersigned receipt. ``subject``: whom it is about."""
        outgoing: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        provider = consuming.request.provider
        answers: Any = None
        try:
            stub = peer_pb2_grpc.PeerExchangeServiceStub(self._context.peers.channel(provider))
            outgoing.put(Message(request=consuming.entry.request, subject=subject))
            answers = stub.Exchange(iter(outgoing.get, None), timeout=DIALOGUE_S)
            for answer in answers:
                kind = answer.WhichOneof("part")
                if kind == "refusal":
                    part = answer.refusal
                    raise consuming.refused(refusal(part.code, part.message, part.hint))
                if kind == "done":
                    return
                reply = _reply(consuming, kind, answer)
                if reply is not None:
                    outgoing.put(reply)
        except grpc.RpcError as error:
            if not consuming.complete:
                raise from_peer(error, f"the node of {provider}") from error
            # Both signatures are here; the provider's copy is half until the same nonce is pulled again.
            log.warning("exchange.unconfirmed", provider=provider, exchange=consuming.entry.id.hex())
        finally:
            outgoing.put(None)
            if answers is not None:
                answers.cancel()
        if not consuming.complete:
            raise UnavailableError(
                "exchange.interrupted",
                "the provider's node ended the dialogue before the receipt",
                hint="pull again with the same nonce",
            )


def _reply(consuming: Consuming, kind: str | None, answer: Message) -> Message | None:
    if kind == "chunk":
        consuming.receive(answer.chunk)
        return None
    if kind == "end":
        end = answer.end
        signature = consuming.acknowledge(end.ciphertext_digest, end.byte_count)
        return Message(acknowledgement=peer_pb2.ExchangeAcknowledgement(signature=signature))
    if kind == "release":
        part = answer.release
        return Message(countersigned=consuming.accept(part.key, part.salt, part.receipt))
    raise InvalidInputError(
        "exchange.order", f"the provider sent {kind} out of turn", hint="compare the versions of both nodes"
    )


def _expect(requests: Iterator[Message], part: str) -> Any:
    return _part(next(requests, None), part)


def _part(message: Message | None, part: str) -> Any:
    if message is None:
        raise UnavailableError(
            "exchange.interrupted",
            f"the consumer's node ended the dialogue before its {part}",
            hint="pull again with the same nonce",
        )
    if message.WhichOneof("part") != part:
        raise InvalidInputError(
            "exchange.order", f"the consumer did not send its {part} in turn", hint="compare the versions of both nodes"
        )
    return getattr(message, part)


def _subject(first: Message | None) -> Subject | None:
    """Whom a request for a licence is about, where it says so."""
    if first is None or not first.HasField("subject"):
        return None
    holder = fields.text("subject.holder", first.subject.holder, limit=MAX_HOLDER)
    return Subject(salt=fields.id32("subject.salt", first.subject.salt), holder=holder)
