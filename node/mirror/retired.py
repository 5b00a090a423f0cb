"""The own logs that were retired, from their folders: whoever holds a head of one may compare."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from ledger.errors import NotFoundError
from ledger.evidence.tiles import Tile
from ledger.identifiers import origin
from ledger.log import open_reader
from ledger.log.files import CHECKPOINT_FILE, parse_head, read_note
from node.web.logpaths import require_tile

if TYPE_CHECKING:
    from node.config import NodeConfig


class RetiredLog:
    """A retired log as it is served: what lies under its last checkpoint."""

    def __init__(self, owner: str, folder: Path) -> None:
        self.owner = owner
        self._folder = folder

    def note(self) -> bytes:
        """The last checkpoint. Raises: NotFoundError(checkpoint.none), FatalError(log.failed | log.damaged-note)."""
        note = read_note(self._folder / CHECKPOINT_FILE)
        if note is None:
            raise NotFoundError("checkpoint.none", "that log was retired before its first checkpoint")
        return note

    def tile(self, tile: Tile) -> bytes:
        """A tile or bundle. Raises: NotFoundError(tile.absent), and as :meth:`note`."""
        size = parse_head(self._folder / CHECKPOINT_FILE, self.note()).size
        require_tile(tile, size)
        reader = open_reader(self._folder, size)
        if tile.level is None:
            return reader.entry_tile(tile.index, tile.width)
        return reader.hash_tile(tile.level, tile.index, tile.width)


def retired_log(config: NodeConfig, present: int, origin_digest: bytes) -> RetiredLog | None:
    """The retired log of this node (all but generation ``present``) whose origin has this SHA-256; None when it is none
    of ours."""
    section = config.member
    for number in config.log_generations:
        name = origin(section.region, section.handle, number)
        if number != present and hashlib.sha256(name.encode()).digest() == origin_digest:
            return RetiredLog(section.uscc, config.log_folder_of(number))
    return None
