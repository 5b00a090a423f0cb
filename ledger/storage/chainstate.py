"""What the embedded chain keeps: the state machine's rows, and blocks, receipts and logs to answer questions from.

Key layout under the store given: ``s`` rows of the native state machine (opaque), ``b`` height -> block, ``h`` block
hash -> height, ``t`` transaction hash -> height and index, ``r`` height -> receipts, ``l`` height and log index -> log,
``f`` height -> finality, ``a`` member -> anchor parts, ``g`` genesis digest; on a CometBFT network also ``c`` the
newest consensus height with its time and the application's row, ``n`` the block a snapshot restored; on somebody
else's network ``n`` is the newest block adopted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from ledger.errors import ConflictError, FatalError, InvalidInputError
from ledger.storage.chainrows import ConsensusCommit, ExecutedBlock, LogFilter, StoredBlock, StoredLog
from ledger.storage.store import Batch, Store, u64

__all__ = ["ChainStore", "ConsensusCommit", "ExecutedBlock", "LogFilter", "StoredBlock", "StoredLog"]

_STATE, _BLOCK, _HASH, _TX, _RECEIPTS, _LOG, _FINALITY, _ANCHOR, _GENESIS, _CONSENSUS, _BASE = (
    b"s", b"b", b"h", b"t", b"r", b"l", b"f", b"a", b"g", b"c", b"n",
)  # fmt: skip


class _Located(msgspec.Struct, frozen=True, array_like=True):
    height: int
    index: int


class ChainStore:
    """The chain's rows in one LevelDB folder. Writers hold the engine's lock; readers are free."""

    __slots__ = ("_store",)

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def genesis_digest(self) -> bytes | None:
        """The digest of the genesis file this folder was made from; None while empty."""
        return self._store.get(_GENESIS)

    def load_rows(self) -> Iterator[tuple[bytes, bytes]]:
        """Every row of the native state machine, in key order."""
        for key, value in self._store.scan(_STATE):
            yield key[1:], value

    def write_genesis(
        self, digest: bytes, block_hash: bytes, header: bytes, writes: Iterable[tuple[bytes, bytes | None]]
    ) -> None:
        """Store block 0 in one synced batch.

        Raises:
            ConflictError: ``chain.other-genesis``, the folder holds another chain.
        """
        self.check_genesis(digest)
        with self._store.batch() as batch:
            batch.put(_GENESIS, digest)
            batch.apply(writes, within=_STATE)
            _put_block(batch, 0, block_hash, header, (), ())

    def check_genesis(self, digest: bytes) -> None:
        """Refuse a genesis file other than the one this folder was made from.

        Raises:
            ConflictError: ``chain.other-genesis``.
        """
        known = self.genesis_digest
        if known is not None and known != digest:
            raise ConflictError(
                "chain.other-genesis",
                "this folder holds the chain of another genesis file",
                hint="give the node the genesis file it was initialised with, or an empty folder",
                expected=known,
                actual=digest,
            )

    def write_block(self, executed: ExecutedBlock) -> None:
        """Store a block with everything derived from it in one synced batch.

        Raises:
            UnavailableError: ``disk.full``; nothing of the block was kept.
            FatalError: ``store.corrupt``.
        """
        with self._store.batch() as batch:
            _put_executed(batch, executed)

    def write_commit(self, commit: ConsensusCommit, executed: ExecutedBlock | None) -> None:
        """Store one consensus height in one synced batch: the application's row, and the chain block where it made one
        (``executed``: what was read of ``commit.block``), or a whole snapshot.

        Raises: as :meth:`write_block`.
        """
        with self._store.batch() as batch:
            batch.put(_CONSENSUS, msgspec.msgpack.encode((commit.height, commit.time_ms, commit.consensus)))
            if commit.restored is not None:
                for key, _ in self._store.scan(_STATE):
                    batch.delete(key)
                batch.apply(commit.restored, within=_STATE)
                batch.put(_BASE, b"")
            if executed is not None:
                _put_executed(batch, executed)

    def write_recovery(
        self,
        digest: bytes,
        block: tuple[int, bytes, bytes],
        writes: Iterable[tuple[bytes, bytes | None]],
        *,
        state: Iterable[tuple[bytes, bytes]] | None = None,
    ) -> None:
        """Go over to the chain of a recovered city in one synced batch: its genesis digest, its first block (height,
        hash, header) and what that changes. Blocks, receipts, logs and proofs of before stay. ``state``: rows of the
        head before, in the place of every state row kept so far (for a folder that has less).

        Raises: as :meth:`write_block`.
        """
        with self._store.batch() as batch:
            batch.put(_GENESIS, digest)
            batch.delete(_CONSENSUS)
            if state is not None:
                for key, _ in self._store.scan(_STATE):
                    batch.delete(key)
                batch.apply(state, within=_STATE)
            batch.apply(writes, within=_STATE)
            _put_block(batch, *block, (), ())

    @property
    def consensus(self) -> bytes | None:
        """The application's row of the newest consensus height kept; None before the first."""
        row = self._consensus_row()
        return None if row is None else row[2]

    @property
    def consensus_at(self) -> tuple[int, int] | None:
        """(consensus height, its signed time in Unix ms) of the newest kept; None before the first."""
        row = self._consensus_row()
        return None if row is None else row[:2]

    def _consensus_row(self) -> tuple[int, int, bytes] | None:
        data = self._store.get(_CONSENSUS)
        if data is None:
            return None
        row: tuple[int, int, bytes] = self._decode(data, tuple[int, int, bytes])
        return row

    @property
    def awaits_base(self) -> bool:
        """True between the batch with a snapshot's rows and :meth:`put_base`."""
        return self._store.get(_BASE) == b""

    def put_base(self, height: int, block_hash: bytes, header: bytes) -> None:
        """Keep the header of the block a snapshot restored: the block itself and those before it are not here."""
        self._store.put(_BASE, msgspec.msgpack.encode((height, block_hash, header)))

    def header(self, height: int) -> tuple[bytes, bytes] | None:
        """(hash, RLP header) of a block or of a restored snapshot's head; None when unknown."""
        block = self.block(height)
        if block is not None:
            return block.hash, block.header
        data = self._store.get(_BASE)
        if not data:
            return None
        base, block_hash, header = self._decode(data, tuple[int, bytes, bytes])
        return (block_hash, header) if base == height else None

    def put_adopted(self, digest: bytes, height: int, block_hash: bytes, header: bytes) -> None:
        """Keep the newest adopted block of a network that somebody else runs, for the city of this genesis digest.

        Raises: as :meth:`write_block`; ConflictError(chain.other-genesis).
        """
        self.check_genesis(digest)
        with self._store.batch() as batch:
            batch.put(_GENESIS, digest)
            batch.put(_BASE, msgspec.msgpack.encode((height, block_hash, header)))

    @property
    def adopted(self) -> tuple[int, bytes, bytes] | None:
        """(height, hash, header) that :meth:`put_adopted` kept; None before."""
        data = self._store.get(_BASE)
        if not data:
            return None
        row: tuple[int, bytes, bytes] = self._decode(data, tuple[int, bytes, bytes])
        return row

    @property
    def height(self) -> int | None:
        """The newest block's height; None while empty."""
        for key, _ in self._store.scan(_BLOCK, reverse=True):
            return int.from_bytes(key[1:], "big")
        return None

    @property
    def state_head(self) -> tuple[int, bytes] | None:
        """(height, hash) of the block whose state the rows are, also where a snapshot left no blocks; None while empty.

        Source: native/src/chain/store.rs, row ``h``.
        """
        row = self._store.get(_STATE + b"h")
        return None if row is None else (int.from_bytes(row[:8], "big"), row[8:])

    def block(self, at: int | bytes) -> StoredBlock | None:
        """A block by height or by hash; None when unknown."""
        if isinstance(at, bytes):
            row = self._store.get(_HASH + at)
            if row is None:
                return None
            at = int.from_bytes(row, "big")
        data = self._store.get(_BLOCK + u64(at))
        if data is None:
            return None
        block_hash, header, transactions, hashes = self._decode(
            data, tuple[bytes, bytes, tuple[bytes, ...], tuple[bytes, ...]]
        )
        return StoredBlock(
            height=at, hash=block_hash, header=header, transactions=transactions, transaction_hashes=hashes
        )

    def transaction(self, transaction_hash: bytes) -> tuple[StoredBlock, int] | None:
        """The block that includes a transaction, and its index there; None when unknown."""
        located = self._locate(transaction_hash)
        if located is None:
            return None
        block = self.block(located.height)
        if block is None:
            raise FatalError("store.corrupt", f"block {located.height} is indexed but missing")
        return block, located.index

    def receipts(self, height: int) -> tuple[dict[str, Any], ...] | None:
        """The receipts of a block, as the native core gave them; None when unknown."""
        data = self._store.get(_RECEIPTS + u64(height))
        if data is None:
            return () if self._store.get(_BLOCK + u64(height)) is not None else None
        receipts: tuple[dict[str, Any], ...] = self._decode(data, tuple[dict[str, Any], ...])
        return receipts

    def receipt(self, transaction_hash: bytes) -> tuple[dict[str, Any], int, int] | None:
        """(receipt, height, index in the block) of a transaction; None when unknown."""
        located = self._locate(transaction_hash)
        if located is None:
            return None
        receipts = self.receipts(located.height)
        if receipts is None or located.index >= len(receipts):
            raise FatalError("store.corrupt", f"receipts of block {located.height} are missing")
        return receipts[located.index], located.height, located.index

    def logs(self, wanted: LogFilter, *, limit: int = 10_000) -> tuple[StoredLog, ...]:
        """Events in order.

        Raises:
            InvalidInputError: ``logs.too-many``, more than ``limit`` match.
        """
        found: list[StoredLog] = []
        for log in self._scan_logs(wanted.first, wanted.last):
            if wanted.matches(log):
                if len(found) == limit:
                    raise InvalidInputError(
                        "logs.too-many", f"more than {limit} events match", hint="ask for a smaller range of blocks"
                    )
                found.append(log)
        return tuple(found)

    def _scan_logs(self, first: int, last: int) -> Iterator[StoredLog]:
        shape = tuple[bytes, int, bytes, bytes, tuple[bytes, ...], bytes]
        for key, data in self._store.scan(_LOG, start=_LOG + u64(first), stop=_LOG + u64(last + 1)):
            block_hash, number, transaction_hash, address, topics, body = self._decode(data, shape)
            yield StoredLog(
                height=int.from_bytes(key[1:9], "big"),
                block_hash=block_hash,
                index=int.from_bytes(key[9:13], "big"),
                transaction_index=number,
                transaction_hash=transaction_hash,
                address=address,
                topics=topics,
                data=body,
            )

    def put_finality(self, height: int, finality: bytes) -> None:
        """Keep the encoded finality proof of a height (the newest wins)."""
        self._store.put(_FINALITY + u64(height), finality)

    def finality(self, height: int = 0) -> tuple[int, bytes] | None:
        """(height, proof) of the first kept proof at or above ``height``; 0 asks for the newest; None without one."""
        rows = (
            self._store.scan(_FINALITY, start=_FINALITY + u64(height))
            if height
            else self._store.scan(_FINALITY, reverse=True)
        )
        for key, value in rows:
            return int.from_bytes(key[1:], "big"), value
        return None

    def put_anchor(self, member: bytes, size: int, parts: bytes) -> None:
        """Keep the encoded bundle parts of a member's anchor at a log size."""
        self._store.put(_ANCHOR + member + u64(size), parts)

    def anchor(self, member: bytes, covering: int = 0) -> tuple[int, bytes] | None:
        """(size, parts) of the newest kept anchor of a member whose size is above the index ``covering``."""
        for key, value in self._store.scan(_ANCHOR + member, reverse=True):
            size = int.from_bytes(key[-8:], "big")
            return (size, value) if size > covering else None
        return None

    def anchors(self, member: bytes, covering: int) -> Iterator[tuple[int, bytes]]:
        """(size, parts) of every kept anchor of a member whose size is above the index ``covering``, oldest first."""
        for key, value in self._store.scan(_ANCHOR + member, start=_ANCHOR + member + u64(covering + 1)):
            yield int.from_bytes(key[-8:], "big"), value

    def close(self) -> None:
        """Close the folder."""
        self._store.close()

    def _locate(self, transaction_hash: bytes) -> _Located | None:
        data = self._store.get(_TX + transaction_hash)
        return None if data is None else self._decode(data, _Located)

    def _decode(self, data: bytes, shape: Any) -> Any:
        try:
            return msgspec.msgpack.decode(data, type=shape)
        except msgspec.MsgspecError as error:
            raise FatalError(
                "store.corrupt",
                f"a row of the chain store in {self._store.path} does not decode: {error}",
                hint="restore the folder or let the node rejoin from the other members",
            ) from error


