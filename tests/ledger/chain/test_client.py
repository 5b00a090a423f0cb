"""The HTTP client: typed answers, checked headers, refusals under their own codes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ledger.chain.account import TransactionSender, sign_transaction
from ledger.chain.bindings import Contracts
from ledger.chain.client import ChainClient
from ledger.chain.devnet import CHAIN_ID, Devnet, dev_member
from ledger.chain.genesis import contract_addresses
from ledger.errors import (
    InvalidInputError,
    LedgerError,
    NotAllowedError,
    NotFoundError,
    UnavailableError,
    UntrustedError,
)
from ledger.identifiers import dataset_id
from ledger.model import Level, Sharing


@pytest.fixture(scope="module")
def client(devnet: Devnet) -> ChainClient:
    return ChainClient(devnet.url)


def test_it_reads_what_the_chain_holds(client: ChainClient, devnet: Devnet) -> None:
    assert client.chain_id() == CHAIN_ID
    assert client.head() == devnet.chain.head()
    genesis = client.block(0)
    assert genesis is not None
    assert genesis.height == 0
    assert client.block(10**6) is None
    remote = Contracts.at(client.call, contract_addresses())
    here = Contracts.at(devnet.chain.call, contract_addresses())
    assert remote.consortium.members() == here.consortium.members()
    assert remote.consortium.keys(devnet.members[0].uscc) == here.consortium.keys(devnet.members[0].uscc)
    assert remote.directory.dataset(b"\x01" * 32) is None
    assert remote.consortium.active_count(height=0) == 5


def test_it_sends_and_waits(client: ChainClient, devnet: Devnet) -> None:
    directory, member = Contracts.at(client.call, contract_addresses()).directory, devnet.members[2]
    account = TransactionSender(
        member.account, chain_id=CHAIN_ID, nonce=client.nonce, submit=client.submit, wait=client.wait
    )
    data = directory.encode_publish(
        dataset_id(member.uscc, "C-1"),
        sharing=Sharing.UNCONDITIONAL,
        level=Level.GENERAL,
        metadata_digest=b"\x01" * 32,
        resource_code="C-1",
    )
    outcome = account.send(directory.address, data)
    assert outcome.receipt == devnet.chain.receipt(outcome.hash)
    with pytest.raises(LedgerError) as refused:
        account.send(directory.address, data)
    assert refused.value.code == "contract.directory-dataset-exists"


def test_refusals_keep_their_code(client: ChainClient, devnet: Devnet) -> None:
    stranger = dev_member(99, "stranger", "").account
    outside = sign_transaction(stranger, chain_id=CHAIN_ID, nonce=0, to=bytes(20), data=b"")
    cases: list[tuple[Callable[[], object], type[LedgerError], str]] = [
        (lambda: client.submit(outside), NotAllowedError, "tx.not-member"),
        (lambda: client.submit(b"\x02"), InvalidInputError, "chain.parameters"),
        (lambda: client.call(bytes(20), b"", height=10**6), UnavailableError, "chain.refused"),
        (lambda: client.request("eth_sign"), UnavailableError, "chain.refused"),
        (lambda: client.wait(bytes(32), 0), UnavailableError, "chain.timeout"),
    ]
    for run, kind, code in cases:
        with pytest.raises(kind) as refused:
            run()
        assert refused.value.code == code
    with pytest.raises(NotFoundError) as reverted:
        Contracts.at(client.call, contract_addresses()).directory._read("dataset", b"\x01" * 32)
    assert reverted.value.code == "contract.directory-unknown-dataset"


def test_a_header_that_does_not_hash_is_not_believed(devnet: Devnet, monkeypatch: pytest.MonkeyPatch) -> None:
    client = ChainClient(devnet.url)
    ask = client.request

    def lie(method: str, *params: object) -> Any:
        answer = ask(method, *params)
        return answer | {"stateRoot": "0x" + "00" * 32}

    monkeypatch.setattr(client, "request", lie)
    with pytest.raises(UntrustedError) as refused:
        client.head()
    assert refused.value.code == "header.hash"


def test_nobody_there_is_unavailable() -> None:
    with pytest.raises(UnavailableError) as away:
        ChainClient("http://127.0.0.1:1", timeout=2).chain_id()
    assert away.value.code == "chain.unreachable"
    assert away.value.hint


def test_a_proof_comes_as_the_server_gives_it(client: ChainClient) -> None:
    proof = client.proof(contract_addresses()["Consortium"], [(2).to_bytes(32, "big")])
    assert proof["storageProof"][0]["value"] == "0x5"
    assert len(proof["accountProof"]) >= 1
