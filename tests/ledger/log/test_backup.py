"""A backup is exactly a prefix of the log, verified; a damaged, foreign or newer one is refused; what is put back stays
closed while others saw more."""

from __future__ import annotations

import json
import os
import shutil
import threading
from pathlib import Path

import pytest

from ledger.errors import ConflictError, InvalidInputError, LedgerError, NotFoundError, UntrustedError
from ledger.evidence.checkpoint import parse_checkpoint, parse_note
from ledger.keys import Ed25519Signer
from ledger.log import DepartmentLog, fsck
from ledger.log.backup import back_up, committed_size, verify
from ledger.log.manifest import read_manifest
from ledger.log.restore import restore
from ledger.model import KeyRole
from tests.ledger.log.conftest import NOW, ORIGIN, Open, record


def grow(log: DepartmentLog, first: int, count: int, batch: bytes | None = None) -> None:
    log.append([record(number) for number in range(first, first + count)], batch)


def test_a_backup_beside_the_writer_holds_exactly_the_published_log(log: DepartmentLog, tmp_path: Path) -> None:
    grow(log, 0, 600)
    note = log.publish()
    grow(log, 600, 50)
    stages: list[tuple[str, int, int]] = []
    report = back_up(log.path, tmp_path / "copy", lambda *stage: stages.append(stage))
    manifest = verify(tmp_path / "copy")
    assert manifest == report.manifest == read_manifest(tmp_path / "copy")
    assert (manifest.head.size, manifest.note, manifest.head.root) == (600, note, log.root(600))
    assert committed_size(tmp_path / "copy") == 600
    assert fsck(tmp_path / "copy").ok, "a backup is a log folder"
    copied = [stage for stage in stages if stage[0] == "copy"]
    assert copied[-1][1] == copied[-1][2] == report.copied > 600 * 100
    for name in ("entries.dat", "level-0.dat", "level-1.dat", "commits.dat", "entries.idx"):
        data = (tmp_path / "copy" / name).read_bytes()
        assert (log.path / name).read_bytes().startswith(data), name


def test_a_second_run_copies_what_is_new(log: DepartmentLog, tmp_path: Path) -> None:
    grow(log, 0, 1000)
    log.publish()
    first = back_up(log.path, tmp_path / "copy")
    grow(log, 1000, 10, b"b" * 16)
    log.publish()
    second = back_up(log.path, tmp_path / "copy")
    third = back_up(log.path, tmp_path / "copy")
    assert second.copied < first.copied / 20
    assert third.copied == 0
    assert verify(tmp_path / "copy").head.size == 1010
    assert sorted(file.name for file in (tmp_path / "copy").glob("batches*")) == ["batches-1010.dat"]


def test_a_run_that_was_cut_short_leaves_the_one_before(log: DepartmentLog, tmp_path: Path) -> None:
    grow(log, 0, 300)
    log.publish()
    back_up(log.path, tmp_path / "copy")
    grow(log, 300, 300)
    log.publish()

    def cut(stage: str, done: int, total: int) -> None:
        if stage == "rehash":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        back_up(log.path, tmp_path / "copy", cut)
    assert restore(tmp_path / "copy", tmp_path / "back", origin=ORIGIN).head.size == 300
    assert back_up(log.path, tmp_path / "copy").manifest.head.size == 600
    assert verify(tmp_path / "copy").head.size == 600


def test_a_first_run_that_was_cut_short_is_taken_up_again(log: DepartmentLog, tmp_path: Path) -> None:
    grow(log, 0, 300)
    log.publish()

    def cut(stage: str, done: int, total: int) -> None:
        if stage == "verify":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        back_up(log.path, tmp_path / "copy", cut)
    with pytest.raises(NotFoundError):
        verify(tmp_path / "copy")
    assert back_up(log.path, tmp_path / "copy").manifest.head.size == 300
    assert verify(tmp_path / "copy").head.size == 300
    assert not (tmp_path / "copy" / "unfinished").exists()


