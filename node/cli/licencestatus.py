"""``civicledger licence suspend|resume|revoke|status|erase``: how licences stand."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import typer

from ledger.days import CST
from ledger.v1 import licences_pb2 as pb
from ledger.v1 import licences_pb2_grpc as rpc
from node.cli.connect import CALL_TIMEOUT, JsonOption, NodeOption, connect, every
from node.cli.licencegroup import app
from node.cli.licencenames import LicenceArgument, naming
from node.cli.licencerestore import take_over
from node.cli.output import facts, out, print_json, table
from node.cli.publichttp import CaOption
from node.cli.texts import t

ReasonOption = typer.Option(..., "--reason", "-r", help=t("code of the reason, no free text", "原因代码，不是自由文本"))
_STATES = {
    "valid": t("valid", "有效"),
    "suspended": t("suspended", "已暂停"),
    "revoked": t("revoked", "已撤销"),
    "superseded": t("superseded", "已被替代"),
}


@app.command(
    help=t(
        "Suspend a licence until it is resumed; the status list says so within a minute, or at once with "
        "`licence status --publish`.\n\nExample: civicledger licence suspend 1.2.156.3005.2.… --reason inquiry",
        "暂停证照；状态列表一分钟内更新，或用 `licence status --publish` 立即发布。\n\n例：civicledger licence suspend 1.2.156.3005.2.… --reason inquiry",
    )
)
def suspend(
    licence: str = LicenceArgument,
    reason: str = ReasonOption,
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Only what is valid can be suspended."""
    _change("Suspend", licence, reason, node, as_json=as_json)


