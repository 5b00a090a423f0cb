"""The operator's page on the loopback port: what it shows, in both languages, on desktop and phone, light and dark."""

from __future__ import annotations

import http.client
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from node.city.ports import free_ports
from node.comet.process import ProcessView
from node.comet.view import ConsensusView, ValidatorState
from node.compose import Node
from node.metrics import Metrics
from node.web.local import local_app
from node.web.statuspage import StatusPage
from node.web.statustexts import LANGUAGES, TEXTS, choose
from node.web.statusview import StatusReader, StatusView, ValidatorRow
from node.web.webserver import WebServer
from tests.chromium import PATIENCE_MS, chromium
from tests.node.core.city import City, found, record
from tests.node.core.makers import eventually


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    with City(found(tmp_path_factory.mktemp("page"), 3)) as running:
        running.start()
        for number in range(5):
            index = running[1].core.log.append_record(record(running[1], number))
        running[1].anchors.parts(index, 180)
        yield running


@pytest.fixture(scope="module")
def node(city: City) -> Node:
    return city[1]


def get(port: int, path: str, **headers: str) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=180)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode()
    finally:
        connection.close()


def test_both_languages_have_the_same_words() -> None:
    assert set(TEXTS) == set(LANGUAGES)
    assert set(TEXTS["zh"]) == set(TEXTS["en"])
    for key, text in TEXTS["en"].items():
        assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", TEXTS["zh"][key])), key


@pytest.mark.parametrize(
    ("asked", "accepted", "language"),
    [
        ("en", "zh", "en"),
        (None, "en-GB,zh;q=0.5", "en"),
        (None, "de,zh-CN;q=0.3,en;q=0.2", "zh"),
        (None, "de", "zh"),
        (None, "en;q=x,zh;q=0", "zh"),
        ("fr", None, "zh"),
    ],
)
def test_the_language_is_chosen(asked: str | None, accepted: str | None, language: str) -> None:
    assert choose(asked, accepted) == language


def test_the_page_shows_what_the_node_is_and_nothing_may_change_it(node: Node) -> None:
    port = node.core.config.local.port
    status, headers, text = get(port, "/?lang=en")
    assert status == 200
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert f"{node.core.config.member.handle}" in text
    shown = {key: int(figure.replace(",", "")) for key, figure in re.findall(r'data-key="(\w+)">([\d,]+)<', text)}
    assert 6 <= shown["log"] <= node.core.log.size
    assert "follower" in text
    assert "<form" not in text
    assert text.count('scope="row"') == min(20, shown["height"] + 1)
    for name in re.findall(r'"(/static/[^"]+)"', text):
        assert get(port, name)[0] == 200
    assert get(port, "/static/../local.py")[0] == 404
    assert get(port, "/static/none.css")[0] == 404
    live = get(port, "/live?lang=zh")[2]
    assert "后台循环" in live
    assert "<html" not in live
    # Another site's page neither reads nor drives it.
    for path in ("/", "/live", "/static/status.css"):
        assert get(port, path, Host="rebound.example:80")[0] == 400
        assert get(port, path, Origin="https://a.page")[0] == 400


def test_what_goes_wrong_is_on_the_page(city: City, node: Node) -> None:
    reader = StatusReader(node)
    eventually(lambda: all(peer.reachable for peer in StatusReader(node).read().peers))
    eventually(lambda: reader.read() is reader.read())  # within a second it is read once
    assert {loop.name for loop in reader.read().loops} >= {"publisher", "follower"}
    city.stop(2)
    try:
        away = city.founded.members[2]

        def told() -> bool:
            view = StatusReader(node).read()
            quiet = [peer for peer in view.peers if not peer.reachable]
            codes = {one.code for one in view.findings}
            return [peer.member for peer in quiet] == [away] and bool(quiet[0].error) and "peer.unreachable" in codes

        eventually(told)
    finally:
        city.start(2)
    eventually(lambda: all(peer.reachable for peer in StatusReader(node).read().peers))


def network(view: StatusView, missing: int) -> StatusView:
    """The same node on a network of four validators of which some are away."""
    now = view.made_at_ms
    names = ("data", "civil", "labour", "transport")
    states = tuple(
        ValidatorState(
            member=f"11310000MB000000{at}X",
            key=bytes([at]) * 32,
            power=1,
            signed_last=at >= missing,
            connected=at >= missing,
            missing_since_ms=now - 42_000 if at < missing else 0,
        )
        for at in range(4)
    )
    consensus = ConsensusView(
        at_ms=now, height=1_234, time_ms=now - 1_000, grown_ms=now - 1_000, heights_per_s=1.0, round=0, step="propose",
        catching_up=False, peers=("a", "b"), mempool_txs=7, mempool_bytes=2_048, mempool_limit_txs=20_000,
        mempool_ready=False, validators=states, quorum=missing < 2,
        process=ProcessView(running=True, pid=1, restarts=2, last_error="address in use", since_ms=now - 9_000),
    )  # fmt: skip
    rows = tuple(
        ValidatorRow(
            handle=names[at],
            member=one.member,
            power=one.power,
            signed_last=one.signed_last,
            missing_since_ms=one.missing_since_ms,
        )
        for at, one in enumerate(states)
    )
    return replace(view, engine="cometbft", role="validator", consensus=consensus, validators=rows, mempool_bytes=2_048)


