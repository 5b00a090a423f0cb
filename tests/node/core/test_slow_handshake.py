"""A peer that is slow to shake hands is waited for; only one that refuses is unreachable at once."""

from __future__ import annotations

import socket

import grpc
import pytest

from node.identity.peers import CHANNEL_OPTIONS


def test_a_slow_handshake_is_not_given_up_before_the_call() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # connections are accepted, nothing is ever said
        channel = grpc.insecure_channel(f"127.0.0.1:{silent.getsockname()[1]}", options=CHANNEL_OPTIONS)
        with channel, pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary("/any/call")(b"", timeout=2.0)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED  # type: ignore[attr-defined]
