"""A member's node is another department's: what it answers must end no process, however it is nested."""

from __future__ import annotations

import http.client
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.upstream import NodeReader, Within
from node.identity.peers import Peer
from node.identity.pinned import PinnedClient

NESTED = (b"[" * 90_000, b'{"height":1,"x":' + b"[" * 90_000, b'{"a":' * 90_000)
HONEST = b'{"hashes":["' + b"A" * 43 + b'="]}'


class Answering:
    """A connection to a node that answers one body to everything."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.sock: Any = None

    def request(self, *_arguments: Any, **_named: Any) -> None:
        """Nothing is sent."""

    def getresponse(self) -> Any:
        return SimpleNamespace(status=200, read=lambda _limit: self._body, will_close=True, length=0)

    def close(self) -> None:
        """Nothing is open."""


def through_the_node(body: bytes) -> bytes:
    client = PinnedClient(Peer(uscc="", grpc="x:1", https="x:1", certificate=b"", spki=b""), 1.0)
    client._connection = Answering(body)  # type: ignore[assignment]
    client._socket = SimpleNamespace(deadline=0.0)  # type: ignore[assignment]
    return client._once("GET", "/v1/status", None).body


def through_the_gateway(body: bytes) -> bytes:
    reader = object.__new__(NodeReader)
    reader._lock, reader._closed, reader._timeout = threading.Lock(), True, 1.0
    connection = Answering(body)
    connection.sock = SimpleNamespace(begin=lambda _timeout: None)
    return reader._ask(connection, "GET", "/v1/status", None, None, Within(seconds=1.0)).body  # type: ignore[arg-type]


@pytest.mark.parametrize("ask", [through_the_node, through_the_gateway])
def test_nesting_without_end_reaches_no_decoder(ask: Any) -> None:
    assert ask(HONEST) == HONEST
    for body in NESTED:
        with pytest.raises(http.client.HTTPException, match="nested"):
            ask(body)
