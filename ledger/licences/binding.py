"""Key binding: the holder proves that a presentation is its own, for this verifier and this moment.

Whether it is required is the verifier's rule and never inferred from what came. Source: RFC 9901, 4.3 and 7.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from ledger.errors import InvalidInputError, LedgerError, UntrustedError
from ledger.licences import b64, jws
from ledger.licences.sdjwt import Presented, parse
from ledger.licences.suites import P256_HEADER, Signer

TYP: Final = "kb+jwt"
#: Clocks may differ by this much, and a presentation is fresh for so long. Seconds.
SKEW_SECONDS: Final = 60
MAX_AGE_SECONDS: Final = 300
MAX_TEXT: Final = 512

#: The field and the constant of P-256.
_P: Final = 2**256 - 2**224 + 2**192 + 2**96 - 1
_B: Final = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B

_OWN_CLAIMS: Final = frozenset({"iat", "aud", "nonce", "sd_hash"})
_HINT: Final = "ask the holder to present the licence anew, to you and now"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyBinding:
    """What a verified key binding says: for whom, when (Unix seconds), the verifier's nonce, and every other claim."""

    audience: str
    nonce: str
    issued_at: int
    claims: Mapping[str, Any]


def bind(
    presented: str,
    *,
    signer: Signer,
    audience: str,
    nonce: str,
    issued_at: int,
    extra: Mapping[str, Any] | None = None,
) -> str:
    """A presentation (``…~``) with a key binding by the holder's key; ``issued_at``: Unix seconds; ``extra``: further
    claims under the holder's signature.

    Raises: InvalidInputError(licence.bound-already | licence.reserved-name | json.*), and what parsing raises.
    """
    if not presented.endswith("~"):
        raise InvalidInputError(
            "licence.bound-already",
            "there is a key binding already, or the last ~ is missing",
            hint="present from the licence as it was issued",
        )
    claims = dict(extra or {})
    if reserved := sorted(_OWN_CLAIMS & claims.keys()):
        raise InvalidInputError("licence.reserved-name", "a claim the key binding makes itself", actual=reserved[0])
    claims |= {
        "aud": audience,
        "iat": issued_at,
        "nonce": nonce,
        # The digest is the one of the licence, whatever the holder signs with. Source: RFC 9901, 4.3.1.
        "sd_hash": b64.encode(parse(presented).jws.suite.digest(presented.encode("ascii"))),
    }
    return presented + jws.make({"typ": TYP}, claims, signer)


def verify(
    sdjwt: Presented,
    holder_spki: bytes,
    *,
    now_s: int,
    max_age_s: int | None = MAX_AGE_SECONDS,
    audience: str | None = None,
    nonce: str | None = None,
) -> KeyBinding:
    """Check the key binding of a presentation under the holder's key from ``cnf``.

    ``max_age_s``: None where the presentation carries its own expiry (a purpose-bound copy); ``audience``, ``nonce``:
    what the verifier expects, None: not compared.

    Raises: UntrustedError and InvalidInputError with licence.binding-missing | -form | -alg | -alg-none | -typ |
    -signature | -claims | -hash | -early | -old | -audience | -nonce. Source: RFC 9901, 7.3, step 5.
    """
    found = _read(sdjwt, holder_spki)
    if found.issued_at > now_s + SKEW_SECONDS:
        _unproven(
            "licence.binding-early",
            "the key binding was made in the future",
            hint="compare the clocks of both sides; a minute's difference is allowed",
            expected=now_s,
            actual=found.issued_at,
        )
    if max_age_s is not None:
        check_age(found, now_s, max_age_s)
    if audience is not None and found.audience != audience:
        _unproven(
            "licence.binding-audience",
            "presented to somebody else",
            expected=audience,
            actual=ascii(found.audience)[:80],
        )
    if nonce is not None and found.nonce != nonce:
        _unproven("licence.binding-nonce", "not the answer to this verifier's question: another nonce")
    return found


def check_age(bound: KeyBinding, now_s: int, max_age_s: int = MAX_AGE_SECONDS) -> None:
    """Refuse a key binding older than ``max_age_s`` and the skew. Raises: UntrustedError(licence.binding-old)."""
    ends = bound.claims.get("exp")
    if ends is not None and (type(ends) is not int or ends + SKEW_SECONDS <= now_s):
        _unproven("licence.binding-old", "the key binding has ended by its own exp", actual=ascii(ends)[:40])
    if bound.issued_at < now_s - max_age_s - SKEW_SECONDS:
        _unproven(
            "licence.binding-old", "the key binding is too old", expected=now_s - max_age_s, actual=bound.issued_at
        )


