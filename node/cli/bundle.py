"""``civicledger bundle``: take a proof away in one file; verify one anywhere."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.markup import escape

from ledger.errors import InvalidInputError, LedgerError
from ledger.evidence.bundle import decode_bundle
from ledger.model import format_time, parse_time
from ledger.v1 import node_pb2 as pb
from ledger.v1 import node_pb2_grpc as rpc
from ledger.verify import verify_bundle
from node.cli.connect import JsonOption, NodeOption, connect
from node.cli.groups import SAYS
from node.cli.inputs import MAX_NUMBER
from node.cli.licencewords import print_verdict
from node.cli.output import err, facts, out, print_error, print_json, table
from node.cli.texts import t
from node.context import system_clock

app = typer.Typer(help=SAYS["bundle"], no_args_is_help=True)
MAX_BUNDLE = 1 << 20
MAX_POLICY = 1 << 20
#: What the word of a verdict means.
FINALITY = {
    "single-signer": t("one sequencer signs, other members cosign", "单一出块方签名，其他成员共签"),
    "bft": t("more than two thirds of the validators sign", "超过三分之二的验证节点签名"),
    "unproven": t(
        "NOBODY PROVES THE BLOCK: it rests on the word of who made the bundle, and on the keys the policy pins",
        "无人证明该区块：仅凭证明文件制作者之言及策略所固定的密钥",
    ),
}


@app.command(
    help=t(
        "Write the proof of one record.\n\nExample: civicledger bundle make 42 -o use.civic --policy city.policy",
        "写出一条记录的证明文件。\n\n例：civicledger bundle make 42 -o use.civic --policy city.policy",
    )
)
def make(
    index: int = typer.Argument(..., min=0, max=MAX_NUMBER, help=t("index in the own log", "本部门日志中的序号")),
    output: Path = typer.Option(..., "--output", "-o", help=t("file to write", "输出文件")),
    policy: Path | None = typer.Option(None, help=t("also write the trust policy here", "同时写出信任策略文件")),
    generation: int = typer.Option(
        0, min=0, max=65_535, help=t("of a retired log: its generation", "已退役日志的代次")
    ),
    wait: int = typer.Option(30, min=0, max=60, help=t("seconds to wait for the anchor", "等待锚定的秒数")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Record, inclusion, cosigned checkpoint, anchor, finality in one file."""
    with connect(node) as connection:
        stub = connection.stub(rpc.ProofServiceStub)
        request = pb.MakeBundleRequest(index=index, wait_ms=wait * 1_000, generation=generation)
        bundle = stub.MakeBundle(request, timeout=wait + 30).bundle
        trust = stub.GetPolicy(pb.GetPolicyRequest(), timeout=30).policy if policy else b""
    output.write_bytes(bundle)
    if policy:
        policy.write_bytes(trust)
    if as_json:
        print_json({"bundle": str(output), "bytes": len(bundle), "policy": str(policy) if policy else None})
    else:
        out.print(t(f"wrote {output} ({len(bundle)} bytes)", f"已写出 {output}（{len(bundle)} 字节）"), markup=False)


@app.command(
    help=t(
        "Verify a proof file, of a record or of a licence: no network, no node, only the policy file.\n\n"
        "Example: civicledger bundle verify use.civic --policy city.policy --json",
        "验证记录或证照的证明文件：无需网络、无需节点，只需信任策略文件。\n\n例：civicledger bundle verify use.civic --policy city.policy --json",
    )
)
def verify(
    bundle: Path = typer.Argument(..., help=t("the .civic file", ".civic 文件")),
    policy: Path = typer.Option(..., "--policy", "-p", help=t("trust policy", "信任策略文件")),
    at: str = typer.Option(
        "",
        help=t(
            "time of judging, e.g. 2026-11-22T08:00:00.000Z (default: the policy's; of a licence: now)",
            "判定时间（默认取策略中的时间；证照默认为现在）",
        ),
    ),
    without_status: bool = typer.Option(
        False,
        "--without-status",
        help=t(
            "of a licence: accept a file without a status list, which says nothing of revocation",
            "证照：接受不含状态列表的文件（无法得知是否已注销）",
        ),
    ),
    status_hours: int = typer.Option(
        0,
        min=0,
        max=1_000_000,
        help=t(
            "of a licence: refuse a status list older than so many hours (0: any age, which is shown)",
            "证照：拒绝早于此小时数的状态列表（0 为不限，仅显示其时间）",
        ),
    ),
    as_json: bool = JsonOption,
) -> None:
    """Exit 0 when verified, or when unproven and the policy takes that; 1 with the link that broke when not."""
    data = _read(bundle, MAX_BUNDLE)
    trust = _read(policy, MAX_POLICY)
    try:
        verdict = verify_bundle(
            data,
            trust,
            parse_time(at) if at else _now(data),
            without_status=without_status,
            status_age_s=3_600 * status_hours or None,
        )
    except LedgerError as error:
        if as_json:
            print_json({"verdict": "refused", **error.to_dict()})
        else:
            err.print(t("[bold red]refused[/]", "[bold red]未通过[/]"))
            print_error(error)
        raise typer.Exit(1) from None
    value = verdict.to_dict()
    if as_json:
        print_json(value)
    else:
        table(
            escape(f"{bundle.name}: {value['verdict']}"),
            [t("check", "检查项"), "", t("detail", "说明")],
            [(check["name"], "✓" if check["ok"] else "✗", check["detail"]) for check in value["checks"]],
        )
        facts(
            "",
            {
                t("verdict", "结论"): value["verdict"],
                t("reached", "达到"): value["reached"],
                t("finality", "终局性"): f"{value['finality']}: {FINALITY.get(value['finality'], '')}".rstrip(": "),
            },
        )
        if "licence" in value:
            print_verdict(value["licence"])
            view = value["licence"]["view"]
            out.print(
                t(
                    f"  trust as of {format_time(view['time'])} (block {view['height']}), "
                    f"{view['age_ms'] // 1_000} s before the judgement",
                    f"  信任信息截至 {format_time(view['time'])}（区块 {view['height']}），"
                    f"早于判定 {view['age_ms'] // 1_000} 秒",
                ),
                markup=False,
            )
    if value["verdict"] not in ("verified", "unproven"):
        raise typer.Exit(1)


def _now(data: bytes) -> int | None:
    """The present time for a licence, which may have expired meanwhile; None for a record, which cannot."""
    try:
        return None if decode_bundle(data).licence is None else system_clock()
    except LedgerError:
        return None


def _read(path: Path, limit: int) -> bytes:
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise InvalidInputError("bundle.too-large", t(f"{path} is over {limit} bytes", f"{path} 超过 {limit} 字节"))
    return data
