"""Bringing a log back from mirrors on a disk that fails: that is said as it is, not as a record nobody holds."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

import ledger.log.department
from ledger.codec import encode_record
from ledger.errors import FatalError
from ledger.evidence import merkle
from ledger.evidence.checkpoint import parse_checkpoint, parse_note
from ledger.evidence.tiles import Tile
from ledger.log import DepartmentLog
from node.context import system_clock
from node.trail.refetching import take_missing
from tests.node.trail.test_witnesses import Found
from tests.node.trail.town import make_record


class Memory:
    """A mirror that holds these entries."""

    member = "91310000000000001X"

    def __init__(self, entries: list[bytes]) -> None:
        self.entries = entries
        self.closed = False

    def bundle(self, tile: Tile) -> bytes:
        return b"".join(len(entry).to_bytes(2, "big") + entry for entry in self.entries)

    def close(self) -> None:
        self.closed = True


def test_a_failing_disk_is_not_blamed_on_a_mirror(found: Found, monkeypatch: pytest.MonkeyPatch) -> None:
    town = found(2)
    owner = town.bodies[0]
    entries = [encode_record(make_record(owner.uscc, number)) for number in range(5)]
    note = owner.note([merkle.leaf_hash(entry) for entry in entries], 5)
    mirrors = [(parse_checkpoint(parse_note(note).text), note, Memory(entries))]
    log = DepartmentLog.open(town.folder / "own", origin=owner.info.origin, signer=owner.log, clock=system_clock)
    town.at_end(log.close)

    real = ledger.log.department.replace_file

    def broken(path: Path, data: bytes) -> None:
        # The logs of other tests' cities go on.
        if not path.is_relative_to(town.folder):
            return real(path, data)
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(ledger.log.department, "replace_file", broken)
        with pytest.raises(FatalError, match=r"log\.failed"):
            take_missing(log, mirrors, lambda *told: None)
    assert log.size == 5
