"""The errors of JSON-RPC 2.0 and of Ethereum's dialect of it."""

from __future__ import annotations

from typing import Any

from ledger.chain.reverts import decode_revert
from ledger.errors import FatalError, InvalidInputError, LedgerError

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL = -32603
SERVER_ERROR = -32000
LIMIT_EXCEEDED = -32005
#: ``eth_call`` and ``eth_estimateGas``: the contract reverted; ``data`` is its revert data.
REVERTED = 3

#: How go-ethereum words what we have our own codes for: tools look for these phrases.
_PHRASES = {
    "tx.nonce-low": "nonce too low",
    "tx.nonce-gap": "nonce too high",
    "tx.nonce-taken": "replacement transaction underpriced",
    "tx.pool-full": "txpool is full",
    "tx.signature": "invalid sender",
    "tx.chain-id": "invalid chain id for signer",
    "tx.balance": "insufficient funds for gas * price + value",
    "proof.window": "missing trie node",
    "chain.height": "header not found",
}


class RpcError(Exception):
    """An error answer. ``data`` is JSON-ready."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data

    def to_dict(self) -> dict[str, Any]:
        """The ``error`` object."""
        out: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.data is not None:
            out["data"] = self.data
        return out


def invalid_params(message: str) -> RpcError:
    """-32602."""
    return RpcError(INVALID_PARAMS, message)


def reverted(output: bytes) -> RpcError:
    """Code 3 with the revert data, and the reason in words where there is one."""
    name, args, message = decode_revert(output)
    # For Error(string) tools expect the bare reason; for our custom errors the plain words help whoever reads.
    reason = str(args["reason"]) if name == "Error" else message if name else ""
    text = f"execution reverted: {reason}" if reason else "execution reverted"
    return RpcError(REVERTED, text, "0x" + output.hex())


def from_ledger_error(error: LedgerError) -> RpcError:
    """One of our errors as an answer: code and hint travel in ``data``."""
    phrase = _PHRASES.get(error.code)
    message = f"{phrase}: {error.message}" if phrase else error.message
    data = {"code": error.code, "hint": error.hint}
    if error.code.startswith("logs."):
        return RpcError(LIMIT_EXCEEDED, message, data)
    if isinstance(error, FatalError):
        return RpcError(INTERNAL, message, data)
    if isinstance(error, InvalidInputError) and not error.code.startswith("tx."):
        return RpcError(INVALID_PARAMS, message, data)
    return RpcError(SERVER_ERROR, message, data)
