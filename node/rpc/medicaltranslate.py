"""What Recognition holds, as messages of ``medicalrules.proto``."""

from __future__ import annotations

from ledger.chain.bindings.recognitionrows import (
    AgreementInfo,
    EqaInfo,
    InstitutionInfo,
    RangeInfo,
    RuleVersionInfo,
)
from ledger.v1 import medicalrules_pb2 as pb


def rule_version(info: RuleVersionInfo, in_force: int, now_s: int, file: bytes = b"") -> pb.RuleVersion:
    """A version of the rules; ``in_force``: the number of the version in force in its region, 0 where there is none."""
    if info.withdrawn_at:
        state = "withdrawn"
    elif info.version == in_force:
        state = "in-force"
    else:
        state = "planned" if now_s < info.in_force_from else "over"
    return pb.RuleVersion(
        region=info.region,
        version=info.version,
        digest=info.digest,
        in_force_from=info.in_force_from,
        adopted_at=info.adopted_at,
        withdrawn_at=info.withdrawn_at,
        by=info.by,
        state=state,
        file=file,
    )


def institution(info: InstitutionInfo, active: bool) -> pb.Institution:
    """An institution's entry; ``active``: it is an active member with the role hospital."""
    return pb.Institution(
        member=info.member,
        region=info.region,
        level=info.level,
        changed_at=info.changed_at,
        by=info.by,
        active=active and info.level > 0,
    )


def label_range(info: RangeInfo, now_s: int) -> pb.LabelRange:
    """A label range with its state now."""
    return pb.LabelRange(
        code=info.code,
        label=info.label,
        quality=info.quality,
        region=info.region,
        valid_from=info.valid_from,
        valid_until=info.valid_until,
        opened_at=info.opened_at,
        by=info.by,
        state=_state(info.valid_from, info.valid_until, now_s),
    )


def eqa(info: EqaInfo, now_s: int) -> pb.Eqa:
    """A record of quality assessment with its state now."""
    state = _state(info.valid_from, info.valid_until, now_s)
    if not info.passed:
        state = "failed"
    if info.revoked_since and now_s >= info.revoked_since:
        state = "revoked"
    return pb.Eqa(
        id=info.id,
        range=info.range,
        item=info.item,
        institution=info.institution,
        scheme=info.scheme,
        round=info.round,
        passed=info.passed,
        certificate_digest=info.certificate_digest,
        valid_from=info.valid_from,
        valid_until=info.valid_until,
        recorded_at=info.recorded_at,
        revoked_since=info.revoked_since,
        revoked_at=info.revoked_at,
        by=info.by,
        revoked_by=info.revoked_by,
        state=state,
    )


def agreement(info: AgreementInfo) -> pb.Agreement:
    """An agreement of regions."""
    return pb.Agreement(
        number=info.number,
        range=info.range,
        region=info.region,
        other=info.other,
        items=list(info.items),
        proposed_at=info.proposed_at,
        accepted_at=info.accepted_at,
        ended_at=info.ended_at,
        proposed_by=info.proposed_by,
        accepted_by=info.accepted_by,
        ended_by=info.ended_by,
        state=info.state,
    )


def _state(begin: int, end: int, now_s: int) -> str:
    if now_s < begin:
        return "to-come"
    return "over" if end and now_s >= end else "in-force"
