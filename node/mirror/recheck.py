"""Comparing again what a log served before: all of it at every look where that costs little, else the right edge,
random tiles, and a sweep that passes over the rest.

The bytes themselves are fetched, without conditional requests: who rewrote a tile may well say "not modified".
"""

from __future__ import annotations

import hashlib
import itertools
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from ledger.errors import LedgerError, NotAllowedError, NotFoundError, UnavailableError
from ledger.evidence.tiles import MAX_LEVEL, TILE_WIDTH, Tile, narrower
from ledger.evidence.tiletree import HASH, edge_widths
from node.mirror.files import MirrorFiles
from node.mirror.judging import REWRITTEN, WITHHELD, Contradiction
from node.mirror.reader import AHEAD, LogReader

#: A sweep over the whole log is planned for this long at most, seconds: with the looks' own time it is over in a day.
SWEEP_S: Final = 72_000
#: What one look compares again ends here, bytes: new entries are waiting, and the other node has work of its own.
LOOK_BYTES: Final = 32 << 20
#: A tile refused at this many looks in a row, the first of them ``patience`` seconds ago, is withheld.
_REFUSALS: Final = 3
#: Tiles that are compared at every look since something was wrong with them.
_MAX_SUSPECTS: Final = 64
#: The node answered, with something else than the tile.
_ANSWERED: Final = frozenset({"peer.refused", "peer.answer"})


@dataclass(slots=True, kw_only=True)
class _Refused:
    since: float
    times: int = 0


