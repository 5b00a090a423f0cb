"""``civicledger log``: the department log."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import typer

from ledger.log.export import export_folder
from ledger.v1 import department_pb2 as pb
from ledger.v1 import department_pb2_grpc as rpc
from ledger.v1 import node_pb2, node_pb2_grpc
from node.cli.connect import CALL_TIMEOUT, JsonOption, NodeOption, connect, node_folder
from node.cli.groups import SAYS
from node.cli.inputs import MAX_NUMBER
from node.cli.output import out, print_json, table
from node.cli.progress import progress
from node.cli.texts import t
from node.config import load_config

app = typer.Typer(help=SAYS["log"], no_args_is_help=True)


@app.command(help=t("The newest records (or from --first).", "查看最新记录（或从 --first 起）。"))
def show(
    first: int = typer.Option(
        -1, min=-1, max=MAX_NUMBER, help=t("first index; -1 shows the newest", "起始序号；-1 为最新")
    ),
    count: int = typer.Option(20, min=1, max=1_000, help=t("records at most", "最多条数")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Entries are read through the running node."""
    with connect(node) as connection:
        state = connection.stub(node_pb2_grpc.StatusServiceStub).GetStatus(
            node_pb2.GetStatusRequest(), timeout=CALL_TIMEOUT
        )
        start = max(0, state.log_size - count) if first < 0 else first
        wanted = max(0, min(count, state.log_size - start))
        rows: list[Any] = []
        if wanted:
            request = pb.ReadRequest(first=start, count=wanted)
            rows = list(connection.stub(rpc.RecordServiceStub).Read(request, timeout=CALL_TIMEOUT))
    records = [(row.index, json.loads(row.record)) for row in rows]
    if as_json:
        print_json({"origin": state.origin, "size": state.log_size, "records": [{"index": i, **r} for i, r in records]})
        return
    table(
        f"{state.origin}  ({state.log_size})",
        ["#", t("time", "时间"), t("type", "类型"), t("body", "内容")],
        [(i, r["time"], r["type"], json.dumps(r["body"], ensure_ascii=False)) for i, r in records],
    )


@app.command(
    help=t(
        "The inclusion proof of a record as a C2SP tlog-proof.\n\nExample: civicledger log prove 42 > 42.tlog-proof",
        "以 C2SP tlog-proof 格式输出一条记录的包含证明。\n\n例：civicledger log prove 42 > 42.tlog-proof",
    )
)
def prove(
    index: int = typer.Argument(..., min=0, max=MAX_NUMBER, help=t("index in the own log", "本部门日志中的序号")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Under the newest witnessed checkpoint that covers it."""
    with connect(node) as connection:
        stub = connection.stub(node_pb2_grpc.ProofServiceStub)
        proof = stub.ProveInclusion(node_pb2.ProveInclusionRequest(index=index), timeout=CALL_TIMEOUT)
    if as_json:
        print_json(
            {"index": proof.index, "size": proof.size, "hashes": list(proof.hashes), "tlog_proof": proof.tlog_proof}
        )
    else:
        typer.echo(proof.tlog_proof, nl=False)


@app.command(
    help=t(
        "Re-derive every hash from the entries, compare with the checkpoint, the witnesses' and the chain's view, and "
        "name the first difference (exit 1).\n\n"
        "Without --from: this node's own log, running or stopped. With --from: any tlog-tiles log, exported or served.\n\n"
        "Example: civicledger log fsck --from https://127.0.0.1:7012 --node ./city/audit\n\n"
        "Example: civicledger log fsck --from ./export --policy city.policy",
        "由条目重新计算所有哈希，与检查点、见证方和链上所见比较，指出第一个差异（退出码 1）。\n\n"
        "不带 --from：检查本节点的日志，节点运行或停止均可。带 --from：检查任何 tlog-tiles 日志（导出目录或网址）。\n\n"
        "例：civicledger log fsck --from https://127.0.0.1:7012 --node ./city/audit\n\n"
        "例：civicledger log fsck --from ./export --policy city.policy",
    )
)
def fsck(
    source: str = typer.Option("", "--from", help=t("URL or exported folder", "网址或导出目录")),
    policy: Path | None = typer.Option(
        None, exists=True, dir_okay=False, help=t("tlog-policy file: the log's key, the quorum", "tlog-policy 信任文件")
    ),
    ca: Path | None = typer.Option(
        None, exists=True, dir_okay=False, help=t("certificates to trust for https", "https 信任的证书")
    ),
    alone: bool = typer.Option(False, "--alone", help=t("ask nobody else", "不询问其他方")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Exit 1 when something differs."""
    from node.cli.fsck import check_from, check_own, node_config

    if source:
        found = check_from(
            source, config=None if alone else node_config(node), policy=policy, ca=ca, environ=dict(os.environ)
        )
    else:
        found = check_own(load_config(node_folder(node)), alone=alone)
    if as_json:
        print_json(found.to_dict())
    else:
        _show_found(found)
    if not found.ok:
        raise typer.Exit(1)


def _show_found(found: Any) -> None:
    if found.problems:
        table(
            t("damaged", "已损坏"),
            [t("file", "文件"), t("index", "序号"), t("detail", "说明")],
            [(p["file"], p["index"], p["detail"]) for p in found.problems],
        )
    else:
        line = t(
            f"{found.origin}: {found.size} entries, {found.entries} hashed, root {found.root.hex()}",
            f"{found.origin}：{found.size} 条，已校验 {found.entries} 条，根 {found.root.hex()}",
        )
        out.print(line, markup=False)
    words = {
        "ok": t("ok", "一致"),
        "differs": t("DIFFERS", "不一致"),
        "unchecked": t("not checked", "未核对"),
    }
    if found.checks:
        table(
            t("compared with", "比较对象"),
            [t("what", "对象"), t("outcome", "结果"), t("detail", "说明")],
            [(check.what, words[check.outcome], check.detail) for check in found.checks],
        )
    if found.ok:
        out.print(t("[green]clean[/]", "[green]无误[/]"))
    else:
        out.print(t("[bold red]something differs[/]", "[bold red]存在差异[/]"))


@app.command(
    help=t(
        "Write a static tlog-tiles tree for other people's tools.\n\n"
        "A second run into the same folder adds what is new; a run that was broken off is taken up again.\n\n"
        "Example: civicledger log export /srv/www/transport-log --no-entries",
        "导出静态 tlog-tiles 目录，供第三方工具使用。\n\n再次导出到同一目录只添加新增部分；中断后可继续。\n\n"
        "例：civicledger log export /srv/www/transport-log --no-entries",
    )
)
def export(
    folder: Path = typer.Argument(..., help=t("new folder, or one of an earlier export", "新目录，或已有的导出目录")),
    entries: bool = typer.Option(
        True,
        "--entries/--no-entries",
        help=t("entries are for yourselves, the supervisor and auditors", "条目仅供本部门、监管方和审计方"),
    ),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Checkpoint, hash tiles and entry bundles up to the newest published checkpoint."""
    config = load_config(node_folder(node))
    with progress(t("writing tiles", "写出分片")) as told:
        done = export_folder(config.log_folder, folder, entries=entries, progress=told)
    if as_json:
        print_json({"folder": str(folder), "size": done.head.size, "before": done.before, "written": done.written})
        return
    text = t(
        f"exported {done.head.size} entries to {folder} ({done.written} files new)",
        f"已导出 {done.head.size} 条到 {folder}（新增 {done.written} 个文件）",
    )
    out.print(text, markup=False)
