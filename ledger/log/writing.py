"""Writing any number of records from this process: batches, a few of them under way, nothing read ahead of the disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from ledger._native import PendingAppend
from ledger.bulk import BulkSchema, batches
from ledger.codec import encode_record
from ledger.errors import UnavailableError
from ledger.model import Record

#: Batches of one writer that are queued or being written.
_UNDER_WAY: Final = 3

#: Queues a batch (``DepartmentLog.begin``).
Begin = Callable[[list[bytes], bytes | None, BulkSchema | None], PendingAppend]


def append_many(
    begin: Begin,
    records: Iterable[Record | bytes],
    schema: BulkSchema | None,
    on_durable: Callable[[int, int], None] | None,
) -> list[tuple[int, int]]:
    """Append what an iterable yields, as fast as the log takes it and no faster.

    ``records``: records, or canonical bytes. They go in batches of 1,000 or 1 MiB, each whole or not at all, at most
    three under way. ``schema``: records it recognises need no second check. ``on_durable``: called with (first index,
    count) of every batch as it becomes durable. Returns the ranges of indices in order, neighbouring ones as one: a
    single range unless somebody else appended in between.

    Raises: as ``DepartmentLog.append``, when everything begun before is durable and reported.
    """
    ranges: list[tuple[int, int]] = []
    waiting: deque[PendingAppend] = deque()

    def settle(room: int) -> None:
        while len(waiting) > room:
            first, count = waiting.popleft().result()
            if on_durable is not None:
                on_durable(first, count)
            if ranges and sum(ranges[-1]) == first:
                first, count = ranges[-1][0], ranges.pop()[1] + count
            ranges.append((first, count))

    try:
        for batch in batches(record if isinstance(record, bytes) else encode_record(record) for record in records):
            settle(_UNDER_WAY - 1)
            try:
                waiting.append(begin(batch, None, schema))
            except UnavailableError as error:
                if error.code != "log.saturated" or not waiting:
                    raise
                # Other writers fill the pool: what is ours leaves it first.
                settle(0)
                waiting.append(begin(batch, None, schema))
    finally:
        settle(0)
    return ranges
