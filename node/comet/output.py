"""What CometBFT writes: kept in a file of bounded size, its last lines in memory."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from pathlib import Path
from typing import IO

#: One file and the one before it.
MAX_FILE_BYTES = 8 << 20
_KEPT_LINES = 200
_MAX_LINE_BYTES = 8_192


class OutputLog:
    """Appends lines to ``path``; at the bound the file becomes ``<path>.1`` and the one before is dropped. A disk that
    takes no more stops the file, never the process that writes. Thread-safe."""

    def __init__(self, path: Path, *, max_bytes: int = MAX_FILE_BYTES) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._file: IO[bytes] | None = None
        self._size = 0

    def begin(self) -> None:
        """A new process writes: what the one before said does not explain this one."""
        with self._lock:
            self._lines.clear()

    def add(self, line: bytes) -> None:
        """One line with its end, or a piece of a very long one."""
        with self._lock:
            self._lines.append(line[:_MAX_LINE_BYTES].decode("utf-8", "replace").rstrip("\n"))
            with contextlib.suppress(OSError):
                self._write(line)

    def pump(self, stream: IO[bytes], watch: bytes, seen: threading.Event) -> None:
        """Add everything a stream gives until it ends; ``seen`` is set when ``watch`` is in a line."""
        while line := stream.readline(_MAX_LINE_BYTES):
            self.add(line)
            if watch in line:
                seen.set()

    def tail(self, count: int = 20) -> tuple[str, ...]:
        """The last lines of the present process, oldest first."""
        with self._lock:
            return tuple(self._lines)[-count:]

    def close(self) -> None:
        """Close the file; a later line opens it again."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _write(self, line: bytes) -> None:
        if self._file is None:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            self._file = os.fdopen(descriptor, "ab", buffering=0)
            self._size = os.fstat(descriptor).st_size
        if self._size + len(line) > self._max_bytes:
            self._file.close()
            self._file = None
            os.replace(self._path, self._path.with_name(self._path.name + ".1"))
            self._size = 0
            self._write(line)
            return
        self._file.write(line)
        self._size += len(line)
