"""Fifty times kill -9 on a node under append and transaction load (``scripts/soak kill`` for more)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scripts.killing import Figures, KillLoop

ROUNDS = 50
#: Two cities at a time, half of the rounds in each: most of a round is waiting.
SEEDS = (20_261_122, 20_261_123)


def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    def half(seed: int) -> Figures:
        return KillLoop(tmp_path / str(seed), seed=seed).run(ROUNDS // len(SEEDS))

    with ThreadPoolExecutor(len(SEEDS)) as pool:
        halves = list(pool.map(half, SEEDS))
    assert sum(figures.rounds for figures in halves) == ROUNDS
    for figures in halves:
        # Not one round without both kinds of load, and answers did get lost: the loop hit the moments it is made for.
        assert figures.records >= figures.rounds
        assert figures.transactions >= figures.rounds
        assert figures.repeated > 0
        assert figures.height >= figures.rounds
