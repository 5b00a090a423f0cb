"""The native door. Every function raises the classes of ``ledger.errors`` and nothing else.

Hashes are 32 bytes; signatures are raw (Ed25519 64, P-256 and secp256k1 r||s 64, recoverable 65 with v in {0,1}).
"""

from collections.abc import Iterable, Sequence
from typing import final

from ledger._native_licences import *  # noqa: F403

# --- merkle (RFC 6962 2.1) -------------------------------------------------------------------------------------------
def leaf_hash(entry: bytes) -> bytes: ...
def node_hash(left: bytes, right: bytes) -> bytes: ...
def merkle_root(leaf_hashes: Sequence[bytes]) -> bytes: ...
def inclusion_proof(leaf_hashes: Sequence[bytes], index: int, size: int) -> list[bytes]: ...
def consistency_proof(leaf_hashes: Sequence[bytes], size1: int, size2: int) -> list[bytes]: ...
def verify_inclusion(leaf_hash: bytes, index: int, size: int, root: bytes, proof: Sequence[bytes]) -> None: ...
def verify_consistency(size1: int, size2: int, root1: bytes, root2: bytes, proof: Sequence[bytes]) -> None: ...
def bundle_leaves(bundle: bytes, count: int) -> bytes:
    """The leaf hashes of an entry bundle of exactly ``count`` entries (u16 length in front of each), concatenated.
    Raises UntrustedError(tile.bundle)."""

def tile_roots(hashes: bytes) -> bytes:
    """The roots of full tiles (8,192 bytes each) lying one after another, concatenated. On all cores, without the GIL.
    Raises InvalidInputError(tile.length)."""

# --- canonical JSON (RFC 8785 with the narrowings of formats.md) ------------------------------------------------------
def check_canonical(data: bytes, max_bytes: int, max_depth: int) -> None:
    """Refuse anything that is not exactly its own JCS form: order, escapes, floats, integers beyond 2^53-1,
    duplicate keys, trailing bytes, nesting. Raises InvalidInputError(json.*)."""

def encode_json(value: object, max_depth: int) -> bytes:
    """The canonical bytes of a dict, list, tuple, str, int, bool or None. Raises InvalidInputError(json.float |
    json.integer | json.key | json.type | json.depth | json.text)."""

@final
class RecordSchema:
    """Record types of one member whose bodies are ids, labels and numbers, recognised by their bytes."""

    def __init__(self, member: str, types: Sequence[tuple[str, Sequence[tuple[str, str, bool]]]]) -> None:
        """types: (name, fields), a field: (name, "hex32" | "uint" | "purpose" | "label", optional)."""

    def odd(self, records: Sequence[bytes]) -> list[int]:
        """Indices of those that are not recognised, ascending. Without the GIL."""

    def encode_lines(
        self, data: bytes, time: str, max_lines: int, max_bytes: int
    ) -> tuple[list[bytes | tuple[int, int, int]], int, int]:
        """Canonical records of the first JSON lines: (rows, bytes taken, lines taken). A row is a record, or (line,
        start, end) where a line is not plainly one; blank lines have no row. At most max_lines rows and max_bytes
        bytes, but at least one line. ``time`` is for lines without one. On all cores without the GIL."""

# --- digests and signatures ------------------------------------------------------------------------------------------
def keccak256(data: bytes) -> bytes: ...
def ed25519_public(seed: bytes) -> bytes: ...
def ed25519_sign(seed: bytes, message: bytes) -> bytes: ...
def ed25519_verify(public: bytes, message: bytes, signature: bytes) -> None: ...
def p256_public(secret: bytes) -> bytes:
    """33-byte compressed point."""

def p256_sign(secret: bytes, message: bytes) -> bytes:
    """SHA-256, deterministic (RFC 6979), low-s."""

def p256_verify(public: bytes, message: bytes, signature: bytes) -> None: ...
def secp256k1_public(secret: bytes) -> bytes:
    """64-byte uncompressed point without the 0x04."""

def secp256k1_sign(secret: bytes, digest: bytes) -> bytes:
    """65 bytes r||s||v over a 32-byte digest, low-s."""

