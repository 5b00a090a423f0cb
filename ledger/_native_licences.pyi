"""The part of the native door that licences use: types only, the functions are those of ``ledger._native``.

SM2 is signed with the identifier 1234567812345678; a signature is r || s, a point is uncompressed (65 bytes).
"""

from collections.abc import Sequence
from typing import Any, final

def sm3_digest(data: bytes) -> bytes: ...
def sm2_public(secret: bytes) -> bytes:
    """65-byte uncompressed point. Raises InvalidInputError(key.secret)."""

def sm2_sign(secret: bytes, message: bytes) -> bytes:
    """Deterministic (RFC 6979 with SM3)."""

def sm2_verify(point: bytes, message: bytes, signature: bytes) -> None:
    """Raises UntrustedError(licence.signature), InvalidInputError(licence.key)."""

@final
class LicenceKeys:
    """Issuers' keys, read once: DER SubjectPublicKeyInfo by kid."""

    def __init__(self, keys: dict[str, bytes]) -> None: ...

def licence_begin(texts: Sequence[str], keys: LicenceKeys, typ: str) -> PendingLicences:
    """Begin to take presentations apart, verify their signatures and put their disclosures in place, on all cores; one
    alone is done when this returns. ``typ``: what the headers must say. Raises nothing for a bad licence: that is its
    answer."""

@final
class PendingLicences:
    """Presentations that are being opened."""

    def result(self) -> OpenedLicences:
        """Wait, without the GIL where there is something to wait for. May be taken once."""

@final
class OpenedLicences:
    """What became of every text of a batch, by its place."""

    def __len__(self) -> int: ...
    def refusal(self, at: int) -> tuple[str, str | None] | None:
        """(code, kid if it came so far) of one that was refused. None of one that holds, and where the text is not
        ASCII."""

    def said(
        self, at: int
    ) -> (
        tuple[
            str,
            str,
            Any,
            Any,
            int | None,
            int | None,
            int | None,
            bytes | None,
            tuple[str, int] | None,
            dict[str, Any],
            bool,
            int,
            int,
        ]
        | None
    ):
        """Of one that holds and is as licences are made, what judging asks: (kid, alg, iss, vct, iat, nbf, exp, the
        holder's key as SubjectPublicKeyInfo, address and place in the status list, the other claims, whether the
        identifier is shown and right by the standard's rule, hidden digests, characters up to and including the last
        "~"); None where something is not stated. ``iss`` and ``vct`` are as they came. None of every other one."""

    def parts(
        self, at: int
    ) -> (
        tuple[str, str, dict[str, Any], tuple[tuple[int, tuple[str | int, ...], tuple[int, ...]], ...], int, int] | None
    ):
        """(kid, alg, claims, disclosures, hidden digests, characters up to and including the last "~") of one that
        holds; a disclosure: (its place among those that came, path, places of those it lies in)."""
