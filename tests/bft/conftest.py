"""One network of four validators, real processes, for all tests of this folder that break it and look how it heals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.errors import NotFoundError
from node.comet.binary import find_cometbft
from node.config import ChainSection, LogSection
from scripts.network import Network
from scripts.network_load import Journal, Writers, check_acknowledged

#: Every second a height, so that a network at rest is told from a halted one soon.
CHAIN = ChainSection(heartbeat_interval=1, max_view_age=8)
LOG = LogSection(anchor_interval_ms=5_000)


@pytest.fixture(scope="package")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """Four members, each a validator with a running node."""
    try:
        find_cometbft()
    except NotFoundError as error:
        pytest.skip(f"{error.message}; {error.hint}")
    with Network.found(tmp_path_factory.mktemp("net") / "city", chain=CHAIN, log=LOG) as found:
        found.start()
        yield found


@pytest.fixture
def journal(network: Network, tmp_path: Path) -> Iterator[Journal]:
    """Where acknowledged writes are kept; at the end every node has them all, and one head."""
    network.start()  # what a failed test before left down
    found = Journal(tmp_path / "acknowledged.jsonl")
    yield found
    found.close()
    assert len(found) > 0, "a test of faults acknowledged nothing"
    check_acknowledged(network, found)


@pytest.fixture
def writers(network: Network, journal: Journal) -> Iterator[Writers]:
    """The members write while the test runs."""
    found = Writers(network, journal, network.accounts(), pause_s=0.05)
    with found.running():
        found.wait_more(1, 120)
        yield found
