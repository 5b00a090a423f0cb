"""Transactions handed to CometBFT's pool, remembered here while they wait for their block."""

from __future__ import annotations

from collections.abc import Callable

from ledger.chain.embedded import NativeChain, keccak256
from ledger.chain.mempool import Admission, Mempool, Pooled

#: Hands transactions to whoever orders them (the sequencer, CometBFT); one answer each, in order. Raises
#: UnavailableError when it is out of reach.
Forward = Callable[[list[bytes]], list[Admission]]
#: Transactions handed in again by one call.
_BATCH = 500


class Forwarding:
    """The way to CometBFT's pool of a node that holds the state itself.

    What the state refuses is answered without bothering CometBFT. What was admitted is kept in ``pool``, so that the
    next nonce of an account is known here, and handed in again when CometBFT, whose pool is memory only, was restarted.
    """

    def __init__(self, native: NativeChain, pool: Mempool, forward: Forward) -> None:
        self._native = native
        self._pool = pool
        self._forward = forward

    def submit(self, raws: list[bytes]) -> list[Admission]:
        """One answer each, in order. Raises as ``forward``."""
        answers: list[Admission | None] = []
        good: list[Pooled] = []
        for raw, judged in zip(raws, self._native.check_txs(raws), strict=True):
            if len(judged) == 2:
                answers.append(Admission(hash=keccak256(raw), code=judged[0], message=judged[1]))
            else:
                answers.append(None)
                good.append(Pooled(hash=judged[0], sender=judged[1], nonce=judged[2], raw=raw))
        heard = iter(self._hand_in(good))
        return [answer or next(heard) for answer in answers]

    def again(self) -> int:
        """Hand in once more what waits here; how many were."""
        waiting = sorted(self._pool.entries(), key=lambda entry: entry.nonce)
        for start in range(0, len(waiting), _BATCH):
            self._hand_in(waiting[start : start + _BATCH])
        return len(waiting)

    def _hand_in(self, entries: list[Pooled]) -> list[Admission]:
        if not entries:
            return []
        answers = self._forward([entry.raw for entry in entries])
        for entry, answer in zip(entries, answers, strict=True):
            if answer.admitted:
                self._pool.track(entry)
        return answers
