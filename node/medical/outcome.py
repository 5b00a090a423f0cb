"""How a step went, on the trail: once per outcome, whatever crashed in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ledger.evidence.medicalreceipt import decode_step_receipt, step_receipt_digest
from ledger.evidence.medicalstep import StepRequest, step_digest
from ledger.storage.steps import Role, StepEntry, StepStore
from node.trail import records as trail

if TYPE_CHECKING:
    from node.context import NodeContext

_TYPES = {"open": "medical.opened", "recognise": "medical.recognised", "retest": "medical.retested"}


def log_requested(context: NodeContext, steps: StepStore, entry: StepEntry, purpose: str) -> StepEntry:
    """Log ``medical.requested`` once, before anything of the report is released."""
    if entry.requested_index >= 0:
        return entry
    body = {
        "step": entry.id.hex(),
        "report": entry.report.hex(),
        "counterpart": entry.counterpart,
        "role": entry.role,
        "purpose": purpose,
        "request": step_digest(entry.request).hex(),
    }
    index = trail.write_once(context, "medical.requested", body, entry.time_ms, _key(entry))
    return steps.put(msgspec.structs.replace(entry, requested_index=index))


def log_done(context: NodeContext, steps: StepStore, entry: StepEntry) -> StepEntry:
    """Log the end of a complete step once: ``medical.opened``, ``medical.recognised`` or ``medical.retested``."""
    if entry.log_index >= 0:
        return entry
    receipt, _ = decode_step_receipt(entry.receipt)
    body: dict[str, Any] = {
        "step": entry.id.hex(),
        "report": entry.report.hex(),
        "counterpart": entry.counterpart,
        "role": entry.role,
        "rules": receipt.rules_version,
        "receipt": step_receipt_digest(entry.receipt).hex(),
    }
    if entry.kind == "open":
        body |= {"version": entry.version, "purpose": receipt.purpose}
    else:
        body |= {"opening": entry.opening.hex(), "items": len(entry.items)}
    if entry.kind == "retest":
        body["reason"] = entry.reason
    index = trail.write_once(context, _TYPES[entry.kind], body, entry.closed_ms, _key(entry))
    return steps.put(msgspec.structs.replace(entry, log_index=index))


def log_refused(context: NodeContext, request: StepRequest, role: Role, counterpart: str, code: str) -> int:
    """Log ``medical.refused``, naming the rule."""
    body = {
        "report": request.report.hex(),
        "counterpart": counterpart,
        "role": role,
        "kind": request.kind.value,
        "code": code,
    }
    context.metrics.refused(code)
    return trail.write(context, "medical.refused", body)


def _key(entry: StepEntry) -> bytes:
    # Both roles may be one log's where a hospital's two nodes share nothing else: the role keeps the batches apart.
    return entry.role.encode() + b"\n" + entry.id
