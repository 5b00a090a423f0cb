"""The side of the hospital that has the report: judge a step, release the report, collect the countersignature.

The order of events is that of an exchange (``docs/formats.md``): the signed request is in the log before a byte leaves;
the report leaves encrypted under a fresh key; the key leaves only for the asking hospital's signature over the
ciphertext, after the half receipt and the patient's notice are durable. A decision has the same order, without payload.
A repeat with the same request is the same step: nothing is logged or counted twice.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec

from ledger.errors import (
    ConflictError,
    FatalError,
    LedgerError,
    NotAllowedError,
    NotFoundError,
    UnavailableError,
)
from ledger.evidence.medicalreceipt import (
    StepReceipt,
    decode_step_receipt,
    report_commitment,
    sign_step_receipt,
    verify_step_receipt,
    with_step_countersignature,
)
from ledger.evidence.medicalstep import StepKind, StepRequest, decode_step, step_digest, step_id, verify_step
from ledger.evidence.request import verify_acknowledgement
from ledger.medical.offers import decode_offer, encode_offer, offer_digest
from ledger.model import KeyRole, MemberInfo
from ledger.storage.steps import StepEntry
from node.exchange.adapters import in_chunks
from node.exchange.crypto import KEY_BYTES, Sealer
from node.exchange.parties import by_any_key
from node.medical.dialogue import Dialogue
from node.medical.judging import Judgement, allow
from node.medical.outcome import log_done, log_refused, log_requested
from node.medical.sealing import derived_salt


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What follows the last chunk of a report. Digest and commitment: 32 bytes; ``offer``: canonical bytes."""

    ciphertext_digest: bytes
    byte_count: int
    commitment: bytes
    offer: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """``key`` and ``salt`` (32 bytes; empty of a decision), the receipt with the provider's signature."""

    key: bytes
    salt: bytes
    receipt: bytes


class Answering:
    """The steps other hospitals ask of this one: at most one call for each at a time."""

    def __init__(self, dialogue: Dialogue, changed: Callable[[bytes], None]) -> None:
        """``changed``: told of each report that another hospital now has."""
        self._dialogue = dialogue
        self._changed = changed

    @contextmanager
    def serve(self, caller: MemberInfo, signed: bytes, secret: bytes = b"") -> Iterator[Serving]:
        """Judge a signed request of ``caller`` and serve it inside the ``with`` block. ``secret``: where the dialogue
        goes on in another call, what its key is derived from.

        Raises: every refusal as its error, after it is on the trail; InvalidInputError for bytes that are no request.
        """
        request = decode_step(signed)
        identity = step_id(signed)
        with self._dialogue.active.only(b"p" + identity):
            serving = Serving(self._dialogue, caller, signed, request, secret)
            try:
                serving.begin()
                yield serving
            except (FatalError, GeneratorExit):
                raise
            except LedgerError as error:
                serving.refuse(error)
                raise
        if serving.entry.kind == "open":
            self._changed(serving.entry.report)

    def confirm(self, caller: MemberInfo, step: bytes, countersigned: bytes, signature: bytes = b"") -> int:
        """Take the receipt both signed of a step whose dialogue broke off, or the caller's ``signature`` alone (64
        bytes); the index of its record.

        Raises: NotFoundError(medical.step-unknown), UntrustedError(receipt.*), ConflictError(exchange.other-receipt).
        """
        with self._dialogue.active.only(b"p" + step):
            entry = self._dialogue.steps.get(step, "provider")
            if entry is None or entry.counterpart != caller.uscc or not entry.half:
                raise NotFoundError(
                    "medical.step-unknown", "no such step was answered here", hint="repeat the step", actual=step
                )
            if signature:
                countersigned = with_step_countersignature(entry.half, signature)
            entry = complete(self._dialogue, entry, countersigned)
        if entry.kind == "open":
            self._changed(entry.report)
        return entry.log_index


