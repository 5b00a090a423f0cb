"""The vault: what is kept comes back, what is erased is nowhere, and a crash at any write leaves one or the other."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.errors import ConflictError, FatalError, InvalidInputError, LedgerError, NotFoundError
from ledger.storage.keyfolder import KeyFolder
from tests.ledger.storage.vault_town import PASSPHRASE, Disk, Hospital, Killed, bytes_under, rows_under

ANNA, BODO = b"patient-000017", b"patient-000018"
VALUE = b"haemoglobin 131.50 g/L of a real patient " * 20


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[Hospital]:
    made = Hospital(tmp_path / "medical")
    made.open()
    yield made
    made.close()


def refused(kind: type[LedgerError], code: str) -> pytest.RaisesExc[LedgerError]:
    return pytest.raises(kind, check=lambda error: error.code == code)


def test_what_is_put_comes_out_of_a_new_process(hospital: Hospital) -> None:
    vault = hospital.vault
    anna = vault.subject_of(ANNA)
    assert vault.subject_of(ANNA) == anna != vault.subject_of(BODO)
    vault.put(anna, b"report/1", VALUE, b"\x01" * 32)
    vault.put_all(anna, {b"report/2": b"", b"salt/2": b"s" * 32}, {b"report/2": b"\x02" * 32})
    again = hospital.reopen()
    assert again.find(ANNA) == anna
    assert again.get(b"report/1") == VALUE
    assert again.get(b"report/2") == b""
    assert again.names(anna) == (b"report/1", b"report/2", b"salt/2")
    assert again.commitments(anna) == (b"\x01" * 32, b"\x02" * 32)
    assert set(again.subjects()) == {anna, again.find(BODO)}


def test_no_folder_shows_a_patient_or_a_value(hospital: Hospital) -> None:
    vault = hospital.vault
    anna = vault.subject_of(ANNA)
    vault.put(anna, b"report/1", VALUE)
    vault.link(b"pseudonym", b"P" * 32, anna, 2026)
    hospital.close()
    on_disk = bytes_under(hospital.folder)
    for secret in (ANNA, VALUE[:40], b"P" * 32):
        assert secret not in on_disk
    # The data alone, as a payload backup has them, do not hold the keys either.
    assert not list((hospital.folder / "vault").rglob("*.key"))


def test_links_lead_to_subjects_and_can_be_turned_and_taken_away(hospital: Hospital) -> None:
    vault = hospital.vault
    anna, bodo = vault.subject_of(ANNA), vault.subject_of(BODO)
    vault.link_all([(b"pseudonym", b"p%d" % year, anna, year) for year in (2025, 2026)])
    assert {link.mark for link in vault.links(b"pseudonym")} == {2025, 2026}
    vault.link(b"pseudonym", b"p2026", bodo, 2026)
    found = vault.linked(b"pseudonym", b"p2026")
    assert found is not None
    assert found.subject == bodo
    vault.unlink(b"pseudonym", [b"p2025"])
    assert vault.linked(b"pseudonym", b"p2025") is None
    assert vault.linked(b"identity", b"p2026") is None


def test_the_dead_take_no_data_and_names_belong_to_one_subject(hospital: Hospital) -> None:
    vault = hospital.vault
    anna, bodo = vault.subject_of(ANNA), vault.subject_of(BODO)
    vault.put(anna, b"report/1", VALUE)
    with refused(ConflictError, "vault.other-subject"):
        vault.put(bodo, b"report/1", b"mine now")
    with refused(InvalidInputError, "vault.name"):
        vault.put(bodo, b"", b"x")
    vault.erase([anna])
    for attempt in (lambda: vault.put(anna, b"report/2", b"x"), lambda: vault.link(b"identity", b"i", anna)):
        with refused(NotFoundError, "vault.no-subject"):
            attempt()
    assert vault.subject_of(ANNA) != anna
    with refused(NotFoundError, "vault.missing"):
        vault.get(b"report/1")


def test_single_data_leave_the_disk(hospital: Hospital) -> None:
    vault = hospital.vault
    anna = vault.subject_of(ANNA)
    vault.put_all(anna, {b"consent/1": VALUE, b"report/1": VALUE})
    sealed = vault._store.get(b"d" + b"consent/1")
    assert sealed is not None
    vault.remove([b"consent/1", b"unknown"])
    hospital.close()
    assert sealed not in bytes_under(hospital.folder)
    assert hospital.open().names(anna) == (b"report/1",)


def test_erasing_leaves_others_readable_and_nothing_of_the_erased(hospital: Hospital) -> None:
    vault = hospital.vault
    anna, bodo = vault.subject_of(ANNA), vault.subject_of(BODO)
    for subject, name in ((anna, b"a"), (bodo, b"b")):
        vault.put(subject, name, VALUE)
        vault.link(b"pseudonym", name * 32, subject, 2026)
    sealed, key = vault._store.get(b"da"), vault.book.get(b"key", anna)
    assert sealed is not None
    assert key is not None
    erased = vault.erase([anna, anna, secrets.token_bytes(32)])
    assert erased.count == 1
    assert erased.turn is not None
    assert (erased.turn.ended, erased.turn.begun, erased.epoch) == (1, 2, 2)
    assert erased.turn.dropped == 3  # its key, the link of its patient and of its pseudonym
    assert vault.erase([anna]).turn is None
    for reopened in (False, True):
        fresh = hospital.reopen() if reopened else vault
        assert fresh.find(ANNA) is None
        assert fresh.names(anna) == ()
        assert fresh.linked(b"pseudonym", b"a" * 32) is None
        assert fresh.get(b"b") == VALUE
        assert fresh.find(BODO) == bodo
    hospital.close()
    on_disk = bytes_under(hospital.folder)
    assert sealed not in on_disk
    assert anna not in rows_under(hospital.folder)
    assert bodo in on_disk
    assert KeyFolder(hospital.folder / "keys", PASSPHRASE).names() == ("epoch-2",)


def test_an_old_copy_of_rows_does_not_open_with_what_is_left(hospital: Hospital) -> None:
    """Data and rows of before, put beside the keys of after: what an attacker with an old disk image has."""
    vault = hospital.vault
    vault.put(vault.subject_of(ANNA), b"a", VALUE)
    hospital.close()
    old = hospital.copied("old")
    vault = hospital.open()
    vault.erase([vault.subject_of(ANNA)])
    hospital.close()
    (old.folder / "keys" / "epoch-1.key").unlink()
    (old.folder / "keys" / "epoch-2.key").write_bytes((hospital.folder / "keys" / "epoch-2.key").read_bytes())
    (old.folder / "keys" / "epoch-2.key").chmod(0o600)
    with refused(FatalError, "vault.key-missing"):
        old.open()
    old.close()
    # Named as the key it is not, it opens no file, and so no row.
    (old.folder / "keys" / "epoch-2.key").rename(old.folder / "keys" / "epoch-1.key")
    with refused(InvalidInputError, "key.passphrase"):
        old.open()
    old.close()


def test_a_wrong_passphrase_and_lost_rows_are_named(hospital: Hospital) -> None:
    vault = hospital.vault
    vault.erase([vault.subject_of(ANNA)])
    hospital.close()
    with refused(InvalidInputError, "key.passphrase"):
        hospital.open(b"another passphrase")
    hospital.close()
    for path in (hospital.folder / "keys" / "rows").iterdir():
        path.unlink()
    with refused(FatalError, "vault.rows-missing"):
        hospital.open()
    assert KeyFolder(hospital.folder / "keys", PASSPHRASE).names() == ("epoch-2",)


def test_a_changed_row_is_found(hospital: Hospital) -> None:
    vault = hospital.vault
    anna = vault.subject_of(ANNA)
    vault.put(anna, b"a", VALUE)
    data = bytearray(vault._store.get(b"da") or b"")
    data[-1] ^= 1
    vault._store.put(b"da", bytes(data))
    with refused(FatalError, "vault.corrupt"):
        vault.get(b"a")


def test_killed_at_every_write_of_an_erasure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Either everything of the patient is still readable, or nothing is left; others never notice."""
    disk = Disk(monkeypatch)
    seed = Hospital(tmp_path / "seed")
    vault = seed.open()
    anna, bodo = vault.subject_of(ANNA), vault.subject_of(BODO)
    vault.put(anna, b"a1", VALUE, b"\x01" * 32)
    vault.link(b"pseudonym", b"P" * 32, anna, 2026)
    vault.put(bodo, b"b", VALUE)
    sealed = vault._store.get(b"da1")
    assert sealed is not None
    seed.close()
    outcomes = []
    for at in range(1_000):
        town = seed.copied(f"at-{at}")
        vault = town.open()
        disk.arm(at)
        try:
            vault.erase([anna])
            outcomes.append("done")
        except Killed:
            outcomes.append("killed")
        disk.arm(-1)
        finished = outcomes[-1] == "done"
        vault = town.reopen()
        assert vault.get(b"b") == VALUE
        assert vault.find(BODO) == bodo
        if vault.find(ANNA) is None:
            outcomes[-1] += ", erased"
            assert vault.names(anna) == ()
            assert vault.linked(b"pseudonym", b"P" * 32) is None
            assert not vault.knows(anna)
            town.close()
            assert sealed not in bytes_under(town.folder)
        else:
            outcomes[-1] += ", kept"
            assert vault.find(ANNA) == anna
            assert [vault.get(name) for name in vault.names(anna)] == [VALUE]
            link = vault.linked(b"pseudonym", b"P" * 32)
            assert link is not None
            assert link.subject == anna
            town.close()
        assert len(KeyFolder(town.folder / "keys", PASSPHRASE).names()) == 1
        if finished:
            break
    assert outcomes[-1] == "done, erased"
    assert {"killed, kept", "killed, erased"} <= set(outcomes)
    # Once erased, it stays so at every later point.
    assert sorted(outcomes, key=lambda word: word != "killed, kept") == outcomes


def test_killed_at_every_write_of_a_first_opening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch)
    killed = 0
    for at in range(100):
        town = Hospital(tmp_path / f"at-{at}")
        disk.arm(at)
        try:
            town.open()
        except Killed:
            killed += 1
            disk.arm(-1)
            town.reopen()
        disk.arm(-1)
        vault = town.vault
        vault.put(vault.subject_of(ANNA), b"a", VALUE)
        assert town.reopen().get(b"a") == VALUE
        town.close()
        if killed != at + 1:
            break
    assert killed > 5
