"""The embedded chain of a node: mempool, native state machine and store under one writer's lock.

A block goes: execute (pending, nothing visible) -> one synced batch -> commit (visible) -> waiters and subscribers.
A crash between any two steps leaves the last whole block, because the batch is atomic and everything else is memory.
On a CometBFT network the consensus executes and commits; this engine stores what it decided (:meth:`adopt`).
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from ledger.chain import embedded
from ledger.chain.blocks import ChainHead, Receipt, receipt_from_row
from ledger.chain.forwarding import Forward, Forwarding
from ledger.chain.mempool import Admission, Mempool, Pooled
from ledger.chain.reverts import revert_error
from ledger.chain.waiting import Waiting
from ledger.errors import ConflictError, FatalError, LedgerError, UnavailableError, UntrustedError
from ledger.storage.chainstate import ChainStore, ConsensusCommit, ExecutedBlock, StoredBlock

SOLO = "solo"
COMETBFT = "cometbft"
#: A block must fit into one message between nodes (8 MiB) with room to spare.
MAX_BLOCK_BYTES = 4 << 20
MAX_BLOCK_TRANSACTIONS = 5_000
#: Left out of one block, welcome in a later one.
_KEEP = frozenset({"tx.gas-share", "tx.block-full", "tx.nonce-gap"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Executed:
    """The native pending block, each property read once: every read copies."""

    height: int
    hash: bytes
    header: bytes
    transactions: tuple[bytes, ...]
    receipts: tuple[Mapping[str, Any], ...]
    writes: list[tuple[bytes, bytes | None]]


class EmbeddedChain:
    """One node's chain. Any thread may read, call or submit; blocks are made, imported or adopted one at a time."""

    def __init__(
        self, native: embedded.NativeChain, store: ChainStore, *, forward: Forward | None = None, engine: str = SOLO
    ) -> None:
        self.native = native
        self.store = store
        self.engine = engine  #: Who orders the transactions: ``solo`` or ``cometbft``.
        self.pool = Mempool()
        #: On a CometBFT network what waits is not in ``pool`` but where proposals are made.
        self.forwarding = Forwarding() if engine == COMETBFT else None
        self._waits: Mempool | Forwarding = self.forwarding or self.pool
        self._forward = self.forwarding.submit if self.forwarding else forward
        self._writing = threading.Lock()
        self._waiting = Waiting()
        self._stopped: LedgerError | None = None

    @classmethod
    def open(
        cls, store: ChainStore, genesis: bytes, *, forward: Forward | None = None, engine: str = SOLO
    ) -> EmbeddedChain:
        """Start from a genesis file (fresh folder) or from the stored rows.

        With ``forward``, submitted transactions go through it to whoever orders them instead of into the pool. The
        store stays the caller's to close, after :meth:`close`.

        Raises InvalidInputError(genesis.*), ConflictError(chain.other-genesis), and FatalError(chain.root-mismatch |
        chain.head-mismatch) when the folder does not hold what it says.
        """
        digest = hashlib.sha256(genesis).digest()
        store.check_genesis(digest)
        if store.genesis_digest is None:
            native, rows = embedded.new_chain(genesis)
            head = _head(native)
            store.write_genesis(digest, head.hash, head.header, rows)
        else:
            native = embedded.load_chain(genesis, store.load_rows())
            head = _head(native)
            if store.awaits_base:
                store.put_base(head.height, head.hash, head.header)
            kept = store.header(head.height)
            if kept is None or kept[0] != head.hash:
                raise FatalError(
                    "chain.head-mismatch",
                    f"the state is at height {head.height}, the stored block of that height is another",
                    hint="restore the folder from a backup, or remove it and let the node catch up from the others",
                    expected=head.hash,
                    actual=None if kept is None else kept[0],
                )
        return cls(native, store, forward=forward, engine=engine)

    # --- reading ------------------------------------------------------------------------------------------------------
    @property
    def chain_id(self) -> int:
        """The EIP-155 chain id."""
        return self.native.chain_id()

    @property
    def genesis_digest(self) -> bytes:
        """SHA-256 of the genesis file."""
        return self.native.genesis_digest()

    @property
    def is_follower(self) -> bool:
        """True when transactions are handed to somebody else who orders them."""
        return self._forward is not None

    @property
    def failure(self) -> LedgerError | None:
        """Why the engine no longer makes blocks, or None."""
        return self._stopped

    def head(self) -> ChainHead:
        """The newest committed block."""
        return _head(self.native)

    def call(self, to: bytes, data: bytes, height: int | None = None) -> bytes:
        """Read a contract at the head or at a provable height. Raises the contract's revert as an error."""
        succeeded, output, _ = self.native.call(to, data, height=height)
        if not succeeded:
            raise revert_error(output)
        return output

    def block(self, which: int | bytes) -> StoredBlock | None:
        """A committed block by height or hash, or None."""
        block = self.store.block(which)
        return block if block is not None and self._is_committed(block.height) else None

    def transaction(self, transaction: bytes) -> tuple[StoredBlock, int] | None:
        """The committed block a transaction is in, and its index there; None when it is in none."""
        found = self.store.transaction(transaction)
        return found if found is not None and self._is_committed(found[0].height) else None

    def receipt(self, transaction: bytes) -> Receipt | None:
        """The receipt of an included transaction, or None."""
        found = self.transaction(transaction)
        if found is None:
            return None
        block, index = found
        return self._receipt_rows(block)[index]

    def receipts(self, height: int) -> tuple[Receipt, ...]:
        """The receipts of a block in order; empty for an unknown height."""
        block = self.block(height)
        return () if block is None else self._receipt_rows(block)

    def _receipt_rows(self, block: StoredBlock) -> tuple[Receipt, ...]:
        rows = self.store.receipts(block.height) or ()
        return tuple(receipt_from_row(row, block.height, block.hash, index) for index, row in enumerate(rows))

    def _is_committed(self, height: int) -> bool:
        # A block is on disk a moment before it is the head: whoever saw its receipt then would read the state before.
        return height <= self.native.height()

    def nonce(self, address: bytes) -> int:
        """The next nonce of an account by committed state."""
        return cast(int, self.native.account(address)["nonce"])

    def pending_nonce(self, address: bytes) -> int:
        """The next nonce of an account behind what waits in the pool here."""
        return self._waits.next_nonce(address, self.nonce(address))

    def waiting(self) -> tuple[int, int, bool]:
        """(transactions, bytes) that wait here for a block, and whether the next one can hold any of them."""
        return self._waits.size()

    def waiting_transaction(self, transaction: bytes) -> bytes | None:
        """A transaction that waits here, by hash."""
        return self._waits.find(transaction)

    # --- submitting ---------------------------------------------------------------------------------------------------
    def submit(self, raw: bytes) -> bytes:
        """Admit one transaction and return its hash; the same one again is no error.

        Raises InvalidInputError(tx.*), NotAllowedError(tx.not-member | tx.create-not-adopted),
        ConflictError(tx.nonce-taken), UnavailableError(tx.pool-full | chain.stopped).
        """
        admission = self.submit_many([raw])[0]
        if not admission.admitted:
            raise admission.error()
        return admission.hash

    def submit_many(self, raws: Sequence[bytes]) -> list[Admission]:
        """Admit many; one answer each, in order."""
        if self._stopped is not None:
            raise UnavailableError(self._stopped.code, self._stopped.message, hint=self._stopped.hint)
        if self._forward is not None:
            return [self._heard(answer) for answer in self._forward(list(raws))]
        return [self._admit(raw, judged) for raw, judged in zip(raws, self.native.check_txs(list(raws)), strict=True)]

    def _heard(self, answer: Admission) -> Admission:
        if answer.code == "tx.nonce-low" and self.transaction(answer.hash) is not None:
            return Admission(hash=answer.hash)  # sent again after it got into a block: the first answer holds
        return answer

    def _admit(self, raw: bytes, judged: tuple[bytes, bytes, int] | tuple[str, str]) -> Admission:
        if len(judged) == 2:
            return self._heard(Admission(hash=embedded.keccak256(raw), code=judged[0], message=judged[1]))
        transaction, sender, nonce = judged
        try:
            self.pool.add(Pooled(hash=transaction, sender=sender, nonce=nonce, raw=raw))
        except LedgerError as error:
            return Admission(hash=transaction, code=error.code, message=error.message)
        return Admission(hash=transaction)

    def wait(self, transaction: bytes, timeout: float) -> Receipt:
        """The receipt, as soon as the transaction is in a committed block here.

        Raises UnavailableError(chain.timeout) after ``timeout`` seconds (it may still be included later), or the
        refusal when the transaction turned out to be invalid at its block.
        """
        waiter = self._waiting.enter(transaction)
        try:
            # Looked up after entering: a block committed in between is seen by one of the two.
            receipt = self.receipt(transaction)
            if receipt is None and self._stopped is not None:
                raise self._stopped
            for gone in self._waits.refused(() if receipt else (transaction,)):
                raise gone.error()
            receipt = receipt or waiter.wait(timeout)
        finally:
            self._waiting.leave(transaction, waiter)
        if receipt is None:
            raise UnavailableError(
                "chain.timeout",
                f"transaction 0x{transaction.hex()} is not in a block after {timeout:g} s",
                hint="it may still be included: ask for its receipt; `civicledger doctor` explains a stalled chain",
            )
        return receipt

    def subscribe(self, callback: Callable[[StoredBlock], None]) -> Callable[[], None]:
        """Call ``callback`` with every block after it is committed, in order, on the committing thread (so it must be
        short and must not make blocks). Returns the function that ends the subscription."""
        return self._waiting.listen(callback)

    # --- blocks -------------------------------------------------------------------------------------------------------
    def produce(self, now_ms: int) -> StoredBlock | None:
        """Make the next block from the pool (the sequencer's step); None when nothing valid waits.

        Raises FatalError(chain.write-failed): the engine then stays stopped until the folder is opened again, because
        only what is on disk can say whether the block exists.
        """
        with self._writing:
            self._require_running()
            taken = self.pool.take(self.nonce, limit=MAX_BLOCK_TRANSACTIONS, max_bytes=MAX_BLOCK_BYTES)
            if not taken:
                return None
            height = self.native.height() + 1
            pending = self.native.execute([entry.raw for entry in taken], now_ms, height)
            refused = () if pending is None else pending.refused
            if pending is None:
                # Nothing was valid on the parent state: ask why, one by one, so that senders hear the reason.
                refused = self._reasons(taken)
            self._drop(taken, refused)
            if pending is None:
                return None
            block = self._finish(pending)
            if refused:
                self.pool.wake()  # what did not fit gets the next block
            return block

    def import_block(self, header: bytes, transactions: Sequence[bytes]) -> StoredBlock:
        """Re-execute and keep a block of the sequencer (the follower's step). A block already kept is returned as is.

        Raises UntrustedError(block.*) when it does not follow from our head, UntrustedError(block.fork) when another
        block of that height is kept here, FatalError(chain.write-failed).
        """
        with self._writing:
            self._require_running()
            kept = self.store.block(embedded.header_hash(header))
            if kept is not None:
                return kept
            height = embedded.header_height(header)
            ours = self.store.block(height)
            if ours is not None:
                raise UntrustedError(
                    "block.fork",
                    f"the sequencer signed two blocks of height {height}",
                    hint="stop trusting this sequencer: keep both headers and report them to the supervisor",
                    expected=ours.hash,
                    actual=embedded.header_hash(header),
                )
            if height > self.native.height() + 1:
                raise ConflictError(
                    "block.gap",
                    f"block {height} does not follow our head {self.native.height()}",
                    hint="ask for the blocks in between first",
                    expected=self.native.height() + 1,
                    actual=height,
                )
            return self._finish(self.native.verify_block(header, list(transactions)))

    def adopt(self, commit: ConsensusCommit, committed: Callable[[], None]) -> StoredBlock | None:
        """Keep what CometBFT decided at one consensus height; the chain block it made, None where it made none.

        One synced batch with everything, then ``committed`` (the block becomes the head and CometBFT hears that it is
        kept), then waiters and subscribers. Raises FatalError(chain.write-failed).
        """
        with self._writing:
            self._require_running()
            executed = None if commit.block is None else _read(commit.block)
            self._keep(
                f"consensus height {commit.height}", lambda: self.store.write_commit(commit, executed), committed
            )
            if commit.restored is not None:
                head = self.head()
                self.store.put_base(head.height, head.hash, head.header)
            block = None if executed is None else self._announce(executed)
            for transaction, code, message in commit.refused:
                if code not in _KEEP:  # those are handed in again by who waits for them
                    self._waiting.refuse(transaction, Admission(hash=transaction, code=code, message=message).error())
            for gone in self._waits.refused(self._waiting.transactions()):
                self._waiting.refuse(gone.hash, gone.error())
            return block

    def close(self) -> None:
        """Stop making blocks and release the waiters; a block being made is finished first."""
        with self._writing:
            if self._stopped is None:
                self._stopped = UnavailableError("chain.closed", "the node is stopping", hint="ask another node")
            self._waiting.fail(self._stopped)
        self.pool.wake()

    def _require_running(self) -> None:
        if self._stopped is not None:
            raise self._stopped

    def _finish(self, pending: embedded.ExecutedBlock) -> StoredBlock:
        executed = _read(pending)
        self._keep(f"block {executed.height}", lambda: self.store.write_block(executed), self.native.commit)
        return self._announce(executed)

    def _keep(self, what: str, write: Callable[[], None], commit: Callable[[], None]) -> None:
        """On disk first, then visible."""
        try:
            write()
            commit()
        except Exception as error:
            self._stopped = FatalError(
                "chain.write-failed",
                f"{what} could not be stored: {error}",
                hint="check the disk and start the node again: it continues from the last whole block",
            )
            self._waiting.fail(self._stopped)
            raise self._stopped from error

    def _announce(self, executed: _Executed) -> StoredBlock:
        hashes = tuple(cast(bytes, row["hash"]) for row in executed.receipts)
        block = StoredBlock(
            height=executed.height,
            hash=executed.hash,
            header=executed.header,
            transactions=executed.transactions,
            transaction_hashes=hashes,
        )
        self.pool.discard(hashes)
        self._waiting.announce(
            block, lambda index: receipt_from_row(executed.receipts[index], block.height, block.hash, index)
        )
        return block

    def _reasons(self, taken: list[Pooled]) -> list[tuple[int, str, str]]:
        judged = self.native.check_txs([entry.raw for entry in taken])
        return [(i, answer[0], answer[1]) for i, answer in enumerate(judged) if len(answer) == 2]

    def _drop(self, taken: list[Pooled], refused: Sequence[tuple[int, str, str]]) -> None:
        gone = [(taken[i], code, message) for i, code, message in refused if code not in _KEEP]
        self.pool.discard(entry.hash for entry, _, _ in gone)
        for entry, code, message in gone:
            self._waiting.refuse(entry.hash, Admission(hash=entry.hash, code=code, message=message).error())


def _read(pending: ExecutedBlock) -> _Executed:
    return _Executed(
        height=pending.height,
        hash=pending.hash,
        header=pending.header,
        transactions=tuple(pending.transactions),
        receipts=tuple(pending.receipts),
        writes=list(pending.writes),
    )


def _head(native: embedded.NativeChain) -> ChainHead:
    head = cast("dict[str, Any]", native.head())
    return ChainHead(
        height=head["height"],
        hash=head["hash"],
        state_root=head["state_root"],
        time=head["time"],
        header=head["header"],
    )
