"""The embedded chain: admission, blocks, waiting, following."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.chain.account import sign_transaction
from ledger.chain.bindings import Contracts
from ledger.chain.blocks import Receipt
from ledger.chain.devnet import CHAIN_ID, dev_member
from ledger.chain.embedded import read_transaction
from ledger.chain.engine import EmbeddedChain
from ledger.chain.genesis import contract_addresses
from ledger.chain.mempool import Admission, Pooled
from ledger.errors import (
    ConflictError,
    InvalidInputError,
    LedgerError,
    NotAllowedError,
    UnavailableError,
    UntrustedError,
)
from ledger.storage.chainstate import ChainStore, ExecutedBlock, StoredBlock

from .conftest import T0_MS, Bench

Opener = Callable[..., EmbeddedChain]


def test_a_chain_reopens_where_it_was(bench: Bench, open_chain: Opener, tmp_path: Path) -> None:
    receipt = bench.run(1, *_publish(bench, 1, "A"))
    before = bench.chain.head()
    bench.chain.close()
    bench.chain.store.close()
    again = open_chain(tmp_path / "chain")
    assert again.head() == before
    assert again.receipt(receipt.hash) == receipt
    assert again.nonce(bench.members[1].account.address) == 1


def test_an_included_transaction_has_a_receipt_a_place_and_an_effect(bench: Bench) -> None:
    raw = bench.publish(1, "A")
    hash_ = bench.chain.submit(raw)
    assert bench.chain.receipt(hash_) is None
    block = bench.chain.produce(T0_MS + 5_000)
    assert block is not None
    assert (block.height, block.transactions, block.transaction_hashes) == (1, (raw,), (hash_,))
    receipt = bench.chain.receipt(hash_)
    assert receipt is not None
    assert receipt.succeeded
    assert (receipt.height, receipt.block_hash, receipt.index, receipt.nonce) == (1, block.hash, 0, 0)
    assert receipt.sender == bench.members[1].account.address
    assert len(receipt.logs) == 1
    assert bench.chain.receipts(1) == (receipt,)
    assert bench.contracts.directory.dataset_count() == 1
    assert bench.contracts.directory.dataset_count(height=0) == 0
    assert bench.chain.head().time == (T0_MS + 5_000) // 1000


def test_a_revert_is_an_outcome_with_its_reason(bench: Bench) -> None:
    directory = bench.contracts.directory
    receipt = bench.run(1, directory.address, directory.encode_add_version(b"\x03" * 32, b"\x02" * 32, 1))
    assert not receipt.succeeded
    assert receipt.output
    assert receipt.logs == ()


def test_nothing_to_do_makes_no_block(bench: Bench) -> None:
    assert bench.chain.produce(T0_MS) is None
    bench.chain.submit(bench.publish(1, "B", nonce=1))
    assert bench.chain.produce(T0_MS) is None
    assert len(bench.chain.pool) == 1
    bench.chain.submit(bench.publish(1, "A", nonce=0))
    block = bench.chain.produce(T0_MS)
    assert block is not None
    assert [read_transaction(raw).nonce for raw in block.transactions] == [0, 1]


def test_admission_names_the_rule(bench: Bench) -> None:
    outsider = dev_member(99, "stranger", "Nobody")
    directory = bench.contracts.directory.address
    bench.run(1, *_publish(bench, 1, "A"))

    def signed(member: int | None, **changes: int) -> bytes:
        account = outsider.account if member is None else bench.members[member].account
        arguments = {"chain_id": CHAIN_ID, "nonce": 1, "gas": 100_000} | changes
        return sign_transaction(account, to=directory, data=b"", **arguments)

    cases: list[tuple[bytes, type[LedgerError], str]] = [
        (signed(None, nonce=0), NotAllowedError, "tx.not-member"),
        (signed(1, nonce=0), InvalidInputError, "tx.nonce-low"),
        (signed(1, nonce=66), InvalidInputError, "tx.nonce-gap"),
        (signed(1, chain_id=1), InvalidInputError, "tx.chain-id"),
        (signed(1, gas=20_000), InvalidInputError, "tx.gas"),
        (signed(1, gas=250_000_001), InvalidInputError, "tx.gas"),
        (b"\x02\x01", InvalidInputError, "tx.malformed"),
        (b"", InvalidInputError, "tx.malformed"),
    ]
    for raw, kind, code in cases:
        with pytest.raises(kind) as refused:
            bench.chain.submit(raw)
        assert refused.value.code == code
    create = sign_transaction(bench.members[1].account, chain_id=CHAIN_ID, nonce=1, to=None, data=b"\x60\x00")
    with pytest.raises(NotAllowedError) as refused_create:
        bench.chain.submit(create)
    assert refused_create.value.code == "tx.create-not-adopted"
    bench.chain.submit(signed(1, nonce=65))
    assert len(bench.chain.pool) == 1


def test_sending_again_is_harmless_before_and_after_the_block(bench: Bench) -> None:
    raw = bench.publish(1, "A")
    first = bench.chain.submit(raw)
    assert bench.chain.submit(raw) == first
    bench.chain.produce(T0_MS)
    assert bench.chain.submit(raw) == first
    assert bench.chain.produce(T0_MS) is None
    assert bench.contracts.directory.dataset_count() == 1


def test_many_are_answered_in_order(bench: Bench) -> None:
    raws = [bench.publish(1, "A", nonce=0), b"\x00", bench.publish(1, "B", nonce=1), bench.publish(1, "C", nonce=1)]
    codes = [admission.code for admission in bench.chain.submit_many(raws)]
    assert codes == ["", "tx.malformed", "", "tx.nonce-taken"]


def test_what_exceeds_the_members_share_goes_into_the_next_block(bench: Bench) -> None:
    hashes = [bench.chain.submit(bench.publish(1, code, gas=200_000_000)) for code in ("A", "B")]
    first = bench.chain.produce(T0_MS)
    assert first is not None
    assert first.transaction_hashes == (hashes[0],)
    assert bench.chain.pool.wait(0)
    second = bench.chain.produce(T0_MS)
    assert second is not None
    assert second.transaction_hashes == (hashes[1],)


def test_a_transaction_that_turns_out_invalid_is_dropped_and_its_waiter_told(bench: Bench) -> None:
    """As when its sender was suspended after admission."""
    outsider = dev_member(99, "stranger", "Nobody")
    raw = sign_transaction(outsider.account, chain_id=CHAIN_ID, nonce=0, to=bytes(20), data=b"")
    hash_ = read_transaction(raw).hash
    for accompanied in (False, True):
        bench.chain.pool.add(Pooled(hash=hash_, sender=outsider.account.address, nonce=0, raw=raw))
        if accompanied:
            bench.chain.submit(bench.publish(1, "A"))
        outcome = _in_background(lambda: bench.chain.wait(hash_, 20))
        _until(lambda: len(bench.chain._waiting) == 1)
        block = bench.chain.produce(T0_MS)
        assert (block is not None) is accompanied
        error = outcome()
        assert isinstance(error, NotAllowedError)
        assert error.code == "tx.not-member"
        assert bench.chain.pool.get(hash_) is None


def test_a_waiter_gets_the_receipt_of_its_block(bench: Bench) -> None:
    raw = bench.publish(1, "A")
    hash_ = bench.chain.submit(raw)
    outcome = _in_background(lambda: bench.chain.wait(hash_, 20))
    _until(lambda: len(bench.chain._waiting) == 1)
    bench.chain.produce(T0_MS)
    receipt = outcome()
    assert isinstance(receipt, Receipt)
    assert receipt == bench.chain.receipt(hash_)
    assert bench.chain.wait(hash_, 0) == receipt
    assert len(bench.chain._waiting) == 0


def test_waiting_ends_with_a_reason(bench: Bench) -> None:
    with pytest.raises(UnavailableError) as late:
        bench.chain.wait(bytes(32), 0)
    assert late.value.code == "chain.timeout"
    assert "doctor" in late.value.hint
    outcome = _in_background(lambda: bench.chain.wait(bytes(32), 20))
    _until(lambda: len(bench.chain._waiting) == 1)
    bench.chain.close()
    error = outcome()
    assert isinstance(error, UnavailableError)
    assert error.code == "chain.closed"
    for refused in (lambda: bench.chain.produce(T0_MS), lambda: bench.chain.submit(b"")):
        with pytest.raises(UnavailableError) as closed:
            refused()
        assert closed.value.code == "chain.closed"


def test_a_block_is_seen_with_its_state_and_not_before(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """On disk and not yet the head: whoever got the receipt now would read the state before it."""
    hash_ = bench.chain.submit(bench.publish(1, "A"))
    seen: list[object] = []
    write = ChainStore.write_block

    def write_and_look(store: ChainStore, executed: ExecutedBlock) -> None:
        write(store, executed)
        if store is not bench.chain.store:
            return
        assert bench.chain.store.block(1) is not None
        seen.extend((bench.chain.receipt(hash_), bench.chain.transaction(hash_), bench.chain.block(1)))
        with pytest.raises(UnavailableError):
            bench.chain.wait(hash_, 0)

    monkeypatch.setattr(ChainStore, "write_block", write_and_look)
    block = bench.chain.produce(T0_MS)
    assert seen == [None, None, None]
    assert bench.chain.receipt(hash_) is not None
    assert bench.chain.transaction(hash_) == (block, 0)
    assert bench.chain.block(1) == block


def test_subscribers_see_every_block_in_order_and_cannot_break_it(bench: Bench) -> None:
    seen: list[int] = []

    def faulty(_block: StoredBlock) -> None:
        raise RuntimeError("listener")

    bench.chain.subscribe(faulty)
    end = bench.chain.subscribe(lambda block: seen.append(block.height))
    for code in ("A", "B"):
        bench.run(1, *_publish(bench, 1, code))
    end()
    bench.run(1, *_publish(bench, 1, "C"))
    assert seen == [1, 2]
    assert bench.chain.head().height == 3


# --- followers ---
def test_a_follower_re_executes_every_block_and_forwards(bench: Bench, open_chain: Opener, tmp_path: Path) -> None:
    follower = open_chain(tmp_path / "follower", forward=bench.chain.submit_many)
    assert follower.is_follower
    bench.chain.subscribe(lambda block: follower.import_block(block.header, block.transactions))
    hash_ = follower.submit(bench.publish(2, "A"))
    with pytest.raises(NotAllowedError):
        follower.submit(
            sign_transaction(dev_member(99, "stranger", "").account, chain_id=CHAIN_ID, nonce=0, to=None, data=b"")
        )
    bench.chain.produce(T0_MS + 9_000)
    assert follower.head() == bench.chain.head()
    assert follower.receipt(hash_) == bench.chain.receipt(hash_)
    here = Contracts.at(follower.call, contract_addresses())
    assert here.directory.dataset_count() == 1


def test_a_follower_refuses_what_does_not_follow(bench: Bench, open_chain: Opener, tmp_path: Path) -> None:
    follower = open_chain(tmp_path / "follower", forward=lambda raws: [Admission(hash=bytes(32)) for _ in raws])
    blocks: list[StoredBlock] = []
    bench.chain.subscribe(blocks.append)
    bench.run(1, *_publish(bench, 1, "A"))
    bench.run(2, *_publish(bench, 2, "B"))
    first, second = blocks
    with pytest.raises(ConflictError) as gap:
        follower.import_block(second.header, second.transactions)
    assert gap.value.code == "block.gap"
    with pytest.raises(UntrustedError):
        follower.import_block(first.header, ())
    with pytest.raises(UntrustedError):
        follower.import_block(first.header, second.transactions)
    with pytest.raises(InvalidInputError) as junk:
        follower.import_block(first.header + b"\0", first.transactions)
    assert junk.value.code.startswith("header.")
    assert follower.head().height == 0
    assert follower.import_block(first.header, first.transactions).hash == first.hash
    assert follower.import_block(first.header, first.transactions) == first
    assert follower.import_block(second.header, second.transactions).height == 2
    assert follower.head() == bench.chain.head()


def test_a_second_block_of_one_height_is_called_a_fork(
    bench: Bench, open_chain: Opener, tmp_path: Path, genesis: bytes
) -> None:
    follower = open_chain(tmp_path / "follower")
    twin = open_chain(tmp_path / "twin")
    ours = _one_block(bench, bench.publish(1, "A"))
    follower.import_block(ours.header, ours.transactions)
    other = _one_block(replace(bench, chain=twin), bench.publish(2, "B", nonce=0))
    with pytest.raises(UntrustedError) as fork:
        follower.import_block(other.header, other.transactions)
    assert fork.value.code == "block.fork"
    assert (fork.value.expected, fork.value.actual) == (ours.hash, other.hash)
    assert follower.head().hash == ours.hash


def test_another_genesis_is_refused(bench: Bench, open_chain: Opener, tmp_path: Path, genesis: bytes) -> None:
    other = genesis.replace(b'"Audit Office"', b'"Audit Bureau"')
    assert other != genesis
    with pytest.raises(ConflictError) as refused:
        EmbeddedChain.open(bench.chain.store, other)
    assert refused.value.code == "chain.other-genesis"


def _publish(bench: Bench, who: int, code: str) -> tuple[bytes, bytes]:
    transaction = read_transaction(bench.publish(who, code))
    assert transaction.to is not None
    return transaction.to, transaction.input


def _one_block(bench: Bench, raw: bytes) -> StoredBlock:
    bench.chain.submit(raw)
    block = bench.chain.produce(T0_MS)
    assert block is not None
    return block


def _in_background(run: Callable[[], object]) -> Callable[[], object]:
    """Run on a thread; the function returned joins it and gives the result or the error."""
    box: list[object] = []

    def target() -> None:
        try:
            box.append(run())
        except LedgerError as error:
            box.append(error)

    thread = threading.Thread(target=target)
    thread.start()

    def join() -> object:
        thread.join(300)
        assert box, "the thread did not end"
        return box[0]

    return join


def _until(true: Callable[[], bool]) -> None:
    """Spin until another thread got there."""
    tick = threading.Event()
    for _ in range(20_000):
        if true():
            return
        tick.wait(0.001)
    raise AssertionError("never happened")
