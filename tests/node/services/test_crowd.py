"""One member against the rest: it cannot take every worker, and bytes that are no message are refused with a code."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import grpc
import pytest
from services_city import City, PeerExchangeStub, eventually

from ledger.v1 import node_pb2, node_pb2_grpc, peer_pb2
from node.rpc.errors import from_rpc

GARBAGE = b"\x0a\xff\xff\xff\x7f"


def test_one_member_cannot_hold_every_worker(city: City) -> None:
    """Idle streams hold a worker each: beyond its share a member is told so at once, and others go on."""
    share = city.context("civil").config.workers // 4
    ending = threading.Event()

    def idle() -> Iterator[peer_pb2.ExchangeMessage]:
        ending.wait(300)
        yield from ()

    stub = city.stub(PeerExchangeStub, "civil", "plain")
    streams = [stub.Exchange(idle(), timeout=180) for _ in range(2 * share)]
    try:
        codes: list[str] = []

        def watch(stream: grpc.Call) -> None:
            try:
                for _ in stream:  # type: ignore[attr-defined]
                    pass
            except grpc.RpcError as error:
                codes.append(from_rpc(error).code)

        threads = [threading.Thread(target=watch, args=(stream,), daemon=True) for stream in streams]
        for thread in threads:
            thread.start()
        # The member's own node follows the chain here as well: its stream has a place of the share already.
        eventually(lambda: len(codes) >= share, "what is over the share is refused")
        assert set(codes) == {"auth.too-many-calls"}
        for caller in ("civil", "labour", "plain"):
            other = city.stub(node_pb2_grpc.StatusServiceStub, "civil", caller)
            assert other.GetStatus(node_pb2.GetStatusRequest(), timeout=180).member
    finally:
        ending.set()
        for stream in streams:
            stream.cancel()

    def served() -> bool:
        try:
            list(stub.Exchange(iter([peer_pb2.ExchangeMessage(request=b"x")]), timeout=180))
        except grpc.RpcError as error:
            return from_rpc(error).code != "auth.too-many-calls"
        return True

    eventually(served, "ended calls free their places")


@pytest.mark.parametrize(
    ("method", "caller", "code"),
    [
        ("/ledger.v1.StatusService/GetStatus", "civil", "rpc.message"),
        ("/ledger.v1.RecordService/Append", "civil", "rpc.message"),
        ("/ledger.v1.RecordService/AppendStream", "civil", "rpc.message"),
        ("/ledger.v1.DatasetService/Publish", "civil", "rpc.message"),
        ("/ledger.v1.ForwardService/Submit", "plain", "rpc.message"),
        ("/ledger.v1.RecordService/Append", "plain", "auth.not-own"),
    ],
)
def test_bytes_that_are_no_message(city: City, method: str, caller: str, code: str) -> None:
    channel = city.channel("civil", caller)
    streaming = method.endswith(("Stream", "Publish"))
    with pytest.raises(grpc.RpcError) as caught:
        list(channel.stream_stream(method)(iter([GARBAGE]), timeout=180)) if streaming else channel.unary_unary(method)(
            GARBAGE, timeout=180
        )
    error = from_rpc(caught.value)
    assert (error.code, bool(error.hint)) == (code, True)
