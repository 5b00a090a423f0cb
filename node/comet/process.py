"""The CometBFT process: started, watched, restarted, stopped; never left behind and never two with one key."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from ledger.errors import FatalError, LedgerError, UnavailableError
from node.comet.guard import KeyGuard
from node.comet.keys import encode_node_key, encode_private_key
from node.comet.output import OutputLog
from node.comet.reasons import CONSENSUS_FAILURE, explain

logger = structlog.get_logger("node.comet")

_LAUNCHER = Path(__file__).with_name("launcher.py")
_FIRST_DELAY_S = 0.5
_LONGEST_DELAY_S = 10.0
#: A process that ran this long begins with the first delay again.
_GOOD_RUN_S = 60.0
_PUMP_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessView:
    """How the process is. ``last_error`` is why it last ended by itself, ``since_ms`` when it began or ended (Unix
    milliseconds; 0 before the first start)."""

    running: bool
    pid: int | None
    restarts: int
    last_error: str
    since_ms: int


class CometProcess:
    """One CometBFT on one home. A thread of its own starts it, waits for it and starts it again, with growing delays.

    ``consensus`` and ``p2p`` are 32-byte secrets. CometBFT reads them from anonymous files in memory that only it has
    open: they are on no disk. ``failed`` is set when starting again would not help (``problem`` says why).
    """

    def __init__(
        self,
        binary: Path,
        home: Path,
        *,
        consensus: bytes,
        p2p: bytes,
        clock: Callable[[], int],
        prepare: Callable[[], None],
        sockets: tuple[Path, ...] = (),
        is_stuck: Callable[[], bool] = lambda: False,
    ) -> None:
        """``prepare`` writes the home; it is called before every start, because what was signed and who the peers are
        changes. ``sockets``: unix sockets it listens on; what a killed one left there is removed before a start.
        ``is_stuck`` is asked once a second; when it says so the process is started anew."""
        self.home = home
        self.failed = threading.Event()
        self.problem: LedgerError | None = None
        self._binary = binary
        self._consensus = consensus
        self._p2p = p2p
        self._clock = clock
        self._prepare = prepare
        self._is_stuck = is_stuck
        self._sockets = sockets
        self._output = OutputLog(home / "comet.log")
        self._changed = threading.Condition()
        self._guard: KeyGuard | None = None
        self._thread: threading.Thread | None = None
        self._popen: subprocess.Popen[bytes] | None = None
        self._stopping = self._exchanging = False
        self._restarts = self._since_ms = 0
        self._last_error = ""

    # --- what others see ----------------------------------------------------------------------------------------------
    @property
    def alive(self) -> bool:
        """Whether the process runs now."""
        popen = self._popen
        return popen is not None and popen.poll() is None

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        popen = self._popen
        return popen.pid if popen is not None and popen.poll() is None else None

    @property
    def restarts(self) -> int:
        """How often it was started again after it had ended by itself."""
        return self._restarts

    @property
    def last_error(self) -> str:
        """Why it last ended by itself; empty when it never did."""
        return self._last_error

    def view(self) -> ProcessView:
        """All of it at once."""
        pid = self.pid
        return ProcessView(
            running=pid is not None,
            pid=pid,
            restarts=self._restarts,
            last_error=self._last_error,
            since_ms=self._since_ms,
        )

    def tail(self, count: int = 20) -> tuple[str, ...]:
        """The last lines it wrote."""
        return self._output.tail(count)

    # --- running ------------------------------------------------------------------------------------------------------
    def start(self, *, patience_s: float = 5.0) -> None:
        """Take the guards and start it; returns at once. ``patience_s``: how long a process before it, that is being
        killed, may still hold them.

        Raises: ConflictError(comet.consensus-key-in-use, comet.home-in-use) when another process has the key or home.
        """
        if self._thread is not None:
            return
        self._guard = KeyGuard(self.home, self._consensus, patience_s=patience_s)
        self._stopping = False
        self.problem = None
        self.failed.clear()
        # PR_SET_PDEATHSIG counts the thread that forked as the parent: this one lives as long as the process.
        self._thread = threading.Thread(target=self._run, name="comet", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """End it: SIGTERM, after ``timeout`` seconds SIGKILL. It stays stopped until the next ``start``."""
        thread = self._thread
        if thread is None:
            return
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._signal(signal.SIGTERM)
        thread.join(timeout)
        if thread.is_alive():
            logger.warning("comet.killed", pid=self.pid, waited_s=timeout)
            self._signal(signal.SIGKILL)
            thread.join(timeout)
        self._thread = None
        if self._guard is not None:
            self._guard.release()
            self._guard = None
        self._output.close()

    def exchange(self, consensus: bytes) -> None:
        """Sign with another key from now on: the process is started anew with it at once.

        Raises: ConflictError(comet.consensus-key-in-use); the old key is kept in use then.
        """
        if self._guard is not None:
            self._guard.exchange(consensus)
        with self._changed:
            self._consensus = consensus
            self._exchanging = self.alive
            self._changed.notify_all()
        self._signal(signal.SIGTERM)

    def _signal(self, number: int) -> None:
        popen = self._popen
        if popen is not None and popen.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                popen.send_signal(number)

    def _run(self) -> None:
        delay = _FIRST_DELAY_S
        while not self._stopping:
            began = time.monotonic()
            broken = threading.Event()
            try:
                status = self._once(broken)
                problem = explain(self._output.tail(200), status)
            except OSError as error:
                problem = UnavailableError(
                    "comet.not-started",
                    f"{self._binary} cannot be started: {error.strerror}",
                    hint="install it again: scripts/comet",
                )
            except LedgerError as error:
                problem = error
            self._since_ms = self._clock()
            if self._stopping:
                return
            if self._exchanging:
                self._exchanging = False
                continue
            self._tell_end(problem)
            if self.failed.is_set():
                return
            if time.monotonic() - began > _GOOD_RUN_S:
                delay = _FIRST_DELAY_S
            with self._changed:
                self._changed.wait_for(lambda: self._stopping, delay)
            delay = min(2 * delay, _LONGEST_DELAY_S)
            self._restarts += not self._stopping

    def _once(self, broken: threading.Event) -> int:
        """One life of the process, from its start to its end; its exit status."""
        began = time.monotonic()
        self._output.begin()
        self._prepare()
        for path in self._sockets:
            path.unlink(missing_ok=True)
        popen = self._spawn()
        self._popen = popen
        self._since_ms = self._clock()
        logger.info("comet.started", pid=popen.pid, restarts=self._restarts)
        if self._stopping:
            # Asked to stop in the moment between: nobody else would tell it.
            self._signal(signal.SIGTERM)
        pump = threading.Thread(
            target=self._output.pump, args=(popen.stdout, CONSENSUS_FAILURE, broken), name="comet-output", daemon=True
        )
        pump.start()
        with _Ending(popen.pid) as ending:
            while not ending.wait(1.0):
                if broken.is_set():
                    # Its consensus has stopped but it would stay, answering what it last knew.
                    self._signal(signal.SIGKILL)
                elif self._is_stuck():
                    self._exchanging = True
                    self._signal(signal.SIGTERM)
                elif self.problem is not None and time.monotonic() - began > _LONGEST_DELAY_S:
                    self.problem = None  # what ended the one before does not hold any more
        status = popen.wait()
        pump.join(_PUMP_S)
        if popen.stdout is not None:
            popen.stdout.close()
        return status

    def _spawn(self) -> subprocess.Popen[bytes]:
        guard = self._guard
        if guard is None:
            raise FatalError("comet.unguarded", "CometBFT is not started without its guards")
        with contextlib.ExitStack() as closing:
            key = _memory_file("consensus", encode_private_key(self._consensus))
            closing.callback(os.close, key)
            node = _memory_file("p2p", encode_node_key(self._p2p))
            closing.callback(os.close, node)
            # A fresh environment: CMT_* variables of whoever started the node would change the configuration.
            environment = {name: value for name, value in os.environ.items() if not name.startswith(("CMT", "TM"))}
            environment["CMT_PRIV_VALIDATOR_KEY_FILE"] = f"/proc/self/fd/{key}"
            environment["CMT_NODE_KEY_FILE"] = f"/proc/self/fd/{node}"
            return subprocess.Popen(
                [sys.executable, "-I", "-S", _LAUNCHER, str(os.getpid()), self._binary, "start", "--home", self.home],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(key, node, *guard.descriptors),
                # Ctrl-C in a terminal is the node's: it stops CometBFT in its order.
                start_new_session=True,
                env=environment,
            )

    def _tell_end(self, problem: LedgerError) -> None:
        self.problem = problem
        self._last_error = problem.message
        logger.warning("comet.ended", code=problem.code, message=problem.message, hint=problem.hint)
        if isinstance(problem, FatalError):
            self.failed.set()

    def require_running(self) -> None:
        """Raises: what ended it, or UnavailableError(comet.stopped)."""
        if not self.alive:
            raise self.problem or UnavailableError(
                "comet.stopped", "CometBFT does not run", hint="it is started with the node; see comet/comet.log"
            )


class _Ending:
    """The end of a child, waited for without looking again and again (``Popen.wait`` does so with a timeout)."""

    def __init__(self, pid: int) -> None:
        self._descriptor = os.pidfd_open(pid)
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN)

    def wait(self, seconds: float) -> bool:
        """Whether it ended within so many seconds."""
        return bool(self._poll.poll(seconds * 1_000))

    def __enter__(self) -> _Ending:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def _memory_file(name: str, data: bytes) -> int:
    """An anonymous file with this content; its descriptor."""
    descriptor = os.memfd_create(f"civicledger-{name}")
    os.fchmod(descriptor, 0o600)
    os.write(descriptor, data)
    return descriptor
