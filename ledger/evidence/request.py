"""Exchange requests: what a consumer asks a provider for, signed (``docs/formats.md``, exchange request).

``{"request": {...}, "signature": base64, "v": 1}`` in JCS; the consumer signs the domain digest ``exchange-request`` of
the inner object's JCS bytes. The exchange id is the domain digest ``exchange`` of the whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import InitVar, dataclass
from typing import Any, Final

from ledger import codec, keys
from ledger.codec import b64, domain_digest, unb64
from ledger.errors import InvalidInputError, LedgerError, UntrustedError
from ledger.evidence.fields import fields, hex_of, text, unhex
from ledger.evidence.seal import Seal
from ledger.identifiers import parse_purpose, parse_uscc
from ledger.keys import Signer
from ledger.model import KeyRole, format_time, parse_time

#: A request is good for at most five minutes.
MAX_REQUEST_MS: Final = 300_000
MAX_REQUEST_BYTES: Final = 32_768
_SEAL: Final = Seal()

_REQUEST_FIELDS: Final = frozenset(
    {"chain", "consumer", "dataset", "expires", "matter", "nonce", "operator", "provider", "purpose", "query", "time"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeRequest:
    """What a consumer asks for. 32 bytes each: ``chain`` (genesis digest), ``dataset``, ``grant`` (None: it has none,
    and will be refused), ``matter`` (digest), ``operator`` (commitment to the pseudonym), ``nonce`` (random).

    ``query``: the scope object asked for, ``{}`` for the whole of the grant. Times in Unix milliseconds.
    """

    chain: bytes
    provider: str
    consumer: str
    grant: bytes | None
    dataset: bytes
    purpose: str
    matter: bytes
    operator: bytes
    query: Mapping[str, Any]
    nonce: bytes
    time_ms: int
    expires_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedRequest:
    """A request whose signature and times hold; made by :func:`verify_request` only. ``exchange``: its id."""

    request: ExchangeRequest
    exchange: bytes
    digest: bytes
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        _SEAL.check(seal)


def sign_request(signer: Signer, request: ExchangeRequest) -> bytes:
    """The signed request's bytes. Raises: InvalidInputError(key.role | exchange.* | json.*)."""
    check_receipt_signer(signer)
    inner = _request_object(request)
    signature = signer.sign(domain_digest("exchange-request", codec.encode(inner)))
    data = codec.encode({"request": inner, "signature": b64(signature), "v": 1})
    if len(data) > MAX_REQUEST_BYTES:
        raise InvalidInputError(
            "exchange.too-large", "the query is too large", expected=MAX_REQUEST_BYTES, actual=len(data)
        )
    return data


def decode_request(data: bytes) -> ExchangeRequest:
    """The request in signed bytes, its signature not yet checked. Raises: InvalidInputError(exchange.request)."""
    return _decode_request(data)[0]


def verify_request(data: bytes, consumer_key: bytes, now_ms: int) -> VerifiedRequest:
    """Check form, times and the consumer's signature (``consumer_key``: its receipt key, 32 bytes).

    Raises: InvalidInputError(exchange.request | exchange.expired | exchange.too-far),
    UntrustedError(exchange.signature).
    """
    request, inner, signature = _decode_request(data)
    if now_ms >= request.expires_ms:
        raise InvalidInputError(
            "exchange.expired", "the request has expired", hint="ask again", expected=now_ms, actual=request.expires_ms
        )
    if request.expires_ms - now_ms > MAX_REQUEST_MS:
        raise InvalidInputError(
            "exchange.too-far",
            "a request expires within five minutes",
            hint="check the clocks of both sides",
            expected=now_ms + MAX_REQUEST_MS,
            actual=request.expires_ms,
        )
    verify_party(
        consumer_key, domain_digest("exchange-request", inner), signature, "exchange.signature", request.consumer
    )
    return VerifiedRequest(request=request, exchange=exchange_id(data), digest=request_digest(data), seal=_SEAL)


