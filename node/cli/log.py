"""``civicledger log``: the department log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from ledger.logcheck import export_folder
from ledger.logcheck import fsck as fsck_log
from ledger.v1 import department_pb2 as pb
from ledger.v1 import department_pb2_grpc as rpc
from ledger.v1 import node_pb2, node_pb2_grpc
from node.cli.connect import CALL_TIMEOUT, JsonOption, NodeOption, connect, node_folder
from node.cli.inputs import MAX_NUMBER
from node.cli.output import out, print_json, table
from node.cli.texts import t
from node.config import load_config

app = typer.Typer(
    help=t("The log: show, prove, check, export (日志).", "日志：查看、证明、检查、导出。"), no_args_is_help=True
)


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
        "Re-derive every hash from the entries and name the first difference. Works on a stopped or running node's folder.",
        "由条目重新计算所有哈希，指出第一个差异。节点运行或停止时均可。",
    )
)
def fsck(
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Exit 1 when something differs."""
    config = load_config(node_folder(node))
    report = fsck_log(config.log_folder).to_dict()
    if as_json:
        print_json(report)
    elif report["ok"]:
        out.print(
            t(
                f"[green]clean[/]: {report['size']} entries, root {report['root']}",
                f"[green]无误[/]：{report['size']} 条，根 {report['root']}",
            )
        )
    else:
        table(
            t("[bold red]damaged[/]", "[bold red]已损坏[/]"),
            [t("file", "文件"), t("index", "序号"), t("detail", "说明")],
            [(p["file"], p["index"], p["detail"]) for p in report["problems"]],
        )
    if not report["ok"]:
        raise typer.Exit(1)


@app.command(
    help=t("Write a static tlog-tiles tree for other people's tools.", "导出静态 tlog-tiles 目录，供第三方工具使用。")
)
def export(
    folder: Path = typer.Argument(..., help=t("new folder", "新目录")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Checkpoint, hash tiles and entry bundles up to the newest published checkpoint."""
    config = load_config(node_folder(node))
    size = export_folder(config.log_folder, folder)
    if as_json:
        print_json({"folder": str(folder), "size": size})
    else:
        out.print(t(f"exported {size} entries to {folder}", f"已导出 {size} 条到 {folder}"), markup=False)
