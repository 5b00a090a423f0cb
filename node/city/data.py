"""Real input for the demonstration: tables that installed libraries carry, and the user's own files.

* GB/T 2260 administrative divisions, from python-stdnum's ``cn/loc`` table (current entries only).
* The official holiday calendar (国务院办公厅 notices), from chinesecalendar.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from chinese_calendar import constants

from ledger.errors import InvalidInputError, NotFoundError
from ledger.licences.templates import LABELS, Template
from ledger.medical import certificates
from node.cli.inputs import too_deep
from node.licences.fetching import HOLDER, encode_content

#: A file of --data may have this many bytes (the default limit of one exchange).
MAX_FILE = 64 << 20
MAX_FILES = 50
MAX_FIELDS = 256
_IDENTIFIER = re.compile(r"[A-Za-z_][0-9A-Za-z_]{0,63}")
_VALIDITY = re.compile(r"\[(\d{4})?-(\d{4})?\](.+)")
_LINE = re.compile(r"^( *)(\d+) (?:county|province)=\"([^\"]*)\"")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A dataset to publish: catalogue entry and content (a JSON array of rows, or any bytes)."""

    metadata: dict[str, Any]
    content: bytes
    count: int


def _entry(
    code: str, name: str, abstract: str, provider: str, fields: list[dict[str, str]], level: str, fmt: str = "json"
) -> dict[str, Any]:
    return {
        "abstract": abstract,
        "fields": fields,
        "format": fmt,
        "level": level,
        "name": name,
        "openness": "conditional",
        "provider": provider,
        "resourceCode": code,
        "sharing": {"condition": "按事项申请 (by matter, on request)", "type": "conditional"},
        "updateCycle": "yearly",
        "v": 1,
    }


def divisions(provider: str) -> Source:
    """Present administrative divisions: code, name, province."""
    rows = list(_divisions())
    metadata = _entry(
        "3010000001",
        "行政区划代码 (administrative divisions, GB/T 2260)",
        "县级及以上行政区划代码与名称",
        provider,
        [
            {"name": "code", "title": "行政区划代码", "type": "string"},
            {"name": "name", "title": "名称", "type": "string"},
            {"name": "province", "title": "所属省份", "type": "string"},
        ],
        "general",
    )
    return Source(metadata=metadata, content=_json(rows), count=len(rows))


def _divisions() -> Iterator[dict[str, str]]:
    text = files("stdnum.cn").joinpath("loc.dat").read_text("utf-8")
    prefix = province = ""
    for line in text.splitlines():
        found = _LINE.match(line)
        if not found:
            continue
        indent, digits, name = found.groups()
        if not indent:
            prefix, province = digits, name
            continue
        # Several names over time: "[1983-2019]桥东区,[2020-]襄都区"; the one still in force has an open end.
        for part in name.split(","):
            dated = _VALIDITY.fullmatch(part)
            if dated is None:
                yield {"code": prefix + digits, "name": part, "province": province}
            elif dated.group(2) is None:
                yield {"code": prefix + digits, "name": dated.group(3), "province": province}


def holidays(provider: str) -> Source:
    """Public holidays and make-up working days: date, kind, name."""
    rows = [{"date": day.isoformat(), "kind": "holiday", "name": str(name)} for day, name in constants.holidays.items()]
    rows += [
        {"date": day.isoformat(), "kind": "workday", "name": str(name)} for day, name in constants.workdays.items()
    ]
    rows.sort(key=lambda row: row["date"])
    metadata = _entry(
        "3020000001",
        "法定节假日安排 (official holiday calendar)",
        "国务院办公厅公布的节假日与调休上班日；演示中按重要数据管理",
        provider,
        [
            {"name": "date", "title": "日期", "type": "string"},
            {"name": "kind", "title": "类别", "type": "string"},
            {"name": "name", "title": "名称", "type": "string"},
        ],
        "important",
    )
    return Source(metadata=metadata, content=_json(rows), count=len(rows))


def licences(provider: str, type_code: str, form: Template, shown: Sequence[str]) -> Source:
    """The licences of a type that ``provider`` issues, fetched one by one instead of asked of their holders; ``shown``:
    the fields that a grant may name."""
    labels = {field.name: field for field in form.fields}
    metadata = _entry(
        "3030000001",
        f"{form.zh} ({form.en}), 免于提交",
        "依授权逐张获取电子证照，持证人免于提交",
        provider,
        [{"name": name, "title": labels[name].zh, "type": "string"} for name in shown],
        "general",
        "licence",
    )
    return Source(metadata=metadata, content=encode_content(type_code), count=1)


def examinations(provider: str, form: Template) -> Source:
    """What a certificate needs of its holder's newest examination at a hospital, one person at a time."""
    fields = [{"name": name, "title": LABELS[name].zh, "type": "string"} for name in (*form.examined, HOLDER)]
    metadata = _entry(
        f"EXAM-{form.examination}", form.zh, "办证所需的体检结论", provider, fields, "general", "examination"
    )
    return Source(metadata=metadata, content=certificates.encode_content(form.examination), count=1)


def own_files(path: Path, provider: str) -> list[Source]:
    """The user's file, or the files of a folder (not its sub-folders): JSON rows and CSV keep their fields, the rest
    is shared whole.

    Raises: NotFoundError(data.missing), InvalidInputError(data.too-large, data.too-many, data.empty).
    """
    if not path.exists():
        raise NotFoundError("data.missing", f"no such file or folder: {path}", hint="check the path given to --data")
    paths = sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
    if not paths:
        raise InvalidInputError("data.empty", f"{path} holds no file")
    if len(paths) > MAX_FILES:
        raise InvalidInputError("data.too-many", f"{path} holds more than {MAX_FILES} files", actual=len(paths))
    return [_own(one, number, provider) for number, one in enumerate(paths, start=1)]


def _own(path: Path, number: int, provider: str) -> Source:
    if path.stat().st_size > MAX_FILE:
        raise InvalidInputError(
            "data.too-large", f"{path} is over 64 MiB", hint="split it, or raise exchange.max_bytes"
        )
    content = path.read_bytes()
    rows = _rows(path, content)
    titles = sorted({str(name) for row in rows for name in row})
    if not rows or len(titles) > MAX_FIELDS or any(not 1 <= len(title) <= 100 for title in titles):
        fields = [{"name": "content", "title": path.name[:100], "type": "string"}]
        metadata = _entry(f"9{number:09d}", path.name[:200], path.name, provider, fields, "general", "other")
        return Source(metadata=metadata, content=content, count=1)
    # A field name is an identifier; a heading that is none stays as the field's title.
    names = {title: title if _IDENTIFIER.fullmatch(title) else f"c{at}" for at, title in enumerate(titles, start=1)}
    fields = [{"name": names[title], "title": title, "type": "string"} for title in titles]
    metadata = _entry(f"9{number:09d}", path.name[:200], path.name, provider, fields, "general")
    plain = [{names[str(name)]: _text(value) for name, value in row.items()} for row in rows]
    return Source(metadata=metadata, content=_json(plain), count=len(plain))


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _rows(path: Path, content: bytes) -> list[dict[str, Any]]:
    try:
        if path.suffix.lower() == ".csv":
            return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
        if path.suffix.lower() == ".json":
            value = None if too_deep(content) else json.loads(content)
            if isinstance(value, list) and all(isinstance(row, dict) for row in value):
                return value
    except (ValueError, csv.Error):
        return []
    return []


def _json(rows: list[dict[str, str]]) -> bytes:
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