def secp256k1_recover(digest: bytes, signature: bytes) -> bytes:
    """The 20-byte Ethereum address. High s is refused."""

def verify_batch(items: Sequence[tuple[str, bytes, bytes, bytes]]) -> list[int]:
    """items: (algorithm "ed25519" | "p256" | "secp256k1", public, message, signature); secp256k1: public is the
    20-byte address, message the 32-byte digest. Returns the indices that fail, ascending. Runs on all cores without
    the GIL."""

# --- the light client of CometBFT (docs/formats.md, finality of the cometbft engine) ---------------------------------
def verify_light(
    blocks: Sequence[bytes], chain_id: str, pin: tuple[int, bytes, bytes] | None = None
) -> list[tuple[bytes, int, int]]:
    """Verify light blocks (canonical JSON), each signed by over two thirds of its validators and vouching for the next;
    with a pin (consensus height, header hash, validators hash), the pin vouching for the last. Per block: (header hash,
    power that signed, power of the set). Raises InvalidInputError(finality.light | finality.validators |
    finality.handover | json.*), UntrustedError(finality.chain | finality.validators | finality.prefix |
    finality.quorum | finality.signature | finality.handover | finality.time | finality.pin | finality.light)."""

# --- the log engine (docs/formats.md, log) ---------------------------------------------------------------------------
@final
class LogEngine:
    """The one writer of a log folder. Thread-safe: any number of callers append."""

    @staticmethod
    def open(path: str, *, pool_bytes: int = ..., now_ms: int = ...) -> LogEngine:
        """Create or recover. Raises ConflictError(log.locked) when another process holds it."""

    def append(self, entry: bytes) -> int:
        """Durable index of the entry."""

    def append_batch(self, entries: Sequence[bytes], batch_id: bytes | None = None, now_ms: int = 0) -> tuple[int, int]:
        """(first, count) of the durable range. batch_id: 16 bytes; a repeat within 24 h of now_ms returns the first
        answer; a repeat with other content raises ConflictError(log.batch-conflict)."""

    def append_records(
        self, entries: Sequence[bytes], batch_id: bytes | None = None, now_ms: int = 0
    ) -> tuple[int, int]:
        """append_batch after a native check of every entry: canonical JSON, <= 60,000 bytes, the record's five
        fields with the right types. The catalogue of types and body schemas is checked in Python where needed."""

    def begin_records(
        self,
        entries: Sequence[bytes],
        batch_id: bytes | None = None,
        now_ms: int = 0,
        schema: RecordSchema | None = None,
    ) -> PendingAppend:
        """append_records without waiting for the disk. What the schema recognises needs no other check. Appends of one
        caller keep their order."""

    def size(self) -> int: ...
    def root(self, size: int | None = None) -> bytes: ...
    def leaf(self, index: int) -> bytes: ...
    def inclusion_proof(self, index: int, size: int) -> list[bytes]: ...
    def consistency_proof(self, size1: int, size2: int) -> list[bytes]: ...
    def read(self, first: int, count: int) -> list[bytes]: ...
    def index_rows(self, first: int, count: int) -> list[tuple[bytes, bytes]]:
        """Rows (key, value) of the record index for a range of entries, in order of their keys (docs/formats.md)."""

    def hash_tile(self, level: int, index: int, width: int) -> bytes: ...
    def entry_tile(self, index: int, width: int) -> bytes: ...
    def check(self) -> None:
        """Raises what stopped the engine: FatalError(log.no-space, log.read-only, log.failed)."""

    def stat(self) -> dict[str, int]:
        """size, entries_bytes, commits, watermark, pool_bytes, batches."""

    def sync(self) -> None:
        """Level files durable up to the present size."""

    def close(self) -> None: ...

@final
class PendingAppend:
    """Entries on their way to the disk."""

    def result(self) -> tuple[int, int]:
        """Wait; (first, count) of the durable range. May be taken once. Raises as append_records."""

