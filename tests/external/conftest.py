"""Our own chain behind a JSON-RPC whose answers a test may change: a network that is known to the last byte."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ledger.chain.account import sign_transaction
from ledger.chain.bindings import Contracts
from ledger.chain.devnet import CHAIN_ID, Devnet
from ledger.chain.external import ExternalChain
from ledger.chain.external_deploy import Deployment, code_hashes
from ledger.chain.external_link import RpcLink
from ledger.chain.genesis import contract_addresses
from ledger.chain.jsonrpc import JsonRpc
from ledger.chain.rpc.errors import RpcError
from ledger.identifiers import dataset_id
from ledger.model import Level, Sharing
from tests.external.endpoint import Endpoint

#: (parameters, true result) -> the result that is told.
Lie = Callable[[list[Any], Any], Any]


@dataclass(slots=True)
class Network:
    """A running chain and its endpoint. ``lies``: by method."""

    net: Devnet
    endpoint: Endpoint
    lies: dict[str, Lie] = field(default_factory=dict)
    published: int = 0

    @property
    def deployment(self) -> Deployment:
        """Where the contracts of the genesis stand."""
        addresses = contract_addresses()
        genesis = self.net.chain.block(0)
        assert genesis is not None
        return Deployment(
            chain_id=CHAIN_ID,
            contracts=addresses,
            code_hashes=code_hashes(addresses),
            height=0,
            hash=genesis.hash,
        )

    def link(self, **options: Any) -> RpcLink:
        return RpcLink(self.endpoint.url, **options)

    def open(self, **options: Any) -> ExternalChain:
        """An engine over the endpoint; the caller closes it."""
        return ExternalChain.open(self.link(), self.deployment, **({"poll_s": 0.05} | options))

    def publish(self, nonce: int | None = None) -> bytes:
        """A signed publication of a fresh dataset, by the transport department."""
        self.published += 1
        member, code = self.net.members[1], f"X-{self.published}"
        directory = Contracts.at(self.net.chain.call, contract_addresses()).directory
        data = directory.encode_publish(
            dataset_id(member.uscc, code),
            sharing=Sharing.CONDITIONAL,
            level=Level.GENERAL,
            metadata_digest=b"\x01" * 32,
            resource_code=code,
        )
        nonce = self.net.chain.pending_nonce(member.account.address) if nonce is None else nonce
        return sign_transaction(member.account, chain_id=CHAIN_ID, nonce=nonce, to=directory.address, data=data)

    def grow(self, blocks: int = 1) -> None:
        """Blocks with one transaction each, made on the chain itself."""
        for _ in range(blocks):
            self.net.chain.wait(self.net.chain.submit(self.publish()), 300)


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    with Devnet(tmp_path / "chain", http=False) as net:
        rpc = JsonRpc(net.chain)

        def answer(method: str, params: list[Any]) -> Any:
            lie = network.lies.get(method)
            try:
                result = rpc.dispatch(method, params)
            except RpcError:
                if lie is None:
                    raise
                result = None
            return result if lie is None else lie(params, result)

        with Endpoint(answer) as endpoint:
            network = Network(net=net, endpoint=endpoint)
            yield network
