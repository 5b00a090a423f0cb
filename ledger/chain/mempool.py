"""Transactions admitted and not yet in a block: a nonce queue per sender, bounded, drained fairly.

The native core judges a transaction (signature, member, nonce window); this module only keeps, orders and hands out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ledger.errors import ConflictError, InvalidInputError, LedgerError, NotAllowedError, UnavailableError

#: What waits at most, of all senders; also in the native pool of a CometBFT network.
MAX_TRANSACTIONS = 20_000
MAX_BYTES = 64 << 20
#: Errors of the native core that are about membership rather than the shape of the transaction.
_NOT_ALLOWED = frozenset({"tx.not-member", "tx.create-not-adopted"})
_CONFLICT = frozenset({"tx.nonce-taken"})
#: What whoever orders answers while it cannot take anything.
_LATER = ("tx.pool-full", "chain.", "comet.", "disk.", "peer.")
_HINTS = {
    "tx.nonce-low": "the account has already used this nonce; read eth_getTransactionCount again",
    "tx.nonce-gap": "send the missing earlier nonces first; at most 64 may wait",
    "tx.nonce-taken": "another transaction with this nonce waits for its block; use the next nonce",
    "tx.chain-id": "sign for this chain: eth_chainId",
    "tx.not-member": "only the active account of an active member may send transactions",
    "tx.create-not-adopted": "contract code must be adopted by a vote of the members first",
    "tx.pool-full": "wait for the next blocks and send again",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """The answer to one submitted transaction; ``code`` is empty when it was admitted."""

    hash: bytes
    code: str = ""
    message: str = ""

    @property
    def admitted(self) -> bool:
        """True when it waits for a block (or is already in one)."""
        return not self.code

    def error(self) -> LedgerError:
        """The refusal as an error to raise."""
        kind: type[LedgerError] = InvalidInputError
        if self.code in _NOT_ALLOWED:
            kind = NotAllowedError
        elif self.code in _CONFLICT:
            kind = ConflictError
        elif self.code.startswith(_LATER):
            kind = UnavailableError
        return kind(self.code, self.message, hint=_HINTS.get(self.code, ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """A transaction that waits."""

    hash: bytes
    sender: bytes
    nonce: int
    raw: bytes


class Mempool:
    """Bounded store of waiting transactions. Thread-safe."""

    def __init__(self, *, max_transactions: int = MAX_TRANSACTIONS, max_bytes: int = MAX_BYTES) -> None:
        self._max_transactions = max_transactions
        self._max_bytes = max_bytes
        self._bytes = 0
        self._queues: dict[bytes, dict[int, Pooled]] = {}
        self._by_hash: dict[bytes, Pooled] = {}
        self._turn: bytes = b""
        self._ready = False
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._by_hash)

    def get(self, transaction: bytes) -> Pooled | None:
        """A waiting transaction by hash."""
        return self._by_hash.get(transaction)

    def find(self, transaction: bytes) -> bytes | None:
        """A waiting transaction's bytes, by hash."""
        entry = self._by_hash.get(transaction)
        return None if entry is None else entry.raw

    def add(self, entry: Pooled) -> None:
        """Keep an admitted transaction; the same one again changes nothing.

        Raises ConflictError(tx.nonce-taken) and UnavailableError(tx.pool-full).
        """
        with self._changed:
            if entry.hash in self._by_hash:
                return
            queue = self._queues.get(entry.sender, {})
            if entry.nonce in queue:
                # Price is 0 for everybody, so there is no bid by which a second one could win: the first stays.
                raise Admission(
                    hash=entry.hash,
                    code="tx.nonce-taken",
                    message=f"nonce {entry.nonce} is taken by transaction 0x{queue[entry.nonce].hash.hex()}",
                ).error()
            if len(self._by_hash) >= self._max_transactions or self._bytes + len(entry.raw) > self._max_bytes:
                raise Admission(
                    hash=entry.hash, code="tx.pool-full", message=f"{len(self._by_hash)} transactions wait already"
                ).error()
            self._queues.setdefault(entry.sender, queue)[entry.nonce] = entry
            self._by_hash[entry.hash] = entry
            self._bytes += len(entry.raw)
            self._ready = True
            self._changed.notify_all()

    def size(self) -> tuple[int, int, bool]:
        """(transactions, bytes) that wait, and whether there are any."""
        return len(self._by_hash), self._bytes, bool(self._by_hash)

    def wait(self, timeout: float) -> bool:
        """Block until there may be something for a block, at most ``timeout`` seconds; False when there is not."""
        with self._changed:
            return self._changed.wait_for(lambda: self._ready, timeout)

    def wake(self) -> None:
        """Make waiters look again (what was left over may fit now; or the engine stops)."""
        with self._changed:
            self._ready = True
            self._changed.notify_all()

    def take(self, committed: Callable[[bytes], int], *, limit: int, max_bytes: int) -> list[Pooled]:
        """Contiguous runs from each sender's ``committed`` nonce, one by one in turn, up to the limits.

        Nothing leaves the pool here: :meth:`discard` does that once a block is on disk. Turns start after the sender
        that came first last time, so that a full block cannot starve anybody.
        """
        with self._changed:
            self._ready = False
            for sender in list(self._queues):
                self._forget_below(sender, committed(sender))
            senders = sorted(self._queues)
            senders = [s for s in senders if s > self._turn] + [s for s in senders if s <= self._turn]
            heads = {sender: committed(sender) for sender in senders}
            taken: list[Pooled] = []
            size = 0
            while senders:
                for sender in tuple(senders):
                    entry = self._queues[sender].get(heads[sender])
                    if entry is None:
                        senders.remove(sender)
                        continue
                    if len(taken) == limit or size + len(entry.raw) > max_bytes:
                        self._ready = True
                        senders.clear()
                        break
                    taken.append(entry)
                    size += len(entry.raw)
                    heads[sender] += 1
            if taken:
                self._turn = taken[0].sender
            return taken

    def next_nonce(self, sender: bytes, committed: int) -> int:
        """The first nonce from ``committed`` on that no waiting transaction has (the "pending" count)."""
        with self._changed:
            queue = self._queues.get(sender, {})
            while committed in queue:
                committed += 1
            return committed

    def refused(self, _transactions: Sequence[bytes]) -> list[Admission]:
        """None: who waits for a transaction hears from the block that left it out."""
        return []

    def discard(self, transactions: Iterable[bytes]) -> None:
        """Forget transactions that are in a block or can never be."""
        with self._changed:
            for transaction in transactions:
                entry = self._by_hash.pop(transaction, None)
                if entry is None:
                    continue
                self._bytes -= len(entry.raw)
                queue = self._queues[entry.sender]
                del queue[entry.nonce]
                if not queue:
                    del self._queues[entry.sender]

    def _forget_below(self, sender: bytes, nonce: int) -> None:
        queue = self._queues[sender]
        for stale in [entry for entry in queue.values() if entry.nonce < nonce]:
            del queue[stale.nonce]
            del self._by_hash[stale.hash]
            self._bytes -= len(stale.raw)
        if not queue:
            del self._queues[sender]
