"""Writers in this process: any number of records, read no faster than the log takes them; remembered batch ids."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.bulk import BATCH_RECORDS, BulkSchema
from ledger.codec import encode_record
from ledger.errors import ConflictError, InvalidInputError, UnavailableError
from ledger.keys import Ed25519Signer
from ledger.log import DepartmentLog
from ledger.log.writing import append_many
from ledger.model import Record
from tests.ledger.log.conftest import NOW, ORIGIN, Open, record

DAY = 24 * 60 * 60 * 1000
MEMBER = "11100000000013338W"


def erasure(number: int) -> Record:
    body = {"basis": "retention-30", "commitment": f"{number:064x}"}
    return Record(type="erasure.done", member=MEMBER, time_ms=NOW, body=body)


def test_many_records_of_any_kind_stand_in_order(log: DepartmentLog) -> None:
    seen: list[tuple[int, int]] = []
    made = [erasure(number) if number % 2 else encode_record(erasure(number)) for number in range(2_500)]
    ranges = log.append_many(iter(made), on_durable=lambda first, count: seen.append((first, count)))
    assert ranges == [(0, 2_500)]
    assert seen == [(0, 1_000), (1_000, 1_000), (2_000, 500)]
    assert log.read(0, 2_500) == [encode_record(erasure(number)) for number in range(2_500)]
    assert log.append_many([]) == []


def test_a_schema_only_spares_the_second_check(log: DepartmentLog) -> None:
    schema = BulkSchema(MEMBER)
    assert log.append_many((erasure(number) for number in range(10)), schema=schema) == [(0, 10)]
    with pytest.raises(InvalidInputError) as caught:
        log.append_many([encode_record(erasure(1)).replace(b'"v":1', b'"v":2')], schema=schema)
    assert caught.value.code == "record.fields"
    assert log.size == 10


def test_what_was_begun_before_a_bad_record_is_durable_and_reported(log: DepartmentLog) -> None:
    seen: list[int] = []

    def records() -> Iterator[bytes]:
        for number in range(2 * BATCH_RECORDS):
            yield record(number)
        yield b"no record"

    with pytest.raises(InvalidInputError):
        log.append_many(records(), on_durable=lambda _first, count: seen.append(count))
    assert seen == [BATCH_RECORDS, BATCH_RECORDS]
    assert log.size == 2 * BATCH_RECORDS


def test_large_records_make_smaller_batches(log: DepartmentLog) -> None:
    counts: list[int] = []
    large = record(1).replace(b'"0.1.1"', b'"' + b"x" * 50_000 + b'"')
    log.append_many([large] * 60, on_durable=lambda _first, count: counts.append(count))
    assert sum(counts) == 60
    assert max(counts) * len(large) <= 1 << 20


class _SlowLog:
    """A log whose disk answers when it is told to."""

    def __init__(self) -> None:
        self.begun = 0
        self.go = threading.Semaphore(0)
        self.full = 0

    def begin(self, records: list[bytes], _batch: bytes | None, _schema: BulkSchema | None) -> Any:
        if self.full:
            self.full -= 1
            raise UnavailableError("log.saturated", "the log is saturated")
        self.begun += 1
        first = (self.begun - 1) * BATCH_RECORDS
        return _Answer(self.go, first, len(records))


class _Answer:
    def __init__(self, go: threading.Semaphore, first: int, count: int) -> None:
        self._go, self._answer = go, (first, count)

    def result(self) -> tuple[int, int]:
        assert self._go.acquire(timeout=180)
        return self._answer


def test_a_slow_log_is_not_read_ahead_of() -> None:
    slow = _SlowLog()
    taken = 0

    def records() -> Iterator[bytes]:
        nonlocal taken
        for number in range(20 * BATCH_RECORDS):
            taken += 1
            yield record(number)

    most = 0

    def durable(first: int, _count: int) -> None:
        nonlocal most
        most = max(most, taken - first)
        slow.go.release()

    slow.go.release()
    assert append_many(slow.begin, records(), None, durable) == [(0, 20 * BATCH_RECORDS)]
    # Three batches under way, and the one being filled with the record that closed the one before.
    assert most <= 4 * BATCH_RECORDS + 1


def test_a_full_pool_is_waited_for_once_and_then_said() -> None:
    slow = _SlowLog()
    slow.go.release(100)
    two = [record(number) for number in range(2 * BATCH_RECORDS)]

    def fill(_first: int, _count: int) -> None:
        slow.full = 1

    def records() -> Iterator[bytes]:
        for number, one in enumerate(two):
            if number == BATCH_RECORDS + 1:
                slow.full = 1
            yield one

    assert append_many(slow.begin, records(), None, None) == [(0, 2 * BATCH_RECORDS)]
    slow.full = 1
    with pytest.raises(UnavailableError) as caught:
        append_many(slow.begin, iter(two), None, fill)
    assert caught.value.code == "log.saturated"


@pytest.fixture
def open_at(tmp_path: Path, signer: Ed25519Signer) -> Iterator[Callable[[int], DepartmentLog]]:
    """Opens the test's one folder at a time of the day; closes what was open."""
    opened: list[DepartmentLog] = []

    def do(now: int) -> DepartmentLog:
        for log in opened:
            log.close()
        log = DepartmentLog.open(tmp_path / "log", origin=ORIGIN, signer=signer, clock=lambda: now)
        log.guard(())
        opened.append(log)
        return log

    yield do
    for log in opened:
        log.close()


def test_a_batch_id_is_remembered_for_a_day_across_restarts(open_at: Callable[[int], DepartmentLog]) -> None:
    batch, records = b"0123456789abcdef", [record(number) for number in range(3)]
    log = open_at(NOW)
    log.append([record(99)])
    assert log.append(records, batch) == (1, 3)
    assert log.append(records, batch) == (1, 3)
    late = open_at(NOW + DAY - 1)
    assert late.append(records, batch) == (1, 3)
    with pytest.raises(ConflictError) as caught:
        late.append([record(7)], batch)
    assert caught.value.code == "log.batch-conflict"
    assert late.size == 4
    assert open_at(NOW + DAY).append(records, batch) == (4, 3)


def test_a_repeat_while_the_first_is_under_way_gets_its_answer(open_log: Open) -> None:
    log = open_log()
    log.guard(())
    batch, records = b"x" * 16, [record(number) for number in range(500)]
    begun = [log.begin(records, batch) for _ in range(5)]
    assert [pending.result() for pending in begun] == [(0, 500)] * 5
    assert log.size == 500
    with pytest.raises(InvalidInputError) as caught:
        begun[0].result()
    assert caught.value.code == "log.answered"
