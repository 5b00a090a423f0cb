"""Audit records of medicine as FHIR AuditEvents of IHE BALP, for a hospital's own audit repository.

The patient stands in them as a pseudonym of the exporting hospital. A record of a step that has no pattern in BALP of
its own is exported by the pattern of what it does to the record of care. Source: IHE ITI Basic Audit Log Patterns
(BALP) 1.1.4, profiles PatientCreate, PatientUpdate, PatientDelete, PrivacyDisclosure.Source and .Recipient; HL7 FHIR R4
AuditEvent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ledger.model import Record, format_time

_PROFILE: Final = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
_DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"
_TYPES: Final = "http://terminology.hl7.org/CodeSystem/audit-event-type"
_REST: Final = "http://hl7.org/fhir/restful-interaction"
_ENTITY: Final = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_ROLE: Final = "http://terminology.hl7.org/CodeSystem/object-role"
_OUTCOME_DONE: Final = "0"
_OUTCOME_REFUSED: Final = "4"
#: Systems of our own names: members, pseudonyms, reports and steps, record types.
USCC: Final = "urn:civicledger:uscc"
PSEUDONYM: Final = "urn:civicledger:pseudonym"
NAME: Final = "urn:civicledger:name"
EVENTS: Final = "urn:civicledger:events"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pattern:
    """A BALP profile and what it fixes. ``source``: which side of the exchange the data comes from."""

    profile: str
    type: tuple[str, str, str]
    subtype: tuple[str, str]
    action: str
    role: tuple[str, str]


_RESTFUL: Final = (_TYPES, "rest", "Restful Operation")
_DISCLOSE: Final = ("http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle", "disclose")
_RESOURCE: Final = ("4", "Domain Resource")
_REPORT: Final = ("3", "Report")
_JOB: Final = ("20", "Job")
_EXPORT: Final = _Pattern(
    profile="PrivacyDisclosure.Source", type=(_DCM, "110106", "Export"), subtype=_DISCLOSE, action="R", role=_REPORT
)
_IMPORT: Final = _Pattern(
    profile="PrivacyDisclosure.Recipient", type=(_DCM, "110107", "Import"), subtype=_DISCLOSE, action="C", role=_REPORT
)
_CREATE: Final = _Pattern(profile="PatientCreate", type=_RESTFUL, subtype=(_REST, "create"), action="C", role=_RESOURCE)
_DECIDE: Final = _Pattern(profile="PatientCreate", type=_RESTFUL, subtype=(_REST, "create"), action="C", role=_JOB)
_UPDATE: Final = _Pattern(profile="PatientUpdate", type=_RESTFUL, subtype=(_REST, "update"), action="U", role=_RESOURCE)
_DELETE: Final = _Pattern(profile="PatientDelete", type=_RESTFUL, subtype=(_REST, "delete"), action="D", role=_RESOURCE)
_READ: Final = _Pattern(profile="", type=_RESTFUL, subtype=(_REST, "read"), action="R", role=_REPORT)

#: Record type -> pattern. ``medical.opened`` and ``medical.certified`` depend on the side, see ``_pattern``.
_PATTERNS: Final[Mapping[str, _Pattern]] = {
    "medical.offered": _CREATE,
    "medical.corrected": _UPDATE,
    "medical.withdrawn": _UPDATE,
    "medical.recognised": _DECIDE,
    "medical.retested": _DECIDE,
    "medical.refused": _READ,
    "medical.told": _UPDATE,
    "medical.consent-changed": _UPDATE,
    "medical.erased": _DELETE,
}


def audit_event(record: Record, *, index: int, patient: str) -> dict[str, Any] | None:
    """The AuditEvent of a record of medicine; None for records that are about no patient.

    ``index``: of the record in its log, which names the event; ``patient``: the pseudonym of whom it is about.
    """
    pattern = _pattern(record)
    if pattern is None:
        return None
    member, other = record.member, record.body.get("counterpart")
    here, there = _who(member), _who(str(other) if other else member)
    # BALP: in a read or disclosure the source is who has the data; in a write it is who sends it.
    provider_here = record.body.get("role", "provider") == "provider"
    source, destination = (here, there) if provider_here else (there, here)
    if pattern in (_CREATE, _DECIDE, _UPDATE, _DELETE) and other:
        source, destination = there, here
    refused = record.type == "medical.refused"
    event: dict[str, Any] = {
        "resourceType": "AuditEvent",
        "id": f"{member}-{index}",
        "type": _coding(*pattern.type),
        "subtype": [
            _coding(*pattern.subtype, pattern.subtype[1]),
            _coding(EVENTS, record.type, record.type),
        ],
        "action": pattern.action,
        "recorded": format_time(record.time_ms),
        "outcome": _OUTCOME_REFUSED if refused else _OUTCOME_DONE,
        "purposeOfEvent": [
            {"coding": [_coding("http://terminology.hl7.org/CodeSystem/v3-ActReason", *_purpose(record))]}
        ],
        "agent": [
            _agent("110153", "Source Role ID", source, requestor=False),
            _agent("110152", "Destination Role ID", destination, requestor=False),
        ],
        "source": {
            "observer": here,
            "type": [_coding("http://terminology.hl7.org/CodeSystem/security-source-type", "4", "Application Server")],
        },
        "entity": [
            {
                "what": {"type": "Patient", "identifier": {"system": PSEUDONYM, "value": patient}},
                "type": _coding(_ENTITY, "1", "Person"),
                "role": _coding(_ROLE, "1", "Patient"),
            },
            {
                "what": {"identifier": {"system": NAME, "value": _named(record)}},
                "type": _coding(_ENTITY, "2", "System Object"),
                "role": _coding(_ROLE, *pattern.role),
            },
        ],
    }
    if pattern.profile:
        event["meta"] = {"profile": [_PROFILE + pattern.profile]}
    if refused:
        event["outcomeDesc"] = str(record.body["code"])
    return event


def report_of(record: Record) -> bytes | None:
    """The report (32 bytes) a record of medicine names; None where it names none."""
    name = record.body.get("report")
    return bytes.fromhex(name) if isinstance(name, str) else None


def _pattern(record: Record) -> _Pattern | None:
    if record.type in ("medical.opened", "medical.certified"):
        return _EXPORT if record.body["role"] == "provider" else _IMPORT
    return _PATTERNS.get(record.type)


def _purpose(record: Record) -> tuple[str, str]:
    """Why: who applies for a certificate asks for it. Source: HL7 v3 ActReason, PurposeOfUse."""
    return ("PATRQT", "patient requested") if record.type == "medical.certified" else ("TREAT", "treatment")


def _named(record: Record) -> str:
    for name in ("step", "exchange", "report", "commitment"):
        if name in record.body:
            return f"{name}/{record.body[name]}"
    return record.type


def _who(member: str) -> dict[str, Any]:
    return {"type": "Organization", "identifier": {"system": USCC, "value": member}}


def _agent(code: str, display: str, who: Mapping[str, Any], *, requestor: bool) -> dict[str, Any]:
    return {
        "type": {"coding": [_coding(_DCM, code, display)]},
        "who": dict(who),
        "requestor": requestor,
        # The node of the member, by what every certificate and peer list of the consortium names it by.
        "network": {"address": f"urn:civicledger:member:{who['identifier']['value']}", "type": "5"},
    }


def _coding(system: str, code: str, display: str) -> dict[str, str]:
    return {"system": system, "code": code, "display": display}
