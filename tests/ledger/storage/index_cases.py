"""Records, a real log of them, and the naive scan that every query is compared with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ledger import codec
from ledger._native import LogEngine
from ledger.model import format_time
from ledger.storage.indexes import IndexRow, Page, RecordFilter, RecordIndex
from ledger.storage.openings import Opening
from ledger.storage.postings import Block
from ledger.storage.store import Store

IDS = [byte * 32 for byte in (b"\x01", b"\x02", b"\xff")]
MEMBERS = ["91110000600037341L", "91320621MA1MRHG205"]
TYPES = ["access.used", "exchange.completed"]
SUBJECTS = ["subject-1", "居民-2"]
BASE = 1_790_000_000_000
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00.000+00:00")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a record of the tests is made of."""

    time: int = 0
    type: str = TYPES[0]
    dataset: bytes | None = None
    grant: bytes | None = None
    counterpart: str | None = None
    subject: str | None = None


def opening(number: int, subject: str) -> Opening:
    """The opening of record ``number``."""
    return Opening(index=number, salt=number.to_bytes(32, "big"), subject=subject)


def record(parts: Parts, number: int = 0) -> bytes:
    """A record at ``BASE + parts.time``, by the record door's rules."""
    body: dict[str, Any] = {"bytes": 5}
    if parts.dataset is not None:
        body["dataset"] = parts.dataset.hex()
    if parts.grant is not None:
        body["grant"] = parts.grant.hex()
    if parts.counterpart is not None:
        body["counterpart"] = parts.counterpart
    if parts.subject is not None:
        body["commitment"] = opening(number, parts.subject).commitment().hex()
    time = format_time(BASE + parts.time)
    return codec.encode({"body": body, "member": MEMBERS[0], "time": time, "type": parts.type, "v": 1})


class Log:
    """The engine as the index sees a log."""

    def __init__(self, engine: LogEngine) -> None:
        self._engine = engine

    @property
    def size(self) -> int:
        return self._engine.size()

    def add(self, entries: Iterable[bytes]) -> None:
        entries = list(entries)
        if entries:
            self._engine.append_batch(entries)

    def read(self, first: int, count: int) -> list[bytes]:
        return self._engine.read(first, count)

    def leaf(self, index: int) -> bytes:
        return self._engine.leaf(index)

    def index_rows(self, first: int, count: int) -> list[tuple[bytes, bytes]]:
        return self._engine.index_rows(first, count)


@contextmanager
def opened_log(folder: Path, entries: Iterable[bytes] = ()) -> Iterator[Log]:
    """A real log in a folder, with entries."""
    engine = LogEngine.open(str(folder))
    try:
        log = Log(engine)
        log.add(entries)
        yield log
    finally:
        engine.close()


def naive(entries: list[bytes], wanted: RecordFilter, subjects: dict[int, str] | None = None) -> list[IndexRow]:
    """The answer by reading every entry with the standard library."""
    rows = []
    for index, entry in enumerate(entries):
        value = json.loads(entry)
        body = value["body"]
        time = (datetime.fromisoformat(value["time"]) - _EPOCH).total_seconds() * 1000
        if (
            (wanted.dataset is None or body.get("dataset") == wanted.dataset.hex())
            and (wanted.grant is None or body.get("grant") == wanted.grant.hex())
            and (wanted.counterpart is None or body.get("counterpart") == wanted.counterpart)
            and (wanted.type is None or value["type"] == wanted.type)
            and (wanted.subject is None or (subjects or {}).get(index) == wanted.subject)
            and wanted.from_ms <= time
            and (not wanted.to_ms or time < wanted.to_ms)
        ):
            rows.append(IndexRow(index=index, time_ms=round(time)))
    return sorted(rows, key=lambda row: (row.time_ms, row.index), reverse=wanted.newest_first)


def everything(index: RecordIndex, wanted: RecordFilter, page_size: int) -> list[IndexRow]:
    """All pages of a query."""
    rows: list[IndexRow] = []
    page: Page | None = None
    while page is None or page.token:
        page = index.query(wanted, page_size, page.token if page else b"")
        assert len(page.rows) <= page_size
        rows += page.rows
    return rows


def filed(folder: Path) -> set[tuple[bytes, int, int]]:
    """Every posting of a closed index as (facet and value, time, index), whatever blocks it stands in."""
    with Store.open(folder) as store:
        blocks = [(key[:-16], Block.of(key, value)) for key, value in store.scan() if key[:1] in b"ACDGTU"]
    postings = [(start, *place) for start, block in blocks for place in block.postings()]
    assert len(postings) == len(set(postings))
    return set(postings)
