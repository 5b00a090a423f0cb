"""What this node last saw of each other member's node: for status and doctor, and for how long to leave one that is
away alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from node.context import Clock, PeerState

_MAX_TEXT = 200
#: A node that is away is left alone for a third of the time it has been away, at least and at most, seconds. The most
#: is how much later than its return it may be noticed.
_SHORTEST_REST_S = 0.2
LONGEST_REST_S = 10.0


@dataclass(frozen=True, slots=True)
class _Absence:
    """When a node was first missed, and until when it is left alone (monotonic seconds)."""

    since: float
    until: float


class PeerTracker:
    """Peer states by member. Every part that talks to a peer marks what came of it; those that come back to it by
    themselves ask first whether it rests, so that a node that is away costs one attempt now and then, whoever makes it.
    Thread-safe."""

    def __init__(self, clock: Clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._states: dict[str, PeerState] = {}
        self._absences: dict[str, _Absence] = {}
        self._on_return: list[Callable[[str], None]] = []

    def on_return(self, told: Callable[[str], None]) -> None:
        """``told`` is called with each member whose node answers after it was away; it must not block."""
        self._on_return.append(told)

    def reached(self, member: str, height: int | None = None) -> None:
        """A peer answered; ``height`` of its chain where the answer said so."""
        with self._lock:
            known = self._known(member)
            self._states[member] = replace(
                known,
                reachable=True,
                height=known.height if height is None else height,
                last_seen_ms=self._clock(),
                last_error="",
            )
            returned = self._absences.pop(member, None) is not None
        if returned:
            self._tell(member)

    def missed(self, member: str, reason: str) -> None:
        """A peer did not answer, or answered what cannot be used."""
        with self._lock:
            self._states[member] = replace(self._known(member), reachable=False, last_error=reason[:_MAX_TEXT])
            self._rest(member)

    def silent(self, member: str) -> None:
        """A peer that is away did not answer again: it is left alone for a while more."""
        with self._lock:
            self._rest(member)

    def stirred(self, member: str) -> None:
        """Something answers where a peer that is away should be: whoever waits for it tries again now."""
        with self._lock:
            known = self._absences.get(member)
            if known is None:
                return
            self._absences[member] = replace(known, until=0.0)
        self._tell(member)

    def rests(self, member: str) -> bool:
        """Whether a peer is away and need not be tried now."""
        with self._lock:
            known = self._absences.get(member)
        return known is not None and self._monotonic() < known.until

    def states(self) -> tuple[PeerState, ...]:
        """All known peers, by member."""
        with self._lock:
            return tuple(state for _, state in sorted(self._states.items()))

    def _rest(self, member: str) -> None:
        now = self._monotonic()
        known = self._absences.get(member)
        since = now if known is None else known.since
        rest = min(max((now - since) / 3, _SHORTEST_REST_S), LONGEST_REST_S)
        self._absences[member] = _Absence(since=since, until=now + rest)

    def _tell(self, member: str) -> None:
        for told in tuple(self._on_return):
            told(member)

    def _known(self, member: str) -> PeerState:
        return self._states.get(member) or PeerState(
            member=member, reachable=False, height=0, last_seen_ms=0, last_error=""
        )
