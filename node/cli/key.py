"""``civicledger key``: the keys of a member."""

from __future__ import annotations

from pathlib import Path

import typer

from ledger.v1 import department_pb2 as pb
from ledger.v1 import department_pb2_grpc as rpc
from node.cli.connect import CALL_TIMEOUT, JsonOption, NodeOption, connect, resolve_member
from node.cli.groups import SAYS
from node.cli.output import out, print_json, table
from node.cli.texts import t

app = typer.Typer(help=SAYS["key"], no_args_is_help=True)


@app.command("list", help=t("Keys with their roles and validity.", "列出密钥及其用途和有效期。"))
def list_(
    member: str = typer.Option("", help=t("USCC or handle (default: the own)", "代码或代号（默认本部门）")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """As the chain has them: ended keys too."""
    with connect(node) as connection:
        wanted = resolve_member(connection, member) if member else ""
        keys = connection.stub(rpc.KeyServiceStub).List(pb.ListKeysRequest(member=wanted), timeout=CALL_TIMEOUT).keys
    rows = [(k.role, k.material.hex(), k.status, k.valid_from, k.valid_to, k.ended_at) for k in keys]
    names = ["role", "material", "status", "valid_from", "valid_to", "ended_at"]
    if as_json:
        print_json({"keys": [dict(zip(names, row, strict=True)) for row in rows]})
    else:
        table(t("Keys", "密钥"), [t("role", "用途"), t("material", "公钥"), t("status", "状态"), *names[3:]], rows)


@app.command(
    help=t(
        "Make a new key for a role; the old one ends, history stays verifiable.\n\nExample: civicledger key rotate receipt",
        "为某用途更换密钥；旧密钥终止，历史仍可验证。\n\n例：civicledger key rotate receipt",
    )
)
def rotate(
    role: str = typer.Argument(..., help="account | sequencer | tls | log | witness | receipt | issuer"),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """The node makes the key, proves it on chain and starts to use it."""
    with connect(node) as connection:
        answer = connection.stub(rpc.KeyServiceStub).Rotate(pb.RotateKeyRequest(role=role), timeout=CALL_TIMEOUT)
    if as_json:
        print_json({"role": answer.key.role, "material": answer.key.material, "height": answer.transaction.height})
    else:
        out.print(
            t(
                f"new {answer.key.role} key {answer.key.material.hex()}",
                f"新的 {answer.key.role} 密钥 {answer.key.material.hex()}",
            )
        )
