"""Load on a network while its nodes are killed: members write through whichever node answers, and what was acknowledged
is kept in a file, so that it can be asked for on every node afterwards."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ledger.chain.abi import interface
from ledger.chain.account import TransactionSender
from ledger.chain.blocks import Receipt
from ledger.chain.client import ChainClient
from ledger.chain.genesis import contract_addresses
from ledger.errors import LedgerError, UnavailableError
from ledger.identifiers import dataset_id
from scripts.network import CHAIN_ID, Network
from scripts.network_node import Account, NetworkError

T = TypeVar("T")

#: The dataset of each member whose versions the transactions add.
CODE = "soak"
#: A write that is in no block after this long is given up: it was not acknowledged, so nothing is owed.
_PATIENCE_S = 20.0
_RESUBMIT_S = 1.0
#: A node that does not answer within this is passed over.
_ANSWER_S = 5.0
_DIGEST = hashlib.sha256(b"network load").digest()
#: Blocks or receipts asked for in one request; a node takes 100.
_BATCH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """An acknowledged transaction: some node said it is in the block of this height."""

    transaction: str
    height: int


class Journal:
    """Acknowledged writes, in a file with one JSON line each. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self.writes = list(_read(path))
        self._file = path.open("a", encoding="ascii")
        #: When the newest write was acknowledged, monotonic seconds.
        self.last = time.monotonic()
        self.longest_pause = 0.0

    def add(self, write: Write) -> None:
        """Keep one."""
        with self._lock:
            now = time.monotonic()
            self.longest_pause = max(self.longest_pause, now - self.last)
            self.last = now
            self.writes.append(write)
            self._file.write(json.dumps({"transaction": write.transaction, "height": write.height}) + "\n")
            self._file.flush()

    def __len__(self) -> int:
        return len(self.writes)

    def begin(self) -> None:
        """Measure pauses from now on."""
        with self._lock:
            self.last, self.longest_pause = time.monotonic(), 0.0

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _read(path: Path) -> Iterator[Write]:
    if not path.exists():
        return
    lines = path.read_text("ascii").splitlines(keepends=True)
    for number, line in enumerate(lines):
        if not line.endswith("\n"):
            if number == len(lines) - 1:
                # The run before was killed while it wrote this line; without its line feed the next one would join it.
                path.write_text("".join(lines[:-1]), "ascii")
                return
            raise NetworkError(f"{path} is no journal: line {number + 1}")
        yield Write(**json.loads(line))


class Door:
    """A member's way in: any node that answers. For one thread."""

    def __init__(self, clients: Sequence[ChainClient], first: int) -> None:
        self._clients = clients
        self._at = first % len(clients)

    def nonce(self, address: bytes) -> int:
        """The next nonce of an account."""
        return self._ask(lambda client: client.nonce(address))

    def submit(self, raw: bytes) -> bytes:
        """Hand in a transaction."""
        return self._ask(lambda client: client.submit(raw))

    def wait(self, transaction: bytes, timeout: float) -> Receipt:
        """Wait for its receipt. Raises UnavailableError(chain.timeout)."""
        return self._ask(lambda client: client.wait(transaction, timeout))

    def call(self, to: bytes, data: bytes) -> bytes:
        """Read a contract."""
        return self._ask(lambda client: client.call(to, data))

    def _ask(self, question: Callable[[ChainClient], T]) -> T:
        """Ask the present node; one that is away is passed over once round.

        Raises: what the last one asked answered.
        """
        for left in reversed(range(len(self._clients))):
            try:
                return question(self._clients[self._at])
            except UnavailableError as error:
                # Also after a wait that was in vain: this node may have stopped following. But the others are not asked
                # before the transaction is handed in again.
                self._at = (self._at + 1) % len(self._clients)
                if left == 0 or error.code == "chain.timeout":
                    raise
        raise AssertionError("a network has nodes")


class Writers:
    """One thread for each of some members, each sending one write after the other until the block ends."""

    def __init__(self, network: Network, journal: Journal, accounts: Sequence[Account], pause_s: float = 0.0) -> None:
        self._network = network
        self._journal = journal
        self._accounts = accounts
        self._pause_s = pause_s
        self._stop = threading.Event()
        self._failure: LedgerError | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Write inside the block. Raises LedgerError when a write was refused for good."""
        self._stop.clear()
        threads = [
            threading.Thread(target=self._write, args=(place, account), name=f"writer-{place}")
            for place, account in enumerate(self._accounts)
        ]
        self._journal.begin()
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()
        if self._failure is not None:
            raise self._failure

    def wait_more(self, count: int, seconds: float) -> None:
        """Wait until that many further writes were acknowledged. Raises NetworkError, LedgerError."""
        wanted, deadline = len(self._journal) + count, time.monotonic() + seconds
        while len(self._journal) < wanted:
            if self._failure is not None:
                raise self._failure
            if time.monotonic() > deadline:
                raise NetworkError(f"{len(self._journal)} of {wanted} writes acknowledged after {seconds:.0f} s")
            self._stop.wait(0.01)

    def _write(self, place: int, account: Account) -> None:
        door = Door([node.client(_ANSWER_S) for node in self._network.nodes], place)
        sender = TransactionSender(
            account.signer,
            chain_id=CHAIN_ID,
            nonce=door.nonce,
            submit=door.submit,
            wait=door.wait,
            resubmit_s=_RESUBMIT_S,
        )
        directory, functions = contract_addresses()["Directory"], interface("Directory").functions
        dataset = dataset_id(account.uscc, CODE)
        publish = functions["publishDataset"].encode(dataset, 2, 1, _DIGEST, _DIGEST, CODE)
        number, published = 0, False
        while not self._stop.is_set():
            number += 1
            version = hashlib.sha256(f"{account.uscc} {time.time_ns()} {number}".encode()).digest()
            add = functions["addVersion"].encode(dataset, version, 1)
            try:
                outcome = sender.send(directory, add if published else publish, timeout=_PATIENCE_S)
            except UnavailableError:
                self._stop.wait(0.05)  # not acknowledged: nodes are away, or it went down with one
                continue
            except LedgerError as error:
                if published or not error.code.startswith("contract."):
                    self._failure = error
                    return
                published = True  # refused because an earlier run published it
                continue
            published = True
            self._journal.add(Write(transaction="0x" + outcome.hash.hex(), height=outcome.height))
            self._stop.wait(self._pause_s)


def check_acknowledged(network: Network, journal: Journal) -> tuple[int, str, str]:
    """Every node is at one head with one state root, and has every acknowledged write in the block that was named.

    Returns the head. Raises NetworkError.
    """
    head = network.same_head()
    wanted: dict[int, set[str]] = {}
    for write in journal.writes:
        wanted.setdefault(write.height, set()).add(write.transaction)
    heights = sorted(wanted)
    for node in network.nodes:
        for first in range(0, len(heights), _BATCH):
            part = heights[first : first + _BATCH]
            blocks = node.batch([("eth_getBlockByNumber", [hex(height), False]) for height in part])
            for height, block in zip(part, blocks, strict=True):
                missing = wanted[height] - set(block["transactions"] if block else ())
                if missing:
                    raise NetworkError(f"{node.name} lacks {len(missing)} acknowledged writes in block {height}")
        newest = journal.writes[-_BATCH:]
        receipts = (
            node.batch([("eth_getTransactionReceipt", [write.transaction]) for write in newest]) if newest else []
        )
        if any(receipt is None or receipt["status"] != "0x1" for receipt in receipts):
            raise NetworkError(f"{node.name} lacks receipts of acknowledged writes")
    return head
