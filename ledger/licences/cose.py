"""COSE_Sign1 over deterministic CBOR: the signed envelope of slips.

The reader is strict: one CBOR item in its one deterministic encoding, nothing behind it, no tag but the outermost, and
in the headers exactly what this profile has. Source: RFC 9052, 4.2 and 4.4; RFC 8949, 4.2.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final, NoReturn

import cbor2

from ledger.errors import InvalidInputError
from ledger.licences.suites import ES256, SIGNATURE_BYTES, SM2SM3, Signer, Suite

#: The first bytes of a key's digest name it in the header; the verifier looks the whole key up.
KID_BYTES: Final = 8
MAX_DEPTH: Final = 6
#: CoAP content format of ``application/cwt``. Source: RFC 8392, 9.2.
_CWT: Final = 61
_ALG, _CONTENT_TYPE, _KID = 1, 3, 4
_SIGN1_TAG: Final = b"\xd2"
_SUITES: Final[dict[int, Suite]] = {suite.cose_alg: suite for suite in (ES256, SM2SM3)}
_HINT: Final = "scan the code again; if it is refused again, ask the issuer's desk for a new one"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign1:
    """A signed payload, well-formed but **not verified**: ``key_prefix`` names the key, ``signed`` is what the
    signature r || s is over."""

    suite: Suite
    key_prefix: bytes
    payload: bytes
    signed: bytes
    signature: bytes

    def verify(self, spki: bytes) -> None:
        """Check that the key is the one named, and the signature.

        Raises: UntrustedError(licence.signature), InvalidInputError(licence.key | licence.slip-kid).
        """
        if not self.suite.key_digest(spki).startswith(self.key_prefix):
            _refuse("licence.slip-kid", "signed with another key than it is compared with")
        self.suite.verify(spki, self.signed, self.signature)


def sign(payload: bytes, signer: Signer) -> bytes:
    """A tagged COSE_Sign1 with the algorithm, content type and key in the protected header."""
    key = signer.suite.key_digest(signer.spki)[:KID_BYTES]
    protected = encode({_ALG: signer.suite.cose_alg, _CONTENT_TYPE: _CWT, _KID: key})
    signature = signer.sign(_to_be_signed(protected, payload))
    return _SIGN1_TAG + encode([protected, {}, payload, signature])


def parse(data: bytes) -> Sign1:
    """The parts of a tagged COSE_Sign1.

    Raises: InvalidInputError(licence.slip-cbor | licence.slip-trailing | licence.slip-canonical | licence.slip-form |
    licence.slip-header | licence.slip-alg).
    """
    if not data.startswith(_SIGN1_TAG):
        _refuse("licence.slip-form", "not a COSE_Sign1")
    parts = decode(data[1:])
    if type(parts) is not list or [type(part) for part in parts] != [bytes, dict, bytes, bytes]:
        _refuse("licence.slip-form", "a COSE_Sign1 has a protected header, a header, a payload and a signature")
    protected, unprotected, payload, signature = parts
    header = decode(protected)
    if unprotected or type(header) is not dict or set(map(repr, header)) != {"1", "3", "4"}:
        _refuse("licence.slip-header", "a header with other parameters than a slip has, or without one of them")
    key = header[_KID]
    if header[_CONTENT_TYPE] != _CWT or type(key) is not bytes or len(key) != KID_BYTES:
        _refuse("licence.slip-header", "a header of another content, or without the beginning of a key's digest")
    suite = _SUITES.get(header[_ALG]) if type(header[_ALG]) is int else None
    if suite is None:
        _refuse("licence.slip-alg", "signed with an algorithm that is not accepted here")
    if len(signature) != SIGNATURE_BYTES:
        _refuse("licence.slip-form", f"a signature has {SIGNATURE_BYTES} bytes")
    return Sign1(
        suite=suite,
        key_prefix=key,
        payload=payload,
        signed=_to_be_signed(protected, payload),
        signature=signature,
    )


def encode(value: Any) -> bytes:
    """The deterministic encoding of a value."""
    return cbor2.dumps(value, canonical=True)


def decode(data: bytes) -> Any:
    """The value of one deterministically encoded item: integers, bytes, texts, arrays and maps, without tags.

    Raises: InvalidInputError(licence.slip-cbor | licence.slip-trailing | licence.slip-canonical).
    """
    try:
        # A tag would make dates, numbers of any size or patterns out of what is read: none is ever decoded.
        value = cbor2.CBORDecoder(
            BytesIO(data),
            tag_hook=_no_tag,
            semantic_decoders=_NO_TAGS,
            max_depth=MAX_DEPTH,
            allow_indefinite=False,
            allow_duplicate_keys=False,
        ).decode()
        again = encode(value)
    except (cbor2.CBORError, ValueError, TypeError, OverflowError):
        _refuse("licence.slip-cbor", "not CBOR as slips are written")
    if again != data:
        if data.startswith(again):
            _refuse("licence.slip-trailing", "bytes behind its end")
        _refuse("licence.slip-canonical", "not in the one encoding that such a value has")
    return value


def _no_tag(*_: object) -> NoReturn:
    raise ValueError("a tag")


#: The tags CBOR libraries know a meaning for all lie below; the hook refuses the others.
_NO_TAGS: Final = dict.fromkeys([*range(512), 1004, 43_000, 55_799], _no_tag)


def _to_be_signed(protected: bytes, payload: bytes) -> bytes:
    return encode(["Signature1", protected, b"", payload])


def _refuse(code: str, message: str) -> NoReturn:
    raise InvalidInputError(code, f"not a slip of a licence: {message}", hint=_HINT)
