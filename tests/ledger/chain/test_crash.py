"""A crash at any instant leaves the last whole block: faults at each step, damaged folders, kill -9."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.chain.bindings import Contracts
from ledger.chain.devnet import DevMember
from ledger.chain.engine import EmbeddedChain
from ledger.chain.genesis import contract_addresses
from ledger.errors import FatalError, UnavailableError
from ledger.storage.chainstate import ChainStore, ExecutedBlock
from ledger.storage.store import Store

from .conftest import T0_MS, Bench

ROOT = Path(__file__).resolve().parents[3]


class FaultyStore(ChainStore):
    """Fails at one step of writing a block: before it, or after it is on disk."""

    fail = ""

    def write_block(self, executed: ExecutedBlock) -> None:
        if self.fail == "before":
            raise UnavailableError("disk.full", "no space is left")
        super().write_block(executed)
        if self.fail == "after":
            raise OSError("the answer of the disk got lost")


@pytest.mark.parametrize(("step", "survives"), [("before", False), ("after", True), ("commit", True)])
def test_a_failed_write_stops_the_engine_and_a_restart_has_whole_blocks(
    members: tuple[DevMember, ...], genesis: bytes, tmp_path: Path, step: str, survives: bool
) -> None:
    opened = Store.open(tmp_path / "chain")
    store = FaultyStore(opened)
    chain = EmbeddedChain.open(store, genesis)
    bench = Bench(chain=chain, contracts=Contracts.at(chain.call, contract_addresses()), members=members)
    kept = chain.submit(bench.publish(1, "A"))
    chain.produce(T0_MS)
    lost_or_kept = chain.submit(bench.publish(1, "B"))
    if step == "commit":
        # A second execution replaced what was pending: the native core then has nothing to commit.
        store.write_block = _then_drop_pending(store.write_block, chain)  # type: ignore[method-assign]
    else:
        store.fail = step
    with pytest.raises(FatalError) as stopped:
        chain.produce(T0_MS)
    assert stopped.value.code == "chain.write-failed"
    assert chain.failure is stopped.value
    store.fail = ""
    with pytest.raises(FatalError) as again:
        chain.produce(T0_MS)
    assert again.value is stopped.value
    if not survives:
        with pytest.raises(FatalError) as waited:
            chain.wait(lost_or_kept, 5)
        assert waited.value is stopped.value
    with pytest.raises(UnavailableError) as closed_door:
        chain.submit(bench.publish(1, "C"))
    assert closed_door.value.code == "chain.write-failed"
    opened.close()

    opened = Store.open(tmp_path / "chain")
    chain = EmbeddedChain.open(ChainStore(opened), genesis)
    assert chain.receipt(kept) is not None
    assert (chain.receipt(lost_or_kept) is not None) is survives
    assert chain.head().height == (2 if survives else 1)
    bench = Bench(chain=chain, contracts=Contracts.at(chain.call, contract_addresses()), members=members)
    assert bench.contracts.directory.dataset_count() == chain.head().height
    chain.submit(bench.publish(2, "D"))
    assert chain.produce(T0_MS) is not None
    opened.close()


def _then_drop_pending(write: Callable[[ExecutedBlock], None], chain: EmbeddedChain) -> Callable[[ExecutedBlock], None]:
    def write_and_drop(executed: ExecutedBlock) -> None:
        write(executed)
        chain.native.execute([], T0_MS, executed.height)

    return write_and_drop


@pytest.mark.parametrize(
    ("prefix", "code"),
    [(b"ss", "chain.root-mismatch"), (b"sh", "chain.row"), (b"b" + (1).to_bytes(8, "big"), "chain.head-mismatch")],
)
def test_a_damaged_folder_is_fatal_and_named(bench: Bench, genesis: bytes, prefix: bytes, code: str) -> None:
    bench.chain.submit(bench.publish(1, "A"))
    bench.chain.produce(T0_MS)
    rows = bench.chain.store._store
    key = next(key for key, _ in rows.scan(prefix))
    rows.delete(key)
    with pytest.raises(FatalError) as damaged:
        EmbeddedChain.open(bench.chain.store, genesis)
    assert damaged.value.code == code
    if code == "chain.root-mismatch":
        assert damaged.value.expected != damaged.value.actual
        assert None not in (damaged.value.expected, damaged.value.actual)


def test_kill_9_loses_no_acknowledged_transaction(
    members: tuple[DevMember, ...], genesis: bytes, tmp_path: Path
) -> None:
    """Five rounds; each kills the writer after another number of acknowledgements and opens the folder."""
    (tmp_path / "genesis.json").write_bytes(genesis)
    command = [sys.executable, str(Path(__file__).with_name("writer.py")), "chain", "genesis.json"]
    acknowledged: list[bytes] = []
    for round_ in range(5):
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, text=True
        ) as writer:
            assert writer.stdout is not None
            for _ in range(7 + 5 * round_):
                acknowledged.append(bytes.fromhex(writer.stdout.readline()))
            writer.send_signal(signal.SIGKILL)
            acknowledged += [bytes.fromhex(line) for line in writer.stdout.read().splitlines() if len(line) == 64]
        store = Store.open(tmp_path / "chain")
        chain = EmbeddedChain.open(ChainStore(store), genesis)
        assert all(chain.receipt(hash_) is not None for hash_ in acknowledged)
        nonces = sum(chain.nonce(member.account.address) for member in members)
        included = sum(len(chain.receipts(height)) for height in range(chain.head().height + 1))
        assert nonces == included >= len(acknowledged)
        chain.close()
        store.close()
    assert len(acknowledged) >= 5 * 7
