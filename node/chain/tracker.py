"""What this node last saw of each other member's node, for status and doctor."""

from __future__ import annotations

import threading
from dataclasses import replace

from node.context import Clock, PeerState

_MAX_TEXT = 200


class PeerTracker:
    """Peer states by member. Every part that talks to a peer marks what came of it. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._states: dict[str, PeerState] = {}

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

    def missed(self, member: str, reason: str) -> None:
        """A peer did not answer, or answered what cannot be used."""
        with self._lock:
            self._states[member] = replace(self._known(member), reachable=False, last_error=reason[:_MAX_TEXT])

    def states(self) -> tuple[PeerState, ...]:
        """All known peers, by member."""
        with self._lock:
            return tuple(state for _, state in sorted(self._states.items()))

    def _known(self, member: str) -> PeerState:
        return self._states.get(member) or PeerState(
            member=member, reachable=False, height=0, last_seen_ms=0, last_error=""
        )
