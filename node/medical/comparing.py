"""An opened report against what was offered of it: the offer is what the rules judged, the report what a doctor reads.

Read as the offering hospital read it: as of the times both signed for, by the rules of its own region.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.errors import FatalError, LedgerError, NotAllowedError
from ledger.evidence.medicalreceipt import StepReceipt
from ledger.medical.differing import differing
from ledger.medical.model import OfferedReport
from ledger.storage.steps import StepEntry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ledger.medical.ruleset import RuleSet
    from node.medical.dialogue import Dialogue


def differing_places(
    dialogue: Dialogue, offer: OfferedReport, data: bytes, receipt: StepReceipt, requested_ms: int
) -> tuple[int, ...]:
    """The places of an offer that the report's bytes do not bear out.

    Where the rules changed while the step was under way, a place counts only if it differs by both sets: the other
    hospital may have mapped its codes by either. ``requested_ms``: when the opening was asked for, Unix milliseconds.
    """
    found: set[int] | None = None
    known: list[RuleSet | None] = []
    for at_ms in (requested_ms, receipt.released_ms):
        rules = _rules_of(dialogue, offer.institution, at_ms // 1_000)
        if rules in known:
            continue
        known.append(rules)
        places = set(differing(offer, data, now_s=receipt.released_ms // 1_000, rules=rules))
        found = places if found is None else found & places
    return tuple(sorted(found or ()))


def check_same(opening: StepEntry, places: Iterable[int]) -> None:
    """Refuse to recognise what was opened otherwise than it was offered.

    Raises: NotAllowedError(medical.offer-differs).
    """
    for place in places:
        if place in opening.differing:
            raise NotAllowedError(
                "medical.offer-differs",
                f"item {place} of the opened report is not what was offered of it, which is what the rules judged",
                hint="test it again, and tell the other hospital: the receipt it signed names both",
                actual=place,
            )


def _rules_of(dialogue: Dialogue, institution: str, at_s: int) -> RuleSet | None:
    """The rules by which a hospital maps its codes at a time; None where it has none in force."""
    entered = dialogue.rules.standing().institution(institution)
    try:
        return dialogue.rules.in_force(at_s, entered.region if entered is not None else None)[2]
    except FatalError:
        raise
    except LedgerError:
        return None
