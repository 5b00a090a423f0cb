"""Telling patients: a durable outbox that hands each notice over until it is taken, once for a key, never at night.

A notice is kept before ``post`` returns, so a crash loses none; it may be handed over twice, with the same key, so that
a receiver that honours keys has exactly one. Phone numbers stand in the vault only.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from ledger.codec import domain_digest
from ledger.days import CST
from ledger.errors import FatalError, InvalidInputError, LedgerError, NotFoundError
from node.config import MedicalSection
from node.loops import Loop
from node.medical.adapters import Adapter, FileAdapter, Message, WebhookAdapter
from node.medical.noticetexts import KINDS, Kind, Language, notice_text

if TYPE_CHECKING:
    from node.context import NodeContext
    from node.medical.keeping import Keeping

logger = structlog.get_logger("node.medical")

_CONTACT: Final = b"contact/"
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}\Z")
#: A notice that nobody took for so long is dropped: old news helps no patient.
LIFE_S: Final = 7 * 86_400
_FIRST_S, _LONGEST_S, _NO_CONTACT_S = 5, 3_600, 3_600
#: Failures in a row that end a round: then it is the receiver, not the notice.
_PATIENCE: Final = 3
_IDLE_S = 60.0
_WAITING, _DONE, _COUNT = b"w", b"d", b"c"


class _Row(msgspec.Struct, frozen=True, array_like=True):
    subject: bytes
    kind: Kind
    report: bytes
    at_s: int
    attempts: int = 0
    next_s: int = 0
    problem: str = ""


class _Contact(msgspec.Struct, frozen=True, kw_only=True):
    phone: str
    language: Language


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A notice that nobody took yet."""

    event: bytes
    kind: str
    report: bytes
    at_s: int
    attempts: int
    next_s: int
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Notices of this node: ``dropped`` are those too old, or of patients that were erased."""

    waiting: int
    delivered: int
    dropped: int


def notice_key(event: bytes) -> bytes:
    """The key of an event's notice, 32 bytes."""
    return domain_digest("notice", event)


def change_event(report: bytes, version: int, change: str) -> bytes:
    """The event of a correction or withdrawal, 32 bytes: one for the patient, however many hospitals learn of it."""
    return domain_digest("notice-change", report + version.to_bytes(4, "big") + change.encode("ascii"))


def make_adapter(context: NodeContext) -> Adapter | None:
    """The way out that the settings name. Raises: InvalidInputError(notice.url)."""
    section, folder = context.config.medical, context.config.folder
    if section.notices == "file":
        return FileAdapter(context.config.medical_folder / "notices")
    if section.notices == "webhook":
        token = folder / section.notice_token_file if section.notice_token_file else None
        return WebhookAdapter(section.notice_url, token)
    return None


