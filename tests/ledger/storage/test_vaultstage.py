"""What is staged is seen through its stage, stands in no vault before it is written, and is written whole or not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.errors import ConflictError, InvalidInputError, LedgerError, NotFoundError
from tests.ledger.storage.vault_town import Disk, Hospital, Killed

ANNA, BODO = b"patient-000017", b"patient-000018"


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[Hospital]:
    made = Hospital(tmp_path / "medical")
    made.open()
    yield made
    made.close()


def refused(kind: type[LedgerError], code: str) -> pytest.RaisesExc[LedgerError]:
    return pytest.raises(kind, check=lambda error: error.code == code)


def test_what_is_staged_is_seen_above_it_and_nowhere_else(hospital: Hospital) -> None:
    vault = hospital.vault
    bodo = vault.subject_of(BODO)
    below = vault.stage()
    anna = below.subject_of(ANNA)
    below.put(anna, b"report/1", b"value", b"\x01" * 32)
    above = below.above()
    assert (above.subject_of(ANNA), above.find(BODO), above.has(b"report/1")) == (anna, bodo, True)
    above.link(b"report", b"R-1", anna, 7)
    assert (below.linked(b"report", b"R-1"), vault.find(ANNA), vault.has(b"report/1")) == (None, None, False)
    below.merge(above)
    vault.write(below)
    again = hospital.reopen()
    link = again.linked(b"report", b"R-1")
    assert (again.find(ANNA), again.get(b"report/1"), again.commitments(anna)) == (anna, b"value", (b"\x01" * 32,))
    assert link is not None
    assert (link.subject, link.mark) == (anna, 7)


def test_what_was_dropped_is_not_written(hospital: Hospital) -> None:
    vault = hospital.vault
    stage = vault.stage()
    stage.above().subject_of(ANNA)
    vault.write(stage)
    assert vault.find(ANNA) is None


def test_nothing_is_written_of_who_was_erased_or_under_another_ones_name(hospital: Hospital) -> None:
    vault = hospital.vault
    anna, bodo = vault.subject_of(ANNA), vault.subject_of(BODO)
    vault.put(bodo, b"report/2", b"bodo's")
    taken = vault.stage()
    taken.put(bodo, b"report/3", b"new", fresh=True)
    taken.put(anna, b"report/2", b"anna's")
    with refused(ConflictError, "vault.other-subject"):
        vault.write(taken)
    erased = vault.stage()
    erased.put(bodo, b"report/3", b"new", fresh=True)
    erased.link(b"report", b"R-1", anna)
    vault.erase([anna])
    with refused(NotFoundError, "vault.no-subject"):
        vault.write(erased)
    assert (vault.has(b"report/3"), vault.get(b"report/2")) == (False, b"bodo's")
    with refused(InvalidInputError, "vault.name"):
        vault.stage().link(b"report", b"", bodo)


def test_killed_at_any_write_there_are_no_data_without_their_links(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    for at in range(4):
        patient, name = b"patient-%d" % at, b"report/%d" % at
        stage = hospital.vault.stage()
        subject = stage.subject_of(patient)
        stage.put(subject, name, b"value")
        disk.arm(at)
        with pytest.raises(Killed):
            hospital.vault.write(stage)
        disk.arm(-1)
        vault = hospital.reopen()
        found = vault.find(patient)
        assert (found is not None, vault.has(name)) == (at >= 1, at >= 3)
        if found is not None:
            vault.put(found, name, b"value")
            assert vault.get(name) == b"value"
