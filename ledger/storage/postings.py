"""Blocks of postings, as the native core makes them (``docs/formats.md``, record index), and how a query reads them.

A posting is a place (record time in Unix milliseconds, index in the log). A block holds the postings of one value
inside one bucket of time, so a query goes bucket by bucket, and only to those that every value asked for has.
"""

from __future__ import annotations

import bisect
import heapq
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Self

from ledger.errors import FatalError
from ledger.storage.store import Store, u64

#: A bucket is 4,096 ms.
BUCKET_BITS: Final = 12
#: Longest value of a facet, bytes.
MAX_VALUE: Final = 255
#: Time (Unix ms) and index.
Place = tuple[int, int]

_PLACE = struct.Struct(">QQ")
_BASE = struct.Struct(">Q")
_POSTING = struct.Struct(">HI")
_LAST: Final = 2**64 - 1
_MOST: Final = 2**32 - 1
_IN_BUCKET: Final = (1 << BUCKET_BITS) - 1
#: What one look into the store, and one into an unread block, count as, in postings read.
_LOOK: Final = 100
_CHECK: Final = 5


def prefix(facet: bytes, value: bytes = b"") -> bytes:
    """What the keys of a value begin with."""
    return facet + bytes((len(value),)) + value


def place_of(data: bytes) -> Place:
    """A place from its 16 bytes."""
    time_ms, index = _PLACE.unpack(data)
    return time_ms, index


def place_bytes(place: Place) -> bytes:
    """A place in 16 bytes whose order is the order of places."""
    return _PLACE.pack(*place)


