"""Exchanges are counted once, under the ceiling; nonces are used once; checkpoints are found by what they cover."""

import threading

import msgspec
import pytest

from ledger.errors import ConflictError, InvalidInputError, NotAllowedError, NotFoundError
from ledger.storage.exchanges import CheckpointStore, ExchangeEntry, ExchangeStore, NonceStore
from ledger.storage.store import Store

GRANT, DATASET = b"g" * 32, b"d" * 32


def entry(number: int, **changes: object) -> ExchangeEntry:
    made = ExchangeEntry(
        id=number.to_bytes(32, "big"),
        role="provider",
        grant=GRANT,
        dataset=DATASET,
        counterpart="11310000MB2F30000X",
        state="begun",
        time_ms=1000 + number,
    )
    return msgspec.structs.replace(made, **changes)


def begin(store: ExchangeStore, number: int, ceiling: int = 100, max_half: int = 100) -> ExchangeEntry:
    return store.begin(entry(number), ceiling=ceiling, max_half=max_half)


def test_a_repeat_of_an_exchange_counts_nothing(store: Store) -> None:
    exchanges = ExchangeStore(store)
    begin(exchanges, 1)
    exchanges.put(entry(1, state="half", receipt=b"half"))
    exchanges.put(entry(1, state="complete", receipt=b"both"))
    assert begin(exchanges, 1).receipt == b"both"
    counts = exchanges.counts("provider", GRANT)
    assert (counts.used, counts.half, counts.complete) == (1, 0, 1)


def test_the_ceiling_holds_under_concurrency(store: Store) -> None:
    exchanges = ExchangeStore(store)
    refused: list[str] = []

    def use(number: int) -> None:
        try:
            begin(exchanges, number, ceiling=5)
        except NotAllowedError as error:
            refused.append(error.code)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert refused == ["grant.ceiling"] * 11
    assert exchanges.counts("provider", GRANT).used == 5


def test_open_half_receipts_stop_a_grant_until_they_are_completed(store: Store) -> None:
    exchanges = ExchangeStore(store)
    for number in (1, 2):
        begin(exchanges, number, max_half=2)
        exchanges.put(entry(number, state="half"))
    with pytest.raises(NotAllowedError) as caught:
        begin(exchanges, 3, max_half=2)
    assert caught.value.code == "exchange.half-receipts"
    assert [half.id[-1] for half in exchanges.half_receipts()] == [1, 2]
    exchanges.put(entry(1, state="complete"))
    begin(exchanges, 3, max_half=2)


def test_a_use_given_back_is_not_counted(store: Store) -> None:
    exchanges = ExchangeStore(store)
    begin(exchanges, 1, ceiling=1)
    exchanges.give_back(entry(1).id, "provider")
    assert exchanges.counts("provider", GRANT).used == 0
    assert exchanges.page(grant=GRANT) == ((), b"")
    begin(exchanges, 2, ceiling=1)
    exchanges.put(entry(2, state="half"))
    exchanges.give_back(entry(2).id, "provider")
    assert exchanges.counts("provider", GRANT).used == 1


@pytest.mark.parametrize(
    ("before", "after"), [("complete", "half"), ("complete", "refused"), ("half", "refused"), ("refused", "complete")]
)
def test_an_exchange_never_goes_back(store: Store, before: str, after: str) -> None:
    exchanges = ExchangeStore(store)
    exchanges.put(entry(1, state=before))
    with pytest.raises(ConflictError) as caught:
        exchanges.put(entry(1, state=after))
    assert caught.value.code == "exchange.state"


def test_an_id_with_other_content_is_refused(store: Store) -> None:
    exchanges = ExchangeStore(store)
    begin(exchanges, 1)
    with pytest.raises(ConflictError) as caught:
        exchanges.begin(entry(1, grant=b"o" * 32), ceiling=9, max_half=9)
    assert caught.value.code == "exchange.other-content"


def test_the_two_roles_of_one_exchange_are_two_entries(store: Store) -> None:
    exchanges = ExchangeStore(store)
    begin(exchanges, 1)
    exchanges.begin(entry(1, role="consumer"), ceiling=1, max_half=1)
    assert exchanges.counts("consumer", GRANT).used == 1
    assert exchanges.counts("provider", GRANT).used == 1


def test_pages_give_every_exchange_once_in_order_of_time(store: Store) -> None:
    exchanges = ExchangeStore(store)
    for number in (3, 1, 2, 5, 4):
        begin(exchanges, number)
    seen, token = [], b""
    while True:
        page, token = exchanges.page(grant=GRANT, page_size=2, token=token)
        seen += [item.time_ms for item in page]
        if not token:
            break
    assert seen == [1001, 1002, 1003, 1004, 1005]
    assert len(exchanges.page(state="half")[0]) == 0
    assert len(exchanges.page(dataset=DATASET)[0]) == 5
    with pytest.raises(InvalidInputError) as caught:
        exchanges.page(grant=GRANT, token=b"elsewhere")
    assert caught.value.code == "page.token"


def test_a_changed_time_moves_the_entry(store: Store) -> None:
    exchanges = ExchangeStore(store)
    begin(exchanges, 1)
    exchanges.put(entry(1, state="half", time_ms=9))
    assert [item.time_ms for item in exchanges.page()[0]] == [9]


def test_a_nonce_is_used_once_until_it_expires(store: Store) -> None:
    nonces = NonceStore(store)
    nonces.use("a", b"n" * 32, 2000, 1000)
    with pytest.raises(ConflictError) as caught:
        nonces.use("a", b"n" * 32, 2000, 1999)
    assert caught.value.code == "envelope.replayed"
    nonces.use("b", b"n" * 32, 2000, 1000)
    nonces.use("a", b"m" * 32, 9000, 2001)
    assert nonces.count() == 1


def test_the_smallest_checkpoint_that_covers_an_entry(store: Store) -> None:
    kept = CheckpointStore(store)
    assert kept.newest() is None
    for size in (5, 10, 300):
        kept.put(size, b"note %d" % size)
    assert [kept.covering(index)[0] for index in (0, 4, 5, 9, 10, 299)] == [5, 5, 10, 10, 300, 300]
    with pytest.raises(NotFoundError) as caught:
        kept.covering(300)
    assert caught.value.code == "checkpoint.not-covered"
    assert kept.newest() == (300, b"note 300")
    kept.put(10, b"with cosignatures")
    assert kept.get(10) == b"with cosignatures"


def test_pruning_keeps_the_newest_and_the_anchored(store: Store) -> None:
    kept = CheckpointStore(store)
    for size in range(1, 11):
        kept.put(size, b"note")
    assert kept.prune(newest=3, keep={2}) == 6
    assert [size for size in range(12) if kept.get(size)] == [2, 8, 9, 10]
