"""Contract tests: brownie's environment, anvil or our own chain.

They run under ``contracts/test`` (``.build/brownie-venv``). Elsewhere brownie is not installed, because it pins another
web3 than the product, and this folder collects nothing.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HAS_BROWNIE = importlib.util.find_spec("brownie") is not None
collect_ignore_glob = [] if HAS_BROWNIE else ["test_*.py"]

if HAS_BROWNIE:
    # brownie writes its settings and compilers under the home folder: it gets one of its own.
    home = ROOT / ".build" / "brownie-home"
    home.mkdir(parents=True, exist_ok=True)
    os.environ["HOME"] = str(home)
    sys.path.insert(0, str(ROOT))
    from contract_city import City, found_city
    from contract_targets import Target, anvil, civicledger


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--chain",
        choices=("anvil", "civicledger"),
        default="anvil",
        help="run the contracts on anvil, or on our own chain's JSON-RPC",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "anvil(reason): needs what only anvil has, such as moving the clock")


def pytest_report_header() -> list[str]:
    return [] if HAS_BROWNIE else ["contract tests: not here, they run by contracts/test (brownie's own environment)"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--chain", "anvil") == "anvil":
        return
    for item in items:
        marker = item.get_closest_marker("anvil")
        if marker is not None:
            item.add_marker(pytest.mark.skip(reason=f"only on anvil: {marker.args[0]}"))


if HAS_BROWNIE:

    @pytest.fixture(scope="session")
    def target(request: pytest.FixtureRequest) -> Iterator[Target]:
        """The chain under test, connected to brownie."""
        start = anvil if request.config.getoption("--chain") == "anvil" else civicledger
        with start(ROOT) as chain:
            yield chain

    @pytest.fixture(scope="session")
    def _founded(target: Target) -> City:
        return found_city(target)

    @pytest.fixture
    def city(target: Target, _founded: City) -> Iterator[City]:
        """A city of five members as it stands after genesis, for one test."""
        with target.untouched():
            yield _founded.refreshed()
