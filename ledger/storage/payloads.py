"""The payload store: bytes of datasets and of received exchanges, by their SHA-256.

A payload is written in rows of at most 1 MiB and appears, whole, with one synced row at the end; what a crash left
behind is swept at the next opening. Deleting rewrites the files, so that the bytes are gone and not only hidden.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from ledger.errors import FatalError, InvalidInputError, LedgerError, NotFoundError
from ledger.storage.store import Store, u64

#: Largest row, and so the largest chunk handed out.
CHUNK_BYTES = 1 << 20
#: Default limit of one payload.
DEFAULT_LIMIT = 64 << 20

_HEAD, _CHUNK, _OPEN, _NEXT = b"h", b"c", b"o", b"n"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPayload:
    """A payload that is there whole. ``digest``: its plain SHA-256, 32 bytes."""

    digest: bytes
    byte_count: int


class _Head(msgspec.Struct, frozen=True, array_like=True):
    identity: int
    byte_count: int


class PayloadStore:
    """Payloads under their digest. Thread-safe; equal payloads are kept once."""

    __slots__ = ("_lock", "_store")

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        for key, _ in list(store.scan(_OPEN)):
            self._sweep(int.from_bytes(key[1:], "big"))

    def put_stream(self, chunks: Iterable[bytes], limit: int = DEFAULT_LIMIT) -> tuple[bytes, int]:
        """Keep a payload; (digest, byte count) after all of it is durable.

        Raises:
            InvalidInputError: ``payload.too-large``, more than ``limit`` bytes came; nothing is kept.
            UnavailableError: ``disk.full``; nothing is kept.
        """
        identity = self._begin()
        digest = hashlib.sha256()
        count = rows = 0
        try:
            for piece in _rows(chunks):
                count += len(piece)
                if count > limit:
                    raise InvalidInputError(
                        "payload.too-large",
                        f"the payload is larger than {limit} bytes",
                        hint="send it in parts, or raise the payload limit in node.toml",
                        expected=limit,
                    )
                digest.update(piece)
                # Synced one by one: LevelDB changes its log file on the way, and syncing the last row alone would
                # leave what stands in the file before it to a power cut.
                self._store.put(_chunk_key(identity, rows), piece)
                rows += 1
            name = digest.digest()
            with self._lock:
                known = self._store.get(_HEAD + name) is not None
                if not known:
                    with self._store.batch() as batch:
                        batch.put(_HEAD + name, msgspec.msgpack.encode(_Head(identity, count)))
                        batch.delete(_OPEN + u64(identity))
            if known:
                self._sweep(identity)
        except BaseException:
            self._abandon(identity)
            raise
        return name, count

    def stat(self, digest: bytes) -> StoredPayload | None:
        """What is known of a payload; None when it is not here."""
        head = self._head(digest)
        return None if head is None else StoredPayload(digest=digest, byte_count=head.byte_count)

    def open(self, digest: bytes) -> Iterator[bytes]:
        """The payload in chunks of at most 1 MiB, its digest checked at the end.

        Raises:
            NotFoundError: ``payload.unknown``, at once.
            FatalError: ``payload.damaged``, while reading: bytes are missing or differ.
        """
        head = self._head(digest)
        if head is None:
            raise NotFoundError(
                "payload.unknown",
                "no payload with this digest is kept here",
                hint="publish the dataset's content on this node, or ask its provider",
                actual=digest,
            )
        return self._read(digest, head)

    def delete(self, digest: bytes) -> bool:
        """Remove a payload and rewrite the files that held it; False when it was not here."""
        with self._lock:
            head = self._head(digest)
            if head is None:
                return False
            with self._store.batch() as batch:
                batch.delete(_HEAD + digest)
                batch.put(_OPEN + u64(head.identity), b"")
        self._store.erase(_CHUNK + u64(head.identity))
        self._store.delete(_OPEN + u64(head.identity))
        return True

    def digests(self) -> Iterator[StoredPayload]:
        """Every payload kept here, by digest."""
        for key, value in self._store.scan(_HEAD):
            yield StoredPayload(digest=key[1:], byte_count=_decode_head(value).byte_count)

    def _read(self, digest: bytes, head: _Head) -> Iterator[bytes]:
        running = hashlib.sha256()
        count = 0
        for _, piece in self._store.scan(_CHUNK + u64(head.identity)):
            running.update(piece)
            count += len(piece)
            yield piece
        if count != head.byte_count or running.digest() != digest:
            raise FatalError(
                "payload.damaged",
                "a stored payload no longer has its digest",
                hint="publish the content again from its source; check the disk",
                expected=digest,
                actual=running.digest(),
            )

    def _head(self, digest: bytes) -> _Head | None:
        data = self._store.get(_HEAD + digest)
        return None if data is None else _decode_head(data)

    def _begin(self) -> int:
        with self._lock:
            identity = int.from_bytes(self._store.get(_NEXT) or b"", "big")
            with self._store.batch() as batch:
                batch.put(_NEXT, u64(identity + 1))
                batch.put(_OPEN + u64(identity), b"")
        return identity

    def _abandon(self, identity: int) -> None:
        """Drop what was written. Where even that fails the next opening does it: the error of the write is the one
        to report."""
        with contextlib.suppress(LedgerError):
            self._sweep(identity)

    def _sweep(self, identity: int) -> None:
        for key, _ in list(self._keys(identity)):
            self._store.delete(key, sync=False)
        self._store.delete(_OPEN + u64(identity))

    def _keys(self, identity: int) -> Iterator[tuple[bytes, None]]:
        for key, _ in self._store.scan(_CHUNK + u64(identity)):
            yield key, None


def _decode_head(data: bytes) -> _Head:
    try:
        return msgspec.msgpack.decode(data, type=_Head)
    except msgspec.MsgspecError as error:
        raise FatalError("store.corrupt", f"a row of the payload store does not decode: {error}") from error


def _chunk_key(identity: int, number: int) -> bytes:
    return _CHUNK + u64(identity) + number.to_bytes(4, "big")


def _rows(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in rows of exactly 1 MiB, but for the last."""
    held = bytearray()
    for chunk in chunks:
        held += chunk
        while len(held) >= CHUNK_BYTES:
            yield bytes(held[:CHUNK_BYTES])
            del held[:CHUNK_BYTES]
    if held:
        yield bytes(held)
