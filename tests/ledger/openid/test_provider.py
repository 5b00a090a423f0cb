"""A provider over HTTP: discovery, keys that rotate, answers that make no sense, and a provider that is away."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import LedgerError
from ledger.openid.link import MAX_ANSWER, Link, check_url
from ledger.openid.provider import KEEP_S, LOOKS, LOOKS_S, PAUSE_MS, STALE_S, Provider
from tests.ledger.openid.openid_parts import CLAIM, CLIENT, EC_KEY, NONCE, RSA_KEY, claims, jwk, signed

NOW_MS = 1_790_000_000_000


class Clock:
    def __init__(self) -> None:
        self.ms = NOW_MS

    def __call__(self) -> int:
        return self.ms


class Served:
    """A provider's documents on loopback, each (status, body), and how often each was asked for."""

    def __init__(self) -> None:
        served = self
        self.asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                served.asked.append(self.path)
                status, body = served.answers.get(self.path, (404, b"{}"))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                if status == 302:
                    self.send_header("Location", "/keys")
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.do_GET()

            def log_message(self, *arguments: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.describe()
        self.publish(jwk(EC_KEY, kid="e"))

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def describe(self, **changes: Any) -> None:
        said = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "id_token_signing_alg_values_supported": ["ES256", "RS256"],
            **changes,
        }
        self.answers["/.well-known/openid-configuration"] = 200, json.dumps(said).encode()

    def publish(self, *rows: dict[str, Any]) -> None:
        self.answers["/keys"] = 200, json.dumps({"keys": rows}).encode()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def served() -> Iterator[Served]:
    opened = Served()
    yield opened
    opened.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def provider(served: Served, clock: Clock) -> Provider:
    return Provider(served.issuer, Link(), clock)


def token(served: Served, key: Any = EC_KEY, algorithm: str = "ES256", kid: str = "e", **changes: Any) -> str:
    return signed(claims(iss=served.issuer, **changes), key, algorithm, kid=kid)


def code_of(work: Callable[[], Any]) -> str:
    with pytest.raises(LedgerError) as caught:
        work()
    assert caught.value.hint
    return caught.value.code


def judged(at: Provider, text: str) -> str:
    return at.verify(text, audience=CLIENT, claim=CLAIM, nonce=NONCE).identity


def test_keys_are_kept_and_a_rotated_one_is_found(served: Served, clock: Clock) -> None:
    at = provider(served, clock)
    for _ in range(3):
        judged(at, token(served))
    assert served.asked.count("/keys") == 1
    served.publish(jwk(RSA_KEY, kid="r"))
    judged(at, token(served, RSA_KEY, "RS256", "r"))
    assert served.asked.count("/keys") == 2
    # The old key is gone with its document.
    assert code_of_token(at, token(served)) == "citizen.token-key"


def code_of_token(at: Provider, text: str) -> str:
    with pytest.raises(LedgerError) as caught:
        judged(at, text)
    return caught.value.code


def test_tokens_of_strangers_make_few_looks(served: Served, clock: Clock) -> None:
    at = provider(served, clock)
    for number in range(3 * LOOKS):
        assert code_of_token(at, token(served, kid=f"x{number}")) == "citizen.token-key"
    assert served.asked.count("/keys") == 1 + LOOKS
    clock.ms += LOOKS_S * 1_000
    assert code_of_token(at, token(served, kid="y")) == "citizen.token-key"
    assert served.asked.count("/keys") == 2 + LOOKS


def test_a_provider_that_is_away_is_asked_seldom_and_what_was_kept_goes_on(served: Served, clock: Clock) -> None:
    at = provider(served, clock)
    good = dict(served.answers)
    served.answers = dict.fromkeys(good, (503, b""))
    assert code_of(at.endpoints) == "citizen.provider-away"
    assert code_of(at.endpoints) == "citizen.provider-away"
    assert len(served.asked) == 1
    clock.ms += PAUSE_MS
    served.answers = good
    judged(at, token(served))
    served.answers = dict.fromkeys(good, (503, b""))
    clock.ms += KEEP_S * 1_000
    text = signed(claims(iss=served.issuer, iat=clock.ms // 1_000, exp=clock.ms // 1_000 + 60))
    judged(at, text)
    clock.ms += STALE_S * 1_000
    assert code_of(at.endpoints) == "citizen.provider-away"


def test_one_that_nobody_reaches(clock: Clock) -> None:
    opened = Served()
    issuer = opened.issuer
    opened.close()
    assert code_of(Provider(issuer, Link(), clock).endpoints) == "citizen.provider-away"


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://id.example"},
        {"token_endpoint": "http://id.example/token"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"jwks_uri": None},
        {"id_token_signing_alg_values_supported": ["HS256", "none"]},
        {"code_challenge_methods_supported": ["plain"]},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_description_that_cannot_be_used(served: Served, clock: Clock, changes: dict[str, Any]) -> None:
    served.describe(**changes)
    assert code_of(provider(served, clock).endpoints) == "citizen.provider-answer"


@pytest.mark.parametrize(
    "answer",
    [(200, b"<html>"), (200, b"\xff"), (200, b"[]"), (404, b"{}"), (302, b"{}"), (200, b"[" * 1_900)],
    ids=["html", "bytes", "list", "absent", "redirect", "nested"],
)
def test_an_answer_that_is_no_description(served: Served, clock: Clock, answer: tuple[int, bytes]) -> None:
    served.answers["/.well-known/openid-configuration"] = answer
    assert code_of(provider(served, clock).endpoints) == "citizen.provider-answer"


@pytest.mark.parametrize("body", [b" " * (MAX_ANSWER + 1), b"[" * 3_000], ids=["long", "deep"])
def test_an_answer_beyond_all_bounds(served: Served, clock: Clock, body: bytes) -> None:
    served.answers["/.well-known/openid-configuration"] = 200, body
    assert code_of(provider(served, clock).endpoints) == "citizen.provider-away"


def test_a_code_that_is_refused(served: Served, clock: Clock) -> None:
    at = provider(served, clock)
    served.answers["/token"] = 400, b'{"error":"invalid_grant"}'
    assert code_of(lambda: at.redeem(b"code=x")) == "citizen.code-refused"
    served.answers["/token"] = 200, b'{"id_token":"x"}'
    assert at.redeem(b"code=x", "Basic x") == {"id_token": "x"}


@pytest.mark.parametrize(
    "url",
    [
        "",
        "id.example",
        "http://id.example",
        "https://",
        "https://user@id.example",
        "https://id.example#x",
        "https://id.example/ x",
        "https://id.example:99999",
        "https://例.example",
        "https://id.example\\@evil.example",
        "ftp://id.example",
        "https://id.example/" + "x" * 2_000,
    ],
)
def test_addresses_that_are_none(url: str) -> None:
    assert code_of(lambda: check_url(url, "it")) == "citizen.address"


def test_settings_that_are_wrong(tmp_path: Path, clock: Clock) -> None:
    assert code_of(lambda: Link(tmp_path / "none.pem")) == "citizen.authorities"
    (tmp_path / "bad.pem").write_text("no certificate")
    assert code_of(lambda: Link(tmp_path / "bad.pem")) == "citizen.authorities"
    with pytest.raises(LedgerError):
        Provider("https://id.example/?x=1", Link(), clock)
