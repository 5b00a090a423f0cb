"""The way of transactions at a node of a CometBFT network: into its own pool, and on to the validators' nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from ledger.chain.mempool import Admission
from ledger.errors import UnavailableError

#: Hands transactions to whoever orders them; one answer each, in order. Raises UnavailableError where nobody answers.
Forward = Callable[[list[bytes]], list[Admission]]
#: Hands admitted transactions to the validators' nodes. Raises UnavailableError where this node is no validator and
#: reaches none.
Spread = Callable[[list[bytes]], None]


class WaitingPool(Protocol):
    """What waits for a block at this node: the pool of ``ledger._native.AbciServer``."""

    def hand_in(self, raws: Sequence[bytes], own: bool) -> list[tuple[bytes, str, str]]:
        """(hash, code, message) of each; no code where it waits now."""

    def waiting(self) -> tuple[int, int, bool]:
        """(transactions, bytes, whether the next block can hold any)."""

    def find(self, hash: bytes) -> bytes | None:
        """A waiting transaction."""

    def pending_nonce(self, address: bytes) -> int:
        """The first nonce that neither a block nor a waiting transaction uses."""

    def refusals(self, hashes: Sequence[bytes]) -> list[tuple[str, str] | None]:
        """Why each had to leave the pool, None where it had not."""


def nowhere(_raws: list[bytes]) -> None:
    """The spread of a node that has nobody to hand to."""


class Forwarding:
    """Made before the pool is, which is around the chain: ``attach`` gives it."""

    def __init__(self) -> None:
        self._pool: WaitingPool | None = None
        self._spread: Spread = nowhere

    def attach(self, pool: WaitingPool, spread: Spread) -> None:
        """From now on transactions are taken."""
        self._spread = spread
        self._pool = pool

    def submit(self, raws: list[bytes]) -> list[Admission]:
        """Take transactions of this member in; one answer each, in order.

        Raises: UnavailableError(chain.starting), and as ``Spread``.
        """
        answers = self._hand_in(raws, own=True)
        admitted = [raw for raw, answer in zip(raws, answers, strict=True) if answer.admitted]
        if admitted:
            self._spread(admitted)
        return answers

    def receive(self, raws: Sequence[bytes]) -> list[Admission]:
        """Take transactions that another member's node hands over; those that were refused.

        Raises: UnavailableError(chain.starting).
        """
        return [answer for answer in self._hand_in(raws, own=False) if not answer.admitted]

    def _hand_in(self, raws: Sequence[bytes], *, own: bool) -> list[Admission]:
        if self._pool is None:
            raise UnavailableError("chain.starting", "this node's chain is not ready yet", hint="try again in a moment")
        return [
            Admission(hash=hash_, code=code, message=message)
            for hash_, code, message in self._pool.hand_in(raws, own=own)
        ]

    def size(self) -> tuple[int, int, bool]:
        """(transactions, bytes) that wait, and whether the next block can hold any of them."""
        return (0, 0, False) if self._pool is None else self._pool.waiting()

    def find(self, transaction: bytes) -> bytes | None:
        """A waiting transaction by hash."""
        return None if self._pool is None else self._pool.find(transaction)

    def next_nonce(self, address: bytes, committed: int) -> int:
        """The first nonce from ``committed`` on that nothing waits with."""
        return committed if self._pool is None else max(committed, self._pool.pending_nonce(address))

    def refused(self, transactions: Sequence[bytes]) -> list[Admission]:
        """Of transactions that were admitted those that wait no longer though they are in no block, and why."""
        if self._pool is None or not transactions:
            return []
        reasons = zip(transactions, self._pool.refusals(transactions), strict=True)
        return [Admission(hash=hash_, code=why[0], message=why[1]) for hash_, why in reasons if why is not None]
