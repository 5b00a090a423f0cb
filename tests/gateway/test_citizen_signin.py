"""Signing in at the gateway: the whole way over TLS with a real provider, and every way in which it must not end."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from gateway.citizens.sessions import IDLE_S, MAX_SESSIONS, Begun, Seal, Session, Sessions
from gateway.config import FILE_NAME, load_config
from ledger.errors import LedgerError
from ledger.licences import b64
from ledger.openid.proof import ProofKey
from node.city.provider import CLAIM
from tests.gateway.citizen_parts import NUMBER, Browser, SignInGateway, query_of


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SignInGateway]:
    opened = SignInGateway(tmp_path_factory.mktemp("sign-in"))
    yield opened
    opened.close()


@pytest.fixture
def gateway(running: SignInGateway) -> Iterator[SignInGateway]:
    yield running
    running.provider.spoil = None
    running.clock.ahead_ms = 0


@pytest.fixture
def browser(gateway: SignInGateway) -> Browser:
    return Browser(gateway)


def test_a_citizen_signs_in_and_out(browser: Browser) -> None:
    assert browser.session() == {"signedIn": False, "until": 0}
    begin = browser.begin()
    asked = query_of(begin.location)
    assert begin.status == 303
    assert asked["redirect_uri"] == f"{browser.gateway.url}/citizen/callback"
    assert (asked["response_type"], asked["code_challenge_method"], asked["prompt"]) == ("code", "S256", "login")
    assert len({asked["state"], asked["nonce"], asked["code_challenge"]}) == 3
    back = browser.ask("GET", browser.choose(begin.location))
    assert (back.status, back.location) == (303, "/wallet?lang=en#accesses")
    (begun, session) = sorted(browser.cookies | {"__Host-sign-in": ""})[::-1]
    assert (begun, session) == ("__Host-sign-in", "__Host-citizen")
    line = next(line for line in back.cookies if line.startswith("__Host-citizen="))
    parts = {part.strip().lower() for part in line.split(";")[1:]}
    assert {"httponly", "secure", "path=/", "samesite=lax"} <= parts
    assert not any(part.startswith("domain") for part in parts)
    found = browser.session()
    assert found["signedIn"] is True
    assert abs(found["until"] / 1_000 - time.time() - 900) < 300
    assert browser.ask("POST", "/citizen/sign-out").status == 200
    assert "__Host-citizen" not in browser.cookies
    assert browser.session()["signedIn"] is False


def test_nothing_says_who_it_is(gateway: SignInGateway, browser: Browser, capfd: pytest.CaptureFixture[str]) -> None:
    begin = browser.begin()
    location = browser.choose(begin.location)
    back = browser.ask("GET", location)
    browser.ask("GET", "/citizen/accesses")
    out, err = capfd.readouterr()
    seen = [begin.location, location, back.location, *browser.cookies.values(), gateway.metrics.render().decode()]
    for text in (*seen, out, err, repr(gateway.desk.settings), repr(vars(gateway.desk.sessions))):
        assert NUMBER not in text
        assert gateway.client.secret not in text
    for header in back.headers.values():
        assert NUMBER not in header


def test_an_ended_session_is_no_session(gateway: SignInGateway, browser: Browser) -> None:
    browser.sign_in()
    name = browser.cookies["__Host-citizen"]
    browser.ask("POST", "/citizen/sign-out")
    browser.cookies["__Host-citizen"] = name
    assert browser.ask("GET", "/citizen/accesses").code == "citizen.signed-out"
    browser.sign_in()
    # A new sign-in gives a new name, and ends the old session.
    old = browser.cookies["__Host-citizen"]
    browser.sign_in()
    assert browser.cookies["__Host-citizen"] != old
    browser.cookies["__Host-citizen"] = old
    assert browser.session()["signedIn"] is False
    browser.sign_in()
    gateway.clock.ahead_ms = IDLE_S * 1_000
    assert browser.session()["signedIn"] is False


def test_another_site_cannot_sign_out(browser: Browser) -> None:
    browser.sign_in()
    refused = browser.ask("POST", "/citizen/sign-out", **{"Sec-Fetch-Site": "cross-site"})
    assert (refused.status, refused.code) == (403, "citizen.other-site")
    assert browser.session()["signedIn"] is True


def test_a_code_is_good_once_and_in_one_browser(browser: Browser) -> None:
    location = browser.choose(browser.begin().location)
    stranger = Browser(browser.gateway)
    assert stranger.ask("GET", location).code == "citizen.state"
    stranger.begin()
    assert stranger.ask("GET", location).code == "citizen.state"
    begun = browser.cookies["__Host-sign-in"]
    assert browser.ask("GET", location).status == 303
    # The browser's own cookie is gone; even with it the provider takes the code no second time.
    assert browser.ask("GET", location).code == "citizen.state"
    browser.cookies["__Host-sign-in"] = begun
    assert browser.ask("GET", location).code == "citizen.code-refused"


def test_what_comes_back_must_be_what_was_asked(gateway: SignInGateway, browser: Browser) -> None:
    def back(change: Callable[[str], str]) -> str:
        answer = browser.ask("GET", change(browser.choose(browser.begin().location)))
        assert answer.status in (403, 422)
        assert browser.session()["signedIn"] is False
        return answer.code

    assert back(lambda url: url.replace("state=", "state=x")) == "citizen.state"
    assert back(lambda url: url.replace("state=", "other=")) == "citizen.state"
    assert back(lambda url: url.replace("code=", "other=")) == "citizen.state"
    assert back(lambda url: url.replace("code=", "code=x")) == "citizen.code-refused"
    assert back(lambda url: url.replace("iss=http", "iss=https")) == "citizen.answer-issuer"
    assert back(lambda url: url.replace("iss=", "other=")) == "citizen.answer-issuer"
    assert browser.ask("GET", "/citizen/callback").code == "citizen.state"
    browser.cookies["__Host-sign-in"] = "x" * 5_000
    assert browser.ask("GET", "/citizen/callback?state=a&code=b").code == "citizen.state"
    # Another browser's verifier does not open this one's code (PKCE).
    stranger = Browser(gateway)
    other = query_of(stranger.choose(stranger.begin().location))
    own = query_of(browser.begin().location)
    query = f"state={own['state']}&code={other['code']}&iss={other['iss']}"
    assert browser.ask("GET", f"/citizen/callback?{query}").code == "citizen.code-refused"


def test_a_sign_in_that_was_cancelled_says_so_in_both_languages(browser: Browser) -> None:
    for language, words in (("zh", "登录被取消或被拒绝。"), ("en", "The sign-in was cancelled or refused.")):
        page = browser.ask("GET", browser.choose(browser.begin(f"lang={language}").location, ""))
        assert (page.status, page.code) == (403, "citizen.refused")
        assert words in page.text
        assert f"/wallet?lang={language}" in page.text


def test_it_leads_back_to_our_own_pages_only(browser: Browser) -> None:
    for page in ("https://evil.example", "//evil.example", "/wallet", "wallet/../..", ""):
        answer = browser.begin(f"page={page}")
        assert (answer.status, answer.code) == (400, "citizen.page")
        assert "location" not in answer.headers
    answer = browser.ask("GET", browser.choose(browser.begin("page=wallet&lang=x&to=https://evil.example").location))
    assert answer.location.startswith("/wallet?lang=")
    # The provider is told our own address, whatever the browser says we are called.
    begin = browser.ask("GET", "/citizen/sign-in", Host="evil.example")
    assert query_of(begin.location)["redirect_uri"].startswith(browser.gateway.url)


def resigned(gateway: SignInGateway, **changes: Any) -> Callable[[str], str]:
    """Spoils a token: other claims under the provider's own signature."""

    def spoil(token: str) -> str:
        kid, key = gateway.provider.keys[0]
        claims = jwt.decode(token, options={"verify_signature": False})
        claims = {name: value for name, value in {**claims, **changes}.items() if value is not None}
        return jwt.encode(claims, key, algorithm="ES256", headers={"kid": changes.get("kid_", kid)})

    return spoil


