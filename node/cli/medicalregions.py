"""``civicledger medical institution|range|agreement``: what health commissions decide for their regions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from ledger.identifiers import parse_region
from ledger.v1 import medicalrules_pb2 as pb
from ledger.v1 import medicalrules_pb2_grpc as rpc
from node.cli.connect import CALL_TIMEOUT, JsonOption, NodeOption, connect, resolve_member
from node.cli.days import begin_of, end_of, when
from node.cli.medicaladopt import ReasonOption, RegionOption
from node.cli.medicalgroup import app
from node.cli.output import out, print_json, table
from node.cli.texts import t

institutions = typer.Typer(
    help=t("Hospitals and their levels: set, list (医疗机构).", "医疗机构及其等级：登记、列出。"), no_args_is_help=True
)
ranges = typer.Typer(
    help=t(
        "Label ranges and their quality bodies: open, end, list (互认范围).", "互认范围及质评机构：开设、终止、列出。"
    ),
    no_args_is_help=True,
)
agreements = typer.Typer(
    help=t("Agreements of regions: propose, accept, end, list (地区互认).", "地区互认协议：提出、接受、终止、列出。"),
    no_args_is_help=True,
)
app.add_typer(institutions, name="institution")
app.add_typer(ranges, name="range")
app.add_typer(agreements, name="agreement")

NumberArgument = typer.Argument(..., min=1, max=2**31, help=t("number of the agreement", "协议号"))
RangeArgument = typer.Argument(..., help=t("code of the range", "范围代码"))
SPAN_STATES = {
    "to-come": t("to come", "未生效"),
    "in-force": t("in force", "有效"),
    "over": t("over", "已终止"),
}
_AGREEMENT_STATES = {
    "proposed": t("proposed", "待接受"),
    "in-force": t("in force", "有效"),
    "ended": t("ended", "已终止"),
    "refused": t("refused", "未达成"),
}


@institutions.command(
    "set",
    help=t(
        "Enter a hospital of one's region with its level (1 to 3), change it, or take it off (0). A health commission does.\n\n"
        "Example: civicledger medical institution set east 3",
        "登记本地区医疗机构及等级（1 至 3），变更，或以 0 除名。由卫生健康主管部门办理。\n\n"
        "例：civicledger medical institution set east 3",
    ),
)
def set_institution(
    member: str = typer.Argument(..., help=t("USCC or handle of the hospital", "医疗机构的统一社会信用代码或代号")),
    level: int = typer.Argument(..., min=0, max=3, help=t("1 to 3; 0 takes it off", "1 至 3；0 为除名")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """The member needs the role hospital."""
    with connect(node) as connection:
        answer = connection.stub(rpc.MedicalRulesServiceStub).SetInstitution(
            pb.SetInstitutionRequest(member=resolve_member(connection, member), level=level), timeout=CALL_TIMEOUT
        )
    found = answer.institution
    if as_json:
        print_json(describe_institution(found))
    else:
        words = t(f"{found.member}: level {level} in {found.region}", f"{found.member}：{found.region} {level} 级")
        out.print(words, markup=False)


@institutions.command(
    "list",
    help=t(
        "Hospitals with their level and region.\n\nExample: civicledger medical institution list",
        "列出医疗机构及其等级、地区。\n\n例：civicledger medical institution list",
    ),
)
def list_institutions(region: str = RegionOption, node: Path | None = NodeOption, as_json: bool = JsonOption) -> None:
    """Those taken off included, with level 0."""
    request = pb.ListInstitutionsRequest(region=parse_region(region) if region else "")
    with connect(node) as connection:
        found = (
            connection.stub(rpc.MedicalRulesServiceStub).ListInstitutions(request, timeout=CALL_TIMEOUT).institutions
        )
    if as_json:
        print_json({"institutions": [describe_institution(item) for item in found]})
        return
    table(
        t("Institutions", "医疗机构"),
        [t("member", "机构"), t("region", "地区"), t("level", "等级"), t("active", "有效"), t("since", "登记时间")],
        [
            (
                item.member,
                item.region,
                item.level,
                t("yes", "是") if item.active else t("no", "否"),
                when(item.changed_at),
            )
            for item in found
        ],
    )


@ranges.command(
    "open",
    help=t(
        "Open a label range, and name the quality body whose results give the label. A health commission does.\n\n"
        "Example: civicledger medical range open city-hr 沪HR quality",
        "开设互认范围，并指定据其评价结果标识的质评机构。由卫生健康主管部门办理。\n\n"
        "例：civicledger medical range open city-hr 沪HR quality",
    ),
)
def open_range(
    code: str = typer.Argument(..., help=t("code, as in the rules, e.g. cn-hr", "代码，与规则一致，如 cn-hr")),
    label: str = typer.Argument(..., help=t("label as it is printed, e.g. 全国HR", "标识文字，如 全国HR")),
    quality: str = typer.Argument(
        ..., help=t("USCC or handle of the quality body", "质评机构的统一社会信用代码或代号")
    ),
    since: str = typer.Option(
        "", "--from", help=t("first day, may lie in the past (default: now)", "首日，可为过去（默认即刻）")
    ),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """A code never comes back."""
    with connect(node) as connection:
        answer = connection.stub(rpc.MedicalRulesServiceStub).OpenRange(
            pb.OpenRangeRequest(
                code=code, label=label, quality=resolve_member(connection, quality), valid_from=begin_of(since)
            ),
            timeout=CALL_TIMEOUT,
        )
    _print_range(answer.range, as_json, t("open: ", "已开设 "))


@ranges.command(
    "end",
    help=t(
        "End a label range now, or shorten it. What was labelled before stays as it was.\n\n"
        "Example: civicledger medical range end city-hr --reason 'new quality centre'",
        "即刻终止或缩短互认范围，此前的标识不变。\n\n例：civicledger medical range end city-hr --reason 更换质评机构",
    ),
)
def end_range(
    code: str = RangeArgument,
    reason: str = ReasonOption,
    until: str = typer.Option("", help=t("last day (default: now)", "末日（默认即刻）")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """An end moves earlier only."""
    with connect(node) as connection:
        answer = connection.stub(rpc.MedicalRulesServiceStub).EndRange(
            pb.EndRangeRequest(code=code, reason=reason, valid_until=end_of(until)), timeout=CALL_TIMEOUT
        )
    _print_range(answer.range, as_json, t("ended: ", "已终止 "))


@ranges.command(
    "list",
    help=t(
        "Label ranges with their quality bodies.\n\nExample: civicledger medical range list --json",
        "列出互认范围及质评机构。\n\n例：civicledger medical range list --json",
    ),
)
def list_ranges(node: Path | None = NodeOption, as_json: bool = JsonOption) -> None:
    """Ended ones included."""
    with connect(node) as connection:
        found = (
            connection.stub(rpc.MedicalRulesServiceStub).ListRanges(pb.ListRangesRequest(), timeout=CALL_TIMEOUT).ranges
        )
    if as_json:
        print_json({"ranges": [describe_range(item) for item in found]})
        return
    table(
        t("Label ranges", "互认范围"),
        [
            t("code", "代码"),
            t("label", "标识"),
            t("quality body", "质评机构"),
            t("region", "地区"),
            t("state", "状态"),
            t("from", "起"),
            t("until", "止"),
        ],
        [
            (
                item.code,
                item.label,
                item.quality,
                item.region,
                SPAN_STATES.get(item.state, item.state),
                when(item.valid_from),
                when(item.valid_until),
            )
            for item in found
        ],
    )


@agreements.command(
    help=t(
        "Propose to another region that each counts the other's label of a range, for some items.\n\n"
        "Examples: civicledger medical agreement propose city-hr 440100 --item wbc --item glucose\n\n"
        "          civicledger medical agreement propose city-hr 440100 --items items.txt",
        "向另一地区提议：就若干项目相互认可某范围的标识。\n\n"
        "例：civicledger medical agreement propose city-hr 440100 --item wbc --item glucose\n\n"
        "    civicledger medical agreement propose city-hr 440100 --items items.txt",
    )
)
def propose(
    code: str = RangeArgument,
    other: str = typer.Argument(..., help=t("region to agree with, six digits", "对方地区，六位代码")),
    item: list[str] = typer.Option([], "--item", help=t("item of the rules; repeat", "规则中的项目，可重复")),
    items: Path | None = typer.Option(None, "--items", help=t("file with an item a line", "每行一个项目的文件")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """It holds when the other region's commission accepts."""
    listed = [*item, *(items.read_text("utf-8", errors="replace").split() if items else [])]
    with connect(node) as connection:
        answer = connection.stub(rpc.MedicalRulesServiceStub).ProposeAgreement(
            pb.ProposeAgreementRequest(range=code, other=parse_region(other), items=listed), timeout=CALL_TIMEOUT
        )
    _print_agreement(answer.agreement, as_json, t("proposed: ", "已提出 "))