@pytest.fixture
def served() -> Iterator[Callable[[Callable[[], StatusView]], int]]:
    """Serves pages of given views on free ports."""
    servers: list[WebServer] = []

    def serve(read: Callable[[], StatusView]) -> int:
        app = local_app(lambda body: body, Metrics(), lambda: (True, ""), StatusPage(read))
        server = WebServer(app, "127.0.0.1", free_ports(1)[0], None, name="page")
        server.start()
        servers.append(server)
        return server.port

    yield serve
    for server in servers:
        server.close()


def test_validators_and_quorum_are_shown(node: Node, served: Callable[[Callable[[], StatusView]], int]) -> None:
    view = StatusReader(node).read()
    text = get(served(lambda: network(view, 2)), "/?lang=en")[2]
    assert "2 of 4 are there, 3 are needed" in text
    assert "no quorum: no blocks are made" in text
    assert re.findall(r'data-validator="(\w+)">.*?badge (\w+)"', text) == [
        ("data", "bad"), ("civil", "bad"), ("labour", "good"), ("transport", "good"),
    ]  # fmt: skip
    assert "42 s ago" in text
    assert "restarted 2 times" in text
    good = get(served(lambda: network(view, 1)), "/?lang=zh")[2]
    assert "3 / 4 在线，需要 3" in good
    assert "不足法定数" not in good


# --- in a real browser ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


CONTRAST = (Path(__file__).parent / "contrast.js").read_text("utf-8").split("\n", 1)[1]
RULES = (Path(__file__).parent / "rules.js").read_text("utf-8").split("\n", 1)[1]


@pytest.mark.browser
@pytest.mark.parametrize(
    ("device", "language", "missing"),
    [("desktop", "zh", None), ("phone", "en", None), ("desktop", "en", 2), ("phone", "zh", 2)],
)
def test_the_page_in_a_browser(
    browser: Any,
    node: Node,
    served: Callable[[Callable[[], StatusView]], int],
    tmp_path: Path,
    device: str,
    language: str,
    missing: int | None,
) -> None:
    reader = StatusReader(node)
    port = (
        node.core.config.local.port if missing is None else served(lambda: network(reader.read(), missing))
    )  # a real node's own port; a network's view on another
    context = browser.new_context(
        viewport={"width": 1280, "height": 900} if device == "desktop" else {"width": 390, "height": 844},
        locale="zh-CN" if language == "zh" else "en-GB",
        color_scheme="dark" if language == "en" else "light",
    )
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    complaints: list[str] = []
    elsewhere: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("request", lambda request: elsewhere.append(request.url) if f":{port}/" not in request.url else None)
    page.goto(f"http://127.0.0.1:{port}/")
    assert page.locator("html").get_attribute("lang") == ("zh-CN" if language == "zh" else "en")
    assert page.locator(".blocks tbody tr").count() >= 2
    assert page.locator(".peers li").count() == 2
    assert page.locator(".validators tbody tr").count() == (0 if missing is None else 4)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert page.evaluate(RULES) == []
    assert page.evaluate(CONTRAST) == []
    # Light and dark are remembered, and both can be read.
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.locator("#theme").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before
    assert page.evaluate(CONTRAST) == []
    picture = page.screenshot(path=str(tmp_path / "status.png"), full_page=True)
    assert picture.startswith(b"\x89PNG")
    page.locator("a.language").click()
    page.wait_for_url("**/?lang=*")
    assert page.locator("html").get_attribute("lang") == ("en" if language == "zh" else "zh-CN")
    assert [text for text in complaints if "Failed to load resource" not in text and "ERR_FAILED" not in text] == []
    assert elsewhere == []
    context.close()


@pytest.mark.browser
def test_the_page_refreshes_itself_and_says_when_it_cannot(browser: Any, node: Node) -> None:
    context = browser.new_context(locale="en-GB")
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{node.core.config.local.port}/")
    page.evaluate("document.querySelector('[data-key=height]').textContent = 'old'")
    page.wait_for_selector("[data-key=height]:not(:text-is('old'))")
    page.wait_for_selector("#pulse:not(.stale)")
    page.route("**/live*", lambda route: route.abort())
    page.wait_for_selector("#pulse.stale")
    page.unroute("**/live*")
    page.wait_for_selector("#pulse:not(.stale)")
    context.close()
