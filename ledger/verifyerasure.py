"""A proof of erasure, offline: the log says, anchored and final, that a key was destroyed for these commitments.

What it proves: the member stated it, when, and for which records; it cannot take that back. It does not prove that no
copy of the key was made aside: no mathematics can. But a value that opens one of these commitments after this time is
evidence against the member, and so is data under the named key.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from typing import Any, Final

from ledger.errors import UntrustedError
from ledger.evidence.erasing import ERASED_TYPE, ErasureStatement, decode_proof
from ledger.evidence.seal import Seal
from ledger.verify import Verdict, verify_bundle

_SEAL: Final = Seal()


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedErasure:
    """A statement whose record is in the member's log. ``verdict``: of the record's bundle."""

    statement: ErasureStatement
    verdict: Verdict
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        _SEAL.check(seal)

    def to_dict(self) -> dict[str, Any]:
        """The finding as JSON."""
        return {**self.verdict.to_dict(), "statement": self.statement.to_dict()}


def verify_erasure(proof: bytes, policy: bytes, at_ms: int | None = None, commitment: bytes = b"") -> VerifiedErasure:
    """Judge a proof file by a policy file; with a ``commitment`` (32 bytes), also that it is among the erased.

    Raises: InvalidInputError(erasure.proof | policy.format); UntrustedError: what :func:`ledger.verify.verify_bundle`
    says of the bundle, erasure.other-record, erasure.other-statement, erasure.not-among.
    """
    given = decode_proof(proof)
    verdict = verify_bundle(given.bundle, policy, at_ms)
    statement, record = given.statement, verdict.record
    if record.type != ERASED_TYPE or record.member != statement.member:
        raise UntrustedError(
            "erasure.other-record",
            "the proven record is not of this member's erasure",
            expected=f"{ERASED_TYPE} of {statement.member}",
            actual=f"{record.type} of {record.member}",
        )
    told = {
        "basis": statement.basis,
        "begun": statement.begun_key.hex(),
        "count": len(statement.commitments),
        "ended": statement.ended_key.hex(),
        "epoch": statement.begun,
        "statement": statement.digest().hex(),
    }
    for name, value in told.items():
        if record.body.get(name) != value:
            raise UntrustedError(
                "erasure.other-statement",
                f"the record holds another statement: {name} differs",
                hint="the statement was changed, or belongs to another record",
                expected=record.body.get(name),
                actual=value,
            )
    if commitment and commitment not in statement.commitments:
        raise UntrustedError(
            "erasure.not-among",
            "this commitment is not among those that were erased",
            hint="ask for the proof of the erasure that names it",
            actual=commitment,
        )
    return VerifiedErasure(statement=statement, verdict=verdict, seal=_SEAL)
