"""``civicledger record purge-payloads``: what is older than a day goes, records and proofs stay."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

import typer

from ledger.days import CST, start_of
from ledger.model import format_time
from ledger.v1 import department_pb2 as pb
from ledger.v1 import department_pb2_grpc as rpc
from node.cli.connect import JsonOption, NodeOption, connect
from node.cli.inputs import parse_day
from node.cli.output import facts, out, print_json
from node.cli.record import app
from node.cli.texts import t

__all__ = ["app"]

#: A run compacts the stores it erases from.
_TIMEOUT = 3_600.0
_DAY_MS = 86_400_000


@app.command(
    "purge-payloads",
    help=t(
        "Delete payloads, salts and openings older than a day; records and proofs stay. Without --execute nothing is "
        "deleted: the counts are what would be.\n\n"
        "Examples: civicledger record purge-payloads --older-than 180\n\n"
        "          civicledger record purge-payloads --before 2026-01-01 --basis PIPL/47 --execute",
        "删除早于某日的数据内容、盐值和承诺开启信息；记录与证明保留。不加 --execute 时只统计，不删除。\n\n"
        "例：civicledger record purge-payloads --older-than 180\n\n"
        "    civicledger record purge-payloads --before 2026-01-01 --basis PIPL/47 --execute",
    ),
)
def purge_payloads(
    before: str = typer.Option(
        "", help=t("day, e.g. 2026-01-01: what ended before its 00:00 in China (UTC+8)", "日期：早于北京时间该日零点")
    ),
    older_than: int | None = typer.Option(
        None, min=1, max=36_500, help=t("days of 24 hours, back from now", "天数（每天 24 小时，自现在起倒推）")
    ),
    basis: str = typer.Option("PIPL/47", help=t("code of the legal basis, for the record", "写入记录的法律依据代码")),
    execute: bool = typer.Option(False, "--execute", help=t("delete, do not only count", "执行删除，而不仅统计")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """The node deletes and records: the stores are its own."""
    if bool(before) == (older_than is not None):
        raise typer.BadParameter(t("give --before or --older-than", "请给出 --before 或 --older-than 之一"))
    limit = start_of(parse_day(before)) if before else time.time_ns() // 1_000_000 - (older_than or 0) * _DAY_MS
    with connect(node) as connection:
        request = pb.PurgeRequest(before=limit, basis=basis, execute=execute)
        done = connection.stub(rpc.RecordServiceStub).Purge(request, timeout=_TIMEOUT)
    value = {
        "before": format_time(limit),
        "executed": execute,
        "openings": done.openings,
        "exchanges": done.exchanges,
        "operators": done.operators,
        "payloads": done.payloads,
        "bytes": done.bytes,
        "records": done.records,
    }
    if as_json:
        print_json(value)
        return
    title = t("Deleted", "已删除") if execute else t("Would be deleted", "将被删除")
    facts(
        title,
        {
            t("before (UTC+8)", "早于（北京时间）"): datetime.fromtimestamp(limit / 1_000, CST).strftime(
                "%Y-%m-%d %H:%M:%S"
            ),
            t("openings", "承诺开启信息"): done.openings,
            t("payload salts", "数据盐值"): done.exchanges,
            t("operator salts", "经办人盐值"): done.operators,
            t("dataset contents", "数据内容"): f"{done.payloads} ({done.bytes} B)",
            t("records written", "写入记录"): done.records,
        },
    )
    if not execute:
        out.print(t("nothing was deleted: add --execute", "未删除任何内容：加上 --execute 执行"))
