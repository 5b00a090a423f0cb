"""What a recovery leaves in a node's folder: ``recovery/<first 16 hex digits of the chain that ends>/``.

| file | what |
| --- | --- |
| ``signed.json`` | that this member agreed to end the chain; its node does not run on it any more |
| ``recovery.json`` | the recovery as this member signed it, later as its node started on it |
| ``state`` | the old genesis file and the state rows of the agreed head, for nodes that have less |
| ``genesis.before.json`` | the old genesis file |
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from ledger.errors import ConflictError, FatalError, InvalidInputError, NotFoundError
from ledger.log.files import disk_errors, replace_file
from node.config import NodeConfig

_MAGIC: Final = b"civicledger/recovery-state/v1\n"
_MAX_GENESIS: Final = 16 << 20
#: Longest row: the way back of one block.
_MAX_VALUE: Final = 1 << 30

Row = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryFiles:
    """The paths."""

    folder: Path

    @classmethod
    def of(cls, config: NodeConfig, chain: bytes) -> RecoveryFiles:
        """Those of a node about the end of ``chain`` (genesis digest)."""
        return cls(folder=config.folder / "recovery" / chain.hex()[:16])

    @property
    def signed(self) -> Path:
        """What this member signed."""
        return self.folder / "signed.json"

    @property
    def recovery(self) -> Path:
        """What this node started on."""
        return self.folder / "recovery.json"

    @property
    def state(self) -> Path:
        """The state before."""
        return self.folder / "state"

    @property
    def genesis_before(self) -> Path:
        """The old genesis file."""
        return self.folder / "genesis.before.json"

    def write(self, path: Path, data: bytes) -> None:
        """Durably, whole or not at all. Raises: UnavailableError(disk.full | disk.failed)."""
        with disk_errors(path, of_log=False):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_file(path, data)

    def fence(self, chain: bytes, genesis: bytes) -> None:
        """Keep that this member agreed to end ``chain`` for the city of ``genesis`` (digests): one only.

        Raises: ConflictError(recovery.signed-other), UnavailableError(disk.*).
        """
        kept = self.agreed()
        if kept is not None and kept != genesis:
            raise ConflictError(
                "recovery.signed-other",
                "this member signed another proposal for the same chain: two of them could both be started",
                hint="agree on one: recovery.json in recovery/ of this folder is the other. If it was not started "
                "anywhere: `city recover withdraw --yes`, then sign",
                expected=kept,
                actual=genesis,
            )
        self.write(self.signed, json.dumps({"chain": chain.hex(), "genesis": genesis.hex()}).encode() + b"\n")

    def agreed(self) -> bytes | None:
        """The genesis digest of the new city as signed here; None when nothing was.

        Raises: FatalError(recovery.damaged).
        """
        try:
            return bytes.fromhex(json.loads(self.signed.read_bytes())["genesis"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FatalError(
                "recovery.damaged",
                f"{self.signed} cannot be read: {error}",
                hint="it says which chain this member agreed to end: restore it, or ask the members what was signed",
            ) from error


def check_not_signed(config: NodeConfig, genesis: bytes) -> None:
    """Refuse to run on a chain that this member agreed to end.

    Raises: FatalError(recovery.signed | recovery.damaged).
    """
    chain = hashlib.sha256(genesis).digest()
    agreed = RecoveryFiles.of(config, chain).agreed()
    if agreed is not None:
        raise FatalError(
            "recovery.signed",
            "this member signed that its city goes on from another genesis file: this node must not run on the old one",
            hint="`civicledger city recover start FILE` when enough have signed; `city recover withdraw --yes` only "
            "when the lost validators came back and nobody has started",
            expected=agreed,
            actual=chain,
        )


def write_state(path: Path, genesis: bytes, rows: Iterable[Row]) -> None:
    """The old genesis file and the rows of the agreed head; durable, whole or not at all. Raises: UnavailableError."""
    fresh = path.with_name(path.name + ".new")
    with disk_errors(path, of_log=False):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with fresh.open("wb") as file:
            file.write(_MAGIC + len(genesis).to_bytes(4, "big") + genesis)
            for key, value in rows:
                file.write(bytes([len(key)]) + len(value).to_bytes(4, "big") + key + value)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)


class StateFile:
    """A file that :func:`write_state` made, by whomever: nothing in it is believed before the chain's own checks."""

    def __init__(self, path: Path) -> None:
        """Open it. Raises: NotFoundError(recovery.no-state), InvalidInputError(recovery.state)."""
        self._path = path
        try:
            with path.open("rb") as file:
                self.genesis = self._head(file)
        except OSError as error:
            raise NotFoundError(
                "recovery.no-state",
                f"{path} cannot be read: {error.strerror}",
                hint="take the file state in recovery/ of the member that proposed, or of one that started",
            ) from error

    def _head(self, file: BinaryIO) -> bytes:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise self._wrong("it does not begin as one")
        length = int.from_bytes(file.read(4), "big")
        genesis = file.read(min(length, _MAX_GENESIS))
        if len(genesis) != length:
            raise self._wrong("it ends within the genesis file")
        return genesis

    def rows(self) -> Iterator[Row]:
        """Every row. Raises: InvalidInputError(recovery.state), UnavailableError(disk.failed)."""
        with disk_errors(self._path, of_log=False), self._path.open("rb") as file:
            self._head(file)
            while head := file.read(5):
                key_length, length = head[0], int.from_bytes(head[1:], "big")
                if len(head) != 5 or length > _MAX_VALUE:
                    raise self._wrong("a row is not as it was written")
                body = file.read(key_length + length)
                if len(body) != key_length + length:
                    raise self._wrong("it ends within a row")
                yield body[:key_length], body[key_length:]

    def _wrong(self, why: str) -> InvalidInputError:
        return InvalidInputError(
            "recovery.state",
            f"{self._path} is no state of a recovery: {why}",
            hint="take the file state in recovery/ of the member that proposed, or of one that started",
        )
