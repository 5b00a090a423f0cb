"""The three lists: who may close what, once."""

from dataclasses import replace

import pytest

from ledger.directory.lists import (
    EntryState,
    ListEntry,
    ListName,
    answer_demand,
    fulfil,
    item_digest,
    late,
    state_at,
    withdraw,
)
from ledger.errors import ConflictError, InvalidInputError, LedgerError, NotAllowedError

PROVIDER, CONSUMER = "91110000600037341L", "91320621MA1MRHG205"
RESPONSIBILITY = ListEntry(
    id=b"r" * 32,
    list=ListName.RESPONSIBILITY,
    member=PROVIDER,
    item_digest=item_digest("行政区划代码"),
    state=EntryState.OPEN,
    due=1000,
)
DEMAND = replace(RESPONSIBILITY, id=b"n" * 32, list=ListName.DEMAND, member=CONSUMER, target=PROVIDER)


def test_overdue_is_shown_from_the_second_after_the_deadline() -> None:
    assert state_at(DEMAND, 1000) is EntryState.OPEN
    assert state_at(DEMAND, 1001) is EntryState.OVERDUE
    assert state_at(replace(DEMAND, due=0), 10**12) is EntryState.OPEN
    assert state_at(withdraw(DEMAND, 5), 2000) is EntryState.WITHDRAWN


def test_a_responsibility_is_closed_by_its_provider_with_a_dataset() -> None:
    done = fulfil(RESPONSIBILITY, b"d" * 32, PROVIDER, 1001)
    assert (done.state, done.answer, done.open, late(done)) == (EntryState.FULFILLED, b"d" * 32, False, True)
    assert not late(fulfil(RESPONSIBILITY, b"d" * 32, PROVIDER, 1000))
    with pytest.raises(NotAllowedError) as caught:
        fulfil(RESPONSIBILITY, b"d" * 32, CONSUMER, 5)
    assert caught.value.code == "list.not-provider"


@pytest.mark.parametrize("state", [EntryState.MATCHED, EntryState.PROMISED, EntryState.ANSWERED])
def test_a_demand_is_answered_in_one_of_three_ways(state: EntryState) -> None:
    assert answer_demand(DEMAND, state, b"a" * 32, 7).state is state


@pytest.mark.parametrize("state", [EntryState.OPEN, EntryState.FULFILLED, EntryState.OVERDUE, EntryState.WITHDRAWN])
def test_a_demand_is_answered_in_no_other_way(state: EntryState) -> None:
    with pytest.raises(InvalidInputError) as caught:
        answer_demand(DEMAND, state, b"a" * 32, 7)
    assert caught.value.code == "list.kind"


def test_a_closed_entry_stays_closed() -> None:
    closed = answer_demand(DEMAND, EntryState.MATCHED, b"a" * 32, 7)
    for again in (lambda: answer_demand(closed, EntryState.ANSWERED, b"b" * 32, 8), lambda: withdraw(closed, 8)):
        with pytest.raises(ConflictError) as caught:
            again()
        assert caught.value.code == "list.closed"


def test_lists_are_not_mixed_up() -> None:
    for wrong in (
        lambda: fulfil(DEMAND, b"d" * 32, CONSUMER, 1),
        lambda: answer_demand(RESPONSIBILITY, EntryState.MATCHED, b"d" * 32, 1),
        lambda: fulfil(RESPONSIBILITY, bytes(32), PROVIDER, 1),
        lambda: fulfil(RESPONSIBILITY, b"short", PROVIDER, 1),
    ):
        with pytest.raises(LedgerError):
            wrong()


@pytest.mark.parametrize("item", ["", " x", "x ", "a\nb", "x" * 201])
def test_items_are_bounded(item: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        item_digest(item)
    assert caught.value.code == "list.item"
