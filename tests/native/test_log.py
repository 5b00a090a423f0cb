"""The native log through the door: a stateful comparison with a list, the test log of others, errors as ours."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from base64 import b64decode
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ledger import _native
from ledger.errors import (
    ConflictError,
    FatalError,
    InvalidInputError,
    LedgerError,
    NotFoundError,
    UnavailableError,
)
from tests.native import fold

ENTRIES = st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=5)
DAY_MS = 86_400_000


class LogMachine(RuleBasedStateMachine):
    """Any order of appends, retries, crashes, stops and tears leaves the log equal to a list."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="civicledger-log-"))
        self.model: list[bytes] = []
        self.batches: dict[bytes, tuple[int, list[bytes]]] = {}
        self.log = _native.LogEngine.open(str(self.folder))

    def teardown(self) -> None:
        self.log.close()
        shutil.rmtree(self.folder)

    @rule(entries=ENTRIES)
    def append(self, entries: list[bytes]) -> None:
        assert self.log.append_batch(entries) == (len(self.model), len(entries))
        self.model += entries

    @rule(entry=st.binary(min_size=1, max_size=300), count=st.sampled_from([255, 256, 300]))
    def append_many(self, entry: bytes, count: int) -> None:
        self.append([entry] * count)

    @rule(number=st.integers(0, 5), entries=ENTRIES)
    def append_with_id(self, number: int, entries: list[bytes]) -> None:
        batch = bytes([number]) * 16
        if batch not in self.batches:
            self.batches[batch] = (len(self.model), entries)
            self.model += entries
        first, sent = self.batches[batch]
        if entries == sent:
            assert self.log.append_batch(entries, batch, 1_000) == (first, len(sent))
        else:
            with pytest.raises(ConflictError, match=r"\[log\.batch-conflict\]"):
                self.log.append_batch(entries, batch, 1_000)

    @rule()
    def sync(self) -> None:
        self.log.sync()
        assert self.log.stat()["watermark"] == len(self.model)

    @rule(close=st.booleans(), torn=st.binary(max_size=40))
    def reopen(self, close: bool, torn: bytes) -> None:
        """A clean stop, or a copy of the folder as it stands, with a torn end, in the place of a crash."""
        if not close:
            crashed = Path(tempfile.mkdtemp(prefix="civicledger-log-"))
            shutil.copytree(self.folder, crashed, dirs_exist_ok=True)
            with (crashed / "entries.dat").open("ab") as entries, (crashed / "commits.dat").open("ab") as commits:
                entries.write(torn)
                commits.write(torn[:31])
            self.log.close()
            shutil.rmtree(self.folder)
            self.folder = crashed
        else:
            self.log.close()
            assert _native.log_fsck(str(self.folder))["problems"] == []
        self.log = _native.LogEngine.open(str(self.folder))

    @rule(data=st.data())
    def prove(self, data: st.DataObject) -> None:
        if not self.model:
            return
        leaves = [fold.leaf(entry) for entry in self.model]
        size = data.draw(st.integers(1, len(leaves)))
        index = data.draw(st.integers(0, size - 1))
        reader = _native.LogReader.open(str(self.folder), size)
        for log in (self.log, reader):
            assert log.inclusion_proof(index, size) == fold.path(index, leaves[:size])
            assert log.consistency_proof(index + 1, size) == fold.proof(index + 1, leaves[:size])
            assert log.root(size) == fold.root(leaves[:size])
            assert log.leaf(index) == leaves[index]
            count = data.draw(st.integers(0, size - index))
            assert log.read(index, count) == self.model[index : index + count]

    @invariant()
    def equals_the_model(self) -> None:
        assert self.log.size() == len(self.model)
        assert self.log.read(0, len(self.model)) == self.model
        assert self.log.root() == _native.merkle_root([fold.leaf(entry) for entry in self.model])


TestLog = LogMachine.TestCase
TestLog.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)


def test_the_test_log_of_others(vectors: Path, tmp_path: Path) -> None:
    """Every checkpoint of the tessera log: our root from its entries, our proofs between all its sizes."""
    source = vectors / "tessera-testlog" / "testdata" / "log"
    bundle = (source / "tile" / "entries" / "000.p" / "15").read_bytes()
    entries, at = [], 0
    while at < len(bundle):
        length = int.from_bytes(bundle[at : at + 2], "big")
        entries.append(bundle[at + 2 : at + 2 + length])
        at += 2 + length
    log = _native.LogEngine.open(str(tmp_path / "log"))
    log.append_batch(entries)
    roots = []
    for size in range(16):
        text = (source / f"checkpoint.{size}").read_text().splitlines()
        assert int(text[1]) == size
        roots.append(b64decode(text[2]))
        assert log.root(size) == roots[size]
    for size in range(1, 16):
        tile = source / "tile" / "0" / "000.p" / str(size)
        assert log.hash_tile(0, 0, size) == tile.read_bytes()
        for old in range(1, size + 1):
            proof = log.consistency_proof(old, size)
            _native.verify_consistency(old, size, roots[old], roots[size], proof)
        for index in range(size):
            _native.verify_inclusion(log.leaf(index), index, size, roots[size], log.inclusion_proof(index, size))
    assert log.entry_tile(0, 15) == bundle
    log.close()


