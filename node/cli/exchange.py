"""``civicledger exchange``: use a grant; see who used what."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, BinaryIO

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TransferSpeedColumn

from ledger.codec import encode
from ledger.errors import InvalidInputError, UnavailableError
from ledger.v1 import department_pb2 as pb
from ledger.v1 import department_pb2_grpc as rpc
from node.cli.connect import (
    CALL_TIMEOUT,
    Connection,
    JsonOption,
    NodeOption,
    connect,
    dataset_id,
    grant_id,
    hex32,
    list_members,
    resolve_member,
    row_conditions,
)
from node.cli.groups import SAYS
from node.cli.output import SHORT, err, facts, print_json, table
from node.cli.texts import t

app = typer.Typer(help=SAYS["exchange"], no_args_is_help=True)


@app.command(
    help=t(
        "Fetch data under a grant; the receipt signed by both sides ends it.\n\n"
        "Example: civicledger exchange pull GRANT --operator clerk-7 -o rows.json",
        "按授权获取数据，以双方签名的回执结束。\n\n例：civicledger exchange pull GRANT --operator clerk-7 -o rows.json",
    )
)
def pull(
    grant: str = typer.Argument("", help=t("grant id", "授权标识")),
    dataset: str = typer.Option(
        "", help=t("ask without a grant (will be refused and recorded)", "无授权请求（将被拒绝并留痕）")
    ),
    purpose: str = typer.Option("", help=t("purpose, with --dataset", "用途，配合 --dataset")),
    field: list[str] = typer.Option([], help=t("only these fields", "仅这些字段")),
    row: list[str] = typer.Option([], help=t("row filter field=value", "行条件 字段=值")),
    operator: str = typer.Option("", help=t("pseudonym of the operator", "经办人假名")),
    nonce: str = typer.Option(
        "", help=t("32 bytes in hex: the same nonce resumes the same exchange", "32 字节十六进制：相同即续传")
    ),
    output: Path | None = typer.Option(
        None, "--output", "-o", help=t("file to write (default: standard output)", "输出文件（默认标准输出）")
    ),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Payload to the file, receipt to the terminal; a file is put in place only when the receipt is complete."""
    if not grant and not dataset:
        raise InvalidInputError(
            "input.grant", t("a grant id is needed", "需要授权标识"), hint="civicledger grant list --state active"
        )
    if as_json and output is None:
        raise InvalidInputError(
            "input.output", t("--json needs --output FILE for the payload", "--json 需要 --output 指定数据文件")
        )
    with connect(node) as connection:
        query = _query(connection, grant, field, row)
        wanted = pb.PullRequest(
            grant=grant_id(connection, grant) if grant else b"",
            nonce=hex32(nonce, "nonce") if nonce else b"",
            query=query,
            operator_pseudonym=operator,
            dataset=dataset_id(connection, dataset) if dataset else b"",
            purpose=purpose,
        )
        if output is None:
            receipt = _receive(connection, wanted, sys.stdout.buffer)
        else:
            if output.is_dir():
                raise InvalidInputError("input.output", t(f"{output} is a folder", f"{output} 是目录"))
            part = output.with_name(output.name + ".part")
            try:
                with part.open("wb") as file:
                    receipt = _receive(connection, wanted, file)
                part.replace(output)
            finally:
                part.unlink(missing_ok=True)
    value = {
        "exchange": receipt.exchange,
        "state": receipt.state,
        "log_index": receipt.log_index,
        "receipt": json.loads(receipt.receipt),
    }
    if as_json:
        print_json(value)
    else:
        err.print(
            t(
                f"receipt {receipt.exchange.hex()} ({receipt.state}), record {receipt.log_index} of the own log",
                f"回执 {receipt.exchange.hex()}（{receipt.state}），本部门日志第 {receipt.log_index} 条",
            )
        )


