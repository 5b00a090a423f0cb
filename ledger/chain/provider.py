"""web3.py inside the node's process: no socket, no JSON text."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, cast

from web3 import Web3
from web3.providers.base import JSONBaseProvider
from web3.types import RPCEndpoint, RPCResponse

from ledger.chain import RECURSION_LIMIT
from ledger.chain.jsonrpc import JsonRpc
from ledger.chain.rpc.errors import RpcError

sys.setrecursionlimit(RECURSION_LIMIT)


class InProcessProvider(JSONBaseProvider):
    """A web3 provider that calls a :class:`JsonRpc` directly."""

    def __init__(self, rpc: JsonRpc) -> None:
        super().__init__()
        self._rpc = rpc

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """One call; an error is an answer here too, as over HTTP."""
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": next(self.request_counter)}
        try:
            answer["result"] = self._rpc.dispatch(method, _plain(params or []))
        except RpcError as error:
            answer["error"] = error.to_dict()
        return cast(RPCResponse, answer)

    def make_batch_request(self, batch_requests: list[tuple[RPCEndpoint, Any]]) -> list[RPCResponse] | RPCResponse:
        """Several calls, answered in order."""
        return [self.make_request(method, params) for method, params in batch_requests]

    def is_connected(self, show_traceback: bool = False) -> bool:  # noqa: ARG002 (web3's signature)
        """There is nothing between us and the chain."""
        return True


def in_process(rpc: JsonRpc) -> Web3:
    """A web3 over the chain of this process."""
    return Web3(InProcessProvider(rpc))


def _plain(value: Any) -> Any:
    """What JSON would have made of it: bytes as hex, tuples as lists, web3's attribute dicts as dicts."""
    if isinstance(value, bytes | bytearray):
        return "0x" + bytes(value).hex()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value
