"""The department log: acknowledged is durable, a head is on disk before it leaves, no size is signed twice."""

import errno
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from ledger import codec
from ledger.errors import ConflictError, FatalError, InvalidInputError, UnavailableError
from ledger.evidence import merkle
from ledger.evidence.checkpoint import (
    ED25519_NOTE,
    Checkpoint,
    VKey,
    format_checkpoint,
    parse_checkpoint,
    parse_note,
    sign_note,
    verify_log_signature,
)
from ledger.keys import Ed25519Signer
from ledger.log import DepartmentLog, fsck
from ledger.model import Record
from tests.ledger.log.conftest import NOW, ORIGIN, Open, record


def head_of(note: bytes) -> Checkpoint:
    return parse_checkpoint(parse_note(note).text)


def mine_of(log: DepartmentLog) -> Checkpoint:
    """What the log holds, as a head."""
    return Checkpoint(origin=ORIGIN, size=log.size, root=log.root())


def test_records_come_back_after_opening_again(log: DepartmentLog, open_log: Open) -> None:
    assert log.append([record(n) for n in range(5)]) == (0, 5)
    index = log.append_record(
        Record(type="system.started", member="91110000600037341L", time_ms=NOW, body={"version": "0.1.5"})
    )
    assert index == 5
    log.close()
    again = open_log()
    assert again.read(0, 6) == [record(n) for n in range(6)]


def test_a_published_head_verifies_and_covers_everything(log: DepartmentLog, signer: Ed25519Signer) -> None:
    log.append([record(n) for n in range(300)])
    note = log.publish()
    verify_log_signature(parse_note(note), VKey(name=ORIGIN, type=ED25519_NOTE, public=signer.public))
    head = head_of(note)
    assert head == Checkpoint(
        origin=ORIGIN, size=300, root=merkle.root([merkle.leaf_hash(record(n)) for n in range(300)])
    )
    proof = log.prove_inclusion(77)
    merkle.verify_inclusion(merkle.leaf_hash(record(77)), 77, 300, head.root, proof)
    merkle.verify_consistency(100, 300, log.root(100), head.root, log.prove_consistency(100, 300))
    assert (log.path / "checkpoint").read_bytes() == note == log.published
    assert (log.path / "signed").read_bytes() == note


def test_an_empty_log_publishes_the_empty_tree(log: DepartmentLog) -> None:
    assert head_of(log.publish()) == Checkpoint(origin=ORIGIN, size=0, root=merkle.EMPTY_ROOT)


def test_nothing_new_gives_the_same_note(log: DepartmentLog, open_log: Open) -> None:
    log.append([record(1)])
    note = log.publish()
    assert log.publish() == note
    log.close()
    again = open_log()
    again.guard(())
    assert again.published == note
    assert again.publish() == note


def test_a_batch_id_repeats_the_first_answer(log: DepartmentLog) -> None:
    batch = b"b" * 16
    assert log.append([record(1), record(2)], batch) == (0, 2)
    assert log.append([record(1), record(2)], batch) == (0, 2)
    assert log.size == 2
    with pytest.raises(ConflictError) as caught:
        log.append([record(3), record(2)], batch)
    assert caught.value.code == "log.batch-conflict"


@pytest.mark.parametrize("entry", [b"", b"{}", b"not json", record(1) + b" ", record(1).replace(b'"v":1', b'"v":2')])
def test_what_is_no_record_is_refused_with_nothing_appended(log: DepartmentLog, entry: bytes) -> None:
    with pytest.raises(InvalidInputError):
        log.append([record(0), entry])
    assert log.size == 0


def test_a_record_outside_the_catalogue_is_refused(log: DepartmentLog) -> None:
    with pytest.raises(InvalidInputError):
        log.append_record(Record(type="person.seen", member="91110000600037341L", time_ms=NOW, body={}))
    assert log.size == 0


# --- who may write ---------------------------------------------------------------------------------------------------


