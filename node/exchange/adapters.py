"""What feeds an exchange: the content of a dataset, cut down to what the grant allows before a byte leaves.

``json`` (an array of objects, or one object a line) and ``csv`` (UTF-8 with a header) are cut by rows and fields, and
masked as the catalogue entry says; other content is opaque and goes whole, or not at all when the scope asks for a part
of it. The same content under the same scope gives the same bytes: a repeated exchange has the same commitment.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from ledger.directory.catalogue import EXAMINATION_FORMAT, LICENCE_FORMAT, DatasetMetadata
from ledger.directory.grants import Scope, apply_scope
from ledger.errors import InvalidInputError, NotAllowedError
from ledger.medical import certificates
from node.exchange.crypto import CHUNK_BYTES
from node.licences.fetching import decode_content

#: Longest single row, bytes: bounds the memory of a filter.
MAX_ROW = 1 << 20

# Decimals keep their digits: 1.50 must not become 1.5 on its way through.
_VALUE = msgspec.json.Decoder(float_hook=Decimal)
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_ENCODER = msgspec.json.Encoder(decimal_format="number")

Row = Mapping[str, Any]


def cut(content: Iterable[bytes], metadata: DatasetMetadata, scope: Scope) -> Iterator[bytes]:
    """The payload: ``content`` within ``scope``, in chunks of exactly 1 MiB but for the last.

    Raises: NotAllowedError(exchange.not-divisible), InvalidInputError(dataset.content).
    """
    adapter = _ADAPTERS.get(metadata.format)
    if adapter is not None:
        return in_chunks(adapter(content, metadata, scope))
    masked = any(field.mask is not None for field in metadata.fields)
    if scope.rows or masked or set(scope.fields) != set(metadata.field_names):
        raise NotAllowedError(
            "exchange.not-divisible",
            f"content of format {metadata.format} goes whole, and this scope or a mask asks for a part of it",
            hint="ask for every field and no row condition, or let the provider publish it as json or csv",
            actual=metadata.format,
        )
    return in_chunks(content)


def count_rows(content: Iterable[bytes], metadata: DatasetMetadata) -> int:
    """Rows of a content, every one read as an exchange would; an opaque content counts as 1.

    Raises: InvalidInputError(dataset.content), naming the first row that is not as the catalogue entry says.
    """
    if metadata.format == LICENCE_FORMAT:
        decode_content(content)
        return 1
    if metadata.format == EXAMINATION_FORMAT:
        certificates.decode_content(b"".join(content))
        return 1
    reader = {"json": lambda: _json_rows(content)[1], "csv": lambda: _csv_rows(content)}.get(metadata.format)
    if reader is None:
        return sum(1 for _ in content) and 1
    known = frozenset(metadata.field_names)
    number = 0
    for number, row in enumerate(reader(), start=1):
        for name in row:
            if name not in known:
                raise _broken(f"row {number} has the item {ascii(name)[:66]}, which the catalogue entry does not name")
    return number


def in_chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in chunks of exactly 1 MiB, but for the last."""
    held = bytearray()
    for piece in pieces:
        held += piece
        while len(held) >= CHUNK_BYTES:
            yield bytes(held[:CHUNK_BYTES])
            del held[:CHUNK_BYTES]
    if held:
        yield bytes(held)


def _cut_json(content: Iterable[bytes], metadata: DatasetMetadata, scope: Scope) -> Iterator[bytes]:
    in_lines, rows = _json_rows(content)
    first = True
    for row in apply_scope(rows, scope, metadata.fields):
        yield (b"" if in_lines else b"[" if first else b",\n") + _ENCODER.encode(row) + (b"\n" if in_lines else b"")
        first = False
    if not in_lines:
        yield b"[]\n" if first else b"]\n"


def _cut_csv(content: Iterable[bytes], metadata: DatasetMetadata, scope: Scope) -> Iterator[bytes]:
    # The columns are the scope's, also where no row is inside it.
    yield _csv_line(scope.fields)
    for row in apply_scope(_csv_rows(content), scope, metadata.fields):
        yield _csv_line(row.get(name, "") for name in scope.fields)


def _json_rows(content: Iterable[bytes]) -> tuple[bool, Iterator[Row]]:
    """(whether one object stands on each line, the rows)."""
    pieces = iter(content)
    head = b""
    for piece in pieces:
        head += piece
        if head.strip():
            break
    if head.lstrip()[:1] == b"[":
        return False, _array_rows(head + b"".join(pieces))
    return True, _line_rows(_chain(head, pieces))


def _array_rows(data: bytes) -> Iterator[Row]:
    try:
        items = _ARRAY.decode(data)
    except msgspec.MsgspecError as error:
        raise _broken(str(error)) from error
    for number, item in enumerate(items, start=1):
        yield _row(bytes(item), number)


def _line_rows(content: Iterable[bytes]) -> Iterator[Row]:
    held, number = b"", 0
    for piece in _chain_end(content):
        parts = (held + piece).split(b"\n")
        held = parts.pop()
        if len(held) > MAX_ROW:
            raise _broken(f"a row is longer than {MAX_ROW} bytes")
        for part in parts:
            if part.strip():
                number += 1
                yield _row(part, number)


def _csv_rows(content: Iterable[bytes]) -> Iterator[Row]:
    try:
        reader = csv.reader(io.TextIOWrapper(io.BufferedReader(_Stream(content)), encoding="utf-8-sig", newline=""))
        header = next(reader, None)
        if header is None:
            raise _broken("it has no header line")
        if len(set(header)) != len(header):
            raise _broken("its header names a column twice")
        for number, values in enumerate(reader, start=1):
            if values and len(values) != len(header):
                raise _broken(f"row {number} has {len(values)} columns, the header {len(header)}")
            if values:
                yield dict(zip(header, values, strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise _broken(str(error)) from error


def _row(data: bytes, number: int) -> Row:
    try:
        row = _VALUE.decode(data)
    except msgspec.MsgspecError as error:
        raise _broken(f"row {number}: {error}") from error
    if not isinstance(row, dict):
        raise _broken(f"row {number} is no object")
    return row


def _csv_line(values: Iterable[Any]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(values)
    return out.getvalue().encode()


def _chain(head: bytes, rest: Iterable[bytes]) -> Iterator[bytes]:
    yield head
    yield from rest


def _chain_end(content: Iterable[bytes]) -> Iterator[bytes]:
    """The content with a line feed at its end, so that the last line is a line."""
    yield from content
    yield b"\n"


class _Stream(io.RawIOBase):
    """A readable file over an iterable of bytes: what the csv module and its quoted line breaks need."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._held = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._held:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._held = piece
        taken = self._held[: len(buffer)]
        buffer[: len(taken)] = taken
        self._held = self._held[len(taken) :]
        return len(taken)


def _broken(problem: str) -> InvalidInputError:
    return InvalidInputError(
        "dataset.content",
        f"the content is not as its catalogue entry says: {problem}",
        hint="json is an array of objects or one object a line, csv has a header line; both in UTF-8",
    )


#: metadata format -> what cuts it.
_ADAPTERS: Mapping[str, Callable[[Iterable[bytes], DatasetMetadata, Scope], Iterator[bytes]]] = {
    "json": _cut_json,
    "csv": _cut_csv,
}
