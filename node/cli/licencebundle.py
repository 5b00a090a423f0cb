"""``civicledger licence bundle``: a licence in one file that anybody checks without a network."""

from __future__ import annotations

from pathlib import Path

import typer

from ledger.errors import InvalidInputError
from ledger.evidence.bundle import decode_bundle
from ledger.licences.sdjwt import open_claims, parse
from ledger.v1 import licences_pb2 as pb
from ledger.v1 import licences_pb2_grpc as rpc
from ledger.v1 import node_pb2
from ledger.v1.node_pb2_grpc import ProofServiceStub
from node.cli.connect import JsonOption, NodeOption, connect
from node.cli.licencegroup import app
from node.cli.licencenames import naming
from node.cli.licencewallet import ShowOption
from node.cli.output import out, print_json, write_private
from node.cli.texts import t
from node.cli.walletfile import read_wallet


@app.command(
    help=t(
        "Write a licence with everything that proves it offline: its record of issue, the issuer's key and accreditation, "
        "its status, down to the chain's finality. Made by the node of its issuer; checked with `bundle verify`, where "
        "it stays good after the issuer's key or accreditation has ended.\n\n"
        "Example: civicledger licence bundle 1.2.156.3005.2.… --show CZZT -o zhang.civic --policy city.policy",
        "写出证照的离线证明文件：签发记录、发证机构的密钥与发证资格、证照状态，直至链的终局性。由发证机构的节点制作；"
        "用 bundle verify 核验，发证机构的密钥或资格终止后仍可核验。\n\n"
        "例：civicledger licence bundle 1.2.156.3005.2.… --show CZZT -o zhang.civic --policy city.policy",
    )
)
def bundle(
    licence: str = typer.Argument(..., help=t("wallet file, identifier or id", "卡包文件、证照标识或编号")),
    output: Path = typer.Option(..., "--output", "-o", help=t("file to write", "输出文件")),
    show_: list[str] = ShowOption,
    policy: Path | None = typer.Option(None, help=t("also write the trust policy here", "同时写出信任策略文件")),
    wait: int = typer.Option(30, min=0, max=60, help=t("seconds to wait for the anchor", "等待锚定的秒数")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """The holder shows the file; whoever checks it brings the policy."""
    named = _named(licence)
    with connect(node) as connection:
        stub = connection.stub(rpc.IssuingServiceStub)
        if "*" in show_:
            held = stub.Get(pb.GetLicenceRequest(**named), timeout=30).sd_jwt
            show_ = _hidden(held) if held else []
        wanted = pb.MakeLicenceBundleRequest(**named, show=show_, wait_ms=wait * 1_000)
        made = stub.MakeBundle(wanted, timeout=2 * wait + 30).bundle
        trust = b""
        if policy:
            trust = connection.stub(ProofServiceStub).GetPolicy(node_pb2.GetPolicyRequest(), timeout=30).policy
    write_private(output, made)
    if policy:
        policy.write_bytes(trust)
    proof = decode_bundle(made).licence
    status = proof is not None and proof.status is not None
    if as_json:
        report = {
            "bundle": str(output),
            "bytes": len(made),
            "status": status,
            "policy": str(policy) if policy else None,
        }
        print_json(report)
        return
    out.print(t(f"wrote {output} ({len(made)} bytes)", f"已写出 {output}（{len(made)} 字节）"), markup=False)
    if not status:
        out.print(
            t(
                "without a status list, because none that the chain bears out is published: it is refused as status-unknown, "
                "but for `bundle verify --without-status`. civicledger licence status --publish, then make it again",
                "不含状态列表（没有已发布且与链一致的列表）：核验结论为“状态无法确认”，除非使用 bundle verify --without-status。"
                "请先运行 civicledger licence status --publish，再重新制作",
            ),
            markup=False,
        )


def _named(licence: str) -> dict[str, object]:
    """A licence as messages name it, from a wallet file too. Raises: InvalidInputError(input.licence)."""
    if not Path(licence).is_file():
        return naming(licence)
    identifier = open_claims(parse(read_wallet(Path(licence)).licence)).claims.get("ZZBS")
    if not isinstance(identifier, str):
        raise InvalidInputError(
            "input.licence",
            t("this file does not show the licence's identifier", "该文件没有出示证照标识"),
            hint=t("take the wallet file, or name the licence", "请使用卡包文件，或给出证照标识"),
        )
    return {"identifier": identifier}


def _hidden(held: str) -> list[str]:
    """The names of all claims that may be held back."""
    return sorted({str(item.path[0]) for item in open_claims(parse(held)).disclosures if item.path})