class Serving:
    """One step being answered."""

    def __init__(
        self, dialogue: Dialogue, caller: MemberInfo, signed: bytes, request: StepRequest, secret: bytes
    ) -> None:
        self._dialogue = dialogue
        self._context = dialogue.context
        self._caller = caller
        self._signed = signed
        self.request = request
        self._step = step_id(signed)
        self._secret = secret
        self._key = secrets.token_bytes(KEY_BYTES)
        self._consumer_key = b""
        self._entry: StepEntry | None = None
        self._judgement: Judgement | None = None
        self._ending: Ending | None = None

    # --- the dialogue, in order ---------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Check the request by every rule, keep it, and log it."""
        context, request = self._context, self.request
        if request.consumer != self._caller.uscc:
            raise NotAllowedError(
                "exchange.not-caller",
                "the request is another member's",
                hint="a hospital's own node sends its requests",
                expected=self._caller.uscc,
                actual=request.consumer,
            )
        if request.provider != context.member or request.chain != context.genesis_digest:
            raise NotAllowedError(
                "exchange.other-target",
                "the request is meant for another hospital or another chain",
                hint="send it to the hospital that has the report, in the same city",
                expected=context.member,
                actual=request.provider,
            )
        known = self._dialogue.steps.get(self._step, "provider")
        first = known is None or known.state == "refused"
        # The times of a request are judged when it is first answered: a repeat finishes what was begun in time.
        judged_at = context.clock() if first else request.time_ms
        self._consumer_key, _ = by_any_key(
            context, request.consumer, lambda key: verify_step(self._signed, key, judged_at)
        )
        with self._dialogue.deciding:
            self._judgement = allow(self._dialogue, self._caller, request, known)
            entry = self._dialogue.steps.begin(self._begun())
        self._entry = log_requested(context, self._dialogue.steps, entry, request.purpose)

    def chunks(self) -> Iterator[bytes]:
        """The report's ciphertext, chunk by chunk. ``ending`` is there after the last."""
        entry, judgement = self._require()
        data = judgement.report.data
        commitment = report_commitment(self._salt(judgement), hashlib.sha256(data).digest())
        if self._secret:
            # One key for one content: sent again it is the same ciphertext, and never another under the same key.
            self._key = hmac.digest(self._secret, self._step + commitment, hashlib.sha256)
        sealer = Sealer(self._key, self._step)
        for chunk in in_chunks([data]):
            yield sealer.seal(chunk)
        self._ending = Ending(
            ciphertext_digest=sealer.digest,
            byte_count=len(data),
            commitment=commitment,
            # As it was when the step began: an item may be mapped anew in between.
            offer=entry.offer,
        )

    @property
    def ending(self) -> Ending:
        """Digest, size, commitment and offer of the report that was streamed."""
        if self._ending is None:
            raise ConflictError("exchange.order", "the report has not been streamed to its end")
        return self._ending

    def release(self, acknowledgement: bytes) -> Release:
        """The key, for the consumer's signature over the ciphertext digest; of a decision the receipt alone. Half
        receipt and notice are durable on return.

        Raises: UntrustedError(exchange.acknowledgement), ConflictError(medical.changed).
        """
        entry, judgement = self._require()
        opens = self.request.kind is StepKind.OPEN
        if opens:
            verify_acknowledgement(self._consumer_key, self._step, self.ending.ciphertext_digest, acknowledgement)
        if entry.half:
            self._check_same(entry)
        else:
            half = sign_step_receipt(self._context.signers[KeyRole.RECEIPT], self._receipt(entry, judgement))
            entry = self._entry = self._dialogue.steps.put(
                msgspec.structs.replace(
                    entry, state="half", half=half, byte_count=self._ending.byte_count if self._ending else 0
                )
            )
        if opens:
            tell_patient(self._dialogue, entry)
        if not opens:
            return Release(key=b"", salt=b"", receipt=entry.half)
        return Release(key=self._key, salt=self._salt(judgement), receipt=entry.half)

    def complete(self, countersigned: bytes) -> int:
        """Keep and log the receipt both signed; the index of its record.

        Raises: UntrustedError(receipt.*), ConflictError(exchange.other-receipt).
        """
        entry, _ = self._require()
        self._entry = complete(self._dialogue, entry, countersigned)
        return self._entry.log_index

    # --- how it can end otherwise -------------------------------------------------------------------------------------

    def refuse(self, error: LedgerError) -> None:
        """Put a refusal on the trail and keep it, unless the report was released or it may pass in a moment."""
        if isinstance(error, UnavailableError) or (self._entry is not None and self._entry.half):
            return
        entry = self._entry or self._dialogue.steps.get(self._step, "provider")
        if entry is not None and entry.state == "begun":
            self._dialogue.steps.put(msgspec.structs.replace(entry, state="refused", code=error.code))
        log_refused(self._context, self.request, "provider", self._caller.uscc, error.code)

    @property
    def entry(self) -> StepEntry:
        """The step as it is kept."""
        return self._require()[0]

    # --- inside -------------------------------------------------------------------------------------------------------

    def _require(self) -> tuple[StepEntry, Judgement]:
        if self._entry is None or self._judgement is None:
            raise ConflictError("exchange.order", "the request has not been judged")
        return self._entry, self._judgement

    def _salt(self, judgement: Judgement) -> bytes:
        return derived_salt(judgement.report.salt, b"step", self._step)

    def _begun(self) -> StepEntry:
        request, judgement = self.request, self._judgement
        if judgement is None:
            raise ConflictError("exchange.order", "the request has not been judged")
        opens = request.kind is StepKind.OPEN
        return StepEntry(
            id=self._step,
            role="provider",
            kind=request.kind.value,
            report=request.report,
            version=request.version,
            counterpart=request.consumer,
            state="begun",
            time_ms=self._context.clock(),
            request=self._signed,
            items=judgement.items,
            opening=request.opening or b"",
            reason=request.reason,
            offer=encode_offer(judgement.report.offer) if opens else b"",
        )

    def _receipt(self, entry: StepEntry, judgement: Judgement) -> StepReceipt:
        request = self.request
        if judgement.opening is None:
            commitment, offer = self.ending.commitment, offer_digest(decode_offer(entry.offer))
        else:
            opened, _ = decode_step_receipt(judgement.opening.receipt)
            commitment, offer = opened.commitment, opened.offer
        return StepReceipt(
            chain=self._context.genesis_digest,
            step=self._step,
            request=step_digest(self._signed),
            kind=request.kind,
            report=request.report,
            version=request.version,
            items=entry.items,
            purpose=request.purpose,
            rules_version=request.rules_version,
            rules=request.rules,
            provider=self._context.member,
            consumer=request.consumer,
            commitment=commitment,
            offer=offer,
            byte_count=0 if self._ending is None else self._ending.byte_count,
            requested_ms=entry.time_ms,
            released_ms=self._context.clock(),
            block=judgement.block,
            reason=request.reason,
        )

    def _check_same(self, entry: StepEntry) -> None:
        receipt, _ = decode_step_receipt(entry.half)
        if self._ending is not None and receipt.commitment != self._ending.commitment:
            raise ConflictError(
                "medical.changed",
                "the report is no longer what this step released first",
                hint="search again and open it anew, with a fresh nonce",
                expected=receipt.commitment,
                actual=self._ending.commitment,
            )


