"""The road through a gateway: each call in an envelope that this member signs for one hospital, the answer sealed to
that call and signed by the hospital.

The gateway learns who calls whom and when, pseudonyms, ids of reports and steps; no offer, no report, no refusal.
"""

from __future__ import annotations

import http.client
import os
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

import msgspec
import structlog
from google.protobuf.message import DecodeError, Message

from ledger.errors import (
    STATUS,
    FatalError,
    InvalidInputError,
    LedgerError,
    UnavailableError,
    UntrustedError,
)
from ledger.evidence.carried import MAX_ANSWER, Carried, to_file, verify_answer
from ledger.evidence.envelope import MAX_AHEAD_MS, Envelope, body_digest, envelope_digest, sign_envelope
from ledger.evidence.medicalreceipt import step_countersignature
from ledger.keys import AccountSigner
from ledger.model import KeyRole, Roles
from ledger.v1 import medical_pb2, recognition_pb2
from node.exchange.parties import by_any_key
from node.forward import domain_of
from node.medical.road import STEP_S, TELL_S, Absent, Direct, Heard, late, reply_to
from node.medical.sealing import ReplyKey
from node.rpc.errors import refusal

if TYPE_CHECKING:
    from node.context import NodeContext
    from node.medical.receiving import Asking

logger = structlog.get_logger("node.medical")

_SERVICE: Final = "/ledger.v1.MedicalPeerService/"
#: Of an answer's JSON: a sealed report in Base64; of a search, many small ones.
_MAX_JSON: Final = 2 * MAX_ANSWER + (1 << 20)
#: What is left of a search's time to the way back from the gateway, milliseconds, and the least it may have.
_WAY_MS: Final = 150
_LEAST_MS: Final = 100
#: Less than an envelope may live, by what clocks may differ.
_LIFE_MS: Final = MAX_AHEAD_MS - 15_000
_M = TypeVar("_M", bound=Message)


class _Answer(msgspec.Struct, frozen=True):
    target: str
    answer: bytes = b""
    code: str = ""
    message: str = ""
    hint: str = ""


class _Answers(msgspec.Struct, frozen=True):
    answers: list[_Answer]


class _Refused(msgspec.Struct, frozen=True):
    code: str
    message: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """A call under way. ``digest``: of its envelope."""

    carried: Carried
    reply: ReplyKey
    digest: bytes

    @property
    def target(self) -> str:
        return self.carried.envelope.target


