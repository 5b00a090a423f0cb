"""What the asking hospital receives in a step: ciphertext first, then a receipt to check and to countersign.

No byte of a report is handed on before its receipt is checked, countersigned and durable.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from ledger.errors import InvalidInputError, LedgerError, UnavailableError, UntrustedError
from ledger.evidence.medicalreceipt import (
    StepReceipt,
    countersign_step,
    decode_step_receipt,
    report_commitment,
    verify_step_receipt,
)
from ledger.evidence.medicalstep import StepKind, decode_step, step_digest
from ledger.evidence.request import sign_acknowledgement
from ledger.medical.offers import decode_offer, offer_digest
from ledger.model import KeyRole
from ledger.storage.steps import StepEntry
from node.exchange.crypto import CHUNK_BYTES, TAG_BYTES, Opener
from node.exchange.parties import by_any_key
from node.medical.comparing import differing_places
from node.medical.outcome import log_done, log_refused

if TYPE_CHECKING:
    from node.medical.dialogue import Dialogue

#: The largest report that is opened whole, bytes.
MAX_REPORT = 6 << 20
#: Codes of refusals that may pass: the same request is sent again.
_PASSING = ("medical.in-progress", "exchange.in-progress")


class Asking:
    """One step being asked for. The steps are called in the order of the dialogue."""

    def __init__(self, dialogue: Dialogue, entry: StepEntry) -> None:
        self.entry = entry
        self.request = decode_step(entry.request)
        self._dialogue = dialogue
        self._context = dialogue.context
        self._chunks: list[bytes] = []
        self._received = 0
        self._digest = hashlib.sha256()
        self._offer = entry.offer
        self._repeat = entry.state == "complete"
        self.data = b""

    def refused(self, error: LedgerError) -> LedgerError:
        """The other hospital refused: put it on this trail too and give the error to raise. A refusal ends the step,
        but for one that may pass: then the same request is sent again."""
        if isinstance(error, UnavailableError) or error.code in _PASSING:
            return error
        if not self._repeat:
            self.entry = self._dialogue.steps.put(msgspec.structs.replace(self.entry, state="refused", code=error.code))
        log_refused(self._context, self.request, "consumer", self.request.provider, error.code)
        return error

    def receive(self, sealed: bytes) -> None:
        """Keep one chunk of ciphertext. Raises: InvalidInputError(payload.too-large | exchange.chunk)."""
        self._received += len(sealed) - TAG_BYTES
        if not TAG_BYTES <= len(sealed) <= CHUNK_BYTES + TAG_BYTES:
            raise InvalidInputError(
                "exchange.chunk", "a chunk of the payload has a length that no chunk has", actual=len(sealed)
            )
        if self._received > MAX_REPORT:
            raise InvalidInputError(
                "payload.too-large",
                f"the report is larger than {MAX_REPORT} bytes",
                hint="the hospital that has it sends it in another way",
                expected=MAX_REPORT,
            )
        self._chunks.append(sealed)
        self._digest.update(sealed)

    def acknowledge(self, ciphertext_digest: bytes, byte_count: int, offer: bytes) -> bytes:
        """Our signature over what was received. Raises: UntrustedError(exchange.ciphertext),
        InvalidInputError(medical.offer)."""
        if ciphertext_digest != self._digest.digest() or byte_count != self._received:
            raise UntrustedError(
                "exchange.ciphertext",
                "what arrived is not what the other hospital says it sent",
                hint="open it again with the same nonce",
                expected=ciphertext_digest,
                actual=self._digest.digest(),
            )
        decode_offer(offer)
        self._offer = offer
        return sign_acknowledgement(self._context.signers[KeyRole.RECEIPT], self.entry.id, ciphertext_digest)

    def accept(self, key: bytes, salt: bytes, half: bytes) -> bytes:
        """Check the release, countersign its receipt, keep and log it; the receipt with both signatures.

        Raises: UntrustedError(exchange.* | medical.receipt | receipt.*).
        """
        context, entry = self._context, self.entry
        if entry.kind == "open":
            opener = Opener(key, entry.id)
            self.data = b"".join(opener.open(chunk) for chunk in self._chunks)
        provider_key, verified = by_any_key(
            context, entry.counterpart, lambda key: verify_step_receipt(half, key, None), ended_too=self._repeat
        )
        self._check(verified.receipt, salt)
        if self._repeat:
            if decode_step_receipt(entry.receipt)[0] != verified.receipt:
                raise _differs("it is another than the one both signed")
        else:
            entry = self._dialogue.steps.put(
                msgspec.structs.replace(
                    entry,
                    state="complete",
                    receipt=countersign_step(context.signers[KeyRole.RECEIPT], half, provider_key),
                    half=half,
                    items=verified.receipt.items,
                    offer=self._offer,
                    byte_count=verified.receipt.byte_count,
                    closed_ms=context.clock(),
                    differing=self._differing(verified.receipt),
                )
            )
        self.entry = log_done(context, self._dialogue.steps, entry)
        return self.entry.receipt

    def confirmed(self) -> None:
        """The other hospital has both signatures."""
        if not self.entry.confirmed:
            self.entry = self._dialogue.steps.put(msgspec.structs.replace(self.entry, confirmed=True))

    def _differing(self, receipt: StepReceipt) -> tuple[int, ...]:
        if receipt.kind is not StepKind.OPEN:
            return ()
        offer = decode_offer(self._offer)
        return differing_places(self._dialogue, offer, self.data, receipt, self.request.time_ms)

    def _check(self, receipt: StepReceipt, salt: bytes) -> None:
        request, entry = self.request, self.entry
        expected: dict[str, object] = {
            "chain": request.chain,
            "step": entry.id,
            "request": step_digest(entry.request),
            "kind": request.kind,
            "report": request.report,
            "version": request.version,
            "purpose": request.purpose,
            "rules_version": request.rules_version,
            "rules": request.rules,
            "provider": request.provider,
            "consumer": request.consumer,
            "reason": request.reason,
        }
        if request.kind is StepKind.OPEN:
            offer = decode_offer(self._offer)
            expected |= {
                "byte_count": self._received,
                "commitment": report_commitment(salt, hashlib.sha256(self.data).digest()),
                "offer": offer_digest(offer),
                "items": tuple((facts.place, facts.item or "") for facts in offer.facts),
            }
            if (offer.report, offer.version, offer.institution) != (request.report, request.version, request.provider):
                raise _differs("the offer is of another report")
        else:
            opening = self._dialogue.steps.get(entry.opening, "consumer")
            if opening is None:
                raise _differs("its opening is not kept here")
            opened, _ = decode_step_receipt(opening.receipt)
            expected |= {
                "byte_count": 0,
                "commitment": opened.commitment,
                "offer": opened.offer,
                "items": entry.items,
            }
        for name, value in expected.items():
            if getattr(receipt, name) != value:
                raise _differs(f"{name} differs")


def _differs(problem: str) -> UntrustedError:
    return UntrustedError(
        "medical.receipt",
        f"the other hospital's receipt does not fit this step: {problem}",
        hint="keep the receipt as evidence and ask that hospital",
    )