def test_a_second_process_is_refused(log: DepartmentLog) -> None:
    code = """
import sys
from ledger.keys import Ed25519Signer
from ledger.log import DepartmentLog
from ledger.model import KeyRole
DepartmentLog.open(sys.argv[1], origin=sys.argv[2], signer=Ed25519Signer(KeyRole.LOG, bytes(32)), clock=lambda: 0)
"""
    run = subprocess.run(
        [sys.executable, "-c", code, str(log.path), ORIGIN], capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 1
    assert "log.locked" in run.stderr


def test_the_same_process_is_refused_too(log: DepartmentLog, open_log: Open) -> None:
    with pytest.raises(ConflictError) as caught:
        open_log()
    assert caught.value.code == "log.locked"


def test_another_log_in_the_folder_is_refused_and_the_folder_freed(
    log: DepartmentLog, open_log: Open, signer: Ed25519Signer
) -> None:
    log.append([record(1)])
    log.publish()
    log.close()
    with pytest.raises(ConflictError) as caught:
        DepartmentLog.open(log.path, origin=ORIGIN + "/2", signer=signer, clock=lambda: NOW)
    assert caught.value.code == "log.other-origin"
    assert open_log().size == 1


# --- guard ------------------------------------------------------------------------------------------------------------


def test_nothing_is_written_or_signed_before_the_guard(open_log: Open) -> None:
    log = open_log()
    for act in (lambda: log.append([record(1)]), log.publish):
        with pytest.raises(UnavailableError) as caught:
            act()
        assert caught.value.code == "log.unguarded"
    log.guard(())
    log.append([record(1)])
    log.publish()


def test_a_log_restored_from_an_older_copy_refuses_to_write_and_to_sign(
    log: DepartmentLog, open_log: Open, tmp_path: Path
) -> None:
    log.append([record(1)])
    log.publish()
    log.close()
    shutil.copytree(log.path, tmp_path / "backup")
    log = open_log()
    log.guard(())
    log.append([record(2)])
    seen = head_of(log.publish())
    log.close()
    shutil.rmtree(log.path)
    shutil.move(tmp_path / "backup", log.path)
    restored = open_log()
    with pytest.raises(ConflictError) as caught:
        restored.guard([seen])
    assert caught.value.code == "log.behind"
    assert (caught.value.expected, caught.value.actual) == (2, 1)
    assert restored.why_closed is caught.value
    for act in (lambda: restored.append([record(9)]), restored.publish):
        with pytest.raises(ConflictError) as again:
            act()
        assert again.value.code == "log.behind"
    # Reading and proving stay possible: that is how the missing records are refetched.
    assert restored.read(0, 1) == [record(1)]


def test_another_history_of_the_same_size_is_refused(log: DepartmentLog) -> None:
    log.append([record(1)])
    with pytest.raises(ConflictError) as caught:
        log.guard([Checkpoint(origin=ORIGIN, size=1, root=b"x" * 32)])
    assert caught.value.code == "log.forked"
    with pytest.raises(ConflictError):
        log.publish()


def test_a_log_that_lags_opens_when_it_holds_what_was_seen(log: DepartmentLog) -> None:
    log.append([record(1)])
    root = merkle.root([merkle.leaf_hash(record(number)) for number in (1, 2)])
    mine = mine_of(log)
    with pytest.raises(ConflictError):
        log.guard([Checkpoint(origin=ORIGIN, size=2, root=root)])
    # Who knew it is silent now; what the others saw holds and is not enough.
    for heads in ([mine], []):
        with pytest.raises(ConflictError) as caught:
            log.guard(heads)
        assert (caught.value.code, caught.value.expected) == ("log.behind", 2)
        assert log.why_closed is caught.value
    log.refill([record(2)])
    log.guard([mine])
    assert log.why_closed is None
    log.append([record(3)])


def test_a_log_that_forked_stays_closed(log: DepartmentLog) -> None:
    log.append([record(1)])
    for heads in ([Checkpoint(origin=ORIGIN, size=1, root=b"x" * 32)], [], [mine_of(log)]):
        with pytest.raises(ConflictError, match=r"log\.forked"):
            log.guard(heads)
    with pytest.raises(ConflictError, match=r"log\.forked"):
        # A caller's mistake does not hide why it is closed.
        log.guard([Checkpoint(origin="other", size=0, root=bytes(32))])
    with pytest.raises(ConflictError, match=r"log\.forked"):
        log.publish()


def test_a_signed_head_beyond_the_log_is_known_after_a_restart(
    log: DepartmentLog, open_log: Open, signer: Ed25519Signer
) -> None:
    for number in range(5):
        log.append([record(number)])
    served = log.publish()
    root = merkle.root([merkle.leaf_hash(record(number)) for number in range(8)])
    note = sign_note(format_checkpoint(Checkpoint(origin=ORIGIN, size=8, root=root)), ORIGIN, signer)
    with pytest.raises(ConflictError, match=r"log\.behind"):
        log.guard((), [note])
    assert log.published == served, "what can be proved is served"
    log.close()
    again = open_log()
    assert (again.published, again.signed) == (served, head_of(note))
    assert len(again.prove_inclusion(0)) == 3
    with pytest.raises(ConflictError, match=r"log\.behind"):
        again.guard([head_of(served)])
    # A mirror holds a part, then all of it.
    again.refill([record(5)])
    again.adopt_signed(sign_note(format_checkpoint(mine_of(again)), ORIGIN, signer))
    with pytest.raises(ConflictError, match=r"log\.behind"):
        again.guard(())
    again.refill([record(6), record(7)])
    again.adopt_signed(note)
    again.guard(())
    assert again.publish() == note
    again.close()
    assert fsck(again.path).ok


def test_a_head_of_another_log_is_a_mistake_of_the_caller(log: DepartmentLog) -> None:
    with pytest.raises(InvalidInputError) as caught:
        log.guard([Checkpoint(origin="other", size=0, root=b"x" * 32)])
    assert caught.value.code == "log.other-origin"


def test_a_signed_head_beyond_the_log_closes_it_without_anybody_elses_word(log: DepartmentLog, open_log: Open) -> None:
    log.append([record(1)])
    log.publish()
    log.append([record(2)])
    note = log.publish()
    log.close()
    shutil.rmtree(log.path)
    log.path.mkdir()
    (log.path / "signed").write_bytes(note)
    emptied = open_log()
    with pytest.raises(ConflictError) as caught:
        emptied.guard(())
    assert caught.value.code == "log.behind"


# --- the two files ----------------------------------------------------------------------------------------------------


def test_a_crash_between_the_two_files_is_repaired_from_the_signed_head(log: DepartmentLog, open_log: Open) -> None:
    log.append([record(1)])
    old = log.publish()
    log.append([record(2)])
    new = log.publish()
    log.close()
    (log.path / "checkpoint").write_bytes(old)
    again = open_log()
    again.guard(())
    assert again.publish() == new
    assert (log.path / "checkpoint").read_bytes() == new


def test_a_lost_signed_file_is_replaced_by_the_served_one(log: DepartmentLog, open_log: Open) -> None:
    log.append([record(1)])
    note = log.publish()
    log.close()
    (log.path / "signed").unlink()
    again = open_log()
    again.guard(())
    assert again.publish() == note


@pytest.mark.parametrize("name", ["signed", "checkpoint"])
@pytest.mark.parametrize("content", [b"", b"garbage", b"x" * 100_000, b"origin\n1\nAAAA\n\n"])
def test_a_damaged_note_file_stops_the_log(log: DepartmentLog, open_log: Open, name: str, content: bytes) -> None:
    log.append([record(1)])
    log.publish()
    log.close()
    (log.path / name).write_bytes(content)
    with pytest.raises(FatalError) as caught:
        open_log()
    assert caught.value.code == "log.damaged-note"
    assert any(problem.file == name for problem in fsck(log.path).problems)


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize(("number", "code"), [(errno.ENOSPC, "disk.full"), (errno.EIO, "log.failed")])
def test_a_head_that_cannot_be_kept_is_not_signed(
    log: DepartmentLog, open_log: Open, monkeypatch: pytest.MonkeyPatch, step: str, number: int, code: str
) -> None:
    log.append([record(1)])
    before = log.publish()
    log.append([record(2)])

    real, thread = getattr(os, step), threading.get_ident()

    def fail(*args: Any, **named: Any) -> Any:
        # The logs of other tests' cities go on.
        if threading.get_ident() != thread:
            return real(*args, **named)
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail)
        with pytest.raises((UnavailableError, FatalError)) as caught:
            log.publish()
    assert caught.value.code == code
    assert log.published == before
    assert (log.path / "signed").read_bytes() == before == (log.path / "checkpoint").read_bytes()
    assert {file.name for file in log.path.glob("*.new")} == set()
    if code == "log.failed":
        with pytest.raises(FatalError, match=r"log\.failed"):
            log.publish()
        log.close()
        log = open_log()
        log.guard([head_of(before)])
    assert head_of(log.publish()).size == 2


