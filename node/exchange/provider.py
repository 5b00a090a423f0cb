"""The provider's side of an exchange: judge the request, release the payload, collect the countersignature.

Order of events (``docs/formats.md``, receipt of an exchange): the signed request is in the log before a byte leaves;
the payload leaves encrypted; the key leaves only for the consumer's signature over the ciphertext, and the half receipt
is durable before it does. A repeat with the same request is the same exchange: nothing is logged or counted twice.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from ledger.directory.catalogue import EXAMINATION_FORMAT, LICENCE_FORMAT
from ledger.errors import (
    ConflictError,
    FatalError,
    InvalidInputError,
    LedgerError,
    NotAllowedError,
    NotFoundError,
)
from ledger.evidence.receipt import Receipt, decode_receipt, payload_commitment, provider_sign, verify_receipt
from ledger.evidence.request import (
    ExchangeRequest,
    decode_request,
    exchange_id,
    request_digest,
    verify_acknowledgement,
    verify_request,
)
from ledger.model import KeyRole
from ledger.storage.exchanges import ExchangeEntry
from node.exchange.adapters import cut, in_chunks
from node.exchange.crypto import KEY_BYTES, Sealer
from node.exchange.judgement import Judgement, allow
from node.exchange.outcome import NO_GRANT, log_completed, log_half, log_refused
from node.exchange.parties import by_any_key
from node.licences.fetching import Subject, log_fetched, presentation
from node.medical.certifying import Facts, facts_for, give
from node.trail import records as trail

if TYPE_CHECKING:
    from node.context import NodeContext
    from node.documents import Documents

#: How long a repeat waits for the call before it to end, seconds.
ENDING_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What follows the last chunk. Digest and commitment: 32 bytes."""

    ciphertext_digest: bytes
    byte_count: int
    commitment: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What opens the payload: ``key`` and ``salt`` of 32 bytes, the receipt with the provider's signature."""

    key: bytes
    salt: bytes
    receipt: bytes


class Provider:
    """The provider's exchanges of one node: at most one stream per exchange at a time."""

    def __init__(self, context: NodeContext, documents: Documents) -> None:
        self._context = context
        self._documents = documents
        self._changed = threading.Condition()
        self._active: set[bytes] = set()

    @contextmanager
    def serve(self, caller: str, signed: bytes, subject: Subject | None = None) -> Iterator[Serving]:
        """Judge a signed request of ``caller`` and serve it inside the ``with`` block; leaving the block gives back a
        use of which nothing was released, and puts a half receipt on the trail. ``subject``: whom a request for a
        licence is about.

        Raises: every refusal as its error, after it is on the trail as ``access.refused``; InvalidInputError for bytes
        that are no request, which are not.
        """
        request = decode_request(signed)
        identity = exchange_id(signed)
        with self._changed:
            # The call before may just be ending: its consumer gave up and asks again.
            if not self._changed.wait_for(lambda: identity not in self._active, ENDING_S):
                raise ConflictError(
                    "exchange.in-progress",
                    "this exchange is being served at this moment",
                    hint="wait for the other call to end, then repeat with the same nonce",
                )
            self._active.add(identity)
        try:
            serving = Serving(self._context, self._documents, caller, signed, request, identity, subject)
            try:
                serving.begin()
                yield serving
            except (FatalError, GeneratorExit):
                raise
            except LedgerError as error:
                serving.refuse(error)
                raise
            finally:
                serving.leave()
        finally:
            with self._changed:
                self._active.discard(identity)
                self._changed.notify_all()


