"""``civicledger member``: who belongs to the city, and the votes about it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from ledger.errors import NotFoundError
from ledger.model import format_time
from ledger.v1 import department_pb2 as pb
from ledger.v1 import department_pb2_grpc as rpc
from ledger.v1 import types_pb2 as types
from node.cli import propose
from node.cli.connect import (
    CALL_TIMEOUT,
    Connection,
    JsonOption,
    NodeOption,
    connect,
    list_members,
    node_folder,
    resolve_member,
)
from node.cli.contractcode import code_hash, read_code, shipped_code
from node.cli.groups import SAYS
from node.cli.inputs import MAX_NUMBER
from node.cli.output import facts, out, print_json, table
from node.cli.texts import t
from node.cli.votes import in_words, proposal_value, standing
from node.config import load_config

app = typer.Typer(help=SAYS["member"], no_args_is_help=True)
app.add_typer(propose.app, name="propose")
_NUMBER = typer.Argument(..., min=1, max=MAX_NUMBER, help=t("number of the proposal", "提案编号"))


@app.command("list", help=t("Who belongs to the city.", "列出成员。"))
def list_(node: Path | None = NodeOption, as_json: bool = JsonOption) -> None:
    """Members at the head of the own node."""
    with connect(node) as connection:
        members = list_members(connection)
    if as_json:
        print_json({"members": [_value(m) for m in members]})
        return
    table(
        t("Members", "成员"),
        [
            t("USCC", "统一社会信用代码"),
            t("handle", "代号"),
            t("name", "名称"),
            t("status", "状态"),
            t("roles", "角色"),
            t("validator", "验证者"),
        ],
        [(m.uscc, m.handle, m.name, m.status, ", ".join(m.roles), m.validator) for m in members],
    )


def _value(member: types.Member) -> dict[str, Any]:
    return {
        "uscc": member.uscc,
        "handle": member.handle,
        "name": member.name,
        "region": member.region,
        "status": member.status,
        "roles": list(member.roles),
        "origin": member.origin,
        "validator": member.validator,
    }


@app.command(
    help=t(
        "One member: status, roles, account, log, and the open proposals about it.\n\nExample: civicledger member show transport",
        "查看一个成员：状态、角色、账户、日志以及涉及它的提案。\n\n例：civicledger member show transport",
    )
)
def show(
    member: str = typer.Argument(..., help=t("USCC or handle", "统一社会信用代码或代号")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """As the chain has it at the head of the own node."""
    with connect(node) as connection:
        uscc = resolve_member(connection, member)
        found = next((one for one in list_members(connection) if one.uscc == uscc), None)
        if found is None:
            raise NotFoundError(
                "member.unknown",
                t(f"{uscc} was never a member", f"{uscc} 从未是成员"),
                hint="civicledger member list",
            )
        keys = connection.stub(rpc.KeyServiceStub).List(pb.ListKeysRequest(member=uscc), timeout=CALL_TIMEOUT).keys
        about = [one for one in _proposals(connection, open_only=True) if one.target == uscc]
    counted = {role: sum(key.role == role and key.status == "active" for key in keys) for role in _roles(keys)}
    more = {
        "account": "0x" + found.account.hex(),
        "since": format_time(found.since * 1_000),
        "generation": found.generation,
        "active_keys": counted,
    }
    if as_json:
        print_json({**_value(found), **more, "proposals": [proposal_value(one) for one in about]})
        return
    facts(
        f"{found.handle}",
        {
            t("USCC", "统一社会信用代码"): found.uscc,
            t("name", "名称"): found.name,
            t("region", "行政区划"): found.region,
            t("status", "状态"): found.status,
            t("roles", "角色"): ", ".join(found.roles) or "—",
            t("validator", "验证者"): found.validator,
            t("account", "账户"): more["account"],
            t("member since", "加入时间"): more["since"],
            t("log", "日志"): t(
                f"{found.origin}, generation {found.generation}", f"{found.origin}，第 {found.generation} 代"
            ),
            t("active keys", "有效密钥"): ", ".join(f"{role} {count}" for role, count in counted.items()),
        },
    )
    for one in about:
        out.print(f"  {one.id}: {in_words(one)}; {standing(one)}", markup=False)


def _roles(keys: Sequence[types.Key]) -> list[str]:
    return list(dict.fromkeys(key.role for key in keys))


@app.command(
    help=t(
        "Vote on a proposal; the vote that carries it also carries it out.\n\nExample: civicledger member vote 3 --yes",
        "对提案投票；使其通过的一票同时执行该提案。\n\n例：civicledger member vote 3 --yes",
    )
)
def vote(
    proposal: int = _NUMBER,
    yes: bool = typer.Option(..., "--yes/--no", help=t("your vote", "赞成或反对")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Cast this member's one vote."""
    with connect(node) as connection:
        stub = connection.stub(rpc.MemberServiceStub)
        result = stub.Vote(pb.VoteRequest(proposal=proposal, yes=yes), timeout=CALL_TIMEOUT)
        [after] = _proposals(connection, proposal)
    if as_json:
        print_json({"proposal": proposal, "transaction": result.hash, "height": result.height, "state": after.state})
    else:
        out.print(
            t(f"voted in block {result.height}; ", f"已在区块 {result.height} 投票；") + standing(after), markup=False
        )


