"""Records in bulk: the canonical bytes a type may have, compiled to one pattern and matched at a microsecond a record.

Canonical JSON orders the fields and has one spelling of every value, so a type whose fields are ids, labels and numbers
is a regular language. The patterns accept nothing that ``ledger.events`` refuses; a test compares both on generated
bodies. A record that does not match is judged again in full, which passes it or names the record and the field.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from ledger.codec import MAX_RECORD_BYTES, decode_record
from ledger.errors import InvalidInputError
from ledger.events import TYPES, EventType
from ledger.events import Field as EventField

_HEX32 = '"[0-9a-f]{64}"'
#: Times from 1970 on that exist; the 29th of February is judged in full.
_DAY = "(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
_TIME = rf"(?:19[7-9][0-9]|[2-9][0-9]{{3}})-{_DAY}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{{3}}Z"
#: Kind name -> its canonical JSON text.
_KINDS: Mapping[str, str] = {
    "id": _HEX32,
    "digest": _HEX32,
    "commitment": _HEX32,
    "uint": "(?:0|[1-9][0-9]{0,14})",
    "purpose": '"[a-z0-9][a-z0-9.-]{0,31}"',
    "label": '"[0-9A-Za-z][0-9A-Za-z._:/-]{0,63}"',
}


class BulkSchema:
    """The record types one member's systems may append, compiled."""

    def __init__(self, member: str, types: Iterable[str]) -> None:
        self.member = member
        self.types = frozenset(types)
        self._one = re.compile("|".join(_record(member, TYPES[name]) for name in sorted(self.types)).encode())

    def check(self, records: Sequence[bytes]) -> None:
        """Check size, member, type and body of every record.

        Raises: InvalidInputError(record.*), for the first that does not pass.
        """
        if not all(map(self._one.fullmatch, records)):
            for number, record in enumerate(records):
                if not self._one.fullmatch(record):
                    self._judge(number, record, self.member)

    def _judge(self, number: int, data: bytes, member: str) -> None:
        if len(data) > MAX_RECORD_BYTES:
            raise InvalidInputError(
                "record.too-large",
                f"record {number} is larger than {MAX_RECORD_BYTES} bytes",
                hint="log a commitment and keep the rest in the department's own system",
                expected=MAX_RECORD_BYTES,
                actual=len(data),
            )
        type_ = _type_of(data)
        if type_ in TYPES and type_ not in self.types:
            raise InvalidInputError(
                "record.type-reserved",
                f"record {number}: {type_} is written by the node itself when it happens",
                hint="a department's own systems write " + ", ".join(sorted(self.types)),
                actual=type_,
            )
        record = decode_record(data)
        if record.member != member:
            raise InvalidInputError(
                "record.other-member",
                f"record {number} names another member than this log's",
                hint="a department writes its own trail only",
                expected=member,
                actual=record.member,
            )


class _Tagged(msgspec.Struct):
    type: str


_TAGGED = msgspec.json.Decoder(_Tagged)


def _type_of(data: bytes) -> str:
    try:
        return _TAGGED.decode(data).type
    except msgspec.MsgspecError:
        return ""


def _record(member: str, event: EventType) -> str:
    """The canonical texts of a type's records. Every field is followed by a comma, or by the end of the body."""
    body = "".join(_field(item) for item in sorted(event.fields, key=lambda item: item.name))
    return rf'\{{"body":\{{{body}\}},"member":"{member}","time":"{_TIME}","type":"{re.escape(event.name)}","v":1\}}'


def _field(item: EventField) -> str:
    text = rf'"{item.name}":{_KINDS[item.kind.name]}(?:,(?!\}})|(?=\}}))'
    return f"(?:{text})?" if item.optional else text
