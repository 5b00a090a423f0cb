"""Making the finality of a BFT network's blocks: the signed header after each of them, kept with its proof."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

import structlog

from ledger.errors import LedgerError, NotFoundError
from ledger.evidence.bft import BftFinality, decode_bft, inherit, light_block, make_bft
from ledger.evidence.finality import decode_header
from node.chain.board import CometBoard
from node.loops import Loop
from node.metrics import Metrics

if TYPE_CHECKING:
    from ledger.chain.engine import EmbeddedChain

logger = structlog.get_logger("node.finalising")

#: Blocks without a proof up to which each of them gets one; further behind only those that matter.
_BEHIND = 8


def nobody(_height: int) -> Iterable[bytes]:
    """No other node to ask."""
    return ()


class LightSource(Protocol):
    """Where signed headers come from: this node's CometBFT."""

    def commit(self, height: int) -> bytes:
        """Header and commit of a consensus height, as the RPC answers. Raises: NotFoundError(comet.height)."""

    def validators(self, height: int) -> bytes:
        """The validator set of a consensus height, as the RPC answers."""


class Finalising:
    """Gives every block its finality, in order.

    The block of consensus height H is what header H+1 carries as application hash. Each proof is made from the one
    before, which carries the hand-over of validators; so a node that is far behind may leave out blocks, but never one
    that changed the validators. One that joined late takes the hand-over before its time from other members' nodes:
    ``elders`` asks them for their proofs of a block, encoded. ``first`` is the block this network began with: that of
    genesis, or of a recovery.
    """

    def __init__(
        self,
        *,
        chain: EmbeddedChain,
        board: CometBoard,
        source: LightSource,
        metrics: Metrics,
        on_fatal: Callable[[LedgerError], None],
        elders: Callable[[int], Iterable[bytes]] = nobody,
        first: int = 0,
    ) -> None:
        self._chain = chain
        self._first = first
        self._elders = elders
        self._board = board
        self._source = source
        #: Heights executed in this run: above, it is known which of them changed the validators.
        self._seen_from = chain.head().height + 1
        #: Below, this node's CometBFT keeps no headers: it began with a snapshot.
        self._floor = first
        self._validators: tuple[bytes, ...] | None = None
        self._changing: set[int] = set()
        self.loop = Loop("finality", self._step, metrics=metrics, on_fatal=on_fatal)

    def executed(self, height: int | None, validators: Sequence[bytes]) -> None:
        """A consensus height is committed here: the height of the block it made, and the validators after it."""
        after = tuple(validators)
        if height is not None and after != self._validators:
            self._changing.add(height)
        self._validators = after
        self.loop.wake()

    def _step(self) -> None:
        while not self.loop.stopping:
            found = self._next()
            if found is None or not self._finalise(*found):
                return
            self.loop.well()

    def _next(self) -> tuple[int, bytes] | None:
        """(height, header) of the block whose turn it is; None when all have their proof."""
        known, head = self._board.finality, self._chain.head()
        height = max(self._floor, 0 if known is None else known.head.height + 1)
        if height > head.height:
            return None
        if head.height - height >= _BEHIND and height >= self._seen_from:
            # The newest may have no signed header after it yet; the one before it has.
            height = min((one for one in self._changing if one >= height), default=head.height - 1)
        kept = self._chain.store.header(height)
        # Blocks before a restored snapshot are not here: then the hand-over begins anew with the newest.
        return (head.height, head.header) if kept is None else (height, kept[1])

    def _finalise(self, height: int, header: bytes) -> bool:
        """Make the proof of one block, or leave it out for good; False when the header that carries its hash is not
        signed yet."""
        signed = decode_header(header).consensus_height + 1
        if signed > self._board.consensus_height:
            return False
        try:
            light = light_block(self._source.commit(signed), self._source.validators(signed))
        except NotFoundError:
            self._floor = height + 1
            return True
        previous = self._board.finality
        finality = make_bft(chain=self._chain.genesis_digest, height=height, light=light, previous=previous)
        if self._is_cut_off(finality, previous):
            finality = self._inherited(finality)
        self._board.finalise(finality)
        self._changing = {one for one in self._changing if one > height}
        return True

    def _is_cut_off(self, finality: BftFinality, previous: BftFinality | None) -> bool:
        """Whether blocks were missed over which the validators may have changed."""
        if previous is None:
            return finality.height > self._first
        return previous.light.next_validators_hash != finality.light.validators_hash

    def _inherited(self, finality: BftFinality) -> BftFinality:
        """With the hand-over of the first other node that has one; without it only younger policies accept the
        proof."""
        for encoded in self._elders(finality.height):
            try:
                return inherit(finality, decode_bft(encoded))
            except LedgerError as error:
                logger.warning("finality.elder-refused", code=error.code, reason=error.message)
        return finality
