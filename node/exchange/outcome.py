"""How an exchange ended, on the trail: once per outcome, whatever crashed in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ledger.evidence.receipt import receipt_digest
from ledger.evidence.request import ExchangeRequest
from ledger.storage.exchanges import ExchangeEntry
from node.trail import records as trail

if TYPE_CHECKING:
    from node.context import NodeContext


#: How an entry says that its request named no grant.
NO_GRANT = bytes(32)


def log_completed(context: NodeContext, entry: ExchangeEntry, purpose: str) -> int:
    """Log ``exchange.completed`` once, whatever crashed before; the record's index, kept in the entry."""
    if entry.log_index >= 0:
        return entry.log_index
    body = {
        "exchange": entry.id.hex(),
        "grant": entry.grant.hex(),
        "dataset": entry.dataset.hex(),
        "purpose": purpose,
        "counterpart": entry.counterpart,
        "role": entry.role,
        "receipt": receipt_digest(entry.receipt).hex(),
        "bytes": entry.byte_count,
    }
    index = trail.write_once(context, "exchange.completed", body, entry.closed_ms, entry.id)
    context.exchanges.put(msgspec.structs.replace(entry, log_index=index))
    return index


def log_half(context: NodeContext, entry: ExchangeEntry) -> None:
    """Log ``exchange.half`` once per exchange; it stays open until a repeat completes it."""
    if entry.log_index >= 0:
        return
    if not entry.closed_ms:
        entry = msgspec.structs.replace(entry, closed_ms=context.clock())
        context.exchanges.put(entry)
    body = {
        "exchange": entry.id.hex(),
        "grant": entry.grant.hex(),
        "dataset": entry.dataset.hex(),
        "counterpart": entry.counterpart,
        "role": entry.role,
        "receipt": receipt_digest(entry.half).hex(),
    }
    index = trail.write_once(context, "exchange.half", body, entry.closed_ms, entry.id)
    context.exchanges.put(msgspec.structs.replace(entry, log_index=index))


def log_refused(context: NodeContext, request: ExchangeRequest, role: str, code: str, *, counterpart: str) -> int:
    """Log ``access.refused``, naming the rule."""
    body = {
        "dataset": request.dataset.hex(),
        "counterpart": counterpart,
        "role": role,
        "purpose": request.purpose,
        "code": code,
    }
    if request.grant is not None:
        body["grant"] = request.grant.hex()
    context.metrics.refused(code)
    return trail.write(context, "access.refused", body)
