"""A follower keeps what is right and notices, at its next look, everything that is not."""

import pytest

from ledger.errors import NotFoundError, UnavailableError
from ledger.evidence.checkpoint import parse_checkpoint, parse_note
from ledger.evidence.tiles import Tile, tiles_of
from ledger.model import KeyRole
from node.mirror.judging import log_vkeys
from tests.ledger.log import naive_tiles
from tests.node.mirror.conftest import Scene
from tests.node.mirror.fake_log import FakeLog, entry, stranger


def good(scene: Scene, log: FakeLog, size: int) -> None:
    """Everything of the log is here, byte for byte."""
    files, served = scene.files, log.files()
    assert files.note == log.note()
    assert files.head is not None
    assert files.head.size == files.size == size
    for tile in tiles_of(size):
        if tile.level is not None or files.entries:
            assert files.tile(tile) == served[tile.path], tile.path


@pytest.mark.parametrize("sizes", [(1, 2, 255, 256, 257), (300, 700), (1_030, 2_100)])
def test_a_growing_log_is_kept_byte_for_byte(supervisor: Scene, log: FakeLog, sizes: tuple[int, ...]) -> None:
    for size in sizes:
        log.grow(size)
        assert supervisor.follower.look().alarm == ""
        good(supervisor, log, size)
        assert supervisor.files.entries == size
    assert supervisor.kinds() == []


def test_a_member_without_a_role_keeps_hashes_only(department: Scene, log: FakeLog) -> None:
    log.grow(300)
    log.asked.clear()
    department.follower.look()
    good(department, log, 300)
    assert department.files.entries == 0
    assert not any("entries" in path for path in log.asked)
    with pytest.raises(NotFoundError):
        department.files.entry_tile(0, 1)


def test_it_goes_on_after_a_restart(supervisor: Scene, log: FakeLog) -> None:
    log.grow(300)
    supervisor.follower.look()
    # What a crash left behind the durable size is cut, whatever it is.
    for file in supervisor.files.folder.glob("*.dat"):
        with file.open("ab") as stream:
            stream.write(b"torn")
    supervisor.restart()
    log.grow(900)
    log.asked.clear()
    supervisor.follower.look()
    good(supervisor, log, 900)
    assert supervisor.kinds() == []


def test_a_stop_in_the_middle_is_taken_up_again(supervisor: Scene, log: FakeLog) -> None:
    log.grow(1_000)
    supervisor.stopping = True
    supervisor.follower.look()
    assert supervisor.files.head is None
    assert supervisor.files.pending is not None
    supervisor.restart()
    supervisor.stopping = False
    log.grow(1_100)
    supervisor.follower.look()
    good(supervisor, log, 1_100)
    assert supervisor.files.pending is None


def test_a_fork_behind_a_head_that_is_not_wholly_here_is_noticed(supervisor: Scene, log: FakeLog) -> None:
    log.grow(1_000)
    supervisor.follower.look()
    log.grow(1_400)
    supervisor.stopping = True
    supervisor.follower.look()
    supervisor.stopping = False
    log.entries[1_399] = b"another"
    seen = supervisor.follower.look()
    assert seen.alarm == "log.forked"
    assert supervisor.alarms.alarms()[0].evidence is not None


def alarmed(scene: Scene, kind: str) -> None:
    """One look raises the alarm, what is here stays, and the next look raises it again."""
    before = {file.name: file.read_bytes() for file in scene.files.folder.iterdir() if file.is_file()}
    assert scene.follower.look().alarm == kind
    assert scene.kinds() == [kind]
    count = scene.alarms.alarms()[0].count
    assert scene.follower.look().alarm == kind
    assert scene.kinds() == [kind]
    assert scene.alarms.alarms()[0].count == count + 1
    scene.restart()
    assert scene.follower.look().alarm == kind
    assert {file.name: file.read_bytes() for file in scene.files.folder.iterdir() if file.is_file()} == before


def proves(scene: Scene) -> None:
    """The alarm's evidence convinces with the keys on chain."""
    roster = scene.node.core.rosters.current()
    evidence = scene.alarms.alarms()[0].evidence
    assert evidence is not None
    evidence.verify(log_vkeys(roster, roster.members[scene.member]))


def test_a_shortened_log(supervisor: Scene, log: FakeLog) -> None:
    log.grow(700)
    supervisor.follower.look()
    log.size = 600
    alarmed(supervisor, "log.shortened")
    log.size = 700
    assert supervisor.follower.look().alarm == ""


def test_a_shortened_and_rewritten_log(supervisor: Scene, log: FakeLog) -> None:
    log.grow(700)
    supervisor.follower.look()
    log.size = 600
    log.entries[10] = b"another"
    alarmed(supervisor, "log.forked")
    proves(supervisor)


def test_a_forked_checkpoint_of_the_same_size(department: Scene, log: FakeLog) -> None:
    log.grow(700)
    department.follower.look()
    log.entries[699] = b"another"
    alarmed(department, "log.forked")
    proves(department)


@pytest.mark.parametrize("size", [512, 700])
def test_a_larger_checkpoint_of_another_history(department: Scene, log: FakeLog, size: int) -> None:
    log.grow(size)
    department.follower.look()
    log.grow(1_300)
    log.entries[size - 1] = b"another"
    alarmed(department, "log.forked")
    proves(department)


def test_a_fork_that_nobody_cosigned_is_noticed_too(department: Scene, log: FakeLog) -> None:
    log.grow(700)
    department.follower.look()
    log.cosigners = 0
    log.entries[3] = b"another"
    log.grow(900)
    alarmed(department, "log.forked")
    proves(department)


