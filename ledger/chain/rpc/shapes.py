"""Blocks, transactions, receipts, logs and proofs as Ethereum clients expect them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import rlp

from ledger.chain.blocks import Receipt
from ledger.chain.embedded import Transaction, keccak256, read_transaction
from ledger.storage.chainstate import StoredBlock, StoredLog

#: The header's fields in RLP order, and which of them are numbers.
HEADER_FIELDS = (
    "parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot", "logsBloom", "difficulty",
    "number", "gasLimit", "gasUsed", "timestamp", "extraData", "mixHash", "nonce", "baseFeePerGas",
)  # fmt: skip
HEADER_NUMBERS = frozenset({"difficulty", "number", "gasLimit", "gasUsed", "timestamp", "baseFeePerGas"})


def data(value: bytes) -> str:
    """Bytes as ``0x`` hex."""
    return "0x" + value.hex()


def header(encoded: bytes) -> dict[str, str]:
    """The 16 fields of an RLP header by name."""
    fields = rlp.decode(encoded)
    return {
        name: hex(int.from_bytes(value, "big")) if name in HEADER_NUMBERS else data(value)
        for name, value in zip(HEADER_FIELDS, fields, strict=True)
    }


def header_rlp(fields: Mapping[str, str]) -> bytes:
    """The inverse of :func:`header`: the RLP that hashes to the block hash."""
    values: list[int | bytes] = [
        int(fields[name], 16) if name in HEADER_NUMBERS else bytes.fromhex(fields[name][2:]) for name in HEADER_FIELDS
    ]
    return bytes(rlp.encode(values))


def block(stored: StoredBlock, *, full: bool) -> dict[str, Any]:
    """A block with transaction hashes, or with whole transactions."""
    out: dict[str, Any] = dict(header(stored.header))
    out["hash"] = data(stored.hash)
    out["totalDifficulty"] = "0x0"
    out["size"] = hex(_size(stored))
    out["uncles"] = []
    out["transactions"] = (
        [transaction(read_transaction(raw), stored, index) for index, raw in enumerate(stored.transactions)]
        if full
        else [data(hash_) for hash_ in stored.transaction_hashes]
    )
    return out


def transaction(tx: Transaction, within: StoredBlock | None, index: int = 0) -> dict[str, Any]:
    """A transaction; ``within`` None is one that still waits."""
    price = tx.gas_price if tx.gas_price is not None else _effective(tx)
    out: dict[str, Any] = {
        "blockHash": None if within is None else data(within.hash),
        "blockNumber": None if within is None else hex(within.height),
        "transactionIndex": None if within is None else hex(index),
        "hash": data(tx.hash),
        "type": hex(tx.kind),
        "from": data(tx.sender),
        "to": None if tx.to is None else data(tx.to),
        "nonce": hex(tx.nonce),
        "gas": hex(tx.gas),
        "gasPrice": hex(price),
        "value": hex(tx.value),
        "input": data(tx.input),
        "chainId": None if tx.chain_id is None else hex(tx.chain_id),
        "v": hex(tx.v),
        "r": hex(tx.r),
        "s": hex(tx.s),
    }
    if tx.kind >= 1:
        out["yParity"] = hex(tx.v)
        out["accessList"] = [
            {"address": data(entry.address), "storageKeys": [data(key) for key in entry.slots]}
            for entry in tx.access_list
        ]
    if tx.kind == 2:
        out["maxFeePerGas"] = hex(tx.max_fee or 0)
        out["maxPriorityFeePerGas"] = hex(tx.max_priority_fee or 0)
    return out


def receipt(item: Receipt, raw: bytes, first_log: int) -> dict[str, Any]:
    """A receipt; ``first_log`` is the number of logs before it in its block. A revert adds ``revertReason``."""
    kind = 0 if raw[0] >= 0xC0 else raw[0]
    logs = [
        log(
            StoredLog(
                height=item.height,
                block_hash=item.block_hash,
                index=first_log + offset,
                transaction_index=item.index,
                transaction_hash=item.hash,
                address=entry.address,
                topics=entry.topics,
                data=entry.data,
            )
        )
        for offset, entry in enumerate(item.logs)
    ]
    out: dict[str, Any] = {
        "transactionHash": data(item.hash),
        "transactionIndex": hex(item.index),
        "blockHash": data(item.block_hash),
        "blockNumber": hex(item.height),
        "from": data(item.sender),
        "to": None if item.to is None else data(item.to),
        "type": hex(kind),
        "status": "0x1" if item.succeeded else "0x0",
        "gasUsed": hex(item.gas_used),
        "cumulativeGasUsed": hex(item.cumulative_gas_used),
        "effectiveGasPrice": "0x0",
        "contractAddress": None if item.contract is None else data(item.contract),
        "logs": logs,
        "logsBloom": data(bloom([(entry.address, entry.topics) for entry in item.logs])),
    }
    if not item.succeeded and item.output:
        out["revertReason"] = data(item.output)
    return out


def log(entry: StoredLog) -> dict[str, Any]:
    """A log entry."""
    return {
        "address": data(entry.address),
        "topics": [data(topic) for topic in entry.topics],
        "data": data(entry.data),
        "blockHash": data(entry.block_hash),
        "blockNumber": hex(entry.height),
        "transactionHash": data(entry.transaction_hash),
        "transactionIndex": hex(entry.transaction_index),
        "logIndex": hex(entry.index),
        "removed": False,
    }


def proof(native: Mapping[str, Any]) -> dict[str, Any]:
    """An EIP-1186 answer from the native core's."""
    return {
        "address": data(native["address"]),
        "accountProof": [data(node) for node in native["account_proof"]],
        "balance": hex(number(native["balance"])),
        "codeHash": data(native["code_hash"]),
        "nonce": hex(native["nonce"]),
        "storageHash": data(native["storage_hash"]),
        "storageProof": [
            {
                "key": data(entry["key"]),
                "value": hex(int.from_bytes(entry["value"], "big")),
                "proof": [data(node) for node in entry["proof"]],
            }
            for entry in native["storage"]
        ],
    }


def number(value: int | bytes) -> int:
    """A native 256-bit value, handed over as int or as bytes."""
    return value if isinstance(value, int) else int.from_bytes(value, "big")


def bloom(entries: Sequence[tuple[bytes, tuple[bytes, ...]]]) -> bytes:
    """The 2048-bit filter over (address, topics). Source: Ethereum yellow paper, 4.3.1."""
    bits = 0
    for address, topics in entries:
        for item in (address, *topics):
            digest = keccak256(item)
            for place in (0, 2, 4):
                bits |= 1 << (int.from_bytes(digest[place : place + 2], "big") & 2047)
    return bits.to_bytes(256, "big")


def _effective(tx: Transaction) -> int:
    # The base fee is 0 for ever, so the price is what the sender offers at most.
    return min(tx.max_fee or 0, tx.max_priority_fee or 0)


def _size(stored: StoredBlock) -> int:
    bodies = sum(len(raw) if raw[0] >= 0xC0 else len(raw) + _prefix(len(raw)) for raw in stored.transactions)
    payload = len(stored.header) + bodies + _prefix(bodies) + 1  # the 1: the empty list of ommers
    return payload + _prefix(payload)


def _prefix(length: int) -> int:
    """Bytes in front of an RLP item of that length (longer than one byte)."""
    return 1 if length < 56 else 1 + (length.bit_length() + 7) // 8
