"""``civicledger grant``: permissions with purpose, scope and expiry."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import typer

from ledger.codec import encode
from ledger.v1 import department_pb2 as pb
from ledger.v1 import department_pb2_grpc as rpc
from node.cli.connect import (
    CALL_TIMEOUT,
    DatasetArgument,
    GrantArgument,
    JsonOption,
    NodeOption,
    connect,
    dataset_id,
    every,
    grant_id,
    resolve_member,
    row_conditions,
)
from node.cli.groups import SAYS
from node.cli.inputs import MAX_NUMBER
from node.cli.output import facts, out, print_json, table
from node.cli.texts import t

app = typer.Typer(help=SAYS["grant"], no_args_is_help=True)
_DAY = 86_400


@app.command(
    help=t(
        "Ask for a grant.\n\nExample: civicledger grant request DATASET --purpose address-check --matter 'moving in' "
        "--field code --field name --days 30 --uses 100",
        "申请授权。\n\n例：civicledger grant request DATASET --purpose address-check --matter 迁入登记 --field code --days 30 --uses 100",
    )
)
def request(
    dataset: str = DatasetArgument,
    purpose: str = typer.Option(..., help=t("purpose code", "用途代码")),
    matter: str = typer.Option(..., help=t("matter it serves (事项)", "服务的事项")),
    field: list[str] = typer.Option(..., help=t("a field needed (repeat)", "所需字段（可重复）")),
    row: list[str] = typer.Option([], help=t("row filter field=value (repeat)", "行条件 字段=值（可重复）")),
    days: int = typer.Option(30, min=1, max=3650, help=t("valid for so many days", "有效天数")),
    uses: int = typer.Option(..., min=1, max=MAX_NUMBER, help=t("use ceiling", "使用次数上限")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """An absent constraint never means unlimited: purpose, fields, validity and ceiling are required."""
    scope = encode({"fields": sorted(set(field)), "rows": row_conditions(row)})
    with connect(node) as connection:
        answer = connection.stub(rpc.GrantServiceStub).Request(
            pb.RequestGrantRequest(
                dataset=dataset_id(connection, dataset),
                purpose=purpose,
                matter=matter,
                scope=scope,
                ceiling=uses,
                valid_until=int(time.time()) + days * _DAY,
            ),
            timeout=CALL_TIMEOUT,
        )
    _print(answer, as_json)


@app.command(
    help=t(
        "Approve a grant (as provider, or as supervisor for 重要/核心 data).",
        "批准授权（提供方；重要、核心数据还需监管方）。",
    )
)
def approve(grant: str = GrantArgument, node: Path | None = NodeOption, as_json: bool = JsonOption) -> None:
    """One approval of those its level needs."""
    with connect(node) as connection:
        answer = connection.stub(rpc.GrantServiceStub).Approve(
            pb.ApproveGrantRequest(id=grant_id(connection, grant)), timeout=CALL_TIMEOUT
        )
    _print(answer, as_json)


@app.command(help=t("Refuse a grant with a reason code and text.", "拒绝授权，须给出理由代码和说明。"))
def refuse(
    grant: str = GrantArgument,
    reason: int = typer.Option(..., min=1, max=255, help=t("reason code (docs/formats.md)", "理由代码")),
    text: str = typer.Option(..., help=t("reason in words (its digest goes on chain)", "理由说明（摘要上链）")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """A refusal ends the request."""
    with connect(node) as connection:
        answer = connection.stub(rpc.GrantServiceStub).Refuse(
            pb.RefuseGrantRequest(id=grant_id(connection, grant), reason=reason, text=text), timeout=CALL_TIMEOUT
        )
    _print(answer, as_json)


@app.command(help=t("Revoke an active grant.", "撤销有效授权。"))
def revoke(
    grant: str = GrantArgument,
    reason: int = typer.Option(..., min=1, max=255, help=t("reason code", "理由代码")),
    text: str = typer.Option(..., help=t("reason in words", "理由说明")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """From the next block on no use is possible."""
    with connect(node) as connection:
        answer = connection.stub(rpc.GrantServiceStub).Revoke(
            pb.RevokeGrantRequest(id=grant_id(connection, grant), reason=reason, text=text), timeout=CALL_TIMEOUT
        )
    _print(answer, as_json)


@app.command(
    "list", help=t("Grants by provider, consumer, dataset or state.", "按提供方、使用方、数据资源、状态列出授权。")
)
def list_(
    provider: str = typer.Option("", help=t("USCC or handle", "代码或代号")),
    consumer: str = typer.Option("", help=t("USCC or handle", "代码或代号")),
    dataset: str = typer.Option("", help=t("dataset id", "数据资源标识")),
    state: str = typer.Option("", help="requested | active | refused | revoked | suspended | expired"),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Every page."""
    with connect(node) as connection:
        wanted = pb.ListGrantsRequest(
            provider=resolve_member(connection, provider) if provider else "",
            consumer=resolve_member(connection, consumer) if consumer else "",
            dataset=dataset_id(connection, dataset) if dataset else b"",
            state=state,
        )
        stub = connection.stub(rpc.GrantServiceStub)
        found = list(every(stub.List, wanted, "grants"))
    if as_json:
        print_json({"grants": [describe(grant) for grant in found]})
        return
    table(
        t("Grants", "授权"),
        [
            "id",
            t("provider", "提供方"),
            t("consumer", "使用方"),
            t("purpose", "用途"),
            t("state", "状态"),
            t("used", "已用"),
            t("missing", "待批准"),
        ],
        [
            (
                g.id,
                g.provider,
                g.consumer,
                g.purpose,
                g.state,
                f"{g.used}/{g.ceiling}",
                ", ".join(g.missing_approvals),
            )
            for g in found
        ],
    )


@app.command(help=t("One grant.", "查看一项授权。"))
def show(grant: str = GrantArgument, node: Path | None = NodeOption, as_json: bool = JsonOption) -> None:
    """State, scope digest, ceiling and what is still missing."""
    with connect(node) as connection:
        found = connection.stub(rpc.GrantServiceStub).Get(
            pb.GetGrantRequest(id=grant_id(connection, grant)), timeout=CALL_TIMEOUT
        )
    if as_json:
        print_json(describe(found))
    else:
        facts(t("Grant", "授权"), describe(found))


def describe(grant: Any) -> dict[str, Any]:
    """A grant message as plain data."""
    return {
        "id": grant.id,
        "state": grant.state,
        "dataset": grant.dataset,
        "provider": grant.provider,
        "consumer": grant.consumer,
        "purpose": grant.purpose,
        "matter": grant.matter,
        "ceiling": grant.ceiling,
        "used": grant.used,
        "valid_until": grant.valid_until,
        "deadline": grant.deadline,
        "overdue": grant.overdue,
        "missing_approvals": list(grant.missing_approvals),
        "refusal_reason": grant.refusal_reason,
        "scope_digest": grant.scope_digest,
        "odrl_digest": grant.odrl_digest,
    }


def _print(answer: Any, as_json: bool) -> None:
    value = describe(answer.grant)
    if as_json:
        print_json({"grant": value, "height": answer.transaction.height})
        return
    out.print(t("grant ", "授权 ") + f"{answer.grant.id.hex()}: {answer.grant.state}")
    if answer.grant.missing_approvals:
        out.print(t("  still needed: ", "  尚需：") + ", ".join(answer.grant.missing_approvals))
