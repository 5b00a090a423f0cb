"""Keeping what a consensus decided: one batch a height, nothing half after a crash, snapshots in the place of rows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from ledger.chain import embedded
from ledger.chain.bindings import Contracts
from ledger.chain.devnet import DevMember
from ledger.chain.engine import COMETBFT, EmbeddedChain
from ledger.chain.genesis import contract_addresses
from ledger.chain.mempool import Admission
from ledger.errors import FatalError, InvalidInputError, LedgerError, UnavailableError
from ledger.storage.chainstate import ChainStore, ConsensusCommit, ExecutedBlock
from ledger.storage.store import Store

from .conftest import T0_MS, Bench


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One consensus height, as the ABCI server hands it over."""

    height: int
    time_ms: int = T0_MS
    block: ExecutedBlock | None = None
    consensus: bytes = b"row"
    refused: Sequence[tuple[bytes, str, str]] = ()
    restored: Iterable[tuple[bytes, bytes]] | None = None


def decide(chain: EmbeddedChain, height: int, *raws: bytes) -> Commit:
    """What a consensus would ask to commit after ordering these transactions at a height."""
    block = chain.native.execute(list(raws), T0_MS + 1_000 * height, height)
    return Commit(height=height, time_ms=T0_MS + 1_000 * height, block=block, consensus=b"row %d" % height)


def test_a_height_with_a_block_and_one_without(bench: Bench) -> None:
    chain, seen = bench.chain, []
    chain.subscribe(lambda block: seen.append(block.height))
    assert (chain.store.consensus, chain.store.consensus_at) == (None, None)
    raw = bench.publish(1, "A")
    commit = decide(chain, 5, raw)
    order: list[str] = []

    def committed() -> None:
        order.append("committed")
        assert chain.store.consensus == b"row 5", "what CometBFT hears as kept is on disk"
        assert chain.block(1) is None, "and not yet visible"
        chain.native.commit()

    block = chain.adopt(commit, committed)
    assert block is not None
    assert (order, seen, block.height, block.transactions) == (["committed"], [1], 1, (raw,))
    assert chain.block(1) == block
    receipt = chain.receipt(block.transaction_hashes[0])
    assert receipt is not None
    assert receipt.succeeded
    assert chain.adopt(Commit(height=6, time_ms=T0_MS + 60_000, consensus=b"row 6"), lambda: None) is None
    assert (chain.store.consensus, chain.store.consensus_at) == (b"row 6", (6, T0_MS + 60_000))
    assert (seen, chain.head().height) == ([1], 1)


def test_waiters_hear_of_their_block_and_of_refusals(bench: Bench) -> None:
    chain = bench.chain
    raw, outsider = bench.publish(1, "A"), bench.publish(2, "B", nonce=7)
    heard: dict[bytes, object] = {}

    def wait(raw: bytes) -> None:
        try:
            heard[raw] = chain.wait(embedded.keccak256(raw), 300)
        except LedgerError as error:
            heard[raw] = error

    threads = [threading.Thread(target=wait, args=(one,)) for one in (raw, outsider)]
    for thread in threads:
        thread.start()
    while len(chain._waiting) < 2:
        threads[0].join(0.01)
    refused = (embedded.keccak256(outsider), "tx.nonce-low", "the nonce is used up")
    commit = decide(chain, 1, raw)
    chain.adopt(
        Commit(height=1, block=commit.block, refused=(refused, (b"\x01" * 32, "tx.block-full", "later"))),
        chain.native.commit,
    )
    for thread in threads:
        thread.join(300)
    assert heard[raw] == chain.receipt(embedded.keccak256(raw))
    refusal = heard[outsider]
    assert isinstance(refusal, InvalidInputError)
    assert refusal.code == "tx.nonce-low"


class FaultyStore(ChainStore):
    """Fails at one step of storing a height: before it, or after it is on disk."""

    fail = ""

    def write_commit(self, commit: ConsensusCommit, executed: ExecutedBlock | None) -> None:
        if self.fail == "before":
            raise UnavailableError("disk.full", "no space is left")
        super().write_commit(commit, executed)
        if self.fail == "after":
            raise OSError("the answer of the disk got lost")


@pytest.mark.parametrize("with_block", [True, False])
@pytest.mark.parametrize(("step", "survives"), [("before", False), ("after", True), ("answer", True)])
def test_a_height_is_kept_whole_or_not_at_all(
    members: tuple[DevMember, ...], genesis: bytes, tmp_path: Path, step: str, survives: bool, with_block: bool
) -> None:
    opened = Store.open(tmp_path / "chain")
    store = FaultyStore(opened)
    chain = EmbeddedChain.open(store, genesis, engine=COMETBFT)
    bench = Bench(chain=chain, contracts=Contracts.at(chain.call, contract_addresses()), members=members)
    first = bench.publish(1, "A")
    chain.adopt(decide(chain, 1, first), chain.native.commit)
    second = bench.publish(1, "B")
    commit = decide(chain, 2, second) if with_block else Commit(height=2, consensus=b"row 2")

    def committed() -> None:
        if step == "answer":
            raise OSError("killed before the answer")
        chain.native.commit()

    store.fail = step
    with pytest.raises(FatalError) as stopped:
        chain.adopt(commit, committed)
    assert stopped.value.code == "chain.write-failed"
    assert "consensus height 2" in stopped.value.message
    store.fail = ""
    with pytest.raises(FatalError) as again:
        chain.adopt(commit, committed)
    assert again.value is stopped.value
    opened.close()

    opened = Store.open(tmp_path / "chain")
    chain = EmbeddedChain.open(ChainStore(opened), genesis, engine=COMETBFT)
    assert chain.receipt(embedded.keccak256(first)) is not None
    assert (chain.receipt(embedded.keccak256(second)) is not None) is (survives and with_block)
    assert chain.head().height == (2 if survives and with_block else 1)
    assert chain.store.consensus == (b"row 2" if survives else b"row 1"), "the row tells CometBFT what to replay"
    opened.close()


