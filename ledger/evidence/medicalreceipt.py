"""Receipts of medical steps: what both hospitals sign (``docs/formats.md``, receipt of a medical step).

The form, its two signatures and its digest are those of :mod:`ledger.evidence.twosigned`, named ``medical-receipt``.
Neither patient nor value is in it; what was opened is a salted commitment.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from typing import Any, Final

from ledger import codec
from ledger.errors import InvalidInputError
from ledger.evidence.fields import array, fields, hex_of, integer, text, unhex
from ledger.evidence.medicalstep import MAX_PLACES, StepKind, reason_code
from ledger.evidence.seal import Seal
from ledger.evidence.twosigned import ReceiptState, TwoSigned
from ledger.identifiers import parse_purpose, parse_uscc
from ledger.keys import Signer
from ledger.model import format_time, parse_time

MAX_RECEIPT_BYTES: Final = 131_072
#: The type line of the commitment to a report that was opened.
PAYLOAD_TYPE: Final = "medical.report"
_SEAL: Final = Seal()

_FIELDS: Final = frozenset(
    {
        "block",
        "bytes",
        "chain",
        "commitment",
        "consumer",
        "items",
        "kind",
        "offer",
        "provider",
        "purpose",
        "released",
        "report",
        "request",
        "requested",
        "rules",
        "step",
        "version",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReceipt:
    """What both hospitals confirm. 32 bytes each: ``chain``, ``step`` (its id), ``request`` (digest of the signed
    request), ``report``, ``rules`` (digest of the rule set the provider has in force), ``commitment`` (to the report
    that was opened; a decision repeats its opening's), ``offer`` (digest of what was offered), ``block`` (hash of the
    block at which the rules were looked up).

    ``items``: place in the report and item of the rule set ("" where unmapped) of each item the step is about;
    ``byte_count``: size of what was opened, 0 of a decision.
    """

    chain: bytes
    step: bytes
    request: bytes
    kind: StepKind
    report: bytes
    version: int
    items: tuple[tuple[int, str], ...]
    purpose: str
    rules_version: int
    rules: bytes
    provider: str
    consumer: str
    commitment: bytes
    offer: bytes
    byte_count: int
    requested_ms: int
    released_ms: int
    block: bytes
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedStepReceipt:
    """A receipt whose signatures verify; made by :func:`verify_step_receipt` only. ``digest``: as both logs record
    it."""

    receipt: StepReceipt
    state: ReceiptState
    digest: bytes
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        _SEAL.check(seal)


def report_commitment(salt: bytes, payload_digest: bytes) -> bytes:
    """The commitment to a report, given its SHA-256 and the salt both sides share (32 bytes each)."""
    return codec.commitment_of_digest(PAYLOAD_TYPE, salt, payload_digest)


def sign_step_receipt(signer: Signer, receipt: StepReceipt) -> bytes:
    """A half receipt: the provider's signature only. Raises: InvalidInputError(key.role | json.fields)."""
    return _SIGNED.sign(signer, receipt)


def countersign_step(signer: Signer, half: bytes, provider_key: bytes) -> bytes:
    """The complete receipt, after the provider's signature was checked.

    Raises: UntrustedError(receipt.provider), ConflictError(receipt.complete), InvalidInputError(receipt.format).
    """
    return _SIGNED.countersign(signer, half, provider_key)


def step_countersignature(complete: bytes) -> bytes:
    """The consumer's signature alone (64 bytes), for the hospital that has the half receipt.

    Raises: InvalidInputError(receipt.format), ConflictError(receipt.half).
    """
    return _SIGNED.countersignature(complete)


def with_step_countersignature(half: bytes, signature: bytes) -> bytes:
    """The complete receipt of a half one and the consumer's signature (64 bytes), which is not checked.

    Raises: InvalidInputError(receipt.format).
    """
    return _SIGNED.with_countersignature(half, signature)


