"""The processes of a city on this machine: one per node, one for the gateway; started, watched, drained."""

from __future__ import annotations

import http.client
import os
import signal
import ssl
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import IO

from ledger.errors import FatalError, UnavailableError
from node.city.found import City
from node.config import load_config

#: Seconds a process may take to answer its health check, and to drain: a node ends by itself before that is over.
START_TIMEOUT = 180.0
DRAIN_TIMEOUT = 90.0
_POLL = 0.05


@dataclass(slots=True, kw_only=True)
class Process:
    """A started process with the file its output goes to."""

    name: str
    popen: subprocess.Popen[bytes]
    output: Path
    log: IO[bytes]


class CityProcesses:
    """Starts the nodes and the gateway of a city; ends exactly those it started. Use as a context manager."""

    def __init__(self, city: City) -> None:
        self._city = city
        self._running: list[Process] = []

    def __enter__(self) -> CityProcesses:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start_nodes(self) -> None:
        """Start every node and wait until all answer.

        Raises: FatalError(city.process-ended) with the last lines it wrote, UnavailableError(city.start-timeout).
        """
        for handle in self._city.handles:
            folder = self._city.member_folder(handle)
            self._start(handle, folder, [sys.executable, "-m", "node.daemon", str(folder)])
        for process in list(self._running):
            config = load_config(self._city.member_folder(process.name))
            self._await(process, partial(_answers, "127.0.0.1", config.local.port, None))

    def start_gateway(self) -> str:
        """Start the gateway and return its page's address. Raises as ``start_nodes``."""
        folder = self._city.gateway_folder
        process = self._start("gateway", folder, [sys.executable, "-m", "gateway", str(folder)])
        settings = tomllib.loads((folder / "gateway.toml").read_text("utf-8"))
        host, port = settings["https"]["host"], settings["https"]["port"]
        context = ssl.create_default_context(cadata=(folder / "tls.crt").read_text("ascii"))
        context.check_hostname = False
        self._await(process, partial(_answers, host, port, context))
        return f"https://localhost:{port}/"

    def pids(self) -> dict[str, int]:
        """Name to process id."""
        return {process.name: process.popen.pid for process in self._running}

    def ended(self) -> list[str]:
        """Names of processes that ended by themselves."""
        return [process.name for process in self._running if process.popen.poll() is not None]

    def stop(self) -> None:
        """Drain all (SIGTERM), gateway first; what does not end in time is killed by its id."""
        for process in reversed(self._running):
            if process.popen.poll() is None:
                process.popen.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + DRAIN_TIMEOUT
        for process in reversed(self._running):
            try:
                process.popen.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.popen.kill()
                process.popen.wait()
            process.log.close()
        self._running.clear()

    def _start(self, name: str, folder: Path, command: list[str]) -> Process:
        output = folder / "output.log"
        log = output.open("ab")
        # A group of its own: Ctrl-C in the terminal reaches the command, which then drains them in order.
        popen = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        process = Process(name=name, popen=popen, output=output, log=log)
        self._running.append(process)
        return process

    def _await(self, process: Process, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while not ready():
            if process.popen.poll() is not None:
                raise FatalError(
                    "city.process-ended",
                    f"{process.name} ended with status {process.popen.returncode}: {_tail(process.output)}",
                    hint=f"the whole output is in {process.output}",
                )
            if time.monotonic() > deadline:
                raise UnavailableError(
                    "city.start-timeout",
                    f"{process.name} does not answer after {START_TIMEOUT:.0f} s: {_tail(process.output)}",
                    hint=f"look into {process.output}",
                )
            time.sleep(_POLL)


def _answers(host: str, port: int, context: ssl.SSLContext | None) -> bool:
    connection = (
        http.client.HTTPConnection(host, port, timeout=2)
        if context is None
        else http.client.HTTPSConnection(host, port, timeout=2, context=context)
    )
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _tail(path: Path) -> str:
    lines = path.read_bytes()[-4_000:].decode("utf-8", "replace").strip().splitlines()
    return " | ".join(lines[-3:]) if lines else "(no output)"
