"""A validator whose application lies: CometBFT beside ``native/examples/abci_app`` with its hostile switches."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@cache
def application() -> Path:
    """The program, built when it is not there or older than its sources."""
    # As scripts/test builds the Rust tests and examples: nothing is left to do after it.
    command = [
        "cargo",
        "build",
        "-q",
        "--profile",
        "suite",
        "--locked",
        "--no-default-features",
        "--example",
        "abci_app",
    ]
    command += ["--manifest-path", "native/Cargo.toml", "--message-format=json"]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout.splitlines()
    made = [json.loads(line) for line in lines if '"abci_app"' in line]
    return Path(next(line["executable"] for line in made if line.get("executable")))


class Liar:
    """A running application: what it said so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lock = threading.Lock()
        self._said: list[dict[str, Any]] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def said(self, event: str) -> list[dict[str, Any]]:
        """Everything it said of one kind."""
        with self._lock:
            return [line for line in self._said if line["event"] == event]

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            with self._lock:
                self._said.append(json.loads(line))


@contextmanager
def lying(genesis: Path, socket: Path, switches: Sequence[str]) -> Iterator[Liar]:
    """The application, listening on a unix socket, until the block ends."""
    command = [str(application()), "--genesis", str(genesis), "--socket", str(socket), *switches]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield Liar(process)
    finally:
        process.terminate()
        process.wait(300)
