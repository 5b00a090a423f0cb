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

def licence_begin(texts: Sequence[str], keys: dict[str, bytes], typ: str) -> PendingLicences:
    """Begin to take presentations apart, verify their signatures and put their disclosures in place, on all cores.
    ``keys``: DER SubjectPublicKeyInfo by kid; ``typ``: what the headers must say. Raises nothing for a bad licence:
    that is its answer."""

@final
class PendingLicences:
    """Presentations that are being opened."""

    def result(self) -> OpenedLicences:
        """Wait, without the GIL. May be taken once."""

@final
class OpenedLicences:
    """What became of every text of a batch, by its place."""

    def __len__(self) -> int: ...
    def refusal(self, at: int) -> tuple[str, str | None] | None:
        """(code, kid if it came so far) of one that was refused. None of one that holds, and where the text is not
        ASCII."""

    def claims(self, at: int) -> tuple[str, str, dict[str, Any], tuple[str | int, ...], int, int] | None:
        """Of one that holds, (kid, alg, claims, for every disclosure the top-level claim it is or lies in, hidden
        digests, characters up to and including the last "~")."""

    def parts(
        self, at: int
    ) -> (
        tuple[str, str, dict[str, Any], tuple[tuple[int, tuple[str | int, ...], tuple[int, ...]], ...], int, int] | None
    ):
        """(kid, alg, claims, disclosures, hidden digests, characters up to and including the last "~") of one that
        holds; a disclosure: (its place among those that came, path, places of those it lies in)."""