def _read(sdjwt: Presented, holder_spki: bytes) -> KeyBinding:
    if sdjwt.key_binding is None:
        _unproven("licence.binding-missing", "the holder did not prove that the licence is its own")
    try:
        token = jws.parse(sdjwt.key_binding)
        claims = token.claims()
    except LedgerError as error:
        if error.code in ("licence.alg-none", "licence.alg-missing"):
            raise InvalidInputError(
                "licence.binding-alg-none", f"the key binding is not signed: {error.message}", hint=_HINT
            ) from None
        if error.code == "licence.alg":
            raise InvalidInputError(
                "licence.binding-alg", f"the key binding is {error.message}", hint=error.hint, actual=error.actual
            ) from None
        raise InvalidInputError(
            "licence.binding-form", f"not a key binding: {error.message}", hint=_HINT, actual=error.code
        ) from None
    if token.header.get("typ") != TYP:
        raise InvalidInputError(
            "licence.binding-typ",
            "the key binding is a token of another type",
            hint=_HINT,
            expected=TYP,
            actual=ascii(token.header.get("typ"))[:40],
        )
    try:
        token.verify(holder_spki)
    except LedgerError:
        _unproven("licence.binding-signature", "the key binding is not signed with the holder's key")
    binding = _claims(claims)
    digest = b64.encode(sdjwt.suite.digest(sdjwt.presented.encode("ascii")))
    if claims["sd_hash"] != digest:
        _unproven("licence.binding-hash", "the key binding is of another presentation", digest, claims["sd_hash"][:43])
    return binding


def _claims(claims: Mapping[str, Any]) -> KeyBinding:
    issued_at, texts = claims.get("iat"), [claims.get(name) for name in ("aud", "nonce", "sd_hash")]
    if (
        type(issued_at) is not int
        or issued_at < 0
        or not all(isinstance(text, str) and 1 <= len(text) <= MAX_TEXT for text in texts)
    ):
        raise InvalidInputError(
            "licence.binding-claims", "a key binding states iat, aud, nonce and sd_hash, each once", hint=_HINT
        )
    return KeyBinding(
        audience=claims["aud"],
        nonce=claims["nonce"],
        issued_at=issued_at,
        claims={name: value for name, value in claims.items() if name not in _OWN_CLAIMS},
    )


def holder_key(cnf: Any) -> bytes:
    """The holder's key in a ``cnf`` claim, DER SubjectPublicKeyInfo, 91 bytes.

    Raises: InvalidInputError(licence.cnf | licence.cnf-private | licence.cnf-curve | licence.cnf-key).
    Source: RFC 7800, 3.2; RFC 7518, 6.2.1.
    """
    jwk = cnf.get("jwk") if isinstance(cnf, dict) else None
    if not isinstance(jwk, dict):
        raise _cnf("licence.cnf", "cnf holds no public key as jwk")
    if "d" in jwk:
        raise _cnf("licence.cnf-private", "cnf holds a private key")
    if jwk.get("kty") != "EC" or jwk.get("crv") != "P-256":
        raise _cnf("licence.cnf-curve", "the holder's key is not on P-256")
    try:
        point = [b64.decode(part) for part in (jwk.get("x"), jwk.get("y")) if isinstance(part, str)]
    except LedgerError:
        point = []
    # Each coordinate has its full length: with 31 and 33 bytes, two texts would name one key.
    if [len(part) for part in point] != [32, 32] or not _on_p256(*(int.from_bytes(part, "big") for part in point)):
        raise _cnf("licence.cnf-key", "the holder's key is no point on P-256")
    return P256_HEADER + b"\x04" + b"".join(point)


def _on_p256(x: int, y: int) -> bool:
    """Whether affine coordinates satisfy y^2 = x^3 - 3x + b. A licence without key binding is judged with nothing more
    of its key, so that loading it into a library would be most of the work. Source: NIST SP 800-186, 3.2.1.3."""
    return x < _P and y < _P and (y * y - (x * x - 3) * x - _B) % _P == 0


def confirmation(spki: bytes) -> dict[str, Any]:
    """The ``cnf`` claim of a holder's key: ``{"jwk": {"crv", "kty", "x", "y"}}``.

    Raises: InvalidInputError(licence.cnf-key).
    """
    try:
        key = load_der_public_key(spki)
    except ValueError:
        raise _cnf("licence.cnf-key", "not a public key") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise _cnf("licence.cnf-curve", "the holder's key is not on P-256")
    point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return {
        "jwk": {"crv": "P-256", "kty": "EC", "x": b64.encode(point[1:33]), "y": b64.encode(point[33:])},
    }


def _cnf(code: str, message: str) -> InvalidInputError:
    return InvalidInputError(
        code, message, hint="the holder makes a new P-256 key and the issuer issues the licence anew"
    )


def _unproven(code: str, message: str, expected: object = None, actual: object = None, hint: str = _HINT) -> NoReturn:
    raise UntrustedError(code, message, hint=hint, expected=expected, actual=actual)
