"""Envelopes: a member's write forwarded by somebody who has no authority of his own (the gateway).

Signed by the caller's account as EIP-712 typed data, so that any Ethereum wallet can make one. Replay is not covered by
EIP-712: the nonce is kept by the target node until the envelope has expired.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ledger import keys
from ledger.codec import domain_digest, keccak256
from ledger.errors import InvalidInputError, NotAllowedError, UntrustedError
from ledger.identifiers import member_bytes32
from ledger.keys import AccountSigner

#: An envelope is good for at most this long.
MAX_AHEAD_MS: Final = 60_000

_NAME: Final = "civicledger"
_VERSION: Final = "1"
DOMAIN_TYPE: Final = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
ENVELOPE_TYPE: Final = (
    b"Envelope(bytes32 chain,bytes32 caller,bytes32 target,string method,bytes32 bodyDigest,bytes32 nonce,"
    b"uint64 expires)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvelopeDomain:
    """The EIP-712 domain: the chain's number and the Consortium contract's address (20 bytes)."""

    chain_id: int
    consortium: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What is signed: genesis digest (32 bytes), calling and target member (USCC), full method name, digest of the
    body (:func:`body_digest`), nonce (32 random bytes), expiry in Unix milliseconds."""

    chain: bytes
    caller: str
    target: str
    method: str
    body_digest: bytes
    nonce: bytes
    expires: int


def body_digest(body: bytes) -> bytes:
    """The digest of a forwarded request body: 32 bytes, domain ``envelope-body``."""
    return domain_digest("envelope-body", body)


def envelope_digest(domain: EnvelopeDomain, envelope: Envelope) -> bytes:
    """The 32 bytes that are signed: ``keccak256(0x1901 || domain separator || struct hash)``. Source: EIP-712.

    Raises: InvalidInputError(envelope.field | identifier.uscc).
    """
    if not (len(envelope.chain) == len(envelope.body_digest) == len(envelope.nonce) == 32):
        raise InvalidInputError("envelope.field", "chain, body digest and nonce have 32 bytes")
    if not 0 <= envelope.expires < 2**64 or len(envelope.method) > 200 or not envelope.method.isascii():
        raise InvalidInputError("envelope.field", "expiry or method out of bounds", actual=envelope.method[:200])
    struct = hash_struct(
        ENVELOPE_TYPE,
        envelope.chain,
        member_bytes32(envelope.caller),
        member_bytes32(envelope.target),
        keccak256(envelope.method.encode("ascii")),
        envelope.body_digest,
        envelope.nonce,
        envelope.expires.to_bytes(32, "big"),
    )
    return typed_digest(domain_separator(_NAME, _VERSION, domain.chain_id, domain.consortium), struct)


def sign_envelope(signer: AccountSigner, domain: EnvelopeDomain, envelope: Envelope) -> bytes:
    """65 bytes r || s || v (v is 0 or 1)."""
    return signer.sign_digest(envelope_digest(domain, envelope))


def verify_envelope(
    domain: EnvelopeDomain, envelope: Envelope, signature: bytes, account_address: bytes, now_ms: int
) -> None:
    """Check expiry and signature against the caller's active account (20 bytes). The nonce is the caller's matter.

    Raises: NotAllowedError(envelope.expired | envelope.too-far), UntrustedError(envelope.signature),
    InvalidInputError(envelope.field).
    """
    digest = envelope_digest(domain, envelope)
    if now_ms >= envelope.expires:
        raise NotAllowedError(
            "envelope.expired",
            "the envelope has expired",
            hint="sign a new one",
            expected=now_ms,
            actual=envelope.expires,
        )
    if envelope.expires - now_ms > MAX_AHEAD_MS:
        raise NotAllowedError(
            "envelope.too-far",
            "an envelope expires within 60 seconds",
            hint="check the clocks of both sides",
            expected=now_ms + MAX_AHEAD_MS,
            actual=envelope.expires,
        )
    try:
        keys.verify_account_digest(account_address, digest, signature)
    except UntrustedError as error:
        raise UntrustedError(
            "envelope.signature",
            f"the envelope is not signed by the account of {envelope.caller}: {error.message}",
            hint="sign it with that member's active account key; any change of the envelope needs a new signature",
            expected=error.expected,
            actual=error.actual,
        ) from None


def domain_separator(name: str, version: str, chain_id: int, contract: bytes) -> bytes:
    """``hashStruct(EIP712Domain)`` with all four fields; ``contract``: 20 bytes."""
    return hash_struct(
        DOMAIN_TYPE,
        keccak256(name.encode()),
        keccak256(version.encode()),
        chain_id.to_bytes(32, "big"),
        contract.rjust(32, b"\0"),
    )


def hash_struct(type_: bytes, *words: bytes) -> bytes:
    """``keccak256(typeHash || encoded fields)``; each word 32 bytes, dynamic fields already hashed."""
    if any(len(word) != 32 for word in words):
        raise InvalidInputError("envelope.field", "an encoded field has 32 bytes")
    return keccak256(keccak256(type_) + b"".join(words))


def typed_digest(separator: bytes, struct_hash: bytes) -> bytes:
    """``keccak256(0x1901 || domain separator || struct hash)``."""
    return keccak256(b"\x19\x01" + separator + struct_hash)
