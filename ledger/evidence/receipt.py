"""Receipts of exchanges: what both sides sign (``docs/formats.md``, receipt of an exchange).

The form, its two signatures and its digest are those of :mod:`ledger.evidence.twosigned`, named ``receipt``.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from typing import Any, Final

from ledger import codec
from ledger.evidence.fields import fields, hex_of, integer, text, unhex
from ledger.evidence.request import (
    ExchangeRequest,
    VerifiedRequest,
    decode_request,
    exchange_id,
    request_digest,
    sign_acknowledgement,
    sign_request,
    verify_acknowledgement,
    verify_request,
)
from ledger.evidence.seal import Seal
from ledger.evidence.twosigned import ReceiptState, TwoSigned
from ledger.identifiers import parse_purpose, parse_uscc
from ledger.keys import Signer
from ledger.model import format_time, parse_time

__all__ = [
    "ExchangeRequest",
    "Receipt",
    "VerifiedReceipt",
    "VerifiedRequest",
    "countersign",
    "decode_receipt",
    "decode_request",
    "exchange_id",
    "payload_commitment",
    "provider_sign",
    "receipt_digest",
    "request_digest",
    "sign_acknowledgement",
    "sign_request",
    "verify_acknowledgement",
    "verify_receipt",
    "verify_request",
]

MAX_RECEIPT_BYTES: Final = 8_192
#: The type line of the commitment to a payload.
PAYLOAD_TYPE: Final = "exchange.payload"
_SEAL: Final = Seal()

_RECEIPT_FIELDS: Final = frozenset(
    {
        "block",
        "bytes",
        "chain",
        "commitment",
        "consumer",
        "dataset",
        "exchange",
        "grant",
        "provider",
        "purpose",
        "released",
        "request",
        "requested",
        "scope",
        "version",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What both sides confirm. 32 bytes each: ``chain``, ``exchange``, ``request`` (digest of the signed request),
    ``grant``, ``dataset``, ``version`` (content digest), ``scope`` (digest), ``commitment`` (to the payload), ``block``
    (hash of the block at which the grant was checked). ``byte_count``: size of the payload in clear."""

    chain: bytes
    exchange: bytes
    request: bytes
    grant: bytes
    dataset: bytes
    version: bytes
    scope: bytes
    provider: str
    consumer: str
    purpose: str
    commitment: bytes
    byte_count: int
    requested_ms: int
    released_ms: int
    block: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedReceipt:
    """A receipt whose signatures verify; made by :func:`verify_receipt` only. ``digest``: as both logs record it."""

    receipt: Receipt
    state: ReceiptState
    digest: bytes
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        _SEAL.check(seal)


def payload_commitment(salt: bytes, payload_digest: bytes) -> bytes:
    """The commitment to a payload, given its SHA-256 and the salt both sides share (32 bytes each)."""
    return codec.commitment_of_digest(PAYLOAD_TYPE, salt, payload_digest)


def provider_sign(signer: Signer, receipt: Receipt) -> bytes:
    """A half receipt: the provider's signature only. Raises: InvalidInputError(key.role)."""
    return _SIGNED.sign(signer, receipt)


def countersign(signer: Signer, half: bytes, provider_key: bytes) -> bytes:
    """The complete receipt, after the provider's signature was checked.

    Raises: UntrustedError(receipt.provider), ConflictError(receipt.complete), InvalidInputError(receipt.format).
    """
    return _SIGNED.countersign(signer, half, provider_key)


def decode_receipt(data: bytes) -> tuple[Receipt, ReceiptState]:
    """The receipt in bytes and what it claims to be; signatures not yet checked.

    Raises: InvalidInputError(receipt.format).
    """
    signed = _SIGNED.decode(data)
    return signed.receipt, signed.state


def verify_receipt(data: bytes, provider_key: bytes, consumer_key: bytes | None) -> VerifiedReceipt:
    """Check a receipt's signatures by the two receipt keys (32 bytes each).

    ``consumer_key`` None: only a half receipt is expected, and a countersignature is refused as unchecked.
    Raises: UntrustedError(receipt.provider | receipt.consumer), InvalidInputError(receipt.format).
    """
    signed = _SIGNED.verify(data, provider_key, consumer_key)
    return VerifiedReceipt(receipt=signed.receipt, state=signed.state, digest=receipt_digest(data), seal=_SEAL)


def receipt_digest(data: bytes) -> bytes:
    """32 bytes: the domain digest ``receipt-file`` of a receipt's bytes, as it stands in both logs."""
    return _SIGNED.digest(data)


def _receipt_object(receipt: Receipt) -> dict[str, Any]:
    return {
        "block": hex_of(receipt.block),
        "bytes": receipt.byte_count,
        "chain": hex_of(receipt.chain),
        "commitment": hex_of(receipt.commitment),
        "consumer": parse_uscc(receipt.consumer),
        "dataset": hex_of(receipt.dataset),
        "exchange": hex_of(receipt.exchange),
        "grant": hex_of(receipt.grant),
        "provider": parse_uscc(receipt.provider),
        "purpose": parse_purpose(receipt.purpose),
        "released": format_time(receipt.released_ms),
        "request": hex_of(receipt.request),
        "requested": format_time(receipt.requested_ms),
        "scope": hex_of(receipt.scope),
        "version": hex_of(receipt.version),
    }


def _read(inner: Any) -> Receipt:
    fields(inner, _RECEIPT_FIELDS)
    return Receipt(
        chain=unhex(inner["chain"]),
        exchange=unhex(inner["exchange"]),
        request=unhex(inner["request"]),
        grant=unhex(inner["grant"]),
        dataset=unhex(inner["dataset"]),
        version=unhex(inner["version"]),
        scope=unhex(inner["scope"]),
        provider=parse_uscc(text(inner["provider"])),
        consumer=parse_uscc(text(inner["consumer"])),
        purpose=parse_purpose(text(inner["purpose"])),
        commitment=unhex(inner["commitment"]),
        byte_count=integer(inner["bytes"]),
        requested_ms=parse_time(text(inner["requested"])),
        released_ms=parse_time(text(inner["released"])),
        block=unhex(inner["block"]),
    )


_SIGNED: Final = TwoSigned(
    name="receipt", title="a receipt", max_bytes=MAX_RECEIPT_BYTES, write=_receipt_object, read=_read
)
