"""The way to a foreign node: addresses, bounds, nonsense, connections that end."""

from __future__ import annotations

import contextlib
import datetime
import json
import socket
import ssl
import threading
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ledger.chain.external_link import RpcLink
from ledger.chain.rpc.errors import RpcError
from ledger.errors import InvalidInputError, LedgerError, UnavailableError, UntrustedError
from tests.external.endpoint import Endpoint


def echo(method: str, params: list[Any]) -> Any:
    if method == "refuse":
        raise RpcError(-32000, "no", "0x1234")
    return [method, *params]


@pytest.mark.parametrize(
    "url",
    [
        "http://192.0.2.1:8545",
        "http://example.org",
        "ftp://127.0.0.1",
        "http://user:word@127.0.0.1",
        "127.0.0.1:8545",
        "http://127.0.0.1:port",
        "https://",
        "",
    ],
)
def test_only_loopback_or_tls(url: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        RpcLink(url)
    assert refused.value.code == "chain.address"


def test_calls_and_batches() -> None:
    with Endpoint(echo) as endpoint:
        link = RpcLink(endpoint.url + "/a/path?key=word", token="secret")
        assert link.url == endpoint.url
        assert link.request("one", 1, "2") == ["one", 1, "2"]
        assert endpoint.headers["Authorization"] == "Bearer secret"
        # More than one batch holds; answers come in another order.
        calls = [("many", (place,)) for place in range(150)]
        assert link.batch(calls) == [["many", place] for place in range(150)]
        assert link.batch([]) == []
        good, bad = link.batch([("one", ()), ("refuse", ())])
        assert good == ["one"]
        assert isinstance(bad, RpcError)
        assert (bad.code, bad.message, bad.data) == (-32000, "no", "0x1234")
        with pytest.raises(RpcError):
            link.request("refuse")
        # All of that went over one connection.
        assert endpoint.connections == 1
        link.close()
        with pytest.raises(UnavailableError) as closed:
            link.request("one")
        assert closed.value.code == "chain.closed"


@pytest.mark.parametrize("announced", [True, False])
def test_a_connection_that_ended_is_replaced(announced: bool) -> None:
    with Endpoint(echo) as endpoint:
        endpoint.one_by_one, endpoint.announced = True, announced
        link = RpcLink(endpoint.url)
        for place in range(5):
            assert link.request("one", place) == ["one", place]
        assert endpoint.connections == 5
        link.close()


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (200, b"", UntrustedError, "chain.answer"),
        (200, b"<html>", UntrustedError, "chain.answer"),
        (200, b"[" * 100_000, UntrustedError, "chain.answer"),
        (200, b"\xff\xfe", UntrustedError, "chain.answer"),
        (200, b"1", UntrustedError, "chain.answer"),
        (200, b"[]", UntrustedError, "chain.answer"),
        (200, b"{}", UntrustedError, "chain.answer"),
        (200, b'{"jsonrpc":"2.0","id":0,"result":1}', UntrustedError, "chain.answer"),
        (200, b'{"jsonrpc":"2.0","id":1}', UntrustedError, "chain.answer"),
        (401, b"who are you", UnavailableError, "chain.busy"),
        (503, b"{}", UnavailableError, "chain.busy"),
        (200, b" " * 5_000, UntrustedError, "chain.answer"),
    ],
)
def test_nonsense_is_named(status: int, body: bytes, kind: type[LedgerError], code: str) -> None:
    with Endpoint(echo) as endpoint:
        endpoint.raw = lambda _: (status, body)
        link = RpcLink(endpoint.url, max_bytes=4_000)
        with pytest.raises(kind) as caught:
            link.request("one")
        assert caught.value.code == code
        endpoint.raw = None
        assert link.request("one") == ["one"]
        link.close()


@pytest.mark.parametrize("error", [{"code": "x", "message": None}, "plain words", {"code": -1}])
def test_errors_of_any_shape(error: object) -> None:
    def answer(body: bytes) -> tuple[int, bytes]:
        return 400, json.dumps({"jsonrpc": "2.0", "id": json.loads(body)["id"], "error": error}).encode()

    with Endpoint(echo) as endpoint:
        endpoint.raw = answer
        link = RpcLink(endpoint.url)
        with pytest.raises(RpcError):
            link.request("one")
        link.close()


def test_a_batch_refused_as_a_whole() -> None:
    with Endpoint(echo) as endpoint:
        endpoint.raw = lambda _: (200, b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no batches"}}')
        link = RpcLink(endpoint.url)
        with pytest.raises(UnavailableError) as refused:
            link.batch([("one", ()), ("two", ())])
        assert refused.value.code == "chain.refused"
        assert "no batches" in refused.value.message
        link.close()


def test_nobody_there_and_nobody_answering() -> None:
    with pytest.raises(UnavailableError) as away:
        RpcLink("http://127.0.0.1:1", timeout=5).request("one")
    assert away.value.code == "chain.unreachable"
    release = threading.Event()

    def later(_: bytes) -> tuple[int, bytes]:
        release.wait(300)
        return 200, b"{}"

    with Endpoint(echo) as endpoint:
        endpoint.raw = later
        link = RpcLink(endpoint.url, timeout=0.2)
        with pytest.raises(UnavailableError) as silent:
            link.request("one")
        assert silent.value.code == "chain.unreachable"
        release.set()
        link.close()


@pytest.mark.parametrize("part", ["headers", "body"])
def test_an_answer_that_trickles_in_is_cut_off(part: str) -> None:
    pause = threading.Event()

    def trickle(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            if part == "body":
                connection.sendall(b"Content-Length: 100000000\r\n\r\n")
            while True:
                connection.sendall(b"x")
                pause.wait(0.02)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=trickle, args=(listener,), daemon=True)
        server.start()
        link = RpcLink(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.3)
        with pytest.raises(UnavailableError) as slow:
            link.request("one")
        assert slow.value.code == "chain.unreachable"
        assert "in time" in slow.value.message or "timed out" in slow.value.message
        link.close()
    # The connection is given up, so that the other side ends too.
    server.join(300)
    assert not server.is_alive()


def test_tls_with_an_authority_of_ones_own(tmp_path: Path) -> None:
    ours, other = (certificate(tmp_path, name) for name in ("ours", "other"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ours)
    with Endpoint(echo, tls=context) as endpoint:
        link = RpcLink(endpoint.url, ca_file=str(ours))
        for ends in (False, False, True, True):
            endpoint.one_by_one = endpoint.announced = ends
            assert link.request("one") == ["one"]
        assert endpoint.connections == 2
        link.close()
        with pytest.raises(UnavailableError) as untrusted:
            RpcLink(endpoint.url, ca_file=str(other)).request("one")
        assert untrusted.value.code == "chain.unreachable"
    with pytest.raises(InvalidInputError) as unreadable:
        RpcLink("https://127.0.0.1", ca_file=str(tmp_path / "nothing"))
    assert unreadable.value.code == "chain.address"


def certificate(folder: Path, name: str) -> Path:
    """A self-signed certificate of 127.0.0.1 with its key, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path
