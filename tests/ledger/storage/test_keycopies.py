"""The backup of a key store: whole at every moment, restored with every row, and rid of what was destroyed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.errors import ConflictError, LedgerError, NotFoundError, UnavailableError, UntrustedError
from ledger.storage.keycopies import KeyCopies
from ledger.storage.keyfolder import KeyFolder
from ledger.storage.store import Store
from tests.ledger.storage.vault_town import OWNER, PASSPHRASE, Disk, Hospital, Killed

ANNA, BODO = b"anna", b"bodo"


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[Hospital]:
    made = Hospital(tmp_path / "medical")
    vault = made.open()
    vault.put(vault.subject_of(ANNA), b"a", b"of anna")
    vault.put(vault.subject_of(BODO), b"b", b"of bodo")
    yield made
    made.close()


def refused(kind: type[LedgerError], code: str) -> pytest.RaisesExc[LedgerError]:
    return pytest.raises(kind, check=lambda error: error.code == code)


def restored(copies: KeyCopies, data_of: Hospital, name: str) -> Hospital:
    """A machine with the data of a payload backup and the keys of a key backup."""
    data_of.close()
    town = data_of.copied(name)
    for path in sorted((town.folder / "keys").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    with Store.open(town.folder / "keys" / "rows") as store:
        copies.restore(store, KeyFolder(town.folder / "keys", PASSPHRASE))
    return town


def test_a_lost_key_store_comes_back(hospital: Hospital) -> None:
    copies = hospital.copies()
    first = copies.make(hospital.vault.book)
    assert (first.epoch, first.rows) == (1, 4)
    assert copies.make(hospital.vault.book) == first
    town = restored(copies, hospital, "new")
    vault = town.open()
    assert vault.get(b"a") == b"of anna"
    assert vault.find(BODO) is not None
    town.close()
    with Store.open(town.folder / "keys" / "rows") as store, refused(ConflictError, "vault.not-empty"):
        copies.restore(store, KeyFolder(town.folder / "keys", PASSPHRASE))


def test_what_was_erased_is_in_no_backup_made_after_it(hospital: Hospital) -> None:
    copies, vault = hospital.copies(), hospital.vault
    vault.book.folder.make("pseudonym-2025", b"k" * 32)
    copies.make(vault.book)
    assert not copies.is_behind(vault.book)
    vault.erase([vault.subject_of(ANNA)])
    vault.book.folder.destroy("pseudonym-2025")
    assert copies.is_behind(vault.book)
    assert copies.make(vault.book).rows == 2
    assert sorted(path.name for path in copies.path.iterdir()) == ["epoch-2.key", "key-store", "rows-2"]
    vault = restored(copies, hospital, "new").open()
    assert vault.find(ANNA) is None
    assert vault.get(b"b") == b"of bodo"


def test_folders_of_others_are_left_alone(hospital: Hospital, tmp_path: Path) -> None:
    book = hospital.vault.book
    hospital.copies().make(book)
    with refused(ConflictError, "backup.other-store"):
        KeyCopies(hospital.copies().path, "somebody else").make(book)
    with refused(UnavailableError, "vault.copies-away"):
        KeyCopies(tmp_path / "nowhere", OWNER).make(book)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with refused(ConflictError, "backup.not-empty"):
        KeyCopies(tmp_path / "full", OWNER).make(book)
    (tmp_path / "empty").mkdir()
    with (
        Store.open(tmp_path / "rows") as store,
        refused(NotFoundError, "backup.missing"),
    ):
        KeyCopies(tmp_path / "empty", OWNER).restore(store, KeyFolder(tmp_path / "keys", PASSPHRASE))


def test_a_damaged_backup_is_refused(hospital: Hospital, tmp_path: Path) -> None:
    copies = hospital.copies()
    copies.make(hospital.vault.book)
    rows = copies.path / "rows-1"
    data = bytearray(rows.read_bytes())
    data[50] ^= 1
    rows.write_bytes(data)
    with Store.open(tmp_path / "rows") as store, refused(UntrustedError, "backup.damaged"):
        copies.restore(store, KeyFolder(tmp_path / "keys", PASSPHRASE))


def test_killed_at_every_write_a_whole_backup_is_there(
    hospital: Hospital, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an erasure: of the old epoch or of the new one, until the run that destroys the old."""
    copies, vault = hospital.copies(), hospital.vault
    copies.make(vault.book)
    before = {path.name: path.read_bytes() for path in copies.path.iterdir()}
    vault.erase([vault.subject_of(ANNA)])
    disk = Disk(monkeypatch)
    done = False
    for at in range(200):
        folder = tmp_path / f"copy-{at}"
        folder.mkdir()
        for name, data in before.items():
            (folder / name).write_bytes(data)
            (folder / name).chmod(0o600)
        disk.arm(at)
        try:
            KeyCopies(folder, OWNER).make(vault.book)
            done = True
        except Killed:
            done = False
        disk.arm(-1)
        with Store.open(tmp_path / f"rows-{at}") as store:
            back = KeyCopies(folder, OWNER).restore(store, KeyFolder(tmp_path / f"keys-{at}", PASSPHRASE))
        assert (back.epoch, back.rows) in ((1, 4), (2, 2))
        KeyCopies(folder, OWNER).make(vault.book)
        assert sorted(path.name for path in folder.iterdir()) == ["epoch-2.key", "key-store", "rows-2"]
        if done:
            break
    assert done
