"""``civicledger witness``: who cosigns this log, what was seen of others, and proofs that a log forked."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer

from ledger.codec import b64
from ledger.errors import ConflictError, InvalidInputError
from ledger.evidence.fork import MAX_EVIDENCE_BYTES, ForkEvidence
from ledger.evidence.note import parse_vkey
from ledger.evidence.tlogpolicy import MAX_POLICY_BYTES, parse_tlog_policy
from ledger.v1 import node_pb2 as pb
from ledger.v1 import node_pb2_grpc as rpc
from node.cli.connect import CALL_TIMEOUT, JsonOption, NodeOption, connect
from node.cli.groups import SAYS
from node.cli.output import facts, out, print_json, table
from node.cli.texts import t

app = typer.Typer(help=SAYS["witness"], no_args_is_help=True)


@app.command(
    name="list",
    help=t(
        "Who cosigns this log's checkpoints, and who is missing since when.\n\n"
        "Example: civicledger witness list --json",
        "谁在联署本日志的检查点，谁自何时起缺席。\n\n例：civicledger witness list --json",
    ),
)
def list_(node: Path | None = NodeOption, as_json: bool = JsonOption) -> None:
    """As the running node tells it."""
    with connect(node) as connection:
        found = connection.stub(rpc.StatusServiceStub).GetStatus(pb.GetStatusRequest(), timeout=CALL_TIMEOUT)
    witnesses = [witness_row(one) for one in found.witnesses]
    if as_json:
        print_json(
            {
                "origin": found.origin,
                "published_size": found.published_size,
                "witnessed_size": found.witnessed_size,
                "witnesses": witnesses,
            }
        )
        return
    out.print(
        t(
            f"{found.origin}: {found.published_size} published, {found.witnessed_size} witnessed",
            f"{found.origin}：已发布 {found.published_size}，已见证 {found.witnessed_size}",
        ),
        markup=False,
    )
    witness_table(witnesses)


@app.command(
    help=t(
        "The witnesses and quorum of this log as a C2SP tlog-policy, for the tools of others.\n\n"
        "Example: civicledger witness policy > audit.policy",
        "以 C2SP tlog-policy 格式输出本日志的见证方与法定数，供第三方工具使用。\n\n例：civicledger witness policy > audit.policy",
    )
)
def policy(node: Path | None = NodeOption, as_json: bool = JsonOption) -> None:
    """With the keys in force on chain."""
    with connect(node) as connection:
        text = (
            connection.stub(rpc.ProofServiceStub)
            .GetWitnessPolicy(pb.GetWitnessPolicyRequest(), timeout=CALL_TIMEOUT)
            .policy
        )
    if as_json:
        print_json({"policy": text})
    else:
        typer.echo(text, nl=False)


@app.command(
    help=t(
        "Alarms about members' logs and the proofs of forks; --out writes each proof as a file anybody can check.\n\n"
        "Example: civicledger witness evidence --out ./proofs",
        "关于各成员日志的警报和分叉证据；--out 将每份证据写成任何人可核验的文件。\n\n例：civicledger witness evidence --out ./proofs",
    )
)
def evidence(
    folder: Path | None = typer.Option(None, "--out", help=t("folder for the proofs", "存放证据的目录")),
    settled: bool = typer.Option(False, "--all", help=t("settled ones as well", "包括已处理的")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Oldest first."""
    with connect(node) as connection:
        request = pb.ListAlarmsRequest(settled=settled)
        alarms = connection.stub(rpc.StatusServiceStub).ListAlarms(request, timeout=CALL_TIMEOUT).alarms
    rows = [_alarm_row(alarm) for alarm in alarms]
    if folder is not None:
        for alarm, row in zip(alarms, rows, strict=True):
            row["file"] = str(_write(folder, alarm)) if alarm.evidence else None
    if as_json:
        print_json({"alarms": rows})
        return
    table(
        t("Alarms", "警报"),
        [
            "id",
            t("kind", "类型"),
            t("member", "成员"),
            t("first seen", "首次发现"),
            t("proof", "证据"),
            t("detail", "说明"),
        ],
        [(r["id"], r["kind"], r["member"], r["first_seen"], r["evidence"] is not None, r["detail"]) for r in rows],
    )
    for row in rows:
        if row.get("file"):
            out.print(t(f"proof written: {row['file']}", f"证据已写入：{row['file']}"), markup=False)


