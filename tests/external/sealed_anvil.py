"""anvil behind an endpoint that makes its blocks those of a QBFT network: state, transactions and proofs are anvil's,
the headers are sealed by validators whose keys the test has."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ledger.chain.external_link import RpcLink
from ledger.chain.rpc.shapes import header_rlp
from ledger.evidence.qbft import MIX_HASH, QbftExtra, QbftHeader, encode_extra, quorum, read_fields
from tests.external.endpoint import Endpoint
from tests.ledger.evidence.qbft_net import KEYS, addresses, sealed
from tests.native_chain import anvil

_PARENT, _COINBASE, _DIFFICULTY, _EXTRA, _MIX, _NONCE = 0, 2, 7, 12, 13, 14


class SealedAnvil:
    """The network. ``forked``: a height whose block is another one from now on; ``sealing``: how many seal."""

    def __init__(self, link: RpcLink, validators: Sequence[int]) -> None:
        self._link = link
        self._validators = validators
        self._lock = threading.RLock()
        self._made: dict[str, QbftHeader] = {}
        self._heights: dict[str, int] = {}
        self.forked: int | None = None
        self.sealing = quorum(len(validators))

    def answer(self, method: str, params: list[Any]) -> Any:
        """One call."""
        if method == "eth_getBlockByHash":
            height = self._heights.get(params[0])
            return None if height is None else self._block(hex(height), params[1])
        if method == "eth_getBlockByNumber":
            return self._block(params[0], params[1])
        result = self._link.request(method, *params)
        if method == "eth_getTransactionReceipt" and result is not None:
            return result | {"blockHash": self._block(result["blockNumber"], False)["hash"]}
        if method == "eth_getBlockReceipts" and result:
            return [row | {"blockHash": self._block(row["blockNumber"], False)["hash"]} for row in result]
        return result

    def _block(self, at: str, full: bool) -> Any:
        row = self._link.request("eth_getBlockByNumber", at, full)
        if row is None:
            return None
        made = self._sealed(row)
        hash_ = "0x" + made.hash.hex()
        self._heights[hash_] = made.height
        # anvil's block 0 has fields of a later fork.
        kept = {name: value for name, value in row.items() if name not in ("blobGasUsed", "excessBlobGas")}
        return kept | {
            "hash": hash_,
            "parentHash": "0x" + made.parent.hex(),
            "miner": "0x" + made.proposer.hex(),
            "difficulty": "0x1",
            "mixHash": "0x" + MIX_HASH.hex(),
            "nonce": "0x" + bytes(8).hex(),
            "extraData": "0x" + encode_extra(made.extra).hex(),
        }

    def _sealed(self, row: dict[str, Any]) -> QbftHeader:
        with self._lock:
            height = int(row["number"], 16)
            key = f"{row['hash']} {height == self.forked}"
            if key not in self._made:
                fields = list(read_fields(header_rlp(row)))
                if height:
                    before = self._link.request("eth_getBlockByNumber", hex(height - 1), False)
                    fields[_PARENT] = self._sealed(before).hash
                fields[_COINBASE] = addresses(self._validators)[0]
                fields[_DIFFICULTY], fields[_EXTRA], fields[_MIX], fields[_NONCE] = b"\x01", b"", MIX_HASH, bytes(8)
                extra = QbftExtra(
                    vanity=bytes([height == self.forked]) * 32,
                    validators=addresses(self._validators),
                    vote=None,
                    round=0,
                    seals=(),
                )
                bare = QbftHeader(fields=tuple(fields), extra=extra)
                self._made[key] = sealed(bare, self._validators[: self.sealing])
            return self._made[key]


@contextmanager
def running(validators: Sequence[int], chain_id: int) -> Iterator[tuple[SealedAnvil, Endpoint, anvil.Anvil]]:
    """The network, its endpoint, and the anvil behind it."""
    assert all(number < len(KEYS) for number in validators)
    with anvil.running("--chain-id", str(chain_id), "--gas-limit", "1000000000") as behind:
        behind.call("evm_setAutomine", True)
        network = SealedAnvil(RpcLink(behind.url), validators)
        with Endpoint(network.answer) as endpoint:
            yield network, endpoint, behind
