"""The running city the service tests share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from services_city import City, start, stop


@pytest.fixture(scope="session")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    """Five real nodes; started once, shared by all tests, which use datasets of their own."""
    running = start(tmp_path_factory.mktemp("city"))
    yield running
    stop(running)