@app.command(
    help=t(
        "Say that an alarm was dealt with; it and its proof stay on disk.\n\nExample: civicledger witness settle 1f2e3d",
        "标记某警报已处理；警报及证据仍保留在磁盘上。\n\n例：civicledger witness settle 1f2e3d",
    )
)
def settle(
    alarm: str = typer.Argument(..., help=t("its id, or a unique beginning", "警报标识或其唯一前缀")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """The doctor no longer names it."""
    with connect(node) as connection:
        request = pb.SettleAlarmRequest(id=alarm)
        row = _alarm_row(connection.stub(rpc.StatusServiceStub).SettleAlarm(request, timeout=CALL_TIMEOUT))
    if as_json:
        print_json(row)
    else:
        out.print(t(f"settled: {row['id']} {row['detail']}", f"已处理：{row['id']} {row['detail']}"), markup=False)


@app.command(
    help=t(
        "Check a fork evidence file offline. --key gives the log's verifier key you trust, --policy a tlog-policy that names "
        "it; without either the key named in the file is used, and you compare it yourself.\n\n"
        "Example: civicledger witness check 9f3a.fork.json --key '310000.audit.civicledger/log+d08b6665+AQEG…'",
        "离线核验分叉证据文件。--key 为您信任的日志公钥，--policy 为列有该公钥的 tlog-policy；都不给出时使用文件中所列公钥，请自行比对。\n\n"
        "例：civicledger witness check 9f3a.fork.json --key '310000.audit.civicledger/log+d08b6665+AQEG…'",
    )
)
def check(
    file: Path = typer.Argument(..., help=t("a .fork.json file", "一个 .fork.json 文件")),
    key: list[str] = typer.Option(
        [], "--key", help=t("verifier key of the log (repeatable)", "日志的验证公钥（可重复）")
    ),
    policy_file: Path | None = typer.Option(
        None, "--policy", help=t("tlog-policy with the log's key", "列有日志公钥的 tlog-policy")
    ),
    as_json: bool = JsonOption,
) -> None:
    """Exit 1 when it proves nothing."""
    found = ForkEvidence.decode(_read(file, MAX_EVIDENCE_BYTES))
    trusted = tuple(parse_vkey(text) for text in key)
    if policy_file is not None:
        trusted += parse_tlog_policy(_read(policy_file, MAX_POLICY_BYTES)).logs
    given = bool(key) or policy_file is not None
    proven = found.verify(trusted if given else found.keys)
    value = {
        "origin": proven.origin,
        "first": {"size": proven.first.size, "root": b64(proven.first.root)},
        "second": {"size": proven.second.size, "root": b64(proven.second.root)},
        "keys": [str(one) for one in proven.keys],
        "keys_trusted": given,
        "digest": found.digest,
    }
    if as_json:
        print_json({"forked": True, **value})
        return
    facts(
        t("The log signed two histories", "该日志签署了两份相互矛盾的历史"),
        {
            t("log", "日志"): proven.origin,
            t("one history", "其一"): f"{proven.first.size}  {b64(proven.first.root)}",
            t("the other", "其二"): f"{proven.second.size}  {b64(proven.second.root)}",
            t("signed with", "签名公钥"): "  ".join(str(one) for one in proven.keys),
            t("digest", "摘要"): found.digest,
        },
    )
    for note in (found.first, found.second):
        # The signed words themselves, so that the printed page is the proof.
        out.print()
        out.print(note.decode(), end="", markup=False, soft_wrap=True)
    if found.path:
        out.print(t("\nPath from the one to the other:", "\n由其一到其二的路径："))
        for item in found.path:
            out.print(b64(item), markup=False)
    if not given:
        out.print()
        out.print(
            t(
                "The key is the one the file names: compare it with `civicledger witness policy` or a policy you trust.",
                "所用公钥取自该文件：请与 `civicledger witness policy` 或您信任的策略比对。",
            ),
            markup=False,
        )


def witness_row(one: pb.WitnessStatus) -> dict[str, Any]:
    """A witness as JSON shows it."""
    return {
        "member": one.member,
        "name": one.name,
        "present": not one.missing_since_ms,
        "cosigned_size": one.cosigned_size,
        "cosigned_at": _time(one.cosigned_ms),
        "missing_since": _time(one.missing_since_ms),
        "code": one.last_code,
        "error": one.last_error,
    }


def witness_table(rows: list[dict[str, Any]]) -> None:
    """Witnesses for people."""
    table(
        t("Witnesses", "见证方"),
        [
            t("member", "成员"),
            t("present", "在位"),
            t("cosigned", "已联署"),
            t("missing since", "缺席自"),
            t("last error", "最近错误"),
        ],
        [(r["member"], r["present"], r["cosigned_size"], r["missing_since"], r["error"]) for r in rows],
    )


def _alarm_row(alarm: pb.Alarm) -> dict[str, Any]:
    return {
        "id": alarm.id,
        "kind": alarm.kind,
        "member": alarm.member,
        "detail": alarm.detail,
        "first_seen": _time(alarm.first_ms),
        "last_seen": _time(alarm.last_ms),
        "count": alarm.count,
        "settled": alarm.settled,
        "evidence": json.loads(alarm.evidence) if alarm.evidence else None,
    }


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if ms else ""


def _write(folder: Path, alarm: pb.Alarm) -> Path:
    """The proof as a file; one that is there already stays."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{ForkEvidence.decode(alarm.evidence).digest.hex()[:16]}.fork.json"
    if path.exists() and path.read_bytes() != alarm.evidence:
        raise ConflictError(
            "file.exists",
            t(f"{path} is another file", f"{path} 已存在且内容不同"),
            hint=t("choose an empty folder", "请选择空目录"),
        )
    path.write_bytes(alarm.evidence)
    return path


def _read(file: Path, most: int) -> bytes:
    with file.open("rb") as stream:
        data = stream.read(most + 1)
    if len(data) > most:
        raise InvalidInputError("input.too-large", t(f"{file} has more than {most} bytes", f"{file} 超过 {most} 字节"))
    return data
