"""Files of lines: the same batches from wherever one starts, bad lines named; batches sent again until answered."""

from __future__ import annotations

import io
import json
import random
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from ledger.bulk import BulkSchema
from ledger.codec import decode_record
from ledger.errors import InvalidInputError, NotAllowedError, UnavailableError
from node.cli import recordlines
from node.cli.recordlines import LineBatch, LineReader
from node.cli.recordstream import WINDOW, BatchSender
from node.rpc.errors import CODE_KEY

MEMBER = "11100000000013338W"
SCHEMA = BulkSchema(MEMBER)
NOW = 1_790_000_000_000


def line(number: int, **more: Any) -> bytes:
    body = {"basis": f"b-{number}", "commitment": f"{number:064x}"}
    return json.dumps({"type": "erasure.done", "body": body, **more}).encode()


def read(data: bytes, at: int = 0, lines: int = 0, *, skip_bad: bool = True) -> Iterator[LineBatch]:
    reader = LineReader(io.BytesIO(data[at:]), "f", SCHEMA, NOW, skip_bad=skip_bad, at=at, lines=lines)
    return reader.batches()


def test_a_file_gives_the_same_batches_from_the_end_of_any_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordlines, "BATCH_BYTES", 700)
    monkeypatch.setattr(recordlines, "_CHUNK", 97)
    choose = random.Random(4)
    kinds = [line(1), b"", b"{bad", b" " * 30, b"x" * 650, b"y" * 1_500, b'{"type":1}', "{\u00e9".encode()]
    rows = [line(number) if choose.random() < 0.7 else choose.choice(kinds) for number in range(200)]
    for end in (b"", b"\n"):
        data = b"\n".join(rows) + end
        whole = list(read(data))
        assert whole[-1].end == len(data)
        assert whole[-1].lines == len(rows)
        for batch, rest in list(zip(whole, range(1, len(whole) + 1), strict=True))[:: 1 + len(whole) // 12]:
            assert list(map(_plain, read(data, batch.end, batch.lines))) == list(map(_plain, whole[rest:]))
        assert len({batch.id for batch in whole if batch.records}) == sum(1 for batch in whole if batch.records)
        good = [row for row in rows if row.startswith(b'{"type": "erasure')]
        assert [decode_record(r).body for b in whole for r in b.records] == [json.loads(row)["body"] for row in good]
        bad = {number for number, row in enumerate(rows, start=1) if row.strip() and row not in good}
        assert {refused.line for batch in whole for refused in batch.refused} == bad


def test_batches_end_where_an_earlier_run_saw_the_file_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordlines, "BATCH_BYTES", 700)
    monkeypatch.setattr(recordlines, "_CHUNK", 97)
    choose = random.Random(5)
    rows = [line(number) if choose.random() < 0.9 else b"y" * 900 for number in range(40)]
    data = b"".join(row + b"\n" for row in rows)
    for end in (*range(0, len(data), 173), len(data)):
        before = list(read(data[:end]))
        assert all(batch.end == end for batch in before if batch.last)
        grown = LineReader(io.BytesIO(data), "f", SCHEMA, NOW, skip_bad=True, cuts=[end])
        found = [_plain(batch) for batch, _ in zip(grown.batches(), before, strict=False)]
        assert found == list(map(_plain, before))
    cuts = [1_000, 1_001, 2_500]
    ends = [batch.end for batch in LineReader(io.BytesIO(data), "f", SCHEMA, NOW, skip_bad=True, cuts=cuts).batches()]
    assert {*cuts, len(data)} <= set(ends)


