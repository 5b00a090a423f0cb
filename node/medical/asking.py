"""The asking hospital's side of a step, up to its signed request: what is judged here before anything is sent.

The same nonce is the same step: its request is kept and sent again byte for byte.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ledger.codec import commitment
from ledger.errors import (
    ConflictError,
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
)
from ledger.evidence.medicalstep import StepKind, StepRequest, decode_step, sign_step, step_id
from ledger.medical.offers import decode_offer
from ledger.medical.recognise import recognise
from ledger.model import KeyRole
from ledger.storage.steps import StepEntry
from node.exchange.consumer import SKEW_MS
from node.medical.comparing import check_same
from node.medical.judging import decidable, no_institution, require_own_hospital
from node.medical.outcome import log_requested

if TYPE_CHECKING:
    from ledger.medical.standing import Institution
    from node.medical.dialogue import Dialogue

Course = Literal["acute", "chronic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What a doctor's system opens. ``report``: 32 bytes; ``nonce``: 32 bytes; ``operator``: a pseudonym, or empty."""

    institution: str
    report: bytes
    version: int
    purpose: str
    course: Course
    operator: str
    nonce: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Deciding:
    """What a doctor decided. ``opening``: 32 bytes; ``places`` empty: every item that can be decided so."""

    opening: bytes
    kind: Literal["recognise", "retest"]
    places: tuple[int, ...]
    reason: str
    operator: str
    nonce: bytes


def begin_opening(dialogue: Dialogue, use: Opening) -> StepEntry:
    """Make (or find, by its nonce) the signed request of an opening, keep it and log it.

    Raises: NotAllowedError(medical.not-hospital), InvalidInputError(medical.own), ConflictError(medical.other-content).
    """
    require_own_hospital(dialogue.context)
    known = dialogue.steps.by_nonce(use.nonce)
    if known is not None and known.state != "refused":
        request = decode_step(known.request)
        _same(
            known.kind == "open"
            and (request.provider, request.report, request.version, request.purpose, request.course)
            == (use.institution, use.report, use.version, use.purpose, use.course)
        )
        return known
    if use.institution == dialogue.context.member:
        raise InvalidInputError(
            "medical.own",
            "this is a result of this hospital itself",
            hint="it is read in the hospital's own system: civicledger medical reports",
        )
    request, salt = _request(
        dialogue,
        StepKind.OPEN,
        provider=use.institution,
        report=use.report,
        version=use.version,
        purpose=use.purpose,
        course=use.course,
        operator=use.operator,
        nonce=use.nonce,
    )
    return _begin(dialogue, request, salt, ())


def begin_decision(dialogue: Dialogue, use: Deciding) -> StepEntry:
    """The same of a decision: judged first as the other hospital will judge it, and by the rules as they are now.

    Raises: as :func:`node.medical.judging.decidable`; NotAllowedError(medical.not-recognisable |
    medical.offer-differs), InvalidInputError(medical.places), ConflictError(medical.other-content).
    """
    require_own_hospital(dialogue.context)
    known = dialogue.steps.by_nonce(use.nonce)
    if known is not None and known.state != "refused":
        request = decode_step(known.request)
        _same(
            known.kind == use.kind
            and known.opening == use.opening
            and (not use.places or request.places == use.places)
            and request.reason == use.reason
        )
        return known
    opening = dialogue.steps.get(use.opening, "consumer")
    if opening is None or opening.state != "complete":
        raise NotFoundError(
            "medical.not-opened",
            "a decision follows an opening of the report, and this hospital has none by that id",
            hint="open the report first: civicledger medical open",
            actual=use.opening,
        )
    with dialogue.deciding:
        opened = decode_step(opening.request)
        places = use.places or tuple(_undecided(dialogue, opening, use.kind, opened.course))
        if not places:
            raise InvalidInputError(
                "medical.places",
                "no item of the report is left that could be decided on like this",
                hint="civicledger medical list shows what was decided",
            )
        request, salt = _request(
            dialogue,
            StepKind(use.kind),
            provider=opening.counterpart,
            report=opening.report,
            version=opening.version,
            purpose=opened.purpose,
            course=opened.course,
            operator=use.operator,
            nonce=use.nonce,
            places=tuple(sorted(set(places))),
            opening=opening.id,
            reason=use.reason,
        )
        items = decidable(dialogue, opening, request, "consumer", None)
        if use.kind == "recognise":
            check_same(opening, request.places)
            _check_recognisable(dialogue, opening, request)
        return _begin(dialogue, request, salt, items)


