"""Signed tokens in JWS compact form: what licences, key bindings and status lists have in common.

Source: RFC 7515, sections 3.1, 4.1 and 5.2; RFC 8725 (algorithms named by the verifier, types stated).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ledger import codec
from ledger.errors import InvalidInputError
from ledger.licences import b64, strictjson
from ledger.licences.suites import SIGNATURE_BYTES, Signer, Suite, suite_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Jws:
    """A token in its parts, well-formed but **not verified**: ``signing_input`` is what the signature is over,
    ``payload`` the bytes of the payload, ``signature`` r || s."""

    header: Mapping[str, Any]
    payload: bytes
    signing_input: bytes
    signature: bytes
    suite: Suite

    @property
    def kid(self) -> str:
        """The key named in the header. Raises: InvalidInputError(licence.kid)."""
        kid = self.header.get("kid")
        if not isinstance(kid, str) or not 1 <= len(kid) <= 128:
            raise _malformed(
                "licence.kid", "the header does not name the key it was signed with", "1 to 128 characters", kid
            )
        return kid

    def require_typ(self, typ: str) -> None:
        """Refuse a token made for another purpose. Raises: InvalidInputError(licence.typ).

        Source: RFC 8725, 3.11.
        """
        if self.header.get("typ") != typ:
            raise _malformed("licence.typ", "a token of another type", typ, self.header.get("typ"))

    def verify(self, spki: bytes) -> None:
        """Check the signature. Raises: UntrustedError(licence.signature), InvalidInputError(licence.key)."""
        self.suite.verify(spki, self.signing_input, self.signature)

    def claims(self) -> dict[str, Any]:
        """The payload as a JSON object. Raises: InvalidInputError(licence.payload | licence.json*)."""
        value = strictjson.read(self.payload)
        if not isinstance(value, dict):
            raise _malformed("licence.payload", "the payload is not a JSON object", "object", type(value).__name__)
        return value


def parse(text: str) -> Jws:
    """The parts of a compact token. Nothing in the header chooses a key or weakens a rule.

    Raises: InvalidInputError(licence.segments | licence.base64* | licence.json* | licence.header |
    licence.alg-missing | licence.alg-none | licence.alg | licence.crit | licence.signature-length).
    """
    parts = text.split(".")
    if len(parts) != 3:
        raise _malformed("licence.segments", "a signed token has three parts", 3, len(parts))
    header = strictjson.read(b64.decode(parts[0]))
    if not isinstance(header, dict):
        raise _malformed("licence.header", "the header is not a JSON object", "object", type(header).__name__)
    suite = _suite(header)
    if "crit" in header:
        raise _malformed("licence.crit", "the header demands an extension that is unknown here", None, header["crit"])
    signature = b64.decode(parts[2])
    if len(signature) != SIGNATURE_BYTES:
        raise _malformed(
            "licence.signature-length",
            f"a signature has {SIGNATURE_BYTES} bytes, r and s",
            SIGNATURE_BYTES,
            len(signature),
        )
    return Jws(
        header=header,
        payload=b64.decode(parts[1]),
        signing_input=text[: len(parts[0]) + 1 + len(parts[1])].encode("ascii"),
        signature=signature,
        suite=suite,
    )


def make(header: Mapping[str, Any], payload: Mapping[str, Any], signer: Signer) -> str:
    """A compact token signed by ``signer``; ``alg`` is written by the suite.

    Raises: InvalidInputError(json.*).
    """
    head = b64.encode(codec.encode({**header, "alg": signer.suite.alg}))
    body = f"{head}.{b64.encode(codec.encode(dict(payload)))}"
    return f"{body}.{b64.encode(signer.sign(body.encode('ascii')))}"


def _suite(header: Mapping[str, Any]) -> Suite:
    if "alg" not in header:
        raise _malformed("licence.alg-missing", "the header names no algorithm")
    alg = header["alg"]
    if isinstance(alg, str) and alg.lower() == "none":
        raise _malformed("licence.alg-none", "not signed: its algorithm is none")
    return suite_of(alg)


def _malformed(code: str, message: str, expected: object = None, actual: object = None) -> InvalidInputError:
    return InvalidInputError(
        code,
        message,
        hint="ask the issuer for a licence in the form dc+sd-jwt, signed with ES256",
        expected=expected,
        actual=None if actual is None else ascii(actual)[:60],
    )
