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

def licence_alone(message: bytes) -> str | None:
    """The licence in a serialised LicencePresentation that states nothing else: ASCII, at most 64 KiB, begins with
    ``eyJ`` and ends with ``~``. None of every other message."""

@final
class ReadyVerdicts:
    """What verdicts have in common, and answers made of it. Times: Unix milliseconds."""

    def __init__(self, typ: str, heads: dict[str, bytes]) -> None:
        """``typ``: what the headers must say; ``heads``: how a claim begins in a verdict, by its name."""

    def learn(
        self,
        name: tuple[str, str, str, str],
        *,
        times: tuple[int, int],
        pieces: Sequence[bytes],
        spans: Sequence[tuple[int, int, bytes]],
        until: Sequence[bytes],
        endless: bytes,
        holder: tuple[bytes, bytes],
        view: int,
        bits: int,
        entries: bytes,
    ) -> None:
        """What the verdicts share that name this (kid, iss, vct, address of the list), from the first of ``times`` to
        before the second. ``pieces``: eight, around the time, the lines of accreditation, validity and holder, the
        claims, how many are hidden, the age of the view; ``spans`` of issue with the line of accreditation; ``until``:
        the line of validity around its end; ``holder``: its line with and without a key; ``entries``: of the list, with
        so many ``bits`` each."""

    def knows(self, name: tuple[str, str, str, str], now: int) -> bool:
        """Whether something is ready for this name and time."""

    def answer(self, text: str, keys: LicenceKeys, now: int) -> bytes | OpenedLicences:
        """The serialised LicenceVerdict on a licence that is plainly valid; every other one opened, in place 0."""
