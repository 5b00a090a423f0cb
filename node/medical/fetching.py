"""Changes of opened reports fetched through a gateway: the other hospitals' nodes may have no way to this one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from ledger.errors import LedgerError
from ledger.evidence.medicalnotice import notice_digest
from node.loops import Loop

if TYPE_CHECKING:
    from node.medical.carried import CarriedRoad
    from node.medical.changes import Changes
    from node.medical.dialogue import Dialogue

logger = structlog.get_logger("node.medical")

#: How often the hospitals whose reports were opened are asked, seconds.
INTERVAL_S = 5.0
#: Rounds at once: what came in one is acknowledged in the next.
_ROUNDS = 3


class Fetching:
    """Asks every hospital of which a report was opened. A notice is kept and on record here before it is named as
    received; until then it is handed over again."""

    def __init__(
        self,
        dialogue: Dialogue,
        changes: Changes,
        road: CarriedRoad,
        is_open: Callable[[], bool],
        on_fatal: Callable[[LedgerError], None],
    ) -> None:
        self._dialogue = dialogue
        self._changes = changes
        self._road = road
        self._is_open = is_open
        #: Hospital -> digests of notices that it does not know to be here.
        self._received: dict[str, set[bytes]] = {}
        self.loop = Loop("medical-fetching", self._step, metrics=dialogue.context.metrics, on_fatal=on_fatal)

    def _step(self) -> float:
        if not self._is_open():
            return 0.5
        for _ in range(_ROUNDS):
            if not self._round():
                break
        return INTERVAL_S

    def _round(self) -> bool:
        """Ask all once; whether anything came that is still to be acknowledged."""
        hospitals = {
            step.counterpart
            for step in self._dialogue.steps.every()
            if step.role == "consumer" and step.kind == "open" and step.state != "refused"
        }
        if not hospitals:
            return False
        asked = {hospital: sorted(self._received.get(hospital, ())) for hospital in sorted(hospitals)}
        told, absent = self._road.changes(self._dialogue.context, asked)
        for one in absent:
            logger.info("medical.not-asked", hospital=one.member, code=one.code)
        news = False
        for hospital, notices in told:
            kept = self._received[hospital] = set()
            for notice in notices:
                try:
                    self._changes.take(hospital, notice)
                except LedgerError as error:
                    logger.warning("medical.notice-refused", hospital=hospital, code=error.code)
                    continue
                kept.add(notice_digest(notice))
                news = True
        return news
