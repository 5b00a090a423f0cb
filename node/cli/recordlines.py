"""Files of JSON lines, cut into batches: always the same ones for the same bytes, so that a repeat is recognised."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from ledger.bulk import BATCH_BYTES, BulkSchema, OddLine
from ledger.codec import domain_digest, encode_record
from ledger.errors import InvalidInputError, LedgerError
from ledger.model import Record, parse_time
from node.cli.inputs import parse_json
from node.cli.texts import t

#: Longest line; a batch is no longer either.
MAX_LINE = BATCH_BYTES
_CHUNK = 1 << 20
_FIELDS = frozenset({"type", "body", "time", "member", "v"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A line that is no record. ``line`` counts from 1; ``text``: the line, its first part where it is over-long."""

    line: int
    text: bytes
    error: LedgerError


@dataclass(frozen=True, slots=True, kw_only=True)
class LineBatch:
    """Records of the bytes before ``end`` and after the batch before; ``lines``: lines before ``end``. ``id``: 16 bytes
    that follow from the records and their place in the file. ``last``: it ends here because the file did when it was
    read; a longer file has another batch at this place."""

    records: tuple[bytes, ...]
    refused: tuple[Refused, ...]
    end: int
    lines: int
    id: bytes
    last: bool = False


class LineReader:
    """Reads one file from ``at`` bytes and ``lines`` lines on; memory does not grow with the file.

    ``time_ms``: the time of records whose line has none. ``skip_bad``: whether a bad line is kept with its batch
    (else it is raised, and its batch is not made). ``cuts``: where an earlier run saw the file end, ascending: batches
    end there again, however long the file has become.
    """

    def __init__(
        self,
        file: BinaryIO,
        name: str,
        schema: BulkSchema,
        time_ms: int,
        *,
        skip_bad: bool,
        at: int = 0,
        lines: int = 0,
        cuts: Sequence[int] = (),
    ) -> None:
        self._file = file
        self._name = name
        self._schema = schema
        self._time_ms = time_ms
        self._skip_bad = skip_bad
        self._at = self._read = at
        self._lines = lines
        self._cuts = tuple(cuts)
        self._data = b""

    def batches(self) -> Iterator[LineBatch]:
        """The batches in order. Raises: InvalidInputError naming file and line; OSError of the file."""
        while True:
            # A batch depends on the next BATCH_BYTES of the file (up to a cut) and on nothing else.
            ended = self._fill(BATCH_BYTES + 1)
            if not self._data:
                return
            if ended and len(self._data) <= BATCH_BYTES:
                yield self._batch(self._data, ended=True)
            elif cut := self._data.rfind(b"\n", 0, BATCH_BYTES) + 1:
                yield self._batch(self._data[:cut])
            else:
                yield self._over_long()

    def _fill(self, needed: int) -> bool:
        cut = next((cut for cut in self._cuts if cut > self._at), self._read + needed + _CHUNK)
        while len(self._data) < needed:
            chunk = self._file.read(min(_CHUNK, cut - self._read))
            if not chunk:
                return True
            self._read += len(chunk)
            self._data += chunk
        return False

    def _batch(self, data: bytes, *, ended: bool = False) -> LineBatch:
        piece = self._schema.first_lines(data, self._time_ms)
        records: list[bytes] = []
        refused: list[Refused] = []
        for row in piece.rows:
            if isinstance(row, bytes):
                records.append(row)
                continue
            try:
                records.append(self._judge(data[row.start : row.end], self._where(row)))
            except LedgerError as error:
                refused.append(self._refuse(row.number, data[row.start : row.end], error))
        return self._made(records, refused, piece.taken, piece.lines, last=ended and piece.taken == len(data))

    def _over_long(self) -> LineBatch:
        """The next line alone: it is refused, and as little as possible of it is kept."""
        start, taken = self._data[:200], 0
        while (feed := self._data.find(b"\n")) < 0:
            taken += len(self._data)
            self._data = b""
            if self._fill(1):
                break
        # What stands before the line feed is the end of the line; the rest is the next one's.
        error = InvalidInputError(
            "input.line",
            t(
                f"{self._name}:{self._lines + 1}: a line is over {MAX_LINE} bytes",
                f"{self._name}:{self._lines + 1}：一行超过 {MAX_LINE} 字节",
            ),
            hint=t("one record a line", "每行一条记录"),
        )
        refused = [self._refuse(0, start, error)]
        return self._made([], refused, feed + 1, 1, dropped=taken, last=feed < 0)

    def _made(
        self,
        records: list[bytes],
        refused: list[Refused],
        taken: int,
        lines: int,
        *,
        last: bool,
        dropped: int = 0,
    ) -> LineBatch:
        digest = hashlib.sha256(self._at.to_bytes(8, "big"))
        for record in records:
            digest.update(len(record).to_bytes(4, "big"))
            digest.update(record)
        self._data = self._data[taken:]
        self._at += dropped + taken
        self._lines += lines
        return LineBatch(
            records=tuple(records),
            refused=tuple(refused),
            end=self._at,
            lines=self._lines,
            id=domain_digest("record-batch", digest.digest())[:16],
            last=last,
        )

    def _refuse(self, number: int, text: bytes, error: LedgerError) -> Refused:
        if not self._skip_bad:
            raise error
        return Refused(line=self._lines + number + 1, text=text, error=error)

    def _where(self, row: OddLine) -> str:
        return f"{self._name}:{self._lines + row.number + 1}"

    def _judge(self, line: bytes, where: str) -> bytes:
        """The record of a line that is not plainly one; what is wrong with it, naming file and line."""
        value = parse_json(line, where)
        _single_names(line, where)
        try:
            record = encode_record(_record(value, self._schema.member, self._time_ms))
        except LedgerError as error:
            raise InvalidInputError(error.code, f"{where}: {error.message}", hint=error.hint) from None
        self._schema.judge(record, where)
        return record


