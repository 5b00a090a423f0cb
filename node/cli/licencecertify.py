"""``civicledger licence certify|examinations``: one examination, several certificates (一检多证)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from ledger.codec import encode
from ledger.errors import InvalidInputError
from ledger.licences import binding
from ledger.v1 import licences_pb2 as pb
from ledger.v1 import licences_pb2_grpc as rpc
from node.cli.connect import (
    GrantArgument,
    JsonOption,
    NodeOption,
    connect,
    every,
    grant_id,
    hex32,
    list_members,
)
from node.cli.licencegroup import app
from node.cli.licenceissue import FieldOption, WalletOption, given_fields, require_free
from node.cli.licencenames import describe, record_of
from node.cli.output import err, facts, print_json, table
from node.cli.texts import t
from node.cli.walletfile import Wallet, new_holder_key, write_wallet

TIMEOUT_S = 600.0
_CHANGES = {"": t("as it was", "未变"), "corrected": t("corrected", "已更正"), "withdrawn": t("withdrawn", "已撤回")}


@app.command(
    help=t(
        "One examination, several certificates: ask the examining hospital, under a grant, for what one certificate needs "
        "of a person's newest examination, and issue the certificate, which names the report. Both logs say so; the person "
        "can see it. Templates: health-certificate, driver-medical. A repeat with the same nonce issues nothing twice.\n\n"
        "Example: civicledger licence certify GRANT --holder 3101… --cause 申请2026-117 --type … --template driver-medical "
        "-f CZZT=张三 -f ZZBH=TJ2026117 -f KZ_XB=男 -f KZ_CSRQ=1990-03-07 -f KZ_SQZJCX=C1 --wallet zhang.json",
        "一检多证：依授权向体检机构取得一张证照所需的最近一次体检信息，并签发写明体检报告的证照。双方日志均留痕，本人可以查到。"
        "模板：health-certificate（健康证明）、driver-medical（机动车驾驶人身体条件证明）。相同 nonce 重复执行不会重复签发。\n\n"
        "例：civicledger licence certify GRANT --holder 3101… --cause 申请2026-117 --type … --template driver-medical "
        "-f CZZT=张三 -f ZZBH=TJ2026117 -f KZ_XB=男 -f KZ_CSRQ=1990-03-07 -f KZ_SQZJCX=C1 --wallet zhang.json",
    )
)
def certify(
    grant: str = GrantArgument,
    holder: str = typer.Option(..., help=t("the person's identity number", "公民身份号码")),
    cause: str = typer.Option(..., help=t("why, for this case: up to 200 characters", "本次使用原因，至多 200 字")),
    type_code: str = typer.Option(..., "--type", help=t("type code, 21 characters", "证照类型代码，21 位")),
    form: str = typer.Option(..., "--template", help="health-certificate | driver-medical"),
    fields: list[str] = FieldOption,
    serial: str = typer.Option("", help=t("serial of the identifier", "标识的流水号")),
    bound: bool = typer.Option(
        False, "--bound", help=t("make a holder key in the wallet file", "在卡包中生成持证人密钥")
    ),
    wallet: Path | None = WalletOption,
    operator: str = typer.Option("", help=t("pseudonym of the operator", "经办人假名")),
    nonce: str = typer.Option("", help=t("32 bytes in hex: the same nonce goes on", "32 字节十六进制：相同即续办")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """The certificate, and the record of its examination."""
    if bound and wallet is None:
        raise InvalidInputError("input.bound", t("--bound needs --wallet", "--bound 需要 --wallet"))
    require_free(wallet)
    pem, jwk = "", b""
    if bound:
        pem, signer = new_holder_key()
        jwk = encode(binding.confirmation(signer.spki)["jwk"])
    with connect(node) as connection:
        wanted = pb.CertifyRequest(
            grant=grant_id(connection, grant),
            holder=holder,
            use_cause=cause,
            type=type_code,
            template=form,
            fields=given_fields(fields),
            holder_key=jwk,
            serial=serial,
            operator_pseudonym=operator,
            nonce=hex32(nonce, "nonce") if nonce else b"",
        )
        done = connection.stub(rpc.FetchingServiceStub).Certify(wanted, timeout=TIMEOUT_S)
        issuer = connection.member
    if wallet is not None:
        record = record_of(done.issued, issuer)
        write_wallet(wallet, Wallet(licence=done.issued.sd_jwt, holder_key=pem, record=record))
    value = describe(done.issued, issuer) | {
        "examination": _row(done.examination),
        "receipt": done.receipt.exchange,
        "log_index": done.log_index,
    }
    if as_json:
        print_json(value)
        return
    facts(
        t("Certificate issued", "证照已签发"),
        {
            t("identifier", "证照标识"): done.issued.identifier,
            t("examined at", "体检机构"): done.examination.institution,
            t("report", "体检报告"): f"{done.examination.report.hex()} / {done.examination.version}",
            t("receipt", "回执"): done.receipt.exchange.hex(),
            t("record of the own log", "本部门日志记录"): done.log_index,
            t("wallet file", "卡包文件"): wallet or t("none", "无"),
        },
    )


@app.command(
    help=t(
        "Certificates by the examinations they rest on; with --changed those not revoked whose report the hospital corrected "
        "or withdrew since: suspend them, or issue anew. Exit status 1 where one of them is still valid.\n\n"
        "Examples: civicledger licence examinations --changed      civicledger licence suspend ID --reason examination",
        "按体检报告列出已签发的证照；加 --changed 只列出体检机构已更正或撤回报告、而证照尚未注销的：请中止或重新签发。其中仍有有效证照时退出码为 1。\n\n"
        "例：civicledger licence examinations --changed      civicledger licence suspend ID --reason examination",
    )
)
def examinations(
    changed: bool = typer.Option(False, "--changed", help=t("only what needs a decision", "仅列出需要处理的")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """A line for each certificate."""
    with connect(node) as connection:
        wanted = pb.ListExaminationsRequest(changed=changed)
        found = list(every(connection.stub(rpc.FetchingServiceStub).ListExaminations, wanted, "examinations"))
        names = {member.uscc: member.name for member in list_members(connection)}
    pressing = [one for one in found if one.change and one.licence.state == "valid"]
    if as_json:
        print_json([_row(one) for one in found])
    else:
        columns = (
            t("certificate", "证照"),
            t("type", "类型"),
            t("state", "状态"),
            t("hospital", "体检机构"),
            t("report", "体检报告"),
            t("version", "版本"),
            t("report now", "报告现状"),
        )
        rows = [
            (
                one.licence.id.hex() or "-",
                one.licence.type or "-",
                one.licence.state or "-",
                names.get(one.institution, one.institution),
                one.report.hex()[:16],
                one.version,
                _CHANGES.get(one.change, one.change),
            )
            for one in found
        ]
        table(t("Certificates of examinations", "依体检签发的证照"), columns, rows)
        if pressing:
            text = t(
                f"{len(pressing)} certificates rest on an examination that is no longer what it was: civicledger licence "
                "suspend ID --reason examination",
                f"{len(pressing)} 张证照所依据的体检报告已变更：civicledger licence suspend ID --reason examination",
            )
            err.print(text, style="bold yellow", markup=False)
    if pressing:
        raise typer.Exit(1)


def _row(one: Any) -> dict[str, Any]:
    return {
        "report": bytes(one.report),
        "version": one.version,
        "institution": one.institution,
        "exchange": bytes(one.exchange),
        "change": one.change or None,
        "change_version": one.change_version or None,
        "licence": bytes(one.licence.id) or None,
        "type": one.licence.type or None,
        "state": one.licence.state or None,
    }
