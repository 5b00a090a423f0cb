"""Keeps the record index behind the log by as little as it can without taking the machine from the appends."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from ledger.errors import LedgerError
from ledger.storage.indexes import LogReader, RecordIndex
from node.loops import Loop
from node.metrics import Metrics

logger = structlog.get_logger("node.index")

#: Records of one round: what a query may have to wait for is the round under way.
_ROUND = 1 << 16
_POLL_S = 0.25


class Indexing:
    """The loop that follows the log. Dropping and making the index again is a part of it, not a failure."""

    def __init__(
        self, index: RecordIndex, log: LogReader, *, metrics: Metrics, on_fatal: Callable[[LedgerError], None]
    ) -> None:
        self._index = index
        self._log = log
        self._told: LedgerError | None = None
        self.loop = Loop("index", self._step, metrics=metrics, on_fatal=on_fatal)

    def _step(self) -> float:
        started = time.monotonic()
        done = self._index.follow(self._log, limit=_ROUND)
        took = time.monotonic() - started
        why = self._index.remaking
        if why is not None and why is not self._told:
            logger.warning("index.remaking", message=why.message, hint=why.hint, size=self._log.size)
        elif why is None and self._told is not None:
            logger.info("index.remade", size=self._index.indexed_size)
        self._told = why
        # Behind a log that grows faster than any department's, the index works half of the time: appends come first.
        return took if done == _ROUND else _POLL_S
