"""``civicledger mirror``: the other members' logs that this node follows."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import typer

from node.cli.connect import JsonOption, NodeOption, node_folder
from node.cli.groups import SAYS
from node.cli.output import out, print_json, table
from node.cli.texts import t
from node.config import load_config
from node.mirror.service import MirrorStatus, read_status
from node.trail.alarms import AlarmBook

app = typer.Typer(help=SAYS["mirror"], no_args_is_help=True)


@app.callback()
def group() -> None:
    """A group even while it has one command."""


@app.command(
    help=t(
        "Which logs are followed here, how far, and what is wrong with them. Exit 1 when one raises an alarm.\n\n"
        'The logs are named in node.toml: [mirror] members = ["all"].\n\n'
        "Example: civicledger mirror status --json",
        "本节点跟踪哪些日志、进度如何、有何异常。存在告警时退出码为 1。\n\n"
        '跟踪对象在 node.toml 中设置：[mirror] members = ["all"]。\n\n例：civicledger mirror status --json',
    )
)
def status(node: Path | None = NodeOption, as_json: bool = JsonOption) -> None:
    """From the node's folder: it answers whether the node runs or not."""
    config = load_config(node_folder(node))
    # What was damaged and put aside has a suffix; the doctor names it.
    mirrors = config.mirror_folder.iterdir() if config.mirror_folder.is_dir() else ()
    folders = sorted(folder for folder in mirrors if not folder.suffix)
    found = [one for folder in folders if (one := read_status(folder)) is not None]
    alarms = [alarm for alarm in AlarmBook(config.folder / "alarms", clock=_now).alarms() if alarm.member]
    rows = [_row(one, [alarm.kind for alarm in alarms if alarm.member == one.member]) for one in found]
    if as_json:
        print_json({"following": list(config.mirror.members), "mirrors": rows})
    elif not rows and not config.mirror.members:
        out.print(
            t(
                'no log is followed: set [mirror] members = ["all"] in node.toml',
                '未跟踪任何日志：请在 node.toml 中设置 [mirror] members = ["all"]',
            ),
            markup=False,
        )
    else:
        _show(rows)
    if any(row["alarm"] for row in rows):
        raise typer.Exit(1)


def _row(one: MirrorStatus, open_alarms: list[str]) -> dict[str, Any]:
    return {**msgspec.structs.asdict(one), "open_alarms": open_alarms}


def _show(rows: list[dict[str, Any]]) -> None:
    table(
        t("Mirrored logs", "镜像日志"),
        [
            t("log", "日志"),
            t("entries seen", "对方条数"),
            t("hashes here", "本地哈希"),
            t("entries here", "本地条目"),
            t("last good look", "最近正常核对"),
            t("all of it again within", "全部复核周期"),
            t("state", "状态"),
        ],
        [
            (
                row["origin"],
                row["served"],
                row["hashes"],
                row["entries"],
                _time(row["good_ms"]),
                _length(row["again_s"]),
                _state(row),
            )
            for row in rows
        ],
    )


def _state(row: dict[str, Any]) -> str:
    if row["alarm"]:
        return t(f"ALARM {row['alarm']}: {row['detail']}", f"告警 {row['alarm']}：{row['detail']}")
    if row["problem"]:
        return t(f"not followed now: {row['problem']}", f"暂时无法跟踪：{row['problem']}")
    if row["open_alarms"]:
        kinds = ", ".join(row["open_alarms"])
        return t(f"good now; not settled: {kinds}", f"当前正常；尚未处理的告警：{kinds}")
    return t("good", "正常")


def _length(seconds: int) -> str:
    if not seconds:
        return "-"
    hours, rest = divmod(seconds, 3_600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%SZ") if ms else "-"


def _now() -> int:
    return time.time_ns() // 1_000_000
