"""``civicledger key``: the keys of a member."""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path

import typer

from ledger.v1 import department_pb2 as pb
from ledger.v1 import department_pb2_grpc as rpc
from node.cli.connect import CALL_TIMEOUT, JsonOption, NodeOption, connect, hex32, node_folder, resolve_member
from node.cli.groups import SAYS
from node.cli.output import out, print_json, table
from node.cli.propose import moment
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
    role: str = typer.Argument(..., help="account | sequencer | consensus | tls | log | witness | receipt | issuer"),
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


@app.command(
    help=t(
        "End a key of the own member without a successor, or declare since when it was in other hands.\n\n"
        "A key of a role that needs one (account, consensus of a validator) is rotated instead: civicledger key rotate.\n\n"
        "Examples: civicledger key end 0f3c…\n\n          civicledger key end 0f3c… --compromised-since 2026-01-31T08:00:00Z",
        "终止本部门的一个密钥（无后继），或声明其何时起泄露。\n\n"
        "账户密钥和验证者的共识密钥只能更换：civicledger key rotate。\n\n"
        "例：civicledger key end 0f3c…\n\n    civicledger key end 0f3c… --compromised-since 2026-01-31T08:00:00Z",
    )
)
def end(
    material: str = typer.Argument(
        ..., help=t("as `civicledger key list --json` shows it", "见 `civicledger key list --json`")
    ),
    compromised_since: str = typer.Option(
        "",
        "--compromised-since",
        help=t(
            "UTC; what was signed after it counts no longer (2026-01-31T08:00:00Z)",
            "UTC 时间，此后的签名不再有效（2026-01-31T08:00:00Z）",
        ),
    ),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """The time of a compromise may be moved earlier later on, never later."""
    since = moment(compromised_since) if compromised_since else 0
    request = pb.EndKeyRequest(material=hex32(material, "MATERIAL"), compromised=bool(since), since=since)
    with connect(node) as connection:
        result = connection.stub(rpc.KeyServiceStub).End(request, timeout=CALL_TIMEOUT)
    if as_json:
        print_json({"material": request.material, "height": result.height})
    else:
        out.print(t(f"ended in block {result.height}", f"已在区块 {result.height} 终止"))


@app.command(
    "new-account",
    help=t(
        "Make a new account key where the old one is lost; prints the card for `member propose replace-account`.\n\n"
        "The node takes the key up by itself when the members have voted.\n\n"
        "Example: civicledger key new-account > account.card.json",
        "账户密钥丢失时生成新密钥；输出供 `member propose replace-account` 使用的名片。\n\n表决通过后节点自动启用。\n\n"
        "例：civicledger key new-account > account.card.json",
    ),
)
def new_account(node: Path | None = NodeOption) -> None:
    """The node may run meanwhile; run again, it prints the same card."""
    from node.joining import new_account_card

    now_ms = time.time_ns() // 1_000_000
    print_json(new_account_card(node_folder(node), secrets.token_bytes(32), now_ms, os.environ))
