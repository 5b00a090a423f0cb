"""A node's loopback JSON-RPC on a network that somebody else runs: the usual methods, answered by its node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ledger.chain.external_link import RpcLink
from ledger.chain.jsonrpc import JsonRpc

#: What is passed on: what our own chains answer, which neither signs nor changes anything at the network's node.
METHODS: Final = frozenset(
    {
        *("web3_clientVersion", "net_version", "net_listening", "eth_chainId", "eth_syncing", "eth_blockNumber"),
        *("eth_gasPrice", "eth_maxPriorityFeePerGas", "eth_feeHistory", "eth_getBalance", "eth_getCode"),
        *("eth_getStorageAt", "eth_getTransactionCount", "eth_getProof", "eth_call", "eth_estimateGas"),
        *("eth_sendRawTransaction", "eth_getTransactionByHash", "eth_getTransactionReceipt", "eth_getBlockReceipts"),
        *("eth_getBlockByNumber", "eth_getBlockByHash", "eth_getLogs", "eth_newFilter", "eth_newBlockFilter"),
        *("eth_getFilterChanges", "eth_getFilterLogs", "eth_uninstallFilter"),
    }
)


def relay(link: RpcLink) -> JsonRpc:
    """Answers by asking the network's node; its refusals pass unchanged. The link stays the caller's."""

    def passing(method: str) -> Callable[[list[object]], Any]:
        return lambda params: link.request(method, *params)

    accounts: dict[str, Callable[[list[object]], Any]] = {"eth_accounts": lambda _: []}
    return JsonRpc(None, methods=accounts | {name: passing(name) for name in METHODS})
