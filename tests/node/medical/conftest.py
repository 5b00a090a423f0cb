"""The running city the medical tests share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import certify_town
from medical_city import City, start, stop
from whole_city import govern

from ledger.model import Roles
from node.compose import Node
from node.medical.reports import Reports
from tests.node.core import city as cities


@pytest.fixture(scope="session")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    """Three hospitals, the commission and a quality centre; started once, each test has patients of its own."""
    running = start(tmp_path_factory.mktemp("clinic"))
    yield running
    stop(running)


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    """The city with the nodes' own parts, under rules that are in force, its hospitals entered and assessed."""
    city = start(tmp_path_factory.mktemp("whole"), whole=True)
    try:
        govern(city)
        yield city
    finally:
        stop(city)


@pytest.fixture(scope="session")
def town(whole: City) -> certify_town.Town:
    """The same city with an office that issues medical certificates."""
    return certify_town.settled(whole)


@pytest.fixture(scope="session")
def report_folders(tmp_path_factory: pytest.TempPathFactory) -> cities.Founded:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cities, "ROLES", {1: Roles.HOSPITAL})
        return cities.found(tmp_path_factory.mktemp("reports") / "city", 2)


@pytest.fixture(scope="session")
def report_city(report_folders: cities.Founded) -> Iterator[cities.City]:
    with cities.City(report_folders) as running:
        running.start()
        yield running


@pytest.fixture
def node(report_city: cities.City) -> Node:
    return report_city[0]


@pytest.fixture
def reports(node: Node) -> Reports:
    return node.medical.reports


@pytest.fixture
def number(request: pytest.FixtureRequest) -> str:
    """A report number of this test's own."""
    return request.node.name
