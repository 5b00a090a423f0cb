"""ID tokens of an OpenID provider, judged strictly; the time of judging is an argument.

Source: OpenID Connect Core 1.0, sections 2 and 3.1.3.7; RFC 7515, 7517, 7519, 8725.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ledger.errors import UntrustedError

#: Signatures that are taken. A key says by its own kind which one it makes: the token never chooses.
ALGORITHMS: Final = ("ES256", "RS256")
#: How far clocks may differ, seconds.
SKEW_S: Final = 60
UNKNOWN_KEY: Final = "citizen.token-key"
#: What fits beside the rest into the head of a request to a node.
MAX_TOKEN: Final = 8_192
MAX_KEYS: Final = 100
_MIN_RSA_BITS: Final = 2_048
_MAX_RSA_BITS: Final = 8_192
_MAX_KID: Final = 256
_MAX_TEXT: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderKey:
    """A key that a provider signs with. ``kid``: "" where the provider names none."""

    kid: str
    algorithm: str
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class IdToken:
    """A token whose signature and claims hold. Times in Unix seconds; ``identity``: the claim that was asked for."""

    identity: str
    nonce: str
    issued_s: int
    expires_s: int


def read_keys(document: Any) -> tuple[ProviderKey, ...]:
    """The usable signing keys of a JWK set; keys of other kinds and for other uses are passed over, as RFC 7517
    section 5 asks.

    Raises: UntrustedError(citizen.provider-keys).
    """
    rows = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(rows, list) or len(rows) > MAX_KEYS:
        raise _no_keys()
    found = [key for row in rows if isinstance(row, dict) and (key := _key(row)) is not None]
    if not found:
        raise _no_keys()
    return tuple(found)


def verify(
    token: str,
    keys: Sequence[ProviderKey],
    *,
    issuer: str,
    audience: str,
    claim: str,
    now_s: int,
    nonce: str | None = None,
    max_age_s: int | None = None,
) -> IdToken:
    """The token, if every rule holds. ``nonce`` None: any that is there; ``max_age_s``: how long ago it may have been
    issued.

    Raises: UntrustedError(citizen.token-*) naming the rule; ``citizen.token-key`` where no key has its ``kid``: the
    provider's keys may have been rotated since they were read.
    """
    header = token_header(token)
    algorithm, kid = header.get("alg"), header.get("kid", "")
    if algorithm not in ALGORITHMS:
        raise _refuse("citizen.token-algorithm", "the ID token is not signed by ES256 or RS256", actual=algorithm)
    if "crit" in header or not isinstance(kid, str) or len(kid) > _MAX_KID:
        raise _refuse("citizen.token-form", "the ID token's header asks for what is not understood here")
    candidates = [key for key in keys if key.algorithm == algorithm and (key.kid == kid or not kid)]
    if not candidates:
        raise _refuse("citizen.token-key", "the ID token names a key that its provider does not publish")
    payload = _payload(token, candidates, str(algorithm))
    return _claims(payload, issuer, audience, claim, now_s, nonce, max_age_s)


def token_header(token: str) -> dict[str, Any]:
    """A token's header, not verified. Raises: UntrustedError(citizen.token-form)."""
    if len(token) > MAX_TOKEN or token.count(".") != 2 or not token.isascii():
        raise _refuse("citizen.token-form", "this is no signed token")
    try:
        return dict(jwt.get_unverified_header(token))
    except (jwt.PyJWTError, RecursionError, ValueError):
        raise _refuse("citizen.token-form", "this is no signed token") from None


def signed_payload(token: str, key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey, algorithm: str) -> Any:
    """The JSON value that a key signed. Raises: jwt.PyJWTError, ValueError, RecursionError."""
    data = jwt.api_jws.decode(token, key=key, algorithms=[algorithm])
    return json.loads(data.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)


def _payload(token: str, keys: Sequence[ProviderKey], algorithm: str) -> Mapping[str, Any]:
    for key in keys:
        try:
            value = signed_payload(token, key.key, algorithm)
        except jwt.InvalidSignatureError:
            continue
        except (jwt.PyJWTError, ValueError, RecursionError):
            break
        if isinstance(value, dict):
            return value
        break
    raise _refuse("citizen.token-signature", "no key of the provider made the ID token's signature")


