"""Medical messages: from the library's types to the wire."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ledger.evidence.medicalreceipt import step_receipt_digest
from ledger.medical.reasons import retest_reasons
from ledger.storage.changes import ChangeEntry
from ledger.storage.steps import StepEntry
from ledger.v1 import medical_pb2 as pb

if TYPE_CHECKING:
    from ledger.medical.ruleset import RuleSet
    from ledger.medical.statistics import Statistics
    from node.medical.counting import Counts
    from node.medical.searching import Answer, Found


def step(entry: StepEntry) -> pb.MedicalStep:
    """One step; the receipt is the half one as long as there is no other."""
    receipt = entry.receipt or entry.half
    return pb.MedicalStep(
        step=entry.id,
        role=entry.role,
        kind=entry.kind,
        report=entry.report,
        version=entry.version,
        counterpart=entry.counterpart,
        state=entry.state,
        time_ms=entry.time_ms,
        places=[place for place, _ in entry.items],
        items=[item for _, item in entry.items],
        opening=entry.opening,
        reason=entry.reason,
        code=entry.code,
        receipt=receipt,
        receipt_digest=step_receipt_digest(receipt) if receipt else b"",
        log_index=max(entry.log_index, 0),
        nonce=entry.nonce,
        differing=entry.differing,
    )


def change(entry: ChangeEntry) -> pb.ReportChange:
    """One change of which another hospital told."""
    return pb.ReportChange(
        institution=entry.counterpart,
        report=entry.report,
        version=entry.version,
        change=entry.change,
        time_ms=entry.time_ms,
        notice=entry.notice,
    )


def answer(found: Answer) -> pb.SearchResultsResponse:
    """What a search found, with the words of the rules for it."""
    named = {facts.item for one in found.found for facts in one.offer.facts if facts.item}
    items = [found.rules.item(name) for name in sorted(named)]
    return pb.SearchResultsResponse(
        items=[pb.MedicalWord(code=item.id, zh=item.zh, en=item.en) for item in items if item is not None],
        retest_reasons=[
            pb.MedicalWord(code=reason.code, zh=reason.zh, en=reason.en) for reason in retest_reasons(found.rules)
        ],
        reports=[_found(one) for one in found.found],
        absent=[pb.AbsentHospital(member=one.member, code=one.code, message=one.message) for one in found.absent],
        rules_version=found.rules_version,
        judged_s=found.judged_s,
        asked=found.asked,
    )


def counts(found: Counts, figures: Statistics, rules: RuleSet, *, records: str = "") -> pb.MedicalStatisticsResponse:
    """What became of the reports, by role and hospital."""
    return pb.MedicalStatisticsResponse(
        counts=[
            pb.MedicalCount(
                role=role,
                counterpart=counterpart,
                opened=count.opened,
                recognised=count.recognised,
                retested=count.retested,
                recognised_items=count.recognised_items,
                retested_items=count.retested_items,
                opened_unrecognised=count.opened_unrecognised,
                reasons=dict(count.reasons),
            )
            for (role, counterpart), count in sorted(found.items())
        ],
        records=records,
        figures=list(_figures(figures, rules)),
    )


def _figures(found: Statistics, rules: RuleSet) -> Iterator[pb.MedicalFigure]:
    parts = {
        "total": {"": found.total},
        "provider": found.providers,
        "asker": found.askers,
        "item": found.items,
        "specialty": found.specialties,
    }
    for by, part in parts.items():
        for key, count in part.items():
            item = rules.item(key) if by == "item" else None
            names = {} if item is None else {"name_zh": item.zh, "name_en": item.en}
            yield pb.MedicalFigure(
                by=by,
                key=key,
                offered=count.offered,
                opened=count.opened,
                recognised=count.recognised,
                retested=count.retested,
                opened_not_recognised=count.unrecognised,
                saved_cents=count.saved_cents,
                **names,
            )
            for reason, number in count.reasons.items():
                yield pb.MedicalFigure(by=by, key=key, reason=reason, retested=number, **names)


def _found(one: Found) -> pb.FoundReport:
    offer = one.offer
    return pb.FoundReport(
        report=offer.report,
        institution=offer.institution,
        category=offer.category.value,
        status=offer.status,
        issued_s=offer.issued_s or 0,
        version=offer.version,
        concluded=offer.concluded,
        own=one.own,
        items=[
            pb.JudgedItem(
                place=facts.place,
                item=facts.item or "",
                state=facts.state,
                status=facts.status,
                taken_s=facts.taken_s or 0,
                recognisable=decision.recognisable,
                reasons=[pb.MedicalReason(code=why.code, zh=why.zh, en=why.en) for why in decision.reasons],
                label=decision.label or "",
                age_s=decision.age_s or 0,
            )
            for facts, decision in zip(offer.facts, one.decisions, strict=True)
        ],
    )
