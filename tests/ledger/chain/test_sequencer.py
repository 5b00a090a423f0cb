"""The block loop: a block when there is something for one, an end with a reason."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from ledger.chain.engine import EmbeddedChain
from ledger.chain.sequencer import BlockLoop
from ledger.errors import FatalError, LedgerError, UnavailableError
from ledger.storage.chainstate import ChainStore, ExecutedBlock, StoredBlock

from .conftest import T0_MS, Bench


@pytest.fixture
def run(bench: Bench) -> Callable[..., BlockLoop]:
    def start(**options: object) -> BlockLoop:
        loop = BlockLoop(bench.chain, clock=lambda: T0_MS + 7_000, interval_s=0.0, **options)  # type: ignore[arg-type]
        loop.start()
        return loop

    return start


def test_what_is_submitted_gets_into_blocks_by_the_clock(bench: Bench, run: Callable[..., BlockLoop]) -> None:
    loop = run()
    for code in ("A", "B", "C"):
        receipt = bench.chain.wait(bench.chain.submit(bench.publish(1, code)), 300)
        assert receipt.succeeded
    loop.stop()
    loop.stop()
    assert bench.chain.head().time == (T0_MS + 7_000) // 1000
    left = bench.chain.submit(bench.publish(1, "D"))
    assert bench.chain.receipt(left) is None


def test_it_makes_no_blocks_without_transactions(bench: Bench, run: Callable[..., BlockLoop]) -> None:
    loop = run()
    bench.chain.pool.wake()
    bench.chain.submit(bench.publish(1, "later", nonce=3))
    bench.chain.wait(bench.chain.submit(bench.publish(2, "now")), 300)
    loop.stop()
    assert bench.chain.head().height == 1


def test_a_failed_write_ends_it_and_is_told(
    bench: Bench, run: Callable[..., BlockLoop], monkeypatch: pytest.MonkeyPatch
) -> None:
    write = ChainStore.write_block

    def full(store: ChainStore, executed: ExecutedBlock) -> None:
        # The chains of other tests' cities go on.
        if store is not bench.chain.store:
            return write(store, executed)
        raise UnavailableError("disk.full", "no space is left")

    monkeypatch.setattr(ChainStore, "write_block", full)
    told: list[LedgerError] = []
    event = threading.Event()
    loop = run(failed=lambda error: (told.append(error), event.set()))
    bench.chain.submit(bench.publish(1, "A"))
    assert event.wait(300)
    loop.stop()
    assert isinstance(told[0], FatalError)
    assert told[0].code == "chain.write-failed"
    assert "no space is left" in told[0].message
    assert bench.chain.failure is told[0]


def test_a_fault_of_the_core_is_told_too(
    bench: Bench, run: Callable[..., BlockLoop], monkeypatch: pytest.MonkeyPatch
) -> None:
    produce = EmbeddedChain.produce

    def broken(chain: EmbeddedChain, now_ms: int) -> StoredBlock | None:
        if chain is not bench.chain:
            return produce(chain, now_ms)
        raise RuntimeError("a bug")

    monkeypatch.setattr(EmbeddedChain, "produce", broken)
    told: list[LedgerError] = []
    event = threading.Event()
    loop = run(failed=lambda error: (told.append(error), event.set()))
    bench.chain.submit(bench.publish(1, "A"))
    assert event.wait(300)
    loop.stop()
    assert told[0].code == "chain.loop-failed"
