"""Following the blocks of a foreign network by polling: in order, without gaps, and noticing when one changes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from ledger.chain import external_shapes as shapes
from ledger.chain.blocks import ChainHead
from ledger.chain.external_link import RpcLink, refused
from ledger.chain.external_shapes import ForeignBlock
from ledger.chain.rpc.errors import RpcError
from ledger.errors import LedgerError, UnavailableError, UntrustedError
from ledger.storage.chainstate import StoredBlock

_LOG = logging.getLogger(__name__)

POLL_S: Final = 0.5
#: Heights whose hashes are remembered.
WINDOW: Final = 1024
_FASTEST_S: Final = 0.05
_SLOWEST_S: Final = 5.0


class HeadWatch:
    """The newest block that is adopted here, and what follows it. Any thread may read; one thread follows.

    ``confirmations``: how many blocks must stand on top of one before it is adopted (0 on networks whose blocks are
    final at once). A block that changes after that ends the watch with ``chain.reorged``.
    """

    def __init__(self, link: RpcLink, start: ForeignBlock, *, confirmations: int = 0, poll_s: float = POLL_S) -> None:
        self._link = link
        self._head = start.head
        self._hashes = {start.head.height: start.head.hash}
        self._confirmations = confirmations
        self._poll_s = poll_s
        self._lock = threading.Lock()
        self._awaited: dict[bytes, list[threading.Event]] = {}
        self._listeners: dict[int, Callable[[StoredBlock], None]] = {}
        self._listeners_made = 0
        self._failure: LedgerError | None = None
        self._trouble: LedgerError | None = None
        self._answered = time.monotonic()
        self._ending = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="external-chain", daemon=True)

    @property
    def failure(self) -> LedgerError | None:
        """Why nothing is followed any more, or None."""
        return self._failure

    @property
    def trouble(self) -> LedgerError | None:
        """Why the last look at the network failed, or None; it is tried again."""
        return self._trouble

    @property
    def age_s(self) -> float:
        """Seconds since the network's node last answered a look."""
        return time.monotonic() - self._answered

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, reason: LedgerError) -> None:
        """End; waiters are released with the reason. A second call does nothing."""
        self.fail(reason)
        self._ending.set()
        self._wake.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def fail(self, reason: LedgerError) -> None:
        """Follow nothing any more, for this reason; the first one stays."""
        with self._lock:
            self._failure = self._failure or reason
            for events in self._awaited.values():
                for event in events:
                    event.set()

    def head(self) -> ChainHead:
        """The newest adopted block."""
        return self._head

    def hash_at(self, height: int) -> bytes | None:
        """The hash adopted at a height; None where it is not remembered (any more)."""
        return self._hashes.get(height)

    def confirm(self, height: int, hash_: bytes) -> None:
        """A block was served by height: it must be the adopted one. Raises UntrustedError(chain.reorged)."""
        ours = self._hashes.get(height)
        if ours is not None and ours != hash_:
            error = _reorged(height, ours, hash_)
            self.fail(error)
            raise error

    def check_since(self, height: int, hash_: bytes) -> None:
        """A block adopted in an earlier life still stands. Raises UntrustedError(chain.reorged),
        UnavailableError(chain.behind), RpcError."""
        answer = self._link.request("eth_getBlockByNumber", hex(height), False)
        if answer is None:
            raise UnavailableError(
                "chain.behind",
                f"{self._link.url} does not have block {height}, which was adopted here before",
                hint="wait until its node has caught up",
            )
        found = shapes.block_hash(answer)
        if found != hash_:
            raise _reorged(height, hash_, found)

    @contextmanager
    def awaiting(self, transaction: bytes) -> Iterator[threading.Event]:
        """An event that is set when a block with the transaction is adopted, or the watch ends."""
        event = threading.Event()
        with self._lock:
            self._awaited.setdefault(transaction, []).append(event)
        self._wake.set()
        try:
            yield event
        finally:
            with self._lock:
                self._awaited[transaction].remove(event)
                if not self._awaited[transaction]:
                    del self._awaited[transaction]

    def listen(self, callback: Callable[[StoredBlock], None]) -> Callable[[], None]:
        """Call ``callback`` with every block from now on, in order, on the watch's thread; the function returned ends
        it."""
        with self._lock:
            key = self._listeners_made
            self._listeners_made += 1
            self._listeners[key] = callback

        def end() -> None:
            with self._lock:
                self._listeners.pop(key, None)

        return end

    def step(self) -> None:
        """One look: adopt what is new. Raises UntrustedError(chain.reorged | header.hash | chain.answer),
        UnavailableError(chain.*)."""
        head = self._head
        try:
            newest = shapes.number(self._link.request("eth_blockNumber")) - self._confirmations
            self._check_unchanged(min(head.height, newest))
            for height in range(head.height + 1, newest + 1):
                if self._ending.is_set():
                    return
                answer = self._link.request("eth_getBlockByNumber", hex(height), True)
                if answer is None:
                    break  # a balancer asked a node that is behind
                self._adopt(height, shapes.block(answer))
        except RpcError as error:
            raise refused("reading blocks", error) from error

    def _check_unchanged(self, height: int) -> None:
        ours = self._hashes.get(height)
        if ours is None:
            return
        answer = self._link.request("eth_getBlockByNumber", hex(height), False)
        if answer is not None:
            self.confirm(height, shapes.block_hash(answer))

    def _adopt(self, height: int, block: ForeignBlock) -> None:
        if block.head.height != height:
            raise UntrustedError(
                "chain.answer", "the network's node answered with another block", expected=height,
                actual=block.head.height,
            )  # fmt: skip
        self.confirm(height - 1, block.parent)
        with self._lock:
            self._hashes[height] = block.head.hash
            self._hashes.pop(height - WINDOW, None)
            self._head = block.head
            for transaction in block.stored.transaction_hashes:
                for event in self._awaited.get(transaction, ()):
                    event.set()
            listeners = list(self._listeners.values())
        for callback in listeners:
            try:
                callback(block.stored)
            except Exception:  # the block is adopted: a listener's fault must not look like ours
                _LOG.exception("a listener failed on block %d", height)

    def _run(self) -> None:
        pause = self._poll_s
        while not self._ending.is_set() and self._failure is None:
            try:
                self.step()
            except LedgerError as error:
                self._trouble = error
                pause = min(2 * pause, _SLOWEST_S)
            except Exception as error:  # a fault of ours must not end the watch unheard
                _LOG.exception("looking at the network failed")
                self._trouble = UntrustedError("chain.answer", f"looking at the network failed: {error!r}")
                pause = _SLOWEST_S
            else:
                self._trouble = None
                self._answered = time.monotonic()
                # Somebody waits: look more often.
                pause = max(self._poll_s / 5, _FASTEST_S) if self._awaited else self._poll_s
            self._wake.wait(pause)
            self._wake.clear()


def _reorged(height: int, ours: bytes, theirs: bytes) -> UntrustedError:
    return UntrustedError(
        "chain.reorged",
        f"block {height} of the network is another one than before",
        hint="a network whose blocks change needs more confirmations; where blocks are final (QBFT) its operators must "
        "explain this before anything is trusted",
        expected=ours,
        actual=theirs,
    )
