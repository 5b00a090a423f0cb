"""Tiles are believed only under a checkpoint's root, and older roots are computed from them."""

import hashlib
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import InvalidInputError, LedgerError, NotFoundError, UntrustedError
from ledger.evidence import merkle
from ledger.evidence.checkpoint import Checkpoint
from ledger.evidence.tiles import Tile
from ledger.evidence.tiletree import VerifiedTiles
from tests.ledger.log import naive_tiles

SIZES = [1, 2, 255, 256, 257, 511, 512, 1000, 65_535, 65_536, 65_537, 66_000]


@cache
def leaves(size: int, salt: bytes = b"") -> tuple[bytes, ...]:
    return tuple(hashlib.sha256(salt + number.to_bytes(4, "big")).digest() for number in range(size))


@cache
def level(size: int, height: int, salt: bytes = b"") -> tuple[bytes, ...]:
    """The hashes of a tile level, as a log holds them."""
    below = leaves(size, salt) if height == 0 else level(size, height - 1, salt)
    if height == 0:
        return below
    return tuple(naive_tiles.root(list(below[at : at + 256])) for at in range(0, len(below) // 256 * 256, 256))


@cache
def head(size: int, salt: bytes = b"") -> Checkpoint:
    return Checkpoint(origin="log", size=size, root=naive_tiles.root(list(leaves(size, salt))))


class Log:
    """A log that hands out tiles, and may lie about one."""

    def __init__(self, size: int, salt: bytes = b"") -> None:
        self.size = size
        self.salt = salt
        self.asked: list[Tile] = []
        self.wrong: tuple[int, int, int] | None = None

    def fetch(self, tile: Tile) -> bytes:
        assert tile.level is not None
        self.asked.append(tile)
        hashes = list(level(self.size, tile.level, self.salt)[tile.index * 256 : tile.index * 256 + tile.width])
        if self.wrong is not None and self.wrong[:2] == (tile.level, tile.index) and self.wrong[2] < len(hashes):
            hashes[self.wrong[2]] = bytes(32)
        return b"".join(hashes)


@pytest.mark.parametrize("size", SIZES)
def test_every_kind_of_tile_comes_out_right(size: int) -> None:
    log = Log(size)
    tiles = VerifiedTiles(log.fetch)
    for height in range(3):
        known = level(size, height)
        for index in {0, len(known) // 256 // 2, max(0, (len(known) - 1) // 256)}:
            there = known[index * 256 : index * 256 + 256]
            for width in {1, len(there)} - {0}:
                if width <= len(there):
                    assert tiles.tile(head(size), height, index, width) == b"".join(there[:width])


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(SIZES), st.data())
def test_roots_of_older_sizes_are_computed(size: int, data: st.DataObject) -> None:
    older = data.draw(st.integers(0, size))
    assert VerifiedTiles(Log(size).fetch).root(head(size), older) == (
        naive_tiles.root(list(leaves(size)[:older])) if older else merkle.EMPTY_ROOT
    )


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(SIZES), st.data())
def test_a_hash_that_is_not_under_the_checkpoint_is_never_handed_out(size: int, data: st.DataObject) -> None:
    log = Log(size)
    height = data.draw(st.integers(0, 2).filter(lambda h: level(size, h)))
    place = data.draw(st.integers(0, len(level(size, height)) - 1))
    log.wrong = (height, place // 256, place % 256)
    tiles = VerifiedTiles(log.fetch)
    wanted = data.draw(st.integers(0, size - 1))
    try:
        leaf = tiles.leaf(head(size), wanted)
    except UntrustedError as error:
        assert error.code == "tile.mismatch"  # noqa: PT017 (either outcome is right, a wrong hash is not)
    else:
        assert leaf == leaves(size)[wanted]
    with pytest.raises(UntrustedError) as caught:
        tiles.tile(head(size), height, place // 256, place % 256 + 1)
    assert caught.value.code == "tile.mismatch"


def test_a_full_tile_is_fetched_once() -> None:
    log = Log(1000)
    tiles = VerifiedTiles(log.fetch)
    for _ in range(3):
        tiles.tile(head(1000), 0, 0, 256)
    assert log.asked.count(Tile(level=0, index=0)) == 1


def test_tiles_stay_right_as_the_log_grows() -> None:
    log = Log(66_000)
    tiles = VerifiedTiles(log.fetch)
    for size in (300, 600, 65_600, 66_000):
        assert tiles.root(head(size), 300) == head(300).root
        assert tiles.tile(head(size), 0, 1, 44) == b"".join(leaves(66_000)[256:300])


def test_a_forked_log_does_not_have_the_old_root() -> None:
    log = Log(300)
    tiles = VerifiedTiles(log.fetch)
    tiles.tile(head(300), 0, 0, 256)
    log.size, log.salt = 66_000, b"another history"
    assert tiles.root(head(66_000, b"another history"), 300) != head(300).root


@pytest.mark.parametrize(
    ("height", "index", "width"), [(0, 1, 45), (0, 2, 1), (1, 0, 2), (1, 1, 1), (2, 0, 1), (8, 0, 1), (-1, 0, 1)]
)
def test_a_tile_the_checkpoint_does_not_have_is_absent(height: int, index: int, width: int) -> None:
    with pytest.raises(NotFoundError) as caught:
        VerifiedTiles(Log(300).fetch).tile(head(300), height, index, width)
    assert caught.value.code == "tile.absent"


def test_a_root_beyond_the_checkpoint_is_refused() -> None:
    with pytest.raises(InvalidInputError) as caught:
        VerifiedTiles(Log(300).fetch).root(head(300), 301)
    assert caught.value.code == "proof.range"


@pytest.mark.parametrize("answer", [b"", b"x" * 31, b"x" * 33, b"x" * 32 * 257])
def test_a_tile_of_another_length_is_refused(answer: bytes) -> None:
    with pytest.raises(LedgerError) as caught:
        VerifiedTiles(lambda tile: answer).tile(head(300), 0, 0, 256)
    assert caught.value.code == "tile.mismatch"