class Outbox:
    """The notices of one node. Thread-safe."""

    def __init__(
        self,
        context: NodeContext,
        keeping: Keeping,
        is_open: Callable[[], bool],
        on_fatal: Callable[[LedgerError], None],
    ) -> None:
        """Raises: InvalidInputError(notice.url)."""
        self._context = context
        self._keeping = keeping
        self._is_open = is_open
        self._rows = context.medical.rows.sub(b"notice/")
        self._adapter = make_adapter(context)
        self._lock = threading.Lock()
        self.loop = Loop("notices", self._step, metrics=context.metrics, on_fatal=on_fatal)

    def post(self, event: bytes, subject: bytes, kind: Kind, report: bytes, at_s: int) -> bool:
        """Keep a notice to a patient, durably; False for an event that was posted before, or where no adapter is set.

        ``event``: 32 bytes that name it; ``report``: 32 bytes; ``at_s``: Unix seconds.
        Raises: InvalidInputError(notice.kind), UnavailableError(disk.full).
        """
        if kind not in KINDS or len(event) != 32:
            raise InvalidInputError("notice.kind", "no such notice", expected=", ".join(KINDS), actual=ascii(kind)[:40])
        if self._adapter is None:
            return False
        with self._lock:
            if self._rows.get(_WAITING + event) is not None or self._rows.get(_DONE + event) is not None:
                return False
            self._rows.put(_WAITING + event, msgspec.msgpack.encode(_Row(subject, kind, report, at_s)))
        self.loop.wake()
        return True

    def set_contact(self, subject: bytes, phone: str, language: Language = "zh") -> None:
        """Where a patient is told, and in which language; an empty phone number: nowhere.

        Raises: InvalidInputError(notice.phone), NotFoundError(vault.no-subject).
        """
        if phone and not _PHONE.match(phone):
            raise InvalidInputError(
                "notice.phone", "this is no phone number in E.164 form", hint="with its country, such as +8613800000000"
            )
        if not phone:
            self._keeping.vault.remove([_CONTACT + subject])
            return
        contact = msgspec.msgpack.encode(_Contact(phone=phone, language=language))
        self._keeping.vault.put(subject, _CONTACT + subject, contact)
        self._retry(subject)

    def waiting(self) -> Iterator[Waiting]:
        """What waits, in no order."""
        for key, row in self._all():
            yield Waiting(
                event=key[1:],
                kind=row.kind,
                report=row.report,
                at_s=row.at_s,
                attempts=row.attempts,
                next_s=row.next_s,
                problem=row.problem,
            )

    def fate(self, event: bytes) -> tuple[str, int]:
        """What became of an event's notice, and when (Unix seconds): ``waiting``, ``delivered`` or ``dropped``; ""
        where none was posted, or nobody knows."""
        row = self._rows.get(_WAITING + event)
        if row is not None:
            return "waiting", _decoded(row).at_s
        done = self._rows.get(_DONE + event) or b""
        words = {b"d": "delivered", b"x": "dropped"}
        return words.get(done[32:33], ""), int.from_bytes(done[33:41], "big")

    def counts(self) -> Counts:
        """How many there are, and were."""
        return Counts(
            waiting=sum(1 for _ in self._rows.scan(_WAITING)),
            delivered=self._counter(b"delivered"),
            dropped=self._counter(b"dropped"),
        )

    def forget(self, subjects: Sequence[bytes], _names: Sequence[bytes] = ()) -> None:
        """Drop what is held of erased subjects; an event stays known, so that it is not posted again."""
        gone = frozenset(subjects)
        with self._lock:
            waiting = [key for key, row in self._all() if row.subject in gone]
            done = [key for key, kept in self._rows.scan(_DONE) if kept[:32] in gone]
            if self._adapter is not None:
                for key in (*waiting, *done):
                    self._adapter.forget(notice_key(key[1:]))
            if waiting:
                self._rows.erase_all(waiting, within=_WAITING)
            if done:
                self._rows.erase_all(done, within=_DONE)
            with self._rows.batch() as batch:
                for key in (*waiting, *done):
                    batch.put(_DONE + key[1:], b"")
                batch.put(_COUNT + b"dropped", (self._counter(b"dropped") + len(waiting)).to_bytes(8, "big"))

    # --- the loop -----------------------------------------------------------------------------------------------------
    def _step(self) -> float:
        if not self._is_open():
            return 1.0
        if self._adapter is None:
            return _IDLE_S
        now = self._context.clock() // 1_000
        pause = quiet_for(self._context.config.medical, now)
        if pause:
            return float(min(pause, _IDLE_S))
        due = sorted(((row.next_s, row.at_s, key) for key, row in self._all() if row.next_s <= now))
        failures = 0
        for _, _, key in due:
            # Many may take long: the quiet hours can begin in between.
            quiet = quiet_for(self._context.config.medical, self._context.clock() // 1_000)
            if self.loop.stopping or failures == _PATIENCE or quiet:
                break
            failures = 0 if self._deliver(key, self._adapter) else failures + 1
        soonest = min((row.next_s for _, row in self._all()), default=now + _IDLE_S)
        return float(min(max(soonest - self._context.clock() // 1_000, 1), _IDLE_S))

    def _deliver(self, key: bytes, adapter: Adapter) -> bool:
        """Hand one over; False when the receiver did not take it."""
        data = self._rows.get(key)
        if data is None:
            return True
        row, now = _decoded(data), self._context.clock() // 1_000
        try:
            contact = self._contact(row.subject)
        except NotFoundError as error:
            self._later(key, row, error.code, _NO_CONTACT_S, now)
            return True
        text = notice_text(row.kind, contact.language, row.at_s)
        message = Message(key=notice_key(key[1:]), phone=contact.phone, text=text, language=contact.language)
        try:
            adapter.send(message)
        except FatalError:
            raise
        except LedgerError as error:
            self._later(key, row, error.code, min(_FIRST_S << min(row.attempts, 20), _LONGEST_S), now)
            return False
        self._done(key, row.subject, b"delivered")
        return True

    def _contact(self, subject: bytes) -> _Contact:
        try:
            data = self._keeping.vault.get(_CONTACT + subject)
        except NotFoundError as error:
            raise NotFoundError("notice.no-contact", "no phone number is kept of this patient") from error
        try:
            return msgspec.msgpack.decode(data, type=_Contact)
        except msgspec.MsgspecError as error:
            raise FatalError("store.corrupt", f"a contact in the vault does not decode: {error}") from error

    def _later(self, key: bytes, row: _Row, problem: str, wait_s: int, now: int) -> None:
        if now - row.at_s > LIFE_S or not self._keeping.vault.knows(row.subject):
            logger.warning("notice.dropped", code=problem)
            self._done(key, row.subject, b"dropped")
            return
        if row.problem != problem:
            logger.warning("notice.waits", code=problem)
        later = _Row(row.subject, row.kind, row.report, row.at_s, row.attempts + 1, now + wait_s, problem)
        with self._lock:
            if self._rows.get(key) is not None:
                self._rows.put(key, msgspec.msgpack.encode(later))

    def _done(self, key: bytes, subject: bytes, counter: bytes) -> None:
        with self._lock, self._rows.batch() as batch:
            batch.delete(key)
            # Erased in between: what is kept of the event names nobody.
            ended = (b"d" if counter == b"delivered" else b"x") + (self._context.clock() // 1_000).to_bytes(8, "big")
            kept = subject + ended if self._rows.get(key) is not None else b""
            batch.put(_DONE + key[1:], kept)
            batch.put(_COUNT + counter, (self._counter(counter) + 1).to_bytes(8, "big"))

    def _retry(self, subject: bytes) -> None:
        """A contact came: what waits for it goes at once."""
        with self._lock:
            for key, row in list(self._all()):
                if row.subject == subject:
                    fresh = _Row(row.subject, row.kind, row.report, row.at_s, row.attempts, 0, row.problem)
                    self._rows.put(key, msgspec.msgpack.encode(fresh))
        self.loop.wake()

    def _all(self) -> Iterator[tuple[bytes, _Row]]:
        for key, data in self._rows.scan(_WAITING):
            yield key, _decoded(data)

    def _counter(self, name: bytes) -> int:
        return int.from_bytes(self._rows.get(_COUNT + name) or b"", "big")


def quiet_for(section: MedicalSection, at_s: int) -> int:
    """Seconds until messages may be sent; 0 outside the quiet hours, which are of China."""
    begin, end = time.fromisoformat(section.quiet_from), time.fromisoformat(section.quiet_until)
    here = datetime.fromtimestamp(at_s, CST)
    clock = here.time()
    quiet = begin <= clock < end if begin <= end else clock >= begin or clock < end
    if not quiet:
        return 0
    until = datetime.combine(here.date(), end, CST)
    return int(((until if until > here else until + timedelta(days=1)) - here).total_seconds()) or 1


def _decoded(data: bytes) -> _Row:
    try:
        return msgspec.msgpack.decode(data, type=_Row)
    except msgspec.MsgspecError as error:
        raise FatalError("store.corrupt", f"a notice does not decode: {error}") from error
