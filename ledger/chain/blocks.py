"""What the chain answers with: heads, receipts, events. Blocks are ``ledger.storage.chainstate.StoredBlock``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainHead:
    """The newest block this node has committed. ``time`` is the block's unix seconds; ``header`` is RLP."""

    height: int
    hash: bytes
    state_root: bytes
    time: int
    header: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One event as the contract emitted it: ``address`` 20 bytes, each topic 32 bytes."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What one included transaction did. A revert is an outcome: ``succeeded`` False, ``output`` its revert data."""

    hash: bytes
    height: int
    block_hash: bytes
    index: int
    sender: bytes
    to: bytes | None
    nonce: int
    succeeded: bool
    gas_used: int
    cumulative_gas_used: int
    contract: bytes | None
    logs: tuple[LogEntry, ...]
    output: bytes


def receipt_from_row(row: Mapping[str, Any], height: int, block_hash: bytes, index: int) -> Receipt:
    """A receipt from the native core's dict and its place on the chain."""
    return Receipt(
        hash=row["hash"],
        height=height,
        block_hash=block_hash,
        index=index,
        sender=row["from"],
        to=row["to"],
        nonce=row["nonce"],
        succeeded=row["status"] == 1,
        gas_used=row["gas_used"],
        cumulative_gas_used=row["cumulative_gas_used"],
        contract=row["contract"],
        logs=tuple(
            LogEntry(address=log["address"], topics=tuple(log["topics"]), data=log["data"]) for log in row["logs"]
        ),
        output=row["output"],
    )
