"""What hospitals hold of a citizen, who did what with it, and the citizen's word on sharing: asked of all hospitals at
once, within a deadline, with the citizen's own token. A hospital that is away is named, and nothing is said for it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from gateway.citizens.nodes import CitizenNodes, decode, odd
from gateway.citizens.sessions import Session
from gateway.views import ChainMember
from ledger.errors import InvalidInputError, LedgerError, NotFoundError
from ledger.model import MemberStatus, Roles

#: How long hospitals have to answer, seconds.
DEADLINE_S: Final = 5.0
#: Pages of one hospital that are asked for at once.
_PAGES: Final = 8
#: Hospitals asked at the same time, by everybody together.
_PARALLEL: Final = 32
#: How long a hospital that did not answer is let alone, milliseconds, doubled with each failure up to the longest: it
#: would only hold up everybody. A wish is always brought to it.
_FIRST_PAUSE_MS: Final = 2_000
_LONGEST_PAUSE_MS: Final = 30_000
_MAX_TEXT: Final = 20_000
ALL: Final = "*"


class _Rule(msgspec.Struct, frozen=True, kw_only=True):
    asker: str
    permit: bool
    until: int
    time: int = 0
    via: str = ""


class Sharing(msgspec.Struct, frozen=True, kw_only=True):
    """What a patient allows at one hospital: ``all``, and before it what names one hospital."""

    all: bool
    until: int
    named: list[_Rule]
    said: list[_Rule]


class _Search(msgspec.Struct, frozen=True, kw_only=True):
    by: str
    purpose: str
    first: int
    last: int
    count: int
    shown: int


class _Event(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    time: int
    by: str
    purpose: str
    reason: str
    items: str
    count: int
    version: int
    record: int
    receipt: str
    notice: str
    noticed: int


class _Report(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    category: str
    version: int
    withdrawn: bool
    held: bool
    taken: int
    issued: int
    received: int
    items: str
    unmapped: int
    earlier: int
    events: list[_Event]


class _Page(msgspec.Struct, frozen=True, kw_only=True):
    member: str
    known: bool
    sharing: Sharing | None
    searches: list[_Search]
    reports: list[_Report]
    names: dict[str, dict[str, str]]
    reasons: dict[str, dict[str, str]]
    next: str


class _Done(msgspec.Struct, frozen=True, kw_only=True):
    member: str
    outcome: str
    record: int
    time: int
    commitment: str
    sharing: Sharing | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Late:
    """Nothing came within the deadline."""

    code: str = "node.late"


class Results:
    """Asks the hospitals. Thread-safe; ``clock``: Unix milliseconds."""

    def __init__(self, nodes: CitizenNodes, clock: Callable[[], int], *, deadline_s: float = DEADLINE_S) -> None:
        self._nodes = nodes
        self._clock = clock
        self._deadline_s = deadline_s
        self._lock = threading.Lock()
        #: Failures in a row, and until when it is let alone.
        self._quiet: dict[str, tuple[int, int]] = {}
        self._pool = ThreadPoolExecutor(_PARALLEL, thread_name_prefix="results")

    def close(self) -> None:
        """Ask nobody any more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def read(self, session: Session, hospital: str = "", after: str = "") -> dict[str, Any]:
        """``hospitals`` with what each says, and ``members``: the names of all. Of one hospital only, from behind a
        report, where both are given.

        Raises: UnavailableError(gateway.starting), NotFoundError(citizen.hospital).
        """
        end = time.monotonic() + self._deadline_s
        chosen = self._chosen(hospital)

        def one(member: ChainMember) -> dict[str, Any]:
            return self._pages(session, member.info.uscc, after, end)

        answers = self._all(chosen, one, end, pause=True)
        return {
            "hospitals": [_named(member) | answer for member, answer in zip(chosen, answers, strict=True)],
            "members": self._names(),
        }

    def wish(self, session: Session, asker: str, permit: bool, hospital: str = "") -> dict[str, Any]:
        """Forbid or allow a hospital (USCC, or ``*``) to be shown results, at all hospitals or at one: ``done`` with
        what became of it at each: ``changed``, ``unchanged``, ``unknown`` (nothing is kept there), ``off``, or
        ``unsure`` where no answer came.

        Raises: InvalidInputError(citizen.asker), UnavailableError(gateway.starting), NotFoundError(citizen.hospital).
        """
        known = {member.info.uscc for member in self._hospitals()}
        if asker != ALL and asker not in known:
            raise InvalidInputError("citizen.asker", "no hospital of the city is called so", actual=ascii(asker)[:40])
        # A hospital's own use is no sharing.
        chosen = [member for member in self._chosen(hospital) if member.info.uscc != asker]
        body = msgspec.json.encode({"asker": asker, "permit": permit})

        def one(member: ChainMember) -> dict[str, Any]:
            return self._tell(session, member, body)

        answers = self._all(chosen, one, time.monotonic() + self._deadline_s, pause=False)
        return {"done": [_named(member) | answer for member, answer in zip(chosen, answers, strict=True)]}

    # --- one hospital -------------------------------------------------------------------------------------------------

    def _pages(self, session: Session, uscc: str, after: str, end: float) -> dict[str, Any]:
        if not self._nodes.answers(uscc):
            return {"state": "off", "code": ""}
        whole: dict[str, Any] | None = None
        for _ in range(_PAGES):
            page = decode(self._nodes.ask(session, uscc, f"/citizen/results?after={after}"), _Page)
            if page.member != uscc or not _plausible(page):
                raise odd()
            made = msgspec.to_builtins(page)
            if whole is None:
                whole = made | {"state": "answered", "code": ""}
            else:
                whole["reports"] += made["reports"]
                for name in ("names", "reasons"):
                    for language, texts in made[name].items():
                        whole[name].setdefault(language, {}).update(texts)
            whole["next"] = after = page.next
            # What else there is the reader asks for, rather than that nothing is shown.
            if not after or time.monotonic() > end - self._deadline_s / 2:
                break
        return whole or {}

    def _tell(self, session: Session, member: ChainMember, body: bytes) -> dict[str, Any]:
        uscc = member.info.uscc
        if not self._nodes.answers(uscc):
            return {"outcome": "off", "code": ""}
        done = decode(self._nodes.tell(session, uscc, "/citizen/sharing", body), _Done)
        if done.member != uscc or done.outcome not in ("changed", "unchanged", "unknown"):
            raise odd()
        proof = f"/{member.info.handle}/proof/inclusion?index={done.record}" if done.record >= 0 else ""
        answer: dict[str, Any] = msgspec.to_builtins(done)
        return answer | {"code": "", "proof": proof}

    # --- all of them --------------------------------------------------------------------------------------------------

    def _all(
        self, members: Sequence[ChainMember], work: Callable[[ChainMember], dict[str, Any]], end: float, *, pause: bool
    ) -> list[dict[str, Any]]:
        """The answer of each within the deadline; ``pause``: whether one that was away a moment ago is passed over."""
        asked: list[Future[dict[str, Any]] | _Late] = [
            _Late() if pause and self._is_quiet(member) else self._pool.submit(work, member) for member in members
        ]
        wait([one for one in asked if isinstance(one, Future)], timeout=max(0.0, end - time.monotonic()))
        return [self._answer(member, one) for member, one in zip(members, asked, strict=True)]

    def _answer(self, member: ChainMember, asked: Future[dict[str, Any]] | _Late) -> dict[str, Any]:
        if isinstance(asked, _Late):
            return _failed(asked.code)
        if not asked.done():
            asked.cancel()
            self._let_alone(member)
            return _failed(_Late().code)
        try:
            answer = asked.result()
            with self._lock:
                self._quiet.pop(member.info.uscc, None)
            return answer
        except LedgerError as error:
            if error.code == "http.path":
                # A node from before there was such a door.
                return {"state": "off", "outcome": "off", "code": ""}
            if error.code == "node.unreachable":
                self._let_alone(member)
            return _failed(error.code)

    def _is_quiet(self, member: ChainMember) -> bool:
        with self._lock:
            left = self._quiet.get(member.info.uscc, (0, 0))[1] - self._clock()
        return 0 < left <= _LONGEST_PAUSE_MS

    def _let_alone(self, member: ChainMember) -> None:
        with self._lock:
            failures = self._quiet.get(member.info.uscc, (0, 0))[0] + 1
            pause = min(_LONGEST_PAUSE_MS, _FIRST_PAUSE_MS << min(failures - 1, 10))
            self._quiet[member.info.uscc] = failures, self._clock() + pause

    def _hospitals(self) -> list[ChainMember]:
        members = [one.chain for one in self._nodes.city.view().members]
        return [one for one in members if Roles.HOSPITAL in one.info.roles and one.info.status is MemberStatus.ACTIVE]

    def _chosen(self, hospital: str) -> list[ChainMember]:
        found = [one for one in self._hospitals() if hospital in ("", one.info.uscc)]
        if hospital and not found:
            raise NotFoundError("citizen.hospital", "no hospital of the city is called so", actual=ascii(hospital)[:40])
        return found

    def _names(self) -> dict[str, dict[str, str]]:
        return {
            one.chain.info.uscc: {"name": one.chain.name, "handle": one.chain.info.handle}
            for one in self._nodes.city.view().members
        }


def _named(member: ChainMember) -> dict[str, Any]:
    return {"uscc": member.info.uscc, "name": member.name}


def _failed(code: str) -> dict[str, Any]:
    return {"state": "failed", "outcome": "unsure", "code": code}


def _plausible(page: _Page) -> bool:
    times = [event.time for report in page.reports for event in report.events]
    times += [time for report in page.reports for time in (report.taken, report.issued, report.received)]
    times += [search.last for search in page.searches]
    texts = [report.items for report in page.reports]
    texts += [event.items + event.purpose + event.reason for report in page.reports for event in report.events]
    return all(0 <= time < 1 << 53 for time in times) and all(len(text) <= _MAX_TEXT for text in texts)