def test_backups_beside_a_busy_writer_are_whole(log: DepartmentLog, tmp_path: Path) -> None:
    stop = threading.Event()

    def write(lane: int) -> None:
        number = 0
        while not stop.is_set():
            grow(log, 10_000 * lane + number, 1 + number % 7)
            number += 7

    def publish() -> None:
        while not stop.is_set():
            log.publish()

    grow(log, 0, 1)
    log.publish()
    threads = [threading.Thread(target=write, args=(lane,)) for lane in (1, 2, 3)]
    threads.append(threading.Thread(target=publish))
    for thread in threads:
        thread.start()
    try:
        sizes = [back_up(log.path, tmp_path / "copy").manifest.head.size for _ in range(6)]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert sizes == sorted(sizes)
    assert sizes[-1] > 1
    manifest = verify(tmp_path / "copy")
    assert (manifest.head.size, manifest.head.root) == (sizes[-1], log.root(sizes[-1]))


@pytest.mark.parametrize("name", ["entries.dat", "level-0.dat", "commits.dat", "entries.idx"])
def test_a_flipped_bit_is_found(log: DepartmentLog, tmp_path: Path, name: str) -> None:
    grow(log, 0, 300)
    log.publish()
    back_up(log.path, tmp_path / "copy")
    flip(tmp_path / "copy" / name, 7)
    for act in (
        lambda: verify(tmp_path / "copy"),
        lambda: restore(tmp_path / "copy", tmp_path / "back", origin=ORIGIN),
        lambda: back_up(log.path, tmp_path / "copy"),
    ):
        with pytest.raises(UntrustedError) as caught:
            act()
        assert caught.value.code == "backup.damaged"
        assert name in caught.value.message
    assert not (tmp_path / "back").exists()


def flip(file: Path, at: int) -> None:
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    file.write_bytes(data)


def test_what_is_no_backup_of_this_log_is_refused(log: DepartmentLog, open_log: Open, tmp_path: Path) -> None:
    with pytest.raises(ConflictError) as caught:
        back_up(log.path, tmp_path / "copy")
    assert caught.value.code == "log.unpublished"
    grow(log, 0, 20)
    log.publish()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter").write_text("keep me")
    with pytest.raises(ConflictError) as caught:
        back_up(log.path, tmp_path / "full")
    assert caught.value.code == "backup.not-empty"
    for target in (log.path, log.path / ".." / "log"):
        with pytest.raises(ConflictError) as caught:
            back_up(log.path, target)
        assert caught.value.code == "backup.not-empty", "a log is never copied onto itself"
    assert log.read(0, 20) == [record(number) for number in range(20)]
    for origin, entries, code in (
        ("310000.other.civicledger/log", [record(1)], "backup.other-log"),
        (ORIGIN, [record(number) for number in range(30)], "backup.ahead"),
        (ORIGIN, [record(99)], "backup.forked"),
    ):
        target = tmp_path / code
        with DepartmentLog.open(
            tmp_path / f"{code}-log", origin=origin, signer=Ed25519Signer(KeyRole.LOG, b"\7" * 32), clock=lambda: NOW
        ) as other:
            other.guard(())
            other.append(entries)
            other.publish()
            back_up(other.path, target)
        with pytest.raises(ConflictError) as caught:
            back_up(log.path, target)
        assert caught.value.code == code
    with pytest.raises(ConflictError) as caught:
        restore(tmp_path / "backup.other-log", tmp_path / "back", origin=ORIGIN)
    assert caught.value.code == "backup.other-log"


def test_a_manifest_is_read_strictly(log: DepartmentLog, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError) as missing:
        read_manifest(tmp_path / "nothing")
    assert missing.value.code == "backup.missing"
    grow(log, 0, 3)
    log.publish()
    manifest = back_up(log.path, tmp_path / "copy").manifest.to_dict()
    path = tmp_path / "copy" / "manifest.json"
    files = manifest["files"]
    for change in (
        {"size": 4},
        {"format": "civicledger/log-backup/v2"},
        {"root": "0" * 64},
        {"files": [*files, {"bytes": 0, "name": "../../escape", "sha256": "0" * 64}]},
        {"files": [*files, files[0]]},
        {"files": "all"},
        {"more": 1},
    ):
        path.write_text(json.dumps({**manifest, **change}, sort_keys=True, separators=(",", ":"), ensure_ascii=False))
        with pytest.raises(InvalidInputError) as caught:
            read_manifest(tmp_path / "copy")
        assert caught.value.code == "backup.manifest", change


