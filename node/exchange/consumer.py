"""The consumer's side of an exchange: sign the request, hold the ciphertext, check the release, countersign.

No plain byte is handed on before the receipt is checked, countersigned and kept: the caller's data and the evidence of
it come together. The same nonce is the same exchange: its request is kept and sent again byte for byte.
"""

from __future__ import annotations

import errno
import hashlib
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from ledger.codec import commitment, encode
from ledger.directory.grants import decode_scope
from ledger.errors import (
    ConflictError,
    InvalidInputError,
    LedgerError,
    NotFoundError,
    UnavailableError,
    UntrustedError,
)
from ledger.evidence.receipt import Receipt, countersign, decode_receipt, payload_commitment, verify_receipt
from ledger.evidence.request import (
    ExchangeRequest,
    decode_request,
    exchange_id,
    request_digest,
    sign_acknowledgement,
    sign_request,
)
from ledger.model import DatasetInfo, GrantInfo, KeyRole
from ledger.storage.exchanges import ExchangeEntry
from node.exchange.crypto import CHUNK_BYTES, TAG_BYTES, Opener
from node.exchange.outcome import NO_GRANT, log_completed, log_refused
from node.exchange.parties import by_any_key
from node.trail import records as trail

if TYPE_CHECKING:
    from node.context import NodeContext

