"""What was served once is compared again until all of it was, and who refuses it does not escape."""

import random

import pytest

from ledger.errors import LedgerError, NotAllowedError
from ledger.evidence.tiles import Tile
from node.mirror.recheck import SWEEP_S, Recheck, tiles_at
from tests.node.mirror.conftest import Scene
from tests.node.mirror.fake_log import FakeLog, entry

TILES = 12


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["0", "entries"])
def test_a_sweep_finds_a_rewritten_tile_wherever_it_is(supervisor: Scene, log: FakeLog, seed: int, kind: str) -> None:
    log.grow(TILES * 256)
    supervisor.restart(sample=2)
    assert supervisor.follower.look().alarm == ""
    index = random.Random(seed).randrange(TILES)
    path = f"tile/{kind}/{index:03d}"
    data = log.files()[path]
    log.lies[path] = data.replace(entry(index * 256), entry(9)) if kind == "entries" else bytes(32) + data[32:]
    found = [supervisor.follower.look().alarm for _ in range(TILES // 2)]
    assert "log.rewritten" in found
    # From then on it is looked at every time.
    assert supervisor.follower.look().alarm == "log.rewritten"
    log.lies.clear()
    assert supervisor.follower.look().alarm == ""


def test_a_sweep_asks_for_every_tile(department: Scene, log: FakeLog) -> None:
    log.grow(TILES * 256)
    department.restart(sample=1)
    department.follower.look()
    log.asked.clear()
    for _ in range(TILES):
        department.follower.look()
    assert {path for path in log.asked if path.startswith("tile/0/")} == {f"tile/0/{n:03d}" for n in range(TILES)}


@pytest.mark.parametrize("budget", [None, 2 * TILES])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["0", "1", "entries"])
def test_a_log_within_the_budget_is_compared_whole_at_every_look(
    supervisor: Scene, log: FakeLog, seed: int, kind: str, budget: int | None
) -> None:
    log.grow(TILES * 256 + 9)
    supervisor.restart(sample=1, budget=budget)
    assert supervisor.follower.look().alarm == ""
    assert supervisor.follower.looks() == 1
    index = random.Random(seed).randrange(TILES)
    path = f"tile/1/000.p/{TILES}" if kind == "1" else f"tile/{kind}/{index:03d}"
    data = log.files()[path]
    log.lies[path] = data.replace(entry(index * 256), entry(9)) if kind == "entries" else bytes(32) + data[32:]
    assert supervisor.follower.look().alarm == "log.rewritten"
    log.lies.clear()
    assert supervisor.follower.look().alarm == ""


def test_a_log_beyond_the_budget_is_compared_as_far_as_it_goes(department: Scene, log: FakeLog) -> None:
    log.grow(100 * 256)
    department.restart(sample=1, budget=40)
    department.follower.look()
    looks = department.follower.looks()
    assert looks == 3
    log.asked.clear()
    for _ in range(looks):
        department.follower.look()
    asked = [path for path in log.asked if path.startswith("tile/0/")]
    assert len(set(asked)) == 100
    assert len(asked) <= looks * (40 + 2), "the sample and the newest tile beside it"


def test_how_long_a_sweep_takes_is_said() -> None:
    leaves = 1 << 19
    assert recheck(8, 10.0, 2_100).looks(leaves, 0) == 1
    assert recheck(8, 10.0, 2_000).looks(leaves, 0) == 2
    # With entries twice as many are asked for, and a look ends where it has taken 32 MiB.
    assert recheck(8, 10.0, 4_200).looks(leaves, 15 << 20) == 1
    assert recheck(8, 10.0, 2_100).looks(leaves, 15 << 20) == 2
    assert recheck(8, 10.0, 10_000).looks(leaves, 300 << 20) == 10
    assert recheck(8, 10.0, None).looks(10**9, 10**12) == 1
    assert recheck(8, 10.0).looks(200, 10_000) == 1
    # Without a budget the day's sweep is left.
    assert 0.8 * SWEEP_S <= recheck(1, 10.0).looks(10**8, 0) * 10 <= 86_400


def recheck(sample: int, interval: float, budget: int | None = 0) -> Recheck:
    return Recheck(
        sample=sample, budget=lambda: budget, interval=interval, patience=0.0, draw=random.Random(1), stopping=bool
    )


@pytest.mark.parametrize("interval", [1.0, 10.0, 3_600.0, 86_400.0])
@pytest.mark.parametrize("full", [1, 1_000, 4_000_000])
def test_a_sweep_ends_within_a_day(full: int, interval: float) -> None:
    share = recheck(8, interval).share(full)
    assert min(full, 8) <= share <= full
    assert -(-full // share) * interval <= max(SWEEP_S, interval)


def test_the_tiles_above_are_part_of_it() -> None:
    assert list(tiles_at(6, 0)) == [Tile(level=0, index=6)]
    assert list(tiles_at(6, 7 * 256)) == [Tile(level=0, index=6), Tile(level=None, index=6)]
    assert list(tiles_at(511, 0)) == [Tile(level=0, index=511), Tile(level=1, index=1)]
    assert list(tiles_at(65_535, 0))[1:] == [Tile(level=1, index=255), Tile(level=2, index=0)]


@pytest.mark.parametrize("status", [403, 500])
def test_a_log_that_refuses_a_new_bundle_is_compared_all_the_same(supervisor: Scene, log: FakeLog, status: int) -> None:
    log.grow(700)
    supervisor.follower.look()
    log.grow(900)
    log.refused["tile/entries/002"] = log.refused["tile/entries/002.p/188"] = status
    log.lies["tile/0/000"] = bytes(8192)
    assert supervisor.follower.look().alarm == "log.rewritten"


@pytest.mark.parametrize("status", [403, 503])
def test_a_lasting_refusal_is_withholding(supervisor: Scene, log: FakeLog, status: int) -> None:
    log.grow(700)
    log.refused["tile/entries/001"] = status
    for _ in range(2):
        with pytest.raises(LedgerError) as caught:
            supervisor.follower.look()
        assert caught.value.code == ("peer.refused" if status == 403 else "peer.answer")
        assert supervisor.kinds() == []
    assert supervisor.follower.look().alarm == "log.withheld"
    assert supervisor.kinds() == ["log.withheld"]
    log.refused.clear()
    assert supervisor.follower.look().alarm == ""
    assert supervisor.files.entries == 700


def test_a_refused_old_bundle_is_asked_for_until_it_comes_and_hinders_no_new_ones(
    supervisor: Scene, log: FakeLog
) -> None:
    log.grow(TILES * 256)
    supervisor.follower.look()
    supervisor.restart(sample=3)
    log.refused["tile/entries/005"] = 403
    seen: list[str] = []
    for number in range(TILES // 3 + 3):
        log.grow(TILES * 256 + 10 * number)
        try:
            seen.append(supervisor.follower.look().alarm)
        except NotAllowedError as error:
            seen.append(error.code)
    assert seen[-1] == "log.withheld"
    assert supervisor.files.entries == log.size
