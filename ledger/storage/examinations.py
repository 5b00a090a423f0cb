"""Examinations that certificates rest on: at a hospital to whom they were given, at an office what it used.

Nothing of a person is in a row: reports and exchanges are named by random ids.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeVar

import msgspec

from ledger.errors import FatalError, InvalidInputError
from ledger.storage.store import Store

_GIVEN: Final = b"g"
_USED: Final = b"u"
_EXCHANGE: Final = b"x"
#: A key of what was used: its letter, the report, the exchange.
_USED_BYTES: Final = 65
T = TypeVar("T", bound=msgspec.Struct)


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """An examination given to an office. ``report``, ``exchange``: 32 bytes; ``consumer``: USCC."""

    report: bytes
    version: int
    consumer: str
    exchange: bytes


class Used(msgspec.Struct, frozen=True, kw_only=True):
    """An examination an office made a certificate of. ``institution``: USCC of the hospital; ``request``: the id of the
    order of the certificate; ``log_index``: of the record in the own log."""

    report: bytes
    version: int
    institution: str
    exchange: bytes
    request: str
    log_index: int


class ExaminationStore:
    """Examinations of one node, of both sides. Thread-safe as its store is."""

    __slots__ = ("_store",)

    def __init__(self, store: Store) -> None:
        self._store = store

    def give(self, given: Given) -> None:
        """Keep that an examination was given; durable on return. A repeat is the same row."""
        self._store.put(_GIVEN + given.report + given.exchange, msgspec.msgpack.encode(given))

    def given(self, report: bytes = b"") -> Iterator[Given]:
        """To whom a report was given, or all that was given."""
        for _, data in list(self._store.scan(_GIVEN + report)):
            yield _decode(data, Given)

    def use(self, used: Used) -> None:
        """Keep that an examination is about to be used; durable on return. A repeat is the same row."""
        with self._store.batch() as batch:
            batch.put(_USED + used.report + used.exchange, msgspec.msgpack.encode(used))
            batch.put(_EXCHANGE + used.exchange, used.report)

    def of_exchange(self, exchange: bytes) -> Used | None:
        """What was used of an exchange; None where nothing was."""
        report = self._store.get(_EXCHANGE + exchange)
        data = None if report is None else self._store.get(_USED + report + exchange)
        return None if data is None else _decode(data, Used)

    def used(self, report: bytes = b"") -> Iterator[Used]:
        """What a report was used for, or everything that was used."""
        for _, data in list(self._store.scan(_USED + report)):
            yield _decode(data, Used)

    def page(self, *, size: int, token: bytes = b"") -> tuple[tuple[Used, ...], bytes]:
        """(what reports were used for, in the order of the reports' ids; token of the next page or ``b""``).

        Raises: InvalidInputError(page.token), not a token of this list.
        """
        if token and (not token.startswith(_USED) or len(token) != _USED_BYTES):
            raise InvalidInputError("page.token", "this page token belongs to another query")
        found: list[Used] = []
        for key, data in self._store.scan(_USED, start=token or None):
            if len(found) == size:
                return tuple(found), key
            found.append(_decode(data, Used))
        return tuple(found), b""


def _decode(data: bytes, kind: type[T]) -> T:
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise FatalError("store.corrupt", f"a row of an examination does not decode: {error}") from error
