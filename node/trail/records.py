"""What the node itself writes into its department's log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ledger.codec import domain_digest, encode_record
from ledger.model import Record

if TYPE_CHECKING:
    from ledger.log.department import PendingAppend
    from node.context import NodeContext


def write(context: NodeContext, type_: str, body: Mapping[str, Any]) -> int:
    """Append one record of now; its durable index. Raises as ``DepartmentLog.append``."""
    record = Record(type=type_, member=context.member, time_ms=context.clock(), body=body)
    return context.log.append_record(record)


def write_once(context: NodeContext, type_: str, body: Mapping[str, Any], time_ms: int, key: bytes) -> int:
    """Append a record that a crash may make us append again: the log answers a repeat with the first index.

    ``key`` names the step (an exchange id); ``time_ms`` must be the same in a repeat, so it is kept by the caller.
    """
    return context.log.append(*_step(context, type_, body, time_ms, key))[0]


def begin_once(context: NodeContext, type_: str, body: Mapping[str, Any], time_ms: int, key: bytes) -> PendingAppend:
    """:func:`write_once` in two steps, as ``DepartmentLog.begin``: many that are begun share one sync of the disk."""
    return context.log.begin(*_step(context, type_, body, time_ms, key))


def _step(
    context: NodeContext, type_: str, body: Mapping[str, Any], time_ms: int, key: bytes
) -> tuple[tuple[bytes, ...], bytes]:
    record = encode_record(Record(type=type_, member=context.member, time_ms=time_ms, body=body))
    return (record,), domain_digest("trail-step", type_.encode() + b"\n" + key)[:16]
