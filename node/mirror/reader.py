"""Reading another member's log from its node, tile by tile; nothing is believed here."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ledger.errors import LedgerError, NotAllowedError, NotFoundError, UnavailableError
from ledger.evidence.note import MAX_NOTE_BYTES
from ledger.evidence.tiles import MAX_BUNDLE_BYTES, TILE_WIDTH, Tile, narrower
from ledger.evidence.tiletree import HASH
from node.identity.pinned import Answer, PinnedClient

#: Tiles that are asked for together.
AHEAD = 32


class _Refusal(msgspec.Struct, frozen=True):
    code: str = "peer.answer"
    message: str = ""


class LogReader:
    """The log a node serves below ``prefix``."""

    def __init__(self, client: PinnedClient, prefix: str = "") -> None:
        self._client = client
        self._prefix = prefix
        self._came: dict[str, Answer] = {}

    def note(self) -> bytes:
        """The newest checkpoint.

        Raises: UnavailableError(peer.*), NotFoundError where it has none.
        """
        return self._get("checkpoint", MAX_NOTE_BYTES).body

    def tile(self, tile: Tile) -> bytes:
        """A tile or bundle as it is served; a partial tile may meanwhile be there in full only.

        Raises: UnavailableError(peer.*), NotFoundError(peer.no-tile), NotAllowedError.
        """
        try:
            return self._get(tile.path, self._most(tile)).body
        except NotFoundError:
            if tile.width == TILE_WIDTH:
                raise
        full = Tile(level=tile.level, index=tile.index)
        return narrower(tile, self._get(full.path, self._most(full)).body)

    def ahead(self, tiles: Sequence[Tile]) -> None:
        """Ask for these together, :data:`AHEAD` at most: :meth:`tile` answers with what came, until the next call.

        Raises: UnavailableError(peer.unreachable).
        """
        self._came.clear()
        wanted = [(f"{self._prefix}/{tile.path}", self._most(tile)) for tile in tiles[:AHEAD]]
        if len(wanted) > 1:
            self._came.update(zip((path for path, _ in wanted), self._client.read_all(wanted), strict=False))

    def _most(self, tile: Tile) -> int:
        return MAX_BUNDLE_BYTES if tile.level is None else TILE_WIDTH * HASH

    def _get(self, path: str, most: int) -> Answer:
        full = f"{self._prefix}/{path}"
        answer = self._came.get(full) or self._client.read(full, most)
        if answer.status == 200:
            return answer
        raise _refused(self._client.peer.uscc, path, answer)


def _refused(member: str, path: str, answer: Answer) -> LedgerError:
    try:
        refusal = msgspec.json.decode(answer.body, type=_Refusal)
    except msgspec.MsgspecError:
        refusal = _Refusal(message=f"status {answer.status}")
    text = f"the node of {member} answered to {path}: {refusal.message[:200]} ({refusal.code[:64]})"
    if answer.status == 404:
        return NotFoundError("peer.no-tile", text, hint="its log may not reach so far yet")
    if answer.status == 403:
        return NotAllowedError(
            "peer.refused", text, hint="entries are for the log's own member, the supervisor and auditors"
        )
    return UnavailableError("peer.answer", text, hint="its operator sees the cause with civicledger doctor")
