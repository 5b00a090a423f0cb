"""Which part of the chain loop a node plays, by the genesis file: the sequencer or a follower."""

from __future__ import annotations

from collections.abc import Callable

from ledger.errors import LedgerError
from ledger.model import KeyRole
from node.chain.chainloop import Follower, Sequencer
from node.chain.rejoining import Rejoining
from node.chain.ways import Ways
from node.core import NodeCore


def make_orderer(core: NodeCore, on_fatal: Callable[[LedgerError], None]) -> Sequencer | Follower:
    """The loop that keeps this node's chain going; its signer is asked for each time, because keys rotate."""
    if not core.is_sequencer:
        return Follower(
            chain=core.chain,
            board=core.board,
            signer=lambda: core.keys[KeyRole.SEQUENCER],
            peers=core.peers,
            tracker=core.tracker,
            ways=Ways(
                sequencer=core.genesis.sequencer,
                chain=core.chain,
                roster=core.rosters.current,
                peers=core.peers,
                staged=core.keys.staged_identity,
            ),
            metrics=core.metrics,
            on_fatal=on_fatal,
        )
    return Sequencer(
        chain=core.chain,
        board=core.board,
        signer=lambda: core.keys[KeyRole.SEQUENCER],
        rejoining=Rejoining(
            member=core.member,
            chain=core.chain,
            roster=core.rosters.current,
            peers=core.peers,
            tracker=core.tracker,
        ),
        config=core.config.chain,
        clock=core.clock,
        metrics=core.metrics,
        on_fatal=on_fatal,
    )
