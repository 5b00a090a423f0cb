"""``civicledger medical eqa``: external quality assessment (室间质评), recorded by the quality body a range names."""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path
from typing import Any

import typer

from ledger.errors import InvalidInputError
from ledger.v1 import medicalrules_pb2 as pb
from ledger.v1 import medicalrules_pb2_grpc as rpc
from node.cli.connect import CALL_TIMEOUT, Connection, JsonOption, NodeOption, connect, every, hex32, resolve_member
from node.cli.days import begin_of, end_of, when
from node.cli.medicaladopt import ReasonOption
from node.cli.medicalgroup import app
from node.cli.medicalregions import SPAN_STATES
from node.cli.output import out, print_json, table
from node.cli.progress import progress
from node.cli.texts import t

eqa = typer.Typer(
    help=t("External quality assessment: record, revoke, list (室间质评).", "室间质评：记录、撤销、列出。"),
    no_args_is_help=True,
)
app.add_typer(eqa, name="eqa")

#: Records of one call: two blocks.
_CALL = 100
_MAX_ROWS = 100_000
_MAX_FILE = 16 << 20
_MAX_CERTIFICATE = 64 << 20
_PASSED = {"true": True, "yes": True, "1": True, "passed": True, "通过": True, "合格": True, "是": True}
_FAILED = {"false", "no", "0", "failed", "不通过", "不合格", "否"}
_STATES = {**SPAN_STATES, "revoked": t("revoked", "已撤销"), "failed": t("not passed", "未通过")}


