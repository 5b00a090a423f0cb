"""``civicledger medical consent | contact | notices | pseudonym-key``: what patients allow, and how they are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from ledger.days import start_of
from ledger.model import format_time
from ledger.v1 import keeping_pb2 as pb
from ledger.v1 import keeping_pb2_grpc as rpc
from node.cli.connect import CALL_TIMEOUT, JsonOption, NodeOption, connect, resolve_member
from node.cli.inputs import parse_day
from node.cli.medicalgroup import app
from node.cli.output import facts, out, print_json, table
from node.cli.texts import t

__all__ = ["app"]

consent = typer.Typer(
    help=t(
        "Whether a patient lets results be shared: forbid, allow, show (同意).",
        "患者是否允许共享结果：禁止、允许、查看。",
    ),
    no_args_is_help=True,
)
keys = typer.Typer(
    help=t(
        "Keys of pseudonyms at the health commission: status, rotate (假名密钥).",
        "卫生健康部门的假名密钥：查看、轮换。",
    ),
    no_args_is_help=True,
)
app.add_typer(consent, name="consent")
app.add_typer(keys, name="pseudonym-key")

PatientOption = typer.Option(..., "--patient", help=t("the hospital's own number of the patient", "本院患者编号"))
ToOption = typer.Option(
    "", "--to", help=t("handle or code of one member (default: all)", "某一成员的代号或信用代码（默认：全部）")
)
UntilOption = typer.Option("", "--until", help=t("until this day, 00:00 in China", "截止日期（北京时间零点）"))


@consent.command(
    help=t(
        "Forbid that a patient's results are offered or opened, from now on.\n\n"
        "Example: civicledger medical consent forbid --patient P-0017 --to second-hospital",
        "自现在起禁止共享该患者的结果。\n\n例：civicledger medical consent forbid --patient P-0017 --to second-hospital",
    )
)
def forbid(
    patient: str = PatientOption,
    to: str = ToOption,
    until: str = UntilOption,
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Acts at once."""
    _change(patient, False, to, until, node, as_json)