def _query(connection: Connection, grant: str, fields: list[str], rows: list[str]) -> bytes:
    """The query as canonical bytes; empty asks for the whole scope. Rows alone keep the grant's fields."""
    if not fields and not rows:
        return b""
    if not fields:
        stub = connection.stub(rpc.GrantServiceStub)
        found = stub.Get(pb.GetGrantRequest(id=grant_id(connection, grant)), timeout=CALL_TIMEOUT)
        if not found.scope:
            raise InvalidInputError(
                "input.fields",
                t("this node does not hold the grant's scope", "本节点没有该授权的范围文件"),
                hint=t("name the fields with --field", "请用 --field 指定字段"),
            )
        fields = json.loads(found.scope)["fields"]
    return encode({"fields": sorted(set(fields)), "rows": row_conditions(rows)})


def _receive(connection: Connection, wanted: pb.PullRequest, file: BinaryIO) -> Any:
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeElapsedColumn(),
        console=err,
    )
    with bar:
        task = bar.add_task(t("receiving", "接收中"), total=None)
        for message in connection.stub(rpc.ExchangeServiceStub).Pull(wanted, timeout=600):
            if message.WhichOneof("part") == "receipt":
                return message.receipt
            file.write(message.chunk)
            bar.advance(task, len(message.chunk))
    raise UnavailableError(
        "exchange.cut",
        t("the stream ended without a receipt", "数据流结束但没有回执"),
        hint=t("repeat with the same --nonce", "用相同的 --nonce 重试"),
    )


@app.command(
    "list",
    help=t(
        "Exchanges in the own log, or (auditors, supervisor) who used a dataset, across departments, with proofs.\n\n"
        "Example: civicledger exchange list --dataset DATASET --across",
        "本部门的共享记录；审计方、监管方可跨部门查询谁用过某数据资源并附证明。\n\n例：civicledger exchange list --dataset DATASET --across",
    ),
)
def list_(
    dataset: str = typer.Option("", help=t("dataset id", "数据资源标识")),
    grant: str = typer.Option("", help=t("grant id", "授权标识")),
    across: bool = typer.Option(False, "--across", help=t("ask every department's node", "询问每个部门的节点")),
    member: str = typer.Option("", help=t("ask this member's node", "询问指定成员的节点")),
    trail: bool = typer.Option(
        False, "--trail", help=t("every record that names it, own trails too", "所有相关记录，含各部门自己的审计记录")
    ),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Rows of exchange.* and access.refused records with their inclusion proofs, checked here."""
    from node.cli.audit import EVERYTHING, USES, ask

    with connect(node) as connection:
        if across:
            targets = connection.members()
        else:
            targets = [resolve_member(connection, member) if member else connection.member]
        answer = ask(
            connection,
            targets,
            dataset=dataset_id(connection, dataset) if dataset else b"",
            grant=grant_id(connection, grant) if grant else b"",
            types=EVERYTHING if trail else USES,
        )
        handles = {m.uscc: m.handle for m in list_members(connection)}
    if as_json:
        print_json(answer.to_dict())
        return
    table(
        t("Uses", "使用记录"),
        [
            t("log", "日志"),
            "#",
            t("time", "时间"),
            t("type", "类型"),
            t("with", "对方"),
            t("purpose", "用途"),
            t("grant", "授权"),
            t("proof", "证明"),
        ],
        [
            (
                handles.get(row.member, row.member),
                row.index,
                row.record["time"],
                row.record["type"],
                handles.get(row.record["body"].get("counterpart", ""), ""),
                row.record["body"].get("purpose", row.record["body"].get("code", "")),
                str(row.record["body"].get("grant", ""))[:SHORT],
                t("verified", "已验证") if row.proven else t("none", "无"),
            )
            for row in answer.rows
        ],
    )
    facts(
        t("Answer", "答复"),
        {
            t("departments asked", "已询问部门"): len(targets),
            t("not answering", "未答复"): ", ".join(f"{handles.get(m, m)} ({code})" for m, code in answer.absent)
            or t("none", "无"),
            t("with more than shown", "尚有更多"): ", ".join(handles.get(m, m) for m in answer.cut) or t("none", "无"),
            t("rows", "行数"): len(answer.rows),
            t("proofs verified", "已验证证明"): sum(row.proven for row in answer.rows),
        },
    )
