"""A hospital's order system asks at order time: the request of a CDS Hooks service, read strictly and bounded.

Of what a client sends only the patient's identity and the codes of what is ordered are read. Everything else (who
orders, tokens for the client's FHIR server, other kinds of orders) is neither kept nor quoted in a message.
Source: CDS Hooks 2.0, "Calling a CDS Service"; hooks ``order-select`` and ``order-sign``; HL7 FHIR R4 ServiceRequest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from ledger.errors import InvalidInputError
from ledger.medical import fhirfields as fields
from ledger.medical.fhirjson import FhirJsonError, read
from ledger.medical.fhirproblems import problem
from ledger.medical.model import MAX_WORD
from ledger.medical.ruleset import RuleSet

Hook = Literal["order-select", "order-sign"]

#: Bytes of a request, entries of its Bundle, and things ordered in it.
MAX_BYTES: Final = 1 << 20
MAX_ENTRIES: Final = 200
MAX_ORDERS: Final = 100
#: Codings of one thing ordered.
_MAX_CODINGS: Final = 20
#: The key, among the prefetched resources, of the patient, and in ``extension`` of the illness's course.
PATIENT: Final = "patient"
COURSE: Final = "civicledger-course"
#: Orders that are being made; others are no matter of these hooks.
_MADE: Final = frozenset({"draft", "active"})
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
_ID: Final = re.compile(r"[A-Za-z0-9.-]{1,64}\Z")

#: The (system, code) pairs of one thing that is ordered: other names of the same.
Codings = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrdersAsked:
    """What is asked. ``identity``: kind and number (``ric:…``); ``orders``: of each order what it is by its code, and
    in its details; ``course``: of the illness, acute where the client does not say."""

    identity: str
    orders: tuple[tuple[Codings, ...], ...]
    course: Literal["acute", "chronic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """What is ordered. ``orders``: the items of the rule set of each order that has any, each once and in their order;
    ``unmapped``: the codes of orders that the rules know no item for."""

    orders: tuple[tuple[str, ...], ...]
    unmapped: Codings

    @property
    def items(self) -> frozenset[str]:
        """All items that are ordered."""
        return frozenset(item for items in self.orders for item in items)


def read_orders(data: bytes, hook: Hook) -> OrdersAsked:
    """Read a request for a service of a hook.

    Raises: InvalidInputError(cds.json | cds.request | cds.hook | cds.prefetch | cds.patient | cds.identity).
    """
    if len(data) > MAX_BYTES:
        raise InvalidInputError(
            "cds.json",
            f"the request is larger than {MAX_BYTES} bytes",
            hint="send the orders of one session, without what they are based on",
            expected=MAX_BYTES,
        )
    try:
        value = read(data)
    except FhirJsonError as error:
        text = problem(error.code, **error.values).text
        raise InvalidInputError("cds.json", text, hint="send the request as JSON in UTF-8") from None
    root = _object(value, "the request")
    if root.get("hook") != hook:
        raise InvalidInputError(
            "cds.hook", f"this service is of the hook {hook}", hint="GET /cds-services lists them", expected=hook
        )
    if not _UUID.match(_text(root, "hookInstance", "")):
        raise _refuse("hookInstance", "is no UUID")
    context = _object(root.get("context"), "context")
    _text(context, "userId", "context.")
    patient_id = _text(context, "patientId", "context.")
    if not _ID.match(patient_id):
        raise _refuse("context.patientId", "is no FHIR id")
    patient = _patient(root.get("prefetch"), patient_id)
    entries = list(_entries(context.get("draftOrders")))
    chosen = _selected(context, entries) if hook == "order-select" else entries
    labels = {label for item in fields.identifiers(patient) if (label := fields.named(item)) is not None}
    orders = tuple(_order(resource, where, patient_id, labels) for where, resource in chosen if _is_order(resource))
    if sum(map(len, orders)) > MAX_ORDERS:
        raise _refuse("context.draftOrders", f"more than {MAX_ORDERS} things are ordered")
    return OrdersAsked(identity=_identity(patient), orders=orders, course=_course(root.get("extension")))


def ordered(asked: OrdersAsked, rules: RuleSet, institution: str) -> Ordered:
    """What is ordered, in the items of a rule set. A panel that no item stands for counts as what its details name;
    codes that mean different items map to none."""
    orders: dict[tuple[str, ...], None] = {}
    unmapped: dict[tuple[str, str], None] = {}
    for order in asked.orders:
        found = dict.fromkeys(item for codings in order if (item := _item(codings, rules, institution)) is not None)
        if found:
            # The same ordered twice is told once.
            orders[tuple(found)] = None
        else:
            unmapped.update(dict.fromkeys(pair for codings in order for pair in codings))
    return Ordered(orders=tuple(orders), unmapped=tuple(unmapped))


def _item(codings: Codings, rules: RuleSet, institution: str) -> str | None:
    found = {item for system, code in codings if (item := rules.item_of(institution, system, code)) is not None}
    return found.pop() if len(found) == 1 else None


# --- the orders -------------------------------------------------------------------------------------------------------


def _entries(bundle: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(where, resource) of each entry."""
    where = "context.draftOrders"
    found = _object(bundle, where)
    if found.get("resourceType") != "Bundle":
        raise _refuse(where, "is no Bundle")
    entries = found.get("entry", [])
    if not isinstance(entries, list) or len(entries) > MAX_ENTRIES:
        raise _refuse(f"{where}.entry", f"is a list of at most {MAX_ENTRIES}")
    for place, entry in enumerate(entries):
        at = f"{where}.entry[{place}].resource"
        yield at, _object(_object(entry, at).get("resource"), at)


