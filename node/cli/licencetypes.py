"""``civicledger licence type``, ``accredit``, ``end-accreditation``, ``accreditations``: who may issue what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from ledger.identifiers import parse_licence_type
from ledger.licences.description import TypeDescription, encode_description
from ledger.v1 import licencetypes_pb2 as pb
from ledger.v1 import licencetypes_pb2_grpc as rpc
from node.cli.connect import CALL_TIMEOUT, JsonOption, NodeOption, connect, every, resolve_member
from node.cli.days import begin_of, end_of, when
from node.cli.licencegroup import app
from node.cli.output import facts, out, print_json, table
from node.cli.texts import t

types = typer.Typer(
    help=t("Licence types: define, withdraw, list, show (证照类型).", "证照类型：定义、停用、列出、查看。"),
    no_args_is_help=True,
)
app.add_typer(types, name="type")

CodeArgument = typer.Argument(
    ...,
    help=t(
        "type code: the 18 characters of the defining body and three digits",
        "类型代码：定义单位的 18 位统一社会信用代码加三位数字",
    ),
)
MemberArgument = typer.Argument(..., help=t("USCC or handle of the issuer", "颁发单位的统一社会信用代码或代号"))
_STATES = {
    "in-force": t("in force", "有效"),
    "to-come": t("to come", "未生效"),
    "over": t("over", "已终止"),
    "void": t("void", "未曾生效"),
}


@types.command(
    help=t(
        "Define a licence type, or describe it anew. The body in its code does; a supervisor does for a body outside the city.\n\n"
        "Example: civicledger licence type define 11310000MB2F00101U001 --title 营业执照 --title-en 'Business licence'",
        "定义证照类型或变更其名称。由代码中的单位办理；该单位不是本市成员时由主管办理。\n\n"
        "例：civicledger licence type define 11310000MB2F00101U001 --title 营业执照 --title-en 'Business licence'",
    )
)
def define(
    code: str = CodeArgument,
    title: str = typer.Option(..., help=t("its name in Chinese", "中文名称")),
    title_en: str = typer.Option(..., "--title-en", help=t("its name in English", "英文名称")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """The digest of the description goes on chain; the node keeps the file and shows it to the others."""
    description = encode_description(TypeDescription(code=parse_licence_type(code), title_zh=title, title_en=title_en))
    with connect(node) as connection:
        answer = connection.stub(rpc.LicenceTypeServiceStub).Define(
            pb.DefineLicenceTypeRequest(description=description), timeout=CALL_TIMEOUT
        )
    _print_type(answer, as_json, t("defined ", "已定义 "))


@types.command(
    help=t(
        "Withdraw a licence type for ever: nobody issues it from then on; what was issued stays verifiable.\n\n"
        "Example: civicledger licence type withdraw 11310000MB2F00101U001 --reason 'replaced by type 002'",
        "永久停用证照类型：此后不再颁发，已颁发的仍可核验。\n\n"
        "例：civicledger licence type withdraw 11310000MB2F00101U001 --reason 由类型002代替",
    )
)
def withdraw(
    code: str = CodeArgument,
    reason: str = typer.Option(..., help=t("reason in words (its digest goes on chain)", "理由说明（摘要上链）")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """It never comes back: define another."""
    with connect(node) as connection:
        answer = connection.stub(rpc.LicenceTypeServiceStub).Withdraw(
            pb.WithdrawLicenceTypeRequest(code=parse_licence_type(code), reason=reason), timeout=CALL_TIMEOUT
        )
    _print_type(answer, as_json, t("withdrawn ", "已停用 "))


@types.command("list", help=t("The licence types of the city.", "列出本市的证照类型。"))
def list_(node: Path | None = NodeOption, as_json: bool = JsonOption) -> None:
    """In order of definition, withdrawn ones included."""
    with connect(node) as connection:
        stub = connection.stub(rpc.LicenceTypeServiceStub)
        found = list(every(stub.List, pb.ListLicenceTypesRequest(), "types"))
    if as_json:
        print_json({"types": [describe_type(item) for item in found]})
        return
    table(
        t("Licence types", "证照类型"),
        [t("code", "类型代码"), t("title", "名称"), t("defined", "定义时间"), t("withdrawn", "停用时间")],
        [(item.code, _title(item), when(item.defined_at), when(item.withdrawn_at)) for item in found],
    )


@types.command(help=t("One licence type and its issuers.", "查看一个证照类型及其颁发单位。"))
def show(code: str = CodeArgument, node: Path | None = NodeOption, as_json: bool = JsonOption) -> None:
    """What the chain says of it, and who may issue it."""
    wanted = parse_licence_type(code)
    with connect(node) as connection:
        stub = connection.stub(rpc.LicenceTypeServiceStub)
        found = stub.Get(pb.GetLicenceTypeRequest(code=wanted), timeout=CALL_TIMEOUT)
        spans = stub.ListAccreditations(pb.ListAccreditationsRequest(type=wanted), timeout=CALL_TIMEOUT).accreditations
    value = describe_type(found)
    if as_json:
        print_json(value | {"accreditations": [describe_span(item) for item in spans]})
        return
    facts(t("Licence type", "证照类型"), value | {name: when(value[name]) for name in _TIMES if name in value})
    _print_spans(spans)


@app.command(
    help=t(
        "Let a member issue licences of a type. The body that defines the type does.\n\n"
        "Example: civicledger licence accredit 11310000MB2F00101U001 market --until 2031-12-31 --basis 'decision 2026-17'",
        "认可一个成员颁发某类证照。由定义该类型的单位办理。\n\n"
        "例：civicledger licence accredit 11310000MB2F00101U001 market --until 2031-12-31 --basis 沪认字2026第17号",
    )
)
def accredit(
    code: str = CodeArgument,
    member: str = MemberArgument,
    basis: str = typer.Option(..., help=t("the decision in words (its digest goes on chain)", "决定依据（摘要上链）")),
    since: str = typer.Option("", "--from", help=t("first day (default: now)", "首日（默认即刻）")),
    until: str = typer.Option("", help=t("last day (default: open)", "末日（默认不限）")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Spans of a member do not overlap: the next begins when the last has ended."""
    with connect(node) as connection:
        answer = connection.stub(rpc.LicenceTypeServiceStub).Accredit(
            pb.AccreditRequest(
                type=parse_licence_type(code),
                member=resolve_member(connection, member),
                basis=basis,
                valid_from=begin_of(since),
                valid_until=end_of(until),
            ),
            timeout=CALL_TIMEOUT,
        )
    _print_span(answer, as_json, t("accredited ", "已认可 "))


