"""``civicledger log backup | stat | generations | retire``: the log as something that is operated."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from ledger.codec import encode
from ledger.errors import LedgerError, UnavailableError
from ledger.identifiers import origin
from ledger.log.backup import Progress as Told
from ledger.log.backup import back_up, committed_size
from ledger.log.files import CHECKPOINT_FILE, parse_head, read_note
from ledger.log.stat import LogStat, log_stat
from ledger.model import format_time
from ledger.v1 import department_pb2, department_pb2_grpc
from ledger.v1 import node_pb2 as pb
from ledger.v1 import node_pb2_grpc as rpc
from node.cli.connect import CALL_TIMEOUT, JsonOption, NodeOption, connect, node_folder, resolve_member
from node.cli.log import app
from node.cli.output import err, facts, out, print_json, table
from node.cli.texts import t
from node.config import NodeConfig, load_config

__all__ = ["app", "progress"]

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
    with progress() as told:
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
        "The logs of this node: the present one, and those that were retired.\n\nExample: civicledger log generations --json",
        "本节点的各代日志：当前日志和已退役的日志。\n\n例：civicledger log generations --json",
    )
)
def generations(node: Path | None = NodeOption, as_json: bool = JsonOption) -> None:
    """From the folders; a retired log stays readable: `log fsck`, `bundle make --generation`."""
    config = load_config(node_folder(node))
    rows = []
    for number in config.log_generations:
        folder = config.log_folder_of(number)
        note = read_note(folder / CHECKPOINT_FILE)
        head = parse_head(folder / CHECKPOINT_FILE, note) if note is not None else None
        rows.append(
            {
                "generation": number,
                "origin": origin(config.member.region, config.member.handle, number),
                "folder": str(folder),
                "records": committed_size(folder),
                "published": head.size if head else 0,
                "root": head.root.hex() if head else "",
            }
        )
    if as_json:
        print_json({"generations": rows})
        return
    columns = [t("generation", "代次"), "origin", t("folder", "目录"), t("records", "记录数"), t("published", "已发布")]
    table(t("Logs", "日志"), columns, [tuple(row.values())[:5] for row in rows])


@app.command(
    help=t(
        "Propose that the members retire this log: records are lost everywhere, or its history is disputed.\n\n"
        "The others vote; when it is carried, the node takes up the next log (…/log/2) by itself, and the retired one "
        "stays readable and provable. A node whose log is closed cannot propose: another member does it for it.\n\n"
        "Examples: civicledger log retire --yes\n\n          civicledger log retire --member transport --yes",
        "提议由成员表决使本日志退役：记录在各处均已丢失，或历史有争议。\n\n"
        "由其他成员表决；通过后节点自动启用下一代日志（…/log/2），已退役的日志仍可读取和证明。"
        "日志已关闭的节点无法提议，须由其他成员代为提议。\n\n"
        "例：civicledger log retire --yes\n\n    civicledger log retire --member transport --yes",
    )
)
def retire(
    member: str = typer.Option("", help=t("USCC or handle (default: the own log)", "代码或代号（默认本部门日志）")),
    yes: bool = typer.Option(
        False, "--yes", help=t("I mean it: a retired log takes no more records", "确认：退役的日志不再写入")
    ),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """The same as `member propose retire-log`; the node must run."""
    if not yes:
        raise typer.BadParameter(t("a retired log takes no more records: add --yes", "退役的日志不再写入：请加 --yes"))
    try:
        with connect(node) as connection:
            target = resolve_member(connection, member) if member else connection.member
            request = department_pb2.ProposeRequest(kind="retire-log", arguments=encode({"member": target}), expires=0)
            answer = connection.stub(department_pb2_grpc.MemberServiceStub).Propose(request, timeout=CALL_TIMEOUT)
    except UnavailableError as error:
        if error.code != "node.starting":
            raise
        # A proposal goes on the proposer's trail, and this log takes nothing: that is why it is to be retired.
        raise UnavailableError(
            error.code,
            error.message,
            hint=t(
                "another member proposes it on its node: civicledger log retire --member YOUR-HANDLE --yes",
                "请由另一成员在其节点提议：civicledger log retire --member 本部门代号 --yes",
            ),
        ) from None
    if as_json:
        print_json({"proposal": answer.proposal, "member": target, "height": answer.transaction.height})
        return
    out.print(
        t(
            f"proposal {answer.proposal} is open; the other members: civicledger member vote {answer.proposal} --yes",
            f"提案 {answer.proposal} 已提交；其他成员：civicledger member vote {answer.proposal} --yes",
        )
    )


@app.command(
    help=t(
        "Size, growth, batches, disk: what an operator plans with. The node may run or not. Days are those of China "
        "(UTC+8).\n\nExample: civicledger log stat --json",
        "大小、增长、批次、磁盘空间；节点运行或停止均可。日期按北京时间。\n\n例：civicledger log stat --json",
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
    title = t("Records by day (UTC+8)", "按日记录数（北京时间）") + (
        t(", estimated", "（估算）") if found.estimated else ""
    )
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


@contextmanager
def progress(count: ProgressColumn | None = None) -> Iterator[Told]:
    """A bar per stage on standard error; ``count`` shows how much, in bytes unless told otherwise."""
    words = {"copy": t("copying", "复制"), "verify": t("hashing", "校验"), "rehash": t("re-deriving", "重新推导")}
    bar = Progress(
        TextColumn("{task.description}"),
        SpinnerColumn(),
        BarColumn(),
        count or DownloadColumn(),
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
        for task in bar.tasks:
            # A stage whose length nobody told is over: a bar at 0 of ? would look as if it were not.
            bar.update(task.id, visible=task.total is not None)


def _bytes(count: int) -> str:
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1_024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1_024
    return f"{value:.1f} TiB"