class CarriedRoad:
    """Calls through one gateway. Thread-safe; a connection for each call."""

    def __init__(self, url: str, ca_file: str) -> None:
        """``url``: ``https://host:port``; ``ca_file``: PEM it is trusted by, "" for the system's authorities.

        Raises: InvalidInputError(medical.gateway-authorities).
        """
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 443
        try:
            self._context = ssl.create_default_context(cafile=ca_file or None)
        except (OSError, ssl.SSLError) as error:
            raise InvalidInputError(
                "medical.gateway-authorities",
                "the file with what the gateway is trusted by cannot be read",
                hint="medical.gateway_ca in node.toml: a PEM file in the node's folder",
            ) from error
        self._context.minimum_version = ssl.TLSVersion.TLSv1_3

    def search(
        self, context: NodeContext, members: Sequence[str], request: medical_pb2.PeerSearchRequest, end: float
    ) -> Heard:
        """As of a road."""
        if not members:
            return Heard(answers=(), absent=())
        left_ms = max(_LEAST_MS, int((end - time.monotonic()) * 1_000) - _WAY_MS)
        calls = [_call(context, member, "Search", request) for member in members]
        answers: list[tuple[str, medical_pb2.PeerSearchResponse]] = []
        absent: list[Absent] = []
        try:
            found = self._several("search", calls, end, {"deadline_ms": left_ms})
        except LedgerError as error:
            return Heard(answers=(), absent=tuple(_missing(call.target, error) for call in calls))
        for call in calls:
            answer = found.get(call.target)
            if answer is None:
                absent.append(late(call.target))
                continue
            try:
                answers.append((call.target, _opened(context, call, answer, medical_pb2.PeerSearchResponse)))
            except LedgerError as error:
                absent.append(_missing(call.target, error))
        return Heard(answers=tuple(answers), absent=tuple(absent))

    def step(self, context: NodeContext, asking: Asking) -> None:
        """As of a road; two or three calls."""
        entry, hospital = asking.entry, asking.request.provider
        if entry.kind == "open":
            sent = medical_pb2.StepTurn(request=entry.request)
            parts = self._one(context, "Open", hospital, sent, medical_pb2.StepTurnAnswer).parts
            turn = medical_pb2.StepTurn(request=entry.request)
            for part in parts:
                reply = reply_to(asking, part)
                if part.WhichOneof("part") == "end" and reply is not None:
                    turn.ciphertext_digest = part.end.ciphertext_digest
                    turn.acknowledgement = reply.acknowledgement.signature
            parts = self._one(context, "Open", hospital, turn, medical_pb2.StepTurnAnswer).parts
        else:
            sent = medical_pb2.StepTurn(request=entry.request)
            parts = self._one(context, "Decide", hospital, sent, medical_pb2.StepTurnAnswer).parts
        for part in parts:
            reply_to(asking, part)
        if asking.entry.state != "complete":
            return
        try:
            self.confirm(context, hospital, entry.id, asking.entry.receipt)
        except LedgerError as error:
            # Both signatures are here; the other hospital is told again by the loop.
            logger.warning("medical.unconfirmed", provider=hospital, step=entry.id.hex(), code=error.code)
        else:
            asking.confirmed()

    def confirm(self, context: NodeContext, hospital: str, step: bytes, countersigned: bytes) -> None:
        """As of a road."""
        # Without the receipt itself: it names the items.
        request = medical_pb2.ConfirmStepRequest(step=step, signature=step_countersignature(countersigned))
        self._one(context, "Confirm", hospital, request, medical_pb2.ConfirmStepResponse)

    def tell(self, context: NodeContext, hospital: str, notice: bytes) -> None:
        """As of a road."""
        info = context.contracts.consortium.member(hospital)
        if info is None or not info.roles & Roles.HOSPITAL:
            # An office that issued by an examination: gateways carry to hospitals alone.
            Direct().tell(context, hospital, notice)
            return
        request = medical_pb2.TellChangeRequest(notice=notice)
        self._one(context, "Tell", hospital, request, medical_pb2.TellChangeResponse, TELL_S)

    def changes(
        self, context: NodeContext, received: Mapping[str, Sequence[bytes]]
    ) -> tuple[list[tuple[str, tuple[bytes, ...]]], list[Absent]]:
        """Ask hospitals for changes this one was not told of. ``received``: hospital -> digests of notices that are
        kept; the notices by hospital, and who is missing. Raises: UnavailableError(gateway.*)."""
        calls = [
            _call(context, member, "Changes", medical_pb2.PeerChangesRequest(received=digests))
            for member, digests in received.items()
        ]
        found = self._several("changes", calls, time.monotonic() + TELL_S, {})
        notices: list[tuple[str, tuple[bytes, ...]]] = []
        absent: list[Absent] = []
        for call in calls:
            try:
                answer = found.get(call.target)
                if answer is None:
                    raise UnavailableError("peer.timeout", f"the node of {call.target} did not answer")
                told = _opened(context, call, answer, medical_pb2.PeerChangesResponse)
                notices.append((call.target, tuple(bytes(notice) for notice in told.notices)))
            except LedgerError as error:
                absent.append(_missing(call.target, error))
        return notices, absent

    # --- inside -------------------------------------------------------------------------------------------------------

    def _one(
        self,
        context: NodeContext,
        method: str,
        target: str,
        request: Message,
        kind: type[_M],
        seconds: float = STEP_S,
    ) -> _M:
        call = _call(context, target, method, request)
        data = self._post(
            f"/v1/recognition/{method.lower()}",
            msgspec.json.encode(to_file(call.carried)),
            time.monotonic() + seconds,
        )
        return _opened(context, call, _decoded(data, _Answer), kind)

    def _several(self, path: str, calls: Sequence[_Call], end: float, more: dict[str, int]) -> dict[str, _Answer]:
        asked = {"envelopes": [to_file(call.carried) for call in calls], **more}
        data = self._post(f"/v1/recognition/{path}", msgspec.json.encode(asked), end)
        return {answer.target: answer for answer in _decoded(data, _Answers).answers}

    def _post(self, path: str, body: bytes, end: float) -> bytes:
        """The body of the gateway's answer. Raises: its refusal; UnavailableError(gateway.unreachable)."""
        connection = http.client.HTTPSConnection(
            self._host, self._port, timeout=max(0.05, end - time.monotonic()), context=self._context
        )
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            data = bytearray()
            while chunk := response.read1(1 << 16):
                data += chunk
                left = end - time.monotonic()
                if left <= 0 or len(data) > _MAX_JSON:
                    raise http.client.HTTPException("too slow, or too much")
                if connection.sock is not None:
                    connection.sock.settimeout(left)
        except (OSError, http.client.HTTPException) as error:
            raise UnavailableError(
                "gateway.unreachable",
                f"the gateway that carries this hospital's calls does not answer: {type(error).__name__}",
                hint="medical.gateway and medical.gateway_ca in node.toml; its operator can say more",
            ) from error
        finally:
            connection.close()
        if response.status != 200:
            raise _refused(response.status, bytes(data))
        return bytes(data)


