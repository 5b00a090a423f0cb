"""An issuer's node that hangs or dribbles holds few threads of a gateway, and not for long."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

import pytest

from gateway.config import Peer
from gateway.licences.guard import LONGEST_PAUSE_MS, MAX_TOGETHER, GuardedCity
from gateway.upstream import NodeReader
from ledger.errors import UnavailableError
from node.identity.tls import key_pem, make_certificate
from tests.gateway.test_licence_parts import USCC, Clock
from tests.node.core.makers import eventually


class Hanging:
    """Nodes of which those named hang until they are let go, and then do not answer."""

    def __init__(self, *names: str) -> None:
        self.names = set(names)
        self.go = threading.Event()
        self.under_way: list[str] = []
        self.asked = 0

    def ask(self, uscc: str, path: str) -> bytes:
        self.asked += 1
        if uscc in self.names:
            self.under_way.append(path)
            self.go.wait(60)
            raise UnavailableError("node.unreachable", "away")
        return path.encode()


def test_a_node_that_hangs_holds_few_threads_and_is_then_let_alone() -> None:
    clock, nodes = Clock(), Hanging("hung")
    city = GuardedCity(nodes, clock)
    codes: list[str] = []

    def ask(path: str) -> None:
        with pytest.raises(UnavailableError) as caught:
            city.ask("hung", path)
        codes.append(caught.value.code)

    threads = [threading.Thread(target=ask, args=(f"/{number}",), daemon=True) for number in range(10)]
    for thread in threads:
        thread.start()
    eventually(lambda: codes.count("node.busy") == 10 - MAX_TOGETHER)
    assert len(nodes.under_way) == MAX_TOGETHER
    assert city.ask("well", "/x") == b"/x", "nobody waits for another one's node"
    nodes.go.set()
    for thread in threads:
        thread.join(60)
    assert codes.count("node.unreachable") == MAX_TOGETHER
    asked = nodes.asked
    ask("/again")
    assert (codes[-1], nodes.asked) == ("node.unreachable", asked), "told at once"
    # Each failure makes the pause longer; then one asks, and an answer ends it.
    clock.ms += LONGEST_PAUSE_MS
    ask("/again")
    assert nodes.asked == asked + 1
    clock.ms += LONGEST_PAUSE_MS
    nodes.names.clear()
    assert city.ask("hung", "/y") == b"/y"
    assert city.ask("hung", "/z") == b"/z"
    assert not city._nodes


def test_a_refusal_is_an_answer() -> None:
    class Refusing:
        asked = 0

        def ask(self, _uscc: str, _path: str) -> bytes:
            self.asked += 1
            raise UnavailableError("licence.list-behind", "restored from an older copy")

    nodes, clock = Refusing(), Clock()
    city = GuardedCity(nodes, clock)
    for _ in range(3):
        with pytest.raises(UnavailableError, match="older copy"):
            city.ask("a", "/")
    assert nodes.asked == 3


def test_a_node_that_dribbles_is_not_waited_for(tmp_path: Path) -> None:
    secret = bytes(31) + b"\x07"
    certificate = make_certificate(secret, USCC, 1_790_000_000_000, 7).decode()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (tmp_path / "tls.crt").write_text(certificate)
    (tmp_path / "tls.key").write_bytes(key_pem(secret))
    context.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def dribble() -> None:
            with context.wrap_socket(listening.accept()[0], server_side=True) as connection:
                connection.recv(4_096)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                try:
                    while not ended.wait(0.05):
                        connection.sendall(b"x")
                except OSError:
                    return

        server = threading.Thread(target=dribble, daemon=True)
        server.start()
        host, port = listening.getsockname()
        reader = NodeReader(Peer(uscc=USCC, https=f"{host}:{port}", certificate=certificate), timeout=0.5)
        # A byte comes all the time: only a deadline for the whole answer ends this.
        with pytest.raises(UnavailableError) as caught:
            reader.get("/licence/issuer")
        assert caught.value.code == "node.unreachable"
        ended.set()
        server.join(60)
