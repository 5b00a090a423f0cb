"""The kill -9 loop: a node is killed again and again while records and transactions pour in, and must lose nothing.

The victim is the sequencer of a city of two: a process of its own, killed with SIGKILL at a moment nobody chose. The
other member's node lives in this process and sends transactions; a client with the victim's certificate appends
records. After every restart the log's fsck is clean and every acknowledged record stands at the index that was
answered; an append whose answer was lost is repeated with its batch id and stands once. At the end every acknowledged
transaction is in the block that was answered, and both nodes are on one chain.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from stdnum.cn import uscc as uscc_number

from ledger import log as ledger_log
from ledger._native import LogReader
from ledger.errors import UnavailableError
from ledger.identifiers import dataset_id
from ledger.model import Roles
from node.city.ports import free_ports
from node.compose import Node
from node.config import ChainSection, LogSection, load_config
from node.context import system_clock
from node.founding import MemberPlan, found_city, found_member
from node.identity.keyfiles import read_passphrase
from node.identity.keyring import KeyRing
from node.identity.peers import PeerBook
from scripts.kill_load import CODE, OPEN_S, Acknowledged, Appends, LostError, Transactions

#: What is told of the victim's own lines when something was lost.
_TOLD_LINES = 40


@dataclass(slots=True, kw_only=True)
class Figures:
    """What a run did."""

    rounds: int = 0
    records: int = 0
    repeated: int = 0
    transactions: int = 0
    height: int = 0
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {name: round(value, 1) for name, value in ((n, getattr(self, n)) for n in self.__slots__)}


def run_node(folder: str) -> None:
    """The victim's process."""
    from node.daemon import leave, run

    # Its lines are for an operator, who finds them in the folder when something was lost.
    with (Path(folder) / "node.log").open("a", encoding="utf-8") as lines:
        os.dup2(lines.fileno(), 1)
        os.dup2(lines.fileno(), 2)
    leave(run(folder))


