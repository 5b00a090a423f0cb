"""``civicledger licence fetch``: the issuer's node is asked for a licence, and the citizen is not (免于提交)."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from ledger.v1 import licences_pb2 as pb
from ledger.v1 import licences_pb2_grpc as rpc
from node.cli.connect import GrantArgument, JsonOption, NodeOption, connect, grant_id, hex32
from node.cli.licencegroup import app
from node.cli.licencewallet import OutputOption
from node.cli.output import err, print_json
from node.cli.texts import LANG, t

TIMEOUT_S = 600.0


@app.command(
    help=t(
        "Fetch one licence of a holder under a grant, instead of asking the holder for it. Both departments put it on "
        "record; the holder can see it.\n\n"
        "Example: civicledger licence fetch GRANT --holder 3101… --cause 落户申请2026-117 -o licence.txt",
        "依授权获取持证人的一张证照，免于提交。双方日志均留痕，持证人可以查到。\n\n"
        "例：civicledger licence fetch GRANT --holder 3101… --cause 落户申请2026-117 -o licence.txt",
    )
)
def fetch(
    grant: str = GrantArgument,
    holder: str = typer.Option(..., help=t("the holder's code", "持证主体代码")),
    cause: str = typer.Option(..., help=t("why, for this case: up to 200 characters", "本次使用原因，至多 200 字")),
    field: list[str] = typer.Option([], help=t("only these fields", "仅这些字段")),
    operator: str = typer.Option("", help=t("pseudonym of the operator", "经办人假名")),
    nonce: str = typer.Option("", help=t("32 bytes in hex: the same nonce resumes", "32 字节十六进制：相同即续传")),
    output: Path | None = OutputOption,
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """The licence to the file, the verdict of the own node to the terminal; exit status 1 unless it can be relied on."""
    with connect(node) as connection:
        wanted = pb.FetchLicenceRequest(
            grant=grant_id(connection, grant),
            holder=holder,
            use_cause=cause,
            fields=field,
            operator_pseudonym=operator,
            nonce=hex32(nonce, "nonce") if nonce else b"",
        )
        answer = connection.stub(rpc.FetchingServiceStub).Fetch(wanted, timeout=TIMEOUT_S)
    verdict = json.loads(answer.verdict)
    if output is not None:
        output.touch(mode=0o600)
        output.write_text(answer.presentation + "\n", "utf-8")
    if as_json:
        print_json(
            {
                "licence": answer.presentation,
                "verdict": verdict,
                "exchange": answer.receipt.exchange,
                "receipt": json.loads(answer.receipt.receipt),
                "log_index": answer.log_index,
            }
        )
    else:
        if output is None:
            typer.echo(answer.presentation)
        err.print(f"{verdict['title'][LANG]}  [{verdict['code']}]", markup=False)
        err.print(
            t(
                f"receipt {answer.receipt.exchange.hex()}, on record as entry {answer.log_index} of the own log",
                f"回执 {answer.receipt.exchange.hex()}，已记为本部门日志第 {answer.log_index} 条",
            ),
            markup=False,
        )
    if not verdict["accepted"]:
        raise typer.Exit(1)