@final
class LogReader:
    """Read-only view of a log folder up to a given size, beside a running writer."""

    @staticmethod
    def open(path: str, size: int) -> LogReader:
        """``size`` as of a published checkpoint. Raises NotFoundError(log.missing); UnavailableError(log.not-yet) when
        the files do not hold the hashes of so many entries (yet)."""

    def size(self) -> int: ...
    def root(self, size: int | None = None) -> bytes: ...
    def leaf(self, index: int) -> bytes: ...
    def inclusion_proof(self, index: int, size: int) -> list[bytes]: ...
    def consistency_proof(self, size1: int, size2: int) -> list[bytes]: ...
    def read(self, first: int, count: int) -> list[bytes]: ...
    def index_rows(self, first: int, count: int) -> list[tuple[bytes, bytes]]:
        """Rows (key, value) of the record index for a range of entries, in order of their keys (docs/formats.md)."""

    def hash_tile(self, level: int, index: int, width: int) -> bytes: ...
    def entry_tile(self, index: int, width: int) -> bytes: ...

@final
class FsckProgress:
    """How far a check is: made by the caller, looked at from another thread."""

    def __init__(self) -> None: ...
    def done(self) -> int:
        """Entries the check is through with."""

def log_fsck(path: str, first: int = 0, progress: FsckProgress | None = None) -> dict[str, object]:
    """Re-derive everything from the entries. {"ok": bool, "size": int, "root": hex, "problems": [{"file", "index",
    "detail"}]}: the first difference of each file is named. Raises nothing for a broken log: that is its answer."""

# --- the chain state machine (docs/formats.md, chain) ------------------------------------------------------------------
@final
class Chain:
    """State in memory, EVM rules of Paris, base fee 0. Persists nothing itself: ``execute`` returns the key-value
    writes of the block, the caller stores them in one synced batch and then calls ``commit``."""

    @staticmethod
    def genesis(genesis: bytes) -> tuple[Chain, list[tuple[bytes, bytes]]]:
        """Run the constructors of a genesis file (JCS bytes). Returns the chain at block 0 and the writes to store.
        Raises InvalidInputError(genesis.*), e.g. a contract address or code hash that does not come out as listed."""

    @staticmethod
    def load(genesis: bytes, rows: Iterable[tuple[bytes, bytes]]) -> Chain:
        """Rebuild from the stored rows (all of them, any order). Raises FatalError: chain.root-mismatch with both
        roots when a state in the proof window does not hash to its header's root, chain.row when a row is damaged or
        missing, chain.genesis-mismatch when the rows belong to another genesis file."""

    @staticmethod
    def recover(genesis: bytes, rows: Iterable[tuple[bytes, bytes]]) -> tuple[Chain, list[tuple[bytes, bytes | None]]]:
        """Go on from the stored rows of the chain before, under the genesis file of a recovered city (version 2): the
        head is then the block that changes the validators. Returns the chain and the rows to store over the old ones.
        Raises InvalidInputError(genesis.*, recovery.other-head, recovery.validator, recovery.too-few-validators),
        FatalError as ``load``."""

    def execute(
        self, txs: Sequence[bytes], time_ms: int, consensus_height: int, cap: int = ...
    ) -> ExecutedBlock | None:
        """Judge and run raw transactions on top of the head, in order, into a pending block of at most ``cap``
        transactions; None when none is valid. Pending replaces any earlier pending. time_ms below the parent's second
        is raised to it. Beside the codes of check_tx, a transaction may be left out for tx.gas-share and tx.block-full
        (both fit a later block) and tx.invalid. Raises InvalidInputError(block.consensus-height) when it does not
        grow, FatalError(chain.version) when the network's rules have a version from this block on that this code lacks."""

    def verify_block(self, header: bytes, txs: Sequence[bytes]) -> ExecutedBlock:
        """Re-execute a foreign block on top of the head into pending. Raises UntrustedError(block.*) naming the first
        field that differs, with both values; every transaction must be valid and included."""

    def commit(self) -> None:
        """Make the pending block the head (after its writes are on disk)."""

    def check_tx(self, raw: bytes) -> tuple[bytes, bytes, int]:
        """Admission on committed state: (tx hash, sender, nonce). Raises InvalidInputError(tx.malformed | tx.chain-id
        | tx.signature | tx.gas | tx.balance | tx.nonce-low | tx.nonce-gap), NotAllowedError(tx.not-member | tx.create-not-adopted)."""

    def check_txs(self, raws: Sequence[bytes]) -> list[tuple[bytes, bytes, int] | tuple[str, str]]:
        """check_tx for many, on all cores: a triple, or (code, message)."""

    def genesis_digest(self) -> bytes: ...
    def chain_id(self) -> int: ...
    def height(self) -> int: ...
    def head(self) -> dict[str, object]:
        """{"height", "hash", "state_root", "time", "header" (RLP)}"""

    def oldest_provable(self) -> int: ...
    def account(self, address: bytes, height: int | None = None) -> dict[str, object]:
        """{"nonce", "balance", "code_hash", "storage_hash"}; those of an empty account when absent. Every ``height``:
        NotFoundError(chain.height) above the head, (proof.window) below the oldest provable."""

    def code(self, address: bytes, height: int | None = None) -> bytes: ...
    def storage(self, address: bytes, slot: bytes, height: int | None = None) -> bytes:
        """The 32-byte value."""

    def call(
        self,
        to: bytes | None,
        data: bytes,
        sender: bytes = ...,
        value: int = 0,
        gas: int | None = None,
        height: int | None = None,
    ) -> tuple[bool, bytes, int]:
        """eth_call: (succeeded, return or revert data, gas used). Without the GIL."""

    def call_many(self, calls: Sequence[tuple[bytes, bytes]]) -> list[tuple[bool, bytes]]: ...
    def estimate_gas(self, to: bytes | None, data: bytes, sender: bytes, value: int = 0) -> int:
        """Raises InvalidInputError(evm.revert) with actual = revert data."""

    def proof(self, address: bytes, slots: Sequence[bytes], height: int | None = None) -> dict[str, object]:
        """EIP-1186: {"height", "address", "nonce", "balance", "code_hash", "storage_hash", "account_proof": [rlp],
        "storage": [{"key", "value" (32 bytes), "proof": [rlp]}]}. Raises NotFoundError(proof.window)."""

