"""Issuers' nodes asked with care: one that hangs holds few threads, and is let alone for a while."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from gateway.licences.sources import City
from ledger.errors import LedgerError, UnavailableError

#: Requests under way to one node, and how long another one waits for its turn, seconds.
MAX_TOGETHER: Final = 4
PATIENCE_S: Final = 1.0
#: How long a node that did not answer is let alone: doubled with each failure, up to the longest.
FIRST_PAUSE_MS: Final = 2_000
LONGEST_PAUSE_MS: Final = 30_000


@dataclass(slots=True)
class _Node:
    wanted: int = 0
    under_way: int = 0
    failures: int = 0
    quiet_until_ms: int = 0


class GuardedCity:
    """A city whose nodes are asked a few questions at a time. Thread-safe; ``clock``: Unix milliseconds.

    After a node did not answer, everybody is told so at once until the pause is over; then one asks again. A refusal is
    an answer.
    """

    def __init__(self, city: City, clock: Callable[[], int]) -> None:
        self._city = city
        self._clock = clock
        self._turns = threading.Condition()
        #: Only of nodes that are being asked or did not answer: members of the city, or nobody answers for them.
        self._nodes: dict[str, _Node] = {}

    def ask(self, uscc: str, path: str) -> bytes:
        """As the city's. Raises: UnavailableError(node.unreachable | node.busy) without asking, and as it does."""
        with self._turn(uscc) as node:
            try:
                answer = self._city.ask(uscc, path)
            except LedgerError as error:
                node.failures = node.failures + 1 if error.code == "node.unreachable" else 0
                pause = min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS << min(node.failures, 10) >> 1)
                node.quiet_until_ms = self._clock() + pause
                raise
            node.failures = 0
            return answer

    @contextmanager
    def _turn(self, uscc: str) -> Iterator[_Node]:
        with self._turns:
            node = self._nodes.setdefault(uscc, _Node())
            node.wanted += 1
            try:
                free = self._turns.wait_for(lambda: self._is_quiet(node) or node.under_way < MAX_TOGETHER, PATIENCE_S)
                if self._is_quiet(node):
                    raise UnavailableError(
                        "node.unreachable",
                        "the issuer's node did not answer a moment ago",
                        hint="its operator sees the cause with civicledger doctor; try again in half a minute",
                    )
                if not free:
                    raise UnavailableError(
                        "node.busy", "the issuer's node is slow and asked enough", hint="try again in a few seconds"
                    )
                node.under_way += 1
            finally:
                self._leave(uscc, node)
        try:
            yield node
        finally:
            with self._turns:
                node.under_way -= 1
                self._turns.notify_all()
                node.wanted += 1
                self._leave(uscc, node)

    def _is_quiet(self, node: _Node) -> bool:
        """Whether a node is let alone: its pause lasts, or one asks whether it is there again."""
        left = node.quiet_until_ms - self._clock()
        return bool(node.failures) and (0 < left <= LONGEST_PAUSE_MS or node.under_way > 0)

    def _leave(self, uscc: str, node: _Node) -> None:
        node.wanted -= 1
        if not (node.wanted or node.under_way or node.failures):
            self._nodes.pop(uscc, None)
