"""The record index against a naive scan of the same records."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import codec
from ledger.errors import InvalidInputError
from ledger.model import format_time
from ledger.storage.indexes import MAX_PAGE, IndexRow, RecordFilter, RecordIndex
from ledger.storage.store import Store


class Entries:
    """A log in memory."""

    def __init__(self, entries: list[bytes]) -> None:
        self.entries = entries

    @property
    def size(self) -> int:
        return len(self.entries)

    def read(self, first: int, count: int) -> list[bytes]:
        return self.entries[first : first + count]


IDS = [byte * 32 for byte in (b"\x01", b"\x02")]
MEMBERS = ["91110000600037341L", "91320621MA1MRHG205"]
TYPES = ["access.used", "exchange.completed"]
BASE = 1_790_000_000_000


def record(time: int, type_: str, dataset: bytes | None, grant: bytes | None, counterpart: str | None) -> bytes:
    body: dict[str, Any] = {"bytes": 5}
    if dataset is not None:
        body["dataset"] = dataset.hex()
    if grant is not None:
        body["grant"] = grant.hex()
    if counterpart is not None:
        body["counterpart"] = counterpart
    return codec.encode({"body": body, "member": MEMBERS[0], "time": format_time(BASE + time), "type": type_, "v": 1})


PARTS = st.tuples(
    st.integers(0, 20),
    st.sampled_from(TYPES),
    st.none() | st.sampled_from(IDS),
    st.none() | st.sampled_from(IDS),
    st.none() | st.sampled_from(MEMBERS),
)
FILTERS = st.builds(
    RecordFilter,
    dataset=st.none() | st.sampled_from(IDS),
    grant=st.none() | st.sampled_from(IDS),
    counterpart=st.none() | st.sampled_from(MEMBERS),
    type=st.none() | st.sampled_from(TYPES),
    from_ms=st.sampled_from([0, BASE + 5]),
    to_ms=st.sampled_from([0, BASE + 12]),
)


def naive(parts: list[tuple[Any, ...]], wanted: RecordFilter) -> list[IndexRow]:
    rows = [
        IndexRow(index=index, time_ms=BASE + time)
        for index, (time, type_, dataset, grant, counterpart) in enumerate(parts)
        if wanted.dataset in (None, dataset)
        and wanted.grant in (None, grant)
        and wanted.counterpart in (None, counterpart)
        and wanted.type in (None, type_)
        and wanted.from_ms <= BASE + time
        and (not wanted.to_ms or BASE + time < wanted.to_ms)
    ]
    return sorted(rows, key=lambda row: (row.time_ms, row.index))


def everything(index: RecordIndex, wanted: RecordFilter, page_size: int) -> list[IndexRow]:
    rows: list[IndexRow] = []
    token = b""
    while True:
        page = index.query(wanted, page_size, token)
        assert len(page.rows) <= page_size
        rows += page.rows
        token = page.token
        if not token:
            return rows


@settings(max_examples=40)
@given(st.lists(PARTS, max_size=30), st.lists(FILTERS, min_size=1, max_size=6), st.integers(1, 7))
def test_a_query_is_what_a_scan_of_all_records_gives(
    tmp_path_factory: pytest.TempPathFactory,
    parts: list[tuple[Any, ...]],
    filters: list[RecordFilter],
    page_size: int,
) -> None:
    log = Entries([record(*part) for part in parts])
    with Store.open(tmp_path_factory.mktemp("db")) as store:
        index = RecordIndex(store)
        assert index.follow(log, limit=3) == min(3, len(parts))
        index.follow(log)
        assert index.indexed_size == len(parts)
        for wanted in filters:
            assert everything(index, wanted, page_size) == naive(parts, wanted)
            assert index.count(wanted) == len(naive(parts, wanted))


def make(times: list[int]) -> Entries:
    return Entries([record(time, TYPES[0], IDS[0], None, None) for time in times])


def test_pages_of_one_query_answer_for_one_size(store: Store) -> None:
    log, index = make([1, 2, 3]), RecordIndex(store)
    index.follow(log)
    first = index.query(RecordFilter(dataset=IDS[0]), 2)
    # A record with an older time arrives between two pages: it belongs to the next query, not to this one.
    log.entries += make([0, 3]).entries
    index.follow(log)
    second = index.query(RecordFilter(dataset=IDS[0]), 2, first.token)
    assert [row.index for row in (*first.rows, *second.rows)] == [0, 1, 2]
    assert first.indexed_size == second.indexed_size == 3
    assert len(everything(index, RecordFilter(dataset=IDS[0]), 2)) == 5


def test_another_log_makes_the_index_anew(store: Store) -> None:
    index = RecordIndex(store)
    index.follow(make([1, 2, 3]))
    # Restored from an older copy: shorter.
    assert index.follow(make([1])) == 1
    assert index.indexed_size == 1
    # Another history of the same length.
    assert index.follow(make([7])) == 1
    assert [row.time_ms for row in index.query(RecordFilter()).rows] == [BASE + 7]


def test_rebuilding_gives_the_same_answers(store: Store) -> None:
    log, index = make([3, 1, 2]), RecordIndex(store)
    index.follow(log)
    before = index.query(RecordFilter())
    assert index.rebuild(log) == 3
    assert index.query(RecordFilter()) == before


def test_an_entry_that_is_no_record_is_not_dropped(store: Store) -> None:
    index = RecordIndex(store)
    odd = [b"not json", b'{"type":5}', make([1]).entries[0].replace(b"access.used", "类".encode() * 300)]
    index.follow(Entries([*odd, *make([1]).entries]))
    assert [row.index for row in index.query(RecordFilter()).rows] == [0, 1, 2, 3]
    with pytest.raises(InvalidInputError) as caught:
        index.query(RecordFilter(type="类" * 300))
    assert caught.value.code == "query.value"


def test_bad_pages_are_refused(store: Store) -> None:
    index = RecordIndex(store)
    index.follow(make([1, 2, 3]))
    token = index.query(RecordFilter(), 1).token
    for size in (0, MAX_PAGE + 1):
        with pytest.raises(InvalidInputError) as caught:
            index.query(RecordFilter(), size)
        assert caught.value.code == "page.size"
    for wanted, bad in ((RecordFilter(type=TYPES[0]), token), (RecordFilter(), b"short"), (RecordFilter(), b"x" * 32)):
        with pytest.raises(InvalidInputError) as caught:
            index.query(wanted, 1, bad)
        assert caught.value.code == "page.token"


def test_what_was_indexed_is_there_after_opening_again(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("db")
    with Store.open(folder) as store:
        RecordIndex(store).follow(make([1, 2]))
    with Store.open(folder) as store:
        index = RecordIndex(store)
        assert index.indexed_size == 2
        assert index.follow(make([1, 2, 3])) == 1
