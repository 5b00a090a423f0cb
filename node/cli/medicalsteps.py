"""``civicledger medical search|open|recognise|retest``: other hospitals' results, as a doctor's desk uses them."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer

from ledger.errors import ConflictError, InvalidInputError, UnavailableError
from ledger.medical.reasons import NATIONAL
from ledger.v1 import medical_pb2 as pb
from ledger.v1 import medical_pb2_grpc as rpc
from node.cli.connect import Connection, JsonOption, NodeOption, connect, every, hex32, resolve_member
from node.cli.medicalgroup import app
from node.cli.medicalwords import STEPS, TIMEOUT_S, step_object
from node.cli.output import err, print_json, table
from node.cli.texts import LANG, t

_COURSES = ("chronic", "acute")
PurposeOption = typer.Option("treatment", help=t("why the patient is treated: a code", "诊疗目的代码"))
CourseOption = typer.Option("chronic", help=t("chronic or acute: whose time limits count", "病程：chronic 或 acute"))
OperatorOption = typer.Option("", help=t("pseudonym of the doctor", "医生假名"))
NonceOption = typer.Option(
    "", help=t("32 bytes in hex: the same nonce is the same step", "32 字节十六进制：相同即同一步骤")
)
PlaceOption = typer.Option(
    [], "--item", help=t("place of an item, repeat; default: all left", "项目序号，可重复；默认全部未决定的")
)
OpeningArgument = typer.Argument(..., help=t("the step that opened the report (hex)", "调阅步骤标识（十六进制）"))


@app.command(
    help=t(
        "What all hospitals offer of a patient, each item judged by the rules in force. Hospitals that did not answer in "
        "time are named. The identity goes to the health commission's node for its pseudonym and nowhere else; - reads it "
        "from standard input.\n\n"
        "Example: civicledger medical search ric:31010119800101123X --course acute",
        "向各医院查询一名患者可互认的结果，按现行规则逐项判定；未按时答复的医院会列出。身份只发给卫健委节点换取假名；"
        "写 - 则从标准输入读取。\n\n"
        "例：civicledger medical search ric:31010119800101123X --course acute",
    )
)
def search(
    identity: str = typer.Argument(..., help=t("kind and number, e.g. ric:3101…", "类型与号码，如 ric:3101…")),
    purpose: str = PurposeOption,
    course: str = CourseOption,
    deadline: int = typer.Option(0, help=t("milliseconds; 0: as node.toml says", "毫秒；0 为 node.toml 的设置")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """A line for each item."""
    request = pb.SearchResultsRequest(
        identity=sys.stdin.readline().strip() if identity == "-" else identity,
        purpose=purpose,
        course=_course(course),
        deadline_ms=max(deadline, 0),
    )
    with connect(node) as connection:
        found = connection.stub(rpc.MedicalServiceStub).Search(request, timeout=TIMEOUT_S)
    if as_json:
        print_json(
            {
                "rules": found.rules_version,
                "judged": found.judged_s,
                "asked": found.asked,
                "reports": [_report(one) for one in found.reports],
                "absent": [{"member": one.member, "code": one.code, "message": one.message} for one in found.absent],
            }
        )
        return
    rows = [
        (
            bytes(one.report),
            one.institution + (t(" (own)", "（本院）") if one.own else ""),
            one.version,
            item.place,
            item.item or t("not mapped", "未对照"),
            _day(item.taken_s),
            item.label or "-",
            t("yes", "可互认") if item.recognisable else "; ".join(getattr(why, LANG) for why in item.reasons),
        )
        for one in found.reports
        for item in one.items
    ]
    columns = (
        t("report", "报告"),
        t("hospital", "医院"),
        t("version", "版本"),
        t("place", "序号"),
        t("item", "项目"),
        t("taken", "采样或检查时间"),
        t("label", "标识"),
        t("recognisable", "可否互认"),
    )
    table(t(f"results of {found.asked} other hospitals", f"其他 {found.asked} 家医院的结果"), columns, rows)
    for one in found.absent:
        err.print(
            t(f"{one.member} did not answer: {one.message}", f"{one.member} 未答复：{one.message}") + f"  [{one.code}]",
            markup=False,
        )


@app.command(
    "open",
    help=t(
        "Open one report with its values, after a receipt both hospitals sign; the patient is told. Repeat with the same "
        "nonce after a failure.\n\n"
        "Example: civicledger medical open west 5f0c… --report-version 1 -o report.json",
        "调阅一份报告（含结果值），双方签署回执，患者会收到通知。失败后用相同 nonce 重试即可续办。\n\n"
        "例：civicledger medical open west 5f0c… --report-version 1 -o report.json",
    ),
)
def open_(
    hospital: str = typer.Argument(..., help=t("handle or USCC of the hospital", "医院代号或统一社会信用代码")),
    report: str = typer.Argument(..., help=t("the report (64 hex digits)", "报告标识（64 位十六进制）")),
    report_version: int = typer.Option(1, min=1, help=t("its version, as found", "查询到的版本")),
    purpose: str = PurposeOption,
    course: str = CourseOption,
    operator: str = OperatorOption,
    nonce: str = NonceOption,
    output: Path | None = typer.Option(None, "-o", "--output", help=t("file for the report", "报告保存到文件")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """The report to the file or the terminal, the step beside it."""
    if output is not None and output.exists():
        raise ConflictError(
            "output.exists",
            t(f"{output} is there already", f"{output} 已存在"),
            hint=t("give another name", "请换一个文件名"),
        )
    with connect(node) as connection:
        request = pb.OpenReportRequest(
            institution=resolve_member(connection, hospital),
            report=hex32(report, "report"),
            version=report_version,
            purpose=purpose,
            course=_course(course),
            operator_pseudonym=operator,
            nonce=hex32(nonce, "nonce") if nonce else b"",
        )
        opened = connection.stub(rpc.MedicalServiceStub).Open(request, timeout=TIMEOUT_S)
    if output is not None:
        try:
            output.touch(mode=0o600)
            output.write_bytes(opened.data)
        except OSError as error:
            raise UnavailableError(
                "output.write",
                t(f"{output} cannot be written: {error.strerror}", f"无法写入 {output}：{error.strerror}"),
                hint=t("repeat with the same nonce", "请用相同 nonce 重试") + f": --nonce {opened.step.nonce.hex()}",
            ) from error
    if as_json:
        text = opened.data.decode("utf-8", "replace")
        print_json({"step": step_object(opened.step)} | ({} if output else {"data": text}))
        return
    if output is None:
        sys.stdout.buffer.write(opened.data + b"\n")
        sys.stdout.flush()
    _said(opened.step)


@app.command(
    help=t(
        "Recognise items of an opened report instead of testing again. Judged once more by the rules as they are now.\n\n"
        "Example: civicledger medical recognise OPENING --item 0 --item 2",
        "互认已调阅报告中的项目，不再重检。互认时按现行规则再次判定。\n\n"
        "例：civicledger medical recognise OPENING --item 0 --item 2",
    )
)
def recognise(
    opening: str = OpeningArgument,
    item: list[int] = PlaceOption,
    operator: str = OperatorOption,
    nonce: str = NonceOption,
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """The step, with its receipt on both records."""
    _decide("recognise", "", opening, item, operator, nonce, node, as_json)


@app.command(
    help=t(
        "Test items of an opened report again, with the reason: " + ", ".join(NATIONAL) + ", or one that the region "
        "registered (civicledger medical rules show).\n\n"
        "Example: civicledger medical retest OPENING --reason fast-changing --item 1",
        "对已调阅报告中的项目重新检查，须说明理由："
        + "、".join(f"{code}（{zh}）" for code, (zh, _) in NATIONAL.items())
        + "，"
        "或本地登记的理由（civicledger medical rules show）。\n\n"
        "例：civicledger medical retest OPENING --reason fast-changing --item 1",
    )
)
def retest(
    opening: str = OpeningArgument,
    reason: str = typer.Option(..., help=t("code of the reason", "理由代码")),
    item: list[int] = PlaceOption,
    operator: str = OperatorOption,
    nonce: str = NonceOption,
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """The step, with its receipt on both records."""
    _decide("retest", reason, opening, item, operator, nonce, node, as_json)


def _decide(
    kind: str, reason: str, opening: str, items: list[int], operator: str, nonce: str, node: Path | None, as_json: bool
) -> None:
    if any(place < 0 for place in items):
        raise InvalidInputError("input.field", t("places count from 0", "项目序号从 0 开始"))
    with connect(node) as connection:
        request = pb.DecideRequest(
            opening=_opening(connection, opening),
            kind=kind,
            places=items,
            reason=reason,
            operator_pseudonym=operator,
            nonce=hex32(nonce, "nonce") if nonce else b"",
        )
        step = connection.stub(rpc.MedicalServiceStub).Decide(request, timeout=TIMEOUT_S)
    if as_json:
        print_json(step_object(step))
    else:
        _said(step)


def _opening(connection: Connection, text: str) -> bytes:
    """A step's id, in full or as a unique prefix of eight hex digits or more."""
    if not 8 <= len(text) < 64:
        return hex32(text, "opening")
    steps = every(connection.stub(rpc.MedicalServiceStub).List, pb.ListStepsRequest(), "steps")
    found = {bytes(step.step) for step in steps if step.step.hex().startswith(text.lower()) and step.kind == "open"}
    if len(found) != 1:
        raise InvalidInputError(
            "medical.opening",
            t(f"{len(found)} openings begin with {text!r}", f"有 {len(found)} 个调阅步骤以 {text!r} 开头"),
            hint="civicledger medical list",
        )
    return found.pop()


