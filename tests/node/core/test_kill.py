"""Fifty times kill -9 on a node under append and transaction load (``scripts/soak kill`` for more)."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.killing import KillLoop

ROUNDS = 50


@pytest.mark.timeout(400)
def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    figures = KillLoop(tmp_path, seed=20_261_122).run(ROUNDS)
    assert figures.rounds == ROUNDS
    # Not one round without both kinds of load, and answers did get lost: the loop hit the moments it is made for.
    assert figures.records >= ROUNDS
    assert figures.transactions >= ROUNDS
    assert figures.repeated > 0
    assert figures.height >= ROUNDS