def complete(dialogue: Dialogue, entry: StepEntry, countersigned: bytes) -> StepEntry:
    """Keep and log the receipt both signed.

    Raises: UntrustedError(receipt.*), ConflictError(exchange.other-receipt).
    """
    context = dialogue.context
    _, verified = by_any_key(
        context,
        context.member,
        lambda own: by_any_key(
            context, entry.counterpart, lambda other: verify_step_receipt(countersigned, own, other), ended_too=True
        )[1],
        ended_too=True,
    )
    if verified.state != "complete" or verified.receipt != decode_step_receipt(entry.half)[0]:
        raise ConflictError(
            "exchange.other-receipt",
            "the countersigned receipt is not the one that was released",
            hint="repeat the step with the same nonce",
        )
    if entry.state != "complete":
        entry = dialogue.steps.put(
            msgspec.structs.replace(entry, state="complete", receipt=countersigned, closed_ms=context.clock())
        )
    entry = log_done(context, dialogue.steps, entry)
    tell_patient(dialogue, entry)
    return entry


def tell_patient(dialogue: Dialogue, entry: StepEntry) -> None:
    """Post the patient's notice of a step, once however often it is called; none where the report was erased, or of a
    purpose that citizens are not told of."""
    if not dialogue.context.config.citizens.tells(decode_step(entry.request).purpose):
        return
    kept = dialogue.reports.get(entry.report)
    if kept is not None:
        kind = {"open": "opened", "recognise": "recognised", "retest": "retested"}[entry.kind]
        dialogue.notices.post(entry.id, kept.subject, kind, entry.report, entry.time_ms // 1_000)
