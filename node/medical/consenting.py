"""A patient's Consent in FHIR R4, as the hospital's systems send it: into the rules that offers and openings obey.

A Consent is known by its identifier: sent again it takes the place of what it said before, and one that is not active
(any more) says nothing. What is not understood whole is refused, see ``ledger.medical.fhirconsent``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ledger.medical.fhirconsent import ConsentText, read_consent
from ledger.medical.fhirjson import FhirJsonError, read
from ledger.medical.fhirproblems import Problem, problem
from node.medical.consents import ALL, ENDLESS, ConsentRule

if TYPE_CHECKING:
    from node.context import NodeContext

#: Institutions one Consent may name.
MAX_ACTORS: Final = 50


def is_consent(data: bytes) -> bool:
    """Whether these bytes are a Consent, rather than a report or nothing at all."""
    if b'"Consent"' not in data:
        return False
    try:
        root = read(data)
    except FhirJsonError:
        return False
    return isinstance(root, dict) and root.get("resourceType") == "Consent"


def take_consent(
    context: NodeContext, subject_for: Callable[[str, str | None], bytes | None], data: bytes, now_s: int
) -> tuple[bool | None, tuple[Problem, ...]]:
    """(whether it changed anything, what was found); None: it was refused, and nothing was changed.

    ``subject_for``: the patient in the vault by the hospital's number and identity, None where these are two persons'.
    It acts, and is on record, before this returns. Raises: UnavailableError(disk.full).
    """
    reading = read_consent(data)
    said = reading.consent
    if said is None:
        return None, reading.problems
    if len(said.actors) > MAX_ACTORS:
        return None, (problem("fhir.too-many", "Consent.provision.actor", limit=str(MAX_ACTORS), what="actors"),)
    subject = subject_for(said.patient, None if said.identity is None else f"ric:{said.identity}")
    if subject is None:
        return None, (problem("report.patient-conflict"),)
    rules, found = _rules(said, now_s)
    changed = context.medical.consents.state(subject, said.identifier, rules, updated_s=said.updated_s)
    if changed is None:
        return None, (problem("consent.older"),)
    return changed, found


def _rules(said: ConsentText, now_s: int) -> tuple[tuple[ConsentRule, ...], tuple[Problem, ...]]:
    if not said.in_force:
        return (), (problem("consent.not-active", "Consent.status"),)
    from_s, until_s = said.from_s or 0, ENDLESS if said.until_s is None else said.until_s
    if until_s <= max(from_s, now_s):
        return (), (problem("consent.over", "Consent.provision.period"),)
    named = [(ALL, said.permit), *((actor, not said.permit) for actor in said.actors)]
    return tuple(
        ConsentRule(asker=asker, permit=permit, from_s=from_s, until_s=until_s, via="fhir", source=said.identifier)
        for asker, permit in named
    ), ()