def own_institution(dialogue: Dialogue) -> Institution:
    """How the chain knows this hospital. Raises: NotAllowedError(medical.no-institution)."""
    found = dialogue.rules.standing().institution(dialogue.context.member)
    if found is None:
        raise no_institution(dialogue.context.member)
    return found


def _undecided(dialogue: Dialogue, opening: StepEntry, kind: str, course: str) -> Iterable[int]:
    taken = dialogue.steps.decided(opening.id, "consumer")
    allowed = _recognisable(dialogue, opening, course) if kind == "recognise" else None
    for facts in decode_offer(opening.offer).facts:
        if facts.place not in taken and (allowed is None or facts.place in allowed):
            yield facts.place


def _recognisable(dialogue: Dialogue, opening: StepEntry, course: str) -> dict[int, None]:
    judged = _judged(dialogue, opening, course)
    return {place: None for place, codes in judged.items() if not codes and place not in opening.differing}


def _judged(dialogue: Dialogue, opening: StepEntry, course: str) -> dict[int, str]:
    """place -> the reasons why it is not recognisable now, empty where it is."""
    at_s = dialogue.context.clock() // 1_000
    decisions = recognise(
        decode_offer(opening.offer),
        asker=own_institution(dialogue),
        at_s=at_s,
        course="acute" if course == "acute" else "chronic",
        rules=dialogue.rules.in_force(at_s)[2],
        standing=dialogue.rules.standing(),
    )
    return {one.place: ", ".join(reason.code for reason in one.reasons) for one in decisions}


def _check_recognisable(dialogue: Dialogue, opening: StepEntry, request: StepRequest) -> None:
    judged = _judged(dialogue, opening, request.course)
    for place in request.places:
        if judged[place]:
            raise NotAllowedError(
                "medical.not-recognisable",
                f"the rules do not let item {place} be recognised now: {judged[place]}",
                hint="test it again, or decide on the other items alone",
                actual=judged[place],
            )


def _request(
    dialogue: Dialogue,
    kind: StepKind,
    *,
    provider: str,
    report: bytes,
    version: int,
    purpose: str,
    course: str,
    operator: str,
    nonce: bytes,
    places: tuple[int, ...] = (),
    opening: bytes | None = None,
    reason: str = "",
) -> tuple[StepRequest, bytes]:
    """(request, salt of the operator's commitment, empty where no operator was named)."""
    context = dialogue.context
    now = context.clock()
    rules_version, rules, _ = dialogue.rules.in_force(now // 1_000)
    salt = secrets.token_bytes(32) if operator else b""
    lifetime = max(1_000, context.config.exchange.request_lifetime * 1_000 - SKEW_MS)
    request = StepRequest(
        chain=context.genesis_digest,
        provider=provider,
        consumer=context.member,
        kind=kind,
        report=report,
        version=version,
        places=places,
        course=course,
        purpose=purpose,
        rules_version=rules_version,
        rules=rules,
        operator=commitment("operator", salt, operator.encode()) if salt else bytes(32),
        nonce=nonce,
        time_ms=now,
        expires_ms=now + lifetime,
        opening=opening,
        reason=reason,
    )
    return request, salt


def _begin(dialogue: Dialogue, request: StepRequest, salt: bytes, items: tuple[tuple[int, str], ...]) -> StepEntry:
    signed = sign_step(dialogue.context.signers[KeyRole.RECEIPT], request)
    entry = dialogue.steps.begin(
        StepEntry(
            id=step_id(signed),
            role="consumer",
            kind=request.kind.value,
            report=request.report,
            version=request.version,
            counterpart=request.provider,
            state="begun",
            time_ms=request.time_ms,
            request=signed,
            items=items,
            opening=request.opening or b"",
            reason=request.reason,
            nonce=request.nonce,
            operator_salt=salt,
        )
    )
    return log_requested(dialogue.context, dialogue.steps, entry, request.purpose)


def _same(same: bool) -> None:
    if not same:
        raise ConflictError(
            "medical.other-content", "this nonce belongs to another step", hint="use a fresh nonce (leave it empty)"
        )
