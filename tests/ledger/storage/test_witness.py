"""A witness never goes back, and persists before it answers."""

import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from ledger.errors import FatalError
from ledger.evidence.checkpoint import Checkpoint
from ledger.storage.store import Store
from ledger.storage.witness import WitnessStore

ORIGIN = "310000.data.civicledger/log"


@dataclass(frozen=True)
class Judged:
    update: Checkpoint | None


def head(size: int, origin: str = ORIGIN) -> Checkpoint:
    return Checkpoint(origin=origin, size=size, root=bytes([size % 256]) * 32)


def test_a_head_is_on_disk_when_the_judgement_returns(tmp_path: Path) -> None:
    with Store.open(tmp_path / "db") as store:
        seen = []

        def judge(stored: Checkpoint | None) -> Judged:
            seen.append(stored)
            return Judged(head(5))

        WitnessStore(store).check_and_set(ORIGIN, b"note 5", judge)
    with Store.open(tmp_path / "db") as store:
        known = WitnessStore(store).get(ORIGIN)
        assert known is not None
        assert (known.checkpoint, known.note) == (head(5), b"note 5")
        assert seen == [None]
        assert [item.checkpoint for item in WitnessStore(store).heads()] == [head(5)]


def test_a_refusal_changes_nothing(store: Store) -> None:
    witness = WitnessStore(store)
    witness.check_and_set(ORIGIN, b"note 5", lambda stored: Judged(head(5)))
    witness.check_and_set(ORIGIN, b"note 9", lambda stored: Judged(None))
    known = witness.get(ORIGIN)
    assert known is not None
    assert known.checkpoint == head(5)


def test_origins_are_kept_apart(store: Store) -> None:
    witness = WitnessStore(store)
    witness.check_and_set(ORIGIN, b"a", lambda stored: Judged(head(5)))
    assert witness.check_and_set("other", b"b", lambda stored: Judged(stored)).update is None


def test_each_request_is_judged_on_what_the_one_before_left(store: Store) -> None:
    witness = WitnessStore(store)
    count = 40

    def grow(stored: Checkpoint | None) -> Judged:
        return Judged(head((stored.size if stored else 0) + 1))

    threads = [threading.Thread(target=witness.check_and_set, args=(ORIGIN, b"note", grow)) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    known = witness.get(ORIGIN)
    assert known is not None
    assert known.checkpoint.size == count


@pytest.mark.parametrize("update", [head(4), head(6, origin="other")])
def test_a_judgement_that_goes_back_or_aside_is_a_fault_of_ours(store: Store, update: Checkpoint) -> None:
    witness = WitnessStore(store)
    witness.check_and_set(ORIGIN, b"note 5", lambda stored: Judged(head(5)))
    with pytest.raises(FatalError) as caught:
        witness.check_and_set(ORIGIN, b"note", lambda stored: Judged(update))
    assert caught.value.code == "witness.rollback"
    known = witness.get(ORIGIN)
    assert known is not None
    assert known.checkpoint == head(5)
