"""Payloads: whole or not at all, bounded, and really gone when deleted."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import FatalError, InvalidInputError, NotFoundError
from ledger.storage.payloads import CHUNK_BYTES, PayloadStore
from ledger.storage.store import Store


@given(st.lists(st.binary(max_size=300), max_size=8))
def test_what_comes_out_is_what_went_in(tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes]) -> None:
    data = b"".join(chunks)
    with Store.open(tmp_path_factory.mktemp("db")) as store:
        payloads = PayloadStore(store)
        digest, count = payloads.put_stream(chunks)
        assert (digest, count) == (hashlib.sha256(data).digest(), len(data))
        assert b"".join(payloads.open(digest)) == data
        stat = payloads.stat(digest)
        assert stat is not None
        assert stat.byte_count == len(data)


def test_chunks_handed_out_are_at_most_one_mebibyte(store: Store) -> None:
    payloads = PayloadStore(store)
    digest, _ = payloads.put_stream([b"x" * (CHUNK_BYTES * 2 + 5)])
    assert [len(chunk) for chunk in payloads.open(digest)] == [CHUNK_BYTES, CHUNK_BYTES, 5]


def test_too_large_a_payload_is_refused_and_leaves_nothing(store: Store) -> None:
    payloads = PayloadStore(store)
    payloads.put_stream([b"kept"])
    before = list(store.scan(b"c"))
    with pytest.raises(InvalidInputError) as caught:
        payloads.put_stream([b"x" * CHUNK_BYTES] * 3, limit=2 * CHUNK_BYTES)
    assert caught.value.code == "payload.too-large"
    assert list(store.scan(b"c")) == before
    assert list(store.scan(b"o")) == []


def test_exactly_the_limit_is_allowed(store: Store) -> None:
    assert PayloadStore(store).put_stream([b"abcd"], limit=4)[1] == 4


def test_a_source_that_fails_leaves_nothing(store: Store) -> None:
    def failing() -> Iterator[bytes]:
        yield b"x" * CHUNK_BYTES
        raise OSError("the upstream broke")

    with pytest.raises(OSError, match="upstream"):
        PayloadStore(store).put_stream(failing())
    assert [key for key, _ in store.scan() if key[:1] in b"cho"] == []


def test_what_a_crash_left_is_swept_at_the_next_opening(store: Store) -> None:
    payloads = PayloadStore(store)
    kept, _ = payloads.put_stream([b"kept"])
    # The state right before a crash: rows written, the head not.
    identity = payloads._begin()
    store.put(b"c" + identity.to_bytes(8, "big") + bytes(4), b"half a payload")
    PayloadStore(store)
    assert [key for key, _ in store.scan(b"o")] == []
    assert [value for _, value in store.scan(b"c")] == [b"kept"]
    assert b"".join(PayloadStore(store).open(kept)) == b"kept"


def test_equal_payloads_are_kept_once(store: Store) -> None:
    payloads = PayloadStore(store)
    assert payloads.put_stream([b"same"]) == payloads.put_stream([b"sa", b"me"])
    assert len(list(store.scan(b"c"))) == 1


def test_deleted_bytes_leave_the_disk(tmp_path: Path) -> None:
    secret = hashlib.sha256(b"a person").hexdigest().encode() * 100
    with Store.open(tmp_path / "db") as store:
        payloads = PayloadStore(store)
        digest, _ = payloads.put_stream([secret])
        payloads.put_stream([b"another"])
        assert _anywhere(tmp_path, secret[:40])
        assert payloads.delete(digest)
        assert not _anywhere(tmp_path, secret[:40])
        assert not payloads.delete(digest)
        with pytest.raises(NotFoundError) as caught:
            payloads.open(digest)
        assert caught.value.code == "payload.unknown"
        assert [stat.byte_count for stat in payloads.digests()] == [len(b"another")]


def test_a_changed_payload_is_noticed_while_reading(store: Store) -> None:
    payloads = PayloadStore(store)
    digest, _ = payloads.put_stream([b"the real thing"])
    key, _ = next(store.scan(b"c"))
    store.put(key, b"something else")
    with pytest.raises(FatalError) as caught:
        list(payloads.open(digest))
    assert caught.value.code == "payload.damaged"


def _anywhere(folder: Path, needle: bytes) -> bool:
    return any(needle in file.read_bytes() for file in folder.rglob("*") if file.is_file())
