"""The engines under one suite: each a running chain of the same five members, behind one set of words.

A further engine is a context manager that yields a :class:`Running`, and a line in ``ENGINES``.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ledger.chain.account import TransactionSender, sign_transaction
from ledger.chain.bindings import Contracts
from ledger.chain.blocks import ChainHead, Receipt
from ledger.chain.devnet import CHAIN_ID, DevMember, dev_genesis, dev_member, dev_members
from ledger.chain.engine import EmbeddedChain
from ledger.chain.external import ExternalChain
from ledger.chain.external_deploy import deploy
from ledger.chain.external_link import RpcLink
from ledger.chain.genesis import contract_addresses
from ledger.chain.mempool import Admission
from ledger.chain.sequencer import BlockLoop
from ledger.errors import LedgerError
from ledger.evidence.checkpoint import quorum_of
from ledger.evidence.finality import Head, Validator, make_solo, sign_head, verify_solo
from ledger.identifiers import dataset_id
from ledger.model import KeyRole, Level, Sharing
from ledger.storage.chainstate import ChainStore, StoredBlock
from ledger.storage.store import Store
from tests.native_chain import anvil

#: For whatever must happen at all, on a machine however loaded.
PATIENCE_S = 300.0


class Engine(Protocol):
    """What every engine can do."""

    @property
    def chain_id(self) -> int: ...
    @property
    def failure(self) -> LedgerError | None: ...
    def head(self) -> ChainHead: ...
    def call(self, to: bytes, data: bytes, height: int | None = None) -> bytes: ...
    def block(self, which: int | bytes) -> StoredBlock | None: ...
    def transaction(self, transaction: bytes) -> tuple[StoredBlock, int] | None: ...
    def receipt(self, transaction: bytes) -> Receipt | None: ...
    def receipts(self, height: int) -> tuple[Receipt, ...]: ...
    def nonce(self, address: bytes) -> int: ...
    def pending_nonce(self, address: bytes) -> int: ...
    def submit(self, raw: bytes) -> bytes: ...
    def submit_many(self, raws: Sequence[bytes]) -> list[Admission]: ...
    def wait(self, transaction: bytes, timeout: float) -> Receipt: ...
    def subscribe(self, callback: Callable[[StoredBlock], None]) -> Callable[[], None]: ...


@dataclass(slots=True, kw_only=True)
class Running:
    """A running chain.

    ``rules``: members only is a rule of the chain itself, so that an outsider's transaction is not taken; else the
    contracts alone see to it and it reverts. ``finality``: what ``prove`` reaches for a block. ``restart`` ends the
    engine as a process would and opens it again from what it keeps; ``chain`` is another one then.
    """

    name: str
    chain: Engine
    addresses: Mapping[str, bytes]
    members: Sequence[DevMember]
    rules: bool
    finality: str
    proof: Callable[[bytes, Sequence[bytes], int | None], Mapping[str, Any]]
    prove: Callable[[int], str]
    restart: Callable[[], None]
    _codes: Iterator[int] = field(default_factory=itertools.count)

    @property
    def contracts(self) -> Contracts:
        """Bindings over the engine's own reading."""
        return Contracts.at(self.chain.call, self.addresses)

    def sign(self, member: DevMember, to: bytes | None, data: bytes, nonce: int, **other: int) -> bytes:
        """A raw transaction of a member."""
        chain_id = other.pop("chain_id", self.chain.chain_id)
        return sign_transaction(member.account, chain_id=chain_id, nonce=nonce, to=to, data=data, **other)

    def next_nonce(self, who: int) -> int:
        """The member's next nonce behind whatever waits."""
        return self.chain.pending_nonce(self.members[who].account.address)

    def run(self, who: int, to: bytes, data: bytes) -> Receipt:
        """Send one transaction of a member and wait for it."""
        raw = self.sign(self.members[who], to, data, self.next_nonce(who))
        return self.chain.wait(self.chain.submit(raw), PATIENCE_S)

    def sender(self, who: int) -> TransactionSender:
        """The product's way of sending as this member."""
        return TransactionSender(
            self.members[who].account,
            chain_id=self.chain.chain_id,
            nonce=self.chain.nonce,
            submit=self.chain.submit,
            wait=self.chain.wait,
        )

    def dataset(self, who: int) -> tuple[bytes, bytes]:
        """(id, calldata of its publication) of a dataset never published before."""
        code = f"{self.name}-{next(self._codes)}"
        id_ = dataset_id(self.members[who].uscc, code)
        data = self.contracts.directory.encode_publish(
            id_,
            sharing=Sharing.CONDITIONAL,
            level=Level.GENERAL,
            metadata_digest=b"\x01" * 32,
            resource_code=code,
        )
        return id_, data


