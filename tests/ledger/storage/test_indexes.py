"""The record index against a naive scan of the same records."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import InvalidInputError, UnavailableError
from ledger.storage import queries
from ledger.storage.indexes import MAX_PAGE, RecordFilter, RecordIndex
from ledger.storage.openings import Openings
from ledger.storage.store import Store
from tests.ledger.storage.index_cases import (
    BASE,
    IDS,
    MEMBERS,
    SUBJECTS,
    TYPES,
    Parts,
    everything,
    naive,
    opened_log,
    opening,
    record,
)

# Some times share a bucket of the index, some lie on its edge, some far away.
TIMES = st.integers(0, 20) | st.integers(0, 20_000) | st.sampled_from([4095, 4096, 86_400_000])
PARTS = st.builds(
    Parts,
    time=TIMES,
    type=st.sampled_from(TYPES),
    dataset=st.none() | st.sampled_from(IDS),
    grant=st.none() | st.sampled_from(IDS),
    counterpart=st.none() | st.sampled_from(MEMBERS),
    subject=st.none() | st.sampled_from(SUBJECTS),
)
FILTERS = st.builds(
    RecordFilter,
    dataset=st.none() | st.sampled_from(IDS),
    grant=st.none() | st.sampled_from(IDS),
    counterpart=st.none() | st.sampled_from(MEMBERS),
    type=st.none() | st.sampled_from(TYPES),
    subject=st.none() | st.sampled_from(SUBJECTS),
    from_ms=st.sampled_from([0, BASE + 5, BASE + 4096]),
    to_ms=st.sampled_from([0, BASE + 12, BASE + 5000]),
    newest_first=st.booleans(),
)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[RecordIndex]:
    opened = RecordIndex.open(tmp_path / "index")
    yield opened
    opened.close()


@settings(max_examples=60, deadline=None)
@given(st.lists(PARTS, max_size=40), st.lists(FILTERS, min_size=1, max_size=6), st.integers(1, 7), st.integers(1, 9))
def test_a_query_is_what_a_scan_of_all_records_gives(
    tmp_path_factory: pytest.TempPathFactory,
    parts: list[Parts],
    filters: list[RecordFilter],
    page_size: int,
    step: int,
) -> None:
    folder = tmp_path_factory.mktemp("db")
    entries = [record(part, number) for number, part in enumerate(parts)]
    subjects = {number: part.subject for number, part in enumerate(parts) if part.subject is not None}
    with Store.open(folder / "values") as values, opened_log(folder / "log", entries) as log:
        openings = Openings(values)
        openings.keep([opening(number, subject) for number, subject in subjects.items()])
        index = RecordIndex.open(folder / "index", openings)
        # Small steps: what one value has in a bucket then stands in many blocks.
        while index.follow(log, limit=step):
            assert index.indexed_size <= len(parts)
        assert index.indexed_size == len(parts)
        for wanted in filters:
            assert everything(index, wanted, page_size) == naive(entries, wanted, subjects)
        index.close()


def test_a_query_that_reads_much_and_finds_little_answers_in_parts(
    tmp_path: Path, index: RecordIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "MAX_WORK", 1_000)
    # Both values are in every bucket, and together only in the last.
    parts = [Parts(time=4096 * (n // 2), dataset=IDS[0] if n % 2 else None, grant=IDS[1 - n % 2]) for n in range(60)]
    entries = [record(part) for part in [*parts, Parts(time=4096 * 30, dataset=IDS[0], grant=IDS[1])]]
    with opened_log(tmp_path / "log", entries) as log:
        index.follow(log)
    for newest_first in (False, True):
        wanted = RecordFilter(dataset=IDS[0], grant=IDS[1], newest_first=newest_first)
        first = index.query(wanted)
        assert first.token
        assert len(first.rows) == int(newest_first)
        assert everything(index, wanted, 10) == naive(entries, wanted)


def test_pages_of_one_query_answer_for_one_size(tmp_path: Path, index: RecordIndex) -> None:
    wanted = RecordFilter(dataset=IDS[0])
    with opened_log(tmp_path / "log", [record(Parts(time=time, dataset=IDS[0])) for time in (1, 2, 3)]) as log:
        index.follow(log)
        first = index.query(wanted, 2)
        # A record with an older time arrives between two pages: it belongs to the next query, not to this one.
        log.add([record(Parts(time=time, dataset=IDS[0])) for time in (0, 3)])
        index.follow(log)
    second = index.query(wanted, 2, first.token)
    assert [row.index for row in (*first.rows, *second.rows)] == [0, 1, 2]
    assert first.indexed_size == second.indexed_size == 3
    assert len(everything(index, wanted, 2)) == 5


def test_another_log_makes_the_index_anew(tmp_path: Path, index: RecordIndex) -> None:
    with opened_log(tmp_path / "log", [record(Parts(time=time)) for time in (1, 2, 3)]) as log:
        index.follow(log)
    token = index.query(RecordFilter(), 1).token
    # Restored from an older copy: shorter.
    with opened_log(tmp_path / "older", [record(Parts(time=1))]) as log:
        assert index.follow(log) == 1
    assert index.indexed_size == 1
    with pytest.raises(UnavailableError) as caught:
        index.query(RecordFilter(), 1, token)
    assert (caught.value.code, caught.value.expected, caught.value.actual) == ("index.behind", 3, 1)
    # Another history of the same length.
    with opened_log(tmp_path / "other", [record(Parts(time=7))]) as log:
        assert index.follow(log) == 1
    assert [row.time_ms for row in index.query(RecordFilter()).rows] == [BASE + 7]


def test_an_entry_that_is_no_record_is_not_dropped(tmp_path: Path, index: RecordIndex) -> None:
    good = record(Parts(time=1))
    odd = [b"not json", b'{"type":5}', good.replace(b"access.used", "类".encode() * 300)]
    with opened_log(tmp_path / "log", [*odd, good]) as log:
        index.follow(log)
    assert [row.index for row in index.query(RecordFilter()).rows] == [0, 1, 2, 3]
    assert [row.index for row in index.query(RecordFilter(type="access.used")).rows] == [3]
    with pytest.raises(InvalidInputError) as caught:
        index.query(RecordFilter(type="类" * 300))
    assert caught.value.code == "query.value"
    with pytest.raises(InvalidInputError) as caught:
        index.query(RecordFilter(subject=SUBJECTS[0]))
    assert caught.value.code == "query.subject"


def test_bad_pages_are_refused(tmp_path: Path, index: RecordIndex) -> None:
    with opened_log(tmp_path / "log", [record(Parts(time=time)) for time in (1, 2, 3)]) as log:
        index.follow(log)
    token = index.query(RecordFilter(), 1).token
    for size in (0, MAX_PAGE + 1):
        with pytest.raises(InvalidInputError) as caught:
            index.query(RecordFilter(), size)
        assert caught.value.code == "page.size"
    others = (
        (RecordFilter(type=TYPES[0]), token),
        (RecordFilter(newest_first=True), token),
        (RecordFilter(), b"short"),
        (RecordFilter(), b"x" * 32),
        (RecordFilter(), token + b"x"),
    )
    for wanted, bad in others:
        with pytest.raises(InvalidInputError) as caught:
            index.query(wanted, 1, bad)
        assert caught.value.code == "page.token"


def test_what_was_indexed_is_there_after_opening_again(tmp_path: Path) -> None:
    with opened_log(tmp_path / "log", [record(Parts(time=time)) for time in (1, 2)]) as log:
        first = RecordIndex.open(tmp_path / "index")
        first.follow(log)
        first.close()
        first.close()
        again = RecordIndex.open(tmp_path / "index")
        assert (again.indexed_size, again.remaking) == (2, None)
        log.add([record(Parts(time=3))])
        assert again.follow(log) == 1
        again.close()