def test_a_snapshot_takes_the_place_of_every_row_and_its_head_needs_no_block(
    bench: Bench, genesis: bytes, tmp_path: Path
) -> None:
    donor = bench.chain
    for code in ("A", "B", "C"):
        donor.submit(bench.publish(1, code))
        donor.produce(T0_MS)
    rows = list(donor.store.load_rows())
    with Store.open(tmp_path / "late") as opened:
        late = EmbeddedChain.open(ChainStore(opened), genesis, engine=COMETBFT)

        def killed() -> None:
            raise OSError("killed before the answer")

        with pytest.raises(FatalError):
            late.adopt(Commit(height=9, consensus=b"restored", restored=rows), killed)
    with Store.open(tmp_path / "late") as opened:
        store = ChainStore(opened)
        assert store.awaits_base
        late = EmbeddedChain.open(store, genesis, engine=COMETBFT)
        head = donor.head()
        assert late.head() == head
        assert not store.awaits_base
        assert (store.header(3), store.block(3), store.header(2)) == ((head.hash, head.header), None, None)
        contracts = Contracts.at(late.call, contract_addresses())
        assert contracts.directory.dataset_count() == 3
        raw = bench.publish(2, "D")
        assert late.adopt(decide(late, 10, raw), late.native.commit) is not None
        assert late.head().height == 4
    with Store.open(tmp_path / "late") as opened:
        assert EmbeddedChain.open(ChainStore(opened), genesis, engine=COMETBFT).head().height == 4


class Pool:
    """CometBFT's pool, as far as a node sees it."""

    def __init__(self) -> None:
        self.held: list[bytes] = []
        self.full = False

    def __call__(self, raws: list[bytes]) -> list[Admission]:
        if self.full:
            return [Admission(hash=embedded.keccak256(raw), code="tx.pool-full", message="full") for raw in raws]
        self.held += raws
        return [Admission(hash=embedded.keccak256(raw)) for raw in raws]


@pytest.fixture
def forwarded(open_chain: Callable[..., EmbeddedChain], bench: Bench, tmp_path: Path) -> tuple[Bench, Pool]:
    """A node of a CometBFT network whose pool the test plays."""
    pool = Pool()
    chain = open_chain(tmp_path / "node", forward=pool, engine=COMETBFT)
    contracts = Contracts.at(chain.call, contract_addresses())
    return Bench(chain=chain, contracts=contracts, members=bench.members), pool


def test_what_the_state_refuses_never_reaches_the_pool(forwarded: tuple[Bench, Pool]) -> None:
    node, pool = forwarded
    good, far = node.publish(1, "A"), node.publish(2, "B", nonce=90)
    answers = node.chain.submit_many([good, b"\x02rubbish", far])
    assert [answer.code for answer in answers] == ["", "tx.malformed", "tx.nonce-gap"]
    assert [answer.hash for answer in answers] == [embedded.keccak256(raw) for raw in (good, b"\x02rubbish", far)]
    assert pool.held == [good]


def test_what_waits_counts_for_the_next_nonce_and_is_handed_in_again(forwarded: tuple[Bench, Pool]) -> None:
    node, pool = forwarded
    address = node.members[1].account.address
    raws = [node.publish(1, "A")]
    node.chain.submit(raws[0])
    assert node.chain.pending_nonce(address) == 1
    raws.append(node.publish(1, "B"))
    node.chain.submit(raws[1])
    assert node.chain.forwarding is not None
    pool.held.clear()
    assert node.chain.forwarding.again() == 2
    assert pool.held == raws
    # Another transaction with that nonce came to the validators by another way.
    rival = node.publish(1, "C", nonce=0)
    node.chain.adopt(decide(node.chain, 1, rival), node.chain.native.commit)
    assert node.chain.forwarding.again() == 1
    assert node.chain.pending_nonce(address) == 2
    assert node.chain.submit_many([raws[0]])[0].code == "tx.nonce-low"
    assert node.chain.submit_many([rival])[0].admitted, "what is in a block already is no error"


def test_what_the_pool_refuses_is_not_remembered(forwarded: tuple[Bench, Pool]) -> None:
    node, pool = forwarded
    pool.full = True
    with pytest.raises(UnavailableError) as refused:
        node.chain.submit(node.publish(1, "A"))
    assert refused.value.code == "tx.pool-full"
    assert node.chain.pending_nonce(node.members[1].account.address) == 0
