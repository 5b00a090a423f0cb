"""The LevelDB door: atomic batches, prefixes, and one clear error for each way a folder can fail."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import ConflictError, FatalError
from ledger.storage.store import Store, prefix_end


def test_what_was_put_is_read_after_opening_again(tmp_path: Path) -> None:
    with Store.open(tmp_path / "db") as store:
        store.put(b"a", b"1")
        store.put(b"b", b"2")
        store.delete(b"b")
    with Store.open(tmp_path / "db") as store:
        assert store.get(b"a") == b"1"
        assert store.get(b"b") is None


def test_a_batch_that_raises_writes_nothing(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.batch() as batch:
        batch.put(b"a", b"%d" % (1 // len(list(store.scan()))))
    assert list(store.scan()) == []


def test_a_batch_is_visible_only_as_a_whole(store: Store) -> None:
    with store.batch() as batch:
        batch.put(b"a", b"1")
        assert store.get(b"a") is None
        batch.sub(b"x/").put(b"b", b"2")
    assert list(store.scan()) == [(b"a", b"1"), (b"x/b", b"2")]


def test_sub_stores_do_not_see_each_other(store: Store) -> None:
    left, right = store.sub(b"l"), store.sub(b"r")
    left.put(b"k", b"1")
    right.put(b"k", b"2")
    assert list(left.scan()) == [(b"k", b"1")]
    assert list(right.scan()) == [(b"k", b"2")]
    assert list(store.scan()) == [(b"lk", b"1"), (b"rk", b"2")]


@given(
    rows=st.dictionaries(st.binary(min_size=1, max_size=4), st.binary(max_size=4), max_size=12),
    prefix=st.binary(max_size=2),
    start=st.none() | st.binary(max_size=3),
    stop=st.none() | st.binary(max_size=3),
    reverse=st.booleans(),
    under=st.sampled_from([b"", b"p", b"\xff", b"\xff\xff"]),
)
def test_scan_is_the_range_of_a_sorted_dict(
    tmp_path_factory: pytest.TempPathFactory,
    rows: dict[bytes, bytes],
    prefix: bytes,
    start: bytes | None,
    stop: bytes | None,
    reverse: bool,
    under: bytes,
) -> None:
    with Store.open(tmp_path_factory.mktemp("db")) as whole:
        whole.put(b"other", b"never seen under a prefix", sync=False)
        store = whole.sub(under)
        for key, value in rows.items():
            store.put(key, value, sync=False)
        expected = [
            (key, value)
            for key, value in sorted(
                (dict(rows) if under else {**rows, b"other": b"never seen under a prefix"}).items()
            )
            if key.startswith(prefix) and (start is None or key >= start) and (stop is None or key < stop)
        ]
        if under == b"" and b"other" in rows:
            expected = [(key, rows.get(key, value)) for key, value in expected]
        assert list(store.scan(prefix, start=start, stop=stop, reverse=reverse)) == (
            expected[::-1] if reverse else expected
        )


def test_a_single_row_is_found_backwards(tmp_path: Path) -> None:
    with Store.open(tmp_path / "db") as store:
        store.put(b"a", b"1", sync=False)
        store.put(b"b", b"2", sync=False)
        assert list(store.scan(b"a", reverse=True)) == [(b"a", b"1")]


@given(st.binary(max_size=3), st.binary(max_size=5))
def test_prefix_end_is_above_the_prefix_and_below_all_that_follows(prefix: bytes, key: bytes) -> None:
    end = prefix_end(prefix)
    if end is None:
        assert prefix.strip(b"\xff") == b""
        return
    assert (prefix <= key < end) == key.startswith(prefix)


def test_a_second_opening_is_refused_with_the_cause(tmp_path: Path) -> None:
    with Store.open(tmp_path / "db"):
        with pytest.raises(ConflictError) as caught:
            Store.open(tmp_path / "db")
        assert caught.value.code == "store.locked"
        code = "import sys; from ledger.storage.store import Store; Store.open(sys.argv[1])"
        other = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "db")], capture_output=True, text=True, timeout=60
        )
        assert other.returncode == 1
        assert "store.locked" in other.stderr
    Store.open(tmp_path / "db").close()


def test_a_damaged_folder_is_named_and_not_repaired_silently(tmp_path: Path) -> None:
    with Store.open(tmp_path / "db") as store:
        for number in range(2000):
            store.put(b"%04d" % number, os.urandom(100), sync=False)
        store.compact(b"")
    table = max((tmp_path / "db").glob("*.ldb"), key=lambda file: file.stat().st_size)
    data = bytearray(table.read_bytes())
    data[len(data) // 2] ^= 1
    table.write_bytes(data)
    with pytest.raises(FatalError) as caught, Store.open(tmp_path / "db") as store:
        list(store.scan())
    assert caught.value.code == "store.corrupt"
    assert caught.value.hint


def test_a_missing_table_is_refused_at_opening(tmp_path: Path) -> None:
    with Store.open(tmp_path / "db") as store:
        store.put(b"a", b"1")
        store.compact(b"")
    for table in (tmp_path / "db").glob("*.ldb"):
        table.unlink()
    with pytest.raises(FatalError) as caught:
        Store.open(tmp_path / "db")
    assert caught.value.code == "store.corrupt"


_FULL_DISK = """
    import resource, signal, sys
    from ledger.errors import UnavailableError
    from ledger.storage.store import Store

    store = Store.open(sys.argv[1])
    store.put(b"kept", b"1")
    # The limit of a file's size stands for a full disk: the same write fails at the same place.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16384, 16384))
    codes = []
    for number in range(3):
        try:
            with store.batch() as batch:
                for row in range(8):
                    batch.put(b"%d-%d" % (number, row), b"x" * 4096)
        except UnavailableError as error:
            codes.append(error.code)
    print(*codes)
"""


def test_a_full_disk_refuses_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_FULL_DISK), str(tmp_path / "db")],
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert run.stdout.split() == ["disk.full"] * 3, run.stderr
    with Store.open(tmp_path / "db") as store:
        assert list(store.scan()) == [(b"kept", b"1")]


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(FatalError) as caught:
        Store.open(tmp_path / "file" / "db")
    assert caught.value.code == "store.corrupt"


_FAILED_WRITE = """
    import resource, signal, sys
    from ledger.errors import UnavailableError
    from ledger.storage.store import Store

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    store = Store.open(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, limit[1]))
    for key, value, after in ((b"a", b"x" * 20_000, limit), (b"b", b"small", limit)):
        try:
            store.put(key, value)
        except UnavailableError as error:
            print(error.code)
        resource.setrlimit(resource.RLIMIT_FSIZE, after)
    store.close()
"""


def test_a_failed_write_closes_the_store_for_writing_until_it_is_opened_again(tmp_path: Path) -> None:
    # In a process of its own: the limit holds for whatever else writes in this one.
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_FAILED_WRITE), str(tmp_path / "db")],
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert run.stdout.split() == ["disk.full"] * 2, run.stderr
    with Store.open(tmp_path / "db") as store:
        assert list(store.scan()) == []
        store.put(b"b", b"small")
