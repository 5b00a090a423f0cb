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


class Spread:
    """The validators' nodes, as far as a node's own chain sees them."""

    def __init__(self) -> None:
        self.handed: list[bytes] = []
        self.away = False

    def __call__(self, raws: list[bytes]) -> None:
        if self.away:
            raise UnavailableError("chain.no-validator", "nobody answers")
        self.handed += raws


@pytest.fixture
def forwarded(
    open_chain: Callable[..., EmbeddedChain], bench: Bench, genesis: bytes, tmp_path: Path
) -> tuple[Bench, Spread, embedded.AbciServer]:
    """A node of a CometBFT network without its CometBFT: the test decides what is in a block."""
    chain, spread = open_chain(tmp_path / "node", engine=COMETBFT), Spread()
    server = embedded.open_application(chain.native, genesis, None)
    assert chain.forwarding is not None
    with pytest.raises(UnavailableError) as early:
        chain.submit(bench.publish(1, "A"))
    assert (early.value.code, chain.waiting()) == ("chain.starting", (0, 0, False))
    chain.forwarding.attach(server, spread)
    contracts = Contracts.at(chain.call, contract_addresses())
    return Bench(chain=chain, contracts=contracts, members=bench.members), spread, server


def test_what_the_pool_refuses_is_handed_to_nobody(forwarded: tuple[Bench, Spread, embedded.AbciServer]) -> None:
    node, spread, _ = forwarded
    good, far, rival = node.publish(1, "A"), node.publish(2, "B", nonce=90), node.publish(1, "C", nonce=0)
    raws = [good, b"\x02rubbish", far, rival, good]
    answers = node.chain.submit_many(raws)
    assert [answer.code for answer in answers] == ["", "tx.malformed", "tx.nonce-gap", "tx.nonce-taken", ""]
    assert [answer.hash for answer in answers] == [embedded.keccak256(raw) for raw in raws]
    assert spread.handed == [good, good]
    # What another member's node hands over stays here; only what was refused is answered.
    theirs = node.publish(2, "D")
    assert node.chain.forwarding is not None
    assert [one.code for one in node.chain.forwarding.receive([theirs, far])] == ["tx.nonce-gap"]
    assert spread.handed == [good, good]
    assert node.chain.waiting() == (2, len(good) + len(theirs), True)
    assert node.chain.waiting_transaction(embedded.keccak256(theirs)) == theirs
    assert node.chain.waiting_transaction(bytes(32)) is None


def test_what_waits_counts_for_the_next_nonce(forwarded: tuple[Bench, Spread, embedded.AbciServer]) -> None:
    node, spread, server = forwarded
    address = node.members[1].account.address
    raws = [node.publish(1, "A")]
    node.chain.submit(raws[0])
    assert node.chain.pending_nonce(address) == 1
    raws.append(node.publish(1, "B"))
    node.chain.submit(raws[1])
    assert node.chain.pending_nonce(address) == 2
    assert server.own(0.0) == raws == spread.handed
    # Nobody who proposes blocks answers: the caller hears of it, and it waits all the same.
    spread.away = True
    with pytest.raises(UnavailableError) as away:
        node.chain.submit(node.publish(1, "C"))
    assert (away.value.code, node.chain.waiting()[0]) == ("chain.no-validator", 3)
