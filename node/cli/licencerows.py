"""Rows of licences from a file: CSV with a header, or JSON lines; columns by their GB/T 36903 name or Chinese label."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ledger.errors import InvalidInputError, NotFoundError
from ledger.licences.templates import Template
from node.cli.inputs import parse_json
from node.cli.texts import t

#: A column that is no field of the licence: the serial of its identifier.
SERIAL = "serial"
MAX_LINE = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of the file. ``number`` from 1; ``problem``: why it cannot be sent, empty where it can."""

    number: int
    values: Mapping[str, str]
    problem: str = ""


def read_rows(path: Path, form: Template) -> Iterator[Row]:
    """The rows in order. Raises: NotFoundError(input.file), InvalidInputError(input.rows) for a file as a whole."""
    if not path.is_file():
        raise NotFoundError("input.file", t(f"no such file: {path}", f"没有这个文件：{path}"))
    labels = {field.zh: field.name for field in form.fields} | {"序列号": SERIAL}
    if path.suffix.lower() == ".csv":
        yield from _csv_rows(path, labels)
    elif path.suffix.lower() in (".jsonl", ".ndjson"):
        yield from _json_rows(path, labels)
    else:
        raise InvalidInputError(
            "input.rows",
            t(f"{path} is neither .csv nor .jsonl", f"{path} 不是 .csv 或 .jsonl"),
            hint=t("a header line and a row a line, or a JSON object a line", "首行为列名的 CSV，或每行一个 JSON 对象"),
        )


def write_refused(path: Path, refused: Sequence[tuple[Row, str, str]]) -> None:
    """(row, code, message) of every refused row, as CSV or JSON lines by the file's name: to be mended and sent again."""
    columns = list(dict.fromkeys(name for row, _, _ in refused for name in row.values))
    with path.open("w", encoding="utf-8", newline="") as file:
        if path.suffix.lower() == ".csv":
            writer = csv.writer(file)
            writer.writerow(["row", "code", "message", *columns])
            for row, code, message in refused:
                writer.writerow([row.number, code, message, *(row.values.get(name, "") for name in columns)])
            return
        for row, code, message in refused:
            line = {"row": row.number, "code": code, "message": message, "values": dict(row.values)}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def count_rows(path: Path) -> int:
    """About how many rows there are: lines, for the progress bar."""
    with path.open("rb") as file:
        return sum(1 for line in file if line.strip())


def _csv_rows(path: Path, labels: Mapping[str, str]) -> Iterator[Row]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = [labels.get(name.strip(), name.strip()) for name in next(reader, [])]
            if not header or len(set(header)) != len(header):
                raise InvalidInputError(
                    "input.rows", t(f"{path}: no header, or a column twice", f"{path}：缺少列名行或列名重复")
                )
            number = 0
            for cells in reader:
                if not any(cell.strip() for cell in cells):
                    continue
                number += 1
                values = {name: cell.strip() for name, cell in zip(header, cells, strict=False) if cell.strip()}
                wrong = len(cells) != len(header)
                yield Row(
                    number=number,
                    values=values,
                    problem=t(
                        f"{len(cells)} columns, the header {len(header)}", f"{len(cells)} 列，列名行 {len(header)} 列"
                    )
                    if wrong
                    else "",
                )
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidInputError(
            "input.rows", f"{path}: {error}", hint=t("save it as UTF-8", "请保存为 UTF-8 编码")
        ) from None


def _json_rows(path: Path, labels: Mapping[str, str]) -> Iterator[Row]:
    number = 0
    with path.open("rb") as file:
        for line in file:
            if not line.strip():
                continue
            number += 1
            yield _json_row(number, line, labels)


def _json_row(number: int, line: bytes, labels: Mapping[str, str]) -> Row:
    if len(line) > MAX_LINE:
        return Row(number=number, values={}, problem=t("the line is too long", "该行过长"))
    try:
        value = parse_json(line, str(number))
    except InvalidInputError as error:
        return Row(number=number, values={}, problem=error.message)
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        return Row(number=number, values={}, problem=t("no object of texts", "不是由文本构成的对象"))
    return Row(number=number, values={labels.get(name, name): item for name, item in value.items()})