@app.command(
    help=t(
        "Carry out a proposal that has its votes, where the last vote could not (for instance too few validators then).",
        "执行已获通过的提案：用于最后一票投出时未能执行的情形（例如当时验证者过少）。",
    )
)
def execute(proposal: int = _NUMBER, node: Path | None = NodeOption, as_json: bool = JsonOption) -> None:
    """Any active member may."""
    with connect(node) as connection:
        stub = connection.stub(rpc.MemberServiceStub)
        result = stub.Execute(pb.ExecuteRequest(proposal=proposal), timeout=CALL_TIMEOUT)
    if as_json:
        print_json({"proposal": proposal, "transaction": result.hash, "height": result.height})
    else:
        out.print(t(f"carried out in block {result.height}", f"已在区块 {result.height} 执行"))


@app.command(
    help=t(
        "Proposals with their votes and what is missing; with a number one of them in full.\n\n"
        "Examples: civicledger member proposals --open\n\n          civicledger member proposals 3",
        "提案、投票情况及尚缺票数；给出编号则显示该提案详情。\n\n"
        "例：civicledger member proposals --open\n\n    civicledger member proposals 3",
    )
)
def proposals(
    proposal: int = typer.Argument(0, min=0, max=MAX_NUMBER, help=t("only this one", "仅此提案")),
    open_only: bool = typer.Option(False, "--open", help=t("only those still voted on", "仅表决中的提案")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Votes that count now: a suspended member's does not."""
    with connect(node) as connection:
        found = _proposals(connection, proposal, open_only=open_only)
        handles = {member.uscc: member.handle for member in list_members(connection)}
    if as_json:
        print_json({"proposals": [proposal_value(one) for one in found]})
        return
    if not proposal:
        table(
            t("Proposals", "提案"),
            ["", t("what", "内容"), t("proposed by", "提出者"), t("state", "状态"), t("until", "截止")],
            [
                (one.id, in_words(one, handles), handles.get(one.proposer, one.proposer), standing(one), _until(one))
                for one in found
            ],
        )
        return
    [one] = found
    votes = {True: [], False: []}
    for cast in one.votes:
        votes[cast.yes].append(handles.get(cast.member, cast.member))
    facts(
        t(f"Proposal {one.id}", f"提案 {one.id}"),
        {
            t("what", "内容"): in_words(one, handles),
            t("proposed by", "提出者"): handles.get(one.proposer, one.proposer),
            t("state", "状态"): standing(one),
            t("until", "截止"): _until(one),
            t("yes", "赞成"): ", ".join(votes[True]) or "—",
            t("no", "反对"): ", ".join(votes[False]) or "—",
            t("may still vote", "尚可投票"): ", ".join(handles.get(uscc, uscc) for uscc in one.waiting) or "—",
            t("arguments", "参数"): one.data.decode(),
        },
    )


@app.command(
    "contract-code",
    help=t(
        "Write the creation code of a contract of this software for this city: what `propose adopt-code` and `deploy` take.\n\n"
        "Example: civicledger member contract-code Licences --output licences.hex",
        "写出本软件所带合约在本市的创建代码，供 `propose adopt-code` 和 `deploy` 使用。\n\n"
        "例：civicledger member contract-code Licences --output licences.hex",
    ),
)
def contract_code(
    name: str = typer.Argument(..., help="Directory | Grants | Anchors | Licences"),
    output: Path = typer.Option(..., "--output", "-o", help=t("file to write", "输出文件")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """The same bytes at every member with this version, so that all can compare the hash before they vote."""
    code = shipped_code(name, load_config(node_folder(node)).genesis_file)
    output.write_text(code.hex() + "\n", "ascii")
    digest = code_hash(code).hex()
    if as_json:
        print_json({"file": str(output), "bytes": len(code), "hash": digest})
    else:
        out.print(t(f"wrote {output}, hash {digest}", f"已写入 {output}，哈希 {digest}"), markup=False, soft_wrap=True)


@app.command(
    help=t(
        "Make a contract from creation code the members adopted; it is in force once they vote for it.\n\n"
        "Example: civicledger member deploy anchors-2.hex",
        "用已采纳的创建代码部署合约；经表决后方才生效。\n\n例：civicledger member deploy anchors-2.hex",
    )
)
def deploy(
    file: Path = typer.Argument(..., help=t("the same file that was adopted", "与采纳时相同的文件")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """One transaction of this member's account."""
    code = read_code(file)
    with connect(node) as connection:
        made = connection.stub(rpc.MemberServiceStub).Deploy(pb.DeployRequest(code=code), timeout=CALL_TIMEOUT)
    address, digest = "0x" + made.address.hex(), made.code_hash.hex()
    if as_json:
        print_json({"address": address, "code_hash": digest, "height": made.transaction.height})
        return
    out.print(t(f"made in block {made.transaction.height}", f"已在区块 {made.transaction.height} 部署"))
    out.print(
        t("next: ", "下一步：") + f"civicledger member propose replace-contract NAME {address} {digest}",
        markup=False,
        soft_wrap=True,
    )


def _proposals(connection: Connection, proposal: int = 0, *, open_only: bool = False) -> list[types.Proposal]:
    request = pb.ListProposalsRequest(proposal=proposal, open=open_only)
    return list(connection.stub(rpc.MemberServiceStub).ListProposals(request, timeout=CALL_TIMEOUT).proposals)


def _until(one: types.Proposal) -> str:
    return format_time(one.expires * 1_000)[:16].replace("T", " ") + "Z"
