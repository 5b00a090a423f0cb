"""A patient's Consent in FHIR R4: permit or deny sharing, with everybody or with named institutions, for a time.

What a consent says beyond that is not half kept: it is refused with the element that is not understood, so that nobody
believes a condition to be in force that nobody checks.
Source: HL7 FHIR R4, Consent (one root provision; R5 has a list).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ledger.medical import fhirfields as fields
from ledger.medical.fhirbundle import Resources
from ledger.medical.fhirjson import FhirJsonError, read
from ledger.medical.fhirmodels import validate
from ledger.medical.fhirpatient import patient_named
from ledger.medical.fhirproblems import Problem, problem
from ledger.medical.fhirtimes import seconds, span

_SCOPE: Final = ("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy")
_ACT_CODE: Final = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
#: Rules that say permit or deny by themselves. Source: HL7 v3 ActCode, _ActConsentDirective.
_RULES: Final = {(_ACT_CODE, "OPTIN"): True, (_ACT_CODE, "OPTOUT"): False}
_STATUSES: Final = frozenset(["draft", "proposed", "active", "rejected", "inactive", "entered-in-error"])
#: Parts of a provision that are understood; any other makes it narrower or wider than what would be kept.
_KNOWN: Final = frozenset({"type", "period", "actor", "id"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentText:
    """What a Consent says.

    ``patient``, ``identity`` as of a report; ``permit`` the rule for everybody who is not in ``actors`` (USCCs), for
    whom it is the opposite; in ``[from_s, until_s)`` (Unix seconds; None: open).
    ``in_force``: its status is active; ``updated_s``: when it was last changed.
    """

    identifier: str
    patient: str
    identity: str | None
    permit: bool
    actors: tuple[str, ...]
    from_s: int | None
    until_s: int | None
    in_force: bool
    updated_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentReading:
    """A consent, or why it is not taken."""

    consent: ConsentText | None
    problems: tuple[Problem, ...]


def read_consent(data: bytes) -> ConsentReading:
    """Read one Consent, with what it contains."""
    try:
        root = read(data)
    except FhirJsonError as error:
        return _refused(problem(error.code, **error.values))
    type_ = root.get("resourceType") if isinstance(root, Mapping) else None
    if type_ != "Consent":
        return _refused(problem("fhir.consent-type", type=ascii(type_)[:40]))
    if isinstance(root.get("provision"), list):
        return _refused(problem("fhir.r5-shaped", "Consent.provision", element="provision"))
    wrong = validate(root)
    if wrong:
        return _refused(*wrong)
    problems: list[Problem] = []
    consent = _consent(root, problems)
    return _refused(*problems) if problems or consent is None else ConsentReading(consent=consent, problems=())


def _consent(root: Mapping[str, Any], problems: list[Problem]) -> ConsentText | None:
    resources = Resources(root)
    problems += resources.problems
    source = resources.all[0]
    status = root.get("status")
    if status not in _STATUSES:
        problems.append(problem("fhir.status", "Consent.status", status=ascii(status)[:40], type="Consent"))
    if _SCOPE not in fields.codings(root.get("scope")):
        problems.append(problem("fhir.consent-scope", "Consent.scope"))
    patient = patient_named(resources, source, "patient", problems)
    provision = root.get("provision") or {}
    for element in sorted(provision.keys() - _KNOWN):
        problems.append(problem("fhir.consent-provision", f"Consent.provision.{element}", element=element))
    general = next(
        (rule for pair in fields.codings(root.get("policyRule")) if (rule := _RULES.get(pair)) is not None), None
    )
    stated = {"permit": True, "deny": False}.get(str(provision.get("type")))
    actors = _actors(resources, provision, problems)
    if actors and stated is not None:
        # A provision about named actors is the exception to the rule for all; without one, the opposite is the rule.
        permit: bool | None = general if general is not None else not stated
        if permit == stated:
            actors = ()
    elif actors and general is not None:
        # Actors without a type: FHIR's rule is that a nested provision is the exception.
        permit = general
    else:
        permit = stated if stated is not None else general
    if permit is None:
        problems.append(problem("fhir.consent-rule", "Consent.provision"))
    period = provision.get("period") or {}
    times = {}
    # The end belongs to the period, all of it where it is a day, a month or a year.
    for part, edge in (("start", 0), ("end", 1)):
        text = period.get(part)
        found = span(text)
        times[part] = None if found is None else max(found[edge], 0)
        if text is not None and found is None:
            problems.append(problem("fhir.time", f"Consent.provision.period.{part}"))
    name = next((name for item in fields.identifiers(root) if (name := fields.named(item))), None)
    name = name or (f"Consent/{root['id']}" if root.get("id") else None)
    if name is None:
        problems.append(problem("fhir.identifier-missing", "Consent.identifier"))
    if problems or patient is None or name is None or permit is None:
        return None
    return ConsentText(
        identifier=name,
        patient=patient.local,
        identity=patient.identity,
        permit=permit,
        actors=tuple(sorted(set(actors))),
        from_s=times["start"],
        until_s=times["end"],
        in_force=status == "active",
        updated_s=seconds((root.get("meta") or {}).get("lastUpdated")) or seconds(root.get("dateTime")),
    )


def _actors(resources: Resources, provision: Mapping[str, Any], problems: list[Problem]) -> tuple[str, ...]:
    found = []
    source = resources.all[0]
    for place, actor in enumerate(provision.get("actor") or ()):
        reference = actor.get("reference") or {}
        text = reference.get("reference")
        target = resources.resolve(text, source) if isinstance(text, str) else None
        named = fields.uscc_of({"identifier": reference.get("identifier")}) or (
            fields.uscc_of(target.resource) if target is not None else None
        )
        if named is None:
            problems.append(problem("fhir.consent-actor", f"Consent.provision.actor[{place}].reference"))
        else:
            found.append(named)
    return tuple(found)


def _refused(*problems: Problem) -> ConsentReading:
    return ConsentReading(consent=None, problems=problems)