def _single_names(line: bytes, where: str) -> None:
    def once(pairs: list[tuple[str, Any]]) -> None:
        names = [name for name, _ in pairs]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise InvalidInputError(
                "json.duplicate-key",
                t(f"{where}: the name {ascii(twice)[:66]} stands twice", f"{where}：名称 {ascii(twice)[:66]} 出现两次"),
                hint=t("write each name once", "每个名称只写一次"),
            )

    json.loads(line, object_pairs_hook=once)


def _record(value: Any, member: str, time_ms: int) -> Record:
    if not isinstance(value, dict) or not isinstance(value.get("type"), str) or not isinstance(value.get("body"), dict):
        raise InvalidInputError(
            "input.record",
            t('a line needs "type" and "body"', '每行须有 "type" 和 "body"'),
            hint=t(
                '{"type":"access.used","body":{…}}; docs/audit-events.md',
                '{"type":"access.used","body":{…}}；见 docs/audit-events.md',
            ),
        )
    unknown = set(value) - _FIELDS
    if unknown:
        raise InvalidInputError(
            "input.record",
            t(f"unknown field {ascii(sorted(unknown)[0])[:66]}", f"未知字段 {ascii(sorted(unknown)[0])[:66]}"),
            hint=t("docs/formats.md, record", "见 docs/formats.md 的 record"),
        )
    if value.get("member", member) != member:
        raise InvalidInputError(
            "input.record",
            t("the record is another member's", "该记录属于其他成员"),
            hint=t('leave "member" out: it is filled in', '请去掉 "member"：由节点自动填写'),
            expected=member,
            actual=str(value["member"])[:66],
        )
    version = value.get("v", 1)
    if version != 1 or isinstance(version, bool | float):
        raise InvalidInputError(
            "input.record",
            t("records are of version 1", "记录版本为 1"),
            hint=t('leave "v" out, or write 1', '请去掉 "v"，或写 1'),
        )
    stamp = value.get("time")
    if "time" in value and not isinstance(stamp, str):
        raise InvalidInputError(
            "input.record", t("a time is text", "时间须为文本"), hint='"time":"2026-11-22T08:00:00.000Z"'
        )
    return Record(
        type=value["type"],
        member=member,
        time_ms=time_ms if stamp is None else parse_time(stamp),
        body=value["body"],
    )
