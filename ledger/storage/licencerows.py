"""What the store of licences keeps of each: the row without its holder, what is about the holder, a change of state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import msgspec

State = Literal["begun", "valid", "suspended", "revoked", "superseded"]
#: State -> its value in a status list (0 VALID, 1 INVALID, 2 SUSPENDED).
STATUS: Final[dict[str, int]] = {"begun": 0, "valid": 0, "suspended": 2, "revoked": 1, "superseded": 1}
#: State -> the states that may follow.
NEXT: Final[dict[str, frozenset[str]]] = {
    "begun": frozenset({"valid"}),
    "valid": frozenset({"suspended", "revoked", "superseded"}),
    "suspended": frozenset({"valid", "revoked", "superseded"}),
    "revoked": frozenset(),
    "superseded": frozenset(),
}


class LicenceRow(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A licence without its holder.

    ``id``: 16 random bytes; ``list``, ``index``: its place; ``chunk``, ``number``: with which others, and as which of
    them, it was logged (``issued_ms`` is one time for a chunk); ``commitment``: of its issue record, 32 bytes;
    ``kid``: the SHA-256 of the issuer key's SPKI; ``request``: keyed digest of what was asked for; ``replaces``,
    ``replaced_by``: ids, empty for none. Times are Unix milliseconds, ``expires_ms`` 0 for never.
    """

    id: bytes
    type: str
    version: int
    list: int
    index: int
    state: State
    chunk: bytes
    number: int
    issued_ms: int
    not_before_ms: int
    expires_ms: int
    kid: bytes
    request: bytes
    commitment: bytes = bytes(32)
    log_index: int = -1
    changed_ms: int = 0
    reason: str = ""
    replaces: bytes = b""
    replaced_by: bytes = b""


class LicencePayload(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What is about the holder. ``licence``: the SD-JWT with all disclosures; ``salt``: opens the commitment of the
    issue record; ``asked``: the request (JCS), which a renewal starts from."""

    licence: str
    identifier: str
    serial: str
    holder: str
    salt: bytes
    asked: bytes


class Change(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A change of state that is in force and not yet on record."""

    state: State
    reason: str
    time_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What a published list knew that the store did not: ``changed`` licences that are graver there; ``unknown``, the
    places of licences that this store has no row of."""

    changed: int
    unknown: int