def exchange_id(request: bytes) -> bytes:
    """32 bytes: the domain digest ``exchange`` of the signed request's bytes."""
    return domain_digest("exchange", request)


def request_digest(request: bytes) -> bytes:
    """32 bytes: the domain digest ``exchange-request-file`` of the signed request's bytes. The random nonce inside
    keeps it from being guessed back to the query."""
    return domain_digest("exchange-request-file", request)


def sign_acknowledgement(signer: Signer, exchange: bytes, ciphertext_digest: bytes) -> bytes:
    """The consumer's signature (64 bytes) that the whole ciphertext arrived, before the key is released."""
    check_receipt_signer(signer)
    return signer.sign(domain_digest("exchange-acknowledgement", exchange + ciphertext_digest))


def verify_acknowledgement(consumer_key: bytes, exchange: bytes, ciphertext_digest: bytes, signature: bytes) -> None:
    """Check :func:`sign_acknowledgement`. Raises: UntrustedError(exchange.acknowledgement)."""
    message = domain_digest("exchange-acknowledgement", exchange + ciphertext_digest)
    verify_party(consumer_key, message, signature, "exchange.acknowledgement", "the consumer")


def _request_object(request: ExchangeRequest) -> dict[str, Any]:
    if not 0 < request.expires_ms - request.time_ms <= MAX_REQUEST_MS:
        raise InvalidInputError("exchange.expiry", "a request is good for at most five minutes")
    value: dict[str, Any] = {
        "chain": hex_of(request.chain),
        "consumer": parse_uscc(request.consumer),
        "dataset": hex_of(request.dataset),
        "expires": format_time(request.expires_ms),
        "matter": hex_of(request.matter),
        "nonce": hex_of(request.nonce),
        "operator": hex_of(request.operator),
        "provider": parse_uscc(request.provider),
        "purpose": parse_purpose(request.purpose),
        "query": dict(request.query),
        "time": format_time(request.time_ms),
    }
    if request.grant is not None:
        value["grant"] = hex_of(request.grant)
    return value


def _decode_request(data: bytes) -> tuple[ExchangeRequest, bytes, bytes]:
    try:
        value = codec.decode(data, max_bytes=MAX_REQUEST_BYTES)
        fields(value, frozenset({"request", "signature", "v"}))
        inner = value["request"]
        fields(inner, _REQUEST_FIELDS, frozenset({"grant"}))
        if not isinstance(inner["query"], dict):
            raise InvalidInputError("json.fields", "the query is an object")
        request = ExchangeRequest(
            chain=unhex(inner["chain"]),
            provider=parse_uscc(text(inner["provider"])),
            consumer=parse_uscc(text(inner["consumer"])),
            grant=unhex(inner["grant"]) if "grant" in inner else None,
            dataset=unhex(inner["dataset"]),
            purpose=parse_purpose(text(inner["purpose"])),
            matter=unhex(inner["matter"]),
            operator=unhex(inner["operator"]),
            query=inner["query"],
            nonce=unhex(inner["nonce"]),
            time_ms=parse_time(text(inner["time"])),
            expires_ms=parse_time(text(inner["expires"])),
        )
        _request_object(request)
        return request, codec.encode(inner), unb64(text(value["signature"]), 64)
    except LedgerError as error:
        raise InvalidInputError("exchange.request", f"not an exchange request: {error}") from None


def check_receipt_signer(signer: Signer) -> None:
    """Only a ``receipt`` key signs exchanges. Raises: InvalidInputError(key.role)."""
    if signer.role != KeyRole.RECEIPT:
        raise InvalidInputError(
            "key.role", "a receipt key signs this", expected=KeyRole.RECEIPT.word, actual=signer.role.word
        )


def verify_party(key: bytes, message: bytes, signature: bytes, code: str, who: str) -> None:
    """Check one party's Ed25519 signature. Raises: UntrustedError(``code``)."""
    try:
        keys.verify(keys.ED25519, key, message, signature)
    except LedgerError:
        raise UntrustedError(code, f"the signature of {who} does not verify", actual=key) from None
