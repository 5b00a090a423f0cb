"""Rows of the vault: the names and bounds of its data, and the links of its key store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ledger.errors import InvalidInputError
from ledger.storage.keybook import Entry

#: Largest value, and longest name, bytes.
MAX_DATA: Final = 32 << 20
MAX_NAME: Final = 512
#: The links that the vault itself knows: the hospital's own number of a patient.
PATIENT: Final = b"patient"
#: Kind of a subject's key; bytes of a subject.
KEY: Final = b"key"
SUBJECT_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Where a name leads. ``mark``: the linker's own number (of a pseudonym: the year)."""

    name: bytes
    subject: bytes
    mark: int


def link_kind(kind: bytes) -> bytes:
    """The kind of a link's row."""
    return b"link/" + kind


def link_entry(kind: bytes, name: bytes, subject: bytes, mark: int) -> Entry:
    """The row of a link. Raises: InvalidInputError(vault.name)."""
    return Entry(kind=link_kind(kind), name=check_name(name), value=subject + mark.to_bytes(4, "big"))


def read_link(name: bytes, value: bytes) -> Link:
    """The link of a row."""
    return Link(name=name, subject=value[:SUBJECT_BYTES], mark=int.from_bytes(value[SUBJECT_BYTES:], "big"))


def subject_in(entry: Entry) -> bytes:
    """Whose row it is."""
    return entry.name if entry.kind == KEY else entry.value[:SUBJECT_BYTES]


def check_name(name: bytes) -> bytes:
    """The name, within its bounds. Raises: InvalidInputError(vault.name)."""
    if not 1 <= len(name) <= MAX_NAME:
        raise InvalidInputError("vault.name", f"a name has 1 to {MAX_NAME} bytes", expected=MAX_NAME, actual=len(name))
    return name


def check_data(data: bytes) -> bytes:
    """The data, within their bound. Raises: InvalidInputError(vault.too-large)."""
    if len(data) > MAX_DATA:
        raise InvalidInputError(
            "vault.too-large", f"a value has at most {MAX_DATA} bytes", expected=MAX_DATA, actual=len(data)
        )
    return data
