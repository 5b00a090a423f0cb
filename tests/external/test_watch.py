"""Following a network's blocks: order, gaps, changes, an endpoint that is away or behind."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from ledger.chain.external import ExternalChain
from ledger.chain.external_deploy import read_block
from ledger.chain.external_watch import HeadWatch
from ledger.chain.rpc.errors import RpcError
from ledger.errors import LedgerError, UnavailableError, UntrustedError
from ledger.storage.chainstate import StoredBlock
from tests.external.conftest import Network
from tests.external.endpoint import forged

PATIENCE_S = 300.0


def watch_of(network: Network, **options: Any) -> HeadWatch:
    """A watch that looks only when the test says so."""
    link = network.link()
    return HeadWatch(link, read_block(link, None), **options)


def other_time(block: dict[str, Any]) -> dict[str, Any]:
    """Another block in its place."""
    return forged(block, timestamp=hex(int(block["timestamp"], 16) + 7))


def test_blocks_are_adopted_in_order(network: Network) -> None:
    watch = watch_of(network)
    seen: list[StoredBlock] = []
    end = watch.listen(seen.append)
    broken = watch.listen(lambda block: 1 // 0)
    watch.step()
    assert seen == []
    network.grow(3)
    watch.step()
    assert [block.height for block in seen] == [1, 2, 3]
    assert seen == [network.net.chain.block(height) for height in (1, 2, 3)]
    assert watch.head() == network.net.chain.head()
    broken()
    end()
    network.grow()
    watch.step()
    assert len(seen) == 3
    assert watch.head().height == 4


def test_confirmations_are_waited_for(network: Network) -> None:
    network.grow(2)
    watch = watch_of(network, confirmations=2)
    network.grow(3)
    watch.step()
    assert watch.head().height == 3
    network.grow()
    watch.step()
    assert watch.head().height == 4


def test_a_changed_head_is_an_error_with_both_hashes(network: Network) -> None:
    network.grow(2)
    watch = watch_of(network)
    ours = watch.head().hash
    changed = other_time(network.endpoint.answer("eth_getBlockByNumber", ["0x2", False]))
    network.lies["eth_getBlockByNumber"] = lambda params, told: changed if params[0] == "0x2" else told
    with pytest.raises(UntrustedError) as caught:
        watch.step()
    assert caught.value.code == "chain.reorged"
    assert caught.value.expected == ours
    assert bytes.fromhex(changed["hash"][2:]) == caught.value.actual != ours
    assert watch.failure is caught.value


def test_a_block_that_does_not_follow_is_an_error(network: Network) -> None:
    network.grow()
    watch = watch_of(network)
    network.grow()

    def lie(params: list[Any], told: Any) -> Any:
        return forged(told, parentHash="0x" + "77" * 32) if params[0] == "0x2" else told

    network.lies["eth_getBlockByNumber"] = lie
    with pytest.raises(UntrustedError) as caught:
        watch.step()
    assert (caught.value.code, caught.value.actual) == ("chain.reorged", b"\x77" * 32)
    assert watch.head().height == 1


def test_a_network_that_went_back_is_noticed(network: Network) -> None:
    network.grow(3)
    link = network.link()
    watch = HeadWatch(link, read_block(link, 0))
    watch.step()
    assert watch.head().height == 3
    # Two blocks fewer, and the newest is another one.
    network.lies["eth_blockNumber"] = lambda params, told: "0x1"
    network.lies["eth_getBlockByNumber"] = lambda params, told: other_time(told) if params[0] == "0x1" else None
    with pytest.raises(UntrustedError) as caught:
        watch.step()
    assert caught.value.code == "chain.reorged"


def test_an_endpoint_that_is_behind_is_waited_for(network: Network) -> None:
    network.grow(2)
    watch = watch_of(network)
    network.lies["eth_blockNumber"] = lambda params, told: "0x1"
    network.lies["eth_getBlockByNumber"] = lambda params, told: None if params[0] == "0x2" else told
    watch.step()
    assert watch.head().height == 2
    network.lies["eth_blockNumber"] = lambda params, told: "0x3"
    watch.step()
    assert (watch.head().height, watch.failure) == (2, None)
    network.lies.clear()
    network.grow()
    watch.step()
    assert watch.head().height == 3


def test_wrong_answers_are_refused(network: Network) -> None:
    watch = watch_of(network)
    network.grow()
    lies: list[tuple[str, str, Any]] = [
        ("eth_blockNumber", "chain.answer", lambda params, told: None),
        ("eth_blockNumber", "chain.answer", lambda params, told: "0x" + "f" * 65),
        ("eth_getBlockByNumber", "chain.answer", lambda params, told: "block"),
        (
            "eth_getBlockByNumber",
            "header.hash",
            lambda params, told: told | {"timestamp": "0x1"} if params[1] else told,
        ),
        (
            "eth_getBlockByNumber",
            "chain.answer",
            lambda params, told: told | {"transactions": None} if params[1] else told,
        ),
        (
            "eth_getBlockByNumber",
            "chain.answer",
            lambda params, told: forged(told, number="0x5") if params[1] else told,
        ),
    ]
    for method, code, lie in lies:
        network.lies = {method: lie}
        with pytest.raises(LedgerError) as caught:
            watch.step()
        assert caught.value.code == code
        assert watch.failure is None
    assert watch.head().height == 0

    def refuse(params: list[Any], told: Any) -> Any:
        raise RpcError(-32000, "not today")

    network.lies = {"eth_blockNumber": refuse}
    with pytest.raises(UnavailableError) as refused:
        watch.step()
    assert refused.value.code == "chain.refused"
    network.lies = {}
    watch.step()
    assert watch.head().height == 1


def until(chain: ExternalChain, condition: Any) -> None:
    """Wait for something the watch's thread does."""
    pause = threading.Event()
    for _ in range(int(PATIENCE_S / 0.02)):
        if condition():
            return
        pause.wait(0.02)
    raise AssertionError(f"not within {PATIENCE_S:g} s; trouble: {chain.trouble}; failure: {chain.failure}")


def test_an_endpoint_that_is_away_is_tried_again(network: Network) -> None:
    chain = network.open()
    try:
        network.endpoint.raw = lambda _: (503, b"busy")
        until(chain, lambda: chain.trouble is not None)
        assert chain.trouble is not None
        assert chain.trouble.code == "chain.busy"
        assert chain.failure is None
        answered = chain.age_s
        until(chain, lambda: chain.age_s > answered)
        network.grow()
        network.endpoint.raw = None
        until(chain, lambda: chain.head().height == 1 and chain.trouble is None)
    finally:
        chain.close()


def test_a_change_ends_the_engine_and_releases_who_waits(network: Network) -> None:
    network.grow()
    chain = network.open()
    refused: list[LedgerError] = []

    def wait() -> None:
        with pytest.raises(LedgerError) as caught:
            chain.wait(b"\x77" * 32, PATIENCE_S)
        refused.append(caught.value)

    waiting = threading.Thread(target=wait)
    waiting.start()
    try:
        network.lies["eth_getBlockByNumber"] = lambda params, told: other_time(told) if params[0] == "0x1" else told
        until(chain, lambda: chain.failure is not None)
        waiting.join(PATIENCE_S)
        assert [error.code for error in refused] == ["chain.reorged"]
        with pytest.raises(UnavailableError) as submitted:
            chain.submit(network.publish())
        assert submitted.value.code == "chain.reorged"
    finally:
        chain.close()
    # Closing does not hide why it ended.
    assert chain.failure is not None
    assert chain.failure.code == "chain.reorged"
