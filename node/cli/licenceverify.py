"""``civicledger licence verify``: the verdict of the own node or of a gateway, a line for each check."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

import typer
from rich.text import Text

from ledger.errors import InvalidInputError, NotFoundError, UnavailableError
from ledger.v1 import licences_pb2 as pb
from ledger.v1 import licences_pb2_grpc as rpc
from ledger.verifyissue import looks_like_bundle
from node.cli.connect import CALL_TIMEOUT, JsonOption, NodeOption, connect
from node.cli.licencegroup import app
from node.cli.licencewords import print_verdict
from node.cli.output import out, print_json
from node.cli.publichttp import CaOption, PublicHttp
from node.cli.texts import t
from node.cli.walletfile import MAX_BYTES, read_wallet, wallet_text

MAX_BUNDLE = 1 << 20


@app.command(
    help=t(
        "Check a licence, a presentation or a copy by the own node's view of the chain; exit status 1 unless it can be "
        "relied on. The check is on the own trail, without anything about the holder.\n\n"
        "After the issuer's key or accreditation has ended, the licence's bundle (.civic) proves when it was issued: give it "
        "with --proof, or instead of the licence.\n\n"
        "Examples: civicledger licence verify shown.txt      pbpaste | civicledger licence verify -\n\n"
        "civicledger licence verify shown.txt --proof zhang.civic\n\n"
        "Without a node, anybody asks a gateway (--gateway), whose word it then is; without a network: bundle verify.\n\n"
        "civicledger licence verify shown.txt --gateway https://licences.example.gov.cn --recipient 9131…",
        "以本节点所见的链核验证照、出示件或加注件；不可采信时退出码为 1。核验会记入本部门日志，不含持证人信息。\n\n"
        "发证机构的密钥或资格终止后，由证照证明文件（.civic）证明签发时间：用 --proof 给出，或直接核验该文件。\n\n"
        "例：civicledger licence verify shown.txt      pbpaste | civicledger licence verify -\n\n"
        "civicledger licence verify shown.txt --proof zhang.civic\n\n"
        "没有节点的任何人可请网关核验（--gateway），结论以该网关为准；无网络时用 bundle verify。\n\n"
        "civicledger licence verify shown.txt --gateway https://licences.example.gov.cn --recipient 9131…",
    )
)
def verify(
    licence: Path = typer.Argument(
        ...,
        help=t(
            "file with it (- is standard input), a wallet file or a bundle (.civic)",
            "证照文件（- 为标准输入）、卡包文件或证明文件（.civic）",
        ),
    ),
    audience: str = typer.Option("", help=t("it must be shown to this audience", "必须是向此对象出示的")),
    nonce: str = typer.Option("", help=t("it must answer this nonce", "必须回应此随机数")),
    proof: Path | None = typer.Option(None, help=t("its bundle (.civic)", "其证明文件（.civic）")),
    bound: bool = typer.Option(False, "--bound", help=t("the holder's key must show it", "必须由持证人密钥出示")),
    gateway: str = typer.Option("", help=t("ask this gateway instead of the own node", "请此网关核验，而非本节点")),
    ca: Path | None = CaOption,
    recipient: str = typer.Option(
        "", help=t("with --gateway: USCC of who checks, for copies", "与 --gateway 同用：核验方代码（加注件）")
    ),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """One verdict, whatever was handed over."""
    if gateway:
        asked: dict[str, Any] = {
            "licence": _text(licence),
            "nonce": nonce,
            "audience": audience,
            "recipient": recipient,
            "require_binding": bound,
            "proof": "" if proof is None else base64.b64encode(_bundle(proof)).decode("ascii"),
        }
        _show(PublicHttp(gateway, ca).post("/v1/licence/verify", asked), as_json=as_json)
        return
    if recipient:
        raise InvalidInputError(
            "input.recipient",
            t("a node judges copies for its own member", "节点只为本成员核验加注件"),
            hint=t("--recipient goes with --gateway", "--recipient 与 --gateway 同用"),
        )
    wanted = pb.VerifyLicenceRequest(
        presentation=_text(licence),
        audience=audience,
        nonce=nonce,
        require_binding=bound or bool(audience or nonce),
        proof=b"" if proof is None else _bundle(proof),
    )
    with connect(node) as connection:
        answer = connection.stub(rpc.VerifyingServiceStub).Verify(wanted, timeout=CALL_TIMEOUT)
    record = {"index": answer.log_index, "salt": answer.salt.hex()}
    _show({**json.loads(answer.verdict), "record": record}, as_json=as_json)


def _show(verdict: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(verdict)
    else:
        try:
            _print(verdict)
        except (KeyError, TypeError):
            raise UnavailableError(
                "source.answer",
                t("what answers there gives no verdict on a licence", "该地址的应答不是证照核验结论"),
                hint=t("the address of a gateway, without a path", "请使用网关地址，不带路径"),
            ) from None
    if verdict.get("accepted") is not True:
        raise typer.Exit(1)


def _text(path: Path) -> str:
    if str(path) == "-":
        data = sys.stdin.buffer.read(MAX_BUNDLE + 1)
        if len(data) > (MAX_BUNDLE if looks_like_bundle(data[:64].decode("utf-8", "replace")) else MAX_BYTES):
            raise InvalidInputError("input.too-large", t("the input is too large", "输入过大"), expected=MAX_BYTES)
        return wallet_text(data.decode("utf-8", "replace").strip())
    if path.suffix == ".civic":
        return _bundle(path).decode("utf-8", "replace")
    return read_wallet(path).licence


def _bundle(path: Path) -> bytes:
    """A bundle file. Raises: NotFoundError(input.file), InvalidInputError(input.too-large)."""
    if not path.is_file():
        raise NotFoundError("input.file", t(f"no such file: {path}", f"没有这个文件：{path}"))
    with path.open("rb") as file:
        data = file.read(MAX_BUNDLE + 1)
    if len(data) > MAX_BUNDLE:
        raise InvalidInputError("input.too-large", t(f"{path} is too large", f"{path} 过大"), expected=MAX_BUNDLE)
    return data


def _print(verdict: dict[str, Any]) -> None:
    print_verdict(verdict)
    view, record = verdict.get("view"), verdict.get("record")
    if view is None:
        return
    age = view["age_ms"] // 1_000
    text = t(f"  chain view: block {view['height']}, {age} s old", f"  链视图：区块 {view['height']}，{age} 秒前")
    if view.get("finality") in ("single-signer", "bft"):
        text += t(f", proven final ({view['finality']})", f"，已证明终局（{view['finality']}）")
    elif view.get("finality") is not None:
        text += t(
            f", whose finality the gateway did not verify ({view['finality']})",
            f"，网关未能验证其终局性（{view['finality']}）",
        )
    if record is not None:
        index = record["index"]
        text += t(f"; on record as entry {index} of the own log", f"；已记为本部门日志第 {index} 条")
    out.print(Text(text, style="dim"))
