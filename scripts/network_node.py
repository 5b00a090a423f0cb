"""One validator's node on this machine as a real process, to be killed, paused and looked into from outside.

The node runs its own CometBFT; nothing here reaches into either: what is known of them is what JSON-RPC, the gRPC
services and /proc say.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import grpc

from ledger.chain.client import ChainClient
from ledger.keys import AccountSigner
from ledger.model import KeyRole
from ledger.v1 import node_pb2, node_pb2_grpc
from node.comet.sockets import socket_path
from node.config import NodeConfig, load_config
from node.identity.keyfiles import key_file, load_secret, read_passphrase
from node.identity.peers import PeerBook
from node.identity.tls import Identity, key_pem
from scripts import procfigures
from scripts.jsonlink import Call, Link, LinkError
from scripts.killing import run_node

T = TypeVar("T")

COMMAND = "cometbft"
#: How long a node may take for anything on a busy machine, seconds.
OPEN_S = 300.0
_LAST_LINES = 30
_PAUSE_S = 0.02


class NetworkError(Exception):
    """The network does not do what it must."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A member that signs transactions."""

    uscc: str
    signer: AccountSigner


class Running(Protocol):
    """A started process: one forked from a server, or a program of its own."""

    @property
    def pid(self) -> int | None:
        """Its id."""

    @property
    def exitcode(self) -> int | None:
        """How it ended; None while it runs."""

    def is_alive(self) -> bool:
        """Whether it runs."""

    def kill(self) -> None:
        """SIGKILL."""

    def terminate(self) -> None:
        """SIGTERM."""

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end."""


class Program:
    """``python -m node.daemon FOLDER``: what an operator starts, with an interpreter of its own."""

    def __init__(self, folder: Path) -> None:
        with (folder / "node.log").open("ab") as output:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", "node.daemon", str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int | None:
        """Its id."""
        return self._popen.pid

    @property
    def exitcode(self) -> int | None:
        """How it ended; None while it runs."""
        return self._popen.poll()

    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._popen.poll() is None

    def kill(self) -> None:
        """SIGKILL."""
        self._popen.kill()

    def terminate(self) -> None:
        """SIGTERM."""
        self._popen.terminate()

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end."""
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(timeout)


def forked(folder: Path) -> Running:
    """A node forked from a server that has everything imported: a start costs the node's work, not Python's."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["scripts.network_node", "node.daemon"])
    process = context.Process(target=run_forked, args=(str(folder),), daemon=True)
    process.start()
    return process


def run_forked(folder: str) -> None:
    """The forked node's process, which dies with whoever started it: a resumed run finds locks and ports free."""
    threading.Thread(target=die_with_parent, name="parent-watch", daemon=True).start()
    run_node(folder)


def die_with_parent() -> None:
    """Wait for the end of whoever started this process, and end it then."""
    # Not PR_SET_PDEATHSIG: the parent in its sense is the server, which outlives whoever is killed.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGKILL)


