"""What others hold comes back exactly, or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.errors import ConflictError, LedgerError, UnavailableError, UntrustedError
from ledger.evidence import merkle
from ledger.evidence.checkpoint import Checkpoint, parse_checkpoint, parse_note
from ledger.evidence.tiles import Tile
from ledger.log import DepartmentLog, fsck
from ledger.log.refill import Edge, refill, split_bundle
from tests.ledger.log.conftest import ORIGIN, Open, record

ENTRIES = [record(number) for number in range(1_300)]


def bundle_of(tile: Tile) -> bytes:
    entries = ENTRIES[tile.index * 256 : tile.index * 256 + tile.width]
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def head_of(size: int) -> Checkpoint:
    return Checkpoint(origin=ORIGIN, size=size, root=merkle.root([merkle.leaf_hash(e) for e in ENTRIES[:size]]))


def nobody(_done: int, _total: int) -> None:
    """No progress is shown."""


def test_the_edge_of_a_tree_has_its_root(log: DepartmentLog) -> None:
    edge = Edge()
    assert edge.root() == merkle.EMPTY_ROOT
    leaves = [merkle.leaf_hash(entry) for entry in ENTRIES]
    log.append(ENTRIES)
    for size, leaf in enumerate(leaves, 1):
        edge.add(leaf)
        if size < 20 or size % 51 == 0 or size % 256 in (0, 1, 255):
            assert edge.root() == merkle.root(leaves[:size]), size
            assert Edge.of(log, size).root() == edge.root(), size


def test_many_levels_of_edge() -> None:
    edge, plain = Edge(), []
    for number in range(70_000):
        leaf = number.to_bytes(32, "big")
        edge.add(leaf)
        plain.append(leaf)
    assert edge.root() == merkle.root(plain)


@pytest.mark.parametrize("held", [0, 1, 255, 256, 700, 1_299])
def test_what_is_missing_comes_back(open_log: Open, held: int) -> None:
    log = open_log()
    log.refill(ENTRIES[:held]) if held else None
    told: list[tuple[int, int]] = []
    count = refill(log, head_of(1_300), bundle_of, lambda *step: told.append(step))
    assert (count, log.size, log.root()) == (1_300 - held, 1_300, head_of(1_300).root)
    assert told[-1] == (count, count)
    assert refill(log, head_of(900), bundle_of, nobody) == 0, "nothing to do"
    assert log.read(0, 1_300) == ENTRIES
    assert [path.name for path in log.path.parent.iterdir()] == ["log"], "the fetched file is gone"
    log.close()
    assert fsck(log.path).ok


def changed(tile: Tile) -> bytes:
    data = bytearray(bundle_of(tile))
    if tile.index == 4:
        data[-2] ^= 1
    return bytes(data)


def short(tile: Tile) -> bytes:
    return bundle_of(tile)[:-1]


def longer(tile: Tile) -> bytes:
    return bundle_of(tile) + b"\0\1x"


def empty_entry(tile: Tile) -> bytes:
    return b"\0\0" * tile.width


def away(tile: Tile) -> bytes:
    if tile.index == 4:
        raise UnavailableError("peer.unreachable", "gone in the middle")
    return bundle_of(tile)


@pytest.mark.parametrize(
    ("source", "code"),
    [
        (changed, "refill.root"),
        (short, "refill.bundle"),
        (longer, "refill.bundle"),
        (empty_entry, "refill.bundle"),
        (away, "peer.unreachable"),
    ],
)
def test_a_bad_source_changes_nothing(open_log: Open, source: Callable[[Tile], bytes], code: str) -> None:
    log = open_log()
    log.refill(ENTRIES[:300])
    with pytest.raises(LedgerError) as caught:
        refill(log, head_of(1_300), source, nobody)
    assert caught.value.code == code
    assert log.size == 300
    assert [path.name for path in log.path.parent.iterdir()] == ["log"]
    assert refill(log, head_of(1_300), bundle_of, nobody) == 1_000


def test_other_entries_here_are_named_and_left_alone(open_log: Open) -> None:
    log = open_log()
    log.refill([record(5_000), record(5_001)])
    with pytest.raises(UntrustedError) as caught:
        refill(log, head_of(1_300), bundle_of, nobody)
    assert caught.value.code == "refill.root"
    with pytest.raises(ConflictError) as forked:
        refill(log, head_of(2), bundle_of, nobody)
    assert forked.value.code == "log.forked"
    assert log.size == 2


def test_an_open_log_is_not_refilled(log: DepartmentLog) -> None:
    with pytest.raises(ConflictError) as caught:
        refill(log, head_of(10), bundle_of, nobody)
    assert (caught.value.code, log.size) == ("log.open", 0)


def test_the_last_signed_head_is_taken_up_again(log: DepartmentLog, open_log: Open, tmp_path: Path) -> None:
    log.append(ENTRIES[:400])
    note = log.publish()
    log.close()
    shutil.rmtree(tmp_path / "log")
    lost = open_log()
    with pytest.raises(ConflictError) as behind:
        lost.adopt_signed(note)
    assert behind.value.code == "log.behind"
    refill(lost, parse_checkpoint(parse_note(note).text), bundle_of, nobody)
    lost.adopt_signed(note)
    assert lost.signed == head_of(400)
    lost.guard(())
    assert lost.publish() == note, "the same head is not signed anew"


def test_a_bundle_is_split_strictly() -> None:
    assert split_bundle(b"\0\1a\0\2bc", 2) == [b"a", b"bc"]
    for data, count in ((b"\0\1a", 2), (b"\0\1a\0\2b", 2), (b"\0", 1), (b"", 1)):
        with pytest.raises(UntrustedError):
            split_bundle(data, count)
