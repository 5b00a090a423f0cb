"""Corrections and withdrawals between hospitals: what this one has to tell, and what it was told.

Each other hospital has at most one row for a report: the newest change. A row is durable before it is sent, and stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

import msgspec

from ledger.errors import FatalError
from ledger.storage.store import Store

Change = Literal["corrected", "withdrawn"]
_OUT, _IN = b"o", b"i"
_SIDES: Final = {"provider": _OUT, "consumer": _IN}


class ChangeEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One change. ``counterpart``: the other hospital; ``notice``: the signed notice; ``log_index``: of its record, -1
    before: at the side that tells only once the other hospital has the notice. ``told_ms``: time of that record.
    ``replaced``: older notices of the same report that may have arrived without our knowing."""

    counterpart: str
    report: bytes
    version: int
    change: Change
    time_ms: int
    notice: bytes
    told_ms: int = 0
    log_index: int = -1
    replaced: tuple[bytes, ...] = ()


class ChangeStore:
    """Changes of one node, of both sides. Thread-safe as its store is: one loop writes each side's rows."""

    __slots__ = ("_store",)

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, role: Literal["provider", "consumer"], entry: ChangeEntry) -> ChangeEntry:
        """Keep a change, in the place of an older one of the same report and hospital; it is given back."""
        self._store.put(_key(role, entry.counterpart, entry.report), msgspec.msgpack.encode(entry))
        return entry

    def get(self, role: Literal["provider", "consumer"], counterpart: str, report: bytes) -> ChangeEntry | None:
        """The newest change of a report between this hospital and another; None where there is none."""
        data = self._store.get(_key(role, counterpart, report))
        return None if data is None else _decode(data)

    def remove(self, role: Literal["provider", "consumer"], counterpart: str, report: bytes) -> None:
        """Forget a change; no error where there is none."""
        self._store.delete(_key(role, counterpart, report))

    def every(self, role: Literal["provider", "consumer"]) -> Iterator[ChangeEntry]:
        """Every change of one side, by hospital and report."""
        for _, data in list(self._store.scan(_SIDES[role])):
            yield _decode(data)


def _key(role: str, counterpart: str, report: bytes) -> bytes:
    return _SIDES[role] + counterpart.encode() + report


def _decode(data: bytes) -> ChangeEntry:
    try:
        return msgspec.msgpack.decode(data, type=ChangeEntry)
    except msgspec.MsgspecError as error:
        raise FatalError("store.corrupt", f"a change of a report does not decode: {error}") from error
