"""What a mirror keeps on its way through a backlog: no more than the disk has room for, never without its note."""

from pathlib import Path
from typing import Any

import pytest

from ledger.errors import FatalError, UnavailableError
from ledger.evidence import merkle
from node.mirror import follower
from node.mirror.files import MirrorFiles, begin_anew
from tests.node.mirror.conftest import Scene
from tests.node.mirror.fake_log import FakeLog


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


@pytest.mark.parametrize("name", ["level-0.dat", "level-1.dat", "entries.dat", "entries.idx"])
@pytest.mark.parametrize("place", [0, -1])
def test_a_bit_that_turned_here_is_no_alarm_about_the_log(
    supervisor: Scene, log: FakeLog, name: str, place: int
) -> None:
    log.grow(700)
    supervisor.follower.look()
    file = supervisor.files.folder / name
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.write_bytes(data)
    with pytest.raises(FatalError) as caught:
        supervisor.follower.look()
    assert caught.value.code == "mirror.damaged"
    assert supervisor.kinds() == []


def test_a_damaged_edge_is_no_alarm_when_the_log_grows_or_shrinks(department: Scene, log: FakeLog) -> None:
    log.grow(700)
    department.follower.look()
    file = department.files.folder / "level-0.dat"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    for size in (900, 690):
        log.grow(size)
        with pytest.raises(FatalError) as caught:
            department.follower.look()
        assert caught.value.code == "mirror.damaged"
    assert department.kinds() == []


@pytest.mark.parametrize("forked", [False, True])
def test_a_mirror_begun_anew_still_knows_what_it_had_seen(department: Scene, log: FakeLog, forked: bool) -> None:
    log.grow(700)
    department.follower.look()
    department.close()
    folder = department.files.folder
    aside = begin_anew(folder)
    assert (aside / "level-0.dat").stat().st_size == 700 * 32
    with pytest.raises(UnavailableError) as again:
        begin_anew(folder)
    assert again.value.code == "mirror.damaged-again"
    department.open()
    log.size = 600
    assert department.follower.look().alarm == "log.shortened"
    log.size = 700
    log.grow(900)
    if forked:
        log.entries[3] = b"another"
    assert department.follower.look().alarm == ("log.forked" if forked else "")
    assert (department.files.before is not None) is forked
    assert department.files.size == 900
    if forked:
        assert department.alarms.alarms()[-1].evidence is not None


def test_a_head_of_the_same_size_is_compared_with_the_one_before(department: Scene, log: FakeLog) -> None:
    log.grow(700)
    department.follower.look()
    department.close()
    begin_anew(department.files.folder)
    department.open()
    log.entries[3] = b"another"
    assert department.follower.look().alarm == "log.forked"
    assert department.files.size == 0