class Recheck:
    """What is compared again at a look. ``sample``: random tiles, and the least the sweep goes on by; ``budget()``: how
    many tiles and bundles a look may ask for, None for the whole log every time; ``interval``: seconds between looks;
    ``patience``: seconds for which a refusal may be a passing one."""

    def __init__(
        self,
        *,
        sample: int,
        budget: Callable[[], int | None],
        interval: float,
        patience: float,
        draw: random.Random,
        stopping: Callable[[], bool],
    ) -> None:
        self._sample = sample
        self._budget = budget
        self._looks = max(1, int(SWEEP_S / interval))
        self._patience = patience
        self._draw = draw
        self._stopping = stopping
        #: Where the sweep goes on; a node that is often restarted passes over all of the log, too.
        self._next: int | None = None
        self._bytes = 0
        self._suspects: dict[Tile, None] = {}
        self._refused: dict[tuple[int | None, int], _Refused] = {}

    def share(self, full: int) -> int:
        """How many of ``full`` tiles of leaves the sweep compares at one look at least, as far as :data:`LOOK_BYTES`
        go: so that it is over within a day."""
        return min(full, max(self._sample, -(-full // self._looks)))

    def looks(self, size: int, entry_bytes: int) -> int:
        """After how many looks all of a log of ``size`` leaves, and entries of so many bytes, was compared again."""
        budget, full = self._budget(), size // TILE_WIDTH
        if not full or self._is_little(budget, full, entry_bytes):
            return 1
        each = 2 if entry_bytes else 1
        affordable = max(1, LOOK_BYTES * full // (_tile_bytes(full) + entry_bytes))
        return -(-full // min(affordable, max(self.share(full), (budget or 0) // each)))

    def _is_little(self, budget: int | None, full: int, entry_bytes: int) -> bool:
        """Whether everything is compared at every look."""
        if budget is None:
            return True
        tiles = full * (2 if entry_bytes else 1) + full // TILE_WIDTH
        return tiles <= budget and _tile_bytes(full) + entry_bytes <= LOOK_BYTES

    def compare(
        self, files: MirrorFiles, reader: LogReader, size: int, *, entries: bool
    ) -> Contradiction | LedgerError | None:
        """Compare with the first ``size`` leaves that are here, and their entries where ``entries``: the first
        contradiction, else the first refusal; one bad tile does not keep the others from being compared.

        Raises: UnavailableError(peer.*): the node does not answer.
        """
        kept = min(files.entries, size) if entries else 0
        worst: Contradiction | LedgerError | None = None
        self._bytes = 0
        chosen = self._chosen(size, kept, files.entry_bytes if entries else 0)
        while not self._stopping() and (batch := list(itertools.islice(chosen, AHEAD))):
            reader.ahead([_asked(tile, size) for tile in batch])
            for tile in batch:
                if self._stopping():
                    return worst
                try:
                    self._bytes += self._compare(files, reader, tile, size)
                    self._suspects.pop(tile, None)
                except (Contradiction, NotAllowedError, UnavailableError) as error:
                    if not isinstance(error, Contradiction) and error.code not in _ANSWERED:
                        raise
                    if tile.width == TILE_WIDTH and len(self._suspects) < _MAX_SUSPECTS:
                        self._suspects[tile] = None
                    if worst is None or (isinstance(error, Contradiction) and not isinstance(worst, Contradiction)):
                        worst = error
        return worst

    def served(self, reader: LogReader, tile: Tile) -> bytes:
        """A tile that the log's checkpoint covers.

        Raises: Contradiction(log.withheld), NotAllowedError, UnavailableError(peer.*).
        """
        key = (tile.level, tile.index)
        try:
            data = reader.tile(tile)
        except NotFoundError as error:
            raise Contradiction(WITHHELD, f"{tile.path} is under its checkpoint and is not served") from error
        except (NotAllowedError, UnavailableError) as error:
            if error.code not in _ANSWERED:
                raise
            now = time.monotonic()
            if len(self._refused) >= 2 * _MAX_SUSPECTS and key not in self._refused:
                raise
            refused = self._refused.setdefault(key, _Refused(since=now))
            refused.times += 1
            if refused.times < _REFUSALS or now - refused.since < self._patience:
                raise
            raise Contradiction(WITHHELD, f"{tile.path} is refused again and again: {error.message}") from error
        self._refused.pop(key, None)
        return data

    def _chosen(self, size: int, kept: int, entry_bytes: int) -> Iterator[Tile]:
        """The right edge, what was wrong before, then everything; where that is too much, a random sample and the
        sweep's part."""
        for level, width in edge_widths(size):
            yield Tile(level=level, index=(size >> (8 * level)) // TILE_WIDTH, width=width)
        if kept % TILE_WIDTH:
            yield Tile(level=None, index=kept // TILE_WIDTH, width=kept % TILE_WIDTH)
        full = size // TILE_WIDTH
        if not full:
            return
        for tile in tuple(self._suspects):
            if tile.leaves_needed <= (kept if tile.level is None else size):
                yield tile
        budget = self._budget()
        if budget is None or self._is_little(budget, full, entry_bytes):
            for index in range(full):
                yield from tiles_at(index, kept)
            return
        for index in sorted({*self._draw.sample(range(full), min(self._sample, full)), full - 1}):
            yield from tiles_at(index, kept)
        if self._next is None:
            self._next = self._draw.randrange(full)
        share, asked = self.share(full), 0
        for passed in range(full):
            if self._bytes > LOOK_BYTES or (passed >= share and asked >= budget):
                break
            for tile in tiles_at(self._next % full, kept):
                asked += 1
                yield tile
            self._next = (self._next + 1) % full

    def _compare(self, files: MirrorFiles, reader: LogReader, tile: Tile, size: int) -> int:
        asked = _asked(tile, size)
        served = self.served(reader, asked)
        if asked != tile:
            served = narrower(tile, served)
        before = files.tile(tile)
        if served != before:
            files.check(tile, before)
            raise Contradiction(
                REWRITTEN,
                f"{tile.path} is not what it was: SHA-256 {_digest(before)} before, {_digest(served)} now",
            )
        return len(served)


def _asked(tile: Tile, size: int) -> Tile:
    """What is asked for to see a tile: a bundle at the edge as wide as the head has it, of which as much is compared as
    is here."""
    if tile.level is not None or tile.width == TILE_WIDTH:
        return tile
    return Tile(level=None, index=tile.index, width=min(TILE_WIDTH, size - tile.index * TILE_WIDTH))


def _tile_bytes(full: int) -> int:
    """Bytes of the hash tiles over so many full tiles of leaves: those above are a 255th of them."""
    return full * TILE_WIDTH * HASH * TILE_WIDTH // (TILE_WIDTH - 1)


def tiles_at(index: int, kept: int) -> Iterator[Tile]:
    """The full tile of leaf hashes at ``index``, those above that end with it, and its bundle where the first ``kept``
    entries reach so far."""
    yield Tile(level=0, index=index)
    end = index + 1
    for level in range(1, MAX_LEVEL + 1):
        end, rest = divmod(end, TILE_WIDTH)
        if rest:
            break
        yield Tile(level=level, index=end - 1)
    if (index + 1) * TILE_WIDTH <= kept:
        yield Tile(level=None, index=index)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
