"""``civicledger doctor``: what is wrong, and the next step."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.markup import escape

from ledger.v1 import node_pb2 as pb
from ledger.v1 import node_pb2_grpc as rpc
from node.cli.connect import CALL_TIMEOUT, JsonOption, NodeOption, connect
from node.cli.output import out, print_json
from node.cli.texts import t

_MARK = {"ok": "[green]✓[/]", "warning": "[yellow]![/]", "problem": "[bold red]✗[/]"}


def doctor(node: Path | None = NodeOption, as_json: bool = JsonOption) -> None:
    """Ask the node what it finds; exit 1 when there is a problem."""
    with connect(node) as connection:
        findings = connection.stub(rpc.StatusServiceStub).Diagnose(pb.DiagnoseRequest(), timeout=CALL_TIMEOUT).findings
    if as_json:
        print_json(
            {
                "findings": [
                    {
                        "severity": f.severity,
                        "code": f.code,
                        "message": t(f.message, f.message_zh or f.message),
                        "hint": t(f.hint, f.hint_zh or f.hint),
                    }
                    for f in findings
                ]
            }
        )
    else:
        for finding in findings:
            message = t(finding.message, finding.message_zh or finding.message)
            hint = t(finding.hint, finding.hint_zh or finding.hint)
            out.print(f"{_MARK.get(finding.severity, '?')} {escape(message)}  [dim]{escape(finding.code)}[/]")
            if hint:
                out.print(t("    next step: ", "    下一步：") + hint, markup=False)
    if any(finding.severity == "problem" for finding in findings):
        raise typer.Exit(1)
