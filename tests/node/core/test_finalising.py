"""Which blocks of a BFT network get their proof, from which header, and when; the proofs have tests of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ledger.chain.account import sign_transaction
from ledger.chain.devnet import CHAIN_ID, dev_genesis, dev_members
from ledger.chain.engine import COMETBFT, EmbeddedChain
from ledger.errors import NotFoundError, UnavailableError, UntrustedError
from ledger.evidence.finality import Head
from ledger.storage.chainstate import ChainStore, ExecutedBlock
from ledger.storage.store import Store
from node.chain import finalising
from node.chain.board import CometBoard
from node.metrics import Metrics
from tests.node.core.makers import NOW_MS

SET_A, SET_B = (b"\x0a" * 32,), (b"\x0b" * 32,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    height: int
    time_ms: int = NOW_MS
    block: ExecutedBlock | None = None
    consensus: bytes = b"row"
    refused: Sequence[tuple[bytes, str, str]] = ()
    restored: Iterable[tuple[bytes, bytes]] | None = None


class Source:
    """CometBFT's RPC: which consensus heights were asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.away = False
        self.oldest = 0

    def commit(self, height: int) -> bytes:
        if self.away:
            raise UnavailableError("comet.unreachable", "not there")
        if height < self.oldest:
            raise NotFoundError("comet.height", "not kept")
        self.asked.append(height)
        return b"%d" % height

    def validators(self, height: int) -> bytes:
        return b"%d" % height


class Bench:
    """A chain that the test moves on by consensus heights, and the maker of its proofs, run step by step."""

    def __init__(self, chain: EmbeddedChain, monkeypatch: pytest.MonkeyPatch) -> None:
        self.chain = chain
        self.source = Source()
        self.height = 0
        self.previous: list[int | None] = []
        self.kept: list[int] = []
        self.named = b"v"
        self.elders: list[bytes] = []
        self.asked_elders: list[int] = []

        def ask(height: int) -> list[bytes]:
            self.asked_elders.append(height)
            return self.elders

        self._ask = ask

        def block_hash(height: int) -> bytes | None:
            found = chain.store.header(height)
            return None if found is None else found[0]

        def make(*, chain: bytes, height: int, light: bytes, previous: Any) -> Any:
            self.previous.append(None if previous is None else previous.head.height)
            head = Head(chain=chain, height=height, hash=block_hash(height) or b"", time_ms=NOW_MS)
            light_of = SimpleNamespace(validators_hash=b"v", next_validators_hash=self.named)
            return SimpleNamespace(head=head, height=height, light=light_of, handover=())

        monkeypatch.setattr(finalising, "light_block", lambda commit, validators: commit)
        monkeypatch.setattr(finalising, "make_bft", make)
        self.board = CometBoard(
            clock=lambda: NOW_MS,
            block_hash=block_hash,
            is_validator=lambda: True,
            store=lambda finality: self.kept.append(finality.head.height),
            stored=None,
            oldest_time_ms=NOW_MS,
        )
        self.maker = self.remade()

    def remade(self) -> finalising.Finalising:
        """As after a restart."""
        return finalising.Finalising(
            chain=self.chain,
            board=self.board,
            source=self.source,
            metrics=Metrics(),
            on_fatal=lambda error: None,
            elders=self._ask,
        )

    def pass_height(self, *, block: bool = False, validators: tuple[bytes, ...] = SET_A) -> None:
        """One consensus height, with a block or without."""
        self.height += 1
        account = dev_members()[1].account
        nonce = self.chain.nonce(account.address)
        raw = sign_transaction(account, chain_id=CHAIN_ID, nonce=nonce, to=bytes(19) + b"\x01", data=b"")
        made = self.chain.native.execute([raw], NOW_MS, self.height) if block else None
        commit = Commit(height=self.height, block=made)
        stored = self.chain.adopt(commit, self.chain.native.commit if block else lambda: None)
        self.board.reached(self.height, NOW_MS)
        self.maker.executed(None if stored is None else stored.height, validators)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with Store.open(tmp_path / "chain") as store:
        genesis = dev_genesis(dev_members(), time_ms=NOW_MS)
        yield Bench(EmbeddedChain.open(ChainStore(store), genesis, engine=COMETBFT), monkeypatch)


