"""Status lists: the standing of many licences in few bytes.

A list is a run of entries of 1, 2, 4 or 8 bits, the first entry in the **least** significant bits of the first byte,
deflated in a ZLIB wrapper. (The W3C Bitstring Status List looks alike and is another format: most significant bit
first, GZIP, milliseconds.) Source: draft-ietf-oauth-status-list, section 4.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Self

from ledger.errors import ConflictError, InvalidInputError, UntrustedError

#: Entries of our own lists have two bits: three states, and one to spare.
BITS: Final = 2
#: The inflated size a reader accepts: 2^24 entries of two bits. A deflated list of zeros is a thousandth of that.
MAX_INFLATED_BYTES: Final = 1 << 22
#: The deflated size: ZLIB never makes more than a few bytes per 16 KiB out of what it cannot shrink.
MAX_DEFLATED_BYTES: Final = MAX_INFLATED_BYTES + (MAX_INFLATED_BYTES >> 8) + 64
_WIDTHS: Final = (1, 2, 4, 8)


class Status(IntEnum):
    """The values the draft registers. Source: draft-ietf-oauth-status-list, section 7."""

    VALID = 0
    INVALID = 1
    SUSPENDED = 2

    @property
    def word(self) -> str:
        """``valid``, ``revoked`` (superseded licences too) or ``suspended``."""
        return ("valid", "revoked", "suspended")[self]


def inflate(data: bytes, limit: int) -> bytes:
    """The content of one ZLIB stream, never more than ``limit`` bytes of it in memory.

    What comes out must not be a ZLIB stream again: content that was deflated twice is either a mistake or a bomb whose
    first layer fits every bound.
    Raises: InvalidInputError(licence.zlib | licence.inflated | licence.zlib-twice). Source: RFC 1950.
    """
    out = _inflated(data, limit)
    if out is None:
        raise InvalidInputError(
            "licence.zlib",
            "not exactly one complete ZLIB stream",
            hint="raw DEFLATE, GZIP and trailing bytes are refused",
        )
    if len(out) > limit:
        raise InvalidInputError(
            "licence.inflated",
            "inflates to more than is allowed",
            hint="nothing this long is ever made: do not trust where it came from",
            expected=limit,
            actual=f"more than {limit}",
        )
    if out[:1] and out[0] & 0x0F == 8 and _inflated(out, limit) is not None:
        raise InvalidInputError("licence.zlib-twice", "deflated twice", hint="its maker must deflate the content once")
    return out


def _inflated(data: bytes, limit: int) -> bytes | None:
    """At most ``limit + 1`` bytes of the content (a longer one is not read on); None where it is no whole stream."""
    stream = zlib.decompressobj()
    try:
        out = stream.decompress(data, limit + 1)
    except zlib.error:
        return None
    if len(out) <= limit and (not stream.eof or stream.unused_data):
        return None
    return out


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusList:
    """``packed``: the entries of ``bits`` bits each, the first one in the least significant bits of the first byte."""

    bits: int
    packed: bytes

    def __post_init__(self) -> None:
        _check_width(self.bits)
        if not 1 <= len(self.packed) <= MAX_INFLATED_BYTES:
            raise InvalidInputError(
                "licence.status-size",
                f"a status list has 1 to {MAX_INFLATED_BYTES} bytes",
                expected=MAX_INFLATED_BYTES,
                actual=len(self.packed),
            )

    @classmethod
    def of_values(cls, values: bytes | Iterable[int], *, bits: int = BITS) -> Self:
        """A list of one value per entry, filled up with zeros to a whole byte. In large steps, not entry by entry.

        Raises: InvalidInputError(licence.status-bits | licence.status-value | licence.status-size).
        """
        _check_width(bits)
        try:
            raw = bytes(values)
        except ValueError:
            raise _value_error(bits) from None
        if raw.translate(None, bytes(range(1 << bits))):
            raise _value_error(bits)
        per_byte = 8 // bits
        raw += bytes(-len(raw) % per_byte)
        # Entry k of every byte at once, as one long number: no shift carries over, because each value is < 2^bits.
        total = sum(int.from_bytes(raw[k::per_byte], "little") << (k * bits) for k in range(per_byte))
        return cls(bits=bits, packed=total.to_bytes(len(raw) // per_byte, "little"))

    @classmethod
    def empty(cls, entries: int, *, bits: int = BITS) -> Self:
        """A list of so many valid entries, rounded up to a whole byte."""
        _check_width(bits)
        return cls(bits=bits, packed=bytes((entries * bits + 7) // 8))

    @classmethod
    def decode(cls, bits: object, deflated: bytes) -> Self:
        """Read a deflated list, bounded.

        Raises: InvalidInputError(licence.status-bits | licence.status-size | licence.zlib |
        licence.inflated | licence.zlib-twice).
        """
        width = _check_width(bits)
        if len(deflated) > MAX_DEFLATED_BYTES:
            raise InvalidInputError(
                "licence.status-size",
                "the deflated status list is too long",
                expected=MAX_DEFLATED_BYTES,
                actual=len(deflated),
            )
        return cls(bits=width, packed=inflate(deflated, MAX_INFLATED_BYTES))

    def encode(self) -> bytes:
        """The list deflated, in a ZLIB wrapper."""
        return zlib.compress(self.packed, 9)

    @property
    def digest(self) -> bytes:
        """SHA-256 of the inflated list, 32 bytes: the same for every signature over the same content."""
        return hashlib.sha256(self.packed).digest()

    def __len__(self) -> int:
        return len(self.packed) * 8 // self.bits

    def get(self, index: int) -> int:
        """The value of an entry. Raises: UntrustedError(licence.status-index) out of range: the draft says reject."""
        if not 0 <= index < len(self):
            raise UntrustedError(
                "licence.status-index",
                "the status list has no such place",
                hint="the licence or the list is not what the issuer made; ask the issuer",
                expected=f"0 to {len(self) - 1}",
                actual=index,
            )
        at, slot = divmod(index * self.bits, 8)
        return self.packed[at] >> slot & (1 << self.bits) - 1

    def values(self) -> bytes:
        """One byte per entry."""
        per_byte, mask = 8 // self.bits, (1 << self.bits) - 1
        out = bytearray(len(self))
        for k in range(per_byte):
            out[k::per_byte] = self.packed.translate(bytes(byte >> (k * self.bits) & mask for byte in range(256)))
        return bytes(out)

    def changed(self, updates: Mapping[int, int]) -> StatusList:
        """The list with some entries set. Raises: UntrustedError(licence.status-index),
        InvalidInputError(licence.status-value)."""
        packed, mask = bytearray(self.packed), (1 << self.bits) - 1
        for index, value in updates.items():
            if not 0 <= value <= mask:
                raise _value_error(self.bits)
            self.get(index)
            at, slot = divmod(index * self.bits, 8)
            packed[at] = packed[at] & ~(mask << slot) | value << slot
        return StatusList(bits=self.bits, packed=bytes(packed))


def free_place(taken: Collection[int], places: int, randbelow: Callable[[int], int]) -> int:
    """A free place of a list, every free one as likely as another: places given in order would tell who was issued
    when. ``randbelow(n)`` draws 0 <= x < n from the operating system's randomness.

    Raises: ConflictError(licence.status-full).
    """
    # Of a list at most three quarters full, 64 draws all miss once in 10^8 times; then, and in a fuller list, count.
    for _ in range(64):
        index = randbelow(places)
        if index not in taken:
            return index
    free = [index for index in range(places) if index not in taken]
    if not free:
        raise ConflictError(
            "licence.status-full",
            "every place of this status list is taken",
            hint="open the issuer's next list",
            expected=f"fewer than {places}",
            actual=len(taken),
        )
    return free[randbelow(len(free))]


def _check_width(bits: object) -> int:
    if bits not in _WIDTHS or not isinstance(bits, int) or isinstance(bits, bool):
        raise InvalidInputError(
            "licence.status-bits",
            "a status list has 1, 2, 4 or 8 bits an entry",
            expected="1 | 2 | 4 | 8",
            actual=ascii(bits)[:40],
        )
    return bits


def _value_error(bits: int) -> InvalidInputError:
    return InvalidInputError(
        "licence.status-value", "a status does not fit its entry", expected=f"0 to {(1 << bits) - 1}"
    )
