"""``civicledger log backup | restore | stat``: the log as something that is operated."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from ledger.backup import Progress as Told
from ledger.backup import back_up, read_manifest
from ledger.errors import ConflictError, InvalidInputError, LedgerError
from ledger.identifiers import origin
from ledger.logstat import LogStat, log_stat
from ledger.model import format_time
from ledger.restoring import restore as put_back
from ledger.v1 import node_pb2 as pb
from ledger.v1 import node_pb2_grpc as rpc
from node.cli.connect import JsonOption, NodeOption, connect, node_folder
from node.cli.log import app
from node.cli.output import err, facts, out, print_json, table
from node.cli.texts import t
from node.config import NodeConfig, load_config

__all__ = ["app"]

_STATUS_TIMEOUT = 5.0


@app.command(
    help=t(
        "Copy the log up to its newest checkpoint and verify every hash of the copy; the node may run.\n\n"
        "A second run into the same folder copies what is new.\n\n"
        "Example: civicledger log backup /mnt/backup/transport-log",
        "将日志复制到最新检查点，并逐条校验副本；节点可以照常运行。\n\n再次备份到同一目录只复制新增部分。\n\n"
        "例：civicledger log backup /mnt/backup/transport-log",
    )
)
def backup(
    folder: Path = typer.Argument(..., help=t("new folder, or one of an earlier backup", "新目录，或已有的备份目录")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Read from the files: no call to the node."""
    config = load_config(node_folder(node))
    started = time.monotonic()
    with _progress() as told:
        report = back_up(config.log_folder, folder, told)
    head, seconds = report.manifest.head, time.monotonic() - started
    if as_json:
        print_json(
            {**report.manifest.to_dict(), "folder": str(folder), "copied": report.copied, "seconds": round(seconds, 3)}
        )
        return
    out.print(
        t(
            f"verified: {head.size} records, root {head.root.hex()}, {report.copied} bytes new, {seconds:.1f} s",
            f"已校验：{head.size} 条，根 {head.root.hex()}，新增 {report.copied} 字节，用时 {seconds:.1f} 秒",
        )
    )


