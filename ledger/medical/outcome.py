"""OperationOutcome: what became of a FHIR resource that was sent, as FHIR says it.

Each issue has our stable code in ``details.coding``, English words in ``details.text`` and Chinese ones beside in the
standard translation extension, and a FHIRPath expression. Source: HL7 FHIR R4, OperationOutcome; extension translation.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from ledger.errors import FatalError, InvalidInputError, LedgerError, UnavailableError
from ledger.medical.fhirproblems import PROBLEMS, Problem

#: The code system of our codes.
SYSTEM: Final = "urn:civicledger:codes"
_TRANSLATION: Final = "http://hl7.org/fhir/StructureDefinition/translation"


def operation_outcome(problems: Iterable[Problem]) -> dict[str, Any]:
    """The OperationOutcome of what was found; of nothing it says that all went well."""
    issues = [_issue(item) for item in problems]
    if not issues:
        issues = [_plain("information", "informational", "taken in", "已接收")]
    return {"resourceType": "OperationOutcome", "issue": issues}


def outcome_of_error(error: LedgerError) -> dict[str, Any]:
    """The OperationOutcome of an error of the node itself; the sender's own mistakes are ``Problem``s."""
    kind = "exception"
    if isinstance(error, InvalidInputError):
        kind = "invalid"
    elif isinstance(error, UnavailableError):
        kind = "transient"
    text = error.message + (f"; {error.hint}" if error.hint else "")
    issue: dict[str, Any] = {
        "severity": "fatal" if isinstance(error, FatalError) else "error",
        "code": kind,
        "details": {"coding": [{"system": SYSTEM, "code": error.code}], "text": text},
    }
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def to_json(resource: Mapping[str, Any]) -> bytes:
    """A resource of ours as bytes (``application/fhir+json``)."""
    return json.dumps(resource, ensure_ascii=False, separators=(",", ":")).encode()


def _issue(item: Problem) -> dict[str, Any]:
    issue = _plain(item.severity, PROBLEMS[item.code][1], item.text, item.zh)
    issue["details"]["coding"] = [{"system": SYSTEM, "code": item.code}]
    if item.path:
        issue["expression"] = [item.path]
    return issue


def _plain(severity: str, kind: str, text: str, zh: str) -> dict[str, Any]:
    return {
        "severity": severity,
        "code": kind,
        "details": {
            "text": text,
            "_text": {
                "extension": [
                    {
                        "url": _TRANSLATION,
                        "extension": [{"url": "lang", "valueCode": "zh"}, {"url": "content", "valueString": zh}],
                    }
                ]
            },
        },
    }
