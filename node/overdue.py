"""Requests whose deadline passed unanswered: put on the trail once, by both sides; never a silent approval."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.trail import records as trail

if TYPE_CHECKING:
    from node.context import NodeContext

#: How often a node looks, seconds.
INTERVAL_S = 60.0


def note_overdue(context: NodeContext) -> int:
    """Log ``grant.overdue`` for every overdue request this member made or has to answer; how many were new."""
    rows = context.store.sub(b"overdue/")
    now_s = context.clock() // 1000
    noted = 0
    for info in context.contracts.grants.all(now_s=now_s):
        if not info.overdue or context.member not in (info.provider, info.consumer):
            continue
        if rows.get(info.id) is not None:
            continue
        # The record's time is the deadline's: a crash before the row below repeats the same bytes, which the log knows.
        trail.write_once(context, "grant.overdue", {"grant": info.id.hex()}, info.deadline * 1000, info.id)
        rows.put(info.id, b"")
        noted += 1
    return noted