def unsigned(token: str) -> str:
    return b64.encode(b'{"alg":"none"}') + "." + token.split(".")[1] + "."


def test_a_token_that_breaks_a_rule_signs_nobody_in(gateway: SignInGateway, browser: Browser) -> None:
    now = int(time.time())
    _, key = gateway.provider.keys[0]
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def confused(token: str) -> str:
        import hmac

        head = b64.encode(b'{"alg":"HS256"}') + "." + token.split(".")[1]
        return head + "." + b64.encode(hmac.digest(pem, head.encode(), hashlib.sha256))

    spoiled = {
        "citizen.token-audience": resigned(gateway, aud="another"),
        "citizen.token-issuer": resigned(gateway, iss="http://127.0.0.1:1"),
        "citizen.token-nonce": resigned(gateway, nonce="x"),
        "citizen.token-expired": resigned(gateway, iat=now - 900, exp=now - 61),
        "citizen.token-early": resigned(gateway, iat=now + 3_600, exp=now + 4_000),
        "citizen.token-claim": resigned(gateway, **{CLAIM: None}),
        "licence.citizen": resigned(gateway, **{CLAIM: "someone@example.org"}),
        "citizen.token-key": resigned(gateway, kid_="unknown"),
        "citizen.token-signature": lambda token: token[:-8] + ("A" * 8),
        "citizen.token-form": lambda token: "x",
    }
    for code, spoil in spoiled.items():
        gateway.provider.spoil = spoil
        answer = browser.sign_in()
        assert answer.code == code
        assert browser.session()["signedIn"] is False
    for spoil in (unsigned, confused):
        gateway.provider.spoil = spoil
        assert browser.sign_in().code == "citizen.token-algorithm"
    gateway.provider.spoil = None
    assert browser.sign_in().status == 303


