"""Slow and silent clients of the public HTTP port: none keeps its place for ever."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ledger.connections import PromptConnection
from node.web.webserver import WebServer


async def _echo(request: Request) -> Response:
    return PlainTextResponse(await request.body())


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A server whose clients have half a second for a head and for a body."""
    monkeypatch.setattr(PromptConnection, "head_s", 0.5)
    monkeypatch.setattr(PromptConnection, "body_s", 0.5)
    server = WebServer(Starlette(routes=[Route("/", _echo, methods=["POST"])]), "127.0.0.1", 0, None, name="test")
    server.start()
    yield server.port
    server.close()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=180)


def rest(connection: socket.socket) -> bytes:
    """Everything until the server closes; fails with a timeout when it never does."""
    found = b""
    try:
        while part := connection.recv(4096):
            found += part
    except ConnectionResetError:
        pass
    return found


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST / HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc",
    ],
    ids=["silent", "half a head", "half a body"],
)
def test_what_does_not_get_on_is_closed(port: int, sent: bytes) -> None:
    with connect(port) as connection:
        connection.sendall(sent)
        assert rest(connection) == b""


def test_half_a_second_request_is_closed(port: int) -> None:
    with connect(port) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok")
        found = b""
        while not found.endswith(b"ok"):
            found += connection.recv(4096)
        connection.sendall(b"POST / HT")
        assert rest(connection) == b""


def test_a_byte_now_and_then_does_not_help(port: int) -> None:
    with connect(port) as dribbling, connect(port) as silent:
        dribbling.settimeout(0.1)
        dribbling.sendall(b"POST / HTTP/1.1\r\n")
        closed = False
        for _ in range(200):
            try:
                dribbling.sendall(b"X")
                closed = dribbling.recv(1) == b""
            except TimeoutError:
                continue
            except OSError:
                closed = True
            break
        assert closed
        assert rest(silent) == b""


def test_a_kept_connection_may_rest_between_requests(port: int) -> None:
    """uvicorn's own keep-alive time is longer than the deadline of a head."""
    request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"
    with connect(port) as kept:
        for body in (b"ab", b"cd"):
            kept.sendall(request + body)
            found = b""
            while not found.endswith(body):
                found += kept.recv(4096)
            # A silent connection that the server gives up on tells that the time of a head is over.
            with connect(port) as silent:
                assert rest(silent) == b""
