"""Caching, ranges and compression of tlog-tiles resources, rule by rule."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.evidence.tilehttp import HttpAnswer, Kind, accepts_gzip, answer

DATA = bytes(range(256)) * 4


def get(kind: Kind = Kind.HASHES, data: bytes = DATA, method: str = "GET", **headers: str) -> HttpAnswer:
    return answer(data, kind, method, {name.replace("_", "-"): value for name, value in headers.items()})


def test_what_each_kind_says_of_itself() -> None:
    assert get(Kind.CHECKPOINT).headers["Content-Type"] == "text/plain; charset=utf-8"
    assert get(Kind.CHECKPOINT).headers["Cache-Control"] == "no-cache"
    for kind in (Kind.HASHES, Kind.ENTRIES):
        assert get(kind).headers["Content-Type"] == "application/octet-stream"
        assert get(kind).headers["Cache-Control"].endswith("max-age=31536000, immutable")
    assert get(Kind.HASHES).headers["Cache-Control"].startswith("public")
    assert get(Kind.ENTRIES).headers["Cache-Control"].startswith("private"), "no shared cache may keep entries"


def test_only_entries_are_compressed_and_only_when_asked() -> None:
    plain, packed = get(Kind.ENTRIES), get(Kind.ENTRIES, accept_encoding="gzip")
    assert plain.body == gzip.decompress(packed.body) == DATA
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert plain.headers["Vary"] == packed.headers["Vary"] == "Accept-Encoding"
    assert plain.headers["ETag"] != packed.headers["ETag"], "two representations, two tags"
    assert get(Kind.ENTRIES, accept_encoding="gzip").body == packed.body, "the same bytes every time"
    for kind in (Kind.HASHES, Kind.CHECKPOINT):
        assert "Content-Encoding" not in get(kind, accept_encoding="gzip").headers
    assert "Content-Encoding" not in get(Kind.ENTRIES, data=b"short", accept_encoding="gzip").headers


@pytest.mark.parametrize(
    ("header", "allowed"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("*", True),
        ("identity", False),
        ("", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000, identity", False),
        ("*, gzip;q=0", False),
        ("*;q=0", False),
        ("gzip;q=0.001", True),
    ],
)
def test_accept_encoding(header: str, allowed: bool) -> None:
    assert accepts_gzip(header) is allowed


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_what_the_client_has_is_not_sent_again(kind: Kind, encoding: str) -> None:
    tag = get(kind, accept_encoding=encoding).headers["ETag"]
    for header in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        found = get(kind, accept_encoding=encoding, if_none_match=header)
        assert (found.status, found.body, found.headers["ETag"]) == (304, b"", tag)
        assert found.headers["Cache-Control"] == kind.cache
    assert get(kind, accept_encoding=encoding, if_none_match='"other"').status == 200


@pytest.mark.parametrize(
    ("header", "first", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=1000-", 1000, 1024),
        ("bytes=1000-99999", 1000, 1024),
        ("bytes=-24", 1000, 1024),
        ("bytes=-99999", 0, 1024),
        ("bytes=0-1023", 0, 1024),
    ],
)
def test_a_range(header: str, first: int, end: int) -> None:
    for kind in Kind:
        found = get(kind, range=header, accept_encoding="gzip")
        assert (found.status, found.body) == (206, DATA[first:end])
        assert found.headers["Content-Range"] == f"bytes {first}-{end - 1}/1024"
        assert "Content-Encoding" not in found.headers


@pytest.mark.parametrize("header", ["bytes=1024-", "bytes=5000-6000", "bytes=-0"])
def test_a_range_that_is_not_there(header: str) -> None:
    found = get(range=header)
    assert (found.status, found.body, found.headers["Content-Range"]) == (416, b"", "bytes */1024")


@pytest.mark.parametrize("header", ["bytes=5-4", "bytes=", "bytes=-", "lines=1-2", "bytes=0-1,3-4", "bytes=a-b", "x"])
def test_a_range_that_says_nothing_is_ignored(header: str) -> None:
    found = get(range=header)
    assert (found.status, found.body) == (200, DATA)


def test_ranges_are_of_get_and_of_the_version_named() -> None:
    assert get(method="HEAD", range="bytes=0-1").status == 200
    tag = get().headers["ETag"]
    assert get(range="bytes=0-1", if_range=tag).status == 206
    assert get(range="bytes=0-1", if_range='"other"').status == 200
    assert get(range="bytes=0-1", if_range="Sun, 22 Nov 2026 08:00:00 GMT").status == 200


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_no_header_breaks_it(first: str, second: str, third: str) -> None:
    found = answer(DATA, Kind.ENTRIES, "GET", {"range": first, "accept-encoding": second, "if-none-match": third})
    assert found.status in (200, 206, 304, 416)
