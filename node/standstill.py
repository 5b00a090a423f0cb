"""A disk that takes no more bytes: the node stays up for what is on it, until there is room and it starts again."""

from __future__ import annotations

import structlog

from ledger.errors import FatalError, LedgerError
from ledger.log import DepartmentLog

logger = structlog.get_logger("node")

#: Nothing is damaged, but a write or a sync failed: only opening the folder again may go on.
_UNWRITABLE = frozenset({"log.no-space", "log.read-only", "log.failed", "chain.write-failed"})


class Standstill:
    """Whether the node stands still, and why. What it holds is still read and proved (ADR 0012)."""

    def __init__(self, log: DepartmentLog) -> None:
        self._log = log
        self._reason: LedgerError | None = None

    @property
    def reason(self) -> LedgerError | None:
        """Why nothing more is written here until a restart; None while the disk takes bytes."""
        closed = self._log.why_closed
        return self._reason or (closed if isinstance(closed, FatalError) else None)

    def check(self) -> None:
        """Raises what an append met, in the loop that looks here: ``begin`` is then told once."""
        if isinstance(self._log.why_closed, FatalError):
            raise self._log.why_closed

    def begin(self, error: LedgerError) -> bool:
        """Stand still for this error; False when it is another kind of failure, which ends the node."""
        if not isinstance(error, FatalError) or error.code not in _UNWRITABLE:
            return False
        # Whatever failed first: nothing is acknowledged or signed any more, also where only the chain's store did.
        self._log.stop(error)
        if self._reason is None:
            self._reason = error
            logger.error("node.standstill", code=error.code, message=error.message, hint=error.hint)
        return True