@app.command(help=t("End the suspension of a licence.", "恢复被暂停的证照。"))
def resume(
    licence: str = LicenceArgument,
    reason: str = ReasonOption,
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Only what is suspended can be resumed."""
    _change("Resume", licence, reason, node, as_json=as_json)


@app.command(
    help=t(
        "Revoke a licence for good.\n\nExample: civicledger licence revoke 1.2.156.3005.2.… --reason court-order",
        "永久撤销证照。\n\n例：civicledger licence revoke 1.2.156.3005.2.… --reason court-order",
    )
)
def revoke(
    licence: str = LicenceArgument,
    reason: str = ReasonOption,
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """A revoked licence never becomes valid again."""
    _change("Revoke", licence, reason, node, as_json=as_json)


@app.command(
    help=t(
        "How a licence stands, or all that this node issued; with --publish the status lists are published now.\n\n"
        "A node whose store was put back from an older copy publishes none (`licence.list-behind`): --restore takes over "
        "what it had published, from a gateway, a file with a list's token, or a bundle of a licence. Of every place the "
        "graver status stays, so nothing revoked becomes valid again.\n\n"
        "Examples: civicledger licence status --state suspended\n\n"
        "civicledger licence status --restore https://licences.example.gov.cn",
        "查看一张或全部证照的状态；--publish 立即发布状态列表。\n\n"
        "节点的存储若恢复自较早的副本，则不再发布状态列表（licence.list-behind）：用 --restore 从网关、状态列表文件或证照证明文件"
        "取回已发布的列表。每个位置保留较重的状态，已注销的不会重新有效。\n\n"
        "例：civicledger licence status --state suspended\n\n"
        "civicledger licence status --restore https://licences.example.gov.cn",
    )
)
def status(
    licence: str = typer.Argument("", help=t("identifier or id; none: all", "证照标识或编号；省略为全部")),
    type_code: str = typer.Option("", "--type", help=t("type code", "证照类型代码")),
    state: str = typer.Option("", help="valid | suspended | revoked | superseded"),
    publish: bool = typer.Option(False, "--publish", help=t("publish the status lists now", "立即发布状态列表")),
    restore: list[str] = typer.Option(
        [],
        help=t(
            "gateway (https://…) or file with the newest published list; may be repeated",
            "网关（https://…）或含最新已发布列表的文件；可重复",
        ),
    ),
    ca: Path | None = CaOption,
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Without anything about holders."""
    with connect(node) as connection:
        stub = connection.stub(rpc.IssuingServiceStub)
        if restore:
            take_over(connection, restore, ca, as_json=as_json)
            return
        if publish:
            _lists(stub.PublishStatus(pb.PublishStatusRequest(), timeout=CALL_TIMEOUT).lists, as_json=as_json)
            return
        if licence:
            found = [stub.Get(pb.GetLicenceRequest(**naming(licence)), timeout=CALL_TIMEOUT).licence]
        else:
            found = list(every(stub.List, pb.ListLicencesRequest(type=type_code, state=state), "licences"))
    if as_json:
        print_json({"licences": [plain(item) for item in found]})
    elif licence:
        facts(t("Licence", "证照"), plain(found[0]))
    else:
        table(
            t("Licences", "证照"),
            [
                t("id", "编号"),
                t("type", "类型"),
                t("version", "版本"),
                t("state", "状态"),
                t("issued", "签发"),
                t("reason", "原因"),
            ],
            [(i.id.hex(), i.type, i.version, _STATES[i.state], moment(i.issued_ms), i.reason) for i in found],
        )


@app.command(
    help=t(
        "Erase what this node keeps about the holders of licences; their status stays.\n\n"
        "Example: civicledger licence erase 0f3a… --basis PIPL/47",
        "删除本节点保存的持证人信息；证照状态保留。\n\n例：civicledger licence erase 0f3a… --basis PIPL/47",
    )
)
def erase(
    ids: list[str] = typer.Argument(..., help=t("ids in hex", "十六进制编号")),
    basis: str = typer.Option(..., help=t("code of the legal basis", "法律依据代码")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """The log says that it was done, not whose it was."""
    names = [naming(text).get("id", b"") for text in ids]
    with connect(node) as connection:
        wanted = pb.EraseLicencesRequest(ids=names, basis=basis)
        count = connection.stub(rpc.IssuingServiceStub).Erase(wanted, timeout=CALL_TIMEOUT).count
    if as_json:
        print_json({"erased": count})
    else:
        out.print(t(f"{count} erased", f"已删除 {count} 份"))


def plain(item: Any) -> dict[str, Any]:
    """A licence without its holder as plain data."""
    return {
        "id": item.id,
        "type": item.type,
        "version": item.version,
        "state": item.state,
        "reason": item.reason,
        "list": item.list,
        "index": item.index,
        "issued_ms": item.issued_ms,
        "not_before_ms": item.not_before_ms,
        "expires_ms": item.expires_ms,
        "changed_ms": item.changed_ms,
        "replaces": item.replaces,
        "replaced_by": item.replaced_by,
        "log_index": item.log_index,
    }


def moment(time_ms: int) -> str:
    """A time for people, Beijing time; empty for none."""
    return f"{datetime.fromtimestamp(time_ms / 1_000, CST):%Y-%m-%d %H:%M}" if time_ms else ""


def _change(method: str, licence: str, reason: str, node: Path | None, *, as_json: bool) -> None:
    with connect(node) as connection:
        wanted = pb.ChangeLicenceRequest(**naming(licence), reason=reason)
        found = getattr(connection.stub(rpc.IssuingServiceStub), method)(wanted, timeout=CALL_TIMEOUT)
    if as_json:
        print_json(plain(found))
    else:
        out.print(t(f"the licence is {found.state} now", f"证照现为：{_STATES[found.state]}"))


def _lists(lists: Any, *, as_json: bool) -> None:
    if as_json:
        names = ("list", "version", "uri", "height", "made_ms", "list_digest")
        print_json({"lists": [{name: getattr(item, name) for name in names} for item in lists]})
        return
    table(
        t("Status lists", "状态列表"),
        ["#", t("version", "版本"), t("made", "生成"), t("block", "区块"), t("address", "地址")],
        [(i.list, i.version, moment(i.made_ms), i.height, i.uri) for i in lists],
    )