class Serving:
    """One exchange being served."""

    def __init__(
        self,
        context: NodeContext,
        documents: Documents,
        caller: str,
        signed: bytes,
        request: ExchangeRequest,
        identity: bytes,
        subject: Subject | None = None,
    ) -> None:
        self.exchange = identity
        self._context = context
        self._documents = documents
        self._caller = caller
        self._signed = signed
        self._request = request
        self._subject = subject
        self._key = secrets.token_bytes(KEY_BYTES)
        self._sealer = Sealer(self._key, identity)
        self._consumer_key = b""
        self._entry: ExchangeEntry | None = None
        self._judgement: Judgement | None = None
        self._ending: Ending | None = None
        self._facts: Facts | None = None
        self._released = False

    # --- the dialogue, in order ---------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Check the request by every rule, count the use, and log it."""
        context, request = self._context, self._request
        if request.consumer != self._caller:
            raise NotAllowedError(
                "exchange.not-caller",
                "the request is another member's",
                hint="a consumer's own node sends its requests",
                expected=self._caller,
                actual=request.consumer,
            )
        if request.provider != context.member or request.chain != context.genesis_digest:
            raise NotAllowedError(
                "exchange.other-target",
                "the request is meant for another provider or another chain",
                hint="send it to the provider of the dataset, in the same city",
                expected=context.member,
                actual=request.provider,
            )
        known = context.exchanges.get(self.exchange, "provider")
        first = known is None or known.state == "refused"
        # The times of a request are judged when it is first served: a repeat finishes what was begun in time.
        judged_at = context.clock() if first else request.time_ms
        self._consumer_key, _ = by_any_key(
            context, self._caller, lambda key: verify_request(self._signed, key, judged_at)
        )
        self._judgement = allow(context, self._documents, request, known)
        now = context.clock()
        entry = ExchangeEntry(
            id=self.exchange,
            role="provider",
            grant=self._judgement.grant.id,
            dataset=request.dataset,
            counterpart=request.consumer,
            state="begun",
            time_ms=now,
            request=self._signed,
            salt=b"" if self._judgement.metadata.format == EXAMINATION_FORMAT else secrets.token_bytes(32),
        )
        self._entry = context.exchanges.begin(
            entry,
            ceiling=self._judgement.grant.ceiling,
            max_half=context.config.exchange.max_half_receipts,
        )
        if first:
            trail.write(
                context,
                "exchange.requested",
                {
                    "exchange": self.exchange.hex(),
                    "grant": self._judgement.grant.id.hex(),
                    "dataset": request.dataset.hex(),
                    "counterpart": request.consumer,
                    "role": "provider",
                    "request": request_digest(self._signed).hex(),
                },
            )

    def chunks(self) -> Iterator[bytes]:
        """The payload's ciphertext, chunk by chunk. ``ending`` is there after the last.

        Raises: InvalidInputError(payload.too-large), NotAllowedError(exchange.not-divisible), FatalError.
        """
        entry, judgement = self._require()
        format_ = judgement.metadata.format
        if entry.state == "complete" and not entry.salt and format_ != EXAMINATION_FORMAT:
            raise NotFoundError(
                "exchange.erased",
                "the payload's salt of this exchange was deleted: it is proven, and cannot be repeated",
                hint="make a new exchange, with a fresh nonce",
            )
        limit = self._context.config.exchange.max_bytes
        plain, count = hashlib.sha256(), 0
        content = self._context.payloads.open(judgement.content)
        if format_ == LICENCE_FORMAT:
            shown = presentation(self._context, content, judgement.metadata, judgement.scope, self._subject)
            chunks = in_chunks([shown])
        elif format_ == EXAMINATION_FORMAT:
            self._facts = facts_for(
                self._context, content, judgement.metadata, judgement.scope, self._subject, self._caller, self.exchange
            )
            chunks = in_chunks([self._facts.data])
        else:
            chunks = cut(content, judgement.metadata, judgement.scope)
        for chunk in chunks:
            count += len(chunk)
            if count > limit:
                raise InvalidInputError(
                    "payload.too-large",
                    f"the payload is larger than {limit} bytes",
                    hint="ask for a part of the scope, or let the provider raise exchange.max_bytes",
                    expected=limit,
                )
            plain.update(chunk)
            yield self._sealer.seal(chunk)
        self._ending = Ending(
            ciphertext_digest=self._sealer.digest,
            byte_count=count,
            commitment=payload_commitment(self._salt(), plain.digest()),
        )

    @property
    def ending(self) -> Ending:
        """Digest, size and commitment of the payload that was streamed."""
        if self._ending is None:
            raise ConflictError("exchange.order", "the payload has not been streamed to its end")
        return self._ending

    def release(self, acknowledgement: bytes) -> Release:
        """The key, for the consumer's signature over the ciphertext digest. The half receipt is durable on return.

        Raises: UntrustedError(signature.invalid), FatalError(exchange.content-changed).
        """
        entry, _ = self._require()
        verify_acknowledgement(self._consumer_key, self.exchange, self.ending.ciphertext_digest, acknowledgement)
        if entry.half and self._facts is not None:
            self._check_examination(entry)
        if self._subject is not None and self._facts is not None:
            give(self._context, entry, self._facts, self._subject)
        elif self._subject is not None:
            # On record before it can be read: a licence is about somebody.
            log_fetched(self._context, entry, self._subject)
        if entry.half:
            self._check_same(entry)
        else:
            now = self._context.clock()
            half = provider_sign(self._context.signers[KeyRole.RECEIPT], self._receipt(now))
            entry = msgspec.structs.replace(
                entry, state="half", receipt=half, half=half, byte_count=self.ending.byte_count
            )
            self._context.exchanges.put(entry)
            self._entry = entry
        self._released = True
        return Release(key=self._key, salt=self._salt(), receipt=entry.half)

    def complete(self, countersigned: bytes) -> int:
        """Keep and log the receipt both signed; the index of its record.

        Raises: UntrustedError(receipt.*), ConflictError(exchange.other-receipt).
        """
        entry, _ = self._require()
        _, verified = by_any_key(
            self._context,
            self._context.member,
            lambda own: verify_receipt(countersigned, own, self._consumer_key),
            ended_too=True,
        )
        if verified.state != "complete" or verified.receipt != decode_receipt(entry.half)[0]:
            raise ConflictError(
                "exchange.other-receipt",
                "the countersigned receipt is not the one that was released",
                hint="repeat the exchange with the same nonce",
            )
        if entry.state != "complete":
            entry = msgspec.structs.replace(
                entry, state="complete", receipt=countersigned, closed_ms=self._context.clock(), log_index=-1
            )
            self._context.exchanges.put(entry)
            self._entry = entry
        index = log_completed(self._context, entry, self._request.purpose)
        self._entry = msgspec.structs.replace(entry, log_index=index)
        return index

    # --- how it can end otherwise -------------------------------------------------------------------------------------

    def refuse(self, error: LedgerError) -> None:
        """Put a refusal on the trail and keep it among the exchanges, unless the payload was already released."""
        if self._released:
            return
        context, request = self._context, self._request
        context.exchanges.give_back(self.exchange, "provider")
        log_refused(context, request, "provider", error.code, counterpart=self._caller)
        if context.exchanges.get(self.exchange, "provider") is None:
            context.exchanges.put(
                ExchangeEntry(
                    id=self.exchange,
                    role="provider",
                    grant=request.grant or NO_GRANT,
                    dataset=request.dataset,
                    counterpart=self._caller,
                    state="refused",
                    time_ms=context.clock(),
                    request=self._signed,
                    code=error.code,
                )
            )

    def leave(self) -> None:
        """The stream is over: nothing released is no use; released without the other signature is a half receipt."""
        entry = self._entry
        if entry is None:
            return
        if not self._released:
            self._context.exchanges.give_back(self.exchange, "provider")
        elif entry.state == "half":
            log_half(self._context, entry)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _require(self) -> tuple[ExchangeEntry, Judgement]:
        if self._entry is None or self._judgement is None:
            raise ConflictError("exchange.order", "the request has not been judged")
        return self._entry, self._judgement

    def _salt(self) -> bytes:
        return self._require()[0].salt if self._facts is None else self._facts.salt

    def _receipt(self, now: int) -> Receipt:
        entry, judgement = self._require()
        request = self._request
        return Receipt(
            chain=self._context.genesis_digest,
            exchange=self.exchange,
            request=request_digest(self._signed),
            grant=judgement.grant.id,
            dataset=request.dataset,
            version=judgement.content,
            scope=judgement.grant.scope_digest,
            provider=self._context.member,
            consumer=request.consumer,
            purpose=request.purpose,
            commitment=self.ending.commitment,
            byte_count=self.ending.byte_count,
            requested_ms=entry.time_ms,
            released_ms=now,
            block=judgement.block,
        )

    def _check_examination(self, entry: ExchangeEntry) -> None:
        """A report that was corrected since is no defect of the content: the office asks anew."""
        if decode_receipt(entry.half)[0].commitment != self.ending.commitment:
            raise ConflictError(
                "medical.changed",
                "the examination is no longer what this exchange released first",
                hint="ask for it with a fresh nonce",
            )

    def _check_same(self, entry: ExchangeEntry) -> None:
        receipt, _ = decode_receipt(entry.half)
        if receipt.commitment != self.ending.commitment or receipt.byte_count != self.ending.byte_count:
            raise FatalError(
                "exchange.content-changed",
                "the content no longer gives the payload of the first release",
                hint="pull with a fresh nonce: that is a new exchange",
                expected=receipt.commitment,
                actual=self.ending.commitment,
            )
