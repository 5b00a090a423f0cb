"""Canonical bytes: JCS with two narrowings, domain digests, commitments, strict base64, records.

The narrowings of RFC 8785 are: no floating-point numbers, no integer beyond 2^53 - 1. One value has one encoding, so
that a digest or a signature over the bytes speaks about the value.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from ledger import _native, events
from ledger.errors import InvalidInputError
from ledger.identifiers import parse_uscc
from ledger.model import Record, format_time, parse_time

#: A record's bound; tlog-tiles allows 65,535 for an entry.
MAX_RECORD_BYTES: Final = 60_000
MAX_DEPTH: Final = 16

_RECORD_FIELDS: Final = frozenset({"body", "member", "time", "type", "v"})


def encode(value: Any) -> bytes:
    """The canonical bytes of a JSON value: dicts with text keys, lists, tuples, text, integers, booleans, None.

    Raises: InvalidInputError(json.float | json.integer | json.key | json.type | json.depth | json.text).
    Source: RFC 8785 with the narrowings of docs/formats.md.
    """
    return _native.encode_json(value, MAX_DEPTH)


def decode(data: bytes, *, max_bytes: int = MAX_RECORD_BYTES, max_depth: int = MAX_DEPTH) -> Any:
    """The value of canonical bytes, and of nothing else: other orders, escapes, blanks, duplicate keys, floats and
    trailing bytes are refused.

    Raises: InvalidInputError(json.*).
    """
    _native.check_canonical(data, max_bytes, max_depth)
    return json.loads(data)


def domain_digest(what: str, data: bytes) -> bytes:
    """32 bytes: ``SHA-256("civicledger/<what>/v1\\n" || data)``."""
    return hashlib.sha256(f"civicledger/{what}/v1\n".encode("ascii") + data).digest()


def commitment(type_: str, salt: bytes, value: bytes) -> bytes:
    """32 bytes that commit to a personal value without telling it; see :func:`commitment_of_digest`."""
    return commitment_of_digest(type_, salt, hashlib.sha256(value).digest())


def commitment_of_digest(type_: str, salt: bytes, value_digest: bytes) -> bytes:
    """``SHA-256("civicledger/commit/v1\\n" || u32be len(type) || type || salt[32] || SHA-256(value))``.

    The salt is fresh from the operating system for every record: with it gone, a guess cannot be tested.
    Raises: InvalidInputError(commitment.salt | commitment.digest).
    """
    if len(salt) != 32:
        raise InvalidInputError("commitment.salt", "a salt has 32 bytes", expected=32, actual=len(salt))
    if len(value_digest) != 32:
        raise InvalidInputError("commitment.digest", "a digest has 32 bytes", expected=32, actual=len(value_digest))
    name = type_.encode("utf-8")
    return domain_digest("commit", len(name).to_bytes(4, "big") + name + salt + value_digest)


def keccak256(data: bytes) -> bytes:
    """Ethereum's hash, 32 bytes."""
    return _native.keccak256(data)


def b64(data: bytes) -> str:
    """Standard base64 with padding."""
    return base64.b64encode(data).decode("ascii")


def unb64(text: str, length: int | None = None) -> bytes:
    """Strict standard base64: padding there, unused bits zero, nothing else in between.

    Raises: InvalidInputError(base64.invalid | base64.length). Source: RFC 4648, sections 3.5 and 4.
    """
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise InvalidInputError("base64.invalid", "not standard base64 with padding", actual=text[:64]) from None
    # Python's decoder lets unused bits of the last character pass: two texts would mean the same bytes.
    if b64(data) != text:
        raise InvalidInputError(
            "base64.invalid", "base64 with unused bits set", expected=b64(data)[-8:], actual=text[-8:]
        )
    if length is not None and len(data) != length:
        raise InvalidInputError("base64.length", f"expected {length} bytes", expected=length, actual=len(data))
    return data


def encode_record(record: Record) -> bytes:
    """The bytes of a log entry. Raises: InvalidInputError(record.* | json.* | identifier.uscc | time.range)."""
    events.check_body(record.type, record.body)
    data = encode(
        {
            "body": dict(record.body),
            "member": parse_uscc(record.member),
            "time": format_time(record.time_ms),
            "type": record.type,
            "v": 1,
        }
    )
    if len(data) > MAX_RECORD_BYTES:
        raise InvalidInputError(
            "record.too-large",
            f"a record has at most {MAX_RECORD_BYTES} bytes",
            hint="log a digest of the large part and keep it in the payload store",
            expected=MAX_RECORD_BYTES,
            actual=len(data),
        )
    return data


def decode_record(data: bytes) -> Record:
    """The record of canonical bytes, its type in the catalogue and its body by that type's schema.

    Raises: InvalidInputError(json.* | record.* | identifier.uscc | time.format).
    """
    value = decode(data)
    if not isinstance(value, dict) or value.keys() != _RECORD_FIELDS:
        raise InvalidInputError(
            "record.fields",
            "a record has exactly the fields body, member, time, type, v",
            actual=", ".join(sorted(value)) if isinstance(value, dict) else type(value).__name__,
        )
    if value["v"] != 1 or isinstance(value["v"], bool):
        raise InvalidInputError("record.version", "this library knows records of version 1", actual=value["v"])
    if not all(isinstance(value[name], str) for name in ("member", "time", "type")):
        raise InvalidInputError("record.fields", "member, time and type are text")
    if not isinstance(value["body"], Mapping):
        raise InvalidInputError("record.fields", "the body is an object")
    events.check_body(value["type"], value["body"])
    return Record(
        type=value["type"],
        member=parse_uscc(value["member"]),
        time_ms=parse_time(value["time"]),
        body=value["body"],
    )
