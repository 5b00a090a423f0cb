"""``civicledger member``: who belongs to the city, and the votes about it."""

from __future__ import annotations

from pathlib import Path

import typer

from ledger.codec import encode
from ledger.v1 import department_pb2 as pb
from ledger.v1 import department_pb2_grpc as rpc
from node.cli.connect import CALL_TIMEOUT, JsonOption, NodeOption, connect, list_members
from node.cli.groups import SAYS
from node.cli.inputs import MAX_NUMBER, parse_json
from node.cli.output import out, print_json, table
from node.cli.texts import t

app = typer.Typer(help=SAYS["member"], no_args_is_help=True)


@app.command("list", help=t("Who belongs to the city.", "列出成员。"))
def list_(node: Path | None = NodeOption, as_json: bool = JsonOption) -> None:
    """Members at the head of the own node."""
    with connect(node) as connection:
        members = list_members(connection)
    if as_json:
        print_json(
            {
                "members": [
                    {
                        "uscc": m.uscc,
                        "handle": m.handle,
                        "name": m.name,
                        "region": m.region,
                        "status": m.status,
                        "roles": list(m.roles),
                        "origin": m.origin,
                    }
                    for m in members
                ]
            }
        )
        return
    table(
        t("Members", "成员"),
        [
            t("USCC", "统一社会信用代码"),
            t("handle", "代号"),
            t("name", "名称"),
            t("status", "状态"),
            t("roles", "角色"),
        ],
        [(m.uscc, m.handle, m.name, m.status, ", ".join(m.roles)) for m in members],
    )


@app.command(
    help=t(
        'Propose a change the members vote on.\n\nExample: civicledger member propose suspend --arguments \'{"member":"…"}\'',
        '提出一项由成员表决的变更。\n\n例：civicledger member propose suspend --arguments \'{"member":"…"}\'',
    )
)
def propose(
    kind: str = typer.Argument(
        ..., help="admit | suspend | reinstate | remove | set-role | adopt-code | approve-grant | retire-log"
    ),
    arguments: str = typer.Option(..., "--arguments", help=t("JSON object (docs/operations.md)", "JSON 对象")),
    expires: int = typer.Option(
        0, min=0, max=MAX_NUMBER, help=t("Unix seconds; 0 is seven days", "到期时间（Unix 秒），0 为七天")
    ),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Send one proposal."""
    value = parse_json(arguments, "--arguments", hint='for example {"member":"<USCC>"}')
    with connect(node) as connection:
        stub = connection.stub(rpc.MemberServiceStub)
        answer = stub.Propose(
            pb.ProposeRequest(kind=kind, arguments=encode(value), expires=expires), timeout=CALL_TIMEOUT
        )
    if as_json:
        print_json(
            {"proposal": answer.proposal, "transaction": answer.transaction.hash, "height": answer.transaction.height}
        )
    else:
        out.print(t(f"proposal {answer.proposal} is open", f"提案 {answer.proposal} 已提交"))


@app.command(help=t("Vote on a proposal.", "对提案投票。"))
def vote(
    proposal: int = typer.Argument(..., min=1, max=MAX_NUMBER, help=t("number of the proposal", "提案编号")),
    yes: bool = typer.Option(..., "--yes/--no", help=t("your vote", "赞成或反对")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Cast this member's one vote."""
    with connect(node) as connection:
        stub = connection.stub(rpc.MemberServiceStub)
        result = stub.Vote(pb.VoteRequest(proposal=proposal, yes=yes), timeout=CALL_TIMEOUT)
    if as_json:
        print_json({"proposal": proposal, "transaction": result.hash, "height": result.height})
    else:
        out.print(t(f"voted in block {result.height}", f"已在区块 {result.height} 投票"))


@app.command(help=t("Open and ended proposals.", "提案列表。"))
def proposals(node: Path | None = NodeOption, as_json: bool = JsonOption) -> None:
    """Every proposal with its votes."""
    with connect(node) as connection:
        found = connection.stub(rpc.MemberServiceStub).ListProposals(pb.ListProposalsRequest(), timeout=CALL_TIMEOUT)
    rows = [(p.id, p.kind, p.proposer, f"{p.yes}/{p.no}", p.active, p.state) for p in found.proposals]
    names = ["id", "kind", "proposer", "yes/no", "active", "state"]
    if as_json:
        print_json({"proposals": [dict(zip(names, row, strict=True)) for row in rows]})
    else:
        table(t("Proposals", "提案"), names, rows)