#: Ciphertext beyond this many bytes waits on disk instead of in memory. It is ciphertext without a key either way.
_IN_MEMORY = 8 << 20
#: What clocks of two departments may differ by, milliseconds.
SKEW_MS = 10_000
#: The purpose of a use that states none: it is refused, and the refusal on the trail says so.
_UNSTATED = "unstated"
#: No ceiling of one's own: the provider counts.
_UNBOUNDED = 2**53


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What a department's system asks for. ``grant``, ``dataset``, ``nonce``: 32 bytes, or empty where not given;
    ``query``: the scope object asked for, empty for the whole of the grant; ``operator``: who asks, as a pseudonym."""

    grant: bytes
    dataset: bytes
    purpose: str
    nonce: bytes
    query: Mapping[str, Any]
    operator: str


class Consuming:
    """One exchange being asked for. The steps are called in the order of the dialogue."""

    def __init__(self, context: NodeContext, entry: ExchangeEntry) -> None:
        self.entry = entry
        self.request: ExchangeRequest = decode_request(entry.request)
        self._context = context
        self._spool = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed by close()
        self._lengths: list[int] = []
        self._digest = hashlib.sha256()
        self._received = 0
        self._key = b""
        self._repeat = entry.state == "complete"

    @classmethod
    def begin(cls, context: NodeContext, use: Use) -> Consuming:
        """Make (or find, by its nonce) the signed request, keep it and log it.

        Raises: NotFoundError(grant.unknown | dataset.unknown), NotAllowedError(grant.other-consumer),
        ConflictError(exchange.other-content), InvalidInputError.
        """
        nonce = use.nonce or secrets.token_bytes(32)
        rows = context.store.sub(b"exchange/nonce/")
        known = rows.get(nonce)
        if known is not None:
            entry = context.exchanges.get(known, "consumer")
            if entry is not None and entry.state != "refused":
                _check_same_use(entry, use, context.store.sub(b"exchange/operator/").get(entry.id))
                return cls(context, entry)
            # A refused exchange ends there; the same nonce asked again is a new request under a new expiry.
        signed, salt = _sign(context, use, nonce)
        identity = exchange_id(signed)
        request = decode_request(signed)
        entry = ExchangeEntry(
            id=identity,
            role="consumer",
            grant=request.grant or NO_GRANT,
            dataset=request.dataset,
            counterpart=request.provider,
            state="begun",
            time_ms=context.clock(),
            request=signed,
        )
        rows.put(nonce, identity)
        if salt:
            context.store.sub(b"exchange/operator/").put(identity, salt)
        entry = context.exchanges.begin(entry, ceiling=_UNBOUNDED, max_half=_UNBOUNDED)
        trail.write(
            context,
            "exchange.requested",
            {
                "exchange": identity.hex(),
                "grant": entry.grant.hex(),
                "dataset": request.dataset.hex(),
                "counterpart": request.provider,
                "role": "consumer",
                "request": request_digest(signed).hex(),
            },
        )
        return cls(context, entry)

    @property
    def complete(self) -> bool:
        """Whether both signatures and the key are here."""
        return self.entry.state == "complete" and bool(self._key)

    def refused(self, error: LedgerError) -> LedgerError:
        """The provider refused: put it on this trail too and give the error to raise. A refusal ends the exchange, but
        for one that may pass later: then the same nonce asks again with the same request."""
        if isinstance(error, ConflictError):
            # Another call of the same exchange is under way: that one tells how it ends.
            return error
        if not self._repeat and not isinstance(error, UnavailableError):
            self._context.exchanges.put(msgspec.structs.replace(self.entry, state="refused", code=error.code))
        log_refused(self._context, self.request, "consumer", error.code, counterpart=self.request.provider)
        return error

    def receive(self, sealed: bytes) -> None:
        """Keep one chunk of ciphertext.

        Raises: InvalidInputError(payload.too-large | exchange.chunk), UnavailableError(disk.full).
        """
        limit = self._context.config.exchange.max_bytes
        self._received += len(sealed) - TAG_BYTES
        if not TAG_BYTES <= len(sealed) <= CHUNK_BYTES + TAG_BYTES:
            raise InvalidInputError(
                "exchange.chunk", "a chunk of the payload has a length that no chunk has", actual=len(sealed)
            )
        if self._received > limit:
            raise InvalidInputError(
                "payload.too-large",
                f"the provider sends more than {limit} bytes",
                hint="ask for a part of the scope, or raise exchange.max_bytes in node.toml",
                expected=limit,
            )
        try:
            self._spool.write(sealed)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise UnavailableError(
                "disk.full", "no space is left for a payload in flight", hint="free space and pull with the same nonce"
            ) from error
        self._lengths.append(len(sealed))
        self._digest.update(sealed)

    def acknowledge(self, ciphertext_digest: bytes, byte_count: int) -> bytes:
        """Our signature over what was received. Raises: UntrustedError(exchange.ciphertext)."""
        if ciphertext_digest != self._digest.digest() or byte_count != self._received:
            raise UntrustedError(
                "exchange.ciphertext",
                "what arrived is not what the provider says it sent",
                hint="pull again with the same nonce",
                expected=ciphertext_digest,
                actual=self._digest.digest(),
            )
        return sign_acknowledgement(self._context.signers[KeyRole.RECEIPT], self.entry.id, ciphertext_digest)

    def accept(self, key: bytes, salt: bytes, half: bytes) -> bytes:
        """Check the release, countersign its receipt, keep and log it; the receipt with both signatures.

        Raises: UntrustedError(exchange.* | receipt.* | signature.invalid).
        """
        context, entry = self._context, self.entry
        self._key = key
        provider_key, verified = by_any_key(
            context, entry.counterpart, lambda provider: verify_receipt(half, provider, None), ended_too=self._repeat
        )
        self._check_receipt(verified.receipt, salt)
        if self._repeat:
            if decode_receipt(entry.receipt)[0] != verified.receipt:
                raise UntrustedError(
                    "exchange.receipt",
                    "the provider released another receipt than the one both signed",
                    hint="keep both as evidence and ask the provider",
                )
            # The record may still be owed: the log failed, or the node stopped, right after the receipt was kept.
            index = log_completed(context, entry, self.request.purpose)
            self.entry = msgspec.structs.replace(entry, log_index=index)
            return entry.receipt
        signed = countersign(context.signers[KeyRole.RECEIPT], half, provider_key)
        entry = msgspec.structs.replace(
            entry,
            state="complete",
            receipt=signed,
            half=half,
            salt=salt,
            byte_count=self._received,
            closed_ms=context.clock(),
        )
        context.exchanges.put(entry)
        index = log_completed(context, entry, self.request.purpose)
        self.entry = msgspec.structs.replace(entry, log_index=index)
        return signed

    def plain(self) -> Iterator[bytes]:
        """The payload, after ``accept``."""
        if not self._key:
            raise ConflictError("exchange.order", "the payload is not open yet")
        opener = Opener(self._key, self.entry.id)
        self._spool.seek(0)
        for length in self._lengths:
            yield opener.open(self._spool.read(length))

    def close(self) -> None:
        """Forget the ciphertext."""
        self._spool.close()

    def _check_receipt(self, receipt: Receipt, salt: bytes) -> None:
        request, context = self.request, self._context
        plain = hashlib.sha256()
        for chunk in self.plain():
            plain.update(chunk)
        grant = context.contracts.grants.grant(self.entry.grant)
        dataset = context.contracts.directory.dataset(request.dataset)
        if grant is None or dataset is None:
            raise NotFoundError(
                "grant.unknown",
                "the grant is not on this node's chain",
                hint="pull again with the same nonce when this node has caught up",
                actual=self.entry.grant,
            )
        expected = {
            "chain": context.genesis_digest,
            "exchange": self.entry.id,
            "request": request_digest(self.entry.request),
            "grant": grant.id,
            "dataset": request.dataset,
            "scope": grant.scope_digest,
            "provider": request.provider,
            "consumer": request.consumer,
            "purpose": request.purpose,
            "byte_count": self._received,
            "commitment": payload_commitment(salt, plain.digest()),
        }
        for name, value in expected.items():
            if getattr(receipt, name) != value:
                raise UntrustedError(
                    "exchange.receipt",
                    f"the provider's receipt does not fit this exchange: {name} differs",
                    hint="keep the receipt as evidence and ask the provider",
                    expected=value,
                    actual=getattr(receipt, name),
                )
        if receipt.version not in {version.content_digest for version in dataset.versions}:
            raise UntrustedError(
                "exchange.version",
                "the receipt names a content that was never published for this dataset",
                hint="wait for the next block and pull again with the same nonce; else ask the provider",
                actual=receipt.version,
            )


def _sign(context: NodeContext, use: Use, nonce: bytes) -> tuple[bytes, bytes]:
    """(signed request, salt of the operator's commitment, empty where no operator was named)."""
    grant, dataset = _target(context, use)
    query = decode_scope(encode(dict(use.query))) if use.query else None
    salt = secrets.token_bytes(32) if use.operator else b""
    now = context.clock()
    request = ExchangeRequest(
        chain=context.genesis_digest,
        provider=dataset.provider,
        consumer=context.member,
        grant=use.grant or None,
        dataset=dataset.id,
        purpose=use.purpose or (grant.purpose if grant is not None else _UNSTATED),
        matter=grant.matter_digest if grant is not None else bytes(32),
        operator=commitment("operator", salt, use.operator.encode()) if salt else bytes(32),
        query=use.query if query is not None else {},
        nonce=nonce,
        time_ms=now,
        # Two clocks differ: a request that lives the whole five minutes looks too long-lived to a slower one.
        expires_ms=now + max(1_000, context.config.exchange.request_lifetime * 1000 - SKEW_MS),
    )
    return sign_request(context.signers[KeyRole.RECEIPT], request), salt


def _target(context: NodeContext, use: Use) -> tuple[GrantInfo | None, DatasetInfo]:
    grant = context.contracts.grants.grant(use.grant) if use.grant else None
    wanted = use.dataset or (grant.dataset if grant is not None else b"")
    dataset = context.contracts.directory.dataset(wanted) if wanted else None
    if dataset is None:
        if use.grant and grant is None and not use.dataset:
            raise NotFoundError(
                "grant.unknown", "no such grant is on the chain", hint="civicledger grant list", actual=use.grant
            )
        raise NotFoundError(
            "dataset.unknown", "no such dataset is on the chain", hint="civicledger dataset list", actual=wanted
        )
    return grant, dataset


def _check_same_use(entry: ExchangeEntry, use: Use, salt: bytes | None) -> None:
    """What is named again with a nonce must be what it was first used for. ``salt``: of the operator's commitment."""
    request = decode_request(entry.request)
    same = (
        (not use.grant or use.grant == request.grant)
        and (not use.dataset or use.dataset == request.dataset)
        and (not use.purpose or use.purpose == request.purpose)
        and (not use.query or dict(use.query) == dict(request.query))
        and (not use.operator or _is_operator(use.operator, request.operator, salt))
    )
    if not same:
        raise ConflictError(
            "exchange.other-content",
            "this nonce belongs to another exchange",
            hint="use a fresh nonce (leave it empty)",
            actual=use.nonce,
        )


def _is_operator(operator: str, committed: bytes, salt: bytes | None) -> bool:
    if salt is None:
        # Without its salt, deleted perhaps, a commitment says no more than that somebody was named.
        return any(committed)
    return commitment("operator", salt, operator.encode()) == committed