def _call(context: NodeContext, target: str, method: str, request: Message) -> _Call:
    reply = ReplyKey()
    body = recognition_pb2.SealedRequest(message=request.SerializeToString(), reply_key=reply.public)
    data = body.SerializeToString()
    envelope = Envelope(
        chain=context.genesis_digest,
        caller=context.member,
        target=target,
        method=_SERVICE + method,
        body_digest=body_digest(data),
        nonce=os.urandom(32),
        expires=context.clock() + _LIFE_MS,
    )
    account = context.signers[KeyRole.ACCOUNT]
    if not isinstance(account, AccountSigner):
        raise FatalError("key.wrong-kind", "the account key cannot sign envelopes")
    domain = domain_of(context)
    signature = sign_envelope(account, domain, envelope)
    return _Call(
        carried=Carried(envelope=envelope, body=data, signature=signature),
        reply=reply,
        digest=envelope_digest(domain, envelope),
    )


def _opened(context: NodeContext, call: _Call, answer: _Answer, kind: type[_M]) -> _M:
    """The message in an answer, verified as the hospital's own.

    Raises: UntrustedError(envelope.answer), the hospital's refusal, what the gateway says of a hospital that is away.
    """
    if answer.target != call.target:
        raise _odd("it is another hospital's")
    if answer.code:
        raise UnavailableError(answer.code[:64], answer.message[:500], hint=answer.hint[:500])
    try:
        sealed = recognition_pb2.SealedAnswer.FromString(answer.answer)
        by_any_key(
            context,
            call.target,
            lambda key: verify_answer(key, call.digest, bytes(sealed.sealed), bytes(sealed.signature)),
        )
        content = recognition_pb2.SealedContent.FromString(call.reply.open(bytes(sealed.sealed), call.digest))
        if content.WhichOneof("content") == "refusal":
            part = content.refusal
            raise refusal(part.code, part.message, part.hint)
        return kind.FromString(content.message)
    except DecodeError as error:
        raise _odd("it does not decode") from error


def _odd(problem: str) -> UntrustedError:
    return UntrustedError(
        "envelope.answer", f"the gateway brought an answer that is none: {problem}", hint="tell the gateway's operator"
    )


def _decoded(data: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise UnavailableError(
            "gateway.answer",
            "the gateway answered with something else than answers of hospitals",
            hint="medical.gateway in node.toml: is it a gateway of this city, of this version?",
        ) from error


def _refused(status: int, data: bytes) -> LedgerError:
    """The gateway's own refusal; never a FatalError, which would end this node for what is broken there."""
    try:
        said = msgspec.json.decode(data, type=_Refused)
    except msgspec.MsgspecError:
        said = _Refused(code="gateway.answer", message=f"status {status}")
    kinds: dict[int, type[LedgerError]] = {number: kind for kind, (_, number) in STATUS.items()}
    kind = kinds.get(status, UnavailableError)
    if kind is FatalError:
        kind = UnavailableError
    return kind(said.code[:64], said.message[:500], hint=said.hint[:500])


def _missing(member: str, error: LedgerError) -> Absent:
    return Absent(member=member, code=error.code, message=error.message)
