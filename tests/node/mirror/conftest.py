"""Three real nodes, and a fourth member whose log is played by a server that may lie."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger.model import KeyRole, Roles
from node.identity.keyfiles import key_file
from node.mirror.files import MirrorFiles
from node.mirror.follower import Follower
from node.mirror.recheck import Recheck
from node.trail.alarms import AlarmBook
from tests.node.core.city import City, found
from tests.node.mirror.fake_log import FakeLog


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    with City(found(tmp_path_factory.mktemp("mirror"), 4)) as running:
        running.start(0, 1, 2)
        yield running


@pytest.fixture(scope="module")
def server(city: City) -> Iterator[FakeLog]:
    fake = FakeLog(city, 3)
    fake.seen_certificates = {node.core.keys.identity.certificate for node in city.nodes.values()}
    fake.start()
    yield fake
    fake.stop()


@pytest.fixture
def log(server: FakeLog) -> FakeLog:
    """The fourth member's log, empty and honest."""
    server.reset()
    return server


class Scene:
    """A follower of the fourth member's log at one of the nodes, looking when it is told to."""

    def __init__(self, city: City, member: str, folder: Path, number: int) -> None:
        self.node = city[number]
        self.member = member
        self.folder = folder
        self.alarms = AlarmBook(folder / "alarms", clock=self.node.core.clock)
        self.stopping = False
        self.room: Callable[[], None] = lambda: None
        self.open()

    def open(self, sample: int = 100, budget: int | None = 0) -> None:
        core = self.node.core
        self.follower = Follower(
            self.member,
            open_files=self._files,
            roster=core.rosters.current,
            peers=core.peers,
            alarms=self.alarms,
            own=lambda: (core.keys.certificate_file, key_file(core.keys.folder, KeyRole.TLS), core.keys.passphrase),
            entries=lambda: bool(
                core.rosters.current().members[core.member].roles & (Roles.SUPERVISOR | Roles.AUDITOR)
            ),
            recheck=Recheck(
                sample=sample,
                budget=lambda: budget,
                interval=10.0,
                patience=0.0,
                draw=random.Random(7),
                stopping=lambda: self.stopping,
            ),
            timeout=180,
            settle=lambda: iter([True, False]).__next__,
            stopping=lambda: self.stopping,
            room=lambda: self.room(),
        )
        self._opened: MirrorFiles | None = None

    def _files(self, member: str, origin: str) -> MirrorFiles:
        if self._opened is None:
            self._opened = MirrorFiles.open(self.folder / "log", member, origin)
        return self._opened

    @property
    def files(self) -> MirrorFiles:
        assert self._opened is not None
        return self._opened

    def restart(self, sample: int = 100, budget: int | None = 0) -> None:
        self.close()
        self.open(sample, budget)

    def close(self) -> None:
        self.follower.close()
        if self._opened is not None:
            self._opened.close()

    def kinds(self) -> list[str]:
        return [alarm.kind for alarm in self.alarms.alarms()]


@pytest.fixture
def scene_of(city: City, log: FakeLog, tmp_path: Path) -> Iterator[Callable[[int], Scene]]:
    made: list[Scene] = []

    def make(number: int) -> Scene:
        made.append(Scene(city, log.member, tmp_path / str(number), number))
        return made[-1]

    yield make
    for scene in made:
        scene.close()


@pytest.fixture
def supervisor(scene_of: Callable[[int], Scene]) -> Scene:
    """A follower that keeps entries."""
    return scene_of(1)


@pytest.fixture
def department(scene_of: Callable[[int], Scene]) -> Scene:
    """A follower that keeps hashes only."""
    return scene_of(0)
