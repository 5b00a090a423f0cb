"""``civicledger licence show|present|copy``: a licence as its holder has it, and what of it is shown to whom."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ledger.errors import InvalidInputError, NotAllowedError
from ledger.licences import b64, binding, issuing
from ledger.licences.sdjwt import Opened, open_claims, parse
from ledger.licences.templates import LABELS
from ledger.v1 import licences_pb2 as pb
from ledger.v1 import licences_pb2_grpc as rpc
from node.cli.connect import CALL_TIMEOUT, JsonOption, NodeOption, connect
from node.cli.licencegroup import app
from node.cli.licencenames import CheckAtOption, FontOption, ToNameOption, naming
from node.cli.output import facts, out, print_json, table, write_private
from node.cli.texts import t
from node.cli.walletfile import Wallet, read_wallet
from node.context import system_clock

if TYPE_CHECKING:
    from ledger.licences.copies import CopyTerms

WalletArgument = typer.Argument(..., help=t("wallet file, or a file with the licence", "卡包文件，或证照文本文件"))
ShowOption = typer.Option(
    [], "--show", help=t("a claim to show, e.g. CZZT; * shows all", "要出示的字段，如 CZZT；* 为全部")
)
OutputOption = typer.Option(
    None, "--output", "-o", help=t("file to write (default: standard output)", "输出文件（默认标准输出）")
)
#: Claims that a licence has for machines.
_TECHNICAL = ("iss", "vct", "nbf", "exp", "iat", "cnf", "status")


@app.command(
    help=t(
        "What a licence says: from a wallet file, or (its issuer) from the own node.\n\n"
        "Examples: civicledger licence show zhang.json      civicledger licence show 1.2.156.3005.2.…",
        "查看证照内容：来自卡包文件，或（签发机构）来自本节点。\n\n例：civicledger licence show zhang.json      civicledger licence show 1.2.156.3005.2.…",
    )
)
def show(
    licence: str = typer.Argument(..., help=t("wallet file, identifier or id", "卡包文件、证照标识或编号")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Nothing is checked here: `licence verify` does that."""
    if Path(licence).is_file():
        wallet = read_wallet(Path(licence))
    else:
        with connect(node) as connection:
            wanted = pb.GetLicenceRequest(**naming(licence))
            found = connection.stub(rpc.IssuingServiceStub).Get(wanted, timeout=CALL_TIMEOUT)
        if not found.sd_jwt:
            raise InvalidInputError(
                "licence.erased", t("what was kept about its holder has been erased", "持证人信息已被删除")
            )
        wallet = Wallet(licence=found.sd_jwt)
    opened = open_claims(parse(wallet.licence))
    hidden = {item.path[0] for item in opened.disclosures if item.path}
    if as_json:
        print_json({"claims": dict(opened.claims), "disclosable": sorted(str(name) for name in hidden)})
        return
    labels = {name: t(field.en, field.zh) for name, field in LABELS.items()}
    table(
        t("Licence", "证照"),
        [t("field", "字段"), t("name", "名称"), t("value", "值"), t("may be held back", "可不出示")],
        [
            (name, labels.get(name, ""), value, name in hidden)
            for name, value in opened.claims.items()
            if name not in _TECHNICAL
        ],
    )
    claims = opened.claims
    facts(
        t("For machines", "技术字段"),
        {name: _plain(claims[name]) for name in _TECHNICAL if name in claims},
    )


@app.command(
    help=t(
        "Show chosen claims of a licence; with --audience and --nonce the holder's key proves who shows it, and to whom.\n\n"
        "Example: civicledger licence present zhang.json --show CZZT --show KZ_ZJCX --audience https://… --nonce …",
        "出示选定的字段；使用 --audience 与 --nonce 时由持证人密钥证明出示人和对象。\n\n"
        "例：civicledger licence present zhang.json --show CZZT --show KZ_ZJCX --audience https://… --nonce …",
    )
)
def present(
    wallet: Path = WalletArgument,
    show_: list[str] = ShowOption,
    audience: str = typer.Option("", help=t("who it is shown to, as the verifier says", "出示对象，由核验方给出")),
    nonce: str = typer.Option("", help=t("the verifier's nonce", "核验方的随机数")),
    output: Path | None = OutputOption,
) -> None:
    """The presentation alone is printed, ready to be handed over."""
    if bool(audience) != bool(nonce):
        raise InvalidInputError(
            "input.nonce", t("--audience and --nonce go together", "--audience 与 --nonce 必须同时给出")
        )
    held = read_wallet(wallet)
    shown = chosen(held, show_)
    if audience:
        now = system_clock() // 1_000
        shown = binding.bind(shown, signer=held.signer(), audience=audience, nonce=nonce, issued_at=now)
    _write(shown, output)


