"""Identifiers: members, regions, handles, datasets, log origins (``docs/formats.md``, identifiers).

Everything here refuses what is not exactly the canonical form: an identifier with a blank, a lower-case letter or a
non-NFC look-alike would otherwise name the same body in two ways.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import Any, Final, cast

import stdnum.cn.uscc
import stdnum.exceptions
from stdnum import numdb

from ledger.errors import InvalidInputError

LOG_SUFFIX: Final = "civicledger/log"
WITNESS_SUFFIX: Final = "civicledger/witness"

_HANDLE = re.compile(r"[a-z0-9-]{1,32}\Z")
_PURPOSE = re.compile(r"[a-z0-9][a-z0-9.-]{0,31}\Z")
_HEX32 = re.compile(r"(0x)?[0-9a-f]{64}\Z")
_REGION = re.compile(r"[0-9]{6}\Z")
_LICENCE_TYPE = re.compile(r"[0-9A-Z]{18}[0-9]{3}\Z")
_RESOURCE_CODE = re.compile(r"[0-9A-Za-z][0-9A-Za-z/._-]{0,63}\Z")
_MAX_GENERATION: Final = 0xFFFF
#: The national table of administrative divisions (GB/T 2260) as python-stdnum carries it.
_DIVISIONS: Final = cast(Any, numdb.get("cn/loc"))


def parse_uscc(text: str) -> str:
    """A unified social credit code (统一社会信用代码), 18 characters, in canonical form.

    Raises: InvalidInputError(identifier.uscc). Source: GB 32100-2015 (check character MOD 31), by python-stdnum.
    """
    # Every record names its member: the same few codes again and again.
    if isinstance(text, str) and len(text) == 18 and _is_uscc(text):
        return text
    try:
        compact = stdnum.cn.uscc.validate(text)
    except stdnum.exceptions.ValidationError as error:
        raise InvalidInputError(
            "identifier.uscc",
            f"not a unified social credit code: {_show(text)} ({error})",
            hint="18 characters: digits and capital letters without I, O, S, V, Z; the last one is a check character",
            actual=_show(text),
        ) from None
    if compact != text:
        raise InvalidInputError(
            "identifier.uscc",
            f"a unified social credit code is written in capitals, without blanks: {compact}",
            expected=compact,
            actual=_show(text),
        )
    return text


@lru_cache(maxsize=4096)
def _is_uscc(text: str) -> bool:
    try:
        return bool(stdnum.cn.uscc.validate(text) == text)
    except stdnum.exceptions.ValidationError:
        return False


def member_bytes32(uscc: str) -> bytes:
    """The member id on chain: the 18 ASCII characters of the USCC, left-aligned, zero-padded to 32 bytes."""
    return ascii_bytes32(parse_uscc(uscc))


def member_from_bytes32(data: bytes) -> str:
    """The USCC in a member id. Raises: InvalidInputError(identifier.uscc | identifier.bytes32)."""
    return parse_uscc(text_from_bytes32(data))


def ascii_bytes32(text: str) -> bytes:
    """Printable ASCII of 1 to 32 characters, left-aligned, zero-padded.

    Raises: InvalidInputError(identifier.bytes32).
    """
    if not 1 <= len(text) <= 32 or not all("!" <= c <= "~" for c in text):
        raise InvalidInputError(
            "identifier.bytes32", f"not 1 to 32 printable ASCII characters: {_show(text)}", actual=_show(text)
        )
    return text.encode("ascii").ljust(32, b"\0")


def text_from_bytes32(data: bytes) -> str:
    """The inverse of :func:`ascii_bytes32`; padding other than zeros is refused."""
    body = data.rstrip(b"\0")
    if len(data) != 32 or not body or not all(0x21 <= byte <= 0x7E for byte in body):
        raise InvalidInputError("identifier.bytes32", "not padded printable ASCII in 32 bytes", actual=data)
    return body.decode("ascii")


def parse_region(text: str) -> str:
    """A six-digit administrative division code that the national table knows (former divisions included).

    Raises: InvalidInputError(identifier.region). Source: GB/T 2260.
    """
    if not _REGION.match(text) or "county" not in _DIVISIONS.info(text)[-1][1]:
        raise InvalidInputError(
            "identifier.region",
            f"no administrative division has the code {_show(text)}",
            hint="six digits of GB/T 2260, e.g. 310000",
            actual=_show(text),
        )
    return text


def parse_handle(text: str) -> str:
    """The short name of a member in log origins: ``[a-z0-9-]{1,32}``. Raises: InvalidInputError(identifier.handle)."""
    if not _HANDLE.match(text):
        raise InvalidInputError(
            "identifier.handle",
            f"not a handle: {_show(text)}",
            hint="1 to 32 characters: a-z, 0-9 and -",
            actual=_show(text),
        )
    return text


def parse_purpose(text: str) -> str:
    """A purpose code: ``[a-z0-9][a-z0-9.-]{0,31}``, so that it fits into 32 bytes on chain.

    Raises: InvalidInputError(identifier.purpose).
    """
    if not _PURPOSE.match(text):
        raise InvalidInputError(
            "identifier.purpose",
            f"not a purpose code: {_show(text)}",
            hint="1 to 32 characters: a-z, 0-9, . and -, starting with a letter or digit",
            actual=_show(text),
        )
    return text


def parse_resource_code(text: str) -> str:
    """A provider's own code of a dataset in its resource catalogue (政务信息资源代码): up to 64 characters.

    Raises: InvalidInputError(identifier.resource-code).
    """
    if not _RESOURCE_CODE.match(text):
        raise InvalidInputError(
            "identifier.resource-code",
            f"not a resource code: {_show(text)}",
            hint="1 to 64 characters: letters, digits, / . _ and -, starting with a letter or digit",
            actual=_show(text),
        )
    return text


def parse_licence_type(text: str) -> str:
    """A licence type code (证照类型代码): the USCC of the body that defines the type, and three digits.

    Raises: InvalidInputError(identifier.licence-type | identifier.uscc). Source: GB/T 36904-2018.
    """
    if not _LICENCE_TYPE.match(text):
        raise InvalidInputError(
            "identifier.licence-type",
            f"not a licence type code: {_show(text)}",
            hint="21 characters: the 18 of the defining body's credit code and 3 digits, e.g. 11100000000013338W011",
            actual=_show(text),
        )
    parse_uscc(text[:18])
    return text


def licence_type_bytes32(code: str) -> bytes:
    """The licence type on chain: its 21 ASCII characters, left-aligned, zero-padded to 32 bytes."""
    return ascii_bytes32(parse_licence_type(code))


def licence_type_from_bytes32(data: bytes) -> str:
    """The code in a licence type id. Raises: InvalidInputError(identifier.*)."""
    return parse_licence_type(text_from_bytes32(data))


def parse_hex32(text: str) -> bytes:
    """32 bytes written as 64 lower-case hex digits, ``0x`` in front allowed.

    Raises: InvalidInputError(identifier.hex32).
    """
    if not _HEX32.match(text):
        raise InvalidInputError("identifier.hex32", f"not 64 lower-case hex digits: {_show(text)}", actual=_show(text))
    return bytes.fromhex(text[-64:])


def dataset_id(provider_uscc: str, resource_code: str) -> bytes:
    """32 bytes: SHA-256 of the dataset domain line, the provider's USCC, a line feed and the resource code."""
    provider, code = parse_uscc(provider_uscc), parse_resource_code(resource_code)
    return hashlib.sha256(f"civicledger/dataset/v1\n{provider}\n{code}".encode("ascii")).digest()


def origin(region: str, handle: str, generation: int = 1) -> str:
    """The origin line of a log: ``<region>.<handle>.civicledger/log``, and ``…/log/2`` for its second generation."""
    if not 1 <= generation <= _MAX_GENERATION:
        raise InvalidInputError("identifier.generation", "a log's generation is 1 to 65535", actual=generation)
    base = f"{parse_region(region)}.{parse_handle(handle)}.{LOG_SUFFIX}"
    return base if generation == 1 else f"{base}/{generation}"


def witness_name(region: str, handle: str) -> str:
    """The key name of a member's witness: ``<region>.<handle>.civicledger/witness``."""
    return f"{parse_region(region)}.{parse_handle(handle)}.{WITNESS_SUFFIX}"


def consensus_chain_id(genesis_digest: bytes) -> str:
    """The chain id of a CometBFT network: ``civic-`` and the first 16 hex digits of the genesis digest."""
    return f"civic-{genesis_digest.hex()[:16]}"


def _show(text: object) -> str:
    """At most 64 characters of foreign input, safe to print."""
    return ascii(text)[:66]
