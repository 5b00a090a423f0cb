"""``civicledger record add`` against a real node: files in, resumed, repeated; a node that is slow or full."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from services_city import USCC, City, eventually, refused

from ledger.bulk import BulkSchema
from ledger.codec import encode_record
from ledger.errors import ConflictError, InvalidInputError, UnavailableError
from ledger.log import DepartmentLog
from ledger.model import Record
from ledger.v1 import department_pb2 as pb
from ledger.v1.department_pb2_grpc import RecordServiceStub
from node.cli.record import Format, add
from node.cli.recordstate import KNOWN_MS, ImportState
from node.cli.recordstream import BatchSender
from node.context import system_clock
from node.services.appends import UNDER_WAY

TIME = "2026-11-22T08:00:00.%03dZ"
Added = dict[str, Any]


def line(tag: str, number: int, *, timed: bool = True) -> str:
    body = {"basis": f"{tag}-{number}", "commitment": f"{number:064x}"}
    return json.dumps({"type": "erasure.done", "body": body} | ({"time": TIME % (number % 1000)} if timed else {}))


def bases(city: City, tag: str) -> list[str]:
    """What is in the log of the tag's records, in order."""
    log = city.context("plain").log
    found = [json.loads(entry)["body"].get("basis", "") for entry in log.read(0, log.size)]
    return [basis for basis in found if basis.startswith(f"{tag}-")]


@pytest.fixture
def run(city: City, capsys: pytest.CaptureFixture[str]) -> Callable[..., Added]:
    """The command, in this process; its JSON."""

    def do(*files: Path, resume: Path | None = None, skip_bad: Path | None = None, patience: int = 60) -> Added:
        add(
            files=list(files),
            node=city.foundings["plain"].folder,
            _format=Format.jsonl,
            resume=resume,
            skip_bad=skip_bad,
            patience=patience,
            as_json=True,
        )
        text = capsys.readouterr().out
        # The nodes of this process write their own lines there, too.
        printed: Added = json.loads(text[text.index("{\n") :].partition("\n}")[0] + "}")
        return printed

    return do


def test_a_file_is_added_once_however_often_it_is_sent(city: City, run: Callable[..., Added], tmp_path: Path) -> None:
    file = tmp_path / "uses.jsonl"
    file.write_text("\n".join(line("once", number) for number in range(2_500)))
    first = run(file)
    assert (first["count"], first["refused"]) == (2_500, 0)
    assert bases(city, "once") == [f"once-{number}" for number in range(2_500)]
    assert run(file)["first"] == first["first"]
    assert len(bases(city, "once")) == 2_500


def test_bad_lines_stop_the_run_or_are_collected(city: City, run: Callable[..., Added], tmp_path: Path) -> None:
    file, bad, state = tmp_path / "uses.jsonl", tmp_path / "bad.jsonl", tmp_path / "state"
    lines = [line("bad", number) for number in range(1_500)]
    lines[1_200] = '{"type":"erasure.done","body":{"basis":"free text","commitment":"x"}}'
    file.write_text("\n".join(lines))
    with pytest.raises(InvalidInputError) as caught:
        run(file, resume=state)
    assert caught.value.code == "record.body"
    assert f"{file}:1201: " in caught.value.message
    assert "1000 records" in caught.value.message
    assert len(bases(city, "bad")) == 1_000
    done = run(file, resume=state, skip_bad=bad)
    assert (done["count"], done["refused"]) == (1_499, 1)
    [row] = [json.loads(text) for text in bad.read_text().splitlines()]
    assert (row["at"], row["code"], row["line"]) == (f"{file}:1201", "record.body", lines[1_200])
    assert bases(city, "bad") == [f"bad-{number}" for number in range(1_500) if number != 1_200]
    assert run(file, resume=state, skip_bad=bad)["count"] == 1_499
    with pytest.raises(ConflictError) as again:
        run(file, skip_bad=bad)
    assert again.value.code == "record.bad-exists"


