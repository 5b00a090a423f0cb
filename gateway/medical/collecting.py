"""The figures that hospitals show, asked of all of them at once: who does not answer in time is named, and counted by
what it last told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.medical.figures import CityFigures, combine
from gateway.views import ChainMember, CityView
from ledger.errors import InvalidInputError, LedgerError, UntrustedError
from ledger.medical.figuresfile import MAX_MONTHS, HospitalFigures, month_number, month_word, verify_figures
from ledger.medical.published import month_of
from ledger.model import MemberStatus, Roles

#: Months shown where none are named.
USUAL_MONTHS: Final = 12
#: All hospitals are asked again after so long, milliseconds.
FRESH_MS: Final = 60_000
#: And after so long where one did not answer, milliseconds.
RETRY_MS: Final = 5_000
#: How long a reader waits for hospitals, seconds.
DEADLINE_S: Final = 3.0
_PARALLEL: Final = 16
#: Clocks of members differ by less, milliseconds.
_SKEW_MS: Final = 300_000


class City(Protocol):
    """Where the members' nodes are known."""

    def view(self) -> CityView:
        """The last reading."""

    def ask(self, uscc: str, path: str) -> bytes:
        """The body of a member's node at a public path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """A hospital that did not answer in time. ``code``: of the error; ``as_of_ms``: until when what it last told goes,
    which is counted; 0: it never told anything."""

    uscc: str
    name: str
    code: str
    as_of_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """The figures, and of whom they are. ``asked``: how many hospitals; ``names``: of all members by USCC; ``read_ms``:
    when they were asked; ``as_of_ms``: until when all figures go, 0 where there are none. Unix milliseconds."""

    figures: CityFigures
    absent: tuple[Absent, ...]
    asked: int
    names: Mapping[str, str]
    read_ms: int
    as_of_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    told: tuple[HospitalFigures, ...]
    absent: tuple[Absent, ...]
    asked: int
    read_ms: int


class FiguresReader:
    """Asks the hospitals at most once a minute, and always for the same months: what readers name costs nobody
    anything. Thread-safe; ``chain``: the genesis file's digest; ``clock``: Unix milliseconds."""

    def __init__(self, city: City, chain: bytes, clock: Callable[[], int], *, deadline_s: float = DEADLINE_S) -> None:
        self._city = city
        self._chain = chain
        self._clock = clock
        self._deadline_s = deadline_s
        self._lock = threading.Lock()
        self._known: dict[str, HospitalFigures] = {}
        self._asking: dict[str, Future[HospitalFigures]] = {}
        self._reading: _Reading | None = None
        self._pool = ThreadPoolExecutor(_PARALLEL, thread_name_prefix="figures")

    def close(self) -> None:
        """Ask nobody any more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def read(self, first: str = "", last: str = "") -> Collected:
        """The figures from month ``first`` to ``last`` (``2026-11``), both included; where none is named the newest
        twelve.

        Raises: InvalidInputError(medical.month | medical.months), and what ``City.view`` raises.
        """
        now_ms = self._clock()
        newest = month_number(month_of(now_ms // 1_000))
        until = month_number(last) if last else newest
        begin = month_number(first) if first else until - USUAL_MONTHS + 1
        if not newest - MAX_MONTHS < begin <= until <= newest:
            raise InvalidInputError(
                "medical.months",
                f"figures are shown of the newest {MAX_MONTHS} months, the first before the last",
                hint=f"from={month_word(newest - 11)}&to={month_word(newest)}",
            )
        view = self._city.view()
        reading = self._fresh(view, now_ms)
        return Collected(
            figures=combine(reading.told, month_word(begin), month_word(until)),
            absent=reading.absent,
            asked=reading.asked,
            names={member.chain.info.uscc: member.chain.name for member in view.members},
            read_ms=reading.read_ms,
            as_of_ms=min((one.as_of_ms for one in reading.told), default=0),
        )

    def _fresh(self, view: CityView, now_ms: int) -> _Reading:
        kept = self._reading
        if kept is not None and 0 <= now_ms - kept.read_ms < (RETRY_MS if kept.absent else FRESH_MS):
            return kept
        # One asks; the others have what was known before, and wait only where that is nothing.
        if not self._lock.acquire(blocking=kept is None) and kept is not None:
            return kept
        try:
            if self._reading is kept:
                self._reading = self._read(view, now_ms)
            return self._reading or self._read(view, now_ms)
        finally:
            self._lock.release()

    def _read(self, view: CityView, now_ms: int) -> _Reading:
        hospitals = [
            member.chain
            for member in view.members
            if member.chain.info.status is MemberStatus.ACTIVE and Roles.HOSPITAL in member.chain.info.roles
        ]
        for member in hospitals:
            asked = self._asking.get(member.info.uscc)
            if asked is not None and asked.done() and not _outcome(asked):
                # Also what came too late for the last reader.
                self._known[member.info.uscc] = asked.result()
            # Who has not answered the last question is not asked another.
            if asked is None or asked.done():
                self._asking[member.info.uscc] = self._pool.submit(self._ask, member, now_ms)
        wait([self._asking[member.info.uscc] for member in hospitals], timeout=self._deadline_s)
        told, absent = [], []
        for member in hospitals:
            uscc = member.info.uscc
            code = _outcome(self._asking[uscc])
            if not code:
                self._known[uscc] = self._asking[uscc].result()
            known = self._known.get(uscc)
            if known is not None:
                told.append(known)
            if code:
                as_of_ms = known.as_of_ms if known is not None else 0
                absent.append(Absent(uscc=uscc, name=member.name, code=code, as_of_ms=as_of_ms))
        return _Reading(told=tuple(told), absent=tuple(absent), asked=len(hospitals), read_ms=now_ms)

    def _ask(self, member: ChainMember, now_ms: int) -> HospitalFigures:
        last = month_number(month_of(now_ms // 1_000))
        query = f"from={month_word(last - MAX_MONTHS + 1)}&to={month_word(last)}"
        found = verify_figures(self._city.ask(member.info.uscc, f"/medical/figures?{query}"), member.keys.receipts)
        if (found.chain, found.hospital) != (self._chain, member.info.uscc) or found.as_of_ms > now_ms + _SKEW_MS:
            raise UntrustedError(
                "medical.figures-other", "a hospital's node showed another's figures, or of a time that has not come"
            )
        return found


def _outcome(asked: Future[HospitalFigures]) -> str:
    """The code of what went wrong; empty: nothing did."""
    if not asked.done():
        return "node.slow"
    error = asked.exception()
    if error is None:
        return ""
    if isinstance(error, LedgerError):
        return error.code
    raise error