@final
class ExecutedBlock:
    """A pending block."""

    @property
    def height(self) -> int: ...
    @property
    def hash(self) -> bytes: ...
    @property
    def header(self) -> bytes:
        """RLP."""

    @property
    def state_root(self) -> bytes: ...
    @property
    def time(self) -> int: ...
    @property
    def transactions(self) -> list[bytes]:
        """The raw transactions included, in order."""

    @property
    def refused(self) -> list[tuple[int, str, str]]:
        """(index in the input, code, message) of those left out."""

    @property
    def receipts(self) -> list[dict[str, object]]:
        """per transaction {"hash", "from", "to", "nonce", "status" (0|1), "gas_used", "cumulative_gas_used",
        "contract" (bytes when one was made, else None), "logs": [{"address", "topics": [..], "data"}], "output" (return or revert data)}"""

    @property
    def writes(self) -> list[tuple[bytes, bytes | None]]:
        """Rows to put (or delete: None) in one batch. Keys are opaque to the caller but for their first byte
        (docs/formats.md): the loader only needs the rows back."""

# --- the ABCI application (CometBFT v0.38, docs/formats.md) -------------------------------------------------------------
@final
class AbciServer:
    """ABCI 2.0 application over a unix socket, mode 0600, around one Chain, on threads of its own. Only storing is Python:
    what ``next_commit`` hands out goes into one synced batch, then ``committed`` is called and CometBFT answered."""

    # fmt: off
    def __init__(
        self, chain: Chain, genesis: bytes, consensus: bytes | None, *,
        snapshots: str | None = None, snapshot_every: int = 1000,
    ) -> None:
        # fmt: on
        """``consensus``: the consensus row of the last stored commit, None before the first. ``snapshots``: a folder for
        snapshots of every ``snapshot_every`` consensus heights, of which the newest two are kept; None makes none.
        Raises InvalidInputError(abci.genesis), FatalError(abci.row*), UnavailableError(abci.snapshots)."""

    def listen(self, path: str) -> None:
        """Raises InvalidInputError(abci.socket-path) also when the path is over 107 bytes long,
        ConflictError(abci.socket-busy | abci.listening), UnavailableError(abci.socket | abci.stopped)."""

    def next_commit(self, timeout: float) -> AbciCommit | None:
        """What has to be stored, the same until it is; None after ``timeout`` seconds, and at once when closed."""

    def committed(self) -> None:
        """It is stored: the block is the head. Raises ConflictError(abci.no-commit), FatalError(abci.pending)."""

    def fail(self, message: str) -> None:
        """It could not be stored: nothing is answered any more, the connections close, ``failure`` is abci.store."""
    def stop(self) -> None:
        """Close the socket and join all threads. May be called again."""
    def failure(self) -> tuple[str, str] | None:
        """(code, message) when the application stopped by itself: abci.*, chain.version, native.panic."""

    def hand_in(self, raws: Sequence[bytes], own: bool) -> list[tuple[bytes, str, str]]:
        """Into the pool of proposals: (hash, code, message) of each, no code where it waits. ``own``: of this member."""

    bell: bytes
    """The one transaction that CometBFT's own mempool takes."""

    def next_bell(self, timeout: float) -> bool:
        """True when CometBFT has to be handed ``bell``: something waits that the next block can hold; again every half
        second without a height. False after ``timeout`` seconds, and at once when closed."""

    def waiting(self) -> tuple[int, int, bool]:
        """(transactions, bytes) in the pool, and whether the next block can hold any of them."""
    def find(self, hash: bytes) -> bytes | None: ...
    def own(self, age: float) -> list[bytes]:
        """What was handed in as ``own`` and waits for at least ``age`` seconds, each sender's by nonce."""
    def pending_nonce(self, address: bytes) -> int: ...
    def refusals(self, hashes: Sequence[bytes]) -> list[tuple[str, str] | None]:
        """Why each had to leave the pool without a block (code, message); the last ten thousand are remembered."""

    def stats(self) -> dict[str, int]:
        """Counters since the start, and ``height``: the names are those of native/src/abci/stats.rs."""