def test_an_import_cut_off_goes_on_without_doubles(
    city: City, run: Callable[..., Added], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines without a time: only the state makes the second run's records those of the first."""
    file, state = tmp_path / "uses.jsonl", tmp_path / "state"
    file.write_text("\n".join(line("cut", number, timed=False) for number in range(12_345)))
    stopped = threading.Event()
    calls = 0

    def settle_some(self: Any, first: int | None) -> None:
        nonlocal calls
        calls += 1
        if calls > 3:
            stopped.set()
            raise KeyboardInterrupt
        original(self, first)

    original = BatchSender._settle
    monkeypatch.setattr(BatchSender, "_settle", settle_some)
    with pytest.raises(KeyboardInterrupt):
        run(file, resume=state)
    assert stopped.is_set()
    kept = json.loads(state.read_bytes())
    assert (kept["count"], kept["lines"], kept["under_way"]) == (3_000, 3_000, True)
    monkeypatch.setattr(BatchSender, "_settle", original)
    assert run(file, resume=state)["count"] == 12_345
    assert bases(city, "cut") == [f"cut-{number}" for number in range(12_345)]
    assert json.loads(state.read_bytes())["file"] == 1


def test_lines_added_while_the_last_batch_was_under_way_double_nothing(
    city: City, run: Callable[..., Added], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, state = tmp_path / "uses.jsonl", tmp_path / "state"
    file.write_text("".join(line("grown", number, timed=False) + "\n" for number in range(1_500)))
    original = BatchSender._settle

    def die_at_the_last(self: BatchSender, first: int | None) -> None:
        kept = json.loads(state.read_bytes())  # said before any batch was sent
        assert kept["under_way"]
        if self._answered == 1:
            raise KeyboardInterrupt
        original(self, first)

    monkeypatch.setattr(BatchSender, "_settle", die_at_the_last)
    with pytest.raises(KeyboardInterrupt):
        run(file, resume=state)
    assert bases(city, "grown") == [f"grown-{number}" for number in range(1_500)]
    kept = json.loads(state.read_bytes())
    assert (kept["lines"], kept["cuts"], kept["under_way"]) == (1_000, [file.stat().st_size], True)
    with file.open("a") as more:
        more.writelines(line("grown", number, timed=False) + "\n" for number in range(1_500, 2_700))
    monkeypatch.setattr(BatchSender, "_settle", original)
    assert run(file, resume=state)["count"] == 2_700
    assert bases(city, "grown") == [f"grown-{number}" for number in range(2_700)]
    assert json.loads(state.read_bytes())["cuts"] == []


def test_a_run_that_reached_no_node_leaves_the_day_of_the_one_before(
    city: City, run: Callable[..., Added], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, state = tmp_path / "uses.jsonl", tmp_path / "state"
    file.write_text(line("day", 1))
    seen = system_clock() - 60_000
    state.write_text(json.dumps({"files": [str(file)], "time_ms": seen, "seen_ms": seen, "under_way": True}))

    def absent(_sender: BatchSender) -> None:
        raise UnavailableError("peer.unreachable", "no node", hint="start it")

    with monkeypatch.context() as patch:
        patch.setattr(BatchSender, "run", absent)
        with pytest.raises(UnavailableError):
            run(file, resume=state)
    kept = json.loads(state.read_bytes())
    assert (kept["seen_ms"], kept["under_way"]) == (seen, True)


def test_a_state_is_of_one_import_one_file_and_one_day(run: Callable[..., Added], tmp_path: Path) -> None:
    file, state = tmp_path / "uses.jsonl", tmp_path / "state"
    file.write_text(line("state", 1))

    def code(**changes: Any) -> str:
        made = {"files": [str(file)], "time_ms": 1, "seen_ms": 1} | changes
        state.write_text(json.dumps(made))
        with pytest.raises((ConflictError, InvalidInputError)) as caught:
            run(file, resume=state)
        return caught.value.code

    assert code(files=["other"]) == "record.resume-other"
    assert code(under_way=True) == "record.resume-late"
    assert code(end=10, head="00") == "record.resume-changed"
    assert code(end=10_000, head="00") == "record.resume-changed"
    assert code(cuts=[10_000]) == "record.resume-changed"
    assert code(count="x") == "record.resume-file"
    assert ImportState(files=[], time_ms=0, seen_ms=0).done
    assert KNOWN_MS == 86_400_000


def _used(number: int) -> bytes:
    body = {"basis": f"slow-{number}", "commitment": f"{number:064x}"}
    return encode_record(Record(type="erasure.done", member=USCC["plain"], time_ms=number, body=body))


class _Slow:
    """A log whose disk answers when it is told to; counts what is begun and not answered."""

    def __init__(self, log: DepartmentLog) -> None:
        self.log, self.go, self.lock = log, threading.Semaphore(0), threading.Lock()
        self.begun = self.answered = self.most = 0

    def begin(self, log: DepartmentLog, records: Any, batch: bytes | None, schema: BulkSchema | None) -> Any:
        if log is not self.log:
            return _BEGIN(log, records, batch, schema)
        with self.lock:
            self.begun += 1
            self.most = max(self.most, self.begun - self.answered)
            first = self.begun - 1
        return _SlowAnswer(self, first, len(records))


class _SlowAnswer:
    def __init__(self, slow: _Slow, first: int, count: int) -> None:
        self._slow, self._range = slow, (first, count)

    def result(self) -> tuple[int, int]:
        assert self._slow.go.acquire(timeout=180)
        with self._slow.lock:
            self._slow.answered += 1
        return self._range


_BEGIN = DepartmentLog.begin


def test_a_slow_log_takes_a_few_requests_and_no_more(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = _Slow(city.context("plain").log)
    monkeypatch.setattr(
        DepartmentLog, "begin", lambda self, records, batch=None, schema=None: slow.begin(self, records, batch, schema)
    )
    requests = (pb.AppendRequest(records=[_used(number)], batch=os.urandom(16)) for number in range(40))
    answers = city.stub(RecordServiceStub, "plain").AppendStream(requests, timeout=300)
    eventually(lambda: slow.begun == UNDER_WAY, "the stream fills its window")
    for number in range(40):
        slow.go.release()
        assert next(answers).first == number
    assert list(answers) == []
    # The one answered leaves its place a moment after the log has answered it.
    assert slow.most <= UNDER_WAY


def test_a_full_log_is_said_with_a_code_and_waited_for_by_the_command(
    city: City, run: Callable[..., Added], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = city.context("plain").log
    full = threading.Semaphore(0)

    def begin(self: DepartmentLog, records: Any, batch: bytes | None = None, schema: BulkSchema | None = None) -> Any:
        if self is log and full.acquire(blocking=False):
            raise UnavailableError("log.saturated", "the log is saturated", hint="wait, then try again")
        return _BEGIN(self, records, batch, schema)

    monkeypatch.setattr(DepartmentLog, "begin", begin)
    stub = city.stub(RecordServiceStub, "plain")
    full.release()
    error = refused(lambda: stub.Append(pb.AppendRequest(records=[_used(1)])))
    assert (error.code, error.hint) == ("log.saturated", "wait, then try again")
    assert isinstance(error, UnavailableError)
    full.release(2)
    error = refused(lambda: list(stub.AppendStream(iter([pb.AppendRequest(records=[_used(1)])]), timeout=180)))
    assert error.code == "log.saturated"
    while full.acquire(blocking=False):
        pass
    file = tmp_path / "uses.jsonl"
    file.write_text("\n".join(line("full", number) for number in range(3_000)))
    full.release(3)
    assert run(file)["count"] == 3_000
    assert bases(city, "full") == [f"full-{number}" for number in range(3_000)]


def test_after_a_refusal_nothing_more_of_the_stream_is_begun(city: City) -> None:
    log = city.context("plain").log
    size = log.size

    def requests() -> Iterator[pb.AppendRequest]:
        yield pb.AppendRequest(records=[_used(1)])
        yield pb.AppendRequest(records=[b"{}"])
        for number in range(50):
            yield pb.AppendRequest(records=[_used(number)])

    answers = city.stub(RecordServiceStub, "plain").AppendStream(requests(), timeout=180)
    assert next(answers).count == 1
    assert refused(lambda: next(answers)).code == "record.fields"
    assert log.size == size + 1
