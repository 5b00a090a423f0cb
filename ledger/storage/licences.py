"""The licences a department issued: what it must know of each, and, apart from that, what is about a person.

A row holds the type, the place in a status list, states and times. Everything that tells who holds a licence (the
signed licence itself, its identifier, the holder's code, the salt of its issue record) lies in the vault, beside the
payloads, and is erased without touching the row. The row folder knows identifiers, holders and requests by a keyed
digest only, whose key lies in the vault.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeVar

import msgspec

from ledger.errors import ConflictError, FatalError, InvalidInputError, NotFoundError
from ledger.storage.licencerows import NEXT, STATUS, Change, LicencePayload, LicenceRow, Merged, State
from ledger.storage.store import Batch, Store, u64

T = TypeVar("T")
#: Places of one status list; the next list begins when three quarters are taken, so that a random place is found soon.
CAPACITY: Final = 1 << 17
FULL: Final = CAPACITY * 3 // 4

_ROW, _TIME, _PLACE, _BEGUN, _UNLOGGED, _CLOSED = b"l", b"t", b"p", b"b", b"u", b"c"
_REQUEST, _IDENTIFIER, _HOLDER = b"r", b"n", b"h"
_PAYLOAD, _KEY = b"p", b"k"
_FREE: Final = 0xFF
#: Values of a status list (valid, revoked, suspended, and the spare one), by how grave they are.
_GRAVITY: Final = (0, 3, 1, 2)
_GRAVER: Final[dict[int, State]] = {1: "revoked", 2: "suspended"}


class LicenceStore:
    """The licences of one issuer. Thread-safe; every writing method is durable and atomic on return."""

    __slots__ = ("_key", "_lists", "_lock", "_rows", "_vault")

    def __init__(self, rows: Store, vault: Store) -> None:
        self._rows = rows
        self._vault = vault
        self._lock = threading.RLock()
        key = vault.get(_KEY)
        if key is None:
            key = secrets.token_bytes(32)
            vault.put(_KEY, key)
        self._key = key
        #: list number -> a byte for each place: its status, or free. Read when first needed.
        self._lists: dict[int, bytearray] | None = None

    # --- issuing ------------------------------------------------------------------------------------------------------
    def free_places(self, count: int) -> list[tuple[int, int]]:
        """``count`` random free places (list, index), different ones; nothing is taken until :meth:`begin`."""
        with self._lock:
            lists = self._loaded()
            found: set[tuple[int, int]] = set()
            closed = self._closed()
            number = max((*lists, *closed), default=1)
            number += number in closed
            used = CAPACITY - lists[number].count(_FREE) if number in lists else 0
            while len(found) < count:
                if used >= FULL:
                    number, used = number + 1, 0
                place = secrets.randbelow(CAPACITY)
                if (number not in lists or lists[number][place] == _FREE) and (number, place) not in found:
                    found.add((number, place))
                    used += 1
            # A set's order follows the places; which licence gets which must not.
            places = sorted(found)
            secrets.SystemRandom().shuffle(places)
            return places

    def begin(self, rows: Sequence[tuple[LicenceRow, str, LicenceRow | None]]) -> None:
        """Take the places of new licences, each with the request id it is for. A licence that was begun before and
        never signed (the third value) is begun again, at its place."""
        with self._lock:
            lists = self._loaded()
            with self._rows.batch() as batch:
                for row, request, before in rows:
                    if before is not None:
                        batch.delete(_begun_key(before))
                    batch.put(_ROW + row.id, msgspec.msgpack.encode(row))
                    batch.put(_place_key(row), bytes([STATUS["begun"]]) + row.id)
                    batch.put(_REQUEST + self.digest("request", request), row.id)
                    batch.put(_begun_key(row), row.id)
            for row, _, _ in rows:
                lists.setdefault(row.list, bytearray([_FREE]) * CAPACITY)[row.index] = STATUS["begun"]

    def keep_payloads(self, payloads: Sequence[tuple[bytes, LicencePayload]]) -> None:
        """Keep what is about the holders of begun licences: all or none."""
        with self._vault.batch() as batch:
            for identity, payload in payloads:
                batch.put(_PAYLOAD + identity, msgspec.msgpack.encode(payload))

    def finish(self, rows: Sequence[tuple[LicenceRow, LicencePayload]]) -> list[LicenceRow]:
        """The issue records of begun licences are in the log: from now on they are valid, and what they replace is
        superseded. The rows as they are now."""
        with self._lock:
            made: list[LicenceRow] = []
            replaced: list[LicenceRow] = []
            with self._rows.batch() as batch:
                for row, payload in rows:
                    done = msgspec.structs.replace(row, state="valid")
                    batch.put(_ROW + row.id, msgspec.msgpack.encode(done))
                    batch.put(_TIME + u64(row.issued_ms) + row.id, b"")
                    batch.delete(_begun_key(row))
                    batch.put(_IDENTIFIER + self.digest("identifier", payload.identifier), row.id)
                    batch.put(self._holder_key(row.type, payload.holder) + row.id, b"")
                    made.append(done)
                    old = self.get(row.replaces) if row.replaces else None
                    if old is not None and "superseded" in NEXT[old.state]:
                        change = Change(state="superseded", reason="replaced", time_ms=row.issued_ms)
                        replaced.append(self._put_change(batch, old, change, replaced_by=row.id))
            self._place([*made, *replaced])
            return made

    def begun(self) -> Iterator[list[LicenceRow]]:
        """Licences of issues that did not come to their end, chunk by chunk, in the order they are logged in."""
        held: list[LicenceRow] = []
        for _, identity in list(self._rows.scan(_BEGUN)):
            row = self.require(identity)
            if held and held[0].chunk != row.chunk:
                yield held
                held = []
            held.append(row)
        if held:
            yield held

    # --- status -------------------------------------------------------------------------------------------------------
    def change(self, identity: bytes, change: Change) -> LicenceRow:
        """Put a licence into another state: in force at once, on record by :meth:`logged`.

        Raises: NotFoundError(licence.unknown), ConflictError(licence.state).
        """
        with self._lock:
            row = self.require(identity)
            if change.state not in NEXT[row.state]:
                raise ConflictError(
                    "licence.state",
                    f"a licence that is {row.state} cannot become {change.state}",
                    hint="a revoked or superseded licence stays so: issue a new one",
                    expected=change.state,
                    actual=row.state,
                )
            if self._rows.get(_UNLOGGED + identity) is not None:
                raise _unlogged()
            with self._rows.batch() as batch:
                row = self._put_change(batch, row, change)
            self._place([row])
            return row

    def unlogged(self) -> list[tuple[bytes, Change]]:
        """(licence id, change) of the changes that are not on record yet."""
        return [(key[1:], _decode(value, Change)) for key, value in self._rows.scan(_UNLOGGED)]

    def logged(self, identity: bytes) -> None:
        """The change of a licence is in the log."""
        self._rows.delete(_UNLOGGED + identity)

    def statuses(self, number: int) -> bytes:
        """The status of every place of a list, a byte each; free ones are 0."""
        with self._lock:
            found = self._loaded().get(number)
            return bytes(CAPACITY) if found is None else bytes(found).replace(bytes([_FREE]), b"\0")

    def close(self, numbers: Iterable[int]) -> None:
        """Give no place of these lists any more: this store may not know which ones are taken."""
        with self._lock, self._rows.batch() as batch:
            for number in set(numbers) - self._closed():
                batch.put(_CLOSED + number.to_bytes(4, "big"), b"")

    def merge(self, number: int, values: bytes, time_ms: int) -> Merged:
        """Take over what a published list says (a byte a place) wherever that is graver than what is known here: a
        licence is never better off than it was. Licences change their state, with the reason ``restored``, on record by
        :meth:`logged`; a place that no row here has keeps its status for ever.

        Raises: ConflictError(licence.state) while a change of one of them is not on record.
        """
        with self._lock:
            lists = self._loaded()
            known = lists.get(number) or bytearray([_FREE]) * CAPACITY
            graver = [
                (index, value)
                for index, value in enumerate(values[:CAPACITY])
                if value and _GRAVITY[value] > (0 if known[index] == _FREE else _GRAVITY[known[index]])
            ]
            changed: list[LicenceRow] = []
            with self._rows.batch() as batch:
                for index, value in graver:
                    name = _place_name(number, index)
                    identity = (self._rows.get(name) or b"")[1:]
                    if not identity or value not in _GRAVER:
                        batch.put(name, bytes([value]) + identity)
                        continue
                    if self._rows.get(_UNLOGGED + identity) is not None:
                        raise _unlogged()
                    change = Change(state=_GRAVER[value], reason="restored", time_ms=time_ms)
                    changed.append(self._put_change(batch, self.require(identity), change))
            lists[number] = known
            for index, value in graver:
                known[index] = value
            return Merged(changed=len(changed), unknown=len(graver) - len(changed))

    def lists(self) -> tuple[int, ...]:
        """Numbers of the lists that hold a licence."""
        with self._lock:
            return tuple(sorted(self._loaded()))

    # --- reading ------------------------------------------------------------------------------------------------------
    def get(self, identity: bytes) -> LicenceRow | None:
        """The row; None when unknown."""
        data = self._rows.get(_ROW + identity)
        return None if data is None else _decode(data, LicenceRow)

    def require(self, identity: bytes) -> LicenceRow:
        """The row. Raises: NotFoundError(licence.unknown)."""
        row = self.get(identity)
        if row is None:
            raise _unknown()
        return row

    def payload(self, identity: bytes) -> LicencePayload | None:
        """What is about the holder; None before the licence is signed, and after an erasure."""
        data = self._vault.get(_PAYLOAD + identity)
        return None if data is None else _decode(data, LicencePayload)

    def of_request(self, request: str) -> LicenceRow | None:
        """The licence that a request id stands for."""
        identity = self._rows.get(_REQUEST + self.digest("request", request))
        return None if identity is None else self.get(identity)

    def of_identifier(self, identifier: str) -> LicenceRow | None:
        """The licence with a GB/T 36904 identifier."""
        identity = self._rows.get(_IDENTIFIER + self.digest("identifier", identifier))
        return None if identity is None else self.get(identity)

    def of_holder(self, type_: str, holder: str) -> list[LicenceRow]:
        """The licences of a type that a holder has or had."""
        prefix = self._holder_key(type_, holder)
        return [self.require(key[len(prefix) :]) for key, _ in self._rows.scan(prefix)]

    def page(
        self, *, type_: str | None = None, state: State | None = None, page_size: int = 100, token: bytes = b""
    ) -> tuple[list[LicenceRow], bytes]:
        """(rows in order of issue, token of the next page or ``b""``).

        Raises: InvalidInputError(page.token).
        """
        if token and (not token.startswith(_TIME) or len(token) != 25):
            raise InvalidInputError("page.token", "this page token belongs to another query")
        found: list[LicenceRow] = []
        for key, _ in self._rows.scan(_TIME, start=token or None):
            row = self.require(key[9:])
            if type_ not in (None, row.type) or state not in (None, row.state):
                continue
            if len(found) == page_size:
                return found, key
            found.append(row)
        return found, b""

    def digest(self, what: str, text: str) -> bytes:
        """What the rows know a text by: HMAC-SHA-256 under the vault's key, 32 bytes."""
        return hmac.new(self._key, f"civicledger/licence-{what}/v1\n{text}".encode(), hashlib.sha256).digest()

    # --- erasure ------------------------------------------------------------------------------------------------------
    def erase(self, identities: Iterable[bytes]) -> list[LicenceRow]:
        """Delete what is about the holders of licences so that its bytes leave the disk; the rows of those that had
        something. Their status, type and times stay."""
        with self._lock:
            held = [(row, self.payload(row.id)) for row in map(self.require, identities)]
            gone = [(row, payload) for row, payload in held if payload is not None]
            names: list[bytes] = []
            for row, payload in gone:
                names.append(_IDENTIFIER + self.digest("identifier", payload.identifier))
                names.append(self._holder_key(row.type, payload.holder) + row.id)
            with self._rows.batch() as batch:
                for name in names:
                    batch.delete(name)
            if gone:
                self._vault.erase_all([_PAYLOAD + row.id for row, _ in gone], within=_PAYLOAD)
        return [row for row, _ in gone]

    # --- inside -------------------------------------------------------------------------------------------------------
    def _put_change(self, batch: Batch, row: LicenceRow, change: Change, *, replaced_by: bytes = b"") -> LicenceRow:
        changed = msgspec.structs.replace(
            row, state=change.state, reason=change.reason, changed_ms=change.time_ms, replaced_by=replaced_by
        )
        batch.put(_ROW + row.id, msgspec.msgpack.encode(changed))
        batch.put(_place_key(row), bytes([STATUS[change.state]]) + row.id)
        batch.put(_UNLOGGED + row.id, msgspec.msgpack.encode(change))
        return changed

    def _place(self, rows: Iterable[LicenceRow]) -> None:
        lists = self._loaded()
        for row in rows:
            lists[row.list][row.index] = STATUS[row.state]

    def _closed(self) -> set[int]:
        return {int.from_bytes(key[1:], "big") for key, _ in self._rows.scan(_CLOSED)}

    def _loaded(self) -> dict[int, bytearray]:
        if self._lists is None:
            lists: dict[int, bytearray] = {}
            for key, value in self._rows.scan(_PLACE):
                number, index = int.from_bytes(key[1:5], "big"), int.from_bytes(key[5:], "big")
                lists.setdefault(number, bytearray([_FREE]) * CAPACITY)[index] = value[0]
            self._lists = lists
        return self._lists

    def _holder_key(self, type_: str, holder: str) -> bytes:
        return _HOLDER + self.digest("holder", f"{type_}\n{holder}")


def _place_key(row: LicenceRow) -> bytes:
    return _place_name(row.list, row.index)


def _place_name(number: int, index: int) -> bytes:
    return _PLACE + number.to_bytes(4, "big") + index.to_bytes(4, "big")


def _begun_key(row: LicenceRow) -> bytes:
    return _BEGUN + row.chunk + row.number.to_bytes(4, "big")


def _unlogged() -> ConflictError:
    return ConflictError("licence.state", "the change before is not on record yet", hint="wait a moment, then repeat")


def _unknown() -> NotFoundError:
    return NotFoundError(
        "licence.unknown", "this node issued no such licence", hint="civicledger licence status lists what it issued"
    )


def _decode(data: bytes, kind: type[T]) -> T:
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise FatalError("store.corrupt", f"a row of the licence store does not decode: {error}") from error
