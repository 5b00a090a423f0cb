"""``civicledger record keep-openings | erase-openings``: about whom records are, kept beside the log and erased."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import typer
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from ledger.errors import InvalidInputError
from ledger.v1 import department_pb2 as pb
from ledger.v1 import department_pb2_grpc as rpc
from node.cli.connect import CALL_TIMEOUT, JsonOption, NodeOption, connect, hex32
from node.cli.inputs import parse_json
from node.cli.output import err, out, print_json
from node.cli.texts import t

_BATCH = 500
_MAX_LINE = 1 << 12
_KEEP_HELP = t(
    "Keep about whom records are, so that record list --subject finds them.\n\n"
    'A line is {"index":…, "salt":"64 hex digits", "subject":"pseudonym"}: what the record\'s field "commitment" '
    'was made of, with the type line "access.used/subject" (docs/formats.md). It never enters the log.\n\n'
    "Example: civicledger record keep-openings openings.jsonl",
    "保存记录所涉数据主体，以便 record list --subject 查找。\n\n"
    '每行为 {"index":…, "salt":"64 位十六进制", "subject":"假名"}：即记录中 "commitment" 字段的承诺内容，'
    '类型行为 "access.used/subject"（见 docs/formats.md）。这些内容不会写入日志。\n\n'
    "例：civicledger record keep-openings openings.jsonl",
)
_ERASE_HELP = t(
    "Delete openings for good and record an erasure.done for each commitment.\n\n"
    "Example: civicledger record erase-openings --basis PIPL/47 753713eb…",
    "永久删除打开信息，并为每个承诺写入 erasure.done 记录。\n\n"
    "例：civicledger record erase-openings --basis PIPL/47 753713eb…",
)


def register(app: typer.Typer) -> None:
    """Add the commands to the group."""
    app.command("keep-openings", help=_KEEP_HELP)(keep)
    app.command("erase-openings", help=_ERASE_HELP)(erase)


def keep(
    files: list[Path] = typer.Argument(..., help=t("files of lines", "按行的文件")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Every opening is checked against its record; a repeat keeps nothing twice."""
    kept = lines = 0
    with connect(node) as connection:
        stub = connection.stub(rpc.RecordServiceStub)
        bar = Progress(
            TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn(), console=err
        )
        with bar:
            for path in files:
                task = bar.add_task(escape(str(path)), total=path.stat().st_size)
                first = 1
                for openings, last, at in requests_of(path):
                    try:
                        answer = stub.KeepOpenings(pb.KeepOpeningsRequest(openings=openings), timeout=CALL_TIMEOUT)
                    except grpc.RpcError:
                        where = f"{path}:{first}-{last}"
                        err.print(t(f"{where}: none of these lines was kept", f"{where}：这些行均未保存"), markup=False)
                        raise
                    first = last + 1
                    kept += answer.count
                    lines += len(openings)
                    bar.update(task, completed=at)
    if as_json:
        print_json({"openings": lines, "new": kept})
    else:
        out.print(t(f"{lines} openings, {kept} of them new", f"共 {lines} 条打开信息，其中新增 {kept} 条"))


def erase(
    commitments: list[str] = typer.Argument(..., help=t("commitments, 64 hex digits each", "承诺值，各 64 位十六进制")),
    basis: str = typer.Option(..., help=t("code of the legal basis", "法律依据代码")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """The records stay; nobody can tell any more about whom they are."""
    names = [hex32(text, "commitment") for text in commitments]
    with connect(node) as connection:
        answer = connection.stub(rpc.RecordServiceStub).EraseOpenings(
            pb.EraseOpeningsRequest(commitments=names, basis=basis), timeout=CALL_TIMEOUT
        )
    if as_json:
        print_json({"erased": answer.count, "first": answer.first, "records": len(names)})
        return
    out.print(
        t(
            f"{answer.count} openings erased; recorded from index {answer.first}",
            f"已删除 {answer.count} 条打开信息；记录起始序号 {answer.first}",
        )
    )


def requests_of(path: Path) -> Iterator[tuple[list[Any], int, int]]:
    """(openings, line of the last, bytes read so far), request by request.

    Raises: InvalidInputError(input.*) naming file and line.
    """
    held: list[Any] = []
    number = 0
    with path.open("rb") as file:
        while line := file.readline(_MAX_LINE + 1):
            number += 1
            if len(line) > _MAX_LINE:
                raise InvalidInputError(
                    "input.line",
                    t(
                        f"{path}:{number}: a line is over {_MAX_LINE} bytes",
                        f"{path}:{number}：一行超过 {_MAX_LINE} 字节",
                    ),
                    hint=t("one opening a line", "每行一条打开信息"),
                )
            if line.strip():
                held.append(_opening(parse_json(line, f"{path}:{number}"), f"{path}:{number}"))
            if len(held) == _BATCH:
                yield held, number, file.tell()
                held = []
        if held:
            yield held, number, file.tell()


def _opening(value: Any, where: str) -> Any:
    try:
        if set(value) != {"index", "salt", "subject"} or type(value["index"]) is not int:
            raise ValueError(value)
        return pb.Opening(index=value["index"], salt=bytes.fromhex(value["salt"]), subject=value["subject"])
    except (ValueError, TypeError):
        raise InvalidInputError(
            "input.opening",
            t(f"{where}: not an opening", f"{where}：不是有效的打开信息"),
            hint=t(
                '{"index":42,"salt":"64 hex digits","subject":"P-20815"}',
                '{"index":42,"salt":"64 位十六进制","subject":"P-20815"}',
            ),
        ) from None
