"""The record index is derived: killed, damaged, dropped or without room, it ends with the same rows."""

import random
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ledger.errors import ConflictError, FatalError, InvalidInputError, UnavailableError
from ledger.storage import queries
from ledger.storage.indexes import RecordFilter, RecordIndex
from ledger.storage.openings import MAX_SUBJECT, Opening, Openings
from ledger.storage.store import Store
from tests.conftest import ROOT
from tests.ledger.storage.index_cases import (
    IDS,
    SUBJECTS,
    Log,
    Parts,
    everything,
    filed,
    naive,
    opened_log,
    opening,
    record,
)


@contextmanager
def opened_index(folder: Path, openings: Openings | None = None) -> Iterator[RecordIndex]:
    index = RecordIndex.open(folder, openings)
    try:
        yield index
    finally:
        index.close()


def followed(index: RecordIndex, log: Log) -> RecordIndex:
    while index.indexed_size < log.size or index.remaking:
        index.follow(log)
    return index


def some(count: int) -> list[bytes]:
    return [record(Parts(time=n * 700, dataset=IDS[n % 2])) for n in range(count)]


def test_after_kills_at_any_moment_the_rows_are_those_of_a_fresh_index(tmp_path: Path) -> None:
    chance = random.Random(20261122)
    for seed in range(3):
        command = [sys.executable, "-m", "tests.ledger.storage.index_child", str(tmp_path), str(seed)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            for _ in range(chance.randrange(1, 25)):
                assert child.stdout.readline(), "the child ended by itself"
            child.kill()
    with Store.open(tmp_path / "values") as values, opened_log(tmp_path / "log") as log:
        openings = Openings(values)
        with opened_index(tmp_path / "index", openings) as index:
            assert index.remaking is None
            assert 0 < index.indexed_size <= log.size
            followed(index, log)
            entries = log.read(0, log.size)
            subjects = {opening.index: opening.subject for _, opening in openings}
            assert subjects
            for wanted in (
                RecordFilter(newest_first=True),
                RecordFilter(subject=SUBJECTS[0]),
                RecordFilter(subject=SUBJECTS[1], dataset=IDS[0]),
                RecordFilter(dataset=IDS[1], grant=IDS[2], newest_first=True),
            ):
                found = everything(index, wanted, 50)
                assert found
                assert found == naive(entries, wanted, subjects)
        with opened_index(tmp_path / "fresh", openings) as fresh:
            followed(fresh, log)
    rows = filed(tmp_path / "index")
    assert rows == filed(tmp_path / "fresh")
    with (
        Store.open(tmp_path / "values") as values,
        opened_log(tmp_path / "log") as log,
        opened_index(tmp_path / "index", Openings(values)) as index,
    ):
        index.renew()
        assert index.indexed_size == 0
        followed(index, log)
    assert filed(tmp_path / "index") == rows


def test_a_damaged_folder_is_dropped_at_opening_and_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    with opened_log(tmp_path / "log", some(300)) as log:
        with opened_index(folder) as index:
            followed(index, log)
        rows = filed(folder)
        (folder / "CURRENT").write_bytes(b"nonsense\n")
        with opened_index(folder) as index:
            assert index.remaking is not None
            assert index.remaking.code == "index.remaking"
            assert index.indexed_size == 0
            index.follow(log, limit=100)
            assert (index.indexed_size, index.remaking is None) == (100, False)
        # Interrupted: it goes on from where it was.
        with opened_index(folder) as index:
            assert index.remaking is not None
            assert index.indexed_size == 100
            assert index.follow(log) == 200
            assert index.remaking is None
    assert filed(folder) == rows


def test_damage_met_by_a_query_or_while_following_is_mended_from_the_log(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    with opened_log(tmp_path / "log", some(300)) as log:
        with opened_index(folder) as index:
            followed(index, log)
        rows = filed(folder)
        for bad in (b"", b"\0" * 13, b"\0" * 15, b"\xff" * 14):
            with Store.open(folder) as store:
                key = next(key for key, _ in store.scan(b"D"))
                store.put(key, bad)
            with opened_index(folder) as index:
                with pytest.raises(UnavailableError) as caught:
                    everything(index, RecordFilter(dataset=IDS[0]), 100)
                assert caught.value.code == "index.damaged"
                assert index.follow(log) == 300
                assert len(everything(index, RecordFilter(dataset=IDS[0]), 100)) == 150
            assert filed(folder) == rows


def test_a_damaged_table_file_stops_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    with opened_log(tmp_path / "log", some(300)) as log:
        with opened_index(folder) as index:
            followed(index, log)
        with Store.open(folder) as store:
            store.compact(b"")
        rows = filed(folder)
        for table in folder.glob("*.ldb"):
            data = bytearray(table.read_bytes())
            data[len(data) // 3] ^= 0x55
            table.write_bytes(data)
        with opened_index(folder) as index:
            # All rows fit one block of the file, the version row among them.
            assert index.remaking is not None
            followed(index, log)
    assert filed(folder) == rows


def test_a_folder_of_another_version_is_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    for put in ({b"!version": b"1"}, {b"S": b"\0" * 8}):
        with Store.open(folder) as store:
            for key, value in put.items():
                store.put(key, value)
        with opened_log(tmp_path / "log") as log, opened_index(folder) as index:
            if not log.size:
                log.add(some(3))
            assert index.remaking is not None
            assert "version" in index.remaking.message
            assert followed(index, log).indexed_size == 3
        with Store.open(folder) as store:
            assert store.get(b"!version") == b"2"
            assert store.get(b"S") is None
            store.delete(b"!version")


def test_a_folder_in_use_is_not_dropped(tmp_path: Path) -> None:
    with opened_log(tmp_path / "log", some(3)) as log, opened_index(tmp_path / "index") as index:
        index.follow(log)
        with pytest.raises(ConflictError) as caught:
            RecordIndex.open(tmp_path / "index")
        assert caught.value.code == "store.locked"
        assert len(index.query(RecordFilter()).rows) == 3


_NO_ROOM = """
    import resource, sys
    from pathlib import Path
    from ledger.errors import UnavailableError
    from ledger.storage.indexes import RecordFilter, RecordIndex
    from tests.ledger.storage.index_cases import everything, naive, opened_log

    folder = Path(sys.argv[1])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with opened_log(folder / "log") as log:
        index = RecordIndex.open(folder / "index")
        index.follow(log, limit=10)
        # The limit of a file's size stands for a full disk.
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
        for _ in range(2):
            try:
                index.follow(log)
            except UnavailableError as error:
                print(error.code, index.indexed_size)
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        while index.indexed_size < log.size:
            index.follow(log)
        found = everything(index, RecordFilter(), 1000)
        print(len(found), found == naive(log.read(0, log.size), RecordFilter()))
        index.close()
"""


def test_without_room_the_index_waits_and_then_goes_on(tmp_path: Path) -> None:
    with opened_log(tmp_path / "log", some(5000)):
        pass
    # In a process of its own: the limit holds for whatever else writes in this one.
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_NO_ROOM), str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=300,
    )
    assert run.stdout.splitlines()[-1:] == ["5000 True"], run.stderr
    assert run.stdout.splitlines()[:-1] == ["disk.full 10"] * 2


# --- subjects ---------------------------------------------------------------------------------------------------------


def test_an_erased_opening_leaves_neither_answers_nor_bytes(tmp_path: Path) -> None:
    subject = "resident-0815-of-this-test"
    entries = [record(Parts(time=n, subject=subject), n) for n in range(3)]
    wanted = RecordFilter(subject=subject)
    with Store.open(tmp_path / "values") as values, opened_log(tmp_path / "log", entries) as log:
        openings = Openings(values)
        with opened_index(tmp_path / "index", openings) as index:
            assert openings.keep([opening(n, subject) for n in range(3)]) == 3
            assert openings.keep([opening(n, subject) for n in range(3)]) == 0
            followed(index, log)
            index.follow(log)
            assert [row.index for row in index.query(wanted).rows] == [0, 1, 2]
            assert openings.erase([opening(1, subject).commitment(), b"\1" * 32]) == 1
            index.follow(log)
            assert [row.index for row in index.query(wanted).rows] == [0, 2]
            assert openings.erase([name for name, _ in openings]) == 2
            index.follow(log)
            assert not index.query(wanted).rows
            digest = openings.digest(subject)
    for folder in (tmp_path / "values", tmp_path / "index"):
        files = {file.name: file.read_bytes() for file in folder.iterdir()}
        assert any(files.values())
        assert not [name for name, data in files.items() if subject.encode() in data or digest in data]


@pytest.mark.parametrize("newest_first", [False, True])
def test_records_filed_under_two_names_are_one_answer(tmp_path: Path, newest_first: bool) -> None:
    opened, without = {0, 3, 7}, {1, 4, 5, 8, 9}
    made = {n: opening(n, SUBJECTS[0]) for n in range(10)}
    # Several in one bucket of time, and two at one time.
    entries = [record(Parts(time=1_500 * (n // 2), subject=SUBJECTS[0]), n) for n in range(10)]
    pseudonym = "0f" * 32
    with Store.open(tmp_path / "values") as values, opened_log(tmp_path / "log", entries) as log:
        openings = Openings(values)
        openings.keep([made[n] for n in opened])
        for n in without:
            assert openings.file(made[n].commitment(), n, pseudonym) == 1
            assert openings.file(made[n].commitment(), n, pseudonym) == 0
        with pytest.raises(InvalidInputError) as caught:
            openings.file(made[2].commitment(), 2, "")
        assert caught.value.code == "opening.subject"
        # Nothing of the subject, and nothing that opens the commitment, is kept of what is only filed.
        for name, kept in openings:
            assert (kept.salt == b"" and kept.subject == pseudonym) == (name in {made[n].commitment() for n in without})
        with opened_index(tmp_path / "index", openings) as index:
            followed(index, log)
            wanted = RecordFilter(subject=SUBJECTS[0], filed=pseudonym, newest_first=newest_first)
            for page_size in (1, 2, 3, 8, 100):
                found = [row.index for row in everything(index, wanted, page_size)]
                assert found == sorted(opened | without, reverse=newest_first)
            alone = RecordFilter(subject=SUBJECTS[0], newest_first=newest_first)
            assert [row.index for row in index.query(alone).rows] == sorted(opened, reverse=newest_first)
            assert openings.erase([made[n].commitment() for n in without]) == len(without)
            index.follow(log)
            assert [row.index for row in everything(index, wanted, 2)] == sorted(opened, reverse=newest_first)


def test_two_names_that_are_read_in_parts_leave_nothing_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "MAX_WORK", 600)
    made = {n: opening(n, SUBJECTS[0]) for n in range(40)}
    entries = [record(Parts(time=4_096 * n, subject=SUBJECTS[0]), n) for n in range(40)]
    with Store.open(tmp_path / "values") as values, opened_log(tmp_path / "log", entries) as log:
        openings = Openings(values)
        openings.keep([made[n] for n in range(0, 40, 3)])
        for n in set(range(40)) - set(range(0, 40, 3)):
            openings.file(made[n].commitment(), n, "0f" * 32)
        with opened_index(tmp_path / "index", openings) as index:
            followed(index, log)
            for newest_first in (False, True):
                wanted = RecordFilter(subject=SUBJECTS[0], filed="0f" * 32, newest_first=newest_first)
                assert index.query(wanted, 100).token
                found = [row.index for row in everything(index, wanted, 100)]
                assert found == sorted(range(40), reverse=newest_first)


def test_an_opening_that_fits_no_record_is_not_filed(tmp_path: Path) -> None:
    entries = [record(Parts(subject=SUBJECTS[0]), 0), record(Parts(), 1), b"no record"]
    with Store.open(tmp_path / "values") as values, opened_log(tmp_path / "log", entries) as log:
        openings = Openings(values)
        wrong = [
            Opening(index=0, salt=bytes(32), subject=SUBJECTS[1]),
            Opening(index=1, salt=bytes([1] * 32), subject=SUBJECTS[1]),
            Opening(index=2, salt=bytes([2] * 32), subject=SUBJECTS[1]),
            Opening(index=99, salt=bytes([3] * 32), subject=SUBJECTS[1]),
        ]
        openings.keep([*wrong, opening(0, SUBJECTS[0])])
        with opened_index(tmp_path / "index", openings) as index:
            followed(index, log)
            assert not index.query(RecordFilter(subject=SUBJECTS[1])).rows
            assert [row.index for row in index.query(RecordFilter(subject=SUBJECTS[0])).rows] == [0]


def test_an_opening_waits_for_its_record_to_be_indexed(tmp_path: Path) -> None:
    entries = [record(Parts(subject=SUBJECTS[0]), n) for n in range(4)]
    with Store.open(tmp_path / "values") as values, opened_log(tmp_path / "log", entries) as log:
        openings = Openings(values)
        openings.keep([opening(n, SUBJECTS[0]) for n in (3, 0)])
        with opened_index(tmp_path / "index", openings) as index:
            index.follow(log, limit=2)
            assert not index.query(RecordFilter(subject=SUBJECTS[0])).rows
            index.follow(log)
            assert [row.index for row in index.query(RecordFilter(subject=SUBJECTS[0])).rows] == [0, 3]


def test_bad_openings_are_refused_whole(store: Store) -> None:
    openings = Openings(store)
    good = opening(0, SUBJECTS[0])
    bad = {
        "": "opening.subject",
        "x" * (MAX_SUBJECT + 1): "opening.subject",
        "\ud800": "opening.subject",
    }
    for subject, code in bad.items():
        with pytest.raises(InvalidInputError) as caught:
            openings.keep([good, Opening(index=1, salt=bytes(32), subject=subject)])
        assert caught.value.code == code
    with pytest.raises(InvalidInputError) as caught:
        openings.keep([good, Opening(index=1, salt=b"short", subject="x")])
    assert caught.value.code == "commitment.salt"
    assert not list(openings)


def test_openings_and_their_key_are_there_after_opening_again(tmp_path: Path) -> None:
    with Store.open(tmp_path / "values") as values:
        openings = Openings(values)
        openings.keep([opening(0, SUBJECTS[1])])
        digest = openings.digest(SUBJECTS[1])
    with Store.open(tmp_path / "values") as values:
        openings = Openings(values)
        assert openings.digest(SUBJECTS[1]) == digest
        assert openings.digest(SUBJECTS[0]) != digest
        assert openings.get(opening(0, SUBJECTS[1]).commitment()) == opening(0, SUBJECTS[1])
        openings.keep([opening(1, SUBJECTS[1])])
        assert [sequence for sequence, _ in openings.since(0, 10)] == [1, 2]
        values.put(b"c" + bytes(32), b"\xc1")
        with pytest.raises(FatalError) as caught:
            openings.get(bytes(32))
        assert caught.value.code == "store.corrupt"


def test_damaged_openings_do_not_drop_the_index(tmp_path: Path) -> None:
    entries = [record(Parts(subject=SUBJECTS[0]), 0)]
    with Store.open(tmp_path / "values") as values, opened_log(tmp_path / "log", entries) as log:
        openings = Openings(values)
        openings.keep([opening(0, SUBJECTS[0])])
        values.put(b"c" + opening(0, SUBJECTS[0]).commitment(), b"\xc1")
        with opened_index(tmp_path / "index", openings) as index:
            for _ in range(2):
                with pytest.raises(UnavailableError) as caught:
                    index.follow(log)
                assert caught.value.code == "index.subjects"
            assert len(index.query(RecordFilter()).rows) == 1
            assert index.remaking is None