def test_what_is_put_back_continues_and_knows_its_batches(log: DepartmentLog, open_log: Open, tmp_path: Path) -> None:
    grow(log, 0, 400)
    grow(log, 400, 10, b"b" * 16)
    log.publish()
    back_up(log.path, tmp_path / "copy")
    log.close()
    shutil.rmtree(tmp_path / "log")
    report = restore(tmp_path / "copy", tmp_path / "log", origin=ORIGIN)
    assert (report.head.size, report.kept, report.signed) == (410, None, report.head)
    again = open_log()
    again.guard(())
    assert again.append([record(number) for number in range(400, 410)], b"b" * 16) == (400, 10), "the first answer"
    with pytest.raises(ConflictError) as caught:
        again.append([record(1)], b"b" * 16)
    assert caught.value.code == "log.batch-conflict"
    grow(again, 410, 5)
    assert parse_checkpoint(parse_note(again.publish()).text).size == 415
    again.close()
    assert fsck(tmp_path / "log").ok


@pytest.mark.parametrize("left", ["both", "aside"])
def test_a_restore_that_was_cut_short_forgets_no_signature(
    log: DepartmentLog, open_log: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    grow(log, 0, 10)
    log.publish()
    back_up(log.path, tmp_path / "copy")
    grow(log, 10, 10)
    head = parse_checkpoint(parse_note(log.publish()).text)
    log.close()
    rename, fresh = os.rename, tmp_path / "log.restoring"

    def cut(source: Path, target: Path) -> None:
        if source == fresh:
            raise InterruptedError("the power went")
        rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", cut)
        with pytest.raises(LedgerError, match="the power went"):
            restore(tmp_path / "copy", log.path, origin=ORIGIN, replace=True)
    assert not log.path.exists()
    with pytest.raises(ConflictError) as caught:
        open_log()
    assert (caught.value.code, log.path.exists()) == ("log.half-restored", False)
    if left == "aside":
        shutil.rmtree(fresh)
    assert restore(tmp_path / "copy", log.path, origin=ORIGIN).signed == head
    back = open_log()
    with pytest.raises(ConflictError, match=r"log\.behind"):
        back.guard(())


def test_what_a_cut_restore_left_beside_a_whole_log_is_cleared(
    log: DepartmentLog, open_log: Open, tmp_path: Path
) -> None:
    grow(log, 0, 10)
    log.publish()
    back_up(log.path, tmp_path / "copy")
    log.close()
    (tmp_path / "log.restoring").mkdir()
    with pytest.raises(ConflictError, match=r"log\.half-restored"):
        open_log()
    with pytest.raises(ConflictError, match=r"restore\.not-older"):
        restore(tmp_path / "copy", log.path, origin=ORIGIN)
    open_log().guard(())


def test_a_shorter_log_put_back_signs_nothing(log: DepartmentLog, open_log: Open, tmp_path: Path) -> None:
    grow(log, 0, 10)
    log.publish()
    back_up(log.path, tmp_path / "copy")
    grow(log, 10, 10)
    head = parse_checkpoint(parse_note(log.publish()).text)
    with pytest.raises(ConflictError) as locked:
        restore(tmp_path / "copy", log.path, origin=ORIGIN, replace=True)
    assert locked.value.code == "log.locked"
    log.close()
    with pytest.raises(ConflictError) as caught:
        restore(tmp_path / "copy", log.path, origin=ORIGIN)
    assert caught.value.code == "restore.not-older"
    assert "nothing to do" in caught.value.hint
    flip(log.path / "entries.dat", 9)
    report = restore(tmp_path / "copy", log.path, origin=ORIGIN, replace=True)
    assert (report.head.size, report.signed) == (10, head)
    assert report.kept == tmp_path / "log.before-restore-1"
    assert not fsck(report.kept).ok, "the damaged folder is kept as it was"
    back = open_log()
    for attempt in (lambda: back.guard(()), back.publish, lambda: back.append([record(50)])):
        with pytest.raises(LedgerError) as closed:
            attempt()
        assert closed.value.code in ("log.behind", "log.unguarded")
    assert (closed.value.code, closed.value.expected, closed.value.actual) == ("log.behind", 20, 10)
    assert back.read(0, 10) == [record(number) for number in range(10)], "reading goes on"
