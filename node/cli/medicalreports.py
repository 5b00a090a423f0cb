"""``civicledger medical ingest|reports|withdraw``: the reports of this hospital."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import typer

from ledger.errors import InvalidInputError
from ledger.medical.fhirjson import MAX_BYTES
from ledger.medical.fhirproblems import problem
from ledger.medical.outcome import operation_outcome, to_json
from ledger.model import format_time
from ledger.v1 import reports_pb2 as pb
from ledger.v1 import reports_pb2_grpc as rpc
from node.cli.connect import CALL_TIMEOUT, JsonOption, NodeOption, connect, hex32
from node.cli.medicalgroup import app
from node.cli.output import facts, print_json, table
from node.cli.texts import t

#: How often a watched folder is looked at, and how long a file must rest before it is taken, seconds.
_LOOK_S = 2.0


@app.command(
    help=t(
        "Take in FHIR R4 reports and consents: files, or every .json of a folder. Of a folder each file moves to done/ or refused/, "
        "with its OperationOutcome beside.\n\n"
        "Examples: civicledger medical ingest report.json\n\n"
        "          civicledger medical ingest --folder /srv/lis/out --watch",
        "接收 FHIR R4 报告与知情同意：文件，或目录中的所有 .json。目录中的文件随后移入 done/ 或 refused/，旁附 OperationOutcome。\n\n"
        "例：civicledger medical ingest report.json\n\n"
        "    civicledger medical ingest --folder /srv/lis/out --watch",
    )
)
def ingest(
    files: list[Path] = typer.Argument(None, help=t("reports (JSON)", "报告文件（JSON）")),
    folder: Path | None = typer.Option(None, "--folder", help=t("take every .json here", "处理此目录中的所有 .json")),
    watch: bool = typer.Option(False, "--watch", help=t("go on until stopped", "持续监视，直到停止")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Exit status 1 when something was refused."""
    if bool(files) == (folder is not None) or (watch and folder is None):
        raise InvalidInputError(
            "input.reports",
            t("give files, or --folder (with --watch where it goes on)", "请给出文件，或使用 --folder（可加 --watch）"),
        )
    rows = []
    with connect(node) as connection:
        stub = connection.stub(rpc.ReportServiceStub)
        if folder is None:
            rows = [_one(stub, path) for path in files]
        else:
            rows = _folder(stub, folder)
            while watch:
                if rows:
                    _show(rows, as_json=as_json)
                time.sleep(_LOOK_S)
                # Not kept: a watch goes on for months.
                rows = _folder(stub, folder)
    _show(rows, as_json=as_json)
    if any(row["state"] == "refused" for row in rows):
        raise typer.Exit(1)


@app.command(
    help=t(
        "Reports of this hospital, newest first, without their patients; or what was refused lately.\n\n"
        "Example: civicledger medical reports --refused",
        "本机构的报告（不含患者），由新到旧；或最近被拒收的内容。\n\n例：civicledger medical reports --refused",
    )
)
def reports(
    count: int = typer.Option(50, "--count", min=1, max=200, help=t("how many", "条数")),
    refused: bool = typer.Option(False, "--refused", help=t("what was refused", "被拒收的内容")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Without their patients."""
    with connect(node) as connection:
        stub = connection.stub(rpc.ReportServiceStub)
        if refused:
            found = stub.Outcomes(pb.ReportOutcomesRequest(page_size=count), timeout=CALL_TIMEOUT).refused
            rows: list[dict[str, Any]] = [
                {
                    "time": format_time(item.time_ms),
                    "via": item.via,
                    "bytes": item.byte_count,
                    "codes": list(item.codes),
                }
                for item in found
            ]
        else:
            found = stub.List(pb.ListReportsRequest(page_size=count), timeout=CALL_TIMEOUT).reports
            rows = [_described(item) for item in found]
    if as_json:
        print_json(rows)
        return
    title = t("Refused", "拒收") if refused else t("Reports", "报告")
    table(title, list(rows[0]) if rows else [], [[_plain(value) for value in row.values()] for row in rows])


@app.command(
    help=t(
        "Take a report back; whoever opened it is told.\n\nExample: civicledger medical withdraw 3f… sample-mixed-up",
        "撤回报告；已调阅的机构会收到通知。\n\n例：civicledger medical withdraw 3f… sample-mixed-up",
    )
)
def withdraw(
    report: str = typer.Argument(..., help=t("the report's id", "报告标识")),
    reason: str = typer.Argument(..., help=t("code of the reason", "原因代码")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """On record when done."""
    wanted = pb.WithdrawReportRequest(report=hex32(report, t("report", "报告")), reason=reason)
    with connect(node) as connection:
        row = _described(connection.stub(rpc.ReportServiceStub).Withdraw(wanted, timeout=CALL_TIMEOUT))
    if as_json:
        print_json(row)
    else:
        facts(t("Report withdrawn", "报告已撤回"), row)


def _one(stub: Any, path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        # It would not pass the node's door either.
        problems = [problem("fhir.too-large", limit=str(MAX_BYTES >> 20))]
        outcome, state = to_json(operation_outcome(problems)), "refused"
        answer = pb.IngestReportResponse(state=state, outcome=outcome, codes=["fhir.too-large"])
    else:
        answer = stub.Ingest(pb.IngestReportRequest(fhir=data), timeout=CALL_TIMEOUT)
    return {
        "file": str(path),
        "state": answer.state,
        "report": answer.report.hex(),
        "version": answer.version,
        "codes": list(answer.codes),
        "outcome": answer.outcome,
    }


def _folder(stub: Any, folder: Path) -> list[dict[str, Any]]:
    """Every file at rest: a file that is being written is left for the next look."""
    rows = []
    for path in sorted(folder.glob("*.json")):
        if not path.is_file() or time.time() - path.stat().st_mtime < _LOOK_S:
            continue
        row = _one(stub, path)
        place = folder / ("refused" if row["state"] == "refused" else "done")
        place.mkdir(exist_ok=True)
        # The outcome first: a file that moved has its outcome. A crash before the move sends it again, which is known.
        stem = _free_stem(place, path.stem)
        (place / f"{stem}.outcome.json").write_bytes(row["outcome"])
        path.rename(place / f"{stem}.json")
        rows.append(row)
    return rows


def _free_stem(place: Path, stem: str) -> str:
    """A name that no file moved there before has: what was refused lies nowhere else."""
    names = (stem if number == 1 else f"{stem}-{number}" for number in itertools.count(1))
    return next(name for name in names if not (place / f"{name}.json").exists())


def _show(rows: Iterable[dict[str, Any]], *, as_json: bool) -> None:
    shown = [{name: value for name, value in row.items() if name != "outcome"} for row in rows]
    if as_json:
        print_json(shown)
        return
    columns = [t("file", "文件"), t("state", "状态"), t("report", "报告"), t("version", "版本"), t("codes", "代码")]
    table(t("Reports", "报告"), columns, [[_plain(value) for value in row.values()] for row in shown])


def _described(item: Any) -> dict[str, Any]:
    return {
        "report": item.report.hex(),
        "version": item.version,
        "category": item.category,
        "status": item.status,
        "withdrawn": item.withdrawn,
        "held": item.held,
        "items": item.items,
        "unmapped": item.unmapped,
        "received": format_time(item.received_ms),
        "log_index": item.log_index,
        "via": item.via,
        "reason": item.reason,
    }


def _plain(value: object) -> object:
    return ", ".join(value) if isinstance(value, list) else value
