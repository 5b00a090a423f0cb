"""Names of tiles: the spec's examples, one spelling each, and the worked example of 70,000 entries."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import NotFoundError
from ledger.evidence.tiles import Tile, parse_tile_path, tiles_of


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        # C2SP tlog-tiles: index 1234067 is x001/x234/067.
        (Tile(level=0, index=1234067), "tile/0/x001/x234/067"),
        (Tile(level=0, index=273, width=112), "tile/0/273.p/112"),
        (Tile(level=1, index=1, width=17), "tile/1/001.p/17"),
        (Tile(level=None, index=0, width=1), "tile/entries/000.p/1"),
        (Tile(level=7, index=999), "tile/7/999"),
        (Tile(level=None, index=1000), "tile/entries/x001/000"),
    ],
)
def test_paths_of_the_specification(tile: Tile, path: str) -> None:
    assert tile.path == path
    assert parse_tile_path(path) == tile


@given(st.none() | st.integers(0, 7), st.integers(0, 2**56 - 1), st.integers(1, 256))
def test_paths_round_trip(level: int | None, index: int, width: int) -> None:
    tile = Tile(level=level, index=index, width=width)
    assert parse_tile_path(tile.path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile",
        "tile/0/0",
        "tile/0/0000",
        "tile/0/x000/001",
        "tile/00/000",
        "tile/8/000",
        "tile/63/000",
        "tile/-1/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/300",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/0/000/",
        "tile/0/001/000",
        "tile/Entries/000",
        "tile/0/٠٠٠",
        "tile/0/000\n",
        "/tile/0/000",
        "tile/0/x999/" + "x999/" * 8 + "999",
        "tile/0/" + "x001/" * 40 + "000",
    ],
)
def test_any_other_spelling_is_refused(path: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        parse_tile_path(path)
    assert caught.value.code == "tile.path"


def test_the_tiles_of_seventy_thousand_entries() -> None:
    names = {tile.path for tile in tiles_of(70_000) if tile.level is not None}
    partial = {name for name in names if ".p/" in name}
    assert partial == {"tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"}
    assert len(names) == 273 + 1 + 1 + 1 + 1


@pytest.mark.parametrize(("size", "expected"), [(0, []), (1, ["tile/entries/000.p/1", "tile/0/000.p/1"])])
def test_the_tiles_of_small_trees(size: int, expected: list[str]) -> None:
    assert [tile.path for tile in tiles_of(size)] == expected


def test_two_hundred_and_fifty_six_entries_have_a_parent() -> None:
    assert [tile.path for tile in tiles_of(256)] == ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]


@given(st.integers(1, 200_000))
def test_every_tile_needs_no_more_than_the_size_and_together_they_need_all(size: int) -> None:
    tiles = list(tiles_of(size))
    assert all(tile.leaves_needed <= size and tile.first_leaf < tile.leaves_needed for tile in tiles)
    assert sum(tile.width for tile in tiles if tile.level == 0) == size
    assert sum(tile.width for tile in tiles if tile.level is None) == size
    assert len({tile.path for tile in tiles}) == len(tiles)
