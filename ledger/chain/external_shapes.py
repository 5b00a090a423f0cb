"""What a foreign EVM node answers, read strictly: blocks, transactions, receipts, proofs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import rlp

from ledger.chain.blocks import ChainHead, LogEntry, Receipt
from ledger.chain.embedded import keccak256
from ledger.chain.rpc.shapes import HEADER_FIELDS, HEADER_NUMBERS
from ledger.errors import LedgerError, UntrustedError
from ledger.evidence import qbft, state
from ledger.model import MAX_TIME_MS
from ledger.storage.chainstate import StoredBlock

_NUMBER: Final = re.compile(r"0x[0-9a-fA-F]{1,64}\Z")
_DATA: Final = re.compile(r"0x(?:[0-9a-fA-F]{2})*\Z")
#: What the forks behind London append to a header, in order.
_LATER: Final = ("withdrawalsRoot", "blobGasUsed", "excessBlobGas", "parentBeaconBlockRoot", "requestsHash")
#: Berlin has no base fee.
_LEAST_FIELDS: Final = 15
_LATER_NUMBERS: Final = frozenset({"blobGasUsed", "excessBlobGas"})
#: What a bundle and the store can hold.
_MAX_HEIGHT: Final = (1 << 53) - 1
_EMPTY_ROOT: Final = keccak256(b"\x80")
_EMPTY_CODE: Final = keccak256(b"")
_NO_NODES: Final = (b"\x80",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignBlock:
    """A block as served, its header hashed. ``base_fee``: wei, 0 before London; ``gas_limit``: of the block."""

    stored: StoredBlock
    head: ChainHead
    parent: bytes
    base_fee: int
    gas_limit: int
    nonces: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignProof:
    """An EIP-1186 answer that verifies under a state root. Values of slots are 32 bytes."""

    address: bytes
    nonce: int
    balance: int
    code_hash: bytes
    storage_hash: bytes
    account: tuple[bytes, ...]
    storage: tuple[tuple[bytes, bytes, tuple[bytes, ...]], ...]

    def native(self, height: int) -> dict[str, object]:
        """The dict that the native chain's ``proof`` gives."""
        return {
            "height": height,
            "address": self.address,
            "nonce": self.nonce,
            "balance": self.balance,
            "code_hash": self.code_hash,
            "storage_hash": self.storage_hash,
            "account_proof": list(self.account),
            "storage": [{"key": key, "value": value, "proof": list(nodes)} for key, value, nodes in self.storage],
        }


def text(value: bytes) -> str:
    """Bytes as a parameter."""
    return "0x" + value.hex()


def number(value: object) -> int:
    """A quantity. Raises UntrustedError(chain.answer)."""
    if not isinstance(value, str) or not _NUMBER.match(value):
        raise _wrong("a number in hex is expected", value)
    return int(value, 16)


def fields_of(value: object) -> Mapping[str, Any]:
    """An object. Raises UntrustedError(chain.answer)."""
    if not isinstance(value, Mapping):
        raise _wrong("an object is expected", value)
    return value


