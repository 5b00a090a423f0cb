"""The reports of a hospital without their patients: what is offered of each, and what is under way with it.

What a report says and whom it is about lie in the vault. A row here holds items of the rule set, times and states.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import Literal, TypeVar

import msgspec

from ledger.errors import FatalError
from ledger.medical.model import Category, Facts, OfferedReport
from ledger.storage.store import Store, u64

T = TypeVar("T")
Change = Literal["corrected", "withdrawn"]

_ROW, _BEGUN, _NUMBER, _NEXT, _CHANGE, _REFUSAL = b"r", b"b", b"n", b"s", b"c", b"x"
#: Refusals that are remembered.
MAX_REFUSALS = 1_000


class FactsRow(msgspec.Struct, frozen=True, array_like=True):
    """``Facts`` as kept."""

    place: int
    item: str | None
    state: Literal["mapped", "unmapped-code", "unmapped-unit"]
    status: str
    taken_s: int | None
    method: str | None
    specimen: str | None
    valued: bool


class ReportRow(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A version of a report.

    ``id``: 32 random bytes; ``number``: 1, 2, … of this hospital's reports; ``rules``: version of the rule set its
    codes were mapped by, 0 for none; ``updated_s``: by which the sender's versions are told apart; ``logged_ms``: time
    of its record; ``reason``: why it was withdrawn; ``commitment``: of its record, 32 bytes.
    """

    id: bytes
    number: int
    version: int
    institution: str
    category: str
    status: str
    issued_s: int | None
    updated_s: int | None
    concluded: bool
    held: bool
    facts: tuple[FactsRow, ...]
    rules: int
    received_ms: int
    via: str
    commitment: bytes
    withdrawn: bool = False
    reason: str = ""
    log_index: int = -1

    def offer(self) -> OfferedReport:
        """What other hospitals see of it."""
        return OfferedReport(
            report=self.id,
            institution=self.institution,
            category=Category(self.category),
            status=self.status,
            issued_s=self.issued_s,
            facts=tuple(Facts(**{name: getattr(row, name) for name in _FACTS}) for row in self.facts),
            version=self.version,
            concluded=self.concluded,
        )


_FACTS = FactsRow.__struct_fields__


