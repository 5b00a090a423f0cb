"""``civicledger medical rules adopt|list|withdraw|fetch``: which rules are in force, on the chain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from ledger.errors import InvalidInputError, UnavailableError
from ledger.identifiers import parse_region
from ledger.v1 import medicalrules_pb2 as pb
from ledger.v1 import medicalrules_pb2_grpc as rpc
from node.cli.connect import CALL_TIMEOUT, JsonOption, NodeOption, connect
from node.cli.days import begin_of, when
from node.cli.medicalgroup import rules
from node.cli.output import out, print_json, table
from node.cli.texts import t

#: Making known the items of a large rule set takes several blocks.
ADOPT_TIMEOUT = 300.0
#: What the node takes (proto/ledger/v1/medicalrules.proto).
_MAX_BYTES = 6 << 20

RegionOption = typer.Option(
    "", "--region", help=t("six digits of GB/T 2260 (default: all)", "六位行政区划代码（默认全部）")
)
ReasonOption = typer.Option(..., "--reason", help=t("in words (its digest goes on chain)", "理由说明（摘要上链）"))
RULE_STATES = {
    "planned": t("planned", "待生效"),
    "in-force": t("in force", "有效"),
    "over": t("replaced", "已被取代"),
    "withdrawn": t("withdrawn", "已撤回"),
}


@rules.command(
    help=t(
        "Adopt a rule set as the next version of the own region's rules. A health commission does. Once in force it never "
        "changes.\n\n"
        "Examples: civicledger medical rules adopt rules.json\n\n"
        "          civicledger medical rules adopt rules.json --from 2027-01-01",
        "采用规则集，作为本地区互认规则的下一版本。由卫生健康主管部门办理；生效后不可更改。\n\n"
        "例：civicledger medical rules adopt rules.json\n\n    civicledger medical rules adopt rules.json --from 2027-01-01",
    )
)
def adopt(
    file: Path = typer.Argument(..., help=t("file of the rule set", "规则集文件")),
    since: str = typer.Option("", "--from", help=t("first day in force (default: now)", "生效首日（默认即刻）")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """The node checks the file whole before anything is sent."""
    with file.open("rb") as source:
        data = source.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise InvalidInputError(
            "medical.rules-size",
            t(f"{file} is larger than {_MAX_BYTES} bytes", f"{file} 超过 {_MAX_BYTES} 字节"),
            hint=t("leave out what no institution of the region uses", "请删去本地区机构不用的内容"),
        )
    with connect(node) as connection:
        answer = connection.stub(rpc.MedicalRulesServiceStub).AdoptRules(
            pb.AdoptRulesRequest(file=data, in_force_from=begin_of(since)), timeout=ADOPT_TIMEOUT
        )
    if as_json:
        print_json(describe_rules(answer.rules) | {"items_added": answer.items_added})
        return
    found = answer.rules
    out.print(
        t(
            f"version {found.version} of the rules of {found.region}, in force from {when(found.in_force_from)}; "
            f"{answer.items_added} items are new on the chain",
            f"{found.region} 互认规则第 {found.version} 版，自 {when(found.in_force_from)} 起生效；新登记 {answer.items_added} 个项目",
        ),
        markup=False,
    )


@rules.command(
    "list",
    help=t(
        "The versions of the rules on the chain.\n\nExample: civicledger medical rules list --region 310000",
        "列出链上的互认规则版本。\n\n例：civicledger medical rules list --region 310000",
    ),
)
def list_(region: str = RegionOption, node: Path | None = NodeOption, as_json: bool = JsonOption) -> None:
    """Withdrawn and replaced ones included."""
    request = pb.ListRulesRequest(region=parse_region(region) if region else "")
    with connect(node) as connection:
        found = connection.stub(rpc.MedicalRulesServiceStub).ListRules(request, timeout=CALL_TIMEOUT).rules
    if as_json:
        print_json({"rules": [describe_rules(item) for item in found]})
        return
    table(
        t("Rules of recognition", "互认规则"),
        [
            t("region", "地区"),
            t("version", "版本"),
            t("state", "状态"),
            t("in force from", "生效时间"),
            t("by", "采用单位"),
            t("digest", "摘要"),
        ],
        [
            (
                item.region,
                item.version,
                RULE_STATES.get(item.state, item.state),
                when(item.in_force_from),
                item.by,
                item.digest,
            )
            for item in found
        ],
    )


@rules.command(
    help=t(
        "Take back a version that is not in force yet. Its number is not given again.\n\n"
        "Example: civicledger medical rules withdraw 3 --reason 'wrong window'",
        "撤回尚未生效的版本，其版本号不再使用。\n\n例：civicledger medical rules withdraw 3 --reason 时限有误",
    )
)
def withdraw(
    version: int = typer.Argument(..., min=1, help=t("version", "版本")),
    reason: str = ReasonOption,
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """One in force never changes: adopt the next instead."""
    with connect(node) as connection:
        answer = connection.stub(rpc.MedicalRulesServiceStub).WithdrawRules(
            pb.WithdrawRulesRequest(version=version, reason=reason), timeout=CALL_TIMEOUT
        )
    if as_json:
        print_json(describe_rules(answer.rules))
    else:
        out.print(t(f"withdrawn: version {version}", f"已撤回第 {version} 版"), markup=False)


@rules.command(
    help=t(
        "Write the rule set of a version, checked against its digest on the chain.\n\n"
        "Examples: civicledger medical rules fetch -o rules.json\n\n"
        "          civicledger medical rules fetch 2 --region 310000 -o rules-2.json",
        "取得某一版本的规则集，并与链上摘要核对。\n\n"
        "例：civicledger medical rules fetch -o rules.json\n\n    civicledger medical rules fetch 2 --region 310000 -o rules-2.json",
    )
)
def fetch(
    version: int = typer.Argument(0, min=0, help=t("version (default: the one in force)", "版本（默认现行版本）")),
    region: str = typer.Option("", "--region", help=t("six digits (default: one's own)", "六位代码（默认本地区）")),
    output: Path = typer.Option(..., "--output", "-o", help=t("file to write", "输出文件")),
    node: Path | None = NodeOption,
) -> None:
    """From the own node, which asks that of the commission."""
    from ledger.medical.rules import load_rules, rules_digest

    request = pb.GetRulesRequest(region=parse_region(region) if region else "", version=version)
    with connect(node) as connection:
        found = connection.stub(rpc.MedicalRulesServiceStub).GetRules(request, timeout=CALL_TIMEOUT)
    if not found.file or rules_digest(load_rules(found.file, units=False)) != found.digest:
        raise UnavailableError(
            "medical.rules-away",
            t(
                f"nobody shows version {found.version} of {found.region}",
                f"无人提供 {found.region} 第 {found.version} 版",
            ),
            hint=t(f"start the node of {found.by}, which adopted it", f"请启动采用单位 {found.by} 的节点"),
        )
    output.write_bytes(found.file)
    out.print(t(f"version {found.version} in {output}", f"第 {found.version} 版已写入 {output}"), markup=False)


def describe_rules(item: Any) -> dict[str, Any]:
    """A version of the rules as plain data."""
    return {
        "region": item.region,
        "version": item.version,
        "state": item.state,
        "digest": item.digest,
        "in_force_from": item.in_force_from,
        "adopted_at": item.adopted_at,
        "withdrawn_at": item.withdrawn_at,
        "by": item.by,
    }