def data(value: object, length: int | None = None) -> bytes:
    """Bytes, of that length where one is given. Raises UntrustedError(chain.answer)."""
    if not isinstance(value, str) or not _DATA.match(value) or length not in (None, len(value) // 2 - 1):
        raise _wrong("bytes in hex are expected" if length is None else f"{length} bytes in hex are expected", value)
    return bytes.fromhex(value[2:])


def block(answer: object) -> ForeignBlock:
    """A block asked for with its transactions. Raises UntrustedError(chain.answer | header.hash)."""
    fields = fields_of(answer)
    named = data(fields.get("hash"), 32)
    header = header_rlp(fields, named)
    height, time = number(fields["number"]), number(fields["timestamp"])
    if height > _MAX_HEIGHT or 1_000 * time > MAX_TIME_MS:
        raise _wrong("a block has a height below 2^53 and a time before the year 10000", f"{height} at {time}")
    transactions = fields.get("transactions")
    if not isinstance(transactions, list):
        raise _wrong("a block comes with its transactions", transactions)
    rows = [fields_of(item) for item in transactions]
    stored = StoredBlock(
        height=height,
        hash=named,
        header=header,
        transactions=tuple(_raw(row) for row in rows),
        transaction_hashes=tuple(data(row.get("hash"), 32) for row in rows),
    )
    return ForeignBlock(
        stored=stored,
        head=ChainHead(
            height=stored.height,
            hash=named,
            state_root=data(fields["stateRoot"], 32),
            time=time,
            header=header,
        ),
        parent=data(fields["parentHash"], 32),
        base_fee=number(fields.get("baseFeePerGas", "0x0")),
        gas_limit=number(fields["gasLimit"]),
        nonces=tuple(number(row.get("nonce")) for row in rows),
    )


def block_hash(answer: object) -> bytes:
    """The hash named in a block, whose header is not looked at. Raises UntrustedError(chain.answer)."""
    return data(fields_of(answer).get("hash"), 32)


def receipt(answer: object, nonce: int, output: bytes) -> Receipt:
    """A receipt; its nonce and revert data come from elsewhere. Raises UntrustedError(chain.answer)."""
    fields = fields_of(answer)
    logs = fields.get("logs")
    if not isinstance(logs, list):
        raise _wrong("a receipt has a list of logs", logs)
    to, made = fields.get("to"), fields.get("contractAddress")
    succeeded = number(fields.get("status")) == 1
    return Receipt(
        hash=data(fields.get("transactionHash"), 32),
        height=number(fields.get("blockNumber")),
        block_hash=data(fields.get("blockHash"), 32),
        index=number(fields.get("transactionIndex")),
        sender=data(fields.get("from"), 20),
        to=None if to is None else data(to, 20),
        nonce=nonce,
        succeeded=succeeded,
        gas_used=number(fields.get("gasUsed")),
        cumulative_gas_used=number(fields.get("cumulativeGasUsed")),
        # Some networks name the address a failed creation would have had.
        contract=None if made is None or not succeeded else data(made, 20),
        logs=tuple(_log(fields_of(item)) for item in logs),
        output=output,
    )


def proof(answer: object, root: bytes, address: bytes, slots: Sequence[bytes]) -> ForeignProof:
    """An EIP-1186 answer for these slots, verified under the state root.

    Raises UntrustedError(chain.answer | state.account | state.storage).
    """
    fields = fields_of(answer)
    nodes = _nodes(fields.get("accountProof"))
    account = state.verify_account(root, address, nodes)
    entries = fields.get("storageProof")
    if not isinstance(entries, list) or len(entries) != len(slots):
        raise _wrong("a proof of every slot is expected", entries)
    storage = []
    for slot, entry in zip(slots, map(fields_of, entries), strict=True):
        path = _nodes(entry.get("proof"))
        # An empty trie has no nodes; some networks show its one empty node all the same.
        path = () if account.storage_hash == _EMPTY_ROOT and path == _NO_NODES else path
        storage.append((slot, state.verify_storage(account.storage_hash, slot, path), path))
    return ForeignProof(
        address=address,
        nonce=account.nonce,
        balance=account.balance,
        code_hash=account.code_hash,
        storage_hash=account.storage_hash,
        account=nodes,
        storage=tuple(storage),
    )


def header_rlp(fields: Mapping[str, Any], named: bytes) -> bytes:
    """The RLP of a block's header, which gives the hash named: by itself, or as QBFT hashes.

    Raises UntrustedError(chain.answer | header.hash).
    """
    missing = [name for name in HEADER_FIELDS[:_LEAST_FIELDS] if fields.get(name) is None]
    if missing:
        raise _wrong("a header lacks fields", ", ".join(missing))
    # Whatever else is there belongs to it: the hash says whether that is right.
    present = [name for name in (*HEADER_FIELDS, *_LATER) if fields.get(name) is not None]
    values: list[int | bytes] = [
        number(fields[name]) if name in HEADER_NUMBERS | _LATER_NUMBERS else data(fields[name]) for name in present
    ]
    header = bytes(rlp.encode(values))
    if keccak256(header) == named or _qbft_hash(header) == named:
        return header
    raise UntrustedError(
        "header.hash",
        "the header does not hash to the block hash named",
        hint="the node asked is lying, or its network has headers this software does not know",
        expected=named,
        actual=keccak256(header),
    )


def _qbft_hash(header: bytes) -> bytes | None:
    try:
        return qbft.decode_header(header).hash
    except LedgerError:
        return None


def _raw(row: Mapping[str, Any]) -> bytes:
    """The signed bytes of a transaction, checked by its hash; empty for a kind we do not write (blobs, set code)."""
    kind = number(row.get("type", "0x0"))
    to = b"" if row.get("to") is None else data(row["to"], 20)
    body = [number(row.get("gas")), to, number(row.get("value")), data(row.get("input"))]
    signature = [number(row.get("r")), number(row.get("s"))]
    nonce = number(row.get("nonce"))
    if kind == 0:
        raw = bytes(rlp.encode([nonce, number(row.get("gasPrice")), *body, number(row.get("v")), *signature]))
    elif kind in (1, 2):
        price = ["gasPrice"] if kind == 1 else ["maxPriorityFeePerGas", "maxFeePerGas"]
        access = [
            [data(entry.get("address"), 20), [data(key, 32) for key in _list(entry.get("storageKeys"))]]
            for entry in map(fields_of, _list(row.get("accessList")))
        ]
        parity = number(row.get("yParity", row.get("v")))
        fields = [number(row.get("chainId")), nonce, *(number(row.get(name)) for name in price), *body, access]
        raw = bytes([kind]) + bytes(rlp.encode([*fields, parity, *signature]))
    else:
        return b""
    if keccak256(raw) != data(row.get("hash"), 32):
        raise _wrong("a transaction does not hash to the hash named", row.get("hash"))
    return raw


def _log(fields: Mapping[str, Any]) -> LogEntry:
    topics = fields.get("topics")
    if not isinstance(topics, list) or len(topics) > 4:
        raise _wrong("a log has at most four topics", topics)
    return LogEntry(
        address=data(fields.get("address"), 20),
        topics=tuple(data(topic, 32) for topic in topics),
        data=data(fields.get("data")),
    )


def _nodes(value: object) -> tuple[bytes, ...]:
    if not isinstance(value, list) or len(value) > 65:
        raise _wrong("a proof is a list of at most 65 nodes", value)
    return tuple(data(node) for node in value)


def _list(value: object) -> list[Any]:
    """A list; none where there is nothing."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise _wrong("a list is expected", value)
    return value


def _wrong(message: str, actual: object) -> UntrustedError:
    return UntrustedError(
        "chain.answer",
        f"the network's node answered wrongly: {message}",
        hint="check that the address is the JSON-RPC of an EVM network",
        actual=str(actual)[:120],
    )