def single(start: bytes, place: Place) -> tuple[bytes, bytes]:
    """The row of a block with one posting under the prefix ``start``."""
    offset = place[0] & _IN_BUCKET
    return start + place_bytes(place), _BASE.pack(place[1]) + _POSTING.pack(offset, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One row, its first and last place known, its postings not yet read."""

    first: Place
    last: Place
    value: bytes

    @classmethod
    def of(cls, key: bytes, value: bytes) -> Self:
        """From a row. Raises: FatalError(store.corrupt)."""
        if len(value) < 14 or (len(value) - 8) % 6 or len(key) < 18:
            raise _damaged(key)
        first = place_of(key[-16:])
        (smallest,) = _BASE.unpack_from(value)
        offset, more = _POSTING.unpack_from(value, len(value) - 6)
        return cls(first=first, last=(_start(first[0] >> BUCKET_BITS) + offset, smallest + more), value=value)

    def postings(self) -> list[Place]:
        """Every place, in order. Raises: FatalError(store.corrupt)."""
        base = _start(self.first[0] >> BUCKET_BITS)
        (smallest,) = _BASE.unpack_from(self.value)
        places = [(base + offset, smallest + more) for offset, more in _POSTING.iter_unpack(self.value[8:])]
        if places[0] != self.first or places != sorted(places) or places[-1][0] > base + _IN_BUCKET:
            raise _damaged(place_bytes(self.first))
        return places

    def holds(self, place: Place) -> bool:
        """Whether a place of this bucket stands here, without reading the rest: postings are in order as bytes."""
        if not self.first <= place <= self.last:
            return False
        (smallest,) = _BASE.unpack_from(self.value)
        if not 0 <= place[1] - smallest <= _MOST:
            return False
        wanted = _POSTING.pack(place[0] & _IN_BUCKET, place[1] - smallest)

        def posting(number: int) -> bytes:
            return self.value[8 + 6 * number : 14 + 6 * number]

        count = (len(self.value) - 8) // 6
        number = bisect.bisect_left(range(count), wanted, key=posting)
        return number < count and posting(number) == wanted


@dataclass(slots=True, kw_only=True)
class Reading:
    """One query over a store: the places in ``[low, high]`` that stand under every prefix.

    ``work`` counts what was read, in postings; the caller stops between buckets when it has grown too far.
    """

    store: Store
    prefixes: Sequence[bytes]
    low: Place
    high: Place
    newest_first: bool
    work: int = field(default=0)

    def buckets(self) -> Iterator[int]:
        """Numbers of the buckets that every prefix has, in the order asked for."""
        step = -1 if self.newest_first else 1
        bucket: int | None = (self.high if self.newest_first else self.low)[0] >> BUCKET_BITS
        while bucket is not None:
            found = self._agreed(bucket)
            if found is None:
                return
            yield found
            bucket = found + step if found + step >= 0 else None

    def places(self, bucket: int) -> Iterator[Place]:
        """The places of one bucket, in the order asked for."""
        driver, *others = self.prefixes
        held = [self._blocks(other, bucket) for other in others]
        for place in self._merged(self._blocks(driver, bucket)):
            self.work += _CHECK * len(held)
            if all(any(block.holds(place) for block in blocks) for blocks in held):
                yield place

    def after(self, bucket: int) -> Place | None:
        """The place at which a query goes on that ends with this bucket; None when nothing can follow."""
        if not self.newest_first:
            return _start(bucket + 1), 0
        return (_start(bucket) - 1, _LAST) if bucket else None

    def _agreed(self, bucket: int) -> int | None:
        """The first bucket from ``bucket`` on, in the order asked for, that every prefix has."""
        while True:
            before = bucket
            for start in self.prefixes:
                found = self._nearest(start, bucket)
                if found is None:
                    return None
                bucket = found
            if bucket == before:
                return bucket

    def _nearest(self, start: bytes, bucket: int) -> int | None:
        self.work += _LOOK
        if self.newest_first:
            rows = self.store.scan(start, start=self._edge(start, self.low[0]), stop=_upto(start, bucket), reverse=True)
        else:
            rows = self.store.scan(
                start, start=start + u64(_start(bucket)), stop=_upto(start, self.high[0] >> BUCKET_BITS)
            )
        for key, _ in rows:
            return place_of(key[-16:])[0] >> BUCKET_BITS
        return None

    @staticmethod
    def _edge(start: bytes, time_ms: int) -> bytes:
        return start + u64(_start(time_ms >> BUCKET_BITS))

    def _blocks(self, start: bytes, bucket: int) -> list[Block]:
        rows = self.store.scan(start, start=start + u64(_start(bucket)), stop=_upto(start, bucket))
        blocks = [Block.of(key, value) for key, value in rows]
        self.work += _LOOK + len(blocks)
        return [block for block in blocks if block.last >= self.low and block.first <= self.high]

    def _open(self, block: Block) -> list[Place]:
        places = block.postings()
        self.work += len(places)
        return places

    def _merged(self, blocks: Sequence[Block]) -> Iterator[Place]:
        """The places of the blocks in one order; a block is read only when its turn has come."""
        sign = -1 if self.newest_first else 1

        def turn(place: Place) -> Place:
            return sign * place[0], sign * place[1]

        waiting: list[tuple[Place, int, Iterator[Place] | None]] = [
            (turn(block.last if self.newest_first else block.first), number, None)
            for number, block in enumerate(blocks)
        ]
        heapq.heapify(waiting)
        while waiting:
            place, number, rest = heapq.heappop(waiting)
            if rest is None:
                opened = [one for one in self._open(blocks[number]) if self.low <= one <= self.high]
                rest = iter(opened[::sign])
            else:
                yield turn(place)
            following = next(rest, None)
            if following is not None:
                heapq.heappush(waiting, (turn(following), number, rest))


def _start(bucket: int) -> int:
    return bucket << BUCKET_BITS


def _upto(start: bytes, bucket: int) -> bytes:
    """The key just after the rows of a bucket."""
    return start + u64(min(_start(bucket + 1), _LAST))


def _damaged(key: bytes) -> FatalError:
    return FatalError(
        "store.corrupt",
        f"a row of the record index does not decode: {key[:64].hex()}",
        hint="the index is made again from the log: civicledger record reindex does it on a stopped node",
    )
