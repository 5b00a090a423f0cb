"""Requests of an order system, as CDS Hooks has them: dictionaries to be bent by a test."""

from __future__ import annotations

from typing import Any

from tests.ledger.medical.bundles import LOINC, Person


def order(
    code: str, *, system: str = LOINC, number: int = 1, patient: str = "P0001", details: tuple[str, ...] = ()
) -> dict[str, Any]:
    """A draft order of one examination; ``details``: what it consists of, as LOINC codes."""
    made: dict[str, Any] = {
        "resourceType": "ServiceRequest",
        "id": f"order-{number}",
        "status": "draft",
        "intent": "order",
        "code": {"coding": [{"system": system, "code": code}]},
        "subject": {"reference": f"Patient/{patient}"},
    }
    if details:
        made["orderDetail"] = [{"coding": [{"system": LOINC, "code": detail}]} for detail in details]
    return made


def request(
    *orders: dict[str, Any], hook: str = "order-sign", person: Person | None = None, **changes: Any
) -> dict[str, Any]:
    """A request for a hook; of ``order-select`` every order is a selected one."""
    who = person or Person()
    context: dict[str, Any] = {
        "userId": "Practitioner/dr-7",
        "patientId": who.local,
        "draftOrders": {"resourceType": "Bundle", "entry": [{"resource": one} for one in orders]},
    }
    if hook == "order-select":
        context["selections"] = [f"{one['resourceType']}/{one['id']}" for one in orders]
    return {
        "hook": hook,
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "fhirServer": "https://his.example.cn/fhir",
        "fhirAuthorization": {"access_token": "secret", "token_type": "Bearer"},
        "context": context,
        "prefetch": {"patient": who.resource()},
        **changes,
    }
