"""A rule machine over a sequencer and a follower: crashes, lost writes, restarts, beside a dict of what must be."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ledger.chain.bindings import Contracts
from ledger.chain.devnet import dev_genesis, dev_members
from ledger.chain.engine import EmbeddedChain
from ledger.chain.genesis import contract_addresses
from ledger.errors import ConflictError, FatalError, LedgerError
from ledger.identifiers import dataset_id
from ledger.storage.chainstate import ChainStore, ExecutedBlock
from ledger.storage.store import Store

from .conftest import T0_MS, Bench

MEMBERS = dev_members()
GENESIS = dev_genesis(MEMBERS, time_ms=T0_MS)


class FlakyStore(ChainStore):
    """Loses the next write, or the answer to it."""

    fault = ""

    def write_block(self, executed: ExecutedBlock) -> None:
        fault, self.fault = self.fault, ""
        if fault == "lost":
            raise OSError("lost")
        super().write_block(executed)
        if fault == "unanswered":
            raise OSError("unanswered")


class ChainMachine(RuleBasedStateMachine):
    """Members publish datasets; blocks are made, lost, replayed; the follower keeps up when it is asked to."""

    @initialize()
    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.waiting: dict[tuple[int, int], bytes] = {}
        self.included: dict[bytes, tuple[int, int]] = {}
        self.codes: dict[tuple[int, int], str] = {}
        self.made = 0
        self.open()
        self.follower_store = Store.open(Path(self.folder.name) / "follower")
        self.follower = EmbeddedChain.open(ChainStore(self.follower_store), GENESIS)

    def open(self) -> None:
        self.rows = Store.open(Path(self.folder.name) / "sequencer")
        self.store = FlakyStore(self.rows)
        chain = EmbeddedChain.open(self.store, GENESIS)
        self.bench = Bench(chain=chain, contracts=Contracts.at(chain.call, contract_addresses()), members=MEMBERS)

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.rows.close()
            self.follower_store.close()
            self.folder.cleanup()

    def committed(self, who: int) -> int:
        return sum(1 for member, _ in self.included.values() if member == who)

    @rule(who=st.integers(0, 4), ahead=st.integers(0, 2))
    def submit(self, who: int, ahead: int) -> None:
        nonce = self.committed(who) + ahead
        self.made += 1
        code = f"D{self.made}"
        raw = self.bench.publish(who, code, nonce=nonce)
        if (who, nonce) in self.waiting:
            with pytest.raises(ConflictError):
                self.bench.chain.submit(raw)
            return
        self.waiting[who, nonce] = self.bench.chain.submit(raw)
        self.codes[who, nonce] = code

    def expect_block(self) -> dict[bytes, tuple[int, int]]:
        """What the next block must hold: every contiguous run."""
        out = {}
        for who in range(5):
            nonce = self.committed(who)
            while (who, nonce) in self.waiting:
                out[self.waiting[who, nonce]] = (who, nonce)
                nonce += 1
        return out

    @rule()
    def produce(self) -> None:
        expected = self.expect_block()
        block = self.bench.chain.produce(T0_MS)
        assert set(block.transaction_hashes if block is not None else ()) == set(expected)
        self.settle(expected)

    def settle(self, block: dict[bytes, tuple[int, int]]) -> None:
        self.included |= block
        for key in block.values():
            del self.waiting[key]

    @precondition(lambda self: self.expect_block())
    @rule(fault=st.sampled_from(["lost", "unanswered"]))
    def fail(self, fault: str) -> None:
        expected = self.expect_block()
        self.store.fault = fault
        with pytest.raises(FatalError):
            self.bench.chain.produce(T0_MS)
        if fault == "unanswered":
            self.settle(expected)
        self.restart()

    @rule()
    def restart(self) -> None:
        """The pool is memory only: what waited is gone, what was acknowledged is not."""
        self.rows.close()
        self.waiting.clear()
        self.open()

    @rule()
    def follow(self) -> None:
        for height in range(self.follower.head().height + 1, self.bench.chain.head().height + 1):
            block = self.bench.chain.block(height)
            assert block is not None
            self.follower.import_block(block.header, block.transactions)
        assert self.follower.head() == self.bench.chain.head()

    @rule(position=st.integers(0, 400))
    def a_damaged_block_is_refused(self, position: int) -> None:
        block = self.bench.chain.block(self.follower.head().height + 1)
        if block is None:
            return
        before = self.follower.head()
        at = position % len(block.header)
        header = block.header[:at] + bytes([block.header[at] ^ 1]) + block.header[at + 1 :]
        with pytest.raises(LedgerError):
            self.follower.import_block(header, block.transactions)
        assert self.follower.head() == before

    @invariant()
    def everything_acknowledged_is_there(self) -> None:
        if not hasattr(self, "bench"):
            return
        chain = self.bench.chain
        assert self.bench.contracts.directory.dataset_count() == len(self.included)
        by_member = Counter(who for who, _ in self.included.values())
        for who, member in enumerate(MEMBERS):
            assert chain.nonce(member.account.address) == by_member[who]
        for hash_, (who, nonce) in list(self.included.items())[-5:]:
            receipt = chain.receipt(hash_)
            assert receipt is not None
            assert (receipt.sender, receipt.nonce) == (MEMBERS[who].account.address, nonce)
            id_ = dataset_id(MEMBERS[who].uscc, self.codes[who, nonce])
            assert self.bench.contracts.directory.dataset(id_) is not None


TestChain = ChainMachine.TestCase
TestChain.settings = settings(
    max_examples=20, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
