"""The chain of a node, whichever engine it is on, and what is read of its state for every one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from ledger.chain.engine import EmbeddedChain
from ledger.chain.external_relay import relay
from ledger.chain.jsonrpc import JsonRpc
from node.chain.external import NetworkChain

Chain = EmbeddedChain | NetworkChain


def json_rpc(chain: Chain) -> JsonRpc:
    """Ethereum's JSON-RPC of this chain, for loopback: its own answers, or the network's."""
    return relay(chain.link) if isinstance(chain, NetworkChain) else JsonRpc(chain)


def account(chain: Chain, address: bytes) -> Mapping[str, Any]:
    """Nonce, balance, ``code_hash`` and ``storage_hash`` of an account at the head."""
    if isinstance(chain, NetworkChain):
        return chain.account(address)
    return cast("Mapping[str, Any]", chain.native.account(address))


def proof(chain: Chain, address: bytes, slots: Sequence[bytes], height: int) -> Mapping[str, Any]:
    """An EIP-1186 proof in the form of the native chain's. Raises: NotFoundError(chain.height | proof.window)."""
    if isinstance(chain, NetworkChain):
        return chain.proof(address, slots, height)
    return cast("Mapping[str, Any]", chain.native.proof(address, list(slots), height=height))


def header(chain: Chain, height: int) -> tuple[bytes, bytes] | None:
    """(hash, RLP header that hashes to it) of a block, or None where it is not known (any more)."""
    if isinstance(chain, NetworkChain):
        return chain.hashed_header(height)
    return chain.store.header(height)