def outsider() -> DevMember:
    """Somebody with an account and no membership."""
    return dev_member(77, "outsider", "Nobody")


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@contextmanager
def solo(folder: Path) -> Iterator[Running]:
    """The embedded chain with its block loop."""
    members = dev_members()
    genesis = dev_genesis(members, time_ms=now_ms())
    opened: list[tuple[Store, EmbeddedChain, BlockLoop]] = []

    def open_() -> EmbeddedChain:
        store = Store.open(folder)
        chain = EmbeddedChain.open(ChainStore(store), genesis)
        loop = BlockLoop(chain, clock=now_ms, interval_s=0.0)
        loop.start()
        opened.append((store, chain, loop))
        return chain

    def close() -> None:
        store, chain, loop = opened.pop()
        loop.stop()
        chain.close()
        store.close()

    def restart() -> None:
        close()
        running.chain = open_()

    def proof(address: bytes, slots: Sequence[bytes], height: int | None) -> Mapping[str, Any]:
        return opened[0][1].native.proof(address, list(slots), height=height)

    def prove(height: int) -> str:
        chain = opened[0][1]
        block = chain.block(height)
        assert block is not None
        head = Head(chain=chain.genesis_digest, height=height, hash=block.hash, time_ms=now_ms())
        signers = [member.signer(KeyRole.SEQUENCER) for member in members]
        trusted = [
            Validator(key=signer.public, member=member.uscc, sequencer=place == 0)
            for place, (signer, member) in enumerate(zip(signers, members, strict=True))
        ]
        first, *others = (sign_head(signer, head) for signer in signers)
        quorum = quorum_of(len(members))
        return verify_solo(make_solo(first, others, quorum), trusted, quorum, exact=True).kind

    running = Running(
        name="solo",
        chain=open_(),
        addresses=contract_addresses(),
        members=members,
        rules=True,
        finality="single-signer",
        proof=proof,
        prove=prove,
        restart=restart,
    )
    try:
        yield running
    finally:
        close()


@contextmanager
def external(folder: Path) -> Iterator[Running]:
    """Our contracts on anvil, which stands for any EVM network; it makes a block for each transaction."""
    members = dev_members()
    deployer = dev_member(78, "deployer", "Operator").account
    with anvil.running("--chain-id", str(CHAIN_ID), "--gas-limit", "1000000000") as network:
        network.call("evm_setAutomine", True)
        deployment = deploy(RpcLink(network.url), deployer, [member.founder for member in members])
        opened: list[ExternalChain] = []

        def open_(since: tuple[int, bytes] | None) -> ExternalChain:
            chain = ExternalChain.open(RpcLink(network.url), deployment, since=since, poll_s=0.1)
            opened.append(chain)
            return chain

        def restart() -> None:
            head = opened[0].head()
            opened.pop().close()
            running.chain = open_((head.height, head.hash))

        running = Running(
            name="external",
            chain=open_(None),
            addresses=deployment.contracts,
            members=members,
            rules=False,
            finality="unproven",
            proof=lambda address, slots, height: opened[0].proof(address, slots, height),
            # anvil seals nothing: there is no proof to be had of its blocks.
            prove=lambda height: "unproven",
            restart=restart,
        )
        try:
            yield running
        finally:
            opened.pop().close()


ENGINES: dict[str, Callable[[Path], AbstractContextManager[Running]]] = {"solo": solo, "external": external}
