"""The chain's rows: one batch per block, and the answers read back from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from ledger.errors import ConflictError, FatalError, InvalidInputError
from ledger.storage.chainstate import ChainStore, LogFilter
from ledger.storage.store import Store


@dataclass(frozen=True)
class Executed:
    height: int
    hash: bytes
    header: bytes
    transactions: tuple[bytes, ...]
    receipts: tuple[Mapping[str, Any], ...]
    writes: tuple[tuple[bytes, bytes | None], ...]


def executed(height: int, *, writes: tuple[tuple[bytes, bytes | None], ...] = ()) -> Executed:
    """A block of two transactions; the first emits two events, the second one."""
    receipts = tuple(
        {
            "hash": bytes([height, number]) * 16,
            "from": b"f" * 20,
            "to": b"t" * 20,
            "nonce": number,
            "status": 1,
            "gas_used": 21000,
            "cumulative_gas_used": 21000 * (number + 1),
            "contract": None,
            "logs": [
                {"address": bytes([place + 1]) * 20, "topics": [b"A" * 32, bytes([height]) * 32], "data": b"data"}
                for place in range(2 - number)
            ],
            "output": b"",
        }
        for number in range(2)
    )
    return Executed(height, bytes([height]) * 32, b"header %d" % height, (b"tx0", b"tx1"), receipts, writes)


@pytest.fixture
def chain(store: Store) -> ChainStore:
    made = ChainStore(store)
    made.write_genesis(b"G" * 32, b"\0" * 32, b"header 0", [(b"k1", b"v1"), (b"k2", b"v2")])
    for height in (1, 2, 3):
        made.write_block(executed(height, writes=((b"k2", None), (b"k%d" % (height + 2), b"new"))))
    return made


def test_state_rows_come_back_in_order_with_deletions_applied(chain: ChainStore) -> None:
    assert list(chain.load_rows()) == [(b"k1", b"v1"), (b"k3", b"new"), (b"k4", b"new"), (b"k5", b"new")]


def test_blocks_by_height_and_hash(chain: ChainStore) -> None:
    assert chain.height == 3
    by_height, by_hash = chain.block(2), chain.block(b"\2" * 32)
    assert by_height == by_hash
    assert by_height is not None
    assert (by_height.height, by_height.header, by_height.transactions) == (2, b"header 2", (b"tx0", b"tx1"))
    assert by_height.transaction_hashes == (b"\2\0" * 16, b"\2\1" * 16)
    assert chain.block(4) is None
    assert chain.block(b"x" * 32) is None
    genesis = chain.block(0)
    assert genesis is not None
    assert genesis.transactions == ()


def test_transactions_and_receipts_by_hash(chain: ChainStore) -> None:
    found = chain.transaction(b"\3\1" * 16)
    assert found is not None
    assert (found[0].height, found[1]) == (3, 1)
    receipt = chain.receipt(b"\3\1" * 16)
    assert receipt is not None
    assert (receipt[0]["nonce"], receipt[1], receipt[2]) == (1, 3, 1)
    assert receipt[0]["from"] == b"f" * 20
    assert chain.transaction(b"?" * 32) is None
    assert chain.receipt(b"?" * 32) is None
    assert chain.receipts(0) == ()
    assert chain.receipts(9) is None


def test_events_by_range_address_and_topics(chain: ChainStore) -> None:
    def count(**wanted: Any) -> int:
        return len(chain.logs(LogFilter(**{"first": 0, "last": 9, **wanted})))

    assert count() == 9
    assert count(first=2, last=2) == 3
    assert count(addresses=frozenset({b"\2" * 20})) == 3
    assert count(addresses=frozenset({b"\1" * 20, b"\2" * 20})) == 9
    assert count(topics=(None, frozenset({b"\3" * 32}))) == 3
    assert count(topics=(frozenset({b"B" * 32}),)) == 0
    assert count(topics=(None, None, None)) == 0
    second = chain.logs(LogFilter(first=1, last=1))[2]
    assert (second.index, second.transaction_index, second.transaction_hash) == (2, 1, b"\1\1" * 16)


def test_too_many_events_are_refused(chain: ChainStore) -> None:
    assert len(chain.logs(LogFilter(first=0, last=9), limit=9)) == 9
    with pytest.raises(InvalidInputError) as caught:
        chain.logs(LogFilter(first=0, last=9), limit=8)
    assert caught.value.code == "logs.too-many"


def test_another_genesis_is_refused(chain: ChainStore) -> None:
    chain.check_genesis(b"G" * 32)
    with pytest.raises(ConflictError) as caught:
        chain.write_genesis(b"H" * 32, b"\0" * 32, b"other", [])
    assert caught.value.code == "chain.other-genesis"


def test_finality_and_anchor_parts(chain: ChainStore) -> None:
    assert chain.finality() is None
    chain.put_finality(2, b"two")
    chain.put_finality(5, b"five")
    assert chain.finality() == (5, b"five")
    assert chain.finality(2) == (2, b"two")
    assert chain.finality(3) == (5, b"five")
    assert chain.finality(6) is None
    member = b"11310000MB2F30000X"
    assert chain.anchor(member) is None
    chain.put_anchor(member, 10, b"ten")
    chain.put_anchor(member, 300, b"more")
    assert chain.anchor(member) == (300, b"more")
    assert chain.anchor(member, covering=299) == (300, b"more")
    assert chain.anchor(member, covering=300) is None
    assert list(chain.anchors(member, covering=9)) == [(10, b"ten"), (300, b"more")]
    assert list(chain.anchors(member, covering=10)) == [(300, b"more")]
    assert not list(chain.anchors(member, covering=300))


def test_a_row_that_does_not_decode_is_fatal(store: Store, chain: ChainStore) -> None:
    store.put(b"b" + (2).to_bytes(8, "big"), b"not a block")
    with pytest.raises(FatalError) as caught:
        chain.block(2)
    assert caught.value.code == "store.corrupt"