def _put_executed(batch: Batch, executed: ExecutedBlock) -> None:
    receipts = tuple(executed.receipts)
    hashes = tuple(bytes(receipt["hash"]) for receipt in receipts)
    height, encode = u64(executed.height), msgspec.msgpack.Encoder().encode
    batch.apply(executed.writes, within=_STATE)
    _put_block(batch, executed.height, executed.hash, executed.header, tuple(executed.transactions), hashes)
    batch.put(_RECEIPTS + height, encode(receipts))
    batch.apply(
        ((hashes[number], encode(_Located(executed.height, number))) for number in range(len(hashes))), within=_TX
    )
    logs = (
        (executed.hash, number, hashes[number], log["address"], log["topics"], log["data"])
        for number, receipt in enumerate(receipts)
        for log in receipt["logs"]
    )
    batch.apply(((place.to_bytes(4, "big"), encode(log)) for place, log in enumerate(logs)), within=_LOG + height)


def _put_block(
    batch: Batch,
    height: int,
    block_hash: bytes,
    header: bytes,
    transactions: tuple[bytes, ...],
    hashes: tuple[bytes, ...],
) -> None:
    batch.put(_BLOCK + u64(height), msgspec.msgpack.encode((block_hash, header, transactions, hashes)))
    batch.put(_HASH + block_hash, u64(height))
