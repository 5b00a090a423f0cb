"""Strict, bounded reading of JSON-RPC parameters. Every reader takes a decoded JSON value or raises -32602."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ledger.chain.rpc.errors import invalid_params

_HEX = re.compile(r"0x[0-9a-fA-F]*\Z")
_TAGS = frozenset({"latest", "earliest", "pending", "safe", "finalized"})
#: Fields of a call object that other clients send; those without meaning here (prices, nonce) are checked and ignored.
_CALL_FIELDS = frozenset(
    {"from", "to", "gas", "gasPrice", "maxFeePerGas", "maxPriorityFeePerGas", "value", "data", "input", "nonce"}
    | {"accessList", "type", "chainId"}
)
#: As hex it still fits into a body of 1 MiB.
MAX_INPUT_BYTES = 400_000
MAX_ADDRESSES = 100
MAX_TOPIC_VALUES = 100
MAX_SLOTS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRef:
    """Which block: exactly one of a height, a hash or a tag."""

    height: int | None = None
    hash: bytes | None = None
    tag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallParams:
    """What ``eth_call`` and ``eth_estimateGas`` run."""

    sender: bytes
    to: bytes | None
    gas: int | None
    value: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class LogParams:
    """A log filter as asked for: its block range is settled against the head later."""

    first: BlockRef | None
    last: BlockRef | None
    block_hash: bytes | None
    addresses: frozenset[bytes]
    topics: tuple[frozenset[bytes] | None, ...]


def hex_data(value: object, *, length: int | None = None, limit: int = MAX_INPUT_BYTES, what: str = "data") -> bytes:
    """``0x`` and an even number of digits; exactly ``length`` bytes where one is given."""
    if not isinstance(value, str) or not _HEX.match(value):
        raise invalid_params(f"{what} is not hexadecimal with 0x in front")
    if len(value) % 2:
        raise invalid_params(f"{what} has an odd number of hex digits")
    size = len(value) // 2 - 1
    if length is not None and size != length:
        raise invalid_params(f"{what} has {size} bytes, expected {length}")
    if size > limit:
        raise invalid_params(f"{what} has {size} bytes, at most {limit} are allowed")
    return bytes.fromhex(value[2:])


def address(value: object) -> bytes:
    """20 bytes; upper and lower case are both taken."""
    return hex_data(value, length=20, what="address")


def hash32(value: object) -> bytes:
    """32 bytes."""
    return hex_data(value, length=32, what="hash")


def quantity(value: object, *, bits: int = 64, what: str = "quantity") -> int:
    """A hex quantity, ``0x0`` to 2^bits - 1. Leading zeros are taken: several clients send them."""
    if not isinstance(value, str) or not _HEX.match(value) or len(value) < 3 or len(value) > 66:
        raise invalid_params(f"{what} is not a hex quantity like 0x1f")
    number = int(value, 16)
    if number >> bits:
        raise invalid_params(f"{what} is over {bits} bits")
    return number


def slot(value: object) -> bytes:
    """A storage slot: up to 32 bytes, short forms like ``0x0`` left-padded."""
    return quantity(value, bits=256, what="slot").to_bytes(32, "big")


def slots(value: object) -> list[bytes]:
    """A list of storage slots."""
    if not isinstance(value, list) or len(value) > MAX_SLOTS:
        raise invalid_params(f"storage keys are a list of at most {MAX_SLOTS} slots")
    return [slot(item) for item in value]


def boolean(value: object) -> bool:
    """true or false."""
    if not isinstance(value, bool):
        raise invalid_params("expected true or false")
    return value


def text(value: object) -> str:
    """A short string (a filter id)."""
    if not isinstance(value, str) or len(value) > 80:
        raise invalid_params("expected a short string")
    return value


def count(value: object) -> int:
    """A small number, hex or plain (``eth_feeHistory`` is called both ways)."""
    number = value if isinstance(value, int) and not isinstance(value, bool) else quantity(value)
    if not 1 <= number <= 1024:
        raise invalid_params("a count from 1 to 1024 is expected")
    return number


def percentiles(value: object) -> list[float]:
    """Ascending numbers from 0 to 100."""
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > 100:
        raise invalid_params("percentiles are a list of at most 100 numbers")
    if not all(isinstance(item, int | float) and not isinstance(item, bool) and 0 <= item <= 100 for item in value):
        raise invalid_params("a percentile is a number from 0 to 100")
    if sorted(value) != value:
        raise invalid_params("percentiles ascend")
    return value


def block(value: object) -> BlockRef:
    """A tag, a height, or an EIP-1898 object with blockNumber or blockHash."""
    if isinstance(value, str) and value in _TAGS:
        return BlockRef(tag=value)
    if isinstance(value, Mapping):
        known = set(value) - {"requireCanonical"}
        if known == {"blockHash"}:
            return BlockRef(hash=hash32(value["blockHash"]))
        if known == {"blockNumber"}:
            return block(value["blockNumber"])
        raise invalid_params("a block object has either blockHash or blockNumber")
    return BlockRef(height=quantity(value, what="block number"))


def block_or_hash(value: object) -> BlockRef:
    """Like :func:`block`; 32 bytes of hex are taken as a hash."""
    if isinstance(value, str) and len(value) == 66:
        return BlockRef(hash=hash32(value))
    return block(value)


def call(value: object) -> CallParams:
    """The object of ``eth_call``."""
    fields = _object(value, _CALL_FIELDS, "call")
    data = [hex_data(fields[name], what=name) for name in ("input", "data") if fields.get(name) is not None]
    if len(data) == 2 and data[0] != data[1]:
        raise invalid_params("input and data are both given and differ")
    for name in ("gasPrice", "maxFeePerGas", "maxPriorityFeePerGas"):
        _optional(fields, name, 256)
    for name in ("nonce", "type", "chainId"):
        _optional(fields, name, 64)
    return CallParams(
        sender=address(fields["from"]) if fields.get("from") is not None else bytes(20),
        to=address(fields["to"]) if fields.get("to") is not None else None,
        gas=_optional(fields, "gas", 64),
        value=_optional(fields, "value", 128) or 0,
        data=data[0] if data else b"",
    )


def logs(value: object) -> LogParams:
    """The object of ``eth_getLogs`` and ``eth_newFilter``."""
    fields = _object(value, frozenset({"fromBlock", "toBlock", "blockHash", "address", "topics"}), "filter")
    first, last = fields.get("fromBlock"), fields.get("toBlock")
    by_hash = fields.get("blockHash")
    if by_hash is not None and (first is not None or last is not None):
        raise invalid_params("blockHash excludes fromBlock and toBlock")
    return LogParams(
        first=None if first is None else block(first),
        last=None if last is None else block(last),
        block_hash=None if by_hash is None else hash32(by_hash),
        addresses=_addresses(fields.get("address")),
        topics=_topics(fields.get("topics")),
    )


def _addresses(value: object) -> frozenset[bytes]:
    items = value if isinstance(value, list) else [] if value is None else [value]
    if len(items) > MAX_ADDRESSES:
        raise invalid_params(f"at most {MAX_ADDRESSES} addresses are allowed")
    return frozenset(address(item) for item in items)


def _topics(value: object) -> tuple[frozenset[bytes] | None, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > 4:
        raise invalid_params("topics are a list of at most four places")
    out: list[frozenset[bytes] | None] = []
    for place in value:
        if place is None or place == []:
            out.append(None)
            continue
        values = place if isinstance(place, list) else [place]
        if len(values) > MAX_TOPIC_VALUES:
            raise invalid_params(f"at most {MAX_TOPIC_VALUES} values for a topic are allowed")
        out.append(frozenset(hash32(item) for item in values))
    return tuple(out)


def _object(value: object, known: frozenset[str], what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise invalid_params(f"a {what} object is expected")
    unknown = sorted(set(value) - known)
    if unknown:
        raise invalid_params(f"unknown field of the {what} object: {unknown[0][:40]}")
    return value


def _optional(fields: Mapping[str, Any], name: str, bits: int) -> int | None:
    return None if fields.get(name) is None else quantity(fields[name], bits=bits, what=name)
