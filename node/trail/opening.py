"""Opening the log at start: nothing is appended or signed before enough witnesses said what they saw of it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import structlog

from ledger.errors import LedgerError, UnavailableError
from ledger.evidence.checkpoint import Checkpoint
from node.chain.roster import Roster
from node.chain.tracker import PeerTracker
from node.identity.peers import PeerBook
from node.loops import Loop
from node.metrics import Metrics
from node.trail.feeding import witness_note

if TYPE_CHECKING:
    from ledger.log import DepartmentLog

logger = structlog.get_logger("node.opening")

#: How soon the witnesses are asked again, growing while too few answer: each time costs both sides a handshake.
_RETRY_S = 0.3
_RETRY_GROWTH = 1.5
_LONGEST_RETRY_S = 3.0


class LogOpening:
    """Asks the witnesses until a quorum of them answered, compares, then calls ``on_open`` once.

    A quorum is enough: whatever was witnessed or anchored before was cosigned by a quorum, and two quorums share an
    honest member. ``kept`` is the newest witnessed note of our own store: it may be newer than the log's folder.
    ``waiting_for`` says what is missing, for the doctor.
    """

    def __init__(
        self,
        *,
        member: str,
        log: DepartmentLog,
        roster: Callable[[], Roster],
        anchored: Callable[[], Checkpoint | None],
        kept: Callable[[], bytes | None],
        peers: PeerBook,
        tracker: PeerTracker,
        timeout: float,
        metrics: Metrics,
        on_open: Callable[[], None],
        on_fatal: Callable[[LedgerError], None],
    ) -> None:
        self._member = member
        self._log = log
        self._roster = roster
        self._anchored = anchored
        self._kept = kept
        #: What each witness said last, also in rounds without a quorum: it counts when that witness is silent later.
        self._heard: dict[str, bytes] = {}
        self._answered: set[str] = set()
        self._peers = peers
        self._tracker = tracker
        self._timeout = timeout
        self._on_open = on_open
        self._done = False
        self._retry_s = _RETRY_S
        self.waiting_for = "the witnesses' view of the log"
        self.loop = Loop("opening", self._step, metrics=metrics, on_fatal=on_fatal)

    def _step(self) -> float | None:
        if self._done:
            return None
        roster = self._roster()
        others = [info.uscc for info in roster.others(self._member)]
        needed = min(roster.quorum, len(others))
        silent = [uscc for uscc in others if self._tracker.rests(uscc)]
        # While too few are there each is heard once: asking all of them again and again would open nothing.
        enough = len(others) - len(silent) >= needed
        asked = [uscc for uscc in others if uscc not in silent and (enough or uscc not in self._answered)]
        with ThreadPoolExecutor(max_workers=max(1, min(len(asked), 16)), thread_name_prefix="opening") as pool:
            for uscc, answer in zip(asked, pool.map(lambda one: self._ask(one, roster), asked), strict=True):
                if isinstance(answer, LedgerError):
                    silent.append(uscc)
                    continue
                self._answered.add(uscc)
                if answer is not None:
                    self._heard[uscc] = answer
        silent.sort()
        if len(others) - len(silent) < needed:
            self.waiting_for = (
                f"{len(others) - len(silent)} of the {needed} witnesses needed answered; silent: {', '.join(silent)}"
            )
            # Not an error of this round: at the start of a whole city everybody waits a moment for the others.
            pause, self._retry_s = self._retry_s, min(self._retry_s * _RETRY_GROWTH, _LONGEST_RETRY_S)
            return pause
        kept, anchored = self._kept(), self._anchored()
        self._log.guard([anchored] if anchored else [], [*self._heard.values(), *([kept] if kept else [])])
        logger.info("log.opened", size=self._log.size, count=len(others) - len(silent))
        self._on_open()
        self._done = True
        return None

    def _ask(self, uscc: str, roster: Roster) -> bytes | LedgerError | None:
        try:
            note = witness_note(self._peers.require(uscc), self._log.origin, roster, self._timeout)
        except LedgerError as error:
            self._tracker.missed(uscc, error.message)
            return error
        self._tracker.reached(uscc)
        return note


def closed_reason(log: DepartmentLog, opening: LogOpening) -> LedgerError | None:
    """Why the log is closed, with what is waited for; None when it is open."""
    error = log.why_closed
    if error is not None and error.code == "log.unguarded":
        return UnavailableError(error.code, f"the log is not open yet: {opening.waiting_for}", hint=error.hint)
    return error
