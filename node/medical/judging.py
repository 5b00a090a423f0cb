"""The rules a step must pass at the hospital that has the report, on the chain state its node executed itself.

What a grant is to an exchange, the rules in force are here: both sides are hospitals at the head, the request names the
rule set that is in force, the patient did not forbid it, and the report is what it was when it was offered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ledger.errors import ConflictError, InvalidInputError, NotAllowedError, NotFoundError
from ledger.evidence.medicalstep import StepKind, StepRequest
from ledger.medical.offers import decode_offer
from ledger.medical.reasons import check_retest
from ledger.model import MemberInfo, Roles
from ledger.storage.steps import Role, StepEntry

if TYPE_CHECKING:
    from ledger.medical.ruleset import RuleSet
    from node.context import NodeContext
    from node.medical.dialogue import Dialogue
    from node.medical.ports import KeptReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A step that is allowed. ``items``: place and item of the rule set of each item it is about; ``block``: hash of
    the head it was judged on; ``opening``: what a decision follows."""

    report: KeptReport
    items: tuple[tuple[int, str], ...]
    block: bytes
    opening: StepEntry | None


def require_hospital(context: NodeContext, info: MemberInfo | None, whose: str) -> None:
    """Refuse a member without the role. Raises: NotAllowedError(medical.not-hospital)."""
    if info is None or not info.roles & Roles.HOSPITAL:
        raise NotAllowedError(
            "medical.not-hospital",
            f"{whose} has no role hospital at the head of the chain",
            hint="the members give it by vote: civicledger member propose roles",
            actual=context.member if info is None else info.uscc,
        )


def require_own_hospital(context: NodeContext) -> None:
    """Refuse where this node's member is no hospital. Raises: NotAllowedError(medical.not-hospital)."""
    require_hospital(context, context.contracts.consortium.member(context.member), "this member")


def allow(dialogue: Dialogue, caller: MemberInfo, request: StepRequest, known: StepEntry | None) -> Judgement:
    """Judge a request whose signature holds. ``known``: the same step as answered before.

    Raises: NotAllowedError(medical.not-hospital | medical.no-institution | medical.rules-differ | medical.forbidden |
    medical.withdrawn | medical.half-receipts), NotFoundError(medical.report-unknown | medical.not-opened),
    ConflictError(medical.changed | medical.decided), InvalidInputError(medical.places | medical.retest-reason),
    UnavailableError(chain.stale).
    """
    context = dialogue.context
    context.require_fresh_chain()
    block = context.chain.head().hash
    require_own_hospital(context)
    require_hospital(context, caller, "the asking member")
    if known is None or known.state == "refused":
        _check_rules(dialogue, request)
    kept = dialogue.reports.get(request.report)
    if kept is None:
        raise NotFoundError(
            "medical.report-unknown",
            "no such report is kept here",
            hint="search again: it may have been erased",
            actual=request.report,
        )
    opening = None if request.opening is None else dialogue.steps.get(request.opening, "provider")
    if known is not None and known.state == "complete" and opening is not None:
        # A decision both signed for stands, whatever became of the report.
        return Judgement(report=kept, items=known.items, block=block, opening=opening)
    check_current(kept, request)
    if request.kind is StepKind.OPEN:
        return Judgement(report=kept, items=_openable(dialogue, kept, request, known), block=block, opening=None)
    items = decidable(dialogue, opening, request, "provider", known)
    return Judgement(report=kept, items=items, block=block, opening=opening)


def check_current(kept: KeptReport, request: StepRequest) -> None:
    """Refuse what was withdrawn, or corrected since it was offered.

    Raises: NotAllowedError(medical.withdrawn), ConflictError(medical.changed).
    """
    if kept.withdrawn:
        raise NotAllowedError(
            "medical.withdrawn",
            "the report was withdrawn by the hospital that made it",
            hint="do not rely on it; what was opened of it is void as well",
            actual=request.report,
        )
    _check_same(kept, request)


