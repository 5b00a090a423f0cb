"""The mempool: bounds, order, fairness."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.chain.mempool import Admission, Mempool, Pooled
from ledger.errors import ConflictError, InvalidInputError, NotAllowedError, UnavailableError


def entry(sender: int, nonce: int, *, size: int = 10, salt: int = 0) -> Pooled:
    return Pooled(
        hash=bytes([sender, nonce, salt]).rjust(32, b"\0"),
        sender=bytes([sender]) * 20,
        nonce=nonce,
        raw=bytes(size),
    )


def fresh(_sender: bytes) -> int:
    return 0


def taken(pool: Mempool, *, limit: int = 100, max_bytes: int = 10_000) -> list[tuple[int, int]]:
    return [(item.sender[0], item.nonce) for item in pool.take(fresh, limit=limit, max_bytes=max_bytes)]


def test_senders_take_turns_and_nonces_stay_in_order() -> None:
    pool = Mempool()
    for nonce in (2, 0, 1):
        pool.add(entry(1, nonce))
    pool.add(entry(2, 0))
    pool.add(entry(3, 0))
    assert taken(pool) == [(1, 0), (2, 0), (3, 0), (1, 1), (1, 2)]


def test_a_full_block_starts_with_somebody_else_next_time() -> None:
    pool = Mempool()
    for sender in (1, 2, 3):
        pool.add(entry(sender, 0))
    firsts = [taken(pool, limit=1)[0][0] for _ in range(4)]
    assert firsts == [1, 2, 3, 1]


def test_a_gap_waits_for_its_predecessor() -> None:
    pool = Mempool()
    pool.add(entry(1, 1))
    assert taken(pool) == []
    assert len(pool) == 1
    pool.add(entry(1, 0))
    assert taken(pool) == [(1, 0), (1, 1)]


def test_the_byte_bound_of_a_block_holds() -> None:
    pool = Mempool()
    for nonce in range(5):
        pool.add(entry(1, nonce, size=100))
    assert taken(pool, max_bytes=250) == [(1, 0), (1, 1)]


def test_wait_is_false_when_only_a_gap_is_left_and_true_when_something_did_not_fit() -> None:
    pool = Mempool()
    pool.add(entry(1, 5))
    assert pool.wait(0)
    taken(pool)
    assert not pool.wait(0)
    for sender in (2, 3):
        pool.add(entry(sender, 0))
    taken(pool, limit=1)
    assert pool.wait(0)


def test_another_transaction_with_a_waiting_nonce_is_refused_and_the_same_one_is_not() -> None:
    pool = Mempool()
    pool.add(entry(1, 0))
    pool.add(entry(1, 0))
    with pytest.raises(ConflictError) as refused:
        pool.add(entry(1, 0, salt=9))
    assert refused.value.code == "tx.nonce-taken"
    assert refused.value.hint
    assert len(pool) == 1


@pytest.mark.parametrize("bounds", [{"max_transactions": 2}, {"max_bytes": 20}])
def test_a_full_pool_refuses_and_takes_again_after_a_block(bounds: dict[str, int]) -> None:
    pool = Mempool(**bounds)
    pool.add(entry(1, 0))
    pool.add(entry(1, 1))
    with pytest.raises(UnavailableError) as refused:
        pool.add(entry(2, 0))
    assert refused.value.code == "tx.pool-full"
    pool.discard([entry(1, 0).hash])
    pool.add(entry(2, 0))
    assert pool.get(entry(2, 0).hash) is not None


def test_what_a_block_has_overtaken_is_forgotten() -> None:
    pool = Mempool()
    for nonce in range(3):
        pool.add(entry(1, nonce))
    left = pool.take(lambda _: 2, limit=10, max_bytes=1_000)
    assert [item.nonce for item in left] == [2]
    assert len(pool) == 1
    assert pool.get(entry(1, 0).hash) is None


def test_the_pending_nonce_skips_what_waits() -> None:
    pool = Mempool()
    for nonce in (4, 5, 7):
        pool.add(entry(1, nonce))
    assert pool.next_nonce(bytes([1]) * 20, 4) == 6
    assert pool.next_nonce(bytes([2]) * 20, 4) == 4


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("tx.not-member", NotAllowedError),
        ("tx.create-not-adopted", NotAllowedError),
        ("tx.nonce-taken", ConflictError),
        ("tx.pool-full", UnavailableError),
        ("chain.write-failed", UnavailableError),
        ("tx.nonce-low", InvalidInputError),
        ("tx.malformed", InvalidInputError),
    ],
)
def test_a_refusal_becomes_the_error_of_who_must_act(code: str, kind: type[Exception]) -> None:
    answer = Admission(hash=bytes(32), code=code, message="why")
    assert not answer.admitted
    assert type(answer.error()) is kind
    assert Admission(hash=bytes(32)).admitted


@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(0, 6)), max_size=28, unique=True),
    st.integers(1, 12),
)
def test_whatever_waits_a_block_is_contiguous_fair_and_complete(waiting: list[tuple[int, int]], limit: int) -> None:
    pool = Mempool()
    for sender, nonce in waiting:
        pool.add(entry(sender, nonce))
    block = taken(pool, limit=limit)
    by_sender: dict[int, list[int]] = defaultdict(list)
    for sender, nonce in block:
        by_sender[sender].append(nonce)
    runnable: dict[int, int] = {}
    for sender in {sender for sender, _ in waiting}:
        length = 0
        while (sender, length) in waiting:
            length += 1
        runnable[sender] = length
    assert all(nonces == list(range(len(nonces))) for nonces in by_sender.values())
    assert len(block) == min(limit, sum(runnable.values()))
    for sender, length in runnable.items():
        for other, nonces in by_sender.items():
            # Nobody is more than one ahead of somebody who still had something to give.
            assert len(nonces) <= len(by_sender.get(sender, [])) + 1 or len(by_sender.get(sender, [])) == length, other
