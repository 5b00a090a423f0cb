"""Keeping a BFT network's chain going here: CometBFT is started and watched, what it decides is executed and stored."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from ledger.errors import FatalError, LedgerError, UnavailableError
from node.chain.board import CometBoard
from node.chain.finalising import Finalising, nobody
from node.comet.view import ConsensusView, ConsensusWatch
from node.loops import Loop
from node.metrics import Metrics

if TYPE_CHECKING:
    from ledger.chain.embedded import AbciServer
    from ledger.chain.engine import EmbeddedChain
    from node.chain.handing import Handing
    from node.comet.starting import Comet

logger = structlog.get_logger("node.consensus")

#: How long one look for the next commit may take: a stop is noticed after it, seconds.
_COMMIT_WAIT_S = 2.0
#: How often the process is looked at, seconds.
_TEND_S = 1.0
#: How long CometBFT may take to end after SIGTERM, seconds.
_STOP_S = 8.0


class BftOrderer:
    """The orderer of a node on a CometBFT network.

    CometBFT talks to ``server``, the application around this node's state machine. What it commits is stored here, then
    answered: nothing that CometBFT believes committed can be missing on this disk.
    """

    def __init__(
        self,
        *,
        chain: EmbeddedChain,
        board: CometBoard,
        server: AbciServer,
        comet: Comet,
        watch: ConsensusWatch,
        handing: Handing,
        metrics: Metrics,
        on_fatal: Callable[[LedgerError], None],
        elders: Callable[[int], Iterable[bytes]] = nobody,
        first: int = 0,
    ) -> None:
        self._chain = chain
        self._board = board
        self.server = server
        self._comet = comet
        self.process = comet.process
        self._watch = watch
        self._handing = handing
        self._on_fatal = on_fatal
        self._listening = self._halted = False
        self._starting = threading.Lock()
        self.finalising = Finalising(
            chain=chain,
            board=board,
            source=comet.rpc,
            metrics=metrics,
            on_fatal=on_fatal,
            elders=elders,
            first=first,
        )
        self.loop = Loop("consensus", self._commit, metrics=metrics, on_fatal=self._fatal)
        self._ringing = Loop("bell", self._ring, metrics=metrics, on_fatal=on_fatal)
        self._tending = Loop("cometbft", self._tend, metrics=metrics, on_fatal=self._fatal)
        self._watching = Loop("consensus-watch", watch.step, metrics=metrics, on_fatal=on_fatal)

    def loops(self) -> Iterator[Loop]:
        """Every loop of it."""
        yield from (self.loop, self._ringing, self._tending, self._watching, self.finalising.loop)
        yield from self._handing.loops()

    def consensus(self) -> ConsensusView | None:
        """The newest look at the network; None before CometBFT answered first."""
        return self._watch.view()

    def acts(self, material: bytes) -> bool:
        """Whether a consensus key votes at the height under way."""
        view = self._watch.view()
        return view is not None and any(validator.key == material for validator in view.validators)

    def exchange(self, secret: bytes) -> None:
        """Vote with another key from now on: CometBFT is started anew with it.

        Raises: ConflictError(comet.consensus-key-in-use).
        """
        self.process.exchange(secret)

    def stop(self) -> None:
        """End CometBFT first, answering it to the last, then the application and the loops."""
        self._halt()
        self._handing.stop()
        for loop in self.loops():
            loop.stop()

    def _commit(self) -> float:
        """Store what CometBFT asks to commit next."""
        commit = self.server.next_commit(_COMMIT_WAIT_S)
        if commit is None:
            failure = self.server.failure()
            if failure is not None and not self._halted:
                code, message = failure
                raise FatalError(code, message, hint=_HINTS.get(code, "look at the node's log and at CometBFT's"))
            # A stopped server answers at once.
            return _COMMIT_WAIT_S if self._halted else 0.0
        try:
            block = self._chain.adopt(commit, self.server.committed)
        except LedgerError as error:
            self.server.fail(str(error))
            raise
        self._board.reached(commit.height, commit.time_ms)
        self.finalising.executed(None if block is None else block.height, commit.validators)
        return 0.0

    def _ring(self) -> float:
        """Let CometBFT hear that something waits which the next block can hold."""
        if self.server.next_bell(_COMMIT_WAIT_S):
            # Where it does not answer, it is starting: rung again in a moment.
            with suppress(UnavailableError):
                self._comet.rpc.ring(self.server.bell)
            return 0.0
        # A stopped server answers at once.
        return _COMMIT_WAIT_S if self._halted or self.server.failure() is not None else 0.0

    def _tend(self) -> float:
        """Start CometBFT once the application listens, and say what keeps it from running. It restarts by itself."""
        with self._starting:
            if self._halted:
                return _TEND_S
            if not self._listening:
                self.server.listen(self._comet.app_socket)
                self._listening = True
            # Nothing while it runs; after a refusal (another process has its key) it is tried again.
            self.process.start()
        problem = self.process.problem
        if problem is not None and (isinstance(problem, FatalError) or not self.process.alive):
            raise problem
        return _TEND_S

    def _fatal(self, error: LedgerError) -> None:
        """Neither side goes on without the other."""
        logger.error("consensus.failed", code=error.code, message=error.message)
        self._halt()
        self._on_fatal(error)

    def _halt(self) -> None:
        with self._starting:
            self._halted = True
        self.process.stop(_STOP_S)
        self.server.stop()


_HINTS = {
    "chain.version": "the members activated a version this program does not have: upgrade it and start the node again",
}