@consent.command(
    help=t(
        "Allow that a patient's results are offered and opened again.\n\n"
        "Example: civicledger medical consent allow --patient P-0017 --until 2027-01-01",
        "重新允许共享该患者的结果。\n\n例：civicledger medical consent allow --patient P-0017 --until 2027-01-01",
    )
)
def allow(
    patient: str = PatientOption,
    to: str = ToOption,
    until: str = UntilOption,
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Acts at once."""
    _change(patient, True, to, until, node, as_json)


@consent.command(
    help=t(
        "What a patient said, oldest first; where nothing speaks, sharing is allowed.\n\n"
        "Example: civicledger medical consent show --patient P-0017",
        "患者的历次意愿，旧者在前；未涉及者默认允许共享。\n\n例：civicledger medical consent show --patient P-0017",
    )
)
def show(patient: str = PatientOption, node: Path | None = NodeOption, as_json: bool = JsonOption) -> None:
    """What names one body goes before what names all; the newer before the older."""
    with connect(node) as connection:
        stub = connection.stub(rpc.KeepingServiceStub)
        rules = stub.ShowConsent(pb.ShowConsentRequest(patient=patient), timeout=CALL_TIMEOUT).rules
    rows = [
        {
            "to": rule.asker or "*",
            "permit": rule.permit,
            "from": format_time(rule.since * 1_000),
            "until": format_time(rule.until * 1_000) if rule.until else None,
            "via": rule.via,
        }
        for rule in rules
    ]
    if as_json:
        print_json({"rules": rows})
        return
    table(
        t("Consents", "同意"),
        [t("to", "对象"), t("sharing", "共享"), t("from", "自"), t("until", "至"), t("via", "途径")],
        [
            (
                row["to"],
                t("allowed", "允许") if row["permit"] else t("forbidden", "禁止"),
                row["from"],
                row["until"] or "—",
                row["via"],
            )
            for row in rows
        ],
    )


@app.command(
    "contact",
    help=t(
        "Where a patient is told what was done with a result; an empty number: nowhere.\n\n"
        "Example: civicledger medical contact --patient P-0017 --phone +8613800000017 --language zh",
        "设置患者接收通知的号码；留空则不通知。\n\n例：civicledger medical contact --patient P-0017 --phone +8613800000017 --language zh",
    ),
)
def contact(
    patient: str = PatientOption,
    phone: str = typer.Option(..., help=t("E.164, e.g. +8613800000017", "E.164 格式，如 +8613800000017")),
    language: str = typer.Option("zh", help="zh | en"),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Kept in the vault only."""
    with connect(node) as connection:
        request = pb.SetContactRequest(patient=patient, phone=phone, language=language)
        connection.stub(rpc.KeepingServiceStub).SetContact(request, timeout=CALL_TIMEOUT)
    if as_json:
        print_json({"told": bool(phone)})
    else:
        out.print(t("kept", "已保存"))


@app.command(
    "notices",
    help=t(
        "Notices to patients: what waits and why, how many went.\n\nExample: civicledger medical notices",
        "患者通知：待发及原因、已发数量。\n\n例：civicledger medical notices",
    ),
)
def notices(node: Path | None = NodeOption, as_json: bool = JsonOption) -> None:
    """Whom they are for is not shown."""
    with connect(node) as connection:
        answer = connection.stub(rpc.KeepingServiceStub).ListNotices(pb.ListNoticesRequest(), timeout=CALL_TIMEOUT)
    rows = [
        {
            "event": one.event,
            "kind": one.kind,
            "time": format_time(one.time * 1_000),
            "attempts": one.attempts,
            "next": format_time(one.next * 1_000) if one.next else None,
            "problem": one.problem or None,
        }
        for one in answer.waiting
    ]
    counts = {"waiting": answer.waiting_count, "delivered": answer.delivered_count, "dropped": answer.dropped_count}
    if as_json:
        print_json({**counts, "notices": rows})
        return
    facts(
        "",
        {
            t("waiting", "待发"): answer.waiting_count,
            t("delivered", "已发"): answer.delivered_count,
            t("dropped", "已弃"): answer.dropped_count,
        },
    )
    if rows:
        table(
            t("Waiting", "待发"),
            [t("event", "事件"), t("kind", "种类"), t("time", "时间"), t("attempts", "次数"), t("problem", "原因")],
            [
                (one.event.hex()[:16], one.kind, format_time(one.time * 1_000), one.attempts, one.problem or "—")
                for one in answer.waiting
            ],
        )


@keys.command(
    help=t(
        "The keys in use, by their fingerprints.\n\nExample: civicledger medical pseudonym-key status",
        "在用密钥及其指纹。\n\n例：civicledger medical pseudonym-key status",
    )
)
def status(node: Path | None = NodeOption, as_json: bool = JsonOption) -> None:
    """This year's, and last year's where there is one."""
    with connect(node) as connection:
        stub = connection.stub(rpc.KeepingServiceStub)
        answer = stub.ListPseudonymKeys(pb.ListPseudonymKeysRequest(), timeout=CALL_TIMEOUT)
    if as_json:
        print_json({"year": answer.year, "keys": [_key(key) for key in answer.keys]})
        return
    table(
        t(f"Keys of pseudonyms, {answer.year}", f"{answer.year} 年假名密钥"),
        [t("year", "年份"), t("number", "序号"), t("fingerprint", "指纹")],
        [(key.year, key.number, key.fingerprint.hex()) for key in answer.keys],
    )


@keys.command(
    help=t(
        "Carry out what the year demands (the node does it by itself): a key for this year, none of the year before "
        "last. --replace exchanges this year's key, when it fell into other hands; hospitals derive anew.\n\n"
        "Example: civicledger medical pseudonym-key rotate --replace",
        "按年份轮换（节点会自动执行）：生成本年密钥，销毁前年密钥。--replace 在密钥外泄时更换本年密钥，各医院随后重新派生。\n\n"
        "例：civicledger medical pseudonym-key rotate --replace",
    )
)
def rotate(
    replace: bool = typer.Option(False, "--replace", help=t("exchange this year's key", "更换本年密钥")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """On record before it returns."""
    with connect(node) as connection:
        stub = connection.stub(rpc.KeepingServiceStub)
        done = stub.RotatePseudonymKey(pb.RotatePseudonymKeyRequest(replace=replace), timeout=CALL_TIMEOUT)
    if as_json:
        print_json({"made": [_key(key) for key in done.made], "destroyed": [_key(key) for key in done.destroyed]})
        return
    if not done.made and not done.destroyed:
        out.print(t("nothing was due", "无需轮换"))
    for word, those in ((t("made", "已生成"), done.made), (t("destroyed", "已销毁"), done.destroyed)):
        for key in those:
            out.print(f"{word}: {key.year}-{key.number} {key.fingerprint.hex()}", markup=False)


def _change(patient: str, permit: bool, to: str, until: str, node: Path | None, as_json: bool) -> None:
    with connect(node) as connection:
        request = pb.ChangeConsentRequest(
            patient=patient,
            permit=permit,
            asker=resolve_member(connection, to) if to else "",
            until=start_of(parse_day(until)) // 1_000 if until else 0,
        )
        answer = connection.stub(rpc.KeepingServiceStub).ChangeConsent(request, timeout=CALL_TIMEOUT)
    if as_json:
        print_json({"log_index": answer.log_index, "permit": permit, "to": request.asker or "*"})
    else:
        word = t("allowed", "已允许") if permit else t("forbidden", "已禁止")
        out.print(t(f"{word}; record {answer.log_index}", f"{word}；记录序号 {answer.log_index}"))


def _key(key: Any) -> dict[str, Any]:
    return {"year": key.year, "number": key.number, "fingerprint": key.fingerprint}
