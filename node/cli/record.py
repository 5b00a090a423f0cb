"""``civicledger record add``: a department's own audit trail, in bulk."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

import msgspec
import typer
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from ledger.bulk import BulkSchema
from ledger.errors import ConflictError, LedgerError
from ledger.v1 import department_pb2_grpc as rpc
from node.cli.connect import Connection, JsonOption, NodeOption, connect
from node.cli.groups import SAYS
from node.cli.output import err, out, print_json
from node.cli.recordlines import LineBatch, LineReader, Refused
from node.cli.recordstate import ImportState, check_head, head, load, save
from node.cli.recordstream import WINDOW, BatchSender
from node.cli.texts import t
from node.context import system_clock

app = typer.Typer(help=SAYS["record"], no_args_is_help=True)
#: Seconds between two writings of the state.
_SAVE_S = 0.5


class Format(StrEnum):
    """What the lines are."""

    jsonl = "jsonl"


@app.callback()
def group() -> None:
    """Keeps ``add`` a subcommand."""


@app.command(
    help=t(
        "Append records from files or standard input, one JSON object a line; files of any size.\n\n"
        'A line is {"type":…, "body":{…}} and may carry "time"; member and version are filled in. A batch that is sent '
        "twice within 24 hours stands once in the log; lines without a time are known again with --resume only, where "
        "their time is kept.\n\n"
        "Examples: civicledger record add uses.jsonl      zcat *.gz | civicledger record add -\n\n"
        "          civicledger record add year.jsonl --resume year.state --skip-bad year.bad",
        "从文件或标准输入追加记录，每行一个 JSON 对象；文件大小不限。\n\n"
        '每行为 {"type":…, "body":{…}}，可带 "time"；成员与版本自动填写。24 小时内重复发送的批次只记一次；'
        "不带时间的行只有使用 --resume（其中保存了时间）才能识别重复。\n\n"
        "例：civicledger record add uses.jsonl      zcat *.gz | civicledger record add -\n\n"
        "    civicledger record add year.jsonl --resume year.state --skip-bad year.bad",
    )
)
def add(
    files: list[Path] = typer.Argument(..., help=t("files (- is standard input)", "文件（- 为标准输入）")),
    node: Path | None = NodeOption,
    _format: Format = typer.Option(Format.jsonl, "--format", help=t("what the lines are", "行的格式")),
    resume: Path | None = typer.Option(
        None,
        "--resume",
        help=t(
            "keep how far it came in this file, and go on from there when it exists",
            "将进度记入此文件；文件已存在则从中断处继续",
        ),
    ),
    skip_bad: Path | None = typer.Option(
        None,
        "--skip-bad",
        help=t(
            "collect lines that are no records in this file, with the reason, and go on",
            "将不合格的行连同原因记入此文件，并继续",
        ),
    ),
    patience: int = typer.Option(
        60, min=0, max=86_400, help=t("seconds to wait for a busy or absent node", "等待繁忙或不可达节点的秒数")
    ),
    as_json: bool = JsonOption,
) -> None:
    """Without --skip-bad a bad line stops the run and says how far it got."""
    started = time.monotonic()
    state = load(resume, files, system_clock())
    with connect(node) as connection, _Import(connection, state, resume, skip_bad, patience) as run:
        while not state.done:
            run.one(files[state.file])
    seconds = time.monotonic() - started
    if as_json:
        print_json({"first": state.first, "count": state.count, "refused": state.refused, "seconds": round(seconds, 3)})
        return
    first = t("none", "无") if state.first is None else state.first
    out.print(
        t(
            f"{state.count} records in {seconds:.1f} s, from index {first}",
            f"已写入 {state.count} 条，用时 {seconds:.1f} 秒，起始序号 {first}",
        )
    )
    if state.refused:
        err.print(
            t(f"{state.refused} lines refused, see {skip_bad}", f"{state.refused} 行不合格，见 {skip_bad}"),
            markup=False,
        )


class _Import:
    """The files of one command, the bar, the state and the refused lines. Use as a context manager."""

    def __init__(
        self, connection: Connection, state: ImportState, resume: Path | None, skip_bad: Path | None, patience: float
    ) -> None:
        self._append = connection.stub(rpc.RecordServiceStub).AppendStream
        self._schema = BulkSchema(connection.member)
        self._state = state
        self._resume = resume
        self._patience = patience
        self._paused = ""
        # The state is written by the thread that reads as well as by the one that hears the answers.
        self._lock = threading.Lock()
        #: Batches an earlier run may have had under way and nobody has answered to this one.
        self._unsure = WINDOW if state.under_way else 0
        self._bad = None if skip_bad is None else _open_bad(skip_bad, state)
        self._saved = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TextColumn("{task.fields[records]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=err,
        )

    def __enter__(self) -> _Import:
        self._bar.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._bar.stop()
        if self._bad is not None:
            self._bad.close()

    def one(self, path: Path) -> None:
        """Bring the present file in. Raises: LedgerError, with how many records were written."""
        state = self._state
        check_head(state, path)
        with _open(path, state.end) as file:
            size = None if str(path) == "-" else os.fstat(file.fileno()).st_size or None
            task = self._bar.add_task(escape(str(path)), total=size, completed=state.end, records="")
            reader = LineReader(
                file,
                str(path),
                self._schema,
                state.time_ms,
                skip_bad=self._bad is not None,
                at=state.end,
                lines=state.lines,
                cuts=tuple(state.cuts),
            )
            sender = BatchSender(
                self._append,
                self._told(path, reader.batches()),
                self._settled(path, task),
                patience=self._patience,
                on_pause=self._pause,
            )
            try:
                sender.run()
            except LedgerError as error:
                written = t(f"{state.count} records before it were written", f"此前已写入 {state.count} 条")
                raise type(error)(
                    error.code,
                    f"{error.message} ({written})",
                    hint=error.hint,
                    expected=error.expected,
                    actual=error.actual,
                ) from None
            finally:
                with self._lock:
                    self._save(path, under_way=sender.under_way > 0 or self._unsure > 0)
        with self._lock:
            state.file, state.end, state.lines, state.cuts, self._unsure = state.file + 1, 0, 0, [], 0
            self._save(path, under_way=False)

    def _told(self, path: Path, batches: Iterator[LineBatch]) -> Iterator[LineBatch]:
        """The batches, each after the state says what the next run must know when this one dies now."""
        first = True
        for batch in batches:
            with self._lock:
                if batch.last and batch.end not in self._state.cuts:
                    self._state.cuts.append(batch.end)
                if first or batch.last:
                    self._save(path, under_way=True)
            first = False
            yield batch

    def _pause(self, error: LedgerError) -> None:
        if error.code != self._paused:
            err.print(t(f"waiting: {error.message}", f"等待：{error.message}"), markup=False)
        self._paused = error.code

    def _settled(self, path: Path, task: TaskID) -> Callable[[LineBatch, int | None], None]:
        state = self._state

        def settled(batch: LineBatch, first: int | None) -> None:
            self._paused = ""
            for refused in batch.refused:
                self._keep(path, refused)
            if first is not None:
                state.first = first if state.first is None else state.first
                state.count += len(batch.records)
            state.end, state.lines = batch.end, batch.lines
            state.cuts = [cut for cut in state.cuts if cut > batch.end]
            self._unsure -= 1
            self._bar.update(task, completed=batch.end, records=t(f"{state.count:,} records", f"{state.count:,} 条"))
            if time.monotonic() - self._saved > _SAVE_S:
                self._save(path, under_way=True)

        def locked(batch: LineBatch, first: int | None) -> None:
            with self._lock:
                settled(batch, first)

        return locked

    def _keep(self, path: Path, refused: Refused) -> None:
        self._state.refused += 1
        if self._bad is None:
            return
        row = {
            "at": f"{path}:{refused.line}",
            "code": refused.error.code,
            "message": refused.error.message,
            "line": refused.text.decode("utf-8", "backslashreplace"),
        }
        self._bad.write(msgspec.json.encode(row) + b"\n")

    def _save(self, path: Path, *, under_way: bool) -> None:
        self._saved = time.monotonic()
        if self._resume is not None and str(path) != "-":
            self._state.head = head(path, self._state.end)
        if self._bad is not None:
            self._bad.flush()
            self._state.bad = self._bad.tell()
        if self._unsure <= 0:  # else the day in which the node knows those batches again began with the earlier run
            self._state.seen_ms = system_clock()
        self._state.under_way = under_way
        save(self._resume, self._state)


def _open_bad(path: Path, state: ImportState) -> BinaryIO:
    """The file of refused lines, as long as it was when the state was written."""
    if state.bad == 0 and path.exists() and path.stat().st_size:
        raise ConflictError(
            "record.bad-exists",
            t(f"{path} holds lines of an earlier run", f"{path} 已有先前运行的内容"),
            hint=t("move it away, or name another file", "请移走它，或换一个文件名"),
        )
    file = path.open("r+b" if path.exists() else "w+b")
    file.truncate(state.bad)
    file.seek(state.bad)
    return file


def _open(path: Path, at: int) -> BinaryIO:
    if str(path) != "-":
        file = path.open("rb")
        file.seek(at)
        return file
    stream = os.fdopen(os.dup(sys.stdin.fileno()), "rb")
    while at > 0 and (skipped := stream.read(min(at, 1 << 20))):
        at -= len(skipped)
    return stream
