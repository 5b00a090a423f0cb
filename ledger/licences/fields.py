"""The facts of a licence under their GB/T 36903 names: what they are called, what they may hold, what may be held back.

Whatever says something about the holder is selectively disclosable. The identifier and the number are among it: both
often repeat the holder's own number. Source: GB/T 36903-2018; GB 11643-1999; GB 32100-2015.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

import stdnum.cn.ric
import stdnum.exceptions

from ledger.errors import InvalidInputError
from ledger.identifiers import parse_uscc

MAX_TEXT: Final = 1_000
#: What stands for the end of a validity that does not end.
LONG_TERM: Final = "长期"

_DATE: Final = re.compile(r"([0-9]{4})(-?)([0-9]{2})\2([0-9]{2})\Z")
_HOLDER_TYPE: Final = re.compile(r"[0-9]{3}\Z")
_FOREIGN_NUMBER: Final = re.compile(r"[0-9A-Z]{4,32}\Z")
_NUMBER: Final = re.compile(r"[0-9A-Za-z一-鿿（）()〔〕\-]{1,64}\Z")

#: Kinds of holder codes this library checks; others are taken as they are. Source: GB/T 36903, Annex A.
USCC_HOLDER: Final = "001"
CITIZEN_HOLDER: Final = "111"


class Kind(StrEnum):
    """What a field may hold. ``end``: a day or :data:`LONG_TERM`."""

    TEXT = "text"
    DAY = "day"
    END = "end"
    NUMBER = "number"
    USCC = "uscc"
    CITIZEN = "citizen"
    HOLDER_TYPE = "holder-type"
    HOLDER_CODE = "holder-code"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field: its claim ``name``, labels in both languages, what it holds, whether the holder may hold it back, and
    the only values it takes (none: any of its kind)."""

    name: str
    zh: str
    en: str
    kind: Kind = Kind.TEXT
    hidden: bool = True
    required: bool = True
    choices: tuple[str, ...] = ()


#: The fields every licence has, by name: those the issuing service fills in, then those of the holder.
ISSUER_FIELDS: Final = (
    Field(name="ZZMC", zh="证照名称", en="Licence", hidden=False),
    Field(name="ZZLXDM", zh="证照类型代码", en="Type code", hidden=False),
    Field(name="ZZBFJG", zh="证照颁发机构", en="Issuer", hidden=False),
    Field(name="ZZBFJGDM", zh="证照颁发机构代码", en="Issuer's code", kind=Kind.USCC, hidden=False),
    Field(name="ZZBFRQ", zh="证照颁发日期", en="Issued on", kind=Kind.DAY, hidden=False),
    Field(name="ZZBS", zh="证照标识", en="Identifier"),
)
HOLDER_FIELDS: Final = (
    Field(name="ZZBH", zh="证照编号", en="Number", kind=Kind.NUMBER),
    Field(name="CZZT", zh="持证主体", en="Holder"),
    Field(name="CZZTDMLXDM", zh="持证主体代码类型代码", en="Kind of holder's code", kind=Kind.HOLDER_TYPE),
    Field(name="CZZTDM", zh="持证主体代码", en="Holder's code", kind=Kind.HOLDER_CODE),
    Field(name="ZZYXQQSRQ", zh="证照有效期起始日期", en="Valid from", kind=Kind.DAY, hidden=False),
    Field(name="ZZYXQJZRQ", zh="证照有效期截止日期", en="Valid until", kind=Kind.END, hidden=False),
)
COMMON: Final[Mapping[str, Field]] = {item.name: item for item in (*ISSUER_FIELDS, *HOLDER_FIELDS)}

#: Field names in prose are ``KZ_`` and letters or digits. Source: GB/T 36903 (extensions).
EXTENSION: Final = re.compile(r"KZ_[A-Z0-9]{1,30}\Z")


def read_day(text: str) -> str:
    """A day, written ``YYYYMMDD`` or ``YYYY-MM-DD``, in the one form that is stored: ``YYYY-MM-DD``.

    Raises: InvalidInputError(licence.day).
    """
    found = _DATE.match(text)
    try:
        if found is None:
            raise ValueError
        return date(int(found[1]), int(found[3]), int(found[4])).isoformat()
    except ValueError:
        raise InvalidInputError(
            "licence.day",
            "not a day",
            hint="write 2026-11-22 or 20261122",
        ) from None


def read_citizen(text: str) -> str:
    """A citizen's number with a capital X. Raises: InvalidInputError(licence.citizen). Source: GB 11643-1999."""
    try:
        compact: str = stdnum.cn.ric.validate(text)
    except stdnum.exceptions.ValidationError:
        compact = ""
    if compact != text.upper() or not compact:
        # The number itself is nobody's business but the holder's: it stands in no message.
        raise InvalidInputError(
            "licence.citizen",
            "not a citizen's number: its length, day of birth, division or check character is wrong",
            hint="compare the eighteen characters with the holder's identity card",
        )
    return compact


def read_text(text: str) -> str:
    """A text of one to 1,000 characters in NFC, without blanks around it and without control characters.

    Raises: InvalidInputError(licence.text).
    """
    normal = unicodedata.normalize("NFC", text)
    if normal.strip() != normal or not 1 <= len(normal) <= MAX_TEXT or any(map(_is_control, normal)):
        raise InvalidInputError(
            "licence.text", f"a text is of 1 to {MAX_TEXT} characters, without blanks around it or control characters"
        )
    return normal


def read_value(field: Field, text: str, values: Mapping[str, str]) -> str:
    """The value of a field in its stored form; ``values``: the whole row, because what a holder's code is depends on
    its kind.

    Raises: InvalidInputError(licence.text | licence.day | licence.citizen | licence.number | licence.holder-type |
    licence.holder-code | licence.choice | identifier.uscc).
    """
    if field.choices and text not in field.choices:
        raise InvalidInputError("licence.choice", "not one of: " + ", ".join(field.choices))
    match field.kind:
        case Kind.DAY:
            return read_day(text)
        case Kind.END:
            return LONG_TERM if text == LONG_TERM else read_day(text)
        case Kind.NUMBER:
            return _matching(_NUMBER, text, "licence.number", "a number is of 1 to 64 letters, digits, () and -")
        case Kind.USCC:
            return parse_uscc(text)
        case Kind.CITIZEN:
            return read_citizen(text)
        case Kind.HOLDER_TYPE:
            return _matching(_HOLDER_TYPE, text, "licence.holder-type", "the kind of a holder's code is three digits")
        case Kind.HOLDER_CODE:
            return _holder_code(text, values.get("CZZTDMLXDM", ""))
        case _:
            return read_text(text)


def mask_name(name: str) -> str:
    """A person's name of which only the first character of each part is readable: 张三丰 → 张**."""
    parts = re.split(r"([ ·])", name)
    return "".join(part if part in (" ", "·") else part[:1] + "*" * (len(part) - 1) for part in parts)


def _holder_code(text: str, kind: str) -> str:
    if kind == USCC_HOLDER:
        return parse_uscc(text)
    if kind == CITIZEN_HOLDER:
        return read_citizen(text)
    return _matching(
        _FOREIGN_NUMBER, text, "licence.holder-code", "a holder's code is of 4 to 32 capitals A to Z and digits"
    )


def _matching(pattern: re.Pattern[str], text: str, code: str, message: str) -> str:
    if not pattern.match(text):
        raise InvalidInputError(code, message)
    return text


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
