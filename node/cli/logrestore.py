"""``civicledger log restore``: a log put back from a backup, or brought up from the members that mirror it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.progress import MofNCompleteColumn

from ledger.errors import ConflictError, InvalidInputError, LedgerError
from ledger.identifiers import origin
from ledger.log.manifest import read_manifest
from ledger.log.restore import restore as put_back
from node.cli.connect import JsonOption, NodeOption, node_folder
from node.cli.logops import app, progress
from node.cli.output import out, print_error, print_json, table
from node.cli.texts import t
from node.config import NodeConfig, load_config

if TYPE_CHECKING:
    from node.trail.refetching import Refetched

__all__ = ["app"]


@app.command(
    help=t(
        "Put a backup in the place of this node's log, or take what it lost from the members that mirror it; the node "
        "is stopped meanwhile.\n\n"
        "What is there now is kept beside it. A log that is shorter than what the witnesses or the chain saw signs "
        "nothing: bring it up to date with --from-peers.\n\n"
        "Examples: civicledger log restore /mnt/backup/transport-log\n\n"
        "          civicledger log restore --from-peers",
        "用备份恢复本节点的日志，或从镜像该日志的成员处取回缺失部分；期间须停止节点。\n\n"
        "现有目录会保留在旁边。若日志比见证方或链上所见更短，节点不会签名：请用 --from-peers 补齐。\n\n"
        "例：civicledger log restore /mnt/backup/transport-log\n\n    civicledger log restore --from-peers",
    )
)
def restore(
    folder: Path | None = typer.Argument(None, help=t("folder of a backup", "备份目录")),
    from_peers: bool = typer.Option(
        False, "--from-peers", help=t("take what is missing from members' mirrors", "从其他成员的镜像取回缺失记录")
    ),
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
    if (folder is None) == (not from_peers):
        raise typer.BadParameter(t("give the folder of a backup, or --from-peers", "请给出备份目录，或 --from-peers"))
    if folder is None:
        _from_peers(config, as_json=as_json)
        return
    generation = _generation(config, read_manifest(folder).head.origin)
    name = origin(config.member.region, config.member.handle, generation)
    with progress() as told:
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


def _from_peers(config: NodeConfig, *, as_json: bool) -> None:
    # The whole node behind these: the other commands of the group do without.
    from node.context import system_clock
    from node.core import NodeCore
    from node.logging import configure_logging
    from node.trail.refetching import refetch

    # The node's own lines go to standard error; here the command speaks.
    configure_logging("error", None)
    core = NodeCore.open(config.folder, system_clock, os.environ)
    try:
        with progress(MofNCompleteColumn()) as told:
            found = refetch(core, told)
    finally:
        core.closing.run()
    asked = [{"member": a.member, "seen": a.seen, "mirrored": a.mirrored, "problem": a.problem} for a in found.asked]
    lost = _incomplete(found) if found.missing else None
    if as_json:
        print_json(
            {
                "origin": found.origin,
                "before": found.before,
                "size": found.size,
                "wanted": found.wanted,
                "missing": found.missing,
                "asked": asked,
                **({"error": lost.to_dict()} if lost else {}),
            }
        )
    else:
        out.print(
            t(
                f"{found.size - found.before} records came back; the log has {found.size} of {found.wanted} seen signed",
                f"取回 {found.size - found.before} 条；日志现有 {found.size} 条，他方所见已签名 {found.wanted} 条",
            )
        )
        columns = [t("member", "成员"), t("seen", "所见"), t("mirrored", "镜像"), t("problem", "问题")]
        table(t("Asked", "已询问"), columns, [tuple(row.values()) for row in asked])
        if lost is None:
            out.print(t("next: start the node", "下一步：启动节点"))
    if lost is not None:
        if not as_json:
            print_error(lost)
        raise typer.Exit(1)


def _incomplete(found: Refetched) -> LedgerError:
    return ConflictError(
        "restore.incomplete",
        t(
            f"{found.missing} records that were signed are held by nobody who was asked",
            f"有 {found.missing} 条已签名的记录无人持有",
        ),
        hint=t(
            "ask the members that did not answer, or look for a newer backup; for records lost everywhere another member "
            "proposes `civicledger log retire --member YOUR-HANDLE --yes`",
            "请询问未应答的成员或查找更新的备份；各处均已丢失时，由其他成员提议 "
            "`civicledger log retire --member 本部门代号 --yes`",
        ),
        expected=found.wanted,
        actual=found.size,
    )


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
