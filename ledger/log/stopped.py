"""The log folder of a stopped node: recovered as the node itself would, then read and never written by a caller."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Self

from ledger._native import LogEngine


class StoppedLog:
    """Entries of a log that nobody writes. Holds the folder's lock: a node cannot start meanwhile."""

    __slots__ = ("_engine",)

    def __init__(self, engine: LogEngine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, now_ms: int) -> StoppedLog:
        """Recover the folder. ``now_ms``: Unix milliseconds.

        Raises:
            ConflictError: ``log.locked``, its node runs. FatalError: ``log.*``, damaged beyond what recovery repairs.
        """
        return cls(LogEngine.open(os.fspath(path), now_ms=now_ms))

    @property
    def size(self) -> int:
        """Records in the log."""
        return self._engine.size()

    def read(self, first: int, count: int) -> list[bytes]:
        """Entries [first, first + count)."""
        return self._engine.read(first, count)

    def leaf(self, index: int) -> bytes:
        """The leaf hash of an entry."""
        return self._engine.leaf(index)

    def index_rows(self, first: int, count: int) -> list[tuple[bytes, bytes]]:
        """Rows of the record index for entries [first, first + count)."""
        return self._engine.index_rows(first, count)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._engine.close()