def decidable(
    dialogue: Dialogue, opening: StepEntry | None, request: StepRequest, role: Role, known: StepEntry | None
) -> tuple[tuple[int, str], ...]:
    """The items a decision is about, by the offer that was opened; at either side.

    Raises: NotFoundError(medical.not-opened), ConflictError(medical.changed | medical.decided),
    InvalidInputError(medical.places | medical.retest-reason).
    """
    counterpart = request.consumer if role == "provider" else request.provider
    if (
        opening is None
        or opening.kind != "open"
        or opening.state != "complete"
        or opening.report != request.report
        or opening.counterpart != counterpart
    ):
        raise NotFoundError(
            "medical.not-opened",
            "a decision follows an opening of the report, and there is none by this hospital",
            hint="open the report first: civicledger medical open",
            actual=request.opening,
        )
    if opening.version != request.version:
        raise ConflictError(
            "medical.changed",
            f"version {opening.version} of the report was opened",
            hint="decide on the version that was opened, or open the newer one",
            expected=opening.version,
            actual=request.version,
        )
    if request.kind is StepKind.RETEST:
        check_retest(request.reason, asking_rules(dialogue, request, dialogue.context.clock() // 1_000)[2])
    named = {facts.place: facts.item or "" for facts in decode_offer(opening.offer).facts}
    for place in request.places:
        if place not in named:
            raise InvalidInputError(
                "medical.places",
                f"the report has no item at place {place}",
                hint="the places stand in the offer and count from 0",
                actual=place,
            )
    if known is None or known.state == "refused":
        taken = dialogue.steps.decided(opening.id, role)
        for place in request.places:
            if place in taken:
                raise ConflictError(
                    "medical.decided",
                    f"item {place} of the report was decided on: {taken[place].kind}",
                    hint="a decision stands; open the report again for another treatment",
                    expected=taken[place].id,
                )
    return tuple((place, named[place]) for place in request.places)


def asking_rules(dialogue: Dialogue, request: StepRequest, at_s: int) -> tuple[int, bytes, RuleSet]:
    """The rules in force where the report would be used: in the region of the asking hospital.

    Raises: NotAllowedError(medical.no-institution).
    """
    asker = dialogue.rules.standing().institution(request.consumer)
    if asker is None:
        raise no_institution(request.consumer)
    return dialogue.rules.in_force(at_s, asker.region)


def no_institution(member: str) -> NotAllowedError:
    """A hospital that its health commission entered nowhere."""
    return NotAllowedError(
        "medical.no-institution",
        "the health commission entered no level and region for this hospital",
        hint="the commission does it: civicledger medical institution set",
        actual=member,
    )


def _check_same(kept: KeptReport, request: StepRequest) -> None:
    if kept.offer.version != request.version:
        raise ConflictError(
            "medical.changed",
            f"the report was corrected: it is at version {kept.offer.version}",
            hint="search again and open the newer version",
            expected=kept.offer.version,
            actual=request.version,
        )


def _check_rules(dialogue: Dialogue, request: StepRequest) -> None:
    named = (request.rules_version, request.rules)
    # Where the set changes this second, what was in force when the request was signed counts as well.
    for at_s in (dialogue.context.clock() // 1_000, request.time_ms // 1_000):
        version, digest, _ = asking_rules(dialogue, request, at_s)
        if (version, digest) == named:
            return
    raise NotAllowedError(
        "medical.rules-differ",
        f"version {request.rules_version} of the rules is not in force here",
        hint="wait until both nodes have the newest block; civicledger medical rules list",
        expected=version,
        actual=request.rules_version,
    )


def _openable(
    dialogue: Dialogue, kept: KeptReport, request: StepRequest, known: StepEntry | None
) -> tuple[tuple[int, str], ...]:
    at_s = dialogue.context.clock() // 1_000
    if not dialogue.consents.allows(kept.subject, request.consumer, at_s):
        raise NotAllowedError(
            "medical.forbidden",
            "the patient forbids that this hospital is shown the report",
            hint="only the patient can allow it again",
        )
    limit = dialogue.context.config.medical.max_half_receipts
    if (known is None or known.state == "refused") and dialogue.steps.half_openings(request.consumer) >= limit:
        raise NotAllowedError(
            "medical.half-receipts",
            f"{limit} reports were opened by this hospital without its signature for them",
            hint="its node completes them by itself once both nodes reach each other",
            expected=limit,
        )
    return tuple((facts.place, facts.item or "") for facts in kept.offer.facts)
