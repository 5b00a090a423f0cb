"""The loop that makes blocks on a sequencer: one when there is something to put in it, at most every 50 ms."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ledger.chain.engine import EmbeddedChain
from ledger.errors import FatalError, LedgerError

MIN_INTERVAL_S = 0.05
_IDLE_S = 1.0
_HINT = "start the node again; report it with the node's log"


class BlockLoop:
    """Makes blocks on a thread of its own until :meth:`stop`; ``failed`` is told why it ended otherwise."""

    def __init__(
        self,
        chain: EmbeddedChain,
        *,
        clock: Callable[[], int],
        interval_s: float = MIN_INTERVAL_S,
        failed: Callable[[LedgerError], None] | None = None,
    ) -> None:
        self._chain = chain
        self._clock = clock
        self._interval_s = interval_s
        self._failed = failed
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sequencer", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the block at hand; a second call does nothing."""
        self._ending.set()
        self._chain.pool.wake()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._ending.is_set():
            if not self._chain.pool.wait(_IDLE_S) or self._ending.is_set():
                continue
            began = time.monotonic()
            try:
                self._chain.produce(self._clock())
            except LedgerError as error:
                self._give_up(error)
                return
            except Exception as error:  # a fault of ours must not end the loop unheard
                self._give_up(FatalError("chain.loop-failed", f"making a block failed: {error!r}", hint=_HINT))
                return
            self._ending.wait(max(0.0, self._interval_s - (time.monotonic() - began)))

    def _give_up(self, error: LedgerError) -> None:
        """Blocks end here (a failed write, a closed chain, a fault); the node decides what next."""
        if self._failed is not None and not self._ending.is_set():
            self._failed(error)