def test_callers_from_many_threads(tmp_path: Path) -> None:
    log = _native.LogEngine.open(str(tmp_path))
    placed: dict[int, bytes] = {}

    def work(caller: int) -> None:
        for number in range(30):
            entry = f"{caller}/{number}".encode()
            placed[log.append(entry)] = entry

    threads = [Thread(target=work, args=(caller,)) for caller in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log.read(0, 240) == [placed[index] for index in range(240)]
    log.close()


def test_one_writer(tmp_path: Path) -> None:
    log = _native.LogEngine.open(str(tmp_path))
    with pytest.raises(ConflictError, match=r"\[log\.locked\]") as refused:
        _native.LogEngine.open(str(tmp_path))
    assert "one process" in refused.value.hint
    log.close()
    log.close()
    with pytest.raises(UnavailableError, match=r"\[log\.closed\]"):
        log.append(b"late")
    _native.LogEngine.open(str(tmp_path)).close()


def test_batch_ids_last_a_day(tmp_path: Path) -> None:
    log = _native.LogEngine.open(str(tmp_path), now_ms=DAY_MS)
    assert log.append_batch([b"a", b"b"], b"i" * 16, DAY_MS) == (0, 2)
    log.close()
    log = _native.LogEngine.open(str(tmp_path), now_ms=2 * DAY_MS - 1)
    assert log.append_batch([b"a", b"b"], b"i" * 16, 2 * DAY_MS - 1) == (0, 2)
    with pytest.raises(ConflictError) as refused:
        log.append_batch([b"b", b"a"], b"i" * 16, 2 * DAY_MS - 1)
    assert refused.value.code == "log.batch-conflict"
    assert log.append_batch([b"a", b"b"], b"i" * 16, 2 * DAY_MS) == (2, 2)
    log.close()


def test_what_is_broken_is_named(tmp_path: Path) -> None:
    log = _native.LogEngine.open(str(tmp_path))
    for number in range(20):
        log.append_batch([b"%d-%d" % (number, item) for item in range(40)])
    root = log.root()
    log.close()
    assert _native.log_fsck(str(tmp_path)) == {"ok": True, "size": 800, "root": root.hex(), "problems": []}
    data = bytearray((tmp_path / "entries.dat").read_bytes())
    at = data.index(b"3-7") + 2
    data[at] ^= 1
    (tmp_path / "entries.dat").write_bytes(data)
    answer = _native.log_fsck(str(tmp_path))
    assert answer["ok"] is False
    assert answer["problems"][0] == {
        "file": "entries.dat",
        "index": 127,
        "detail": "the entry is not the one that was committed",
    }
    (tmp_path / "entries.dat").write_bytes(data[:500])
    with pytest.raises(FatalError, match=r"\[log\.corrupt\]"):
        _native.LogEngine.open(str(tmp_path))


NUMBERS = st.integers(0, 2**64 - 1) | st.integers(0, 300) | st.integers(2**64 - 300, 2**64 - 1)


@pytest.fixture(scope="module")
def closed_log(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = str(tmp_path_factory.mktemp("log"))
    log = _native.LogEngine.open(folder)
    log.append_batch([b"entry %d" % number for number in range(300)])
    log.close()
    return folder


@given(one=NUMBERS, two=NUMBERS, three=NUMBERS)
def test_no_numbers_break_a_reader(closed_log: str, one: int, two: int, three: int) -> None:
    reader = _native.LogReader.open(closed_log, 300)
    for ask in (
        lambda: reader.root(one),
        lambda: reader.leaf(one),
        lambda: reader.read(one, two),
        lambda: reader.inclusion_proof(one, two),
        lambda: reader.consistency_proof(one, two),
        lambda: reader.hash_tile(one % 10, two, three),
        lambda: reader.entry_tile(one, two),
        lambda: _native.LogReader.open(closed_log, one).root(),
    ):
        with contextlib.suppress(NotFoundError, InvalidInputError, UnavailableError):
            ask()
    assert _native.log_fsck(closed_log, one)["ok"]


def test_readers_and_bounds_refuse(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"\[log\.missing\]"):
        _native.LogReader.open(str(tmp_path), 0)
    with pytest.raises(NotFoundError, match=r"\[log\.missing\]"):
        _native.log_fsck(str(tmp_path))
    log = _native.LogEngine.open(str(tmp_path), pool_bytes=10_000)
    log.append_batch([b"a", b"b", b"c"])
    root = log.root(2)
    reader = _native.LogReader.open(str(tmp_path), 2)
    assert (reader.size(), reader.root()) == (2, root)
    with pytest.raises(UnavailableError, match=r"\[log\.not-yet\]"):
        _native.LogReader.open(str(tmp_path), 4)
    refusals: list[tuple[type[LedgerError], str, object]] = [
        (NotFoundError, "log.range", lambda: reader.root(3)),
        (NotFoundError, "log.range", lambda: reader.leaf(2)),
        (NotFoundError, "log.range", lambda: log.read(2, 2)),
        (NotFoundError, "log.range", lambda: log.inclusion_proof(0, 4)),
        (NotFoundError, "log.tile", lambda: log.hash_tile(0, 0, 4)),
        (NotFoundError, "log.tile", lambda: log.entry_tile(1, 1)),
        (InvalidInputError, "merkle.index", lambda: log.inclusion_proof(2, 2)),
        (InvalidInputError, "log.empty-batch", lambda: log.append_batch([])),
        (InvalidInputError, "log.entry-size", lambda: log.append(b"")),
        (InvalidInputError, "log.entry-size", lambda: log.append(bytes(65_536))),
        (InvalidInputError, "log.batch-size", lambda: log.append(bytes(20_000))),
        (InvalidInputError, "input.length", lambda: log.append_batch([b"a"], b"short", 0)),
        (InvalidInputError, "input.type", lambda: log.append_batch(["text"])),  # type: ignore[list-item]
        (InvalidInputError, "input.range", lambda: log.leaf(-1)),
    ]
    for kind, code, ask in refusals:
        with pytest.raises(kind) as refused:
            ask()  # type: ignore[operator]
        assert refused.value.code == code
    assert log.size() == 3
    log.close()
