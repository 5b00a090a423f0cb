"""The chain package's door to the native core: nothing else here imports ``ledger._native``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from ledger import _native
from ledger._native import AbciCommit, AbciServer, ExecutedBlock
from ledger._native import Chain as NativeChain

__all__ = [
    "AbciCommit",
    "AbciServer",
    "AccessEntry",
    "ExecutedBlock",
    "NativeChain",
    "Transaction",
    "header_hash",
    "header_height",
    "header_parent",
    "keccak256",
    "load_chain",
    "new_chain",
    "open_application",
    "read_transaction",
    "recover_chain",
]

keccak256 = _native.keccak256


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessEntry:
    """One entry of an EIP-2930 access list."""

    address: bytes
    slots: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """A decoded transaction. ``kind`` is the EIP-2718 type (0, 1, 2); ``v`` is as signed (EIP-155 for type 0, the
    parity otherwise); ``gas_price`` is None for type 2, the fee caps None for the others."""

    hash: bytes
    kind: int
    sender: bytes
    to: bytes | None
    nonce: int
    gas: int
    gas_price: int | None
    max_fee: int | None
    max_priority_fee: int | None
    value: int
    input: bytes
    chain_id: int | None
    access_list: tuple[AccessEntry, ...]
    r: int
    s: int
    v: int


def new_chain(genesis: bytes) -> tuple[NativeChain, list[tuple[bytes, bytes]]]:
    """Run a genesis file: the chain at block 0 and the rows to store. Raises InvalidInputError(genesis.*)."""
    return NativeChain.genesis(genesis)


def load_chain(genesis: bytes, rows: Iterable[tuple[bytes, bytes]]) -> NativeChain:
    """Rebuild the chain from stored rows. Raises FatalError(chain.root-mismatch) with both roots."""
    return NativeChain.load(genesis, rows)


def recover_chain(
    genesis: bytes, rows: Iterable[tuple[bytes, bytes]]
) -> tuple[NativeChain, list[tuple[bytes, bytes | None]]]:
    """Go on from the stored rows of the chain before, under the genesis file of a recovered city: the chain at its
    first block, and the rows to store over the old ones. Raises InvalidInputError(genesis.*, recovery.*),
    FatalError(chain.*)."""
    return NativeChain.recover(genesis, rows)


def open_application(
    chain: NativeChain, genesis: bytes, consensus: bytes | None, *, snapshots: str | None = None, every: int = 1_000
) -> AbciServer:
    """The application that CometBFT talks to, around a chain. ``consensus``: the stored row of the newest consensus
    height, None before the first; ``snapshots``: a folder for a snapshot of every ``every`` consensus heights.

    Raises: FatalError(abci.*) when row and chain do not belong together, UnavailableError(abci.snapshots).
    """
    return AbciServer(chain, genesis, consensus, snapshots=snapshots, snapshot_every=every)


def header_hash(header: bytes) -> bytes:
    """The block hash of an RLP header, strictly decoded. Raises InvalidInputError(header.*)."""
    return cast(bytes, _native.header_fields(header)["hash"])


def header_height(header: bytes) -> int:
    """The height an RLP header states. Raises InvalidInputError(header.*)."""
    return cast(int, _native.header_fields(header)["height"])


def header_parent(header: bytes) -> bytes:
    """The hash of the block before, as an RLP header states it. Raises InvalidInputError(header.*)."""
    return cast(bytes, _native.header_fields(header)["parent"])


def read_transaction(raw: bytes) -> Transaction:
    """Decode a raw transaction and recover its sender. Raises InvalidInputError(tx.malformed | tx.signature)."""
    fields = cast("dict[str, Any]", _native.transaction_fields(raw))
    return Transaction(
        hash=fields["hash"],
        kind=fields["type"],
        sender=fields["from"],
        to=fields["to"],
        nonce=fields["nonce"],
        gas=fields["gas"],
        gas_price=fields["gas_price"],
        max_fee=fields["max_fee"],
        max_priority_fee=fields["max_priority_fee"],
        value=_number(fields["value"]),
        input=fields["input"],
        chain_id=fields["chain_id"],
        access_list=tuple(AccessEntry(address=entry[0], slots=tuple(entry[1])) for entry in fields["access_list"]),
        r=_number(fields["r"]),
        s=_number(fields["s"]),
        v=_number(fields["v"]),
    )


def _number(value: int | bytes) -> int:
    return value if isinstance(value, int) else int.from_bytes(value, "big")