@eqa.command(
    help=t(
        "Record results of a round: one with --institution, --item and --passed or --failed, or many from a CSV file with the "
        "columns institution, item, passed. The quality body that the range names does.\n\n"
        "Examples: civicledger medical eqa record city-hr NCCL-chem 1 --institution east --item glucose --passed "
        "--certificate list.pdf --from 2026-01-01 --until 2026-12-31\n\n"
        "          civicledger medical eqa record city-hr NCCL-chem 1 --file results.csv --certificate list.pdf "
        "--from 2026-01-01 --until 2026-12-31",
        "记录一轮室间质评结果：用 --institution、--item 及 --passed 或 --failed 记录一条，或从 CSV 文件（列：institution、item、passed）"
        "批量记录。由该范围指定的质评机构办理。\n\n"
        "例：civicledger medical eqa record city-hr NCCL-chem 1 --institution east --item glucose --passed "
        "--certificate list.pdf --from 2026-01-01 --until 2026-12-31\n\n"
        "    civicledger medical eqa record city-hr NCCL-chem 1 --file results.csv --certificate list.pdf "
        "--from 2026-01-01 --until 2026-12-31",
    )
)
def record(
    code: str = typer.Argument(..., help=t("code of the range", "范围代码")),
    scheme: str = typer.Argument(..., help=t("code of the scheme", "质评计划代码")),
    number: int = typer.Argument(..., min=1, max=2**32 - 1, help=t("round", "轮次")),
    certificate: Path = typer.Option(
        ..., help=t("certificate or list of results (its SHA-256 goes on chain)", "证书或结果清单（SHA-256 上链）")
    ),
    since: str = typer.Option(..., "--from", help=t("first day", "首日")),
    until: str = typer.Option(..., help=t("last day", "末日")),
    institution: str = typer.Option("", help=t("USCC or handle of the hospital", "医疗机构的统一社会信用代码或代号")),
    item: str = typer.Option("", help=t("item of the rules", "规则中的项目")),
    passed: bool | None = typer.Option(None, "--passed/--failed", help=t("the result", "结果")),
    file: Path | None = typer.Option(
        None, help=t("CSV file: institution, item, passed", "CSV 文件：institution,item,passed")
    ),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """A round of an item and institution is recorded once; a wrong record is revoked first."""
    digest = _certificate_digest(certificate)
    with connect(node) as connection:
        rows = _rows(file) if file else [_one(institution, item, passed)]
        members: dict[str, str] = {}
        entries = [
            pb.EqaEntry(
                range=code,
                item=name,
                institution=_member(connection, members, who),
                scheme=scheme,
                round=number,
                passed=good,
                certificate_digest=digest,
                valid_from=begin_of(since),
                valid_until=end_of(until),
            )
            for who, name, good in rows
        ]
        ids: list[bytes] = []
        stub = connection.stub(rpc.MedicalRulesServiceStub)
        with progress(t("recording", "记录中")) as tell:
            for start in range(0, len(entries), _CALL):
                part = pb.RecordEqasRequest(entries=entries[start : start + _CALL])
                ids += stub.RecordEqas(part, timeout=2 * CALL_TIMEOUT).ids
                tell(len(ids), len(entries))
    if as_json:
        print_json({"ids": ids})
    else:
        out.print(t(f"{len(ids)} results are on the chain", f"已上链 {len(ids)} 条结果"), markup=False)


@eqa.command(
    help=t(
        "Revoke a record since a day: from then on it gives no label. It stays on the chain.\n\n"
        "Example: civicledger medical eqa revoke ID --since 2026-06-01 --reason 'samples mixed up'",
        "自某日起撤销一条记录，此后不再作为标识依据；记录仍留在链上。\n\n"
        "例：civicledger medical eqa revoke ID --since 2026-06-01 --reason 样品混淆",
    )
)
def revoke(
    identifier: str = typer.Argument(
        ..., metavar="ID", help=t("id of the record, 64 hex digits", "记录标识，64 位十六进制")
    ),
    reason: str = ReasonOption,
    since: str = typer.Option("", help=t("first day (default: now)", "首日（默认即刻）")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """A revocation moves earlier only."""
    wanted = hex32(identifier, t("id of the record", "记录标识"))
    with connect(node) as connection:
        answer = connection.stub(rpc.MedicalRulesServiceStub).RevokeEqa(
            pb.RevokeEqaRequest(id=wanted, reason=reason, since=begin_of(since)), timeout=CALL_TIMEOUT
        )
    if as_json:
        print_json(describe_eqa(answer.eqa))
        return
    since_when = when(answer.eqa.revoked_since)
    out.print(t(f"revoked since {since_when}", f"自 {since_when} 起撤销"), markup=False)


@eqa.command(
    "list",
    help=t(
        "Records of quality assessment, of all hospitals or of one.\n\n"
        "Example: civicledger medical eqa list --institution east --json",
        "列出室间质评记录，全部或某一机构。\n\n例：civicledger medical eqa list --institution east --json",
    ),
)
def list_(
    institution: str = typer.Option("", help=t("USCC or handle", "统一社会信用代码或代号")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Revoked ones and those not passed included."""
    with connect(node) as connection:
        request = pb.ListEqasRequest(institution=resolve_member(connection, institution) if institution else "")
        found = list(every(connection.stub(rpc.MedicalRulesServiceStub).ListEqas, request, "eqas"))
    if as_json:
        print_json({"eqas": [describe_eqa(entry) for entry in found]})
        return
    table(
        t("External quality assessment", "室间质评"),
        [
            t("id", "标识"),
            t("institution", "机构"),
            t("item", "项目"),
            t("range", "范围"),
            t("scheme", "计划"),
            t("round", "轮次"),
            t("state", "状态"),
            t("from", "起"),
            t("until", "止"),
        ],
        [
            (
                entry.id,
                entry.institution,
                entry.item,
                entry.range,
                entry.scheme,
                entry.round,
                _STATES.get(entry.state, entry.state),
                when(entry.valid_from),
                when(entry.valid_until),
            )
            for entry in found
        ],
    )


def describe_eqa(entry: Any) -> dict[str, Any]:
    """A record as plain data."""
    return {
        "id": entry.id,
        "range": entry.range,
        "item": entry.item,
        "institution": entry.institution,
        "scheme": entry.scheme,
        "round": entry.round,
        "passed": entry.passed,
        "state": entry.state,
        "certificate_digest": entry.certificate_digest,
        "valid_from": entry.valid_from,
        "valid_until": entry.valid_until,
        "recorded_at": entry.recorded_at,
        "revoked_since": entry.revoked_since,
        "by": entry.by,
        "revoked_by": entry.revoked_by,
    }


def _one(institution: str, item: str, passed: bool | None) -> tuple[str, str, bool]:
    if not institution or not item or passed is None:
        raise InvalidInputError(
            "input.rows",
            t("no result is given", "没有给出结果"),
            hint=t(
                "--file results.csv, or --institution, --item and --passed or --failed",
                "--file results.csv，或 --institution、--item 及 --passed 或 --failed",
            ),
        )
    return institution, item, passed


def _rows(file: Path) -> list[tuple[str, str, bool]]:
    """(institution, item, passed) of a CSV file with a header. Raises: InvalidInputError(input.rows)."""
    found = []
    with file.open("rb") as raw:
        data = raw.read(_MAX_FILE + 1)
    if len(data) > _MAX_FILE:
        raise _bad_rows(file, 1, t(f"more than {_MAX_FILE} bytes", f"超过 {_MAX_FILE} 字节"))
    try:
        source = io.StringIO(data.decode("utf-8-sig"), newline="")
    except UnicodeDecodeError:
        raise _bad_rows(file, 1, t("this is no UTF-8 text", "不是 UTF-8 文本")) from None
    reader = csv.DictReader(source)
    try:
        if not {"institution", "item", "passed"} <= set(reader.fieldnames or ()):
            raise _bad_rows(
                file, 1, t("the columns are institution, item, passed", "列名应为 institution、item、passed")
            )
        for row in reader:
            word = (row["passed"] or "").strip().lower()
            if word not in _PASSED and word not in _FAILED:
                raise _bad_rows(file, reader.line_num, t(f"passed is {word!r}", f"passed 为 {word!r}"))
            if len(found) >= _MAX_ROWS:
                raise _bad_rows(file, reader.line_num, t(f"more than {_MAX_ROWS} rows", f"超过 {_MAX_ROWS} 行"))
            found.append(((row["institution"] or "").strip(), (row["item"] or "").strip(), word in _PASSED))
    except csv.Error as error:
        raise _bad_rows(file, reader.line_num, str(error)) from None
    if not found:
        raise _bad_rows(file, 1, t("there is no row", "没有数据行"))
    return found


def _bad_rows(file: Path, line: int, problem: str) -> InvalidInputError:
    return InvalidInputError(
        "input.rows",
        t(f"{file}, line {line}: {problem}", f"{file} 第 {line} 行：{problem}"),
        hint=t(
            "a header line, then a result a line; passed is yes or no", "首行为列名，其后每行一条；passed 为 yes 或 no"
        ),
    )


def _member(connection: Connection, known: dict[str, str], text: str) -> str:
    if text not in known:
        known[text] = resolve_member(connection, text)
    return known[text]


def _certificate_digest(file: Path) -> bytes:
    with file.open("rb") as source:
        data = source.read(_MAX_CERTIFICATE + 1)
    if not 0 < len(data) <= _MAX_CERTIFICATE:
        raise InvalidInputError(
            "input.file-size",
            t(f"{file} is empty or larger than 64 MiB", f"{file} 为空或超过 64 MiB"),
            hint=t("give the certificate itself", "请给出证书文件"),
        )
    return hashlib.sha256(data).digest()