@app.command(
    help=t(
        "Put a backup in the place of this node's log; the node is stopped meanwhile.\n\n"
        "What is there now is kept beside it. A log that is shorter than what the witnesses or the chain saw signs "
        "nothing: bring it up to date with --from-peers.\n\n"
        "Example: civicledger log restore /mnt/backup/transport-log",
        "用备份恢复本节点的日志；期间须停止节点。\n\n现有目录会保留在旁边。若日志比见证方或链上所见更短，节点不会签名："
        "请用 --from-peers 补齐。\n\n例：civicledger log restore /mnt/backup/transport-log",
    )
)
def restore(
    folder: Path = typer.Argument(..., help=t("folder of a backup", "备份目录")),
    replace: bool = typer.Option(
        False,
        "--replace",
        help=t("also when the log here has as many records: it is damaged", "本地日志损坏时强制替换"),
    ),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Every SHA-256 and every hash is checked before anything is replaced."""
    config = load_config(node_folder(node))
    generation = _generation(config, read_manifest(folder).head.origin)
    name = origin(config.member.region, config.member.handle, generation)
    with _progress() as told:
        report = put_back(folder, config.log_folder_of(generation), origin=name, replace=replace, progress=told)
    behind = report.signed.size - report.head.size
    if as_json:
        print_json(
            {
                "origin": name,
                "size": report.head.size,
                "root": report.head.root.hex(),
                "kept": str(report.kept) if report.kept else None,
                "signed_size": report.signed.size,
                "missing": behind,
            }
        )
        return
    out.print(t(f"restored {report.head.size} records", f"已恢复 {report.head.size} 条记录"))
    if report.kept:
        out.print(t(f"the old folder is {report.kept}", f"原目录保留为 {report.kept}"), markup=False)
    if behind:
        out.print(
            t(
                f"{behind} records are missing up to the last signed head: the node will refuse to sign until "
                "`civicledger log restore --from-peers` brought them back",
                f"距最后签名的检查点还缺 {behind} 条：在 `civicledger log restore --from-peers` 补齐前，节点拒绝签名",
            )
        )
    else:
        out.print(
            t(
                "next: start the node; it compares with its witnesses before it signs",
                "下一步：启动节点；签名前它会先与见证方核对",
            )
        )


@app.command(
    help=t(
        "Size, growth, batches, disk: what an operator plans with. The node may run or not.",
        "大小、增长、批次、磁盘空间；节点运行或停止均可。",
    )
)
def stat(node: Path | None = NodeOption, as_json: bool = JsonOption) -> None:
    """From the files; witnessed and anchored sizes from the node when it runs."""
    config = load_config(node_folder(node))
    now_ms = time.time_ns() // 1_000_000
    found = log_stat(config.log_folder, now_ms)
    running = _sizes(node)
    if as_json:
        age = max(0, now_ms - found.published_ms) if found.published_ms else None
        print_json({"folder": str(config.log_folder), **found.to_dict(), "checkpoint_age_ms": age, **running})
        return
    _show(config, found, running, now_ms)


def _show(config: NodeConfig, found: LogStat, running: dict[str, int | None], now_ms: int) -> None:
    unknown = t("the node does not answer", "节点未响应")
    about = t("about ", "约 ") if found.estimated else ""
    full = (
        t("never at this rate", "按当前速度不会写满") if found.days_until_full is None else str(found.days_until_full)
    )
    values: dict[str, object] = {
        t("folder", "目录"): config.log_folder,
        t("records", "记录数"): found.size,
        t("published", "已发布"): found.published_size,
        t("witnessed", "已见证"): unknown if running["witnessed_size"] is None else running["witnessed_size"],
        t("anchored", "已锚定"): unknown if running["anchored_size"] is None else running["anchored_size"],
        t("checkpoint cosigned", "检查点联署时间"): (
            f"{format_time(found.published_ms)} ({max(0, now_ms - found.published_ms) // 1_000} s)"
            if found.published_ms
            else t("not yet", "尚无")
        ),
        t("batch ids kept", "保留的批次标识"): found.batches,
        t("records a day", "每日记录"): f"{about}{found.records_a_day}",
        t("growth a day", "每日增长"): f"{about}{_bytes(found.bytes_a_day)}",
        t("disk free", "磁盘剩余"): _bytes(found.disk_free),
        t("days until full", "写满天数"): full,
    }
    facts(t("Log", "日志"), values)
    out.print()
    rows = [(name, size, _bytes(size)) for name, size in found.files.items()]
    total = sum(found.files.values())
    table(t("Files", "文件"), [t("file", "文件"), t("bytes", "字节"), ""], [*rows, ("", total, _bytes(total))])
    title = t("Records by day (UTC)", "按日记录数（UTC）") + (t(", estimated", "（估算）") if found.estimated else "")
    table(title, [t("day", "日期"), t("records", "记录数")], found.by_day)


def _sizes(node: Path | None) -> dict[str, int | None]:
    """What only the running node knows; a node that is stopped is no error here."""
    try:
        with connect(node) as connection:
            state = connection.stub(rpc.StatusServiceStub).GetStatus(pb.GetStatusRequest(), timeout=_STATUS_TIMEOUT)
    except LedgerError:
        return {"witnessed_size": None, "anchored_size": None, "indexed_size": None}
    return {
        "witnessed_size": state.witnessed_size,
        "anchored_size": state.anchored_size,
        "indexed_size": state.indexed_size,
    }


def _generation(config: NodeConfig, found: str) -> int:
    """The generation of this node's log that an origin names. Raises: ConflictError(backup.other-log)."""
    own = origin(config.member.region, config.member.handle)
    tail = found.removeprefix(own).removeprefix("/")
    try:
        generation = int(tail) if tail.isascii() and tail.isdecimal() else 1
        if origin(config.member.region, config.member.handle, generation) == found:
            return generation
    except InvalidInputError:
        pass
    raise ConflictError(
        "backup.other-log",
        t("this is the backup of another log", "这是另一个日志的备份"),
        hint=t("give the folder of the node whose log it is", "请指定该日志所属节点的目录"),
        expected=own,
        actual=found,
    )


@contextmanager
def _progress() -> Iterator[Told]:
    """A bar per stage on standard error."""
    words = {"copy": t("copying", "复制"), "verify": t("hashing", "校验"), "rehash": t("re-deriving", "重新推导")}
    bar = Progress(
        TextColumn("{task.description}"),
        SpinnerColumn(),
        BarColumn(),
        DownloadColumn(),
        TimeElapsedColumn(),
        console=err,
    )
    tasks = {}
    with bar:

        def told(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(words.get(stage, stage), total=total or None)
            bar.update(tasks[stage], completed=done, total=total or None)

        yield told


def _bytes(count: int) -> str:
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1_024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1_024
    return f"{value:.1f} TiB"
