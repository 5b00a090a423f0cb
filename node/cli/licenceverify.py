"""``civicledger licence verify``: the verdict of the own node, a line for each check."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import typer
from rich.text import Text

from ledger.errors import InvalidInputError
from ledger.v1 import licences_pb2 as pb
from ledger.v1 import licences_pb2_grpc as rpc
from node.cli.connect import CALL_TIMEOUT, JsonOption, NodeOption, connect
from node.cli.licencegroup import app
from node.cli.licencewords import print_verdict
from node.cli.output import out, print_json
from node.cli.texts import t
from node.cli.walletfile import MAX_BYTES, read_wallet


@app.command(
    help=t(
        "Check a licence, a presentation or a copy by the own node's view of the chain; exit status 1 unless it can be "
        "relied on. The check is on the own trail, without anything about the holder.\n\n"
        "Examples: civicledger licence verify shown.txt      pbpaste | civicledger licence verify -",
        "以本节点所见的链核验证照、出示件或加注件；不可采信时退出码为 1。核验会记入本部门日志，不含持证人信息。\n\n"
        "例：civicledger licence verify shown.txt      pbpaste | civicledger licence verify -",
    )
)
def verify(
    licence: Path = typer.Argument(
        ..., help=t("file with it (- is standard input), or a wallet file", "证照文件（- 为标准输入）或卡包文件")
    ),
    audience: str = typer.Option("", help=t("it must be shown to this audience", "必须是向此对象出示的")),
    nonce: str = typer.Option("", help=t("it must answer this nonce", "必须回应此随机数")),
    bound: bool = typer.Option(False, "--bound", help=t("the holder's key must show it", "必须由持证人密钥出示")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """One verdict, whatever was handed over."""
    wanted = pb.VerifyLicenceRequest(
        presentation=_text(licence), audience=audience, nonce=nonce, require_binding=bound or bool(audience or nonce)
    )
    with connect(node) as connection:
        answer = connection.stub(rpc.VerifyingServiceStub).Verify(wanted, timeout=CALL_TIMEOUT)
    verdict = json.loads(answer.verdict)
    if as_json:
        print_json({**verdict, "record": {"index": answer.log_index, "salt": answer.salt.hex()}})
    else:
        _print(verdict, answer.log_index)
    if not verdict["accepted"]:
        raise typer.Exit(1)


def _text(path: Path) -> str:
    if str(path) != "-":
        return read_wallet(path).licence
    data = sys.stdin.buffer.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise InvalidInputError("input.too-large", t("the input is too large", "输入过大"), expected=MAX_BYTES)
    return data.decode("utf-8", "replace").strip()


def _print(verdict: dict[str, Any], index: int) -> None:
    print_verdict(verdict)
    view = verdict.get("view")
    if view is not None:
        age = view["age_ms"] // 1_000
        out.print(
            Text(
                t(
                    f"  chain view: block {view['height']}, {age} s old; on record as entry {index} of the own log",
                    f"  链视图：区块 {view['height']}，{age} 秒前；已记为本部门日志第 {index} 条",
                ),
                style="dim",
            )
        )