class KillLoop:
    """A city of two, and the rounds. ``seed`` chooses the moments."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - moments of killing, no secrets
        self._victim_folder, self._survivor_folder, self._victim = _found(folder)
        self._config = load_config(self._victim_folder)
        passphrase = read_passphrase(self._victim_folder, "", {})
        keys = KeyRing(self._config.keys_folder, self._victim, passphrase)
        self._client = PeerBook(self._config.peers_file, keys.identity)
        # Forked from a server that has everything imported: a round costs the node's start, not Python's.
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["node.daemon"])
        self._done = Acknowledged()
        self._appends = Appends(self._client, self._victim, self._done)
        self.figures = Figures()

    def run(self, rounds: int, progress: Callable[[Figures], None] = lambda _figures: None) -> Figures:
        """Kill ``rounds`` times, then check everything once more on a node that was left in peace.

        Raises: LostError, with the victim's last lines.
        """
        try:
            return self._run(rounds, progress)
        except LostError as error:
            lines = (self._victim_folder / "node.log").read_text(encoding="utf-8").splitlines()[-_TOLD_LINES:]
            told = "\n".join(("the victim's last lines:", *lines))
            raise LostError(f"round {self.figures.rounds}: {error}\n{told}") from error

    def _run(self, rounds: int, progress: Callable[[Figures], None]) -> Figures:
        began = time.monotonic()
        with survivor_of(self._survivor_folder) as survivor, Transactions(survivor, self._done).running():
            for _ in range(rounds):
                process = self._start()
                try:
                    self._check_log()
                    self.figures.repeated += self._appends.repeat()
                    self._load_and_kill(process)
                finally:
                    kill(process)
                self.figures.rounds += 1
                self.figures.seconds = time.monotonic() - began
                self.figures.records, self.figures.transactions = len(self._done.records), len(self._done.versions)
                progress(self.figures)
            process = self._start()
            try:
                self._check_log()
                self.figures.repeated += self._appends.repeat()
                self._wait_for_transaction(process)
                self._check_chain(survivor)
                # Stopped in peace, so that the last check finds every file at rest.
                process.terminate()
                process.join(OPEN_S)
                if process.exitcode != 0:
                    raise LostError(f"the node does not stop cleanly: exit code {process.exitcode}")
            finally:
                kill(process)
            self._check_log()
            self._check_once()
        self._client.close()
        self.figures.records = len(self._done.records)
        self.figures.transactions = len(self._done.versions)
        self.figures.seconds = time.monotonic() - began
        return self.figures

    # --- a round ------------------------------------------------------------------------------------------------------
    def _start(self) -> BaseProcess:
        process = self._context.Process(target=run_node, args=(str(self._victim_folder),), daemon=True)
        process.start()
        url = f"http://127.0.0.1:{self._config.local.port}/healthz"
        deadline = time.monotonic() + OPEN_S
        while time.monotonic() < deadline:
            if not process.is_alive():
                raise LostError(f"the killed node does not start again: exit code {process.exitcode}")
            with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
                if answer.status == 200:
                    return process
            process.join(0.02)
        raise LostError("the killed node does not open its log again")

    def _load_and_kill(self, process: BaseProcess) -> None:
        with self._appends.running():
            self._wait_for_transaction(process)
            process.join(self._random.uniform(0.0, 0.4))
            kill(process)

    def _wait_for_transaction(self, process: BaseProcess) -> None:
        """Wait until one more transaction was acknowledged: the killed node orders the chain again."""
        before, deadline = len(self._done.versions), time.monotonic() + OPEN_S
        while len(self._done.versions) == before:
            if time.monotonic() > deadline:
                raise LostError("the node is open but the chain does not move")
            process.join(0.01)

    # --- what must hold -----------------------------------------------------------------------------------------------
    def _check_log(self) -> None:
        report = ledger_log.fsck(self._victim_folder / "log")
        if not report.ok:
            raise LostError(f"fsck after round {self.figures.rounds}: {report.problems}")
        reader = self._reader(report.size)
        for index, record in self._done.records.items():
            if index >= report.size or reader.read(index, 1)[0] != record:
                raise LostError(f"record {index} was acknowledged and is not there (size {report.size})")

    def _reader(self, size: int) -> LogReader:
        """The log read beside its writer, whose hash files may be a moment behind its entries."""
        deadline = time.monotonic() + OPEN_S
        while True:
            try:
                return LogReader.open(str(self._victim_folder / "log"), size)
            except UnavailableError:
                if time.monotonic() > deadline:
                    raise

    def _check_once(self) -> None:
        """Every record that was ever sent stands exactly once."""
        size = ledger_log.fsck(self._victim_folder / "log").size
        reader = self._reader(size)
        entries = [entry for entry in reader.read(0, size) if b'"system":"kill-loop"' in entry]
        if len(entries) != len(set(entries)):
            raise LostError("a record whose append was repeated stands twice")
        if set(entries) != set(self._done.records.values()):
            raise LostError("the log holds other records than were acknowledged")

    def _check_chain(self, survivor: Node) -> None:
        """The victim, started once more, answers the same blocks; every acknowledged version is there once."""
        with self._done.lock:
            versions = dict(self._done.versions)
        head = survivor.core.chain.head()
        self.figures.height = head.height
        mine = self._rpc("eth_getBlockByNumber", hex(head.height), False)
        if mine["hash"] != "0x" + head.hash.hex() or mine["stateRoot"] != "0x" + head.state_root.hex():
            raise LostError(f"the chains differ at height {head.height}: {mine['hash']} and 0x{head.hash.hex()}")
        for digest, (transaction, height) in versions.items():
            receipt = self._rpc("eth_getTransactionReceipt", "0x" + transaction.hex())
            if receipt is None or int(receipt["blockNumber"], 16) != height or receipt["status"] != "0x1":
                raise LostError(f"the transaction of version {digest.hex()} was acknowledged and is not there")
        dataset = survivor.core.contracts.directory.dataset(dataset_id(survivor.core.member, CODE), versions=1 << 20)
        digests = [version.content_digest for version in dataset.versions] if dataset else []
        if len(digests) != len(set(digests)) or not set(versions) <= set(digests):
            raise LostError("a version is missing or stands twice")

    def _rpc(self, method: str, *params: object) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        url = f"http://127.0.0.1:{self._config.local.port}/"
        with urllib.request.urlopen(url, data=body, timeout=30) as answer:
            return json.load(answer)["result"]


@contextmanager
def survivor_of(folder: Path) -> Iterator[Node]:
    """The other member's node, in this process."""
    node = Node.open(folder, environ={})
    node.start()
    try:
        yield node
    finally:
        node.drain()


def kill(process: BaseProcess) -> None:
    """SIGKILL, and wait for the end."""
    process.kill()
    process.join()


def _found(folder: Path) -> tuple[Path, Path, str]:
    plans = []
    for number, handle in enumerate(("victim", "survivor"), 1):
        body = f"11310000MB{number:07d}"
        ports = free_ports(3)
        plans.append(
            MemberPlan(
                uscc=body + uscc_number.calc_check_digit(body),
                name=handle,
                handle=handle,
                region="310000",
                roles=Roles(0),
                grpc_port=ports[0],
                https_port=ports[1],
                local_port=ports[2],
            )
        )
    now = system_clock()
    chain = ChainSection(block_interval_ms=5, heartbeat_interval=1, head_interval_ms=20)
    log = LogSection(checkpoint_interval_ms=20, anchor_interval_ms=50)
    foundings = [
        found_member(folder / plan.handle, plan, random=os.urandom, now_ms=now, chain=chain, log=log) for plan in plans
    ]
    found_city(foundings, chain_id=31_337, region="310000", time_ms=now, sequencer=plans[0].uscc)
    return foundings[0].folder, foundings[1].folder, plans[0].uscc