@app.command(
    "end-accreditation",
    help=t(
        "End an accreditation now, or shorten it. Nothing of the past changes: what was issued stays verifiable.\n\n"
        "Example: civicledger licence end-accreditation 11310000MB2F00101U001 market --reason 'moved to the district'",
        "即刻终止或缩短认可。过去不变：已颁发的证照仍可核验。\n\n"
        "例：civicledger licence end-accreditation 11310000MB2F00101U001 market --reason 职责划转",
    ),
)
def end_accreditation(
    code: str = CodeArgument,
    member: str = MemberArgument,
    reason: str = typer.Option(..., help=t("reason in words (its digest goes on chain)", "理由说明（摘要上链）")),
    number: int = typer.Option(
        0, min=0, max=2**31, help=t("which span (default: the one in force)", "第几段（默认现行的一段）")
    ),
    until: str = typer.Option("", help=t("last day (default: now)", "末日（默认即刻）")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """The body that defines the type does, or a supervisor."""
    with connect(node) as connection:
        answer = connection.stub(rpc.LicenceTypeServiceStub).EndAccreditation(
            pb.EndAccreditationRequest(
                type=parse_licence_type(code),
                member=resolve_member(connection, member),
                reason=reason,
                number=number,
                valid_until=end_of(until),
            ),
            timeout=CALL_TIMEOUT,
        )
    _print_span(answer, as_json, t("ended ", "已终止 "))


@app.command(
    help=t(
        "Who may issue what, from when to when; those that are over included.\n\n"
        "Examples: civicledger licence accreditations\n\n"
        "          civicledger licence accreditations 11310000MB2F00101U001 --member market",
        "谁可颁发何种证照、起止时间，包括已终止的。\n\n"
        "例：civicledger licence accreditations\n\n    civicledger licence accreditations 11310000MB2F00101U001 --member market",
    )
)
def accreditations(
    code: str = typer.Argument("", help=t("type code (default: every type)", "类型代码（默认全部）")),
    member: str = typer.Option("", help=t("USCC or handle", "统一社会信用代码或代号")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Every span, by type and member."""
    with connect(node) as connection:
        request = pb.ListAccreditationsRequest(
            type=parse_licence_type(code) if code else "",
            member=resolve_member(connection, member) if member else "",
        )
        stub = connection.stub(rpc.LicenceTypeServiceStub)
        found = stub.ListAccreditations(request, timeout=CALL_TIMEOUT).accreditations
    if as_json:
        print_json({"accreditations": [describe_span(item) for item in found]})
    else:
        _print_spans(found)


_TIMES = ("defined_at", "changed_at", "withdrawn_at")


def describe_type(item: Any) -> dict[str, Any]:
    """A licence type message as plain data."""
    return {
        "code": item.code,
        "body": item.body,
        "by": item.by,
        "title_zh": item.title_zh,
        "title_en": item.title_en,
        "metadata_digest": item.metadata_digest,
        "defined_at": item.defined_at,
        "changed_at": item.changed_at,
        "withdrawn_at": item.withdrawn_at,
    }


def describe_span(item: Any) -> dict[str, Any]:
    """An accreditation message as plain data."""
    return {
        "type": item.type,
        "member": item.member,
        "number": item.number,
        "state": item.state,
        "valid_from": item.valid_from,
        "valid_until": item.valid_until,
        "by": item.by,
        "ended_by": item.ended_by,
        "ended_at": item.ended_at,
        "basis": item.basis,
        "basis_digest": item.basis_digest,
    }


def _print_type(answer: Any, as_json: bool, done: str) -> None:
    if as_json:
        print_json({"type": describe_type(answer.type), "height": answer.transaction.height})
        return
    where = t(f" in block {answer.transaction.height}", f"，区块 {answer.transaction.height}")
    out.print(f"{done}{answer.type.code} {_title(answer.type)}{where}", markup=False)


def _print_span(answer: Any, as_json: bool, done: str) -> None:
    span = answer.accreditation
    if as_json:
        print_json({"accreditation": describe_span(span), "height": answer.transaction.height})
        return
    until = when(span.valid_until) or t("open", "不限")
    out.print(f"{done}{span.member}: {span.type} #{span.number}, {when(span.valid_from)} – {until}", markup=False)


def _print_spans(spans: Any) -> None:
    table(
        t("Accreditations", "颁发认可"),
        [
            t("type", "类型代码"),
            t("issuer", "颁发单位"),
            "#",
            t("state", "状态"),
            t("from", "起"),
            t("until", "止"),
            t("by", "认可单位"),
            t("basis", "依据"),
        ],
        [
            (
                item.type,
                item.member,
                item.number,
                _STATES.get(item.state, item.state),
                when(item.valid_from),
                when(item.valid_until),
                item.by,
                item.basis or item.basis_digest,
            )
            for item in spans
        ],
    )


def _title(item: Any) -> str:
    return str(t(item.title_en, item.title_zh) or "-")
