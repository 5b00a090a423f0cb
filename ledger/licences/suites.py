"""The algorithms a licence is signed and digested with, behind one interface.

ES256 (ECDSA P-256 with SHA-256) is what every verifier knows. A signature is r || s, 64 bytes; a key is its
SubjectPublicKeyInfo in DER with the point uncompressed (91 bytes), because the chain holds the SHA-256 of these bytes
and a second encoding of the same key would have another digest.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from functools import lru_cache
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ledger.errors import InvalidInputError, UntrustedError

#: Bytes of a signature r || s, and of a key's SubjectPublicKeyInfo, in every suite here.
SIGNATURE_BYTES: Final = 64
SPKI_BYTES: Final = 91

#: SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING }, up to the uncompressed point. Source: RFC 5480 2.
_P256_HEADER: Final = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")


class Suite(Protocol):
    """One signature algorithm and one digest that go together."""

    @property
    def alg(self) -> str:
        """The JOSE name."""

    @property
    def cose_alg(self) -> int:
        """The COSE algorithm identifier."""

    @property
    def sd_alg(self) -> str:
        """The name of the digest in ``_sd_alg``. Source: RFC 9901, 4.1.1."""

    def digest(self, data: bytes) -> bytes:
        """32 bytes."""

    def verify(self, spki: bytes, message: bytes, signature: bytes) -> None:
        """Check r || s over the message. Raises: UntrustedError(licence.signature), InvalidInputError(licence.key)."""

    def key_digest(self, spki: bytes) -> bytes:
        """The 32 bytes that stand on chain for a key: SHA-256 of its SubjectPublicKeyInfo, in every suite."""


class Signer(Protocol):
    """Something that signs licences: a key in memory here, a security module elsewhere."""

    @property
    def suite(self) -> Suite: ...
    @property
    def spki(self) -> bytes:
        """The SubjectPublicKeyInfo in DER, 91 bytes."""

    @property
    def kid(self) -> str:
        """base64url of the key's digest on chain, 43 characters."""

    def sign(self, message: bytes) -> bytes:
        """r || s, 64 bytes."""


def kid_of(spki: bytes) -> str:
    """The key's name in protected headers: base64url(SHA-256(SubjectPublicKeyInfo)) without padding."""
    return urlsafe_b64encode(hashlib.sha256(spki).digest()).rstrip(b"=").decode("ascii")


class _Es256:
    """ECDSA P-256 with SHA-256. Source: RFC 7518, 3.4; RFC 9053, 2.1."""

    __slots__ = ()
    alg: Final = "ES256"
    cose_alg: Final = -7
    sd_alg: Final = "sha-256"

    def digest(self, data: bytes) -> bytes:
        return hashlib.sha256(data).digest()

    def key_digest(self, spki: bytes) -> bytes:
        return hashlib.sha256(spki).digest()

    def verify(self, spki: bytes, message: bytes, signature: bytes) -> None:
        key = _p256_key(spki)
        if len(signature) != SIGNATURE_BYTES:
            raise _no_signature(f"an ES256 signature has {SIGNATURE_BYTES} bytes", SIGNATURE_BYTES, len(signature))
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        try:
            key.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            raise _no_signature("the signature does not fit the content and the key") from None

    def __repr__(self) -> str:
        return "ES256"


ES256: Final[Suite] = _Es256()

_SUITES: Final[dict[str, Suite]] = {suite.alg: suite for suite in (ES256,)}


def suite_of(alg: object) -> Suite:
    """The suite of a protected header's ``alg``. ``none`` and every unknown name are refused.

    Raises: InvalidInputError(licence.alg).
    """
    suite = _SUITES.get(alg) if isinstance(alg, str) else None
    if suite is None:
        raise InvalidInputError(
            "licence.alg",
            "signed with an algorithm that is not accepted here",
            hint="ask the issuer for a licence signed with ES256",
            expected=" | ".join(_SUITES),
            actual=ascii(alg)[:40],
        )
    return suite


class _Es256Signer:
    __slots__ = ("_key", "kid", "spki")
    suite: Final = ES256

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key: Final = key
        self.spki: Final = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.kid: Final = kid_of(self.spki)

    def sign(self, message: bytes) -> bytes:
        # Deterministic (RFC 6979): the same key and content give the same licence, and no randomness is needed here.
        der = self._key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
        r, s = decode_dss_signature(der)
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def __repr__(self) -> str:
        return f"Es256Signer({self.kid[:16]}…)"


def es256_signer(private_key: ec.EllipticCurvePrivateKey) -> Signer:
    """A signer over a P-256 key in memory. Raises: InvalidInputError(licence.key) for another curve."""
    if not isinstance(private_key.curve, ec.SECP256R1):
        raise InvalidInputError(
            "licence.key", "an ES256 key is on P-256", expected="secp256r1", actual=private_key.curve.name
        )
    return _Es256Signer(private_key)


@lru_cache(maxsize=256)
def _p256_key(spki: bytes) -> ec.EllipticCurvePublicKey:
    if len(spki) == SPKI_BYTES and spki.startswith(_P256_HEADER):
        try:
            return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), spki[len(_P256_HEADER) :])
        except ValueError:
            pass
    raise InvalidInputError(
        "licence.key",
        "not a P-256 key as the chain names it: SubjectPublicKeyInfo in DER with an uncompressed point on the curve",
        hint="take the key from the issuer's entry on the chain",
    )


def _no_signature(message: str, expected: object = None, actual: object = None) -> UntrustedError:
    return UntrustedError(
        "licence.signature",
        message,
        hint="do not act on this licence; ask its issuer whether it is genuine",
        expected=expected,
        actual=actual,
    )
