"""A town per test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.node.trail.town import Town


@pytest.fixture
def found(tmp_path: Path) -> Iterator[Callable[[int], Town]]:
    """Found a town of so many members; it is closed after the test."""
    towns: list[Town] = []

    def make(count: int) -> Town:
        towns.append(Town(tmp_path, count))
        return towns[-1]

    yield make
    for town in towns:
        town.close()
