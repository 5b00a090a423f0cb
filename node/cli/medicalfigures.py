"""``civicledger medical list|changes|statistics``: what became of results, here and elsewhere."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import typer

from ledger.errors import ConflictError, UnavailableError
from ledger.spreadsheets import plain_cell
from ledger.v1 import medical_pb2 as pb
from ledger.v1 import medical_pb2_grpc as rpc
from node.cli.connect import JsonOption, NodeOption, connect, every, hex32
from node.cli.medicalgroup import app
from node.cli.medicalwords import CHANGES, ROLES, STATES, STEPS, TIMEOUT_S, shown_time, step_object
from node.cli.output import out, print_json, table
from node.cli.texts import t

_FIGURES = ("offered", "opened", "recognised", "retested", "opened_not_recognised", "saved_cents")


@app.command(
    "list",
    help=t(
        "Steps of this hospital and of others on its reports, in order of time.\n\n"
        "Example: civicledger medical list --json",
        "本院的步骤，以及其他医院对本院报告的步骤，按时间排列。\n\n例：civicledger medical list --json",
    ),
)
def list_(
    report: str = typer.Option("", help=t("only of this report (hex)", "仅此报告（十六进制）")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """A line for each step."""
    with connect(node) as connection:
        stub = connection.stub(rpc.MedicalServiceStub)
        steps = (
            list(stub.List(pb.ListStepsRequest(report=hex32(report, "report")), timeout=TIMEOUT_S).steps)
            if report
            else list(every(stub.List, pb.ListStepsRequest(), "steps"))
        )
    if as_json:
        print_json([step_object(step) for step in steps])
        return
    columns = (
        t("step", "步骤"),
        t("time", "时间"),
        t("who", "谁"),
        t("what", "事项"),
        t("report", "报告"),
        t("hospital", "医院"),
        t("items", "项目"),
        t("state", "状态"),
    )
    table(t("steps", "步骤"), columns, (_row(step) for step in steps))


@app.command(
    help=t(
        "Corrections and withdrawals of reports this hospital opened at others.\n\n"
        "Example: civicledger medical changes",
        "本院曾调阅的报告的更正与撤回。\n\n例：civicledger medical changes",
    )
)
def changes(node: Path | None = NodeOption, as_json: bool = JsonOption) -> None:
    """A line for each report that changed, newest first."""
    with connect(node) as connection:
        stub = connection.stub(rpc.MedicalServiceStub)
        found = list(stub.ListChanges(pb.ListChangesRequest(), timeout=TIMEOUT_S).changes)
    if as_json:
        print_json(
            [
                {
                    "institution": one.institution,
                    "report": bytes(one.report),
                    "version": one.version,
                    "change": one.change,
                    "time_ms": one.time_ms,
                    "notice": json.loads(one.notice),
                }
                for one in found
            ]
        )
        return
    columns = (t("time", "时间"), t("hospital", "医院"), t("report", "报告"), t("change", "变化"), t("version", "版本"))
    rows = (
        (shown_time(one.time_ms), one.institution, bytes(one.report), CHANGES.get(one.change, one.change), one.version)
        for one in found
    )
    table(t("changes", "变化"), columns, rows)


@app.command(
    help=t(
        "What became of the results: offered, opened, recognised, re-tested and why, and the money saved; by hospital, "
        "item and specialty. --check compares the steps with the records of the own log.\n\n"
        "Example: civicledger medical statistics --csv figures.csv",
        "结果的去向：提供、调阅、互认、重检及理由、节省费用；按医院、项目、专业。--check 与本院日志记录核对。\n\n"
        "例：civicledger medical statistics --csv figures.csv",
    )
)
def statistics(
    since: int = typer.Option(0, help=t("from this time, Unix seconds", "起始时间（Unix 秒）")),
    until: int = typer.Option(0, help=t("before this time, Unix seconds; 0: now", "截止时间（Unix 秒）；0 为现在")),
    check: bool = typer.Option(False, "--check", help=t("compare with the log", "与日志核对")),
    to_csv: Path | None = typer.Option(None, "--csv", help=t("all figures to a CSV file", "全部数据写入 CSV 文件")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """The totals by hospital, or everything; exit status 1 when the records say otherwise."""
    request = pb.MedicalStatisticsRequest(from_s=max(since, 0), until_s=max(until, 0), check_records=check)
    with connect(node) as connection:
        found = connection.stub(rpc.MedicalServiceStub).Statistics(request, timeout=TIMEOUT_S)
    figures = [_figure(one) for one in found.figures]
    if to_csv is not None:
        _write_csv(to_csv, figures)
    if as_json:
        print_json({"figures": figures, "records": found.records})
    else:
        columns = (
            t("by", "按"),
            t("what", "对象"),
            t("reason", "理由"),
            t("offered", "提供"),
            t("opened", "调阅"),
            t("recognised", "互认"),
            t("re-tested", "重检"),
            t("opened, not recognised", "调阅未互认"),
            t("saved (yuan)", "节省（元）"),
        )
        shown = (one for one in found.figures if one.by in ("total", "provider", "asker"))
        table(t("figures, in items", "数据（按项目计）"), columns, (_figure_row(one) for one in shown))
        if found.records:
            out.print(t(f"records of the log: {found.records}", f"日志记录：{found.records}"), markup=False)
    if found.records == "different":
        raise typer.Exit(1)


def _row(step: Any) -> Iterable[object]:
    state = STATES.get(step.state, step.state) + (f" [{step.code}]" if step.code else "")
    what = STEPS.get(step.kind, step.kind) + (f" ({step.reason})" if step.reason else "")
    return (
        bytes(step.step),
        shown_time(step.time_ms),
        ROLES.get(step.role, step.role),
        what,
        bytes(step.report),
        step.counterpart,
        len(step.items),
        state,
    )


def _figure(one: Any) -> dict[str, Any]:
    names = ("by", "key", "name_zh", "name_en", "reason")
    # A row of one reason counts re-tests and nothing else.
    figures = ("retested",) if one.reason else _FIGURES
    return {name: getattr(one, name) for name in names} | {
        name: getattr(one, name) if name in figures else None for name in _FIGURES
    }


def _figure_row(one: Any) -> Iterable[object]:
    bys = {"total": t("in all", "合计"), "provider": t("examined at", "检查医院"), "asker": t("used at", "使用医院")}
    figure = _figure(one)
    counts = ["" if figure[name] is None else figure[name] for name in _FIGURES[:-1]]
    saved = figure["saved_cents"]
    return (bys[one.by], one.key, one.reason, *counts, "" if saved is None else f"{saved // 100}.{saved % 100:02d}")


def _write_csv(path: Path, figures: list[dict[str, Any]]) -> None:
    try:
        with path.open("x", newline="", encoding="utf-8-sig") as file:
            writer = csv.DictWriter(file, ("by", "key", "name_zh", "name_en", "reason", *_FIGURES))
            writer.writeheader()
            # Items are named by other hospitals' nodes where the own rules do not know them.
            writer.writerows(
                {name: plain_cell(value) if isinstance(value, str) else value for name, value in figure.items()}
                for figure in figures
            )
    except FileExistsError as error:
        raise ConflictError(
            "output.exists",
            t(f"{path} is there already", f"{path} 已存在"),
            hint=t("give another name", "请换一个文件名"),
        ) from error
    except OSError as error:
        raise UnavailableError(
            "output.write", t(f"{path} cannot be written: {error.strerror}", f"无法写入 {path}：{error.strerror}")
        ) from error
