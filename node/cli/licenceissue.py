"""``civicledger licence issue|renew|supersede``: from one field by field, or from a file of rows."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from ledger.codec import encode
from ledger.errors import ConflictError, InvalidInputError
from ledger.licences import binding
from ledger.licences.fields import LONG_TERM
from ledger.licences.templates import Template, template
from ledger.v1 import licences_pb2 as pb
from ledger.v1 import licences_pb2_grpc as rpc
from node.cli.connect import CALL_TIMEOUT, Connection, JsonOption, NodeOption, connect
from node.cli.inputs import parse_json
from node.cli.licencebulk import issue_rows
from node.cli.licencegroup import app
from node.cli.licencenames import LicenceArgument, describe, naming, record_of
from node.cli.output import facts, print_json
from node.cli.texts import t
from node.cli.walletfile import Wallet, new_holder_key, read_text, write_wallet

FieldOption = typer.Option([], "--field", "-f", help=t("NAME=VALUE, e.g. CZZT=张三", "字段名=值，如 CZZT=张三"))
RequestOption = typer.Option(
    "", "--request", help=t("id of this request: a repeat issues nothing twice", "请求编号：重复请求不会重复签发")
)
WalletOption = typer.Option(None, "--wallet", "-w", help=t("write a wallet file here", "将卡包写入此文件"))


@app.command(
    help=t(
        "Issue one licence, or one for each row of a CSV or JSON lines file.\n\n"
        "Examples: civicledger licence issue --type 11310000MB2F300001001 --template driving-licence "
        "-f CZZT=张三 -f CZZTDM=… -f … --wallet zhang.json\n\n"
        "          civicledger licence issue rows.csv --type … --template food-permit --output issued.jsonl",
        "签发一张证照，或按 CSV、JSONL 文件逐行签发。\n\n"
        "例：civicledger licence issue --type 11310000MB2F300001001 --template driving-licence "
        "-f CZZT=张三 -f CZZTDM=… -f … --wallet zhang.json\n\n"
        "    civicledger licence issue rows.csv --type … --template food-permit --output issued.jsonl",
    )
)
def issue(
    rows: Path | None = typer.Argument(
        None, help=t("rows (.csv or .jsonl); none: one licence", "数据文件（.csv 或 .jsonl）；省略则签发一张")
    ),
    type_code: str = typer.Option(..., "--type", help=t("type code, 21 characters", "证照类型代码，21 位")),
    form: str = typer.Option(..., "--template", help="business-licence | driving-licence | food-permit | …"),
    fields: list[str] = FieldOption,
    serial: str = typer.Option(
        "", help=t("serial of the identifier (default: from ZZBH)", "标识的流水号（默认取自证照编号）")
    ),
    holder_key: Path | None = typer.Option(None, help=t("the holder's public key (JWK)", "持证人公钥（JWK）")),
    bound: bool = typer.Option(
        False, "--bound", help=t("make a holder key in the wallet file", "在卡包中生成持证人密钥")
    ),
    wallet: Path | None = WalletOption,
    request: str = RequestOption,
    output: Path | None = typer.Option(
        None,
        "--output",
        "-o",
        help=t("issued licences of a file of rows, a JSON line each", "逐行签发的结果，每行一个 JSON"),
    ),
    refused: Path | None = typer.Option(
        None, "--refused", help=t("refused rows with reasons (.csv or .jsonl)", "被拒行及原因（.csv 或 .jsonl）")
    ),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """One by one, or in bulk."""
    if rows is None:
        _one(type_code, template(form), fields, serial, holder_key, wallet, request, node, bound=bound, as_json=as_json)
    else:
        if fields or serial or holder_key or wallet or bound:
            raise InvalidInputError(
                "input.rows",
                t(
                    "a file of rows takes no --field, --serial, --holder-key, --bound or --wallet",
                    "按文件签发时不能使用 --field、--serial、--holder-key、--bound、--wallet",
                ),
                hint=t("put them into columns, or issue one licence", "请写入列中，或单张签发"),
            )
        issue_rows(rows, type_code, template(form), request, output, refused, node, as_json=as_json)


@app.command(
    help=t(
        "Renew a licence: its next version with another validity; the one before is superseded.\n\n"
        "Example: civicledger licence renew 1.2.156.3005.2.… --until 2032-11-30 --wallet new.json",
        "换发证照：以新的有效期签发下一版本，原版本即被替代。\n\n例：civicledger licence renew 1.2.156.3005.2.… --until 2032-11-30 --wallet new.json",
    )
)
def renew(
    licence: str = LicenceArgument,
    until: str = typer.Option(..., "--until", help=t("last day of validity, or 长期", "有效期截止日，或“长期”")),
    start: str = typer.Option("", "--from", help=t("first day (default: today)", "有效期起始日（默认今天）")),
    wallet: Path | None = WalletOption,
    request: str = RequestOption,
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """The fields stay as they are."""
    changed = {"ZZYXQJZRQ": LONG_TERM if until.lower() == "long-term" else until}
    if start:
        changed["ZZYXQQSRQ"] = start
    _replace("Renew", licence, changed, wallet, request, node, as_json=as_json)


@app.command(
    help=t(
        "Replace a licence by its next version with other fields.\n\n"
        "Example: civicledger licence supersede 1.2.156.3005.2.… -f KZ_ZZ=上海市…",
        "变更证照：以变更后的字段签发下一版本。\n\n例：civicledger licence supersede 1.2.156.3005.2.… -f KZ_ZZ=上海市…",
    )
)
def supersede(
    licence: str = LicenceArgument,
    fields: list[str] = FieldOption,
    wallet: Path | None = WalletOption,
    request: str = RequestOption,
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """The validity stays as it is."""
    _replace("Supersede", licence, given_fields(fields), wallet, request, node, as_json=as_json)


# --- one ----------------------------------------------------------------------------------------------------------------


def _one(
    type_code: str,
    form: Template,
    fields: list[str],
    serial: str,
    holder_key: Path | None,
    wallet: Path | None,
    request: str,
    node: Path | None,
    *,
    bound: bool,
    as_json: bool,
) -> None:
    if bound and (wallet is None or holder_key is not None):
        raise InvalidInputError(
            "input.bound",
            t(
                "--bound makes a key of its own: it needs --wallet, and no --holder-key",
                "--bound 会生成密钥：需要 --wallet，且不能同时使用 --holder-key",
            ),
        )
    require_free(wallet)
    pem, jwk = "", b""
    if bound:
        pem, signer = new_holder_key()
        jwk = encode(binding.confirmation(signer.spki)["jwk"])
    elif holder_key is not None:
        jwk = encode(parse_json(read_text(holder_key), str(holder_key)))
    wanted = pb.IssueLicenceRequest(
        request=request or f"cli-{secrets.token_hex(12)}",
        type=type_code,
        template=form.id,
        fields=given_fields(fields),
        holder_key=jwk,
        serial=serial,
    )
    with connect(node) as connection:
        issued = connection.stub(rpc.IssuingServiceStub).Issue(wanted, timeout=CALL_TIMEOUT)
        _show_issued(connection, issued, wallet, pem, as_json=as_json)


def _replace(
    method: str,
    licence: str,
    changed: Mapping[str, str],
    wallet: Path | None,
    request: str,
    node: Path | None,
    *,
    as_json: bool,
) -> None:
    require_free(wallet)
    wanted = pb.ReplaceLicenceRequest(
        **naming(licence), request=request or f"cli-{secrets.token_hex(12)}", fields=changed
    )
    with connect(node) as connection:
        issued = getattr(connection.stub(rpc.IssuingServiceStub), method)(wanted, timeout=CALL_TIMEOUT)
        _show_issued(connection, issued, wallet, "", as_json=as_json)


def _show_issued(connection: Connection, issued: Any, wallet: Path | None, pem: str, *, as_json: bool) -> None:
    if wallet is not None:
        record = record_of(issued, connection.member)
        write_wallet(wallet, Wallet(licence=issued.sd_jwt, holder_key=pem, record=record))
    value = describe(issued, connection.member)
    if as_json:
        print_json(value)
        return
    facts(
        t("Licence issued", "证照已签发"),
        {
            t("identifier", "证照标识"): issued.identifier,
            t("id", "编号"): issued.licence.id,
            t("version", "版本"): issued.licence.version,
            t("record of the own log", "本部门日志记录"): issued.licence.log_index,
            t("wallet file", "卡包文件"): wallet or t("none", "无"),
        },
    )


def require_free(wallet: Path | None) -> None:
    if wallet is not None and wallet.exists():
        raise ConflictError(
            "wallet.exists", t(f"{wallet} exists already", f"{wallet} 已存在"), hint=t("choose another name", "请换名")
        )


def given_fields(texts: list[str]) -> dict[str, str]:
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name or name in found:
            raise InvalidInputError(
                "input.field-option",
                t(
                    f"--field {text!r} is not NAME=VALUE, or names a field twice",
                    f"--field {text!r} 不是“字段名=值”，或字段重复",
                ),
                hint="-f CZZT=张三",
            )
        found[name] = value
    return found
