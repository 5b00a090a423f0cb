"""The load of the kill -9 loop: records appended to the victim, transactions sent, and what was answered."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

import grpc

from ledger.chain.account import TransactionSender
from ledger.codec import encode_record
from ledger.errors import LedgerError
from ledger.identifiers import dataset_id
from ledger.keys import AccountSigner
from ledger.model import KeyRole, Level, Record, Sharing
from ledger.v1 import department_pb2, department_pb2_grpc
from node.compose import Node
from node.context import system_clock
from node.identity.peers import PeerBook

#: How long the victim may take for anything, seconds.
OPEN_S = 300.0
#: The dataset whose versions the transactions add.
CODE = "kill-loop"
_APPENDERS = 4
_SENDERS = 3
#: Nothing was said about the record: it may stand in the log or not, so it is asked again.
_NO_ANSWER = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED})


class LostError(Exception):
    """Something acknowledged is not there, or the log or chain is not whole."""


@dataclass(slots=True, kw_only=True)
class Acknowledged:
    """What the victim or the chain answered, guarded by ``lock``: records by index, versions with transaction and
    height; ``unanswered`` are the batches sent without an answer so far."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    records: dict[int, bytes] = field(default_factory=dict)
    unanswered: dict[bytes, bytes] = field(default_factory=dict)
    versions: dict[bytes, tuple[bytes, int]] = field(default_factory=dict)


class Appends:
    """Clients of the victim that append one record after the other."""

    def __init__(self, client: PeerBook, victim: str, done: Acknowledged) -> None:
        self._client = client
        self._victim = victim
        self._done = done
        self._counter = 0
        self._refusal: LostError | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Append inside the block, which begins when a first record was acknowledged.

        Raises: LostError.
        """
        stop, first = threading.Event(), threading.Event()
        threads = [threading.Thread(target=self._append, args=(stop, first)) for _ in range(_APPENDERS)]
        for thread in threads:
            thread.start()
        try:
            if not first.wait(OPEN_S):
                raise LostError("the node is open but acknowledges no record")
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        if self._refusal is not None:
            raise self._refusal

    def repeat(self) -> int:
        """An append whose answer was lost is asked again with its batch id, as the design tells callers to; how many.

        Raises: LostError.
        """
        over = threading.Event()
        timer = threading.Timer(OPEN_S, over.set)
        timer.start()
        try:
            batches = tuple(self._done.unanswered.items())
            for batch, record in batches:
                if not self._ask(record, batch, over):
                    raise LostError("the node is open but does not answer a repeated append")
        finally:
            timer.cancel()
        return len(batches)

    def _append(self, stop: threading.Event, first: threading.Event) -> None:
        try:
            while not stop.is_set():
                record, batch = self._next()
                if self._ask(record, batch, stop):
                    first.set()
        except LostError as error:
            self._refusal = error
            first.set()

    def _ask(self, record: bytes, batch: bytes, stop: threading.Event) -> bool:
        """One append, asked again while nothing is answered; False when ``stop`` came first.

        Raises: LostError when the node refuses it.
        """
        stub = department_pb2_grpc.RecordServiceStub(self._client.channel(self._victim))
        request = department_pb2.AppendRequest(records=[record], batch=batch)
        while not stop.is_set():
            try:
                answer = stub.Append(request, timeout=10)
            except grpc.RpcError as error:
                if error.code() not in _NO_ANSWER:
                    raise LostError(f"the node refuses a record: {error.code()}: {error.details()}") from error
                stop.wait(0.02)
                continue
            with self._done.lock:
                self._done.records[answer.first] = record
                del self._done.unanswered[batch]
            return True
        return False

    def _next(self) -> tuple[bytes, bytes]:
        with self._done.lock:
            self._counter += 1
            number = self._counter
        record = Record(
            type="access.used",
            member=self._victim,
            time_ms=system_clock(),
            body={
                "system": "kill-loop",
                "matter": f"M-{number}",
                "purpose": "testing",
                "operator": hashlib.sha256(str(number).encode()).hexdigest(),
            },
        )
        encoded, batch = encode_record(record), hashlib.sha256(f"batch {number}".encode()).digest()[:16]
        with self._done.lock:
            self._done.unanswered[batch] = encoded
        return encoded, batch


class Transactions:
    """Senders at the survivor that go on through every kill: what is lost with the victim's pool is handed in again."""

    def __init__(self, survivor: Node, done: Acknowledged) -> None:
        self._survivor = survivor
        self._done = done
        self._counter = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Send inside the block."""
        core = self._survivor.core
        sender = TransactionSender(
            cast(AccountSigner, core.keys[KeyRole.ACCOUNT]),
            chain_id=core.chain.chain_id,
            nonce=core.chain.nonce,
            submit=core.chain.submit,
            wait=core.chain.wait,
            resubmit_s=0.2,
        )
        stop = threading.Event()
        threads = [threading.Thread(target=self._transact, args=(stop, sender)) for _ in range(_SENDERS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def _transact(self, stop: threading.Event, sender: TransactionSender) -> None:
        directory = self._survivor.core.contracts.directory
        identity = dataset_id(self._survivor.core.member, CODE)
        publish = directory.encode_publish(
            identity,
            sharing=Sharing.CONDITIONAL,
            level=Level.GENERAL,
            metadata_digest=bytes(31) + b"\1",
            resource_code=CODE,
        )
        while not stop.is_set():
            with self._done.lock:
                self._counter += 1
                digest = hashlib.sha256(f"version {self._counter}".encode()).digest()
            try:
                if directory.dataset(identity, versions=0) is None:
                    sender.send(directory.address, publish, timeout=3)
                    continue
                outcome = sender.send(directory.address, directory.encode_add_version(identity, digest, 1), timeout=3)
            except LedgerError:
                # Not acknowledged, so nothing is owed: the victim is away, or another sender published first.
                stop.wait(0.05)
                continue
            with self._done.lock:
                self._done.versions[digest] = (outcome.hash, outcome.height)