def test_a_rewritten_entry(supervisor: Scene, log: FakeLog) -> None:
    log.grow(700)
    supervisor.follower.look()
    bundle = log.files()["tile/entries/001"]
    log.lies["tile/entries/001"] = bundle.replace(entry(300), entry(999))
    alarmed(supervisor, "log.rewritten")


def test_a_rewritten_entry_at_the_edge(supervisor: Scene, log: FakeLog) -> None:
    log.grow(700)
    supervisor.follower.look()
    path = "tile/entries/002.p/188"
    log.lies[path] = log.files()[path].replace(entry(699), entry(999))
    alarmed(supervisor, "log.rewritten")


@pytest.mark.parametrize("path", ["tile/0/001", "tile/0/002.p/188", "tile/1/000.p/2"])
def test_a_rewritten_hash(department: Scene, log: FakeLog, path: str) -> None:
    log.grow(700)
    department.follower.look()
    log.lies[path] = bytes(32) + log.files()[path][32:]
    alarmed(department, "log.rewritten")


def test_hashes_that_are_not_under_the_new_checkpoint(department: Scene, log: FakeLog) -> None:
    log.grow(300)
    department.follower.look()
    log.grow(700)
    log.lies["tile/0/002.p/188"] = bytes(188 * 32)
    alarmed(department, "log.rewritten")


def test_new_entries_that_are_not_those_of_the_hashes(supervisor: Scene, log: FakeLog) -> None:
    log.grow(300)
    log.lies["tile/entries/000"] = log.files()["tile/entries/000"].replace(entry(17), entry(71))
    assert supervisor.follower.look().alarm == "log.rewritten"
    assert supervisor.files.size == 300
    assert supervisor.files.entries == 0
    log.lies["tile/entries/000"] = log.files()["tile/entries/000"] + b"\0"
    assert supervisor.follower.look().alarm == "log.rewritten"
    log.lies.clear()
    assert supervisor.follower.look().alarm == ""
    good(supervisor, log, 300)


def test_a_tile_that_is_not_served_any_more(department: Scene, log: FakeLog) -> None:
    log.grow(700)
    department.follower.look()
    log.lies["tile/0/001"] = None
    alarmed(department, "log.withheld")


def test_a_partial_tile_may_be_gone_once_the_full_one_is_there(supervisor: Scene, log: FakeLog) -> None:
    log.grow(300)
    note = log.note()
    log.grow(600)
    log.lies = {"checkpoint": note}
    assert supervisor.follower.look().alarm == ""
    assert supervisor.files.size == supervisor.files.entries == 300
    assert supervisor.files.hash_tile(0, 1, 44) == log.files()["tile/0/001"][: 44 * 32]


def test_a_changed_key_that_is_not_on_chain(department: Scene, log: FakeLog) -> None:
    log.grow(300)
    department.follower.look()
    log.signer = stranger()
    log.grow(400)
    alarmed(department, "log.key-changed")
    refused = list((department.files.folder / "refused").iterdir())
    assert [file.read_bytes() for file in refused] == [log.note()]


def test_a_signature_that_does_not_verify(department: Scene, log: FakeLog) -> None:
    log.grow(300)
    department.follower.look()
    note = log.note()
    at = note.index(b" ", note.index(b"\xe2\x80\x94 ") + 4) + 20
    log.lies["checkpoint"] = note[:at] + (b"A" if note[at : at + 1] != b"A" else b"B") + note[at + 1 :]
    alarmed(department, "log.key-changed")


def test_a_certificate_that_is_not_on_chain(
    department: Scene, log: FakeLog, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from node.identity.keyring import KeyRing
    from tests.node.core.makers import PASSPHRASE, make_keys

    log.grow(300)
    department.follower.look()
    folder = tmp_path_factory.mktemp("other")
    make_keys(folder, log.member, seed="another machine")
    log.stop()
    log.start(KeyRing(folder, log.member, PASSPHRASE))
    try:
        assert department.follower.look().alarm == "tls.key-changed"
        assert department.kinds() == ["tls.key-changed"]
    finally:
        log.stop()
        log.start()


def test_what_nobody_cosigned_is_not_kept(department: Scene, log: FakeLog) -> None:
    log.cosigners = 1
    log.grow(300)
    with pytest.raises(UnavailableError) as caught:
        department.follower.look()
    assert caught.value.code == "mirror.not-witnessed"
    assert department.files.size == 0
    log.cosigners = 2
    department.follower.look()
    good(department, log, 300)
    log.cosigners = 1
    log.grow(400)
    assert department.follower.look().alarm == ""
    assert department.files.size == 300


def test_more_cosignatures_are_taken_over(department: Scene, log: FakeLog) -> None:
    log.cosigners = 2
    log.grow(300)
    department.follower.look()
    log.cosigners = 3
    department.follower.look()
    assert department.files.note == log.note()


def test_a_log_that_is_away_is_no_alarm(department: Scene, log: FakeLog) -> None:
    log.grow(300)
    department.follower.look()
    log.stop()
    try:
        with pytest.raises(UnavailableError):
            department.follower.look()
    finally:
        log.start()
    assert department.kinds() == []
    assert department.follower.look().alarm == ""


def test_a_sample_finds_a_rewritten_tile_of_a_long_log(department: Scene, log: FakeLog) -> None:
    log.grow(5_000)
    department.follower.look()
    head = parse_checkpoint(parse_note(log.note()).text)
    assert naive_tiles.root([naive_tiles.leaf(item) for item in log.entries]) == head.root
    assert department.files.root(head.size) == head.root
    log.lies["tile/0/007"] = bytes(8192)
    alarmed(department, "log.rewritten")
    assert department.files.tile(Tile(level=0, index=7)) == log.files()["tile/0/007"]
    assert log.keys[KeyRole.LOG].public
