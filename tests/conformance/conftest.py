"""One running chain of each engine for a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.cometbft_engine import cometbft
from tests.conformance.engines import ENGINES, Running

ALL = {**ENGINES, "cometbft": cometbft}


@pytest.fixture(scope="module", params=ALL)
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A chain of five members with the contracts as founded; tests share it."""
    name = str(request.param)
    with ALL[name](tmp_path_factory.mktemp(name)) as chain:
        yield chain
