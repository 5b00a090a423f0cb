"""What the Recognition contract holds, as frozen values; times are Unix seconds, 0 where there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ledger.chain.bindings.base import member_or_none, reading
from ledger.identifiers import member_from_bytes32, text_from_bytes32


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleVersionInfo:
    """A version of a region's rules. ``version`` counts from 1; ``digest``: 32 bytes, of the rule set; ``by``: the
    commission that adopted it."""

    region: str
    version: int
    digest: bytes
    in_force_from: int
    adopted_at: int
    withdrawn_at: int
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InstitutionInfo:
    """An institution's entry. ``level`` 1 to 3, 0 taken off; ``by``: the commission that answers for it."""

    member: str
    region: str
    level: int
    changed_at: int
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeInfo:
    """A label range: ``valid_from`` <= t < ``valid_until`` (0 open). ``label``: as it is printed, e.g. 全国HR;
    ``quality``: the body whose results give it; ``by``: the commission that opened it, of ``region``."""

    code: str
    label: str
    quality: str
    region: str
    valid_from: int
    valid_until: int
    opened_at: int
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EqaInfo:
    """A record of external quality assessment: ``valid_from`` <= t < ``valid_until``, and < ``revoked_since`` unless
    that is 0. ``id`` and ``certificate_digest``: 32 bytes; ``by``: the quality body; ``revoked_by`` empty: nobody."""

    id: bytes
    range: str
    item: str
    institution: str
    scheme: str
    round: int
    passed: bool
    certificate_digest: bytes
    valid_from: int
    valid_until: int
    recorded_at: int
    revoked_since: int
    revoked_at: int
    by: str
    revoked_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EqaEntry:
    """What a quality body records of an institution's item; ``certificate_digest``: 32 bytes."""

    range: str
    item: str
    institution: str
    scheme: str
    round: int
    passed: bool
    certificate_digest: bytes
    valid_from: int
    valid_until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementInfo:
    """An agreement of two regions, in force from ``accepted_at`` (0: proposed only) until ``ended_at`` (0: open).
    ``number`` counts from 1; ``region`` proposed it, ``other`` accepts; ``items`` ascending."""

    number: int
    range: str
    region: str
    other: str
    items: tuple[str, ...]
    proposed_at: int
    accepted_at: int
    ended_at: int
    proposed_by: str
    accepted_by: str
    ended_by: str

    @property
    def state(self) -> str:
        """``proposed``, ``in-force``, ``ended``; ``refused`` where it ended before it was accepted."""
        if self.ended_at:
            return "ended" if self.accepted_at else "refused"
        return "in-force" if self.accepted_at else "proposed"


def rule_version(region: str, version: int, row: dict[str, Any]) -> RuleVersionInfo:
    """A version of the rules from the contract's struct. Raises UntrustedError(abi.answer), as all of these do."""
    with reading("version of the rules"):
        return RuleVersionInfo(
            region=region,
            version=version,
            digest=row["digest"],
            in_force_from=row["inForceFrom"],
            adopted_at=row["adoptedAt"],
            withdrawn_at=row["withdrawnAt"],
            by=member_from_bytes32(row["by"]),
        )


def institution(id_: bytes, row: dict[str, Any]) -> InstitutionInfo:
    """An institution from its id and the contract's struct."""
    with reading("institution"):
        if not 0 <= row["level"] <= 3:
            raise ValueError(f"level {row['level']}")
        return InstitutionInfo(
            member=member_from_bytes32(id_),
            region=region_text(row["region"]),
            level=row["level"],
            changed_at=row["changedAt"],
            by=member_from_bytes32(row["by"]),
        )


def label_range(id_: bytes, row: dict[str, Any]) -> RangeInfo:
    """A label range from its code and the contract's struct."""
    with reading("label range"):
        return RangeInfo(
            code=text_from_bytes32(id_),
            label=row["label"].rstrip(b"\0").decode(),
            quality=member_from_bytes32(row["quality"]),
            region=region_text(row["region"]),
            valid_from=row["validFrom"],
            valid_until=row["validUntil"],
            opened_at=row["openedAt"],
            by=member_from_bytes32(row["by"]),
        )


def eqa(id_: bytes, row: dict[str, Any]) -> EqaInfo:
    """A record of quality assessment from its id and the contract's struct."""
    with reading("record of quality assessment"):
        return EqaInfo(
            id=id_,
            range=text_from_bytes32(row["range"]),
            item=text_from_bytes32(row["item"]),
            institution=member_from_bytes32(row["institution"]),
            scheme=text_from_bytes32(row["scheme"]),
            round=row["round"],
            passed=row["passed"],
            certificate_digest=row["certificateDigest"],
            valid_from=row["validFrom"],
            valid_until=row["validUntil"],
            recorded_at=row["recordedAt"],
            revoked_since=row["revokedSince"],
            revoked_at=row["revokedAt"],
            by=member_from_bytes32(row["by"]),
            revoked_by=member_or_none(row["revokedBy"]),
        )


def agreement(number: int, row: dict[str, Any], items: tuple[bytes, ...]) -> AgreementInfo:
    """An agreement from the contract's struct and the ids of its items."""
    with reading("agreement of regions"):
        if len(items) != row["items"]:
            raise ValueError(f"{len(items)} items of {row['items']}")
        return AgreementInfo(
            number=number,
            range=text_from_bytes32(row["range"]),
            region=region_text(row["region"]),
            other=region_text(row["other"]),
            items=tuple(text_from_bytes32(item) for item in items),
            proposed_at=row["proposedAt"],
            accepted_at=row["acceptedAt"],
            ended_at=row["endedAt"],
            proposed_by=member_from_bytes32(row["proposedBy"]),
            accepted_by=member_or_none(row["acceptedBy"]),
            ended_by=member_or_none(row["endedBy"]),
        )


def region_text(number: int) -> str:
    """A GB/T 2260 code as the contract keeps it. Raises ValueError for a number of other than six digits."""
    if not 100_000 <= number <= 999_999:
        raise ValueError(f"region {number}")
    return str(number)
