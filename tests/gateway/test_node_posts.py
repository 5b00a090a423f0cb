"""What the gateway sends to a member's node: once, pinned as its questions are, refusals with their codes."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.config import Peer
from gateway.logs import MemberLog
from gateway.upstream import NodeReader
from ledger.connections import PromptConnection
from ledger.errors import LedgerError, UnavailableError, UntrustedError
from ledger.webserver import HttpServer
from node.identity.tls import make_named_certificate

USCC = "11310000DEM00004AA"
NOW = 1_790_000_000_000


class Node:
    """A node's public door that takes what is sent to ``/taken``, and refuses at ``/refused``."""

    def __init__(self, folder: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = make_named_certificate(key, ("localhost",), NOW, 1)
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file = folder / "node.pem"
        file.write_bytes(secret + self.certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        self.taken: list[tuple[bytes, str]] = []

        async def take(request: Request) -> Response:
            self.taken.append((await request.body(), request.headers.get("x-note", "")))
            return JSONResponse({"taken": len(self.taken)})

        async def refuse(_request: Request) -> Response:
            return JSONResponse({"code": "citizen.proof", "message": "no", "hint": "clocks"}, status_code=403)

        app = Starlette(routes=[Route("/taken", take, methods=["POST"]), Route("/refused", refuse, methods=["POST"])])
        self.server = HttpServer(
            app,
            "127.0.0.1",
            0,
            context,
            name="node",
            connection=PromptConnection,
            keep_alive_s=5,
            grace_s=1,
            settings="node.toml",
        )
        self.server.start()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    opened = Node(tmp_path)
    yield opened
    opened.server.close()


def log_of(node: Node, clock: Any = lambda: NOW) -> tuple[MemberLog, Any]:
    peer = Peer(uscc=USCC, https=f"127.0.0.1:{node.server.port}", certificate=node.certificate.decode())
    reader = NodeReader(peer, timeout=60.0)
    return MemberLog(reader, clock), SimpleNamespace(keys=SimpleNamespace(tls={reader.spki}))


def test_a_body_reaches_the_node_once_and_its_refusal_comes_back(node: Node) -> None:
    log, member = log_of(node)
    assert log.post(member, "/taken", b'{"a":1}', {"X-Note": "n"}) == b'{"taken":1}'
    assert node.taken == [(b'{"a":1}', "n")]
    with pytest.raises(UnavailableError) as caught:
        log.post(member, "/refused", b"")
    assert (caught.value.code, caught.value.hint) == ("citizen.proof", "clocks")


def test_a_node_that_is_away_or_another_one_gets_nothing(node: Node) -> None:
    log, member = log_of(node)
    with pytest.raises(UntrustedError):
        log.post(SimpleNamespace(keys=SimpleNamespace(tls={b"another"})), "/taken", b"x")  # type: ignore[arg-type]
    node.server.close()
    with pytest.raises(LedgerError) as caught:
        log.post(member, "/taken", b"x")
    assert caught.value.code == "node.unreachable"
    assert node.taken == []
