"""``civicledger record list``: the trail found again, by every facet. With it the other commands around the index."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import typer

from ledger.days import CST, start_of
from ledger.errors import InvalidInputError
from ledger.v1 import department_pb2 as pb
from ledger.v1 import department_pb2_grpc as rpc
from node.cli import records_openings, records_reindex
from node.cli.connect import (
    CALL_TIMEOUT,
    Connection,
    JsonOption,
    NodeOption,
    connect,
    dataset_id,
    grant_id,
    resolve_member,
)
from node.cli.inputs import parse_day
from node.cli.output import SHORT, err, out, print_json, table
from node.cli.purge import app
from node.cli.texts import t

__all__ = ["app"]

records_openings.register(app)
records_reindex.register(app)

#: Most rows one command shows.
MAX_ROWS = 100_000
_PAGE = 500


@app.command(
    "list",
    help=t(
        "Find records: by dataset, grant, counterpart, type, day, subject, or any of them together.\n\n"
        "Days are those of China (UTC+8). A subject is found by its pseudonym where the opening was kept here "
        "(record keep-openings). Auditors ask another member's node with --member.\n\n"
        "Examples: civicledger record list --day 2026-11-22 --newest-first\n\n"
        "civicledger record list --grant 0f3a91c2 --type exchange.completed --json\n\n"
        "civicledger record list --subject P-20815 --since 2026-01-01",
        "查找记录：按数据资源、授权、对方、类型、日期、数据主体，或任意组合。\n\n"
        "日期按北京时间。数据主体按假名查找，须已在本节点保存打开信息（record keep-openings）。"
        "审计方可用 --member 查询其他成员的节点。\n\n"
        "例：civicledger record list --day 2026-11-22 --newest-first\n\n"
        "civicledger record list --grant 0f3a91c2 --type exchange.completed --json\n\n"
        "civicledger record list --subject P-20815 --since 2026-01-01",
    ),
)
def find(
    dataset: str = typer.Option("", help=t("dataset id, or a unique prefix", "数据资源标识或其唯一前缀")),
    grant: str = typer.Option("", help=t("grant id, or a unique prefix", "授权标识或其唯一前缀")),
    counterpart: str = typer.Option("", help=t("the other side: USCC or handle", "对方：统一社会信用代码或代号")),
    type_: str = typer.Option("", "--type", help=t("record type (docs/audit-events.md)", "记录类型")),
    day: str = typer.Option("", help=t("one day, YYYY-MM-DD", "某一天，YYYY-MM-DD")),
    since: str = typer.Option("", help=t("from this day on", "自该日起（含）")),
    until: str = typer.Option("", help=t("up to this day, that day included", "至该日止（含）")),
    subject: str = typer.Option("", help=t("pseudonym of the subject", "数据主体的假名")),
    newest_first: bool = typer.Option(False, "--newest-first", help=t("latest time first", "时间最新的在前")),
    limit: int = typer.Option(50, min=1, max=MAX_ROWS, help=t("rows at most", "最多行数")),
    member: str = typer.Option("", help=t("ask this member's node: USCC or handle", "查询该成员的节点")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Pages are asked for until the limit; what the index does not hold yet is said, never left out in silence."""
    low, high = span_of_days(day, since, until)
    with connect(node) as connection:
        request = pb.QueryRequest(
            dataset=dataset_id(connection, dataset) if dataset else b"",
            grant=grant_id(connection, grant) if grant else b"",
            counterpart=resolve_member(connection, counterpart) if counterpart else "",
            type=type_,
            subject=subject,
            newest_first=newest_first,
            **{"from": low, "to": high},
        )
        rows, page = _ask(connection, resolve_member(connection, member) if member else "", request, limit)
    behind = page.log_size - page.indexed_size
    more = bool(page.next_page_token) or len(rows) > limit
    rows = rows[:limit]
    records = [(row.index, json.loads(row.record)) for row in rows]
    if as_json:
        print_json(
            {
                "records": [{"index": index, **record} for index, record in records],
                "more": more,
                "indexed_size": page.indexed_size,
                "log_size": page.log_size,
            }
        )
        return
    _show(records)
    if more:
        out.print(
            t(f"the first {limit} are shown; raise --limit for more", f"仅显示前 {limit} 行；用 --limit 查看更多")
        )
    if behind:
        err.print(
            t(
                f"the index holds {page.indexed_size} of {page.log_size} records: ask again for the rest",
                f"索引已处理 {page.indexed_size}/{page.log_size} 条记录：其余请稍后再查",
            )
        )


def _ask(connection: Connection, member: str, request: Any, limit: int) -> tuple[list[Any], Any]:
    """(rows, the last page asked for): until there are more than ``limit`` rows, or no more."""
    stub = connection.stub(rpc.RecordServiceStub, member)
    rows: list[Any] = []
    while True:
        request.page_size = min(_PAGE, limit + 1 - len(rows))
        page = stub.Query(request, timeout=CALL_TIMEOUT)
        rows += page.rows
        if not page.next_page_token or len(rows) > limit:
            return rows, page
        request.page_token = page.next_page_token


def _show(records: list[tuple[int, dict[str, Any]]]) -> None:
    def short(record: dict[str, Any], name: str) -> str:
        return str(record["body"].get(name, ""))[:SHORT]

    table(
        t("records", "记录"),
        [
            "#",
            t("time (UTC+8)", "北京时间"),
            t("type", "类型"),
            t("dataset", "数据资源"),
            t("grant", "授权"),
            t("counterpart", "对方"),
            t("purpose", "用途"),
        ],
        [
            (
                index,
                datetime.fromisoformat(record["time"]).astimezone(CST).strftime("%Y-%m-%d %H:%M:%S"),
                record["type"],
                short(record, "dataset"),
                short(record, "grant"),
                record["body"].get("counterpart", ""),
                record["body"].get("purpose", ""),
            )
            for index, record in records
        ],
    )


def span_of_days(day: str, since: str, until: str) -> tuple[int, int]:
    """[from, to) in Unix milliseconds; 0 is open. Raises: InvalidInputError(input.day)."""
    if day and (since or until):
        raise InvalidInputError(
            "input.day",
            t("--day does not go with --since or --until", "--day 不能与 --since 或 --until 同用"),
            hint="--since 2026-11-01 --until 2026-11-30",
        )
    first, last = _day(day or since), _day(day or until)
    if first is not None and last is not None and last < first:
        raise InvalidInputError(
            "input.day", t("--until lies before --since", "--until 早于 --since"), hint=f"{first} … {last}"
        )
    return (
        start_of(first) if first is not None else 0,
        start_of(last + timedelta(days=1)) if last is not None else 0,
    )


def _day(text: str) -> date | None:
    return parse_day(text) if text else None