@agreements.command(
    help=t(
        "Accept another region's proposal: it holds from now on.\n\nExample: civicledger medical agreement accept 1",
        "接受另一地区的提议，即刻生效。\n\n例：civicledger medical agreement accept 1",
    )
)
def accept(number: int = NumberArgument, node: Path | None = NodeOption, as_json: bool = JsonOption) -> None:
    """The commission of the region that was asked does."""
    with connect(node) as connection:
        answer = connection.stub(rpc.MedicalRulesServiceStub).AcceptAgreement(
            pb.AcceptAgreementRequest(number=number), timeout=CALL_TIMEOUT
        )
    _print_agreement(answer.agreement, as_json, t("accepted: ", "已接受 "))


@agreements.command(
    help=t(
        "End an agreement, refuse a proposal, or take it back.\n\n"
        "Example: civicledger medical agreement end 1 --reason 'label withdrawn'",
        "终止协议、拒绝提议或撤回提议。\n\n例：civicledger medical agreement end 1 --reason 标识取消",
    )
)
def end(
    number: int = NumberArgument, reason: str = ReasonOption, node: Path | None = NodeOption, as_json: bool = JsonOption
) -> None:
    """Either region's commission does."""
    with connect(node) as connection:
        answer = connection.stub(rpc.MedicalRulesServiceStub).EndAgreement(
            pb.EndAgreementRequest(number=number, reason=reason), timeout=CALL_TIMEOUT
        )
    _print_agreement(answer.agreement, as_json, t("ended: ", "已终止 "))


