"""``civicledger medical audit-events``: what the own log says of patients, as AuditEvents of IHE BALP."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import typer

from ledger.errors import ConflictError, InvalidInputError, UnavailableError
from ledger.v1 import medical_pb2 as pb
from ledger.v1 import medical_pb2_grpc as rpc
from node.cli.connect import NodeOption, connect
from node.cli.days import begin_of, end_of
from node.cli.medicalgroup import app
from node.cli.output import err
from node.cli.progress import progress
from node.cli.texts import t

_FORMATS = ("ndjson", "bundle")
#: Of one page.
_TIMEOUT_S = 600.0
_PAGE = 10_000


@app.command(
    "audit-events",
    help=t(
        "Every step of the own log that is about a patient, as FHIR R4 AuditEvents by IHE BALP, for the hospital's audit "
        "repository: one a line (NDJSON) or as one Bundle. Patients stand in them as pseudonyms of this hospital.\n\n"
        "Examples: civicledger medical audit-events --since 2026-11-01 --until 2026-11-30 -o november.ndjson\n\n"
        "          civicledger medical audit-events --patient-pseudonym 3f9a… --format bundle",
        "将本院日志中与患者有关的每一步导出为符合 IHE BALP 的 FHIR R4 AuditEvent，供医院审计库使用：逐行（NDJSON）或一个 Bundle。"
        "患者以本院假名出现。\n\n"
        "例：civicledger medical audit-events --since 2026-11-01 --until 2026-11-30 -o november.ndjson\n\n"
        "    civicledger medical audit-events --patient-pseudonym 3f9a… --format bundle",
    ),
)
def audit_events(
    since: str = typer.Option("", "--since", help=t("first day (China)", "起始日")),
    until: str = typer.Option("", "--until", help=t("last day (China)", "截止日")),
    patient: str = typer.Option(
        "", "--patient-pseudonym", help=t("of one patient, as events name them", "仅此患者假名")
    ),
    form: str = typer.Option("ndjson", "--format", help="ndjson | bundle"),
    output: Path | None = typer.Option(None, "-o", "--output", help=t("file to write", "输出文件")),
    node: Path | None = NodeOption,
) -> None:
    """Events in the log's order."""
    if form not in _FORMATS:
        raise InvalidInputError("input.format", t("the format is ndjson or bundle", "格式为 ndjson 或 bundle"))
    if output is not None and output.exists():
        raise ConflictError("output.exists", t(f"{output} is there already", f"{output} 已存在"))
    wanted = pb.AuditEventsRequest(from_s=begin_of(since), until_s=end_of(until), patient=patient)
    with connect(node) as connection, progress(t("events", "事件")) as show:
        events = _counted(_every(connection.stub(rpc.MedicalServiceStub), wanted), show)
        if output is None:
            for piece in _pieces(events, form):
                sys.stdout.buffer.write(piece)
            sys.stdout.flush()
        else:
            _write(output, _pieces(events, form))


def _every(stub: rpc.MedicalServiceStub, wanted: pb.AuditEventsRequest) -> Iterator[bytes]:
    """The events page by page: no call lasts long, however much is asked for."""
    wanted.page_size = _PAGE
    while True:
        following = ""
        for one in stub.AuditEvents(wanted, timeout=_TIMEOUT_S):
            following = one.next_page_token
            if one.event:
                yield bytes(one.event)
        if not following:
            return
        wanted.page_token = following


def _counted(events: Iterable[bytes], show: Callable[[int, int], None]) -> Iterator[bytes]:
    for number, event in enumerate(events, start=1):
        show(number, number)
        yield event


def _pieces(events: Iterable[bytes], form: str) -> Iterator[bytes]:
    if form == "ndjson":
        for event in events:
            yield event + b"\n"
        return
    yield b'{"resourceType":"Bundle","type":"collection"'
    number = -1
    for number, event in enumerate(events):
        name = json.loads(event)["id"]
        # An address of the event that is the same in every export.
        yield (b"," if number else b',"entry":[') + b'{"fullUrl":"urn:civicledger:audit:%s","resource":' % name.encode()
        yield event + b"}"
    # FHIR has no empty arrays.
    yield b"]}\n" if number >= 0 else b"}\n"


def _write(path: Path, pieces: Iterable[bytes]) -> None:
    part = path.with_name(path.name + ".part")
    try:
        part.touch(mode=0o600)
        with part.open("wb") as file:
            file.writelines(pieces)
        part.replace(path)
    except OSError as error:
        raise UnavailableError(
            "output.write", t(f"{path} cannot be written: {error.strerror}", f"无法写入 {path}：{error.strerror}")
        ) from error
    err.print(t(f"{path} is written", f"已写入 {path}"), markup=False)
