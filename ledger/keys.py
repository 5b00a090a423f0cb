"""Signers and verifiers of the nine key roles. No file access and no randomness: secrets come in as bytes."""

from __future__ import annotations

import hashlib
from typing import Final, Protocol, runtime_checkable

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from ledger import _native
from ledger.errors import InvalidInputError, LedgerError, UntrustedError
from ledger.model import KeyRole

ED25519: Final = "ed25519"
P256: Final = "p256"
SECP256K1: Final = "secp256k1"

_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

#: role -> algorithm; one key has one role (docs/formats.md, keys of a member).
ALGORITHMS: Final[dict[KeyRole, str]] = {
    KeyRole.ACCOUNT: SECP256K1,
    KeyRole.CONSENSUS: ED25519,
    KeyRole.SEQUENCER: ED25519,
    KeyRole.P2P: ED25519,
    KeyRole.TLS: P256,
    KeyRole.LOG: ED25519,
    KeyRole.WITNESS: ED25519,
    KeyRole.RECEIPT: ED25519,
    KeyRole.ISSUER: P256,
}


@runtime_checkable
class Signer(Protocol):
    """Something that signs for one role: a key in memory here, a security module elsewhere."""

    @property
    def role(self) -> KeyRole: ...
    @property
    def algorithm(self) -> str: ...
    @property
    def public(self) -> bytes:
        """Ed25519: 32 bytes; P-256: 33 bytes, compressed; secp256k1: the 20-byte address."""

    def sign(self, message: bytes) -> bytes:
        """Ed25519 and P-256: 64 bytes; secp256k1: 65 bytes r || s || v."""


class Ed25519Signer:
    """An Ed25519 key of one role. Source: RFC 8032."""

    __slots__ = ("_seed", "public", "role")
    algorithm: Final = ED25519

    def __init__(self, role: KeyRole, seed: bytes) -> None:
        _check_role(role, ED25519)
        _check_length(seed)
        self.role: Final = role
        self._seed: Final = seed
        self.public: Final = _native.ed25519_public(seed)

    def sign(self, message: bytes) -> bytes:
        """64 bytes."""
        return _native.ed25519_sign(self._seed, message)

    def __repr__(self) -> str:
        return f"Ed25519Signer({self.role.word}, {self.public.hex()[:16]}…)"


class P256Signer:
    """An ECDSA P-256 key of one role (ES256: SHA-256, r || s, low s, RFC 6979). ``public``: 33 bytes, compressed."""

    __slots__ = ("_key", "public", "role")
    algorithm: Final = P256

    def __init__(self, role: KeyRole, secret: bytes) -> None:
        _check_role(role, P256)
        _check_length(secret)
        self.role: Final = role
        # Refuses a secret outside the curve's order.
        self.public: Final = _native.p256_public(secret)
        self._key: Final = ec.derive_private_key(int.from_bytes(secret, "big"), ec.SECP256R1())

    @property
    def spki(self) -> bytes:
        """The SubjectPublicKeyInfo (DER), whose SHA-256 stands on chain."""
        point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), self.public)
        return point.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)

    def sign(self, message: bytes) -> bytes:
        """64 bytes r || s: the bytes of the native core's signature, by OpenSSL in a tenth of the time."""
        r, s = decode_dss_signature(self._key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
        return r.to_bytes(32, "big") + min(s, _P256_ORDER - s).to_bytes(32, "big")

    def __repr__(self) -> str:
        return f"P256Signer({self.role.word}, {self.public.hex()[:16]}…)"


class AccountSigner:
    """A member's account: secp256k1, low s. ``public`` and ``address``: the 20-byte address."""

    __slots__ = ("_secret", "address", "public", "role")
    algorithm: Final = SECP256K1

    def __init__(self, secret: bytes) -> None:
        _check_length(secret)
        self.role: Final = KeyRole.ACCOUNT
        self._secret: Final = secret
        self.address: Final = _native.keccak256(_native.secp256k1_public(secret))[12:]
        self.public: Final = self.address

    def sign(self, message: bytes) -> bytes:
        """65 bytes r || s || v over keccak256(message)."""
        return self.sign_digest(_native.keccak256(message))

    def sign_digest(self, digest: bytes) -> bytes:
        """65 bytes r || s || v (v is 0 or 1) over a 32-byte digest."""
        return _native.secp256k1_sign(self._secret, digest)

    def __repr__(self) -> str:
        return f"AccountSigner(0x{self.address.hex()})"


def verify(algorithm: str, public: bytes, message: bytes, signature: bytes) -> None:
    """Check a signature as the signers of this module make them.

    Raises: UntrustedError(signature.invalid), InvalidInputError(key.algorithm).
    """
    try:
        if algorithm == ED25519:
            _native.ed25519_verify(public, message, signature)
        elif algorithm == P256:
            _native.p256_verify(public, message, signature)
        elif algorithm == SECP256K1:
            verify_account_digest(public, _native.keccak256(message), signature)
        else:
            raise InvalidInputError("key.algorithm", f"no such algorithm: {ascii(algorithm)[:40]}")
    except LedgerError as error:
        if error.code == "key.algorithm":
            raise
        raise UntrustedError(
            "signature.invalid", f"the {algorithm} signature does not verify: {error.message}", actual=public
        ) from None


def verify_account_digest(address: bytes, digest: bytes, signature: bytes) -> None:
    """Check that the account signed the 32-byte digest. Raises: UntrustedError(signature.invalid)."""
    try:
        actual = _native.secp256k1_recover(digest, signature)
    except LedgerError as error:
        raise UntrustedError("signature.invalid", f"no secp256k1 signature: {error.message}") from None
    if actual != address:
        raise UntrustedError(
            "signature.invalid", "signed by another account", expected="0x" + address.hex(), actual="0x" + actual.hex()
        )


def material(role: KeyRole, public: bytes) -> bytes:
    """The 32 bytes that stand on chain for a key.

    ``public``: Ed25519 roles the raw 32 bytes; account the 20-byte address (left-padded with zeros); tls and issuer
    the SubjectPublicKeyInfo in DER (its SHA-256). Raises: InvalidInputError(key.length).
    """
    algorithm = ALGORITHMS[role]
    if algorithm == P256:
        if len(public) < 64:
            raise InvalidInputError("key.length", f"a {role.word} key is given as SubjectPublicKeyInfo in DER")
        return hashlib.sha256(public).digest()
    length = 20 if algorithm == SECP256K1 else 32
    if len(public) != length:
        raise InvalidInputError(
            "key.length", f"a {role.word} key has {length} bytes", expected=length, actual=len(public)
        )
    return public.rjust(32, b"\0")


def _check_role(role: KeyRole, algorithm: str) -> None:
    if ALGORITHMS[role] != algorithm:
        raise InvalidInputError(
            "key.role", f"a {role.word} key is {ALGORITHMS[role]}", expected=ALGORITHMS[role], actual=algorithm
        )


def _check_length(secret: bytes) -> None:
    if len(secret) != 32:
        raise InvalidInputError("key.length", "a secret has 32 bytes", expected=32, actual=len(secret))
