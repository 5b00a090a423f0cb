"""What a witness remembers: the newest head it cosigned of every other log, by origin.

The rule of tlog-witness is *persist before answering, check and set atomically*: two requests for one origin are judged
one after the other, each on what the one before left on disk.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

import msgspec

from ledger.errors import FatalError
from ledger.evidence.checkpoint import Checkpoint
from ledger.storage.store import Store


class Judgement(Protocol):
    """What this store reads of a witness's judgement."""

    @property
    def update(self) -> Checkpoint | None: ...


_J = TypeVar("_J", bound=Judgement)


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessedHead:
    """The newest head cosigned here. ``note``: the signed note as it came."""

    checkpoint: Checkpoint
    note: bytes


class _Row(msgspec.Struct, frozen=True, array_like=True):
    size: int
    root: bytes
    note: bytes


#: Logs are judged side by side, each log one request after the other; a fixed number of locks, since anybody may name
#: an origin.
_LOCKS: Final = 64


class WitnessStore:
    """Heads by origin, changed only by :meth:`check_and_set`. Thread-safe."""

    __slots__ = ("_locks", "_store")

    def __init__(self, store: Store) -> None:
        self._store = store
        self._locks = tuple(threading.Lock() for _ in range(_LOCKS))

    def get(self, origin: str) -> WitnessedHead | None:
        """The newest head cosigned here; None when none was."""
        data = self._store.get(origin.encode())
        return None if data is None else _head(origin, data)

    def heads(self) -> Iterator[WitnessedHead]:
        """Every log's newest head, by origin."""
        for key, data in self._store.scan():
            yield _head(key.decode(), data)

    def check_and_set(self, origin: str, note: bytes, judge: Callable[[Checkpoint | None], _J]) -> _J:
        """Judge a request on the stored head and persist what it decides before returning.

        ``judge`` gets the stored checkpoint (None for a new origin) and answers a judgement; where that carries an
        ``update``, it is durable when this returns. Nothing else of this origin is judged meanwhile.

        Raises:
            UnavailableError: ``disk.full``; the answer must not be sent.
            FatalError: ``store.corrupt``, also when ``judge`` would go back: a witness never does.
        """
        with self._locks[zlib.crc32(origin.encode()) % _LOCKS]:
            known = self.get(origin)
            judgement = judge(None if known is None else known.checkpoint)
            update = judgement.update
            if update is not None:
                if update.origin != origin or (known is not None and update.size < known.checkpoint.size):
                    raise FatalError("witness.rollback", f"a judgement would move {origin} back or aside")
                self._store.put(origin.encode(), msgspec.msgpack.encode(_Row(update.size, update.root, note)))
            return judgement


def _head(origin: str, data: bytes) -> WitnessedHead:
    try:
        row = msgspec.msgpack.decode(data, type=_Row)
    except msgspec.MsgspecError as error:
        raise FatalError("store.corrupt", f"the witnessed head of {origin} does not decode: {error}") from error
    return WitnessedHead(checkpoint=Checkpoint(origin=origin, size=row.size, root=row.root), note=row.note)
