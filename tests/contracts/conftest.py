"""Contract tests: brownie's environment, on anvil or on our own chain.

They run by ``contracts/test`` in ``.build/brownie-venv``, because brownie pins another web3 than the product; the other
tests leave this folder out.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# brownie writes its settings and compilers under the home folder: it gets one of its own, before it is imported.
HOME = ROOT / ".build" / "brownie-home"
HOME.mkdir(parents=True, exist_ok=True)
os.environ["HOME"] = str(HOME)
sys.path[:0] = [str(HERE), str(ROOT)]

from branches import Branches  # noqa: E402
from contract_city import GAS_USED, City, found_city, genesis_members  # noqa: E402
from contract_targets import Target, anvil, civicledger  # noqa: E402

BRANCHES = pytest.StashKey[Branches]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--chain",
        choices=("anvil", "civicledger"),
        default="anvil",
        help="run the contracts on anvil, or on our own chain's JSON-RPC",
    )
    parser.addoption("--gas", action="store_true", help="print the gas of each function")
    parser.addoption("--branches", action="store_true", help="trace all and print the branches not seen (anvil)")


def pytest_configure(config: pytest.Config) -> None:
    os.environ["CONTRACT_CHAIN"] = config.getoption("--chain")
    config.addinivalue_line("markers", "anvil(reason): needs what only anvil has, such as moving the clock")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--chain") == "anvil":
        return
    for item in items:
        marker = item.get_closest_marker("anvil")
        if marker is not None:
            item.add_marker(pytest.mark.skip(reason=f"only on anvil: {marker.args[0]}"))


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    """The chain under test, connected to brownie."""
    on_anvil = request.config.getoption("--chain") == "anvil"
    with anvil(ROOT) if on_anvil else civicledger(ROOT, genesis_members()) as chain:
        if request.config.getoption("--branches"):
            request.config.stash[BRANCHES] = Branches(chain)
        yield chain


@pytest.fixture(scope="session")
def _founded(target: Target) -> City:
    return found_city(target)


@pytest.fixture
def city(target: Target, _founded: City) -> Iterator[City]:
    """A city of five members as it stands after genesis, for one test."""
    with target.untouched():
        yield _founded


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    write = terminalreporter.write_line
    if config.getoption("--gas"):
        terminalreporter.section("gas: least, median, most")
        for name, used in sorted(GAS_USED.items()):
            write(f"{name:42} {min(used):>9,} {sorted(used)[len(used) // 2]:>9,} {max(used):>9,}")
    branches = config.stash.get(BRANCHES, None)
    if branches is not None:
        terminalreporter.section("branches")
        for line in branches.report():
            write(line)
