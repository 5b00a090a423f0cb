"""The demonstration's trail: as many records as were asked for, each one that a department's systems may write."""

from __future__ import annotations

from ledger.bulk import BATCH_RECORDS, BulkSchema
from ledger.codec import decode_record
from node.city.steps import trail

MEMBER = "11100000000013338W"


def test_a_trail_has_the_records_asked_for() -> None:
    batches = trail(MEMBER, 2 * BATCH_RECORDS + 3, b"\x07" * 32)
    assert [len(batch) for batch in batches] == [BATCH_RECORDS, BATCH_RECORDS, 3]
    for batch in batches:
        BulkSchema(MEMBER).check(batch)
    operators = {decode_record(record).body["operator"] for batch in batches for record in batch}
    assert len(operators) == 2 * BATCH_RECORDS + 3
