"""What a verifier knows of an issuer from the chain: its key and its accreditations, as pure data.

Who verified the chain fills it (the gateway from the state it follows, a bundle from storage proofs); here it is only
judged. Times are Unix milliseconds, as everywhere on the chain.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ledger.model import KeyInfo


class KeyEnd(StrEnum):
    """How a key ended: ``compromised`` voids what is not proven to be from before, ``retired`` does not."""

    RETIRED = "retired"
    COMPROMISED = "compromised"


class Proven(StrEnum):
    """How the verifier knows: from a chain state it verified itself, or from storage proofs in a bundle."""

    CHAIN_STATE = "chain-state"
    STORAGE_PROOF = "storage-proof"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accreditation:
    """One span in which a member may issue a type of licence: ``from_ms`` <= t < ``until_ms`` (None: still running);
    ``by``: the USCC of the body that accredited it."""

    from_ms: int
    until_ms: int | None
    by: str

    def covers(self, time_ms: int) -> bool:
        """Whether the span holds at a time."""
        return self.from_ms <= time_ms and (self.until_ms is None or time_ms < self.until_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerTrust:
    """An issuer's key and its accreditations for one type of licence.

    ``issuer``: USCC; ``spki``: the key, DER SubjectPublicKeyInfo, whose SHA-256 is on chain; ``key_from_ms``,
    ``key_ended_ms`` (None: in force; for a compromised key: since when): its span; ``key_until_ms``: the end of it that
    was entered with the key, None without one: a key may be reported compromised for a time after that; ``type_known``:
    whether the chain has the type at all; ``view_height``, ``view_time_ms``: the chain state that says so;
    ``finality``: how its block is proven final, or the code of why that is not known; None where nobody looked.
    """

    issuer: str
    spki: bytes
    key_from_ms: int
    key_ended_ms: int | None = None
    key_ended_kind: KeyEnd | None = None
    key_until_ms: int | None = None
    accreditations: tuple[Accreditation, ...] = ()
    type_known: bool = True
    view_height: int
    view_time_ms: int
    proven: Proven
    finality: str | None = None

    def accredited_at(self, time_ms: int) -> Accreditation | None:
        """The span that holds at a time."""
        for span in self.accreditations:
            if span.covers(time_ms):
                return span
        return None

    def unbroken_until(self, span: Accreditation) -> int | None:
        """When the accreditation that ``span`` is part of ends (None: it runs). On the chain an end never moves later:
        whoever prolongs an accreditation enters a span that begins where the last ended."""
        until = span.until_ms
        if until is None:
            return None
        for following in sorted(self.accreditations, key=lambda item: item.from_ms):
            if until is None:
                break
            if span.from_ms < following.from_ms <= until:
                # A span that was ended before it began prolongs nothing.
                until = None if following.until_ms is None else max(until, following.until_ms)
        return until


def key_end(key: KeyInfo) -> tuple[int | None, KeyEnd | None]:
    """(when a key ended or will end, Unix milliseconds, how); (None, None) for one in force without an end.

    Of a compromised key it is since when, whenever it would have ended otherwise.
    """
    if key.status == "compromised":
        return key.ended_at * 1_000, KeyEnd.COMPROMISED
    ends = [end for end in (key.valid_to, 0 if key.status == "active" else key.ended_at) if end]
    return (min(ends) * 1_000, KeyEnd.RETIRED) if ends else (None, None)
