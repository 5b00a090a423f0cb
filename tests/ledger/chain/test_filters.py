"""Polled filters: each block or log is reported once; filters are bounded and forgotten."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.chain.jsonrpc import JsonRpc
from ledger.chain.rpc.errors import RpcError
from ledger.chain.rpc.filters import EXPIRY_S, MAX_FILTERS, Filters

from .conftest import Bench


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def publish(bench: Bench, code: str) -> str:
    """A block with one log; its hash."""
    bench.chain.submit(bench.publish(1, code))
    bench.now_ms += 1_000
    block = bench.chain.produce(bench.now_ms)
    assert block is not None
    return "0x" + block.hash.hex()


def test_a_block_filter_reports_each_block_once(bench: Bench) -> None:
    rpc = JsonRpc(bench.chain)
    publish(bench, "before")
    name = rpc.dispatch("eth_newBlockFilter", [])
    assert rpc.dispatch("eth_getFilterChanges", [name]) == []
    hashes = [publish(bench, code) for code in ("A", "B")]
    assert rpc.dispatch("eth_getFilterChanges", [name]) == hashes
    assert rpc.dispatch("eth_getFilterChanges", [name]) == []
    with pytest.raises(RpcError, match="filter not found"):
        rpc.dispatch("eth_getFilterLogs", [name])


def test_a_log_filter_reports_new_logs_that_match(bench: Bench) -> None:
    rpc, directory = JsonRpc(bench.chain), "0x" + bench.contracts.directory.address.hex()
    publish(bench, "before")

    def made(wanted: dict[str, Any]) -> str:
        return str(rpc.dispatch("eth_newFilter", [wanted]))

    new, all_, other = made({"address": directory}), made({"fromBlock": "0x0"}), made({"address": "0x" + "77" * 20})
    until = made({"fromBlock": "0x0", "toBlock": "0x1"})
    publish(bench, "A")

    def heights(name: str, method: str = "eth_getFilterChanges") -> list[int]:
        return [int(log["blockNumber"], 16) for log in rpc.dispatch(method, [name])]

    assert heights(new) == [2]
    assert heights(all_) == [1, 2]
    assert heights(other) == []
    assert heights(until) == [1]
    assert heights(all_, "eth_getFilterLogs") == [1, 2]
    publish(bench, "B")
    assert heights(new) == [3]
    assert heights(all_) == [3]
    assert heights(until) == []


def test_a_filter_nobody_asks_for_is_forgotten() -> None:
    clock = Clock()
    filters = Filters(clock)
    quiet, asked = filters.add(None, 1), filters.add(None, 1)
    clock.now = EXPIRY_S - 1
    filters.advance(asked, 5)
    clock.now = EXPIRY_S + 1
    with pytest.raises(RpcError, match="filter not found"):
        filters.advance(quiet, 5)
    assert filters.advance(asked, 7) == (None, 6, 7)
    assert len(filters) == 1


def test_ids_are_quantities_nobody_guesses() -> None:
    filters = Filters(Clock())
    names = {filters.add(None, 1) for _ in range(200)}
    assert len(names) == 200
    assert all(len(name) == 34 and name[2] in "89abcdef" for name in names)


def test_an_ended_filter_is_gone() -> None:
    filters = Filters(Clock())
    name = filters.add(None, 1)
    assert filters.remove(name)
    assert not filters.remove(name)
    with pytest.raises(RpcError):
        filters.get(name)


def test_the_number_of_filters_is_bounded() -> None:
    filters = Filters(Clock())
    names = [filters.add(None, 1) for _ in range(MAX_FILTERS + 5)]
    assert len(filters) == MAX_FILTERS
    with pytest.raises(RpcError):
        filters.get(names[0])
    assert filters.get(names[-1])
    assert len(set(names)) == len(names)


def test_a_head_that_did_not_move_reports_nothing_and_loses_nothing() -> None:
    filters = Filters(Clock())
    name = filters.add(None, 10)
    assert filters.advance(name, 4) == (None, 10, 4)
    assert filters.advance(name, 10) == (None, 10, 10)
