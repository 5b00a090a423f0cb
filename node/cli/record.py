"""``civicledger record add``: a department's own audit trail, in bulk."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import grpc
import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ledger.codec import encode_record
from ledger.errors import InvalidInputError, LedgerError
from ledger.model import Record, format_time, parse_time
from ledger.v1 import department_pb2 as pb
from ledger.v1 import department_pb2_grpc as rpc
from node.cli.connect import JsonOption, NodeOption, connect
from node.cli.inputs import parse_json
from node.cli.output import err, out, print_json
from node.cli.texts import t

app = typer.Typer(help=t("Records of the own audit trail (审计记录).", "本部门审计记录。"), no_args_is_help=True)
BATCH = 1_000
MAX_LINE = 1 << 17


@app.callback()
def group() -> None:
    """Keeps ``add`` a subcommand."""


@app.command(
    help=t(
        "Append records from files or standard input, one JSON object a line.\n\n"
        'A line is {"type":…, "body":{…}} and may carry "time"; member and version are filled in.\n\n'
        "Example: civicledger record add uses.jsonl      zcat *.gz | civicledger record add -",
        "从文件或标准输入追加记录，每行一个 JSON 对象。\n\n"
        '每行为 {"type":…, "body":{…}}，可带 "time"；成员与版本自动填写。\n\n'
        "例：civicledger record add uses.jsonl      zcat *.gz | civicledger record add -",
    )
)
def add(
    files: list[Path] = typer.Argument(..., help=t("files (- is standard input)", "文件（- 为标准输入）")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Lines are checked as they are read; a bad line stops the run and says how far it got."""
    started = time.monotonic()
    first: int | None = None
    count = 0
    with connect(node) as connection:
        stub = connection.stub(rpc.RecordServiceStub)
        bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=err
        )
        with bar:
            for path in files:
                total = _count(path)
                task = bar.add_task(escape(str(path)), total=total)
                with _open(path) as file:
                    requests = _Kept(_batches(_records(file, str(path), connection.member)))
                    try:
                        for answer in stub.AppendStream(requests, timeout=3_600):
                            first = answer.first if first is None else first
                            count += answer.count
                            bar.advance(task, answer.count)
                    except grpc.RpcError:
                        # gRPC reads the requests in a thread of its own and only says that this failed.
                        if requests.failure is not None:
                            raise _with_progress(requests.failure, count) from None
                        raise
    seconds = time.monotonic() - started
    if as_json:
        print_json({"first": first, "count": count, "seconds": round(seconds, 3)})
    else:
        out.print(
            t(
                f"{count} records in {seconds:.1f} s, from index {first}",
                f"已写入 {count} 条，用时 {seconds:.1f} 秒，起始序号 {first}",
            )
        )


class _Kept:
    """An iterator that keeps the error that ended it."""

    def __init__(self, requests: Iterator[pb.AppendRequest]) -> None:
        self._requests = requests
        self.failure: Exception | None = None

    def __iter__(self) -> _Kept:
        return self

    def __next__(self) -> pb.AppendRequest:
        try:
            return next(self._requests)
        except StopIteration:
            raise
        except Exception as error:
            # An OSError of the file as well: gRPC would only say that reading the requests failed.
            self.failure = error
            raise


def _with_progress(error: Exception, count: int) -> Exception:
    if not isinstance(error, LedgerError):
        return error
    done = t(f"{count} records before it were written", f"此前已写入 {count} 条")
    return type(error)(error.code, f"{error.message} ({done})", hint=error.hint)


def _count(path: Path) -> int | None:
    if str(path) == "-":
        return None
    with path.open("rb") as file:
        return sum(1 for line in file if line.strip())


def _open(path: Path) -> BinaryIO:
    return os.fdopen(os.dup(sys.stdin.fileno()), "rb") if str(path) == "-" else path.open("rb")


def _records(file: BinaryIO, name: str, member: str) -> Iterator[bytes]:
    number = 0
    while line := file.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            raise InvalidInputError("input.line", f"{name}:{number}: a line is over {MAX_LINE} bytes")
        if line.strip():
            value = parse_json(line, f"{name}:{number}")
            try:
                yield encode_record(_record(value, member))
            except LedgerError as error:
                raise InvalidInputError(error.code, f"{name}:{number}: {error.message}", hint=error.hint) from None


def _record(value: Any, member: str) -> Record:
    if not isinstance(value, dict) or not isinstance(value.get("type"), str) or not isinstance(value.get("body"), dict):
        raise InvalidInputError(
            "input.record",
            'a line needs "type" and "body"',
            hint='{"type":"access.used","body":{…}}; docs/audit-events.md',
        )
    unknown = set(value) - {"type", "body", "time", "member", "v"}
    if unknown:
        raise InvalidInputError("input.record", f"unknown field {sorted(unknown)[0]!r}", hint="docs/formats.md, record")
    if value.get("member", member) != member:
        raise InvalidInputError(
            "input.record", "the record is another member's", expected=member, actual=value["member"]
        )
    stamp = value.get("time", format_time(time.time_ns() // 1_000_000))
    if not isinstance(stamp, str):
        raise InvalidInputError("input.record", "a time is text", hint='"time":"2026-11-22T08:00:00.000Z"')
    return Record(type=value["type"], member=member, time_ms=parse_time(stamp), body=value["body"])


def _batches(records: Iterator[bytes]) -> Iterator[pb.AppendRequest]:
    batch: list[bytes] = []
    size = 0
    for record in records:
        if len(batch) == BATCH or size + len(record) > (3 << 20):
            yield pb.AppendRequest(records=batch, batch=os.urandom(16))
            batch, size = [], 0
        batch.append(record)
        size += len(record)
    if batch:
        yield pb.AppendRequest(records=batch, batch=os.urandom(16))
