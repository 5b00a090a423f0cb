"""Issuing a licence for each row of a file, with a bar, and a report of the rows that were refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import typer

from ledger.licences.templates import Template
from ledger.v1 import licences_pb2 as pb
from ledger.v1 import licences_pb2_grpc as rpc
from node.cli.connect import connect
from node.cli.licencenames import describe
from node.cli.licencerows import SERIAL, Row, count_rows, read_rows, write_refused
from node.cli.output import err, out, print_json, table
from node.cli.progress import progress
from node.cli.texts import t

#: Refused rows that the terminal shows; the file of refused rows has all of them.
SHOWN = 20
BULK_TIMEOUT = 24 * 3_600.0


@dataclass(slots=True)
class _Tally:
    """What a run of rows came to."""

    issued: int = 0
    refused: list[tuple[Row, str, str]] = field(default_factory=list)


def issue_rows(
    rows: Path,
    type_code: str,
    form: Template,
    request: str,
    output: Path | None,
    refused: Path | None,
    node: Path | None,
    *,
    as_json: bool,
) -> None:
    """Issue a licence for each row of a file; exit status 1 where a row was refused.

    ``request``: the batch id, empty: made of the file, so that the same file issues nothing twice.
    """
    tally = _Tally()
    bad: list[Row] = []
    sent: dict[int, Row] = {}

    def requests(batch: str) -> Iterator[pb.IssueBulkRequest]:
        for row in read_rows(rows, form):
            if row.problem:
                bad.append(row)
                continue
            sent[row.number] = row
            values = {name: value for name, value in row.values.items() if name != SERIAL}
            licence = pb.IssueLicenceRequest(
                type=type_code, template=form.id, fields=values, serial=row.values.get(SERIAL, "")
            )
            yield pb.IssueBulkRequest(batch=batch, row=row.number, licence=licence)

    # Looked at before anything is sent: a file that is none at all issues nothing.
    next(read_rows(rows, form), None)
    # The same file issues the same licences: it may be sent again after whatever went wrong.
    batch = request or _file_name_of(rows, type_code, form)
    total = count_rows(rows)
    with connect(node) as connection, progress(t("issuing", "签发中")) as told, _opened(output) as file:
        for answer in connection.stub(rpc.IssuingServiceStub).IssueBulk(requests(batch), timeout=BULK_TIMEOUT):
            row = sent.pop(answer.row)
            if answer.code:
                tally.refused.append((row, answer.code, answer.message))
            else:
                tally.issued += 1
                if file is not None:
                    line = {"row": row.number, **describe(answer.issued, connection.member)}
                    line["id"] = line["id"].hex()
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")
            told(tally.issued + len(tally.refused) + len(bad), total)
    tally.refused += [(row, "input.row", row.problem) for row in bad]
    tally.refused.sort(key=lambda item: item[0].number)
    if refused is not None and tally.refused:
        write_refused(refused, tally.refused)
    _report(tally, batch, refused, as_json=as_json)
    if tally.refused:
        raise typer.Exit(1)


def _report(tally: _Tally, batch: str, refused: Path | None, *, as_json: bool) -> None:
    if as_json:
        lines = [{"row": row.number, "code": code, "message": message} for row, code, message in tally.refused]
        print_json({"batch": batch, "issued": tally.issued, "refused": lines})
        return
    out.print(
        t(
            f"{tally.issued} licences issued, {len(tally.refused)} rows refused (batch {batch})",
            f"已签发 {tally.issued} 张，{len(tally.refused)} 行被拒（批次 {batch}）",
        )
    )
    if tally.refused:
        table(
            t("Refused rows", "被拒的行"),
            [t("row", "行"), t("code", "代码"), t("why", "原因")],
            [(row.number, code, message) for row, code, message in tally.refused[:SHOWN]],
        )
        if len(tally.refused) > SHOWN or refused is None:
            where = refused or t("give --refused FILE to keep them all", "可用 --refused 文件 保存全部")
            err.print(t(f"all of them: {where}", f"全部：{where}"), markup=False)


def _file_name_of(rows: Path, type_code: str, form: Template) -> str:
    digest = hashlib.sha256(f"{type_code}\n{form.id}\n".encode())
    with rows.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return "file-" + digest.hexdigest()[:32]


class _opened:  # noqa: N801 - used as a function
    """A new private file for the issued licences, or none."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: TextIO | None = None

    def __enter__(self) -> TextIO | None:
        if self._path is not None:
            self._path.touch(mode=0o600)
            self._path.chmod(0o600)
            self._file = self._path.open("w", encoding="utf-8")
        return self._file

    def __exit__(self, *_exception: object) -> None:
        if self._file is not None:
            self._file.close()