def _claims(
    payload: Mapping[str, Any],
    issuer: str,
    audience: str,
    claim: str,
    now_s: int,
    nonce: str | None,
    max_age_s: int | None,
) -> IdToken:
    if payload.get("iss") != issuer:
        raise _refuse("citizen.token-issuer", "the ID token is of another provider")
    named = payload.get("aud")
    audiences = [named] if isinstance(named, str) else named
    if not isinstance(audiences, list) or audience not in audiences:
        raise _refuse("citizen.token-audience", "the ID token is for another service")
    party = payload.get("azp")
    # Core 3.1.3.7, 4 and 5: with further audiences the token says which of them it was made for.
    if (party is None and len(audiences) > 1) or (party is not None and party != audience):
        raise _refuse("citizen.token-audience", "the ID token was made for another service")
    issued, expires = _time(payload, "iat"), _time(payload, "exp")
    if now_s >= expires + SKEW_S:
        raise _refuse("citizen.token-expired", "the sign-in has expired", hint="sign in again")
    if issued > now_s + SKEW_S or _time(payload, "nbf", issued) > now_s + SKEW_S or issued > expires:
        raise _refuse("citizen.token-early", "the ID token is from the future", hint="compare the machines' clocks")
    if max_age_s is not None and now_s > issued + max_age_s + SKEW_S:
        raise _refuse("citizen.token-expired", "the sign-in is too long ago", hint="sign in again")
    found = payload.get("nonce")
    if not isinstance(found, str) or not 1 <= len(found) <= _MAX_TEXT or (nonce is not None and found != nonce):
        raise _refuse("citizen.token-nonce", "the ID token answers another sign-in", hint="sign in again")
    identity = payload.get(claim)
    if not isinstance(identity, str) or not 1 <= len(identity) <= _MAX_TEXT:
        raise _refuse(
            "citizen.token-claim",
            "the ID token does not say who signed in",
            hint="the provider must put the claim that the settings name into ID tokens",
        )
    return IdToken(identity=identity, nonce=found, issued_s=issued, expires_s=expires)


def _time(payload: Mapping[str, Any], name: str, absent: int | None = None) -> int:
    value = payload.get(name, absent)
    if isinstance(value, float) and 0 <= value < 1 << 40:
        value = int(value)  # RFC 7519: a NumericDate may have a fraction
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 40:
        raise _refuse("citizen.token-form", f"the ID token has no {name}")
    return value


def _key(row: Mapping[str, Any]) -> ProviderKey | None:
    kid, use, operations = row.get("kid", ""), row.get("use", "sig"), row.get("key_ops", ["verify"])
    if not isinstance(kid, str) or len(kid) > _MAX_KID or use != "sig":
        return None
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    algorithm = "ES256" if (row.get("kty"), row.get("crv")) == ("EC", "P-256") else "RS256"
    if row.get("kty") not in ("EC", "RSA") or row.get("alg", algorithm) != algorithm:
        return None
    try:
        key = jwt.PyJWK(dict(row), algorithm=algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError):
        return None
    if algorithm == "ES256":
        usable = isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
    else:
        # Too short is weak; too long is a way to keep a verifier busy.
        usable = isinstance(key, rsa.RSAPublicKey) and _MIN_RSA_BITS <= key.key_size <= _MAX_RSA_BITS
    return ProviderKey(kid=kid, algorithm=algorithm, key=key) if usable else None


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a name stands twice")
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _no_keys() -> UntrustedError:
    return UntrustedError(
        "citizen.provider-keys",
        "the service that citizens sign in at publishes no key for ES256 or RS256",
        hint="its operator can say more",
    )


def _refuse(code: str, message: str, *, hint: str = "", actual: object = None) -> UntrustedError:
    # Nothing of a token goes into a message but its algorithm: the rest may say who somebody is.
    return UntrustedError(code, message, hint=hint, actual=None if actual is None else ascii(actual)[:40])
