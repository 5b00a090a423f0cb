"""What an audit event is made of: the kinds of values a field takes, fields, and types with their schema."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from ledger.errors import LedgerError
from ledger.identifiers import parse_licence_type, parse_purpose, parse_uscc
from ledger.model import KeyRole, Level, Sharing

_HEX32 = re.compile(r"[0-9a-f]{64}\Z")
_LABEL = re.compile(r"[0-9A-Za-z][0-9A-Za-z._:/-]{0,63}\Z")
_TITLE = re.compile(r"[\w.:/-]{1,64}\Z")
_ITEMS = re.compile(r"[a-z0-9-]{1,32}( [a-z0-9-]{1,32}){0,999}\Z")
_CODE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)*\Z")
_MAX_UINT: Final = 2**53 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What values a field takes; ``meaning`` is the catalogue's wording of it."""

    name: str
    meaning: str
    accepts: Callable[[Any], bool]


def _uscc(value: Any) -> bool:
    return isinstance(value, str) and _passes(parse_uscc, value)


def _passes(parse: Callable[[str], object], value: str) -> bool:
    try:
        parse(value)
    except LedgerError:
        return False
    return True


def words(name: str, *allowed: str) -> Kind:
    """A closed list of words."""
    return Kind(
        name=name, meaning="one of " + ", ".join(f"`{word}`" for word in allowed), accepts=lambda v: v in allowed
    )


def _uint(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _MAX_UINT


ID = Kind(name="id", meaning="32 bytes, 64 hex digits", accepts=lambda v: isinstance(v, str) and bool(_HEX32.match(v)))
DIGEST = Kind(name="digest", meaning="SHA-256, 64 hex digits", accepts=ID.accepts)
COMMITMENT = Kind(name="commitment", meaning="salted commitment, 64 hex digits", accepts=ID.accepts)
UINT = Kind(name="uint", meaning="integer, 0 to 2^53 - 1", accepts=_uint)
FLAG = Kind(name="flag", meaning="true or false", accepts=lambda v: isinstance(v, bool))
MEMBER = Kind(name="member", meaning="unified social credit code of a member", accepts=_uscc)
PURPOSE = Kind(
    name="purpose", meaning="purpose code", accepts=lambda v: isinstance(v, str) and _passes(parse_purpose, v)
)
LABEL = Kind(
    name="label",
    meaning="1 to 64 letters, digits, `.` `_` `:` `/` `-`",
    accepts=lambda v: isinstance(v, str) and bool(_LABEL.match(v)),
)
TITLE = Kind(
    name="title",
    meaning="1 to 64 characters of any script, NFC, without blanks",
    accepts=lambda v: isinstance(v, str) and bool(_TITLE.match(v)) and unicodedata.is_normalized("NFC", v),
)
CODE = Kind(
    name="code",
    meaning="stable error or proposal code, at most 64 characters",
    accepts=lambda v: isinstance(v, str) and len(v) <= 64 and bool(_CODE.match(v)),
)
LICENCE_TYPE = Kind(
    name="licence-type",
    meaning="code of a licence type, 21 characters",
    accepts=lambda v: isinstance(v, str) and _passes(parse_licence_type, v),
)
LICENCE_STATE = words("licence-state", "valid", "suspended", "revoked", "superseded")
LIST = words("list", "responsibility", "demand", "negative")
SIDE = words("side", "provider", "consumer")
APPROVER = words("approver", "provider", "supervisor", "consortium-vote")
STEP_KIND = words("step-kind", "open", "recognise", "retest")
CATEGORY = words("category", "laboratory", "imaging")
ITEMS = Kind(
    name="items",
    meaning="ids of items of the rule set, sorted, each once, with a blank between",
    accepts=lambda v: isinstance(v, str) and bool(_ITEMS.match(v)) and v.split(" ") == sorted(set(v.split(" "))),
)
REPORT_CHANGE = words("report-change", "corrected", "withdrawn")
KEY_STATE = words("key-state", "made", "destroyed")
LEVEL = words("level", *(item.word for item in Level))
SHARING = words("sharing", *(item.word for item in Sharing))
ROLE = words("role", *(item.word for item in KeyRole))


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field of a body."""

    name: str
    kind: Kind
    note: str = ""
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    """A record type: its name, what it says, whose log it stands in, its body."""

    name: str
    meaning: str
    where: str
    fields: tuple[Field, ...]


def event(name: str, meaning: str, where: str, *fields: Field) -> EventType:
    """A type of the catalogue."""
    return EventType(name=name, meaning=meaning, where=where, fields=fields)


def field(name: str, kind: Kind, note: str = "", *, optional: bool = False) -> Field:
    """A field of a type."""
    return Field(name=name, kind=kind, note=note, optional=optional)
