"""The order in which a running node stops."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from ledger.errors import LedgerError

logger = structlog.get_logger("node.drain")


class Closing:
    """Actions to take at the end, in reverse order of adding; one that fails does not keep the others from running."""

    def __init__(self) -> None:
        self._actions: list[tuple[str, Callable[[], object]]] = []

    def add(self, name: str, action: Callable[[], object]) -> None:
        """Run ``action`` before everything added so far."""
        self._actions.append((name, action))

    def run(self) -> None:
        """Run and forget all actions."""
        while self._actions:
            name, action = self._actions.pop()
            try:
                action()
            except LedgerError as error:
                # Said before, when it stopped the node; its place in the code helps no operator.
                logger.error("drain.failed", loop=name, code=error.code, message=error.message)
            except Exception:
                logger.exception("drain.failed", loop=name)