@final
class AbciCommit:
    """What one Commit of CometBFT stores."""

    @property
    def height(self) -> int:
        """Consensus height."""

    @property
    def time_ms(self) -> int:
        """Its time, Unix milliseconds."""

    @property
    def block(self) -> ExecutedBlock | None:
        """None when the height made no chain block."""

    @property
    def consensus(self) -> bytes:
        """The row to give to the next AbciServer; stored in the same synced batch as the block."""

    @property
    def refused(self) -> list[tuple[bytes, str, str]]:
        """(transaction hash, code, message) of those left out."""

    @property
    def validators(self) -> list[bytes]:
        """Consensus keys in force from two heights later, ascending."""

    @property
    def restored(self) -> list[tuple[bytes, bytes]] | None:
        """A snapshot was taken: every state row; they replace all that are stored. ``block`` is None then. Every read
        copies them all."""

def header_fields(header: bytes) -> dict[str, object]:
    """Strict decode of a 16-field header: {"hash", "parent", "state_root", "transactions_root", "receipts_root",
    "height", "gas_limit", "gas_used", "time", "consensus_height"}. Raises InvalidInputError(header.*)."""

def transaction_fields(raw: bytes) -> dict[str, object]:
    """{"hash", "type", "from", "to", "nonce", "gas", "gas_price", "max_fee", "max_priority_fee", "value", "input",
    "chain_id", "r", "s", "v", "access_list"}"""

def verify_account(state_root: bytes, address: bytes, proof: Sequence[bytes]) -> dict[str, object]:
    """{"nonce", "balance", "code_hash", "storage_hash"}. Every node must be used. Raises UntrustedError(state.*)."""

def verify_storage(storage_hash: bytes, slot: bytes, proof: Sequence[bytes]) -> bytes:
    """The 32-byte value (zeros when proven absent). Every node must be used. Raises UntrustedError(state.*)."""
