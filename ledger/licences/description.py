"""What a licence type is called: the file whose digest stands on chain beside the type (``docs/formats.md``)."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Any, Final

from ledger import codec
from ledger.errors import InvalidInputError
from ledger.identifiers import parse_licence_type

MAX_DESCRIPTION_BYTES: Final = 2_000
MAX_TITLE: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeDescription:
    """A licence type (证照类型) by its code (21 characters), and its name in Chinese and English."""

    code: str
    title_zh: str
    title_en: str


def encode_description(description: TypeDescription) -> bytes:
    """The canonical file. Raises as :func:`decode_description` where it would not decode."""
    data = codec.encode(
        {
            "code": description.code,
            "title": {"en": description.title_en, "zh": description.title_zh},
            "v": 1,
        }
    )
    decode_description(data)
    return data


def decode_description(data: bytes) -> TypeDescription:
    """The description in a canonical file.

    Raises: InvalidInputError(json.* | licence.description | identifier.licence-type).
    """
    value = codec.decode(data, max_bytes=MAX_DESCRIPTION_BYTES)
    if not isinstance(value, dict) or set(value) != {"code", "title", "v"} or value["v"] != 1:
        raise _wrong("the file", "an object with code, title and v = 1")
    title = value["title"]
    if not isinstance(title, dict) or set(title) != {"en", "zh"}:
        raise _wrong("title", "an object with en and zh")
    if not isinstance(value["code"], str):
        raise _wrong("code", "a licence type code")
    return TypeDescription(
        code=parse_licence_type(value["code"]), title_zh=_title("zh", title["zh"]), title_en=_title("en", title["en"])
    )


def description_digest(data: bytes) -> bytes:
    """The domain digest (32 bytes) of a description: the type's metadata digest on chain."""
    return codec.domain_digest("licence-type", data)


def _title(language: str, value: Any) -> str:
    if (
        not isinstance(value, str)
        or not 1 <= len(value) <= MAX_TITLE
        or value != value.strip()
        or not unicodedata.is_normalized("NFC", value)
        or any(unicodedata.category(char) in ("Cc", "Cf", "Cs") for char in value)
    ):
        raise _wrong(f"title.{language}", f"1 to {MAX_TITLE} characters in normal form (NFC), no control characters")
    return value


def _wrong(where: str, allowed: str) -> InvalidInputError:
    return InvalidInputError(
        "licence.description", f"{where} is not: {allowed}", hint="see docs/formats.md, licences on the chain"
    )