def decode_step_receipt(data: bytes) -> tuple[StepReceipt, ReceiptState]:
    """The receipt in bytes and what it claims to be; signatures not yet checked.

    Raises: InvalidInputError(receipt.format).
    """
    signed = _SIGNED.decode(data)
    return signed.receipt, signed.state


def verify_step_receipt(data: bytes, provider_key: bytes, consumer_key: bytes | None) -> VerifiedStepReceipt:
    """Check a receipt's signatures by the two receipt keys (32 bytes each).

    ``consumer_key`` None: only a half receipt is expected, and a countersignature is refused as unchecked.
    Raises: UntrustedError(receipt.provider | receipt.consumer), InvalidInputError(receipt.format).
    """
    signed = _SIGNED.verify(data, provider_key, consumer_key)
    return VerifiedStepReceipt(receipt=signed.receipt, state=signed.state, digest=step_receipt_digest(data), seal=_SEAL)


def step_receipt_digest(data: bytes) -> bytes:
    """32 bytes: the domain digest ``medical-receipt-file`` of a receipt's bytes, as it stands in both logs."""
    return _SIGNED.digest(data)


def _object(receipt: StepReceipt) -> dict[str, Any]:
    if (receipt.kind is StepKind.RETEST) != bool(receipt.reason):
        raise InvalidInputError("json.fields", "a re-test has a reason, and nothing else does")
    value: dict[str, Any] = {
        "block": hex_of(receipt.block),
        "bytes": receipt.byte_count,
        "chain": hex_of(receipt.chain),
        "commitment": hex_of(receipt.commitment),
        "consumer": parse_uscc(receipt.consumer),
        "items": [{"item": item, "place": place} for place, item in receipt.items],
        "kind": receipt.kind.value,
        "offer": hex_of(receipt.offer),
        "provider": parse_uscc(receipt.provider),
        "purpose": parse_purpose(receipt.purpose),
        "released": format_time(receipt.released_ms),
        "report": hex_of(receipt.report),
        "request": hex_of(receipt.request),
        "requested": format_time(receipt.requested_ms),
        "rules": {"digest": hex_of(receipt.rules), "version": receipt.rules_version},
        "step": hex_of(receipt.step),
        "version": receipt.version,
    }
    if receipt.reason:
        value["reason"] = reason_code(receipt.reason)
    return value


def _read(inner: Any) -> StepReceipt:
    fields(inner, _FIELDS, frozenset({"reason"}))
    rules = fields(inner["rules"], frozenset({"digest", "version"}))
    receipt = StepReceipt(
        chain=unhex(inner["chain"]),
        step=unhex(inner["step"]),
        request=unhex(inner["request"]),
        kind=StepKind(text(inner["kind"])),
        report=unhex(inner["report"]),
        version=integer(inner["version"]),
        items=tuple(_item(item) for item in array(inner["items"], MAX_PLACES)),
        purpose=parse_purpose(text(inner["purpose"])),
        rules_version=integer(rules["version"]),
        rules=unhex(rules["digest"]),
        provider=parse_uscc(text(inner["provider"])),
        consumer=parse_uscc(text(inner["consumer"])),
        commitment=unhex(inner["commitment"]),
        offer=unhex(inner["offer"]),
        byte_count=integer(inner["bytes"]),
        requested_ms=parse_time(text(inner["requested"])),
        released_ms=parse_time(text(inner["released"])),
        block=unhex(inner["block"]),
        reason=text(inner["reason"]) if "reason" in inner else "",
    )
    if "reason" in inner and not receipt.reason:
        raise InvalidInputError("json.fields", "an empty reason is left out")
    _object(receipt)
    return receipt


def _item(value: Any) -> tuple[int, str]:
    fields(value, frozenset({"item", "place"}))
    return integer(value["place"]), text(value["item"])


_SIGNED: Final = TwoSigned(
    name="medical-receipt",
    title="a receipt of a medical step",
    max_bytes=MAX_RECEIPT_BYTES,
    write=_object,
    read=_read,
)
