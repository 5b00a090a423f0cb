"""Alarms outlive the process, are raised once, and end only when the operator says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.errors import NotFoundError
from ledger.evidence import merkle
from ledger.evidence.checkpoint import ED25519_NOTE, Checkpoint, VKey, format_checkpoint, sign_note
from ledger.evidence.fork import ForkEvidence
from ledger.keys import Ed25519Signer
from ledger.model import KeyRole
from node.trail.alarms import MAX_PER_MEMBER, AlarmBook

ORIGIN = "310000.audit.civicledger/log"
LOG = Ed25519Signer(KeyRole.LOG, b"l" * 32)
KEY = VKey(name=ORIGIN, type=ED25519_NOTE, public=LOG.public)
MEMBER = "11310000MB00000018"


def fork(number: int = 0) -> ForkEvidence:
    notes = []
    for branch in (b"one", b"other"):
        head = Checkpoint(origin=ORIGIN, size=1, root=merkle.leaf_hash(branch + bytes([number])))
        notes.append(sign_note(format_checkpoint(head), ORIGIN, LOG))
    return ForkEvidence.make(*notes, keys=(KEY,))


class Clock:
    def __init__(self) -> None:
        self.now = 1_000

    def __call__(self) -> int:
        self.now += 1
        return self.now


def test_an_alarm_is_kept_and_raised_once(tmp_path: Path) -> None:
    raised: list[int] = []
    book = AlarmBook(tmp_path, clock=Clock())
    book.tell(lambda: raised.append(len(list(tmp_path.iterdir()))))
    first = book.raise_alarm("log.forked", MEMBER, "two roots of size 1", fork())
    again = book.raise_alarm("log.forked", MEMBER, "two roots of size 1", fork())
    assert (again.id, again.count, again.first_ms) == (first.id, 2, first.first_ms)
    assert again.last_ms > first.last_ms
    assert raised == [2], "told once, and after both files were there"
    (found,) = AlarmBook(tmp_path, clock=Clock()).alarms()
    assert (found.id, found.kind, found.member, found.first_ms) == (first.id, "log.forked", MEMBER, first.first_ms)
    assert found.evidence == fork()
    # The proof is a file of its own, as anybody can check it.
    assert ForkEvidence.decode((tmp_path / f"{first.id}.fork.json").read_bytes()).verify((KEY,)).first.size == 1


def test_kinds_and_members_are_kept_apart(tmp_path: Path) -> None:
    book = AlarmBook(tmp_path, clock=Clock())
    ids = {
        book.raise_alarm(*args).id
        for args in (
            ("log.forked", MEMBER, "x", fork()),
            ("log.forked", "other", "x", fork()),
            ("log.forked", MEMBER, "x"),
            ("log.shortened", MEMBER, "x"),
            ("log.shortened", "other", "x"),
        )
    }
    assert len(ids) == len(book.alarms()) == 5


def test_one_fork_is_one_alarm_however_it_grows(tmp_path: Path) -> None:
    book = AlarmBook(tmp_path, clock=Clock())
    first = book.raise_alarm("log.forked", MEMBER, "two roots of size 1", fork(0))
    again = book.raise_alarm("log.forked", MEMBER, "two other roots of size 1", fork(1))
    assert (again.id, again.count, again.evidence, again.detail) == (first.id, 2, fork(0), first.detail)
    book.settle(first.id)
    book.raise_alarm("log.forked", MEMBER, "two roots of size 1", fork(0))
    assert book.alarms() == (), "nothing new is said"
    assert book.raise_alarm("log.forked", MEMBER, "two other roots of size 1", fork(1)).id != first.id
    assert len(book.alarms()) == 1


def test_a_proof_that_comes_later_is_added_to_the_open_alarm(tmp_path: Path) -> None:
    told: list[int] = []
    book = AlarmBook(tmp_path, clock=Clock())
    book.tell(lambda: told.append(len(book.unrecorded())))
    first = book.raise_alarm("log.forked", MEMBER, "the head does not extend what was seen")
    proven = book.raise_alarm("log.forked", MEMBER, "two roots of size 1", fork())
    assert (proven.id, proven.first_ms, proven.count, proven.evidence) == (first.id, first.first_ms, 2, fork())
    assert told == [0, 1], "its record goes into the own log now"
    book = AlarmBook(tmp_path, clock=Clock())
    (found,) = book.alarms()
    assert (found.id, found.evidence) == (first.id, fork())
    assert ForkEvidence.decode((tmp_path / f"{first.id}.fork.json").read_bytes()) == fork()
    book.raise_alarm("log.forked", MEMBER, "two other roots of size 1", fork(1))
    assert len(book.alarms()) == 1
    book.settle(first.id)
    book.raise_alarm("log.forked", MEMBER, "two roots of size 1", fork())
    assert book.alarms() == (), "nothing new is said"
    assert book.raise_alarm("log.forked", MEMBER, "two other roots of size 1", fork(1)).id != first.id


def test_a_settled_alarm_stays_on_disk_and_opens_again_when_something_new_is_said(tmp_path: Path) -> None:
    book = AlarmBook(tmp_path, clock=Clock())
    alarm = book.raise_alarm("log.shortened", MEMBER, "from 9 to 5")
    book.raise_alarm("log.forked", MEMBER, "x", fork())
    assert book.settle(alarm.id[:6]).settled
    assert [one.kind for one in book.alarms()] == ["log.forked"]
    book.raise_alarm("log.shortened", MEMBER, "from 9 to 5")
    book = AlarmBook(tmp_path, clock=Clock())
    assert [one.kind for one in book.alarms()] == ["log.forked"]
    assert len(book.alarms(settled=True)) == 2
    book.raise_alarm("log.shortened", MEMBER, "from 9 to 4")
    assert {one.kind for one in AlarmBook(tmp_path, clock=Clock()).alarms()} == {"log.forked", "log.shortened"}


@pytest.mark.parametrize("prefix", ["", "zz"])
def test_only_one_named_alarm_is_settled(tmp_path: Path, prefix: str) -> None:
    book = AlarmBook(tmp_path, clock=Clock())
    book.raise_alarm("log.shortened", MEMBER, "x")
    with pytest.raises(NotFoundError) as caught:
        book.settle(prefix)
    assert caught.value.code == "alarm.unknown"


def test_what_the_log_tells_of_is_remembered(tmp_path: Path) -> None:
    book = AlarmBook(tmp_path, clock=Clock())
    alarm = book.raise_alarm("log.forked", MEMBER, "x", fork())
    book.raise_alarm("log.shortened", MEMBER, "no proof, so no record")
    assert [one.id for one in book.unrecorded()] == [alarm.id]
    book.recorded(alarm.id, 7)
    book = AlarmBook(tmp_path, clock=Clock())
    assert book.unrecorded() == ()
    assert [one.record for one in book.alarms() if one.id == alarm.id] == [7]


def test_a_member_that_forks_without_end_fills_no_disk(tmp_path: Path) -> None:
    book = AlarmBook(tmp_path, clock=Clock())
    for number in range(MAX_PER_MEMBER + 5):
        alarm = book.raise_alarm("log.forked", MEMBER, "x", fork(number))
        if number < MAX_PER_MEMBER:
            book.settle(alarm.id)
    book.raise_alarm("log.forked", "another member", "x")
    assert len(book.alarms(settled=True)) == MAX_PER_MEMBER + 1
    assert len(list(tmp_path.iterdir())) == 2 * MAX_PER_MEMBER + 1


@pytest.mark.parametrize("suffix", [".alarm.json", ".fork.json"])
@pytest.mark.parametrize("data", [None, b"", b"{", b'{"kind":1}', b"[" * 40_000])
def test_a_spoiled_file_is_an_alarm_and_no_obstacle(tmp_path: Path, suffix: str, data: bytes | None) -> None:
    book = AlarmBook(tmp_path, clock=Clock())
    alarm = book.raise_alarm("log.forked", MEMBER, "x", fork())
    file = tmp_path / (alarm.id + suffix)
    if data is None:
        file.unlink()
    else:
        file.write_bytes(data)
    found = AlarmBook(tmp_path, clock=Clock()).alarms()
    if suffix == ".alarm.json" and data is None:
        assert found == ()
    else:
        assert [one.kind for one in found] == ["alarm.unreadable"]
