"""A small chain with known members: one without a block loop for step-by-step tests, one running behind HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ledger.chain.account import sign_transaction
from ledger.chain.bindings import Contracts
from ledger.chain.blocks import Receipt
from ledger.chain.devnet import CHAIN_ID, DevMember, Devnet, dev_genesis, dev_members
from ledger.chain.engine import EmbeddedChain
from ledger.chain.genesis import contract_addresses
from ledger.chain.jsonrpc import JsonRpc
from ledger.identifiers import dataset_id
from ledger.model import Level, Sharing
from ledger.storage.chainstate import ChainStore
from ledger.storage.store import Store

T0_MS = 1_795_000_000_000


@dataclass(slots=True)
class Bench:
    """A chain whose blocks the test makes itself, with shorthands for signing."""

    chain: EmbeddedChain
    contracts: Contracts
    members: tuple[DevMember, ...]
    now_ms: int = T0_MS + 1_000

    def sign(self, who: int, to: bytes, data: bytes, *, nonce: int | None = None, gas: int = 4_000_000) -> bytes:
        account = self.members[who].account
        if nonce is None:
            nonce = self.chain.pending_nonce(account.address)
        return sign_transaction(account, chain_id=CHAIN_ID, nonce=nonce, to=to, data=data, gas=gas)

    def publish(self, who: int, code: str, *, nonce: int | None = None, gas: int = 4_000_000) -> bytes:
        """A signed publication of a dataset: a transaction that changes state."""
        directory = self.contracts.directory
        data = directory.encode_publish(
            dataset_id(self.members[who].uscc, code),
            sharing=Sharing.CONDITIONAL,
            level=Level.GENERAL,
            metadata_digest=b"\x01" * 32,
            resource_code=code,
        )
        return self.sign(who, directory.address, data, nonce=nonce, gas=gas)

    def run(self, who: int, to: bytes, data: bytes) -> Receipt:
        """Send one transaction in a block of its own, a second later than the last."""
        hash_ = self.chain.submit(self.sign(who, to, data))
        self.now_ms += 1_000
        self.chain.produce(self.now_ms)
        receipt = self.chain.receipt(hash_)
        assert receipt is not None
        return receipt


@pytest.fixture(scope="session")
def members() -> tuple[DevMember, ...]:
    return dev_members()


@pytest.fixture(scope="session")
def genesis(members: tuple[DevMember, ...]) -> bytes:
    return dev_genesis(members, time_ms=T0_MS)


@pytest.fixture
def open_chain(genesis: bytes) -> Iterator[Callable[..., EmbeddedChain]]:
    """Opens chains in folders; closes them all at the end."""
    opened: list[tuple[EmbeddedChain, Store]] = []

    def open_(folder: Path, **options: object) -> EmbeddedChain:
        store = Store.open(folder)
        chain = EmbeddedChain.open(ChainStore(store), genesis, **options)  # type: ignore[arg-type]
        opened.append((chain, store))
        return chain

    yield open_
    for chain, store in opened:
        chain.close()
        store.close()


@pytest.fixture
def bench(open_chain: Callable[..., EmbeddedChain], tmp_path: Path, members: tuple[DevMember, ...]) -> Bench:
    chain = open_chain(tmp_path / "chain")
    return Bench(chain=chain, contracts=Contracts.at(chain.call, contract_addresses()), members=members)


@pytest.fixture(scope="module")
def devnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devnet]:
    """A running chain with JSON-RPC on loopback, one for a module."""
    with Devnet(tmp_path_factory.mktemp("devnet") / "chain") as net:
        yield net


@pytest.fixture(scope="module")
def rpc(devnet: Devnet) -> JsonRpc:
    return JsonRpc(devnet.chain)


@pytest.fixture(scope="module")
def published(devnet: Devnet) -> str:
    """The hash of an included transaction with one log."""
    member, contracts = devnet.members[1], Contracts.at(devnet.chain.call, contract_addresses())
    data = contracts.directory.encode_publish(
        dataset_id(member.uscc, "RPC"),
        sharing=Sharing.CONDITIONAL,
        level=Level.GENERAL,
        metadata_digest=b"\x01" * 32,
        resource_code="RPC",
    )
    raw = sign_transaction(
        member.account,
        chain_id=CHAIN_ID,
        nonce=devnet.chain.pending_nonce(member.account.address),
        to=contracts.directory.address,
        data=data,
    )
    hash_ = devnet.chain.submit(raw)
    devnet.chain.wait(hash_, 300)
    return "0x" + hash_.hex()


def ask(rpc: JsonRpc, method: str, *params: object) -> dict[str, Any]:
    """The answer to one call, its envelope checked."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}).encode()
    answer = json.loads(rpc.handle(body))
    assert answer["jsonrpc"] == "2.0"
    assert answer["id"] == 1
    assert ("result" in answer) != ("error" in answer)
    assert isinstance(answer, dict)
    return answer


def raw_of(devnet: Devnet, hash_: str) -> str:
    """The bytes of an included transaction, in hex."""
    found = devnet.chain.store.transaction(bytes.fromhex(hash_[2:]))
    assert found is not None
    return "0x" + found[0].transactions[found[1]].hex()
