"""The stream of blocks to a member whose key or membership ends while it follows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.chain.account import sign_transaction
from ledger.chain.devnet import CHAIN_ID, dev_genesis, dev_members
from ledger.chain.engine import EmbeddedChain
from ledger.errors import NotAllowedError
from ledger.storage.chainstate import ChainStore
from ledger.storage.store import Store
from ledger.v1 import peer_pb2
from node.chain import blocks
from node.chain.blocks import BlockServicer
from node.chain.heads import HeadBoard
from node.chain.tracker import PeerTracker
from tests.node.core.makers import NOW_MS
from tests.node.core.test_heads import MEMBERS, SEQUENCER, roster_of


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[EmbeddedChain]:
    store = Store.open(tmp_path / "chain")
    opened = EmbeddedChain.open(ChainStore(store), dev_genesis(dev_members(), time_ms=NOW_MS))
    yield opened
    opened.close()
    store.close()


class Ending:
    """A call that is judged anew just after a block ended its caller's key."""

    def __init__(self, chain: EmbeddedChain) -> None:
        self._chain = chain

    def is_active(self) -> bool:
        return True

    def recheck(self) -> None:
        account, height = dev_members()[1].account, self._chain.head().height
        self._chain.submit(
            sign_transaction(account, chain_id=CHAIN_ID, nonce=height, to=bytes(20), data=b"", gas=30_000)
        )
        assert self._chain.produce(NOW_MS + 1_000) is not None
        raise NotAllowedError("auth.key-ended", "this TLS key is retired")


def test_a_stream_ends_with_the_block_that_ended_its_caller_s_key(
    chain: EmbeddedChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "_RECHECK_S", 0.0)
    board = HeadBoard(
        sequencer=SEQUENCER,
        chain=chain.genesis_digest,
        clock=lambda: NOW_MS,
        roster=lambda: roster_of(MEMBERS),
        block_hash=lambda _height: None,
        is_sequencer=True,
        store=lambda _finality: None,
        stored=None,
        oldest_time_ms=NOW_MS,
    )
    servicer = BlockServicer(
        chain=chain, board=board, tracker=PeerTracker(lambda: NOW_MS), is_sequencer=True, stopping=lambda: False
    )
    stream = servicer.Follow(peer_pb2.FollowRequest(**{"from": 1}), Ending(chain))
    assert next(stream).block.header == chain.head().header
    with pytest.raises(NotAllowedError, match=r"auth\.key-ended"):
        next(stream)