def test_the_provider_rotates_its_key(gateway: SignInGateway, browser: Browser) -> None:
    assert browser.sign_in().status == 303
    gateway.provider.rotate()
    assert browser.sign_in().status == 303


def test_a_provider_that_is_away_is_said_to_be(tmp_path: Path) -> None:
    gateway = SignInGateway(tmp_path)
    try:
        browser = Browser(gateway)
        location = browser.choose(browser.begin().location)
        gateway.provider.close()
        late = browser.ask("GET", location)
        assert (late.status, late.code) == (503, "citizen.provider-away")
    finally:
        gateway.close()
    other = tmp_path / "other"
    other.mkdir()
    gone = SignInGateway(other, issuer=gateway.provider.issuer)
    try:
        page = Browser(gone).begin("lang=zh")
        assert (page.status, page.code) == (503, "citizen.provider-away")
        assert "身份认证服务没有响应" in page.text
    finally:
        gone.close()


def test_requests_that_wait_take_few_threads(gateway: SignInGateway, browser: Browser) -> None:
    browser.sign_in()
    places = gateway.routes._places
    taken = 0
    while places.acquire(blocking=False):
        taken += 1
    try:
        assert browser.begin().code == "citizen.busy"
        assert browser.ask("GET", "/citizen/accesses").code == "citizen.busy"
        # What waits for nobody is answered all the same.
        assert browser.session()["signedIn"] is True
        assert browser.ask("GET", "/wallet").status == 200
    finally:
        for _ in range(taken):
            places.release()
    assert browser.ask("GET", "/citizen/accesses").status == 200


def test_a_secret_that_is_wrong(tmp_path: Path) -> None:
    gateway = SignInGateway(tmp_path, secret="wrong")
    try:
        assert Browser(gateway).sign_in().code == "citizen.code-refused"
    finally:
        gateway.close()


