"""Steps of recognition are found by id, nonce and report, counted once, and what is owed of them is known."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ledger.errors import ConflictError, InvalidInputError
from ledger.storage.changes import ChangeEntry, ChangeStore
from ledger.storage.steps import StepEntry, StepStore
from ledger.storage.store import Store

HOSPITAL = "11310000MB2F30000X"
REPORT = b"r" * 32


def entry(number: int, **changes: Any) -> StepEntry:
    made = StepEntry(
        id=number.to_bytes(32, "big"),
        role="provider",
        kind="open",
        report=REPORT,
        version=1,
        counterpart=HOSPITAL,
        state="begun",
        time_ms=1_000 + number,
        request=b"signed",
    )
    return msgspec.structs.replace(made, **changes)


def done(number: int, **changes: Any) -> StepEntry:
    return entry(number, state="complete", half=b"half", receipt=b"both", log_index=number, **changes)


def test_a_repeat_is_the_same_step(store: Store) -> None:
    steps = StepStore(store)
    assert steps.begin(entry(1)).state == "begun"
    steps.put(done(1))
    assert steps.begin(entry(1)).receipt == b"both"
    # The two roles of one id are two steps.
    assert steps.get(entry(1).id, "consumer") is None


def test_a_refused_step_may_be_asked_for_again(store: Store) -> None:
    steps = StepStore(store)
    steps.put(entry(1, role="consumer", nonce=b"n" * 32, state="refused", code="medical.forbidden"))
    known = steps.by_nonce(b"n" * 32)
    assert known is not None
    assert known.code == "medical.forbidden"
    assert steps.begin(entry(2, role="consumer", nonce=b"n" * 32)).state == "begun"
    again = steps.by_nonce(b"n" * 32)
    assert again is not None
    assert again.id == entry(2).id
    assert steps.by_nonce(b"x" * 32) is None


@pytest.mark.parametrize("state", ["begun", "half", "refused"])
def test_a_complete_step_never_changes_back(store: Store, state: str) -> None:
    steps = StepStore(store)
    steps.put(done(1))
    with pytest.raises(ConflictError) as caught:
        steps.put(entry(1, state=state))
    assert caught.value.code == "medical.step-state"


def test_what_is_owed(store: Store) -> None:
    steps = StepStore(store)
    steps.put(entry(1))
    steps.put(entry(2, state="half", half=b"h"))
    steps.put(done(3))
    steps.put(done(4, role="consumer"))
    steps.put(done(5, role="consumer", confirmed=True))
    steps.put(msgspec.structs.replace(done(6), log_index=-1))
    steps.put(entry(7, state="refused"))
    assert {int.from_bytes(one.id, "big") for one in steps.work()} == {1, 2, 4, 6}
    assert {int.from_bytes(one.id, "big") for one in steps.work("consumer")} == {4}
    assert steps.half_openings(HOSPITAL) == 1
    assert steps.half_openings("another") == 0
    steps.put(done(2))
    assert steps.half_openings(HOSPITAL) == 0


def test_what_was_decided_since_an_opening(store: Store) -> None:
    steps = StepStore(store)
    opening = steps.put(done(1))
    steps.put(done(2, kind="recognise", opening=opening.id, items=((0, "wbc"), (2, ""))))
    steps.put(entry(3, kind="retest", opening=opening.id, items=((1, "rbc"),), reason="emergency"))
    steps.put(entry(4, kind="retest", opening=opening.id, items=((3, "mcv"),), state="refused"))
    steps.put(done(5, kind="recognise", opening=b"o" * 32, items=((4, "mch"),)))
    assert {place: one.kind for place, one in steps.decided(opening.id, "provider").items()} == {
        0: "recognise",
        2: "recognise",
        1: "retest",
    }
    assert steps.decided(opening.id, "consumer") == {}
    assert steps.decided(b"?" * 32, "provider") == {}


def test_pages_and_reports_are_in_order_of_time(store: Store) -> None:
    steps = StepStore(store)
    for number in (5, 3, 4, 1, 2):
        steps.put(entry(number, report=REPORT if number % 2 else b"q" * 32))
    first, token = steps.page(page_size=3)
    rest, end = steps.page(page_size=3, token=token)
    assert [int.from_bytes(one.id, "big") for one in (*first, *rest)] == [1, 2, 3, 4, 5]
    assert end == b""
    assert [int.from_bytes(one.id, "big") for one in steps.of_report(REPORT)] == [1, 3, 5]
    assert len(list(steps.every())) == 5
    with pytest.raises(InvalidInputError) as caught:
        steps.page(token=b"xyz")
    assert caught.value.code == "page.token"


def test_the_newest_change_of_a_report_stands(store: Store) -> None:
    changes = ChangeStore(store)
    first = ChangeEntry(
        counterpart=HOSPITAL, report=REPORT, version=2, change="corrected", time_ms=1, notice=b"one", log_index=4
    )
    changes.put("provider", first)
    second = changes.put("provider", msgspec.structs.replace(first, version=3, notice=b"two", log_index=-1))
    assert changes.get("provider", HOSPITAL, REPORT) == second
    assert changes.get("consumer", HOSPITAL, REPORT) is None
    assert list(changes.every("provider")) == [second]