class Refusal(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Something that was sent and not taken: nothing of its content. ``codes``: of the problems, each once."""

    time_ms: int
    via: str
    codes: tuple[str, ...]
    byte_count: int


def facts_rows(facts: Iterable[Facts]) -> tuple[FactsRow, ...]:
    """Facts as they are kept."""
    return tuple(FactsRow(*(getattr(item, name) for name in _FACTS)) for item in facts)


class ReportStore:
    """Rows of reports. Thread-safe; every write is durable on return."""

    __slots__ = ("_lock", "_store")

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()

    # --- a version on its way in ---
    def begin(self, rows: Iterable[ReportRow]) -> list[ReportRow]:
        """Note versions, all or none, before anything else of them is kept; a first one gets its number."""
        noted = []
        with self._lock, self._store.batch() as batch:
            last = known = int.from_bytes(self._store.get(_NEXT) or b"", "big")
            for row in rows:
                if not row.number:
                    last += 1
                    row = msgspec.structs.replace(row, number=last)
                batch.put(_BEGUN + row.id, msgspec.msgpack.encode(row))
                noted.append(row)
            if last != known:
                batch.put(_NEXT, u64(last))
        return noted

    def begun(self) -> list[ReportRow]:
        """Every version on its way in, or cut short."""
        return [_decode(value, ReportRow) for _, value in self._store.scan(_BEGUN)]

    def abandon(self, report: bytes) -> None:
        """Forget a version that nothing was kept of."""
        self._store.delete(_BEGUN + report)

    def finish(self, done: Iterable[tuple[ReportRow, Change | None]]) -> None:
        """These versions are kept and on record; their changes, where there are any, are to be told."""
        with self._lock, self._store.batch() as batch:
            sequence = 0
            for row, change in done:
                batch.put(_ROW + row.id, msgspec.msgpack.encode(row))
                batch.put(_NUMBER + u64(row.number), row.id)
                batch.delete(_BEGUN + row.id)
                if change is not None:
                    sequence = sequence + 1 if sequence else self._after(_CHANGE)
                    batch.put(_CHANGE + u64(sequence), msgspec.msgpack.encode((row.id, row.version, change)))

    def remap(self, row: ReportRow) -> None:
        """Keep the facts of a version by another rule set, unless there is a newer version by now."""
        with self._lock:
            known = self.get(row.id)
            if known is not None and known.version == row.version and known.status == row.status:
                self._store.put(_ROW + row.id, msgspec.msgpack.encode(row))

    # --- reading ---
    def get(self, report: bytes) -> ReportRow | None:
        """The newest version of a report."""
        data = self._store.get(_ROW + report)
        return None if data is None else _decode(data, ReportRow)

    def numbered(self, number: int) -> ReportRow | None:
        """The report with a number."""
        name = self._store.get(_NUMBER + u64(number))
        return None if name is None else self.get(name)

    def page(self, before: int, size: int) -> list[ReportRow]:
        """At most ``size`` reports with numbers below ``before`` (0: the newest), newest first."""
        found: list[ReportRow] = []
        stop = _NUMBER + u64(before) if before else None
        for _, name in self._store.scan(_NUMBER, stop=stop, reverse=True):
            row = self.get(name)
            if row is not None:
                found.append(row)
            if len(found) == size:
                break
        return found

    # --- what is to be told ---
    def changes(self) -> Iterator[tuple[int, bytes, int, Change]]:
        """(sequence, report, version, kind) of changes nobody was told of yet, oldest first."""
        for key, value in list(self._store.scan(_CHANGE)):
            report, version, kind = _decode(value, tuple[bytes, int, Change])
            yield int.from_bytes(key[1:], "big"), report, version, kind

    def told(self, sequence: int) -> None:
        """Who listens was told of a change."""
        self._store.delete(_CHANGE + u64(sequence))

    # --- refusals ---
    def refuse(self, refusals: Iterable[Refusal]) -> None:
        """Remember that something was refused; the oldest beyond ``MAX_REFUSALS`` are dropped."""
        with self._lock, self._store.batch() as batch:
            for place, refusal in enumerate(refusals, self._after(_REFUSAL)):
                batch.put(_REFUSAL + u64(place), msgspec.msgpack.encode(refusal))
                if place > MAX_REFUSALS:
                    batch.delete(_REFUSAL + u64(place - MAX_REFUSALS))

    def refusals(self, size: int) -> list[Refusal]:
        """The newest refusals, newest first."""
        found: list[Refusal] = []
        for _, value in self._store.scan(_REFUSAL, reverse=True):
            found.append(_decode(value, Refusal))
            if len(found) == size:
                break
        return found

    # --- erasing ---
    def erase(self, reports: Iterable[bytes]) -> None:
        """Drop all rows of reports, from the disk as well."""
        names = [name for name in reports if self._store.get(_ROW + name) or self._store.get(_BEGUN + name)]
        if not names:
            return
        numbers = [_NUMBER + u64(row.number) for name in names if (row := self.get(name)) is not None]
        changed = {sequence for sequence, report, _, _ in self.changes() if report in names}
        for sequence in changed:
            self.told(sequence)
        self._store.erase_all(numbers, within=_NUMBER)
        self._store.erase_all([_BEGUN + name for name in names], within=_BEGUN)
        self._store.erase_all([_ROW + name for name in names], within=_ROW)

    def _after(self, prefix: bytes) -> int:
        return 1 + next((int.from_bytes(key[1:], "big") for key, _ in self._store.scan(prefix, reverse=True)), 0)


def _decode(data: bytes, kind: type[T]) -> T:
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise FatalError("store.corrupt", f"a row of the reports does not decode: {error}") from error
