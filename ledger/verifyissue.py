"""The proof of issue that a holder brings: the bundle of a licence, of which only the record and its anchor count here.

A key or an accreditation that has ended leaves licences good that existed before. That a licence did is said by its
issue record on the chain, never by its own dates: whoever stole a retired key writes any date. So the bundle gives the
time, and everything else (key, accreditation, status) is judged by what is known now.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from typing import Final

from ledger.errors import UntrustedError
from ledger.evidence.bundle import decode_bundle
from ledger.evidence.seal import Seal
from ledger.verify import verify_bundle
from ledger.verifylinks import link

_SEAL: Final = Seal()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenIssue:
    """A licence that existed at ``time_ms`` (Unix milliseconds) or before, by :func:`verify_issue` only.

    ``presentation``: the licence as the bundle shows it; ``issued``: the part that its issuer signed.
    """

    presentation: str
    issued: str
    time_ms: int
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        _SEAL.check(seal)

    def of(self, presentation: str) -> int:
        """The time, where a presentation is of this licence. Raises: UntrustedError(licence.proof-other)."""
        if presentation.partition("~")[0] != self.issued:
            raise UntrustedError(
                "licence.proof-other",
                "the proof of issue is of another licence than the one that is shown",
                hint="hand in the bundle (.civic) of this very licence: a renewed one has its own",
            )
        return self.time_ms


def looks_like_bundle(text: str) -> bool:
    """Whether a text is to be read as a bundle: no licence and no slip begins like one."""
    return text.lstrip()[:1] == "{"


def verify_issue(bundle: bytes, policy: bytes, *, at_ms: int) -> ProvenIssue:
    """When the licence of a bundle was on record at the latest, by a policy that vouches for the bundle at ``at_ms``.

    Raises: InvalidInputError(policy.format); UntrustedError with a code that names the broken link, or
    ``licence.proof-kind``, ``policy.expired``, ``finality.unproven``.
    """
    with link("bundle"):
        proof = decode_bundle(bundle).licence
    if proof is None:
        raise UntrustedError(
            "licence.proof-kind",
            "this is a proof of some record, not the bundle of a licence",
            hint="the issuer's node makes one: civicledger licence bundle",
        )
    # What the bundle says of the status is of the past: the list of today is asked.
    found = verify_bundle(bundle, policy, at_ms, without_status=True)
    if found.verdict not in ("verified", "rejected"):
        raise UntrustedError(
            found.code,
            "the policy here does not vouch for the block that the issue is proven by",
            hint="the operator of whoever checks takes a newer policy; or check the bundle offline: bundle verify",
        )
    return ProvenIssue(
        presentation=proof.presentation,
        issued=proof.presentation.partition("~")[0],
        time_ms=1_000 * found.anchor_time,
        seal=_SEAL,
    )
