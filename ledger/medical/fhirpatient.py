"""Whom a report is about: one patient, by the hospital's own id and, where it is given, the identity number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ledger.medical import fhirfields as fields
from ledger.medical.fhirbundle import Found, Resources
from ledger.medical.fhirproblems import Problem, problem

#: Elements that say whom a resource is about.
_ABOUT: Final = ("subject", "patient")
_RECORD_NUMBER: Final = "MR"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """``local``: the hospital's id; ``identity``: the identity number (公民身份号码), None where it is not given."""

    local: str
    identity: str | None
    path: str


def patient_of(resources: Resources, source: Found, problems: list[Problem]) -> Patient | None:
    """The patient of a report; None, and a problem, when that is not clear in every resource of the input."""
    return patient_named(resources, source, "subject", problems)


def patient_named(resources: Resources, source: Found, element: str, problems: list[Problem]) -> Patient | None:
    """The same where another element (``patient``) says whom a resource is about."""
    subject = source.resource.get(element)
    path = f"{source.path}.{element}"
    if not isinstance(subject, Mapping):
        problems.append(problem("fhir.subject-missing", path))
        return None
    found = _resolved(resources, subject, source)
    name = _name(subject, found)
    if name is None:
        problems.append(problem("fhir.reference" if subject.get("reference") else "fhir.subject-missing", path))
        return None
    type_ = found.type if found is not None else str(subject.get("type") or _type(subject) or "Patient")
    if type_ != "Patient":
        problems.append(problem("fhir.subject-type", path, type=type_))
        return None
    other = _other(resources, name, found)
    if other:
        problems.append(problem("fhir.two-patients", other))
        return None
    return _patient(subject, found, path, name, problems)


def _other(resources: Resources, name: str, patient: Found | None) -> str:
    """Where somebody else is spoken of; empty when nowhere."""
    patients = resources.of_type("Patient")
    labels = {fields.named(item) for item in fields.identifiers(patient.resource)} if patient is not None else {name}
    for item in patients:
        if item is not patient:
            # Beside a reference that leads nowhere one Patient may stand: it must be the one that is meant.
            if patient is None and len(patients) == 1 and name == f"Patient/{item.resource.get('id')}":
                continue
            return item.path
    for item in resources.all:
        for element in _ABOUT:
            about = item.resource.get(element)
            if isinstance(about, Mapping) and about.keys() & {"reference", "identifier"}:
                there = _resolved(resources, about, item)
                same = there is patient if there is not None else _name(about, None) in labels
                if not same:
                    return f"{item.path}.{element}"
    return ""


def _resolved(resources: Resources, reference: Mapping[str, Any], source: Found) -> Found | None:
    text = reference.get("reference")
    return resources.resolve(text, source) if isinstance(text, str) else None


def _name(reference: Mapping[str, Any], found: Found | None) -> str | None:
    """What tells patients apart: the resource itself, else the address in the reference, else its identifier."""
    if found is not None:
        return f"{found.type}@{found.path}"
    text = reference.get("reference")
    if isinstance(text, str):
        parts = text.partition("/_history/")[0].rsplit("/", 2)
        # An address made for this one Bundle, or inside one resource, names nothing when it leads nowhere.
        return "/".join(parts[-2:]) if len(parts) > 1 and not text.startswith(("urn:", "#")) else None
    identifier = reference.get("identifier")
    return fields.named(identifier) if isinstance(identifier, Mapping) else None


def _type(reference: Mapping[str, Any]) -> str:
    text = reference.get("reference")
    parts = text.rsplit("/", 2) if isinstance(text, str) else []
    return parts[-2] if len(parts) > 1 else ""


def _patient(
    subject: Mapping[str, Any], found: Found | None, path: str, name: str, problems: list[Problem]
) -> Patient | None:
    given = list(fields.identifiers(found.resource)) if found is not None else []
    if isinstance(subject.get("identifier"), Mapping):
        given.append(subject["identifier"])
    numbers = {number for item in given if (number := fields.identity_number(item)) is not None}
    if len(numbers) > 1:
        problems.append(problem("fhir.two-patients", path))
        return None
    identity = next(iter(numbers), None)
    if identity is not None and not fields.valid_identity(identity):
        problems.append(problem("fhir.identity", found.path if found is not None else path))
        return None
    own = [item for item in given if fields.identity_number(item) is None]
    return Patient(
        local=_local(subject, found, name, own) or identity or name,
        identity=identity,
        path=found.path if found is not None else path,
    )


def _local(subject: Mapping[str, Any], found: Found | None, name: str, own: list[Mapping[str, Any]]) -> str | None:
    """The hospital's own id: the record number, else the id on its server, else its first identifier."""
    numbers = [item for item in own if _RECORD_NUMBER in {code for _, code in fields.codings(item.get("type"))}]
    text = subject.get("reference")
    if not numbers and isinstance(text, str) and not text.startswith(("urn:", "#")):
        return "/".join(text.partition("/_history/")[0].rsplit("/", 2)[-2:])
    return next((label for item in [*numbers, *own] if (label := fields.named(item))), None) or (
        name if found is None else None
    )