def _selected(
    context: Mapping[str, Any], entries: Sequence[tuple[str, Mapping[str, Any]]]
) -> list[tuple[str, Mapping[str, Any]]]:
    """The entries that were just selected. A client names them with their type or by their id alone."""
    selections = context.get("selections")
    if not isinstance(selections, list) or len(selections) > MAX_ENTRIES:
        raise _refuse("context.selections", f"is a list of at most {MAX_ENTRIES}")
    named: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for where, resource in entries:
        identity = resource.get("id")
        if isinstance(identity, str):
            named.setdefault(identity, (where, resource))
            named[f"{resource.get('resourceType')}/{identity}"] = (where, resource)
    found: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for place, selection in enumerate(selections):
        entry = named.get(selection) if isinstance(selection, str) else None
        if entry is None:
            raise _refuse(f"context.selections[{place}]", "is not in draftOrders")
        found[entry[0]] = entry
    return list(found.values())


def _is_order(resource: Mapping[str, Any]) -> bool:
    return (
        resource.get("resourceType") == "ServiceRequest"
        and resource.get("status") in _MADE
        and resource.get("doNotPerform") is not True
    )


def _order(resource: Mapping[str, Any], where: str, patient_id: str, labels: set[str]) -> tuple[Codings, ...]:
    """What an order is by its code, then in each of its details."""
    _check_subject(resource.get("subject"), f"{where}.subject", patient_id, labels)
    details = resource.get("orderDetail", [])
    if not isinstance(details, list):
        raise _refuse(f"{where}.orderDetail", "is a list")
    code = _object(resource.get("code"), f"{where}.code")
    concepts = [(f"{where}.code", code)]
    concepts += [(f"{where}.orderDetail[{place}]", detail) for place, detail in enumerate(details)]
    found = []
    for at, concept in concepts:
        if isinstance(concept, Mapping) and concept.keys() & {"concept", "reference", "parameter"}:
            raise _refuse(at, "is of FHIR R5; send FHIR R4 (4.0.1)")
        codings = fields.codings(_object(concept, at))
        if len(codings) > _MAX_CODINGS or any(len(word) > MAX_WORD for pair in codings for word in pair):
            raise _refuse(at, f"has more than {_MAX_CODINGS} codings, or one of more than {MAX_WORD} characters")
        if codings:
            found.append(codings)
    return tuple(found)


def _check_subject(subject: object, where: str, patient_id: str, labels: set[str]) -> None:
    about = _object(subject, where)
    reference, identifier = about.get("reference"), about.get("identifier")
    if isinstance(reference, str):
        same = reference.partition("/_history/")[0].split("/")[-2:] == ["Patient", patient_id]
    else:
        same = isinstance(identifier, Mapping) and fields.named(identifier) in labels
    if not same:
        raise InvalidInputError(
            "cds.patient",
            f"{where}: the order is not for the patient of the request",
            hint="send the orders of one patient, with the patient's own resource",
        )


# --- the patient ------------------------------------------------------------------------------------------------------


def _patient(prefetch: object, patient_id: str) -> Mapping[str, Any]:
    found = prefetch.get(PATIENT) if isinstance(prefetch, Mapping) else None
    if not isinstance(found, Mapping) or found.get("resourceType") != "Patient":
        raise InvalidInputError(
            "cds.prefetch",
            "the request does not come with the Patient resource, which is not fetched from here",
            hint=f"prefetch it under the name {PATIENT!r}, as GET /cds-services asks for",
        )
    if found.get("id") != patient_id:
        raise InvalidInputError(
            "cds.patient",
            "prefetch.patient is not the patient of the context",
            hint="send the orders of one patient, with the patient's own resource",
        )
    return found


def _identity(patient: Mapping[str, Any]) -> str:
    numbers = {number for item in fields.identifiers(patient) if (number := fields.identity_number(item)) is not None}
    if not numbers:
        raise InvalidInputError(
            "cds.prefetch",
            "the patient's identity number is not given, and other hospitals know a patient by nothing else",
            hint="send it among the identifiers of the Patient, as with reports: docs/operations.md, Order systems",
        )
    if len(numbers) > 1 or not fields.valid_identity(next(iter(numbers))):
        raise InvalidInputError(
            "cds.identity",
            "the patient has two identity numbers, or one that fails its check digit (GB 11643)",
            hint="correct the patient's master data",
        )
    return f"ric:{numbers.pop()}"


def _course(extension: object) -> Literal["acute", "chronic"]:
    course = extension.get(COURSE, "acute") if isinstance(extension, Mapping) else "acute"
    if course == "acute":
        return "acute"
    if course == "chronic":
        return "chronic"
    raise _refuse(f"extension.{COURSE}", "is acute or chronic")


# --- shapes -----------------------------------------------------------------------------------------------------------


def _object(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _refuse(where, "is no JSON object")
    return value


def _text(value: Mapping[str, Any], name: str, inside: str) -> str:
    found = value.get(name)
    if not isinstance(found, str) or not found.strip() or len(found) > MAX_WORD:
        raise _refuse(f"{inside}{name}", f"is no text of 1 to {MAX_WORD} characters")
    return found


def _refuse(where: str, why: str) -> InvalidInputError:
    return InvalidInputError(
        "cds.request", f"{where} {why}", hint="the request is that of CDS Hooks 2.0, its resources FHIR R4"
    )
