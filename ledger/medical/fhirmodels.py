"""Validation by ``fhir.resources`` as R4B, which HL7's R4 resources of our kinds fit without change.

The library is loaded with the first resource that is validated: a node that is no hospital never pays for it.
Source: HL7 FHIR R4 (4.0.1) and R4B (4.3.0).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from ledger.medical.fhirproblems import Problem, problem

#: At most so many findings of the validator are told: one mistake is often made in every entry.
_MAX_TOLD: Final = 10
#: Elements that R5 brought to the resources taken here. Source: FHIR R5, "Changes from R4" of each resource.
_R5: Final = frozenset(
    [
        "bodyStructure",
        "combined",
        "composition",
        "concept",
        "controller",
        "decision",
        "feature",
        "grantee",
        "grantor",
        "instantiatesCanonical",
        "instantiatesReference",
        "issues",
        "manager",
        "regulatoryBasis",
        "study",
        "subjectState",
        "supportingInfo",
        "triggeredBy",
        "valueAttachment",
        "valueReference",
    ]
)
#: What R4 has as a Coding and R5 as a CodeableConcept.
_R5_CONCEPTS: Final = frozenset({"modality", "bodySite", "laterality"})


def validate(root: Mapping[str, Any]) -> list[Problem]:
    """What R4B finds wrong with a resource that ``fhirjson`` read: its numbers are decimals with their text."""
    unknown = list(_unknown_types(root, str(root.get("resourceType"))))
    if unknown:
        return unknown[:_MAX_TOLD]
    from pydantic import ValidationError

    try:
        _model(str(root["resourceType"])).model_validate(root)
    except ValidationError as error:
        return [_told(item, root) for item in error.errors(include_url=False, include_input=False)[:_MAX_TOLD]]
    except (KeyError, TypeError, ValueError, AttributeError, AssertionError) as error:
        # The library stumbles over some shapes instead of naming them: the input is no resource of R4 either way.
        return [problem("fhir.invalid", str(root["resourceType"]), reason=f"malformed ({type(error).__name__})")]
    return []


def known_type(name: object) -> bool:
    """Whether R4B has a resource of this name."""
    if not isinstance(name, str) or not name.isascii() or not name.isalnum():
        return False
    return _model(name) is not None


@lru_cache(maxsize=256)
def _model(name: str) -> Any:
    from fhir.resources.R4B import get_fhir_model_class
    from fhir.resources.R4B.resource import Resource

    try:
        model = get_fhir_model_class(name)
    except (KeyError, ValueError):
        return None
    # The library has its datatypes under the same door.
    return model if issubclass(model, Resource) else None


def _unknown_types(resource: Mapping[str, Any], path: str) -> Iterable[Problem]:
    for place, entry in enumerate(_list(resource.get("entry"))):
        inner = entry.get("resource") if isinstance(entry, Mapping) else None
        if isinstance(inner, Mapping):
            yield from _unknown_one(inner, f"{path}.entry[{place}].resource")
    for place, inner in enumerate(_list(resource.get("contained"))):
        yield from _unknown_one(inner, f"{path}.contained[{place}]")


def _unknown_one(resource: object, path: str) -> Iterable[Problem]:
    if not isinstance(resource, Mapping) or not known_type(resource.get("resourceType")):
        name = resource.get("resourceType") if isinstance(resource, Mapping) else None
        yield problem("fhir.invalid", path, reason=f"no resource type {ascii(name)[:40]}")
    else:
        yield from _unknown_types(resource, path)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _told(error: Mapping[str, Any], root: Mapping[str, Any]) -> Problem:
    places = [place for place in error["loc"] if place != "resource_type"]
    path = str(root["resourceType"])
    for place in places:
        path += f"[{place}]" if isinstance(place, int) else f".{place}"
    names = [place for place in places if isinstance(place, str)]
    last, before = (names[-1] if names else ""), (names[-2] if len(names) > 1 else "")
    if error["type"] == "extra_forbidden":
        if last in _R5 or (last in ("coding", "text") and before in _R5_CONCEPTS):
            return problem("fhir.r5-shaped", path, element=last)
        return problem("fhir.invalid", path, reason=f"no such element: {ascii(last)[:40]}")
    reason = " ".join(str(error["msg"]).split())[:160]
    return problem("fhir.invalid", path, reason=reason)