# --- sessions ---------------------------------------------------------------------------------------------------------


def test_sessions_are_bounded_and_the_longest_unused_goes_first() -> None:
    now = [1_000_000]
    sessions = Sessions(lambda: now[0], most=2)
    key = ProofKey.generate()

    def begin() -> str:
        return sessions.begin(Session(token="t", key=key, until_ms=now[0] + 10**9))

    first, second = begin(), begin()
    assert sessions.get(first) is not None
    third = begin()
    assert (sessions.get(second), len(sessions)) == (None, 2)
    assert sessions.get(first) is not None
    now[0] += (IDLE_S - 1) * 1_000
    assert sessions.get(third) is not None
    now[0] += 1_000
    assert sessions.get(first) is None
    assert sessions.get(third) is not None
    ends = sessions.begin(Session(token="t", key=key, until_ms=now[0] + 5))
    now[0] += 5
    assert sessions.get(ends) is None
    assert MAX_SESSIONS == 10_000


def test_what_was_begun_opens_here_and_for_ten_minutes() -> None:
    now = [1_790_000_000_000]
    seal = Seal(lambda: now[0])
    begun = Begun(state="s", verifier="v", secret=bytes(32), language="zh", page="wallet")
    text = seal.close(begun)
    assert seal.open(text) == begun
    for broken in ("", "x", text[:-4], Seal(lambda: now[0]).close(begun), "世"):
        with pytest.raises(LedgerError) as caught:
            seal.open(broken)
        assert caught.value.code == "citizen.state"
    now[0] += 601_000
    with pytest.raises(LedgerError):
        seal.open(text)


# --- settings ---------------------------------------------------------------------------------------------------------

BASE = """
[grpc]
port = 0
[https]
port = 0
[home]
member = "11310000DEM000049N"
jsonrpc = "http://127.0.0.1:8545/"
"""
GOOD = 'issuer = "https://id.example"\nclient_id = "g"\npublic_url = "https://city.example"\n'


def loaded(folder: Path, lines: str) -> Any:
    (folder / FILE_NAME).write_text(f"{BASE}[citizens]\n{lines}", "utf-8")
    return load_config(folder).citizens


def test_settings_name_the_provider_and_where_the_secret_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / FILE_NAME).write_text(BASE, "utf-8")
    assert load_config(tmp_path).citizens is None
    assert loaded(tmp_path, GOOD).secret == ""
    (tmp_path / "id.secret").write_text(" hush \n")
    found = loaded(tmp_path, GOOD + 'secret_file = "id.secret"\nca_file = "ca.pem"\nclaim = "idnum"')
    assert (found.secret, found.claim, found.ca_file) == ("hush", "idnum", tmp_path / "ca.pem")
    assert "hush" not in repr(found)
    monkeypatch.setenv("OIDC_SECRET", "env")
    assert loaded(tmp_path, GOOD + 'secret_env = "OIDC_SECRET"').secret == "env"


@pytest.mark.parametrize(
    "lines",
    [
        "",
        GOOD.replace("https://id", "http://id"),
        GOOD.replace("https://city.example", "http://localhost:8443"),
        GOOD.replace("https://city.example", "https://city.example/x"),
        GOOD.replace('"g"', '""'),
        GOOD + 'scopes = "profile"',
        GOOD + 'secret_file = "none"',
        GOOD + 'secret_env = "NOT_SET_ANYWHERE"',
        GOOD + 'secret_env = "A"\nsecret_file = "b"',
        GOOD + 'client_secret = "never in the settings"',
    ],
)
def test_settings_that_are_wrong(tmp_path: Path, lines: str) -> None:
    with pytest.raises(LedgerError) as caught:
        loaded(tmp_path, lines)
    assert caught.value.code == "gateway.config"
    assert "never in the settings" not in json.dumps(caught.value.to_dict())