def test_a_block_is_final_by_the_header_after_it_idle_or_not(bench: Bench) -> None:
    bench.maker._step()
    assert bench.kept == [], "nothing is signed yet"
    bench.pass_height()
    bench.maker._step()
    assert (bench.kept, bench.source.asked) == ([0], [1]), "the genesis block is what the first header carries"
    bench.pass_height(block=True)
    bench.maker._step()
    assert bench.kept == [0], "its own header does not carry it"
    bench.pass_height()
    bench.pass_height()
    bench.maker._step()
    assert (bench.kept, bench.source.asked) == ([0, 1], [1, 3])
    assert bench.board.wait_final(1, 0) is not None
    assert bench.previous == [None, 0]


def test_every_block_gets_its_proof_in_order_while_the_node_keeps_up(bench: Bench) -> None:
    for _ in range(6):
        bench.pass_height(block=True)
    bench.maker._step()
    assert bench.kept == [0, 1, 2, 3, 4, 5]
    bench.pass_height()
    bench.maker._step()
    assert bench.kept[-1] == 6


def test_far_behind_only_changes_of_the_validators_and_the_newest_are_proven(bench: Bench) -> None:
    bench.pass_height(block=True)
    bench.pass_height()
    bench.maker._step()
    for number in range(40):
        bench.pass_height(block=True, validators=SET_A if number < 20 else SET_B)
    bench.maker._step()
    assert bench.kept == [0, 1, 22, 40], "22 is the first under the other set; 41 is not signed yet"
    assert bench.previous == [None, 0, 1, 22]
    bench.pass_height()
    bench.maker._step()
    assert bench.kept[-1] == 41


def test_what_happened_before_this_run_is_proven_block_by_block(bench: Bench) -> None:
    for _ in range(20):
        bench.pass_height(block=True)
    bench.pass_height()
    bench.maker = bench.remade()
    bench.maker._step()
    assert bench.kept == list(range(21)), "which of them changed the validators is not known any more"


def test_cometbft_away_is_tried_again(bench: Bench) -> None:
    bench.pass_height(block=True)
    bench.pass_height()
    bench.source.away = True
    with pytest.raises(UnavailableError):
        bench.maker._step()
    bench.source.away = False
    bench.maker._step()
    assert bench.kept == [0, 1]


def test_headers_from_before_a_snapshot_are_left_out(bench: Bench) -> None:
    for _ in range(3):
        bench.pass_height(block=True)
    bench.source.oldest = 4
    bench.maker._step()
    assert bench.kept == [], "block 2 is carried by header 3, and 3 is not final yet"
    bench.pass_height()
    bench.maker._step()
    assert (bench.kept, bench.source.asked) == ([3], [4])
    assert bench.previous == [None], "the hand-over begins anew"
    bench.pass_height(block=True)
    bench.pass_height()
    bench.maker._step()
    assert bench.kept == [3, 4]


def test_a_finality_of_another_block_is_refused(bench: Bench) -> None:
    wrong: Any = SimpleNamespace(head=Head(chain=bytes(32), height=0, hash=b"\x09" * 32, time_ms=NOW_MS))
    with pytest.raises(UntrustedError) as refused:
        bench.board.finalise(wrong)
    assert refused.value.code == "head.block"
    known: Callable[[], int] = bench.board.final_height
    assert (known(), bench.board.finality) == (0, None)


def test_a_node_that_joined_late_takes_the_hand_over_from_the_others(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    inherited: list[bytes] = []

    def inherit(finality: Any, other: bytes) -> Any:
        if other == b"bad":
            raise UntrustedError("finality.handover", "made up")
        inherited.append(other)
        return finality

    monkeypatch.setattr(finalising, "decode_bft", lambda encoded: encoded)
    monkeypatch.setattr(finalising, "inherit", inherit)
    bench.elders = [b"bad", b"good", b"another"]
    for _ in range(3):
        bench.pass_height(block=True)
    bench.source.oldest = 4
    bench.pass_height()
    bench.maker._step()
    assert (bench.kept, bench.asked_elders, inherited) == ([3], [3], [b"good"])
    bench.pass_height(block=True)
    bench.pass_height()
    bench.maker._step()
    assert (bench.kept, bench.asked_elders) == ([3, 4], [3]), "from then on it sees every change itself"
    bench.named = b"others"
    bench.pass_height(block=True)
    bench.pass_height(block=True)
    bench.pass_height()
    bench.elders = [b"bad"]
    bench.maker._step()
    assert (bench.kept[-1], bench.asked_elders, inherited) == (6, [3, 6], [b"good"]), "it begins anew without them"


def test_the_genesis_block_has_nothing_before_it(bench: Bench) -> None:
    bench.pass_height()
    bench.maker._step()
    assert (bench.kept, bench.asked_elders) == ([0], [])
