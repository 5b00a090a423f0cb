"""``civicledger record reindex``: the record index made anew on a stopped node."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ledger.errors import NotFoundError
from ledger.log.stopped import StoppedLog
from ledger.storage.indexes import RecordIndex
from ledger.storage.store import Store
from node.cli.connect import JsonOption, NodeOption, node_folder
from node.cli.output import err, out, print_json
from node.cli.texts import t
from node.config import load_config
from node.stores import openings_in

_STEP = 1 << 16
_HELP = t(
    "Make the record index anew from the log of a stopped node.\n\n"
    "An interrupted run goes on where it was; --fresh begins again. A running node does the same by itself when "
    "its index is missing, damaged or of another version.\n\nExample: civicledger record reindex --node /srv/audit",
    "在已停止的节点上由日志重建记录索引。\n\n"
    "中断后可继续；--fresh 从头开始。运行中的节点在索引缺失、损坏或版本不符时会自动重建。\n\n"
    "例：civicledger record reindex --node /srv/audit",
)


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command("reindex", help=_HELP)(reindex)


def reindex(
    fresh: bool = typer.Option(False, "--fresh", help=t("begin at the first record", "从第一条记录开始")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """The log is the truth; the index is only faster to ask."""
    started = time.monotonic()
    config = load_config(node_folder(node))
    if not config.log_folder.is_dir():
        raise NotFoundError(
            "log.missing",
            t(f"there is no log in {config.log_folder}", f"{config.log_folder} 中没有日志"),
            hint=t("give the folder of a node that has run", "请指定曾经运行过的节点目录"),
        )
    with (
        StoppedLog.open(config.log_folder, now_ms=time.time_ns() // 1_000_000) as log,
        Store.open(config.payloads_folder) as payloads,
        closing(RecordIndex.open(config.index_folder, openings_in(payloads))) as index,
    ):
        if fresh or index.remaking is None:
            index.renew()
        first, size = index.indexed_size, log.size
        bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=err
        )
        with bar:
            task = bar.add_task(t("indexing", "建立索引"), total=size, completed=first)
            while index.remaking is not None:
                index.follow(log, limit=_STEP)
                bar.update(task, completed=index.indexed_size)
    seconds = time.monotonic() - started
    if as_json:
        print_json({"size": size, "resumed_at": first, "seconds": round(seconds, 3)})
    else:
        out.print(t(f"{size} records indexed in {seconds:.1f} s", f"已为 {size} 条记录建立索引，用时 {seconds:.1f} 秒"))
