"""A chain behind somebody's JSON-RPC: what the gateway and tools read through."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import requests

from ledger.chain import external_shapes
from ledger.chain.blocks import ChainHead, LogEntry, Receipt
from ledger.chain.mempool import Admission
from ledger.chain.reverts import revert_error
from ledger.chain.rpc.errors import REVERTED
from ledger.errors import InvalidInputError, LedgerError, NotFoundError, UnavailableError, UntrustedError

_POLL_S = 0.05


class ChainClient:
    """Typed reads, calls and submission over HTTP. Thread-safe. Nothing is repeated silently: a caller that gets
    UnavailableError decides itself."""

    def __init__(self, url: str, *, timeout: float = 10.0) -> None:
        self.url = url
        self._timeout = timeout
        self._numbers = itertools.count()
        #: A connection is kept by each thread: web3, which would do so too, takes a second and more to import.
        self._kept = threading.local()

    def request(self, method: str, *params: object) -> Any:
        """The result of any method.

        Raises UnavailableError(chain.unreachable), the server's refusal under its own code where it names one, and
        the contract's as ``contract.*``.
        """
        try:
            answer = self._post(method, params)
        except (requests.RequestException, OSError, ValueError) as error:
            raise UnavailableError(
                "chain.unreachable",
                f"no answer from the chain at {self.url}: {type(error).__name__}",
                hint="check that the node runs and that the address is its JSON-RPC address",
            ) from error
        refused = answer.get("error")
        if isinstance(refused, dict):
            raise _error(method, refused)
        return answer.get("result")

    def _post(self, method: str, params: Sequence[object]) -> dict[str, Any]:
        session = getattr(self._kept, "session", None)
        if session is None:
            session = self._kept.session = requests.Session()
        body: dict[str, Any] = {"jsonrpc": "2.0", "id": next(self._numbers), "method": method, "params": list(params)}
        response = session.post(self.url, json=body, timeout=self._timeout)
        response.raise_for_status()
        answer = response.json()
        if not isinstance(answer, dict):
            raise ValueError("a JSON-RPC answer is an object")
        return answer

    def chain_id(self) -> int:
        """The EIP-155 chain id."""
        return int(self.request("eth_chainId"), 16)

    def head(self) -> ChainHead:
        """The newest block; its header is rebuilt and must hash to the block hash named."""
        head = self.block(None)
        if head is None:
            raise UnavailableError("chain.unreachable", f"{self.url} has no newest block", hint="the node is starting")
        return head

    def block(self, height: int | None) -> ChainHead | None:
        """A block's header (None: the newest); None when there is no such block.

        Raises UntrustedError(header.hash) when the fields do not hash to the hash named.
        """
        tag = "latest" if height is None else hex(height)
        fields = self.request("eth_getBlockByNumber", tag, False)
        if fields is None:
            return None
        named = _bytes(fields["hash"])
        # Behind a node on somebody else's network, headers are of another make.
        header = external_shapes.header_rlp(fields, named)
        return ChainHead(
            height=int(fields["number"], 16),
            hash=named,
            state_root=_bytes(fields["stateRoot"]),
            time=int(fields["timestamp"], 16),
            header=header,
        )

    def call(self, to: bytes, data: bytes, height: int | None = None) -> bytes:
        """Read a contract; a revert raises ``contract.*``."""
        tag = "latest" if height is None else hex(height)
        return _bytes(self.request("eth_call", {"to": _text(to), "data": _text(data)}, tag))

    def nonce(self, address: bytes) -> int:
        """The next nonce behind what waits."""
        return int(self.request("eth_getTransactionCount", _text(address), "pending"), 16)

    def submit(self, raw: bytes) -> bytes:
        """Hand in a raw transaction; its hash."""
        return _bytes(self.request("eth_sendRawTransaction", _text(raw)))

    def receipt(self, transaction: bytes) -> Receipt | None:
        """The receipt of an included transaction, or None."""
        fields = self.request("eth_getTransactionReceipt", _text(transaction))
        if fields is None:
            return None
        outer = self.request("eth_getTransactionByHash", _text(transaction))
        return Receipt(
            hash=transaction,
            height=int(fields["blockNumber"], 16),
            block_hash=_bytes(fields["blockHash"]),
            index=int(fields["transactionIndex"], 16),
            sender=_bytes(fields["from"]),
            to=None if fields["to"] is None else _bytes(fields["to"]),
            nonce=int(outer["nonce"], 16),
            succeeded=fields["status"] == "0x1",
            gas_used=int(fields["gasUsed"], 16),
            cumulative_gas_used=int(fields["cumulativeGasUsed"], 16),
            contract=None if fields["contractAddress"] is None else _bytes(fields["contractAddress"]),
            logs=tuple(
                LogEntry(
                    address=_bytes(log["address"]),
                    topics=tuple(_bytes(topic) for topic in log["topics"]),
                    data=_bytes(log["data"]),
                )
                for log in fields["logs"]
            ),
            output=_bytes(fields.get("revertReason", "0x")),
        )

    def wait(self, transaction: bytes, timeout: float) -> Receipt:
        """Poll for the receipt. Raises UnavailableError(chain.timeout)."""
        deadline = time.monotonic() + timeout
        while True:
            receipt = self.receipt(transaction)
            if receipt is not None:
                return receipt
            if time.monotonic() >= deadline:
                raise UnavailableError(
                    "chain.timeout",
                    f"transaction 0x{transaction.hex()} is not in a block after {timeout:g} s",
                    hint="it may still be included: ask for its receipt; `civicledger doctor` explains a stalled chain",
                )
            time.sleep(_POLL_S)

    def proof(self, address: bytes, slots: Sequence[bytes], height: int | None = None) -> dict[str, Any]:
        """EIP-1186 proof as the server gives it (hex); check it with ``ledger.evidence.state``."""
        tag = "latest" if height is None else hex(height)
        return dict(self.request("eth_getProof", _text(address), [_text(slot) for slot in slots], tag))


def _error(method: str, error: Mapping[str, Any]) -> LedgerError:
    message = str(error.get("message", ""))[:500]
    data = error.get("data")
    if error.get("code") == REVERTED:
        return revert_error(_bytes(data) if isinstance(data, str) else b"")
    if isinstance(data, Mapping) and isinstance(data.get("code"), str):
        code, hint = data["code"], str(data.get("hint", ""))
        if code.startswith("tx."):
            return Admission(hash=b"", code=code, message=message).error()
        if code in ("proof.window", "chain.height"):
            return NotFoundError(code, message, hint=hint)
        return UnavailableError(code, message, hint=hint)
    if error.get("code") == -32602:
        return InvalidInputError("chain.parameters", f"{method}: {message}")
    return UnavailableError("chain.refused", f"{method}: {message}", hint="ask the operator of that node")


def _text(value: bytes) -> str:
    return "0x" + value.hex()


def _bytes(value: object) -> bytes:
    try:
        return bytes.fromhex(str(value).removeprefix("0x"))
    except ValueError as error:
        raise UntrustedError("chain.answer", "the chain answered with something that is not hex") from error