def test_cosignatures_are_kept_for_the_last_head_only(log: DepartmentLog, open_log: Open) -> None:
    log.append([record(1)])
    first = log.publish()
    cosigned = first + first.splitlines(keepends=True)[-1].replace(b"data", b"witn")
    log.keep_cosigned(cosigned)
    assert log.published == cosigned == (log.path / "checkpoint").read_bytes()
    assert (log.path / "signed").read_bytes() == first
    log.append([record(2)])
    log.publish()
    with pytest.raises(ConflictError) as caught:
        log.keep_cosigned(cosigned)
    assert caught.value.code == "log.other-note"


# --- fsck -------------------------------------------------------------------------------------------------------------


def test_fsck_of_a_healthy_log(log: DepartmentLog) -> None:
    log.append([record(n) for n in range(600)])
    head = head_of(log.publish())
    report = fsck(log.path, seen=[head])
    assert report.ok, report
    assert (report.size, report.root) == (600, head.root)
    assert codec.decode(codec.encode(report.to_dict()))["ok"] is True


def test_fsck_names_a_rewritten_entry(log: DepartmentLog) -> None:
    log.append([record(n) for n in range(600)])
    log.publish()
    log.close()
    entries = log.path / "entries.dat"
    data = bytearray(entries.read_bytes())
    place = data.index(record(321)) + record(321).index(b"0.1.321") + 6
    assert data[place : place + 1] == b"1"
    data[place : place + 1] = b"2"
    entries.write_bytes(data)
    report = fsck(log.path)
    assert not report.ok
    assert any(problem.index == 321 for problem in report.problems), report


def test_fsck_names_a_head_that_others_saw_differently(log: DepartmentLog) -> None:
    log.append([record(1)])
    log.publish()
    log.close()
    for seen in (Checkpoint(origin=ORIGIN, size=1, root=b"x" * 32), Checkpoint(origin=ORIGIN, size=2, root=b"x" * 32)):
        report = fsck(log.path, seen=[seen])
        assert [problem.file for problem in report.problems] == ["seen by others"]
