"""``civicledger licence slip``: the issuer's clerk puts a licence on paper: a QR code, or the page of a copy."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from ledger.errors import InvalidInputError
from ledger.v1 import licences_pb2 as pb
from ledger.v1 import licences_pb2_grpc as rpc
from node.cli.connect import CALL_TIMEOUT, JsonOption, NodeOption, connect
from node.cli.licencegroup import app
from node.cli.licencenames import CheckAtOption, FontOption, LicenceArgument, ToNameOption, naming
from node.cli.output import print_json, write_private
from node.cli.texts import t

#: What stands on the page of a copy where nobody says what else.
_SHOWN = ("ZZBS", "CZZT")
_KINDS = (".png", ".svg", ".pdf", ".txt")


@app.command(
    help=t(
        "A slip of a licence for a QR code, signed now: for a screen (five minutes) or for paper (--days); with --to and "
        "--matter a copy for one recipient. The ending of --output decides what is written: .png, .svg, .pdf (the page of "
        "a copy) or .txt. Only the licence's issuer can make one.\n\n"
        "Examples: civicledger licence slip 1.2.156.3005.2.… -o code.png\n\n"
        "civicledger licence slip 1.2.156.3005.2.… --days 30 --to 11310000MB2F30001A --matter 办理落户 -o copy.pdf",
        "制作证照的二维码凭条并当场签署：供屏幕出示（五分钟）或纸质使用（--days）；加上 --to 与 --matter 即为限定接收方的加注件。"
        "--output 的后缀决定格式：.png、.svg、.pdf（加注件页面）或 .txt。仅发证机构可以制作。\n\n"
        "例：civicledger licence slip 1.2.156.3005.2.… -o code.png\n\n"
        "civicledger licence slip 1.2.156.3005.2.… --days 30 --to 11310000MB2F30001A --matter 办理落户 -o copy.pdf",
    )
)
def slip(
    licence: str = LicenceArgument,
    days: int = typer.Option(0, min=0, max=366, help=t("for so many days (0: five minutes)", "有效天数（0 为五分钟）")),
    recipient: str = typer.Option("", "--to", help=t("USCC of the one recipient", "接收方统一社会信用代码")),
    recipient_name: str = ToNameOption,
    matter: str = typer.Option("", help=t("what it is for", "用途（事项）")),
    show_: list[str] = typer.Option(
        list(_SHOWN), "--show", help=t("a claim on the page of a copy; * shows all", "页面上出示的字段；* 为全部")
    ),
    check_at: str = CheckAtOption,
    font: Path | None = FontOption,
    output: Path | None = typer.Option(
        None, "--output", "-o", help=t("file to write (default: the text)", "输出文件（默认输出文本）")
    ),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Signed by the node; drawn here."""
    kind = output.suffix.lower() if output is not None else ".txt"
    if kind not in _KINDS:
        raise InvalidInputError(
            "input.output-kind",
            t("this ending of a file names no format", "不支持的文件后缀"),
            expected=" ".join(_KINDS),
            actual=kind,
        )
    if kind == ".pdf" and not recipient:
        raise InvalidInputError(
            "input.recipient",
            t(
                "a page is made of a copy: --to and --matter say for whom and what",
                "页面是加注件：需要 --to 与 --matter",
            ),
        )
    named = naming(licence)
    seconds = days * 86_400 or 300
    wanted = pb.MakeSlipRequest(**named, seconds=seconds, recipient=recipient, matter=matter)
    with connect(node) as connection:
        stub = connection.stub(rpc.IssuingServiceStub)
        made = stub.MakeSlip(wanted, timeout=CALL_TIMEOUT)
        if kind == ".pdf":
            held = stub.Get(pb.GetLicenceRequest(**named), timeout=CALL_TIMEOUT).sd_jwt
            data = _page(made.slip, held, show_, recipient_name or recipient, check_at, font)
        else:
            data = _drawn(made.slip, kind)
    if output is not None:
        write_private(output, data)
    if as_json:
        print_json({"slip": made.slip, "ends": made.ends_ms, "record": made.log_index})
    elif output is None:
        sys.stdout.write(data.decode())


def _drawn(text: str, kind: str) -> bytes:
    from ledger.licences.qr import symbol

    if kind == ".txt":
        return text.encode() + b"\n"
    code = symbol(text)
    return code.png() if kind == ".png" else code.svg().encode()


def _page(text: str, licence: str, names: list[str], recipient_name: str, check_at: str, font: Path | None) -> bytes:
    from ledger.licences import credential
    from ledger.licences.pdf import copy_pdf, system_font
    from ledger.licences.sdjwt import open_claims, parse
    from ledger.licences.slip import read
    from ledger.licences.slipmaking import check_recipient_name, copy_page
    from node.cli.licencewallet import chosen
    from node.cli.walletfile import Wallet

    terms = read(text).slip.copy
    if terms is None:
        raise InvalidInputError("licence.copy-terms", t("the node made no copy", "节点没有制作加注件"))
    shown = credential.read(open_claims(parse(chosen(Wallet(licence=licence), names))))
    name = check_recipient_name(recipient_name)
    page = copy_page(shown, terms, recipient_name=name, code=text, check_at=check_at)
    return copy_pdf(page, font or system_font())