def wait_for(read: Callable[[], T | None], what: str, seconds: float = OPEN_S) -> T:
    """The first answer of ``read`` that is not None (or False). Raises NetworkError when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        answer = read()
        if answer is not None and answer is not False:
            return answer
        if time.monotonic() > deadline:
            raise NetworkError(f"not within {seconds:.0f} s: {what}")
        time.sleep(_PAUSE_S)


class NetworkNode:
    """One member's node: its folder and, while it runs, its process. ``launch`` starts one in a folder; ``whole``: so
    many members' nodes run that its log opens."""

    def __init__(self, folder: Path, launch: Callable[[Path], Running] = forked, *, whole: bool = True) -> None:
        self.folder = folder
        self._whole = whole
        self.config: NodeConfig = load_config(folder)
        self._launch = launch
        self._process: Running | None = None
        self._book: PeerBook | None = None

    @property
    def name(self) -> str:
        """The member's handle."""
        return self.config.member.handle

    @property
    def pid(self) -> int:
        """The node's process. Raises NetworkError when there is none."""
        if self._process is None or self._process.pid is None:
            raise NetworkError(f"{self.name} was not started")
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.is_alive()

    def comet_pid(self) -> int | None:
        """Its CometBFT, or None while there is none."""
        return procfigures.child_of(self.pid, COMMAND) if self.alive else None

    # --- starting and ending ------------------------------------------------------------------------------------------
    def start(self, launch: Callable[[Path], Running] | None = None) -> None:
        """Start the process, this once by another ``launch`` if one is given. ``wait_serving`` waits for it."""
        if self.alive:
            raise NetworkError(f"{self.name} runs already")
        self._process = (launch or self._launch)(self.folder)

    def wait_serving(self, seconds: float = OPEN_S) -> None:
        """Wait until every service answers, or JSON-RPC where its log cannot open.

        Raises: NetworkError with the last lines it wrote.
        """
        url = f"http://127.0.0.1:{self.config.local.port}/healthz"

        def serves() -> bool:
            if not self.alive:
                raise NetworkError(f"{self.name} ended by itself with {self._exitcode()}:\n{self.tail()}")
            if not self._whole:
                return self.height() is not None
            with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
                return bool(answer.status == 200)
            return False

        try:
            wait_for(serves, f"{self.name} serves", seconds)
        except NetworkError as error:
            raise NetworkError(f"{error}\n{self.tail()}") from error

    def kill(self) -> None:
        """SIGKILL the node and its CometBFT, and wait until neither is there."""
        comet = self.comet_pid()
        if self._process is not None:
            self._process.kill()
            self._process.join()
        if comet is not None:
            with suppress(ProcessLookupError):
                os.kill(comet, signal.SIGKILL)
            wait_for(lambda: not procfigures.is_running(comet), f"CometBFT of {self.name} is gone")
        self._forget()

    def kill_comet(self) -> None:
        """SIGKILL its CometBFT only: the node starts another. Raises NetworkError when there is none to kill."""
        comet = wait_for(self.comet_pid, f"{self.name} has a CometBFT")
        os.kill(comet, signal.SIGKILL)
        wait_for(lambda: self.comet_pid() != comet, f"the killed CometBFT of {self.name} is gone")

    def stop(self, seconds: float = OPEN_S) -> None:
        """SIGTERM, and wait for the clean end. Raises NetworkError when it is not one."""
        if self._process is None:
            return
        comet = self.comet_pid()
        self._process.terminate()
        self._process.join(seconds)
        code = self._exitcode()
        if code != 0:
            self.kill()
            raise NetworkError(f"{self.name} does not stop cleanly: exit code {code}\n{self.tail()}")
        if comet is not None and procfigures.is_running(comet):
            raise NetworkError(f"{self.name} left its CometBFT behind")
        self._forget()

    def pause(self) -> None:
        """SIGSTOP both processes: it neither answers nor closes anything, as behind a dead network."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT both."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        # The parent first when stopping, so that it does not see its child stop; the child first when going on.
        pids = [self.pid, *([comet] if (comet := self.comet_pid()) is not None else [])]
        for pid in pids if number == signal.SIGSTOP else reversed(pids):
            os.kill(pid, number)

    def _exitcode(self) -> int | None:
        return None if self._process is None else self._process.exitcode

    def _forget(self) -> None:
        self._process = None
        if self._book is not None:
            self._book.close()
            self._book = None

    # --- looking into it ----------------------------------------------------------------------------------------------
    def link(self) -> Link:
        """A new JSON-RPC connection to it."""
        return Link(f"127.0.0.1:{self.config.local.port}")

    def client(self, timeout: float = 10.0) -> ChainClient:
        """Its chain as tools see it."""
        return ChainClient(f"http://127.0.0.1:{self.config.local.port}", timeout=timeout)

    def call(self, method: str, *params: object) -> Any:
        """One JSON-RPC call. Raises LinkError."""
        return self.batch([(method, list(params))])[0]

    def batch(self, calls: Sequence[Call]) -> list[Any]:
        """Results of a batch, in order. Raises LinkError."""
        link = self.link()
        try:
            answers = link.batch(calls)
        finally:
            link.close()
        for answer in answers:
            if "error" in answer:
                raise LinkError(f"{self.name} refuses: {answer['error']}")
        return [answer["result"] for answer in answers]

    def comet_rpc(self) -> str:
        """Where its CometBFT's RPC answers, for a ``Link``."""
        return f"unix:{socket_path(self.config.comet_folder, 'rpc.sock')}"

    def consensus_height(self) -> int:
        """The newest consensus height of its CometBFT. Raises LinkError."""
        link = Link(self.comet_rpc())
        try:
            return int(link.call("status", {})["sync_info"]["latest_block_height"])
        finally:
            link.close()

    def height(self) -> int | None:
        """The newest block, or None while nobody answers."""
        try:
            return int(self.call("eth_blockNumber"), 16)
        except LinkError:
            return None

    def wait_height(self, height: int, seconds: float = OPEN_S) -> None:
        """Wait until it has that block. Raises NetworkError with what its doctor calls a problem."""
        try:
            wait_for(lambda: (self.height() or 0) >= height, f"{self.name} has block {height}", seconds)
        except NetworkError as error:
            raise NetworkError(f"{error}: at {self.height()}, {self.problems()}") from error

    def head(self) -> tuple[int, str, str]:
        """Height, hash and state root of the newest block. Raises LinkError."""
        block = self.call("eth_getBlockByNumber", "latest", False)
        return int(block["number"], 16), block["hash"], block["stateRoot"]

    def metrics(self) -> dict[str, float]:
        """What its /metrics page says, by name with labels. Raises OSError."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.config.local.port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def diagnose(self, timeout: float = 10.0) -> list[tuple[str, str, str]]:
        """What its doctor finds: (severity, code, message). Raises grpc.RpcError."""
        if self._book is None:
            passphrase = read_passphrase(self.folder, self.config.passphrase_file, {})
            secret = load_secret(key_file(self.config.keys_folder, KeyRole.TLS), KeyRole.TLS, passphrase)
            identity = Identity(key=key_pem(secret), certificate=self.config.certificate_file.read_bytes())
            self._book = PeerBook(self.config.peers_file, identity)
        stub = node_pb2_grpc.StatusServiceStub(self._book.channel(self.config.member.uscc))
        findings = stub.Diagnose(node_pb2.DiagnoseRequest(), timeout=timeout).findings
        return [(finding.severity, finding.code, finding.message) for finding in findings]

    def problems(self) -> list[tuple[str, str]]:
        """Code and message of what its doctor calls a problem; empty while it does not answer."""
        with suppress(grpc.RpcError):
            return [(code, message) for severity, code, message in self.diagnose() if severity == "problem"]
        return []

    def tail(self) -> str:
        """The last lines of the node and of its CometBFT."""
        parts = []
        for path in (self.folder / "node.log", *sorted((self.folder / "comet").glob("*.log"))):
            with suppress(OSError):
                lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:]
                parts += [f"--- {path}", *lines]
        return "\n".join(parts)

    def account(self) -> Account:
        """Its member's account."""
        passphrase = read_passphrase(self.folder, self.config.passphrase_file, {})
        secret = load_secret(key_file(self.config.keys_folder, KeyRole.ACCOUNT), KeyRole.ACCOUNT, passphrase)
        return Account(uscc=self.config.member.uscc, signer=AccountSigner(secret))
