"""Who of the witnesses is there: what each cosigned last, since when it is missing, and what went wrong."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from node.context import Clock

if TYPE_CHECKING:
    from ledger.errors import LedgerError
    from node.chain.roster import Roster

_MAX_TEXT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessState:
    """One witness of the own log. Times are Unix milliseconds; 0 for never, and for ``missing_since_ms`` when it has
    cosigned the newest checkpoint. ``code`` and ``error``: what went wrong since it cosigned last."""

    member: str
    name: str = ""
    size: int = 0
    cosigned_ms: int = 0
    missing_since_ms: int = 0
    code: str = ""
    error: str = ""


class Attendance:
    """Witness states by member, kept while the node runs. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._states: dict[str, WitnessState] = {}

    def signed(self, missing: Sequence[str]) -> None:
        """A new checkpoint lacks the cosignatures of these members."""
        now = self._clock()
        with self._lock:
            for member in missing:
                known = self._known(member)
                if not known.missing_since_ms:
                    self._states[member] = replace(known, missing_since_ms=now)

    def cosigned(self, member: str, size: int, *, newest: bool) -> None:
        """A member cosigned our checkpoint of ``size``. When a newer one is signed meanwhile, it is missing there from
        now on: it was heard of just now."""
        now = self._clock()
        with self._lock:
            self._states[member] = WitnessState(
                member=member, size=size, cosigned_ms=now, missing_since_ms=0 if newest else now
            )

    def failed(self, member: str, error: LedgerError) -> None:
        """A member did not cosign, and why."""
        with self._lock:
            self._states[member] = replace(self._known(member), code=error.code, error=error.message[:_MAX_TEXT])

    def states(self, roster: Roster, own: str) -> tuple[WitnessState, ...]:
        """The witnesses that count now: every other active member, in order of USCC."""
        with self._lock:
            return tuple(replace(self._known(info.uscc), name=info.witness_name) for info in roster.others(own))

    def _known(self, member: str) -> WitnessState:
        return self._states.get(member) or WitnessState(member=member)
