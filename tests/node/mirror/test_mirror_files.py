"""What a mirror keeps on its way through a backlog: no more than the disk has room for, never without its note."""

from pathlib import Path
from typing import Any

import pytest

from ledger.errors import UnavailableError
from ledger.evidence import merkle
from node.mirror import follower
from node.mirror.files import MirrorFiles
from tests.node.mirror.conftest import Scene
from tests.node.mirror.fake_log import FakeLog

pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize(("rooms", "size", "entries"), [(1, 512, 0), (6, 2_000, 1_024)])
def test_a_backlog_ends_where_the_disk_does(
    supervisor: Scene, log: FakeLog, monkeypatch: pytest.MonkeyPatch, rooms: int, size: int, entries: int
) -> None:
    monkeypatch.setattr(follower, "_COMMIT_TILES", 2)
    asked: list[int] = []

    def room() -> None:
        asked.append(1)
        if len(asked) == rooms:
            raise UnavailableError("mirror.disk-low", "nothing is left")

    supervisor.room = room
    log.grow(2_000)
    with pytest.raises(UnavailableError, match="nothing is left"):
        supervisor.follower.look()
    supervisor.room = lambda: None
    supervisor.restart()
    supervisor.stopping = True
    supervisor.follower.look()
    assert (supervisor.files.size, supervisor.files.entries) == (size, entries)
    supervisor.stopping = False
    assert supervisor.follower.look().alarm == ""
    assert supervisor.files.entries == 2_000


def test_hashes_are_never_durable_without_the_note_they_were_verified_under(
    department: Scene, log: FakeLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.grow(300)
    department.follower.look()
    log.grow(700)
    with monkeypatch.context() as patch:
        patch.setattr(MirrorFiles, "complete", lambda *_: (_ for _ in ()).throw(UnavailableError("disk.full", "full")))
        with pytest.raises(UnavailableError):
            department.follower.look()
    department.restart()
    department.stopping = True
    log.size = 699
    assert department.follower.look().alarm == "log.shortened"
    assert department.files.size == 700
    assert department.files.pending is not None


def test_a_reader_never_sees_a_count_without_its_bytes(tmp_path: Path) -> None:
    bundle = b"".join(len(item).to_bytes(2, "big") + item for item in (b"one", b"two", b"three"))
    seen: list[bytes] = []

    class Watched(MirrorFiles):
        def __setattr__(self, name: str, value: Any) -> None:
            super().__setattr__(name, value)
            if name == "entries" and value:
                seen.append(self.entry_tile(0, value))

    files = Watched.open(tmp_path, "91310000MA1K000001", "a log")
    files.append_hashes(merkle.bundle_leaves(bundle, 3))
    files.append_entries(bundle, 3)
    files.close()
    assert seen == [bundle]
