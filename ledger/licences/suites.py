"""The algorithms a licence is signed and digested with, behind one interface.

ES256 (ECDSA P-256 with SHA-256) is what every verifier knows. SM2 with SM3, the national algorithms, is a closed
profile: no registry has names for it, so only those who agreed on this module's names understand such a licence.

In both a signature is r || s, 64 bytes, and a key is its SubjectPublicKeyInfo in DER with the point uncompressed (91
bytes), because the chain holds the SHA-256 of these bytes and a second encoding of one key would have another digest.
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

from ledger import _native
from ledger.errors import InvalidInputError, UntrustedError

#: Bytes of a signature r || s, and of a key's SubjectPublicKeyInfo, in every suite here.
SIGNATURE_BYTES: Final = 64
SPKI_BYTES: Final = 91

#: SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING }, up to the uncompressed point. Source: RFC 5480 2.
P256_HEADER: Final = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
#: The same with the SM2 curve, 1.2.156.10197.1.301. Source: GM/T 0006.
_SM2_HEADER: Final = bytes.fromhex("3059301306072a8648ce3d020106082a811ccf5501822d034200")


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


@lru_cache(maxsize=1_024)
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
            raise UntrustedError(
                "licence.signature",
                "an ES256 signature has 64 bytes",
                hint="do not act on this licence; ask its issuer whether it is genuine",
                expected=SIGNATURE_BYTES,
                actual=len(signature),
            )
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        try:
            key.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            raise UntrustedError(
                "licence.signature",
                "the signature does not fit the content and the key",
                hint="do not act on this licence; ask its issuer whether it is genuine",
            ) from None

    def __repr__(self) -> str:
        return "ES256"


class _Sm2Sm3:
    """SM2 with SM3 and the default identifier 1234567812345678: a closed profile. Source: GB/T 32918.2, 32905."""

    __slots__ = ()
    alg: Final = "SM2SM3"
    #: Of the range for private use. Source: RFC 9053, 8.
    cose_alg: Final = -65_537
    sd_alg: Final = "sm3"

    def digest(self, data: bytes) -> bytes:
        return _native.sm3_digest(data)

    def key_digest(self, spki: bytes) -> bytes:
        return hashlib.sha256(spki).digest()

    def verify(self, spki: bytes, message: bytes, signature: bytes) -> None:
        if len(spki) != SPKI_BYTES or not spki.startswith(_SM2_HEADER):
            raise InvalidInputError(
                "licence.key",
                "not an SM2 key as the chain names it: SubjectPublicKeyInfo in DER with an uncompressed point",
                hint="take the key from the issuer's entry on the chain",
            )
        _native.sm2_verify(spki[len(_SM2_HEADER) :], message, signature)

    def __repr__(self) -> str:
        return "SM2SM3"


ES256: Final[Suite] = _Es256()
SM2SM3: Final[Suite] = _Sm2Sm3()

_SUITES: Final[dict[str, Suite]] = {suite.alg: suite for suite in (ES256, SM2SM3)}


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


class _Sm2Signer:
    __slots__ = ("_secret", "kid", "spki")
    suite: Final = SM2SM3

    def __init__(self, secret: bytes) -> None:
        self._secret: Final = secret
        self.spki: Final = _SM2_HEADER + _native.sm2_public(secret)
        self.kid: Final = kid_of(self.spki)

    def sign(self, message: bytes) -> bytes:
        return _native.sm2_sign(self._secret, message)

    def __repr__(self) -> str:
        return f"Sm2Signer({self.kid[:16]}…)"


def sm2_signer(secret: bytes) -> Signer:
    """A signer over a 32-byte SM2 secret. Raises: InvalidInputError(key.secret | input.length)."""
    return _Sm2Signer(secret)


@lru_cache(maxsize=256)
def _p256_key(spki: bytes) -> ec.EllipticCurvePublicKey:
    if len(spki) == SPKI_BYTES and spki.startswith(P256_HEADER):
        try:
            return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), spki[len(P256_HEADER) :])
        except ValueError:
            pass
    raise InvalidInputError(
        "licence.key",
        "not a P-256 key as the chain names it: SubjectPublicKeyInfo in DER with an uncompressed point on the curve",
        hint="take the key from the issuer's entry on the chain",
    )
