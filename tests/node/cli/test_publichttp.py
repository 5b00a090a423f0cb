"""A gateway's public HTTPS as commands ask it: whom they trust, and what they make of odd answers."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ledger.errors import LedgerError
from node.cli.main import build
from node.cli.publichttp import PublicHttp
from node.identity.tls import key_pem, make_certificate

MEMBER = "11310000DEM001017L"
SECRETS = (bytes(31) + b"\x05", bytes(31) + b"\x06")
VERDICT = {
    "code": "valid",
    "accepted": True,
    "title": {"zh": "有效", "en": "Valid"},
    "todo": {"zh": "可以采信。", "en": "It can be relied on."},
    "at": 1,
    "checks": [],
}


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer(*self.server.answers[self.path])  # type: ignore[attr-defined]

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(asked)  # type: ignore[attr-defined]
        self._answer(*self.server.answers[self.path])  # type: ignore[attr-defined]

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Silent."""


class Gate:
    """A server under a member's certificate. ``answers``: by path."""

    def __init__(self, folder: Path) -> None:
        self.certificate = folder / "gate.crt"
        self.other = folder / "other.crt"
        for file, secret in ((self.certificate, SECRETS[0]), (self.other, SECRETS[1])):
            file.write_bytes(make_certificate(secret, MEMBER, 1_790_000_000_000, 7))
        (folder / "gate.key").write_bytes(key_pem(SECRETS[0]))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, folder / "gate.key")
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.asked: list[dict[str, object]] = []
        self.server.answers, self.server.asked = self.answers, self.asked  # type: ignore[attr-defined]
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    made = Gate(tmp_path)
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join(60)


def refused(gate: Gate, path: str = "/x", ca: Path | None = None) -> LedgerError:
    with pytest.raises(LedgerError) as caught:
        PublicHttp(gate.url, ca or gate.certificate).get(path)
    return caught.value


def test_only_the_certificate_given_is_trusted(gate: Gate) -> None:
    gate.answers["/x"] = 200, b"list"
    assert PublicHttp(gate.url, gate.certificate).get("/x") == b"list"
    assert refused(gate, ca=gate.other).code == "source.certificate"
    with pytest.raises(LedgerError) as caught:
        PublicHttp(gate.url).get("/x")
    assert caught.value.code == "source.certificate"


def test_what_the_gateway_refuses_is_told_in_its_words(gate: Gate) -> None:
    said = {"code": "licence.no-status-list", "message": "there is none", "hint": "ask"}
    gate.answers["/x"] = 404, json.dumps(said).encode()
    error = refused(gate)
    assert (error.code, error.message, error.hint) == ("licence.no-status-list", "there is none", "ask")
    for status, body in ((500, b"<html>"), (503, b"[" * 5_000), (418, b'"odd"')):
        gate.answers["/x"] = status, body
        assert refused(gate).code == "source.refused"


@pytest.mark.parametrize(
    "url", ["", "gateway", "ftp://a", "http://gateway.example", "https://", "https://a:b", "https://u@a", "https://a?x"]
)
def test_what_is_no_address_of_a_gateway(url: str) -> None:
    with pytest.raises(LedgerError) as caught:
        PublicHttp(url)
    assert caught.value.code == "source.url"


def test_anybody_has_a_licence_judged_without_a_node(
    gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = tmp_path / "shown.txt"
    shown.write_text("eyJ~")

    def run(*more: str) -> tuple[int, str]:
        words = ["licence", "verify", str(shown), "--gateway", gate.url, "--ca", str(gate.certificate), *more]
        done = CliRunner().invoke(build(), words)
        return done.exit_code, done.stdout

    gate.answers["/v1/licence/verify"] = 200, json.dumps(VERDICT).encode()
    code, printed = run("--recipient", MEMBER, "--json")
    assert (code, json.loads(printed)["code"]) == (0, "valid")
    assert gate.asked[-1] == {
        "licence": "eyJ~",
        "nonce": "",
        "audience": "",
        "recipient": MEMBER,
        "require_binding": False,
        "proof": "",
    }
    view = {"height": 7, "time": 1, "age_ms": 2_000, "proven": "storage-proof"}
    gate.answers["/v1/licence/verify"] = 200, json.dumps({**VERDICT, "accepted": False, "view": view}).encode()
    assert run()[0] == 1
    # A wallet on standard input: its key leaves this machine no more than from a file.
    held = json.dumps({"v": 1, "licence": "eyJ~", "holder_key": "SECRET"})
    shown.write_text(held)
    run()
    words = ["licence", "verify", "-", "--gateway", gate.url, "--ca", str(gate.certificate)]
    CliRunner().invoke(build(), words, input=held)
    assert [asked["licence"] for asked in gate.asked[-2:]] == ["eyJ~", "eyJ~"]
    assert "SECRET" not in json.dumps(gate.asked)
    gate.answers["/v1/licence/verify"] = 200, b"{}"
    assert run()[0] == 1
    gate.answers["/v1/licence/verify"] = 200, b"[]"
    assert run()[0] == 1
