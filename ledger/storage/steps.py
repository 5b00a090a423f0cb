"""Steps of recognition by id, so that a retry is the same step and nothing is counted twice.

An entry is ``begun``, becomes ``half`` at the provider when a report was released (or a decision answered),
``complete`` with both signatures, or ``refused``. Nothing of a patient is in a row: reports are named by random ids,
what was opened by a salted commitment, and the salt is not here.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import Final, Literal, TypeVar

import msgspec

from ledger.errors import ConflictError, FatalError, InvalidInputError
from ledger.storage.store import Batch, Store, u64

T = TypeVar("T", bound=msgspec.Struct)
Role = Literal["provider", "consumer"]
State = Literal["begun", "half", "complete", "refused"]
Kind = Literal["open", "recognise", "retest"]

_NEXT: Final[dict[str, frozenset[str]]] = {
    "begun": frozenset({"begun", "half", "complete", "refused"}),
    "half": frozenset({"half", "complete"}),
    "complete": frozenset({"complete"}),
    "refused": frozenset({"refused", "begun"}),
}
_ENTRY, _TIME, _REPORT, _WORK, _NONCE, _SHOWN = b"e", b"t", b"r", b"w", b"n", b"s"


class StepEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One step as this side knows it.

    Ids are 32 bytes. ``items``: place and item of the rule set; ``request``: the consumer-signed request; ``half``: the
    receipt with the provider's signature alone, so that a repeat releases the same; ``receipt``: with both; ``offer``:
    what was offered when the report was opened (canonical bytes); ``requested_index``, ``log_index``: records of the
    request and of the end, -1 before; ``closed_ms``: time of the closing record, so that a crash writes the same again;
    ``confirmed``: the consumer knows that the provider has both signatures; ``differing``: places of the offer that the
    opened report does not bear out.
    """

    id: bytes
    role: Role
    kind: Kind
    report: bytes
    version: int
    counterpart: str
    state: State
    time_ms: int
    request: bytes
    items: tuple[tuple[int, str], ...] = ()
    opening: bytes = b""
    reason: str = ""
    nonce: bytes = b""
    half: bytes = b""
    receipt: bytes = b""
    byte_count: int = 0
    operator_salt: bytes = b""
    offer: bytes = b""
    requested_index: int = -1
    log_index: int = -1
    closed_ms: int = 0
    confirmed: bool = False
    differing: tuple[int, ...] = ()
    code: str = ""

    @property
    def open_work(self) -> bool:
        """Whether something is still owed: a record, a signature, or the other side's word that it has it."""
        if self.state == "refused":
            return False
        return self.state != "complete" or self.log_index < 0 or (self.role == "consumer" and not self.confirmed)


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A version of another hospital's report that was offered here, first at ``at_s`` (Unix seconds). ``items``: place
    and item of the rule set."""

    report: bytes
    version: int
    institution: str
    at_s: int
    items: tuple[tuple[int, str], ...]


class StepStore:
    """Steps of one node, of both roles. Thread-safe."""

    __slots__ = ("_lock", "_store")

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.RLock()

    def begin(self, entry: StepEntry) -> StepEntry:
        """Keep a step as ``begun``; a repeat of a known id returns what is known, but for one that was refused."""
        with self._lock:
            known = self.get(entry.id, entry.role)
            if known is not None and known.state != "refused":
                return known
            self._write(known, entry)
            return entry

    def put(self, entry: StepEntry) -> StepEntry:
        """Keep an entry in its new state, and give it back.

        Raises: ConflictError(medical.step-state), it cannot go there from where it is.
        """
        with self._lock:
            known = self.get(entry.id, entry.role)
            if known is not None and entry.state not in _NEXT[known.state]:
                raise ConflictError(
                    "medical.step-state",
                    f"a step that is {known.state} cannot become {entry.state}",
                    hint="civicledger medical list shows how it ended",
                    expected=known.state,
                    actual=entry.state,
                )
            self._write(known, entry)
            return entry

    def get(self, step: bytes, role: Role) -> StepEntry | None:
        """The entry; None when unknown."""
        data = self._store.get(_ENTRY + role[0].encode() + step)
        return None if data is None else _decode(data, StepEntry)

    def by_nonce(self, nonce: bytes) -> StepEntry | None:
        """The consumer's step that was asked for with this nonce."""
        step = self._store.get(_NONCE + nonce)
        return None if step is None else self.get(step, "consumer")

    def of_report(self, report: bytes, role: Role | None = None) -> Iterator[StepEntry]:
        """Every step about a report, in order of time."""
        for _, name in self._store.scan(_REPORT + report):
            entry = self._named(name)
            if role is None or entry.role == role:
                yield entry

    def decided(self, opening: bytes, role: Role) -> dict[int, StepEntry]:
        """The places of a report decided on since one opening: place -> the step; refused ones are none."""
        first = self.get(opening, role)
        found: dict[int, StepEntry] = {}
        for entry in self.of_report(first.report, role) if first is not None else ():
            if entry.opening == opening and entry.state != "refused":
                found.update(dict.fromkeys((place for place, _ in entry.items), entry))
        return found

    def work(self, role: Role | None = None) -> Iterator[StepEntry]:
        """Every step of which something is still owed."""
        for _, name in list(self._store.scan(_WORK + (role[0].encode() if role else b""))):
            yield self._named(name)

    def half_openings(self, counterpart: str) -> int:
        """How many reports a hospital opened here without having signed for them."""
        return sum(
            entry.counterpart == counterpart and entry.state == "half" and entry.kind == "open"
            for entry in self.work("provider")
        )

    def page(self, *, page_size: int = 100, token: bytes = b"") -> tuple[tuple[StepEntry, ...], bytes]:
        """(steps of both roles in order of time, token of the next page or ``b""``).

        Raises: InvalidInputError(page.token), not a token of this list.
        """
        if token and not token.startswith(_TIME):
            raise InvalidInputError("page.token", "this page token belongs to another query")
        found: list[StepEntry] = []
        for key, name in self._store.scan(_TIME, start=token or None):
            if len(found) == page_size:
                return tuple(found), key
            found.append(self._named(name))
        return tuple(found), b""

    def every(self) -> Iterator[StepEntry]:
        """Every step of both roles, in order of time."""
        for _, name in self._store.scan(_TIME):
            yield self._named(name)

    def show(self, offers: Iterable[Shown]) -> None:
        """Keep what was offered in a search, each version once. It is a figure: what a stop loses is counted later."""
        with self._store.batch(sync=False) as batch:
            for one in offers:
                key = _SHOWN + one.report + u64(one.version)
                if self._store.get(key) is None:
                    batch.put(key, msgspec.msgpack.encode(one))

    def shown(self) -> Iterator[Shown]:
        """Every version of a report that was offered here."""
        for _, data in self._store.scan(_SHOWN):
            yield _decode(data, Shown)

    def _named(self, name: bytes) -> StepEntry:
        entry = self.get(name[1:], "provider" if name[:1] == b"p" else "consumer")
        if entry is None:
            raise FatalError("store.corrupt", "a medical step is indexed but missing", actual=name)
        return entry

    def _write(self, known: StepEntry | None, entry: StepEntry) -> None:
        name = entry.role[0].encode() + entry.id
        with self._store.batch() as batch:
            if known is not None and known.time_ms != entry.time_ms:
                for key in _indexed(known):
                    batch.delete(key)
            batch.put(_ENTRY + name, msgspec.msgpack.encode(entry))
            for key in _indexed(entry):
                batch.put(key, name)
            if entry.nonce:
                batch.put(_NONCE + entry.nonce, entry.id)
            _owed(batch, name, entry.open_work)


def _owed(batch: Batch, name: bytes, owed: bool) -> None:
    if owed:
        batch.put(_WORK + name, name)
    else:
        batch.delete(_WORK + name)


def _indexed(entry: StepEntry) -> tuple[bytes, bytes]:
    tail = u64(entry.time_ms) + entry.role[0].encode() + entry.id
    return _TIME + tail, _REPORT + entry.report + tail


def _decode(data: bytes, shape: type[T]) -> T:
    try:
        return msgspec.msgpack.decode(data, type=shape)
    except msgspec.MsgspecError as error:
        raise FatalError("store.corrupt", f"a medical step does not decode: {error}") from error