def _course(word: str) -> str:
    if word not in _COURSES:
        raise InvalidInputError("medical.course", t("the course is chronic or acute", "病程为 chronic 或 acute"))
    return word


def _said(step: Any) -> None:
    items = ", ".join(item or t("not mapped", "未对照") for item in step.items)
    text = t(
        f"{STEPS[step.kind]}: {items}; step {step.step.hex()}, on record as entry {step.log_index} of the own log",
        f"{STEPS[step.kind]}：{items}；步骤 {step.step.hex()}，已记为本院日志第 {step.log_index} 条",
    )
    err.print(text, markup=False)
    if step.differing:
        places = ", ".join(map(str, step.differing))
        err.print(
            t(
                f"not as offered: items {places} of the report are not what the hospital offered of them, and cannot be "
                "recognised",
                f"与提供时不符：报告第 {places} 项与对方医院提供的信息不一致，不能互认",
            ),
            style="bold yellow",
            markup=False,
        )


def _report(one: Any) -> dict[str, Any]:
    return {
        "report": bytes(one.report),
        "institution": one.institution,
        "own": one.own,
        "category": one.category,
        "status": one.status,
        "issued": one.issued_s or None,
        "version": one.version,
        "concluded": one.concluded,
        "items": [
            {
                "place": item.place,
                "item": item.item or None,
                "state": item.state,
                "status": item.status,
                "taken": item.taken_s or None,
                "recognisable": item.recognisable,
                "label": item.label or None,
                "age_s": item.age_s,
                "reasons": [{"code": why.code, "zh": why.zh, "en": why.en} for why in item.reasons],
            }
            for item in one.items
        ],
    }


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d") if seconds else "-"
