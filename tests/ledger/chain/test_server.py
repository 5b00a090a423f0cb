"""The HTTP server: loopback only, strict about what it takes, several requests on a connection."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from ledger.chain.devnet import CHAIN_ID, Devnet
from ledger.chain.jsonrpc import MAX_BODY_BYTES
from ledger.chain.server import serve
from ledger.errors import InvalidInputError
from tests.node.core.makers import eventually

BODY = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"}).encode()
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def connection(devnet: Devnet) -> Iterator[http.client.HTTPConnection]:
    address = urlsplit(devnet.url)
    opened = http.client.HTTPConnection(address.hostname or "", address.port, timeout=180)
    yield opened
    opened.close()


def post(connection: http.client.HTTPConnection, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    connection.request("POST", "/", body, headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_many_requests_share_a_connection(connection: http.client.HTTPConnection) -> None:
    connection.connect()
    socket = connection.sock
    for _ in range(3):
        status, body = post(connection, BODY, JSON)
        assert (status, json.loads(body)["result"]) == (200, hex(CHAIN_ID))
    assert connection.sock is socket


def test_a_content_type_with_a_charset_is_json_too(connection: http.client.HTTPConnection) -> None:
    assert post(connection, BODY, {"Content-Type": "application/json; charset=utf-8"})[0] == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 415),
        ({"Content-Type": "text/plain"}, 415),
        (JSON | {"Host": "evil.example"}, 403),
        (JSON | {"Host": "evil.example:80"}, 403),
        (JSON | {"Content-Length": "-1"}, 411),
        (JSON | {"Content-Length": "x"}, 411),
        (JSON | {"Content-Length": str(MAX_BODY_BYTES + 1)}, 413),
        (JSON | {"Content-Length": "9" * 30}, 411),
    ],
)
def test_what_a_browser_or_a_flood_would_send_is_refused(
    connection: http.client.HTTPConnection, headers: dict[str, str], status: int
) -> None:
    assert post(connection, BODY, headers)[0] == status


def test_the_largest_body_is_taken(connection: http.client.HTTPConnection) -> None:
    status, body = post(connection, BODY.ljust(MAX_BODY_BYTES), JSON)
    assert (status, json.loads(body)["result"]) == (200, hex(CHAIN_ID))


@pytest.mark.parametrize("method", ["GET", "PUT", "OPTIONS"])
def test_only_post_is_answered(connection: http.client.HTTPConnection, method: str) -> None:
    connection.request(method, "/")
    assert connection.getresponse().status in (405, 501)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.com"])
def test_it_serves_loopback_only(devnet: Devnet, host: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        serve(devnet.chain, host=host)
    assert refused.value.code == "rpc.address"


def test_a_closed_server_is_gone_and_closing_again_is_harmless(devnet: Devnet) -> None:
    server = serve(devnet.chain)
    opened = http.client.HTTPConnection(server.host, server.port, timeout=180)
    assert post(opened, BODY, JSON)[0] == 200
    opened.close()
    server.close()
    server.close()
    with pytest.raises(OSError):
        post(http.client.HTTPConnection(server.host, server.port, timeout=5), BODY, JSON)


def test_one_connection_too_many_is_closed_and_the_others_go_on(
    devnet: Devnet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.chain.server.MAX_CONNECTIONS", 2)
    with serve(devnet.chain) as server:
        opened = [http.client.HTTPConnection(server.host, server.port, timeout=180) for _ in range(3)]
        assert [post(connection, BODY, JSON)[0] for connection in opened[:2]] == [200, 200]
        with pytest.raises((OSError, http.client.HTTPException)):
            post(opened[2], BODY, JSON)
        assert post(opened[0], BODY, JSON)[0] == 200
        opened[1].close()

        def answered() -> bool:
            try:
                return post(http.client.HTTPConnection(server.host, server.port, timeout=180), BODY, JSON)[0] == 200
            except (OSError, http.client.HTTPException):
                return False  # the server has not noticed yet that one is gone

        eventually(answered)
        opened[0].close()