def _plain(batch: LineBatch) -> tuple[Any, ...]:
    return batch.id, batch.records, batch.end, batch.lines, [(r.line, r.text, r.error.code) for r in batch.refused]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"{", "input.json"), (b"[]", "input.record"), (b'{"type":"erasure.done"}', "input.record"),
        (line(1, extra=1), "input.record"), (line(1, v=2), "input.record"), (line(1, v=True), "input.record"),
        (line(1, member="11430000006122244L"), "input.record"), (line(1, time=5), "input.record"),
        (line(1, time="2026-02-30T00:00:00.000Z"), "time.format"),
        (line(1).replace(b'"b-1"', b'"b 1"'), "record.body"), (line(1).replace(b'"b-1"', b"1.5"), "record.body"),
        (b'{"type":"access.invented","body":{}}', "record.type"),
        (b'{"type":"dataset.withdrawn","body":{"dataset":"' + b"0" * 64 + b'"}}', "record.type-reserved"),
        (b'{"type":"erasure.done","type":"erasure.done","body":{}}', "json.duplicate-key"),
        (b"[" * 5_000, "input.json"), (b"\xff", "input.json"), (b"x" * (recordlines.MAX_LINE + 1), "input.line"),
    ],
)  # fmt: skip
def test_a_bad_line_is_named_with_its_file_and_number(text: bytes, code: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        list(read(line(0) + b"\n\n" + text + b"\n" + line(2), skip_bad=False))
    assert caught.value.code == code
    assert "f:3" in caught.value.message
    kept = list(read(line(0) + b"\n\n" + text + b"\n" + line(2)))
    assert [refused.line for batch in kept for refused in batch.refused] == [3]
    assert sum(len(batch.records) for batch in kept) == 2


def test_what_only_the_library_takes_is_taken() -> None:
    """A byte order mark, an escape nobody needs, numbers in other spellings: Python's JSON reads them."""
    [batch] = read(b"\xef\xbb\xbf" + line(7) + b"\n" + line(8).replace(b'"v', b'"v').replace(b"b-8", b"b\\u002d8"))
    assert [decode_record(record).body["basis"] for record in batch.records] == ["b-7", "b-8"]


class _Broken(grpc.RpcError, grpc.Call):
    """What a failed call raises."""

    def __init__(self, status: grpc.StatusCode, code: str) -> None:
        self._status, self._code = status, code

    def code(self) -> grpc.StatusCode:
        return self._status

    def details(self) -> str:
        return "broken"

    def trailing_metadata(self) -> tuple[tuple[str, str], ...]:
        return ((CODE_KEY, self._code),) if self._code else ()

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


_Broken.__abstractmethods__ = frozenset()


class _Answer:
    def __init__(self, first: int) -> None:
        self.first = first


class _Node:
    """A log behind a stream that breaks: after ``breaks[0]`` requests of the first attempt, and so on."""

    def __init__(self, breaks: list[tuple[int, bool, Exception]]) -> None:
        self.breaks = breaks
        self.log: list[bytes] = []
        self.known: dict[bytes, int] = {}
        self.pulled: list[int] = []

    def append_stream(self, requests: Iterator[Any], timeout: float) -> Iterator[_Answer]:
        assert timeout > 0
        until, keeps, error = self.breaks.pop(0) if self.breaks else (-1, False, ValueError())
        for number, request in enumerate(requests):
            if number == until and not keeps:
                raise error
            if request.batch not in self.known:
                self.known[request.batch] = len(self.log)
                self.log += request.records
            if number == until:
                # It is in the log, and its answer is lost.
                raise error
            yield _Answer(self.known[request.batch])


def batches(count: int) -> Iterator[LineBatch]:
    for number in range(count):
        records = () if number % 3 == 1 else (b"%d" % number,)
        yield LineBatch(records=records, refused=(), end=number + 1, lines=number + 1, id=b"%016d" % number)


def send(node: _Node, source: Iterator[LineBatch], settled: list[tuple[int, int | None]], patience: float = 60) -> None:
    sender = BatchSender(
        node.append_stream,
        source,
        lambda batch, first: settled.append((batch.end, first)),
        patience=patience,
        on_pause=lambda _error: None,
    )
    sender.run()


def test_every_batch_stands_once_and_in_order_whatever_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.cli.recordstream._FIRST_PAUSE_S", 0.001)
    saturated = _Broken(grpc.StatusCode.UNAVAILABLE, "log.saturated")
    lost = _Broken(grpc.StatusCode.UNAVAILABLE, "")
    node = _Node([(2, False, saturated), (0, True, lost), (3, True, lost), (0, False, saturated), (1, True, saturated)])
    settled: list[tuple[int, int | None]] = []
    send(node, batches(50), settled)
    assert node.log == [b"%d" % number for number in range(50) if number % 3 != 1]
    assert [end for end, _ in settled] == list(range(1, 51))
    for end, first in settled:
        assert (first is None) == ((end - 1) % 3 == 1)
        assert first is None or node.log[first] == b"%d" % (end - 1)


def test_a_refusal_is_no_reason_to_try_again() -> None:
    node = _Node([(1, False, _Broken(grpc.StatusCode.PERMISSION_DENIED, "auth.not-own"))])
    settled: list[tuple[int, int | None]] = []
    with pytest.raises(NotAllowedError):
        send(node, batches(9), settled)
    assert [end for end, _ in settled] == [1, 2]


def test_a_node_that_stays_away_is_given_up() -> None:
    away = [(0, False, _Broken(grpc.StatusCode.UNAVAILABLE, "log.saturated"))]
    with pytest.raises(UnavailableError) as caught:
        send(_Node(away), batches(9), [], patience=0)
    assert caught.value.code == "log.saturated"
    with pytest.raises(UnavailableError):
        # Never reached: no reason to wait.
        send(_Node([(0, False, _Broken(grpc.StatusCode.UNAVAILABLE, ""))]), batches(9), [])


def test_a_failure_of_reading_comes_after_the_answers_of_what_was_read() -> None:
    """gRPC reads the requests in a thread of its own: an error it does not know would come out as a failed node."""
    for error in (InvalidInputError("input.json", "f:9: bad"), OSError(5, "Input/output error")):

        def source(error: Exception = error) -> Iterator[LineBatch]:
            yield from batches(6)
            raise error

        node, settled = _Node([]), list[tuple[int, int | None]]()
        with pytest.raises(type(error)) as caught:
            send(node, source(), settled)
        assert caught.value is error
        assert len(settled) == 6


def test_reading_waits_for_a_slow_node() -> None:
    taken, most = 0, 0
    lock = threading.Lock()

    def source() -> Iterator[LineBatch]:
        nonlocal taken
        for batch in batches(60):
            with lock:
                taken += 1
            yield batch

    class Threaded(_Node):
        """Takes requests as gRPC does: ahead, in a thread of its own."""

        def append_stream(self, requests: Iterator[Any], timeout: float) -> Iterator[_Answer]:
            ahead: list[Any] = []
            more, ended = threading.Condition(), False

            def pull() -> None:
                nonlocal ended
                for request in requests:
                    with more:
                        ahead.append(request)
                        more.notify()
                with more:
                    ended = True
                    more.notify()

            thread = threading.Thread(target=pull)
            thread.start()
            number = 0
            while True:
                with more:
                    assert more.wait_for(lambda number=number: len(ahead) > number or ended, timeout=180)
                    if len(ahead) == number:
                        break
                yield _Answer(number)
                number += 1
            thread.join()

    settled: list[tuple[int, int | None]] = []

    def keep(batch: LineBatch, first: int | None) -> None:
        nonlocal most
        most = max(most, taken - len(settled))
        settled.append((batch.end, first))

    node = Threaded([])
    BatchSender(node.append_stream, source(), keep, patience=60, on_pause=lambda _error: None).run()
    assert [end for end, _ in settled] == list(range(1, 61))
    assert most <= WINDOW + 1