@agreements.command(
    "list",
    help=t(
        "Agreements of regions.\n\nExample: civicledger medical agreement list",
        "列出地区互认协议。\n\n例：civicledger medical agreement list",
    ),
)
def list_agreements(node: Path | None = NodeOption, as_json: bool = JsonOption) -> None:
    """Ended and refused ones included."""
    with connect(node) as connection:
        stub = connection.stub(rpc.MedicalRulesServiceStub)
        found = stub.ListAgreements(pb.ListAgreementsRequest(), timeout=CALL_TIMEOUT).agreements
    if as_json:
        print_json({"agreements": [describe_agreement(item) for item in found]})
        return
    table(
        t("Agreements of regions", "地区互认协议"),
        [
            "#",
            t("range", "范围"),
            t("regions", "地区"),
            t("items", "项目数"),
            t("state", "状态"),
            t("accepted", "接受时间"),
            t("ended", "终止时间"),
        ],
        [
            (
                item.number,
                item.range,
                f"{item.region} – {item.other}",
                len(item.items),
                _AGREEMENT_STATES.get(item.state, item.state),
                when(item.accepted_at),
                when(item.ended_at),
            )
            for item in found
        ],
    )


def describe_institution(item: Any) -> dict[str, Any]:
    """An institution as plain data."""
    return {
        "member": item.member,
        "region": item.region,
        "level": item.level,
        "active": item.active,
        "changed_at": item.changed_at,
        "by": item.by,
    }


def describe_range(item: Any) -> dict[str, Any]:
    """A label range as plain data."""
    return {
        "code": item.code,
        "label": item.label,
        "quality": item.quality,
        "region": item.region,
        "state": item.state,
        "valid_from": item.valid_from,
        "valid_until": item.valid_until,
        "opened_at": item.opened_at,
        "by": item.by,
    }


def describe_agreement(item: Any) -> dict[str, Any]:
    """An agreement as plain data."""
    return {
        "number": item.number,
        "range": item.range,
        "region": item.region,
        "other": item.other,
        "items": list(item.items),
        "state": item.state,
        "proposed_at": item.proposed_at,
        "accepted_at": item.accepted_at,
        "ended_at": item.ended_at,
        "proposed_by": item.proposed_by,
        "accepted_by": item.accepted_by,
        "ended_by": item.ended_by,
    }


def _print_range(found: Any, as_json: bool, done: str) -> None:
    if as_json:
        print_json(describe_range(found))
        return
    until = when(found.valid_until) or t("open", "不限")
    out.print(f"{done}{found.code} {found.label}, {when(found.valid_from)} – {until}", markup=False)


def _print_agreement(found: Any, as_json: bool, done: str) -> None:
    if as_json:
        print_json(describe_agreement(found))
        return
    count = t(f"{len(found.items)} items", f"{len(found.items)} 个项目")
    out.print(f"{done}#{found.number} {found.range} {found.region} – {found.other}, {count}", markup=False)
