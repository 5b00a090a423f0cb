"""Status lists: the vectors of the draft, the order of bits, bounds, and places given at random."""

from __future__ import annotations

import gzip
import json
import random
import zlib
from base64 import urlsafe_b64decode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import ConflictError, InvalidInputError, UntrustedError
from ledger.licences.status import MAX_DEFLATED_BYTES, MAX_INFLATED_BYTES, Status, StatusList, free_place, inflate

# The two lists the draft works out by hand (sections 4.1 and 4.2).
ONE_BIT = ([1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1], bytes([0xB9, 0xA3]), "eNrbuRgAAhcBXQ")
TWO_BITS = ([1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3], bytes([0xC9, 0x44, 0xF9]), "eNo76fITAAPfAgc")


def unb64(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def refused(error: type[Exception], code: str, call, *args, **more) -> None:
    with pytest.raises(error) as caught:
        call(*args, **more)
    assert caught.value.code == code


@pytest.mark.parametrize(("bits", "example"), [(1, ONE_BIT), (2, TWO_BITS)])
def test_the_examples_of_the_draft(bits: int, example: tuple[list[int], bytes, str]) -> None:
    values, packed, lst = example
    made = StatusList.of_values(values, bits=bits)
    assert made.packed == packed
    assert made.encode() == unb64(lst)
    assert list(StatusList.decode(bits, unb64(lst)).values()) == values


def test_the_long_vectors_of_the_draft(vectors: Path) -> None:
    for case in json.loads((vectors / "token-status-list" / "vectors.json").read_text("utf-8")):
        found = StatusList.decode(case["bits"], unb64(case["lst"]))
        assert len(found) == case["entries"]
        nonzero = {int(at): value for at, value in case["nonzero"].items()}
        assert {at: value for at, value in enumerate(found.values()) if value} == nonzero
        assert all(found.get(at) == value for at, value in nonzero.items())
        assert StatusList.empty(case["entries"], bits=case["bits"]).changed(nonzero) == found


def test_bits_are_not_in_the_order_of_the_w3c_list() -> None:
    # One entry set, the first: the draft puts it into 0x01, the W3C list into 0x80; and the wrapper is ZLIB, not GZIP.
    first = StatusList.empty(8, bits=1).changed({0: 1})
    assert first.packed == b"\x01"
    assert StatusList.decode(1, zlib.compress(b"\x80")).get(0) == 0
    assert StatusList.decode(1, zlib.compress(b"\x80")).get(7) == 1
    assert first.encode()[:1] == b"\x78"
    refused(InvalidInputError, "licence.zlib", StatusList.decode, 1, gzip.compress(b"\x01"))


@given(st.sampled_from((1, 2, 4, 8)), st.data())
def test_entry_by_entry_says_the_same(bits: int, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.integers(0, (1 << bits) - 1), min_size=1, max_size=70))
    made = StatusList.of_values(values, bits=bits)
    number = int.from_bytes(made.packed, "little")
    assert [number >> (at * bits) & (1 << bits) - 1 for at in range(len(values))] == values
    assert [made.get(at) for at in range(len(values))] == values
    assert list(made.values())[: len(values)] == values
    assert StatusList.decode(bits, made.encode()) == made
    at = data.draw(st.integers(0, len(values) - 1))
    value = data.draw(st.integers(0, (1 << bits) - 1))
    again = made.changed({at: value})
    assert again.values() == made.values()[:at] + bytes([value]) + made.values()[at + 1 :]
    assert (again.digest == made.digest) == (values[at] == value)


def test_a_million_entries() -> None:
    values = bytes(random.Random(1).choices((0, 1, 2), (97, 2, 1), k=1_000_000))
    made = StatusList.of_values(values)
    found = StatusList.decode(2, made.encode())
    assert found.values() == values
    assert found.get(999_999) == values[999_999]


def test_what_is_out_of_bounds() -> None:
    two = StatusList.of_values([0, 1, 2, 3])
    refused(UntrustedError, "licence.status-index", two.get, 4)
    refused(UntrustedError, "licence.status-index", two.get, -1)
    refused(UntrustedError, "licence.status-index", two.changed, {4: 1})
    refused(InvalidInputError, "licence.status-value", two.changed, {0: 4})
    refused(InvalidInputError, "licence.status-value", StatusList.of_values, [4])
    refused(InvalidInputError, "licence.status-value", StatusList.of_values, [256], bits=8)
    for bits in (0, 3, 16, True, 2.0, "2", None, [2]):
        refused(InvalidInputError, "licence.status-bits", StatusList.decode, bits, zlib.compress(b"\0"))
    refused(InvalidInputError, "licence.status-size", StatusList.decode, 2, zlib.compress(b""))
    refused(InvalidInputError, "licence.status-size", StatusList.decode, 2, bytes(MAX_DEFLATED_BYTES + 1))


def test_bombs_end_at_the_bound() -> None:
    bomb = zlib.compress(bytes(MAX_INFLATED_BYTES + 1), 9)
    refused(InvalidInputError, "licence.inflated", StatusList.decode, 2, bomb)
    fits = zlib.compress(bytes(MAX_INFLATED_BYTES), 9)
    assert len(StatusList.decode(8, fits)) == MAX_INFLATED_BYTES
    # The outer layer fits every bound; what is in it is a stream again, whole or a bomb of its own.
    refused(InvalidInputError, "licence.zlib-twice", StatusList.decode, 2, zlib.compress(bomb))
    refused(InvalidInputError, "licence.zlib-twice", StatusList.decode, 2, zlib.compress(fits))
    # Content that only begins like a stream is content.
    assert StatusList.decode(8, zlib.compress(b"\x78\x9c abc")).values() == b"\x78\x9c abc"


def test_streams_that_are_none() -> None:
    whole = zlib.compress(b"\1\2\3\4" * 50)
    for bad in (
        b"",
        whole[:-1],
        whole + b"\0",
        whole[:-1] + bytes([whole[-1] ^ 1]),
        b"\x78\x9c",
        zlib.compress(b"x")[2:-4],
    ):
        refused(InvalidInputError, "licence.zlib", inflate, bad, 1000)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_or_read(data: bytes) -> None:
    try:
        found = StatusList.decode(2, data)
    except InvalidInputError:
        return
    assert zlib.decompress(data) == found.packed


def test_places_are_given_at_random_until_none_is_left() -> None:
    source = random.Random(7)
    taken: set[int] = set()
    for _ in range(40):
        place = free_place(taken, 40, source.randrange)
        assert place not in taken
        taken.add(place)
    assert taken == set(range(40))
    refused(ConflictError, "licence.status-full", free_place, taken, 40, source.randrange)
    # In a nearly full list the draws keep missing: the free place is counted out.
    assert free_place(set(range(100_000)) - {77_777}, 100_000, lambda bound: 0) == 77_777
    # Not in order: the first forty of a thousand are not the lowest forty.
    early: list[int] = []
    for _ in range(40):
        early.append(free_place(early, 1000, source.randrange))
    assert early != sorted(early)
    assert max(early) > 40


def test_the_words_of_a_status() -> None:
    assert [status.word for status in Status] == ["valid", "revoked", "suspended"]
