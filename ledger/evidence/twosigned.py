"""What two members sign, one after the other: the form that all receipts share (``docs/formats.md``, receipts).

``{"consumer": base64?, "provider": base64, "receipt": {...}, "v": 1}`` in JCS; the provider signs the domain digest
``<name>`` of the inner object's bytes, the consumer the domain digest ``<name>-countersign`` of those bytes followed by
the provider's signature. Both logs record the domain digest ``<name>-file`` of the whole. Without the consumer's
signature it is a *half receipt*.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

from ledger import codec
from ledger.codec import b64, domain_digest, unb64
from ledger.errors import ConflictError, InvalidInputError, LedgerError, UntrustedError
from ledger.evidence.fields import fields, text
from ledger.evidence.request import check_receipt_signer, verify_party
from ledger.keys import Signer

ReceiptState = Literal["complete", "half"]


class Parties(Protocol):
    """A receipt names whose signatures it carries: USCCs."""

    @property
    def provider(self) -> str:
        """The member that gave."""

    @property
    def consumer(self) -> str:
        """The member that received."""


R = TypeVar("R", bound=Parties)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed(Generic[R]):
    """A receipt with what stands around it. ``inner``: its own bytes; signatures of 64 bytes, not yet checked."""

    receipt: R
    inner: bytes
    provider: bytes
    consumer: bytes | None

    @property
    def state(self) -> ReceiptState:
        """What it claims to be."""
        return "half" if self.consumer is None else "complete"


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoSigned(Generic[R]):
    """One kind of receipt. ``name``: of its domain digests; ``title``: in refusals; ``write`` and ``read``: the inner
    object from a receipt and back, ``read`` raising InvalidInputError or ValueError for anything else."""

    name: str
    title: str
    max_bytes: int
    write: Callable[[R], dict[str, Any]]
    read: Callable[[Any], R]

    def sign(self, signer: Signer, receipt: R) -> bytes:
        """A half receipt: the provider's signature only. Raises: InvalidInputError(key.role | json.fields)."""
        check_receipt_signer(signer)
        inner = self.write(receipt)
        signature = signer.sign(domain_digest(self.name, codec.encode(inner)))
        return codec.encode({"provider": b64(signature), "receipt": inner, "v": 1})

    def countersign(self, signer: Signer, half: bytes, provider_key: bytes) -> bytes:
        """The complete receipt, after the provider's signature was checked.

        Raises: UntrustedError(receipt.provider), ConflictError(receipt.complete), InvalidInputError(receipt.format).
        """
        check_receipt_signer(signer)
        signed = self.decode(half)
        if signed.state != "half":
            raise ConflictError("receipt.complete", "the receipt carries both signatures already")
        self.verify(half, provider_key, None)
        signature = signer.sign(self._countersigned(signed))
        value = codec.decode(half, max_bytes=self.max_bytes)
        return codec.encode({**value, "consumer": b64(signature)})

    def countersignature(self, complete: bytes) -> bytes:
        """The consumer's signature alone (64 bytes), for who has the rest.

        Raises: InvalidInputError(receipt.format), ConflictError(receipt.half).
        """
        signed = self.decode(complete)
        if signed.consumer is None:
            raise ConflictError("receipt.half", "the receipt carries one signature only")
        return signed.consumer

    def with_countersignature(self, half: bytes, signature: bytes) -> bytes:
        """The complete receipt of a half one and the consumer's signature (64 bytes), not checked.

        Raises: InvalidInputError(receipt.format).
        """
        self.decode(half)
        value = codec.decode(half, max_bytes=self.max_bytes)
        return codec.encode({**value, "consumer": b64(signature)})

    def decode(self, data: bytes) -> Signed[R]:
        """What stands in bytes; signatures not yet checked. Raises: InvalidInputError(receipt.format)."""
        try:
            value = codec.decode(data, max_bytes=self.max_bytes)
            fields(value, frozenset({"provider", "receipt", "v"}), frozenset({"consumer"}))
            return Signed(
                receipt=self.read(value["receipt"]),
                inner=codec.encode(value["receipt"]),
                provider=unb64(text(value["provider"]), 64),
                consumer=unb64(text(value["consumer"]), 64) if "consumer" in value else None,
            )
        except (LedgerError, ValueError) as error:
            raise InvalidInputError("receipt.format", f"not {self.title}: {error}") from None

    def verify(self, data: bytes, provider_key: bytes, consumer_key: bytes | None) -> Signed[R]:
        """Check the signatures by the two receipt keys (32 bytes each).

        ``consumer_key`` None: only a half receipt is expected, and a countersignature is refused as unchecked.
        Raises: UntrustedError(receipt.provider | receipt.consumer), InvalidInputError(receipt.format).
        """
        signed = self.decode(data)
        receipt, digest = signed.receipt, domain_digest(self.name, signed.inner)
        verify_party(provider_key, digest, signed.provider, "receipt.provider", receipt.provider)
        if signed.consumer is not None:
            if consumer_key is None:
                raise UntrustedError("receipt.consumer", "no key to check the consumer's signature by")
            message = self._countersigned(signed)
            verify_party(consumer_key, message, signed.consumer, "receipt.consumer", receipt.consumer)
        return signed

    def digest(self, data: bytes) -> bytes:
        """32 bytes: the domain digest ``<name>-file`` of a receipt's bytes, as it stands in both logs."""
        return domain_digest(f"{self.name}-file", data)

    def _countersigned(self, signed: Signed[R]) -> bytes:
        return domain_digest(f"{self.name}-countersign", signed.inner + signed.provider)
