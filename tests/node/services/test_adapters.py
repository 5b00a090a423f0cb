"""What leaves a dataset: rows and fields of the scope, values digit for digit, masks; and the encryption in flight."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.directory.catalogue import DatasetMetadata, Field
from ledger.directory.grants import make_scope
from ledger.errors import InvalidInputError, LedgerError, NotAllowedError, UntrustedError
from ledger.model import Level, Sharing
from node.city.roster import demo_uscc
from node.exchange.adapters import count_rows, cut, in_chunks
from node.exchange.crypto import CHUNK_BYTES, TAG_BYTES, Opener, Sealer


def metadata(format_: str, *names: str, masks: dict[str, str] | None = None) -> DatasetMetadata:
    return DatasetMetadata(
        name="x",
        resource_code="x",
        provider=demo_uscc("310000", 1),
        abstract="x",
        format=format_,
        fields=tuple(
            Field(name=name, type="string", title=name, mask=(masks or {}).get(name)) for name in names or ("a", "b")
        ),
        sharing=Sharing.CONDITIONAL,
        condition="x",
        openness="closed",
        update_cycle="once",
        level=Level.GENERAL,
    )


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def payload(content: bytes, entry: DatasetMetadata, *fields: str, **rows: object) -> bytes:
    return b"".join(cut(pieces(content, 7), entry, make_scope(fields, rows)))


def test_numbers_keep_their_digits() -> None:
    content = b'[{"a":1.50,"b":12345678901234567890.10},{"a":0.1}]'
    assert payload(content, metadata("json"), "a", "b") == b'[{"a":1.50,"b":12345678901234567890.10},\n{"a":0.1}]\n'


def test_values_are_compared_with_their_type() -> None:
    content = b'{"a":1,"b":"int"}\n{"a":"1","b":"text"}\n{"a":true,"b":"flag"}\n{"b":"none"}\n'
    for value, name in ((1, "int"), ("1", "text"), (True, "flag")):
        assert payload(content, metadata("json"), "b", a=[value]) == b'{"b":"%s"}\n' % name.encode()


def test_nothing_inside_the_scope_is_an_empty_answer() -> None:
    assert payload(b'[{"a":1}]', metadata("json"), "a", a=[2]) == b"[]\n"
    assert payload(b'{"a":1}\n', metadata("json"), "a", a=[2]) == b""
    assert payload(b"a,b\r\n1,2\r\n", metadata("csv"), "b", a=["9"]) == b"b\r\n"


def test_quoted_csv_survives_any_split_of_its_bytes() -> None:
    content = 'a,b\r\n"1,\r\n2","""x"""\r\n 市 ,"y"\r\n'.encode()
    expected = [["a", "b"], ["1,\r\n2", '"x"'], [" 市 ", "y"]]
    for size in (1, 2, 3, 1000):
        out = b"".join(cut(pieces(content, size), metadata("csv"), make_scope(["a", "b"])))
        assert list(csv.reader(io.StringIO(out.decode(), newline=""))) == expected


def test_masks_are_applied_wherever_a_field_leaves() -> None:
    entry = metadata("json", "a", "b", masks={"a": "hide", "b": "ends"})
    assert payload(b'{"a":"secret","b":"13800000000"}\n', entry, "a", "b") == b'{"a":"***","b":"1*********0"}\n'
    with pytest.raises(NotAllowedError, match="goes whole"):
        payload(b"whole", metadata("other", "a", masks={"a": "hide"}), "a")


BROKEN = {
    "no JSON": ("json", b"nonsense"),
    "no row": ("json", b"[1]"),
    "cut off": ("json", b'[{"a":1}'),
    "second line broken": ("json", b'{"a":1}\n{"a"\n'),
    "no header": ("csv", b""),
    "column twice": ("csv", b"a,a\r\n1,2\r\n"),
    "short row": ("csv", b"a,b\r\n1\r\n"),
    "not UTF-8": ("csv", b"a,b\r\n\xff,2\r\n"),
    "unknown item": ("json", b'{"z":1}\n'),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_content_is_found_at_publishing(case: str) -> None:
    format_, content = BROKEN[case]
    with pytest.raises(InvalidInputError) as caught:
        count_rows(pieces(content, 5), metadata(format_))
    assert caught.value.code == "dataset.content"
    assert caught.value.hint


ROWS = st.lists(
    st.fixed_dictionaries({}, optional={"a": st.integers(0, 3), "b": st.text(max_size=4), "c": st.booleans()}),
    max_size=8,
)


@given(ROWS, st.sets(st.sampled_from("abc"), min_size=1), st.one_of(st.none(), st.integers(0, 3)), st.integers(1, 9))
def test_cutting_is_what_a_reader_would_write(
    rows: list[dict[str, object]], fields: set[str], wanted: int | None, size: int
) -> None:
    scope = make_scope(fields, {} if wanted is None else {"a": [wanted]})
    expected = [
        {name: row[name] for name in sorted(fields) if name in row}
        for row in rows
        if wanted is None or ("a" in row and row["a"] == wanted)
    ]
    entry = metadata("json", "a", "b", "c")
    array = b"".join(cut(pieces(json.dumps(rows).encode(), size), entry, scope))
    assert json.loads(array) == expected
    lines = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    out = b"".join(cut(pieces(lines, size), entry, scope))
    assert [json.loads(line) for line in out.splitlines()] == (expected if rows else [])
    assert count_rows(pieces(lines, size), entry) == len(rows)


def test_chunks_are_whole_but_for_the_last() -> None:
    sizes = [len(chunk) for chunk in in_chunks([b"x" * (CHUNK_BYTES + 5), b"y" * 10, b"", b"z" * CHUNK_BYTES])]
    assert sizes == [CHUNK_BYTES, CHUNK_BYTES, 15]


def test_only_the_same_chunks_in_order_open() -> None:
    key, exchange = os.urandom(32), os.urandom(32)
    sealer = Sealer(key, exchange)
    sealed = [sealer.seal(chunk) for chunk in (b"one", b"", b"three" * 100)]
    assert [len(chunk) for chunk in sealed] == [3 + TAG_BYTES, TAG_BYTES, 500 + TAG_BYTES]
    opener = Opener(key, exchange)
    assert [opener.open(chunk) for chunk in sealed] == [b"one", b"", b"three" * 100]
    for wrong in (
        lambda: Opener(key, os.urandom(32)).open(sealed[0]),
        lambda: Opener(os.urandom(32), exchange).open(sealed[0]),
        lambda: Opener(key, exchange).open(sealed[1]),
        lambda: Opener(key, exchange).open(sealed[0][:-1] + bytes([sealed[0][-1] ^ 1])),
    ):
        with pytest.raises(UntrustedError) as caught:
            wrong()
        assert caught.value.code == "exchange.ciphertext"
    with pytest.raises(LedgerError):
        Sealer(key[:31], exchange)