@app.command(
    "copy",
    help=t(
        "A copy for one recipient and one matter, for a limited time; shown elsewhere or later it is refused.\n\n"
        "Example: civicledger licence copy zhang.json --to 11310000MB2F30001A --matter 办理落户 --days 7 --show CZZT\n\n"
        "With --pdf a page with a QR code: civicledger licence copy zhang.json --to … --to-name 某局 --matter 办理落户 --show CZZT "
        "--pdf copy.pdf --check-at https://GATEWAY/licence",
        "制作加注件：限定接收方、事项和期限；向他处或逾期出示将被拒绝。\n\n"
        "例：civicledger licence copy zhang.json --to 11310000MB2F30001A --matter 办理落户 --days 7 --show CZZT\n\n"
        "加 --pdf 制作带二维码的页面：civicledger licence copy zhang.json --to … --to-name 某局 --matter 办理落户 --show CZZT "
        "--pdf copy.pdf --check-at https://网关/licence",
    ),
)
def copy_(
    wallet: Path = WalletArgument,
    recipient: str = typer.Option(..., "--to", help=t("USCC of the recipient", "接收方统一社会信用代码")),
    matter: str = typer.Option(..., help=t("what it is for", "用途（事项）")),
    days: int = typer.Option(7, min=1, max=366, help=t("for so many days", "有效天数")),
    show_: list[str] = ShowOption,
    pdf: Path | None = typer.Option(
        None,
        help=t(
            "also draw it as a page to print or send, its code the copy itself", "同时制作可打印、可发送的 PDF 页面"
        ),
    ),
    recipient_name: str = ToNameOption,
    check_at: str = CheckAtOption,
    font: Path | None = FontOption,
    output: Path | None = OutputOption,
) -> None:
    """The holder's key signs recipient, matter and expiry together with the licence."""
    from ledger.licences.copies import CopyTerms, make_copy

    held = read_wallet(wallet)
    now = system_clock() // 1_000
    terms = CopyTerms(recipient=recipient, matter=matter, made_s=now, expires_s=now + days * 86_400)
    copy = make_copy(chosen(held, show_), terms, holder=held.signer(), nonce=secrets.token_bytes(16))
    if pdf is not None:
        write_private(pdf, _page(copy, terms, recipient_name or recipient, check_at, font))
        out.print(t(f"wrote {pdf}", f"已写出 {pdf}"), markup=False)
    if pdf is None or output is not None:
        _write(copy, output)


def _page(copy: str, terms: CopyTerms, recipient_name: str, check_at: str, font: Path | None) -> bytes:
    """The page of a copy. Raises: NotAllowedError(licence.copy-refused), UntrustedError(licence.binding-signature), and
    as ``copy_pdf``, ``pack`` and ``check_recipient_name``."""
    from ledger.licences import credential, packing
    from ledger.licences.pdf import copy_pdf, system_font
    from ledger.licences.slipmaking import check_recipient_name, copy_page

    parsed = parse(copy)
    said = credential.read(open_claims(parsed))
    # A page looks like a document: none is made of what is refused everywhere, as far as its holder can tell.
    if said.holder_spki is None or (said.expires is not None and said.expires <= terms.made_s):
        raise NotAllowedError(
            "licence.copy-refused",
            t(
                "no page is made of a copy that is refused: the licence has expired, or is bound to no key",
                "证照已过期或未绑定密钥，其加注件会被拒绝，不制作页面",
            ),
            hint=t("ask the issuer for a licence in force, bound to your key", "请向发证机构申请有效且绑定密钥的证照"),
            expected=terms.made_s,
            actual=said.expires,
        )
    binding.verify(parsed, said.holder_spki, now_s=terms.made_s, max_age_s=None)
    name = check_recipient_name(recipient_name)
    page = copy_page(said, terms, recipient_name=name, code=packing.pack(copy), check_at=check_at)
    return copy_pdf(page, font or system_font())


def chosen(held: Wallet, names: list[str]) -> str:
    """The licence with the chosen claims only. Raises: InvalidInputError(licence.path)."""
    opened = open_claims(parse(held.licence))
    return issuing.present(held.licence, [(name,) for name in (_all(opened) if "*" in names else names)])


def _all(opened: Opened) -> list[str]:
    return sorted({str(item.path[0]) for item in opened.disclosures if item.path})


def _plain(value: Any) -> str:
    if isinstance(value, dict) and "jwk" in value:
        return t("bound to the holder's key ", "绑定持证人密钥 ") + b64.encode(binding.holder_key(value))[-16:]
    place = value.get("status_list") if isinstance(value, dict) else None
    if isinstance(place, dict):
        return f"{place.get('uri')} #{place.get('idx')}"
    return str(value)


def _write(text: str, output: Path | None) -> None:
    if output is None:
        sys.stdout.write(text + "\n")
        return
    output.write_text(text + "\n", "utf-8")
