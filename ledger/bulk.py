"""Records in bulk: what one member's systems may write, recognised by its bytes, a batch in one native call.

Canonical JSON orders the fields and has one spelling of every value, so a type whose fields are ids, labels and numbers
is a regular language. The native core recognises it and accepts nothing that ``ledger.events`` refuses; a test compares
both on generated bodies. A record that is not recognised is judged again in full, which passes it or names the record
and the field.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from ledger import _native
from ledger.codec import MAX_RECORD_BYTES, decode_record
from ledger.errors import InvalidInputError
from ledger.events import TYPES
from ledger.model import format_time

#: What a department's own systems may write; everything else is written by the node when it happens.
APPENDABLE: Final = frozenset({"access.used", "disclosure.opened", "erasure.done"})
#: A batch is this many records or bytes, whatever comes first: large enough that the disk's sync is shared, small
#: enough that an answer comes soon.
BATCH_RECORDS: Final = 1_000
BATCH_BYTES: Final = 1 << 20

#: Kind of ``ledger.events`` -> kind of the native core.
_KINDS: Final[Mapping[str, str]] = {
    "id": "hex32",
    "digest": "hex32",
    "commitment": "hex32",
    "uint": "uint",
    "purpose": "purpose",
    "label": "label",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OddLine:
    """A line that is not plainly a record: ``data[start:end]``, the ``number``-th of the piece (from 0)."""

    number: int
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """The first lines of some data. ``rows``: in order, a canonical record or an odd line; ``taken``: bytes of the data
    the piece takes; ``lines``: lines it takes, blank ones included."""

    rows: tuple[bytes | OddLine, ...]
    taken: int
    lines: int


class BulkSchema:
    """The record types one member's systems may append, compiled."""

    __slots__ = ("member", "native", "types")

    def __init__(self, member: str, types: Iterable[str] = APPENDABLE) -> None:
        self.member = member
        self.types = frozenset(types)
        self.native = _native.RecordSchema(
            member,
            [
                (name, [(item.name, _KINDS[item.kind.name], item.optional) for item in TYPES[name].fields])
                for name in sorted(self.types)
            ],
        )

    def check(self, records: Sequence[bytes]) -> None:
        """Check size, member, type and body of every record.

        Raises: InvalidInputError(record.*), for the first that does not pass.
        """
        for number in self.native.odd(records):
            self.judge(records[number], f"record {number}")

    def judge(self, data: bytes, where: str) -> None:
        """Check one record in full; ``where`` names it in the refusal.

        Raises: InvalidInputError(record.* | json.* | identifier.uscc | time.format).
        """
        if len(data) > MAX_RECORD_BYTES:
            raise InvalidInputError(
                "record.too-large",
                f"{where} is larger than {MAX_RECORD_BYTES} bytes",
                hint="log a commitment and keep the rest in the department's own system",
                expected=MAX_RECORD_BYTES,
                actual=len(data),
            )
        type_ = _type_of(data)
        if type_ in TYPES and type_ not in self.types:
            raise InvalidInputError(
                "record.type-reserved",
                f"{where}: {type_} is written by the node itself when it happens",
                hint="a department's own systems write " + ", ".join(sorted(self.types)),
                actual=type_,
            )
        record = decode_record(data)
        if record.member != self.member:
            raise InvalidInputError(
                "record.other-member",
                f"{where} names another member than this log's",
                hint="a department writes its own trail only",
                expected=self.member,
                actual=record.member,
            )

    def first_lines(self, data: bytes, time_ms: int) -> Piece:
        """The records of the first JSON lines of ``data``: at most ``BATCH_RECORDS`` lines that are not blank and
        ``BATCH_BYTES`` bytes, but at least one line. ``time_ms``: the time of records whose line has none."""
        rows, taken, lines = self.native.encode_lines(data, format_time(time_ms), BATCH_RECORDS, BATCH_BYTES)
        return Piece(
            rows=tuple(
                row if isinstance(row, bytes) else OddLine(number=row[0], start=row[1], end=row[2]) for row in rows
            ),
            taken=taken,
            lines=lines,
        )


def batches(records: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Cut a row of records into batches of at most ``BATCH_RECORDS`` and ``BATCH_BYTES``."""
    batch: list[bytes] = []
    size = 0
    for record in records:
        if len(batch) == BATCH_RECORDS or (batch and size + len(record) > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += len(record)
    if batch:
        yield batch


class _Tagged(msgspec.Struct):
    type: str


_TAGGED = msgspec.json.Decoder(_Tagged)


def _type_of(data: bytes) -> str:
    try:
        return _TAGGED.decode(data).type
    except msgspec.MsgspecError:
        return ""
