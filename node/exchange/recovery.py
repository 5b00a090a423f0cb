"""After a stop in the middle of exchanges: what was only begun is given back, what was released or completed gets the
record it was still owed. An erasure that was under way is carried out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from ledger.evidence.receipt import decode_receipt
from ledger.storage.exchanges import ExchangeEntry, State
from node import erasure
from node.exchange.outcome import log_completed, log_half

if TYPE_CHECKING:
    from collections.abc import Iterator

    from node.context import NodeContext

logger = structlog.get_logger("node.exchange")


def recover(context: NodeContext) -> int:
    """Finish what a stop left open; how many exchanges that were. The log must be open.

    A use of which nothing was released is no use; the consumer's own begun exchanges stay, since a repeat with the same
    nonce continues them.
    """
    done = 0
    for entry in list(_all(context, "begun")):
        if entry.role == "provider":
            context.exchanges.give_back(entry.id, "provider")
            done += 1
    for entry in list(_all(context, "half")):
        if entry.log_index < 0:
            log_half(context, entry)
            done += 1
    for entry in list(_all(context, "complete")):
        if entry.log_index < 0:
            log_completed(context, entry, decode_receipt(entry.receipt)[0].purpose)
            done += 1
    erasure.finish(context)
    if done:
        logger.info("exchange.recovered", count=done)
    return done


def _all(context: NodeContext, state: State) -> Iterator[ExchangeEntry]:
    token = b""
    while True:
        entries, token = context.exchanges.page(state=state, page_size=500, token=token)
        yield from entries
        if not token:
            return
