"""Calls carried by somebody without authority: the signed envelope as JSON, and the answer that its carrier cannot
change.

The envelope binds the question (``ledger.evidence.envelope``); its digest stands in the answer's signature, so that an
answer to one question is none to another.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

import msgspec

from ledger.codec import domain_digest
from ledger.errors import InvalidInputError
from ledger.evidence.envelope import Envelope, body_digest
from ledger.evidence.request import check_receipt_signer, verify_party
from ledger.identifiers import parse_uscc
from ledger.keys import Signer

#: The largest body that is carried, bytes: a receipt of a panel, and room; and an envelope of it in JSON.
MAX_BODY: Final = 192 << 10
MAX_ENVELOPE: Final = (MAX_BODY + 2) // 3 * 4 + 2_048
#: The largest answer, bytes: a report of 6 MiB, sealed.
MAX_ANSWER: Final = (6 << 20) + (1 << 19)
_SIGNATURE_BYTES: Final = 65


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """A call as it is carried. ``signature``: 65 bytes over the envelope, whose body digest is that of ``body``."""

    envelope: Envelope
    body: bytes
    signature: bytes


class CarriedFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The JSON object of a carried call: digests and nonce in hex, body and signature in Base64."""

    chain: str
    caller: str
    target: str
    method: str
    body: bytes
    nonce: str
    expires: int
    signature: bytes


def to_file(call: Carried) -> CarriedFile:
    """The JSON object of a call."""
    envelope = call.envelope
    return CarriedFile(
        chain=envelope.chain.hex(),
        caller=envelope.caller,
        target=envelope.target,
        method=envelope.method,
        body=call.body,
        nonce=envelope.nonce.hex(),
        expires=envelope.expires,
        signature=call.signature,
    )


def from_file(file: CarriedFile) -> Carried:
    """The call in a JSON object, nothing of it verified. Raises: InvalidInputError(envelope.field | identifier.*)."""
    chain, nonce = _unhex("chain", file.chain), _unhex("nonce", file.nonce)
    envelope = Envelope(
        chain=chain,
        caller=file.caller,
        target=file.target,
        method=file.method,
        body_digest=body_digest(file.body),
        nonce=nonce,
        expires=file.expires,
    )
    return checked(Carried(envelope=envelope, body=file.body, signature=file.signature))


def checked(call: Carried) -> Carried:
    """The same call, its fields within their bounds and its members in their one spelling.

    Raises: InvalidInputError(envelope.field | identifier.*).
    """
    envelope = call.envelope
    if len(call.body) > MAX_BODY:
        raise _field(f"the body has more than {MAX_BODY} bytes")
    if len(call.signature) != _SIGNATURE_BYTES:
        raise _field(f"a signature has {_SIGNATURE_BYTES} bytes")
    if not len(envelope.chain) == len(envelope.nonce) == 32:
        raise _field("chain and nonce have 32 bytes")
    members = _member("caller", envelope.caller), _member("target", envelope.target)
    if members != (envelope.caller, envelope.target):
        raise _field("a unified social credit code is written in capitals, without blanks")
    return call


def encode_carried(call: Carried) -> bytes:
    """A call as JSON."""
    return msgspec.json.encode(to_file(call))


def decode_carried(data: bytes) -> Carried:
    """The call in JSON. Raises: InvalidInputError(envelope.field | identifier.*)."""
    try:
        return from_file(msgspec.json.decode(data, type=CarriedFile))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        # The decoder's own words name fields, and no value.
        raise _field(f"this is no envelope in JSON: {error}") from error


def answer_digest(envelope: bytes, sealed: bytes) -> bytes:
    """The 32 bytes that are signed: domain ``carried-answer`` over the envelope's digest (32 bytes) and the SHA-256 of
    the sealed answer."""
    return domain_digest("carried-answer", envelope + hashlib.sha256(sealed).digest())


def sign_answer(signer: Signer, envelope: bytes, sealed: bytes) -> bytes:
    """The answering member's signature (64 bytes, Ed25519). Raises: InvalidInputError(key.role)."""
    check_receipt_signer(signer)
    return signer.sign(answer_digest(envelope, sealed))


def verify_answer(key: bytes, envelope: bytes, sealed: bytes, signature: bytes) -> None:
    """Check :func:`sign_answer`; ``key``: a receipt key (32 bytes). Raises: UntrustedError(envelope.answer)."""
    verify_party(key, answer_digest(envelope, sealed), signature, "envelope.answer", "the hospital that answers")


def _unhex(name: str, text: str) -> bytes:
    try:
        data = bytes.fromhex(text)
    except ValueError:
        data = b""
    if len(data) != 32 or data.hex() != text:
        raise _field(f"{name} is 32 bytes in lower-case hex")
    return data


def _member(name: str, text: str) -> str:
    if len(text) > 18:
        raise _field(f"{name} is too long for a unified social credit code")
    return parse_uscc(text)


def _field(problem: str) -> InvalidInputError:
    return InvalidInputError("envelope.field", problem, hint="docs/formats.md, envelope")
