"""A fresh LevelDB folder per test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.storage.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "db") as opened:
        yield opened
