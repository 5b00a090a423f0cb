"""The proof that goes with a citizen's ID token to a node: good for that node alone, and for a minute.

Who began a sign-in made a key for it and gave the key's thumbprint to the provider as the token's ``nonce``. A token
therefore names the only key that may use it, and whoever merely has seen the token, another node included, can do
nothing with it (the idea of OpenPubkey, in the form of RFC 9449's proofs; ADR 28).
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from ledger.errors import UntrustedError
from ledger.licences import b64
from ledger.openid.idtoken import SKEW_S, signed_payload, token_header

TYPE: Final = "citizen-proof+jwt"
LIFETIME_S: Final = 60
_ALGORITHM: Final = "ES256"
_CURVE_BYTES: Final = 32
_JTI: Final = re.compile(r"[A-Za-z0-9_-]{22,64}\Z")


class ProofKey:
    """The key of one sign-in."""

    __slots__ = ("_key", "nonce")

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key
        #: What the provider puts into the token.
        self.nonce = thumbprint(_jwk(key.public_key()))

    @classmethod
    def generate(cls) -> ProofKey:
        """A fresh one."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def of_secret(cls, secret: bytes) -> ProofKey:
        """From its 32 bytes, as :attr:`secret` gave them."""
        return cls(ec.derive_private_key(int.from_bytes(secret, "big"), ec.SECP256R1()))

    @property
    def secret(self) -> bytes:
        """32 bytes."""
        return self._key.private_numbers().private_value.to_bytes(_CURVE_BYTES, "big")

    def prove(self, token: str, member: str, now_s: int, deed: bytes | None = None) -> str:
        """The proof with which a token speaks to a member's node. ``member``: USCC; ``deed``: the body that says what
        is to be done there, None where something is only read."""
        payload: dict[str, Any] = {
            "aud": audience_of(member),
            "iat": now_s,
            "exp": now_s + LIFETIME_S,
            "ath": _digest(token.encode()),
        }
        if deed is not None:
            payload |= {"deed": _digest(deed), "jti": secrets.token_urlsafe(16)}
        headers = {"typ": TYPE, "jwk": _jwk(self._key.public_key())}
        return jwt.encode(payload, self._key, algorithm=_ALGORITHM, headers=headers)


def verify_proof(
    proof: str, token: str, nonce: str, *, member: str, now_s: int, deed: bytes | None = None
) -> tuple[str, int]:
    """Return when the key that a token's ``nonce`` names made the proof for this token, this member and this minute,
    and for this ``deed``: (its one-time name, "" where it is only to read; Unix seconds until which it would be taken).

    Raises: UntrustedError(citizen.token-form | citizen.proof).
    """
    header = token_header(proof)
    row = header.get("jwk")
    if header.get("alg") != _ALGORITHM or header.get("typ") != TYPE or "crit" in header or not isinstance(row, dict):
        raise _refuse()
    if set(row) != {"kty", "crv", "x", "y"} or (row["kty"], row["crv"]) != ("EC", "P-256"):
        raise _refuse()
    if thumbprint(row) != nonce:
        raise _refuse()
    try:
        key = jwt.PyJWK(row, algorithm=_ALGORITHM).key
        payload = signed_payload(proof, key, _ALGORITHM)
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError, RecursionError):
        raise _refuse() from None
    if (
        not isinstance(payload, dict)
        or payload.get("aud") != audience_of(member)
        or payload.get("ath") != _digest(token.encode())
        or payload.get("deed") != (None if deed is None else _digest(deed))
    ):
        raise _refuse()
    name = payload.get("jti", "") if deed is not None else ""
    if deed is not None and (not isinstance(name, str) or not _JTI.match(name)):
        raise _refuse()
    issued, expires = payload.get("iat"), payload.get("exp")
    if type(issued) is not int or type(expires) is not int or not issued <= expires <= issued + LIFETIME_S:
        raise _refuse()
    if not issued - SKEW_S <= now_s < expires + SKEW_S:
        raise _refuse()
    return name, expires + SKEW_S


def audience_of(member: str) -> str:
    """How a proof names the node it is for."""
    return f"urn:cn:uscc:{member}"


def thumbprint(row: dict[str, Any]) -> str:
    """SHA-256 of a P-256 key as JWK, base64url. Source: RFC 7638, section 3."""
    named = {name: row[name] for name in ("crv", "kty", "x", "y")}
    text = json.dumps(named, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return b64.encode(hashlib.sha256(text.encode()).digest())


def _jwk(key: ec.EllipticCurvePublicKey) -> dict[str, Any]:
    numbers = key.public_numbers()
    x, y = (value.to_bytes(_CURVE_BYTES, "big") for value in (numbers.x, numbers.y))
    return {"kty": "EC", "crv": "P-256", "x": b64.encode(x), "y": b64.encode(y)}


def _digest(data: bytes) -> str:
    return b64.encode(hashlib.sha256(data).digest())


def _refuse() -> UntrustedError:
    return UntrustedError(
        "citizen.proof",
        "the ID token comes without the proof that it is meant for this node, now",
        hint="a gateway makes one for each request: compare the machines' clocks",
    )
