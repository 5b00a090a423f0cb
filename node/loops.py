"""Background threads of the node: a step run again and again, with back-off on failure and a clean stop."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from ledger.errors import FatalError, LedgerError
from node.metrics import Metrics

logger = structlog.get_logger("node.loops")

_FIRST_DELAY_S = 0.1
_LONGEST_DELAY_S = 5.0


class Loop:
    """Runs ``step`` in a thread of its own. ``step`` returns how many seconds to wait before the next round, None to
    wait until woken.

    A step that fails is tried again after a growing delay; ``problem`` holds the last failure until a round succeeds.
    A ``FatalError`` ends the loop and is handed to ``on_fatal``: retrying a broken disk makes it worse.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], float | None],
        *,
        metrics: Metrics,
        on_fatal: Callable[[LedgerError], None],
        longest_delay_s: float = _LONGEST_DELAY_S,
    ) -> None:
        self.name = name
        self._step = step
        self._metrics = metrics
        self._on_fatal = on_fatal
        self._longest_delay_s = longest_delay_s
        self._condition = threading.Condition()
        self._woken = False
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.problem: LedgerError | None = None

    @property
    def stopping(self) -> bool:
        """Whether the loop was asked to stop; long steps look at it."""
        return self._stopping

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Make the next round begin now; remembered when a round is under way."""
        with self._condition:
            # Once is enough: a loop that pauses inside its step would only look and go on pausing.
            if not self._woken:
                self._woken = True
                self._condition.notify()

    def stop(self) -> None:
        """Ask the loop to end after the present round."""
        with self._condition:
            self._stopping = True
            self._condition.notify()

    def join(self, timeout: float) -> bool:
        """Wait for the end; False when it did not come in time."""
        if self._thread.ident is None:
            return True
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def well(self) -> None:
        """Said inside a long step: what failed before works again."""
        self.problem = None

    def pause(self, seconds: float) -> bool:
        """Wait inside a step, without being woken but by ``stop``; False when stopping."""
        with self._condition:
            return not self._condition.wait_for(lambda: self._stopping, seconds)

    def _run(self) -> None:
        delay = _FIRST_DELAY_S
        while not self._stopping:
            try:
                wait = self._step()
                self.problem = None
                delay = _FIRST_DELAY_S
            except FatalError as error:
                self._failed(error)
                self._on_fatal(error)
                return
            except LedgerError as error:
                self._failed(error)
                wait, delay = delay, min(delay * 2, self._longest_delay_s)
            except Exception as error:
                # A defect of ours: named in the log, and the node goes on serving what it can.
                logger.exception("loop.defect", loop=self.name)
                self._failed(LedgerError("node.defect", f"{self.name}: {type(error).__name__}"))
                wait, delay = delay, min(delay * 2, self._longest_delay_s)
            with self._condition:
                self._condition.wait_for(lambda: self._woken or self._stopping, wait)
                self._woken = False

    def _failed(self, error: LedgerError) -> None:
        first = self.problem is None or self.problem.code != error.code
        self.problem = error
        self._metrics.failed(self.name, error.code, error.message)
        if first:
            # Once per cause: a peer that is away for a day is one line, not a hundred thousand.
            logger.warning("loop.failed", loop=self.name, code=error.code, message=error.message)
