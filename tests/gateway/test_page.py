"""The start page in a real browser: both languages, desktop and phone, a good and a damaged proof file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chromium import PATIENCE_MS, broken_rules, chromium, picture
from tests.gateway.conftest import RunningCity

pytestmark = pytest.mark.browser

DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


class Tab:
    """A page, and everything it complained about."""

    def __init__(self, context: Any, url: str, name: str) -> None:
        self.name = name
        self.page = context.new_page()
        self.complaints: list[str] = []
        self.elsewhere: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._heard)
        self.page.on("request", self._requested)
        self.url = url
        self.page.goto(url)

    def _heard(self, message: Any) -> None:
        # The browser itself reports the status of a refused bundle; everything else is a fault of the page.
        if message.type in ("error", "warning") and "status of 422" not in message.text:
            self.complaints.append(message.text)

    def _requested(self, request: Any) -> None:
        if not request.url.startswith(("https://localhost:", "data:")):
            self.elsewhere.append(request.url)

    def judge(self, file: Path) -> Any:
        self.page.set_input_files("#file", str(file))
        self.page.wait_for_selector("#result .verdict")
        return self.page.locator("#result")


EVERYWHERE = pytest.mark.parametrize("tab", ["desktop-zh", "desktop-en", "phone-zh", "phone-en"], indirect=True)
ONCE = pytest.mark.parametrize("tab", ["phone-en"], indirect=True)


@pytest.fixture
def tab(request: pytest.FixtureRequest, browser: Any, running_city: RunningCity) -> Iterator[tuple[Tab, str]]:
    device, language = request.param.split("-")
    context = browser.new_context(
        viewport=DESKTOP if device == "desktop" else PHONE,
        has_touch=device == "phone",
        ignore_https_errors=True,
        locale="zh-CN" if language == "zh" else "en-GB",
        color_scheme="dark" if language == "en" else "light",
    )
    context.set_default_timeout(PATIENCE_MS)
    opened = Tab(context, running_city.url + "/", request.param)
    yield opened, language
    assert opened.complaints == []
    assert opened.elsewhere == []
    context.close()


@pytest.fixture
def files(running_city: RunningCity, tmp_path: Path) -> dict[str, Path]:
    """The city's proof file, one with a bit turned, and one that is too large."""
    damaged = bytearray(running_city.bundle)
    damaged[len(damaged) // 2] ^= 1
    contents = {"good": running_city.bundle, "damaged": bytes(damaged), "large": b"x" * ((1 << 20) + 1)}
    for name, content in contents.items():
        (tmp_path / f"{name}.civic").write_bytes(content)
    return {name: tmp_path / f"{name}.civic" for name in contents}


@EVERYWHERE
def test_the_page_speaks_the_browsers_language_and_fits(tab: tuple[Tab, str], running_city: RunningCity) -> None:
    opened, language = tab
    page = opened.page
    heading = page.locator("h1").inner_text()
    assert heading == ("城市数据共享台账" if language == "zh" else "City data-sharing ledger")
    assert page.locator(".member").count() == 5
    badges = page.locator(".badge").all_inner_texts()
    assert ("数据主管" if language == "zh" else "supervisor") in badges
    assert page.locator(".datasets tbody tr").count() == len(running_city.get("/v1/datasets").json()["datasets"]) >= 2
    assert page.locator(".blocks li").count() >= 5
    page.wait_for_selector(".dot.down", state="detached")
    # Nothing sticks out to the right: a phone shows the page without scrolling sideways.
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@EVERYWHERE
def test_a_good_proof_file_shows_every_check(tab: tuple[Tab, str], files: dict[str, Path]) -> None:
    opened, language = tab
    result = opened.judge(files["good"])
    assert result.locator(".verdict.good h3").inner_text() == ("核验通过" if language == "zh" else "Verified")
    picture(opened.page, f"city-{opened.name}-verified")
    assert broken_rules(opened.page) == []
    assert result.locator(".checks li").count() == result.locator(".checks li.ok").count() == 8
    assert "single-signer" in result.inner_text()
    assert "exchange.completed" in result.inner_text()


@EVERYWHERE
def test_a_damaged_proof_file_shows_the_broken_link(tab: tuple[Tab, str], files: dict[str, Path]) -> None:
    opened, language = tab
    result = opened.judge(files["damaged"])
    picture(opened.page, f"city-{opened.name}-damaged")
    assert broken_rules(opened.page) == []
    assert result.locator(".verdict.bad h3").inner_text() == ("核验未通过" if language == "zh" else "Not verified")
    assert result.locator(".checks li.broken").count() == 1
    assert result.locator(".checks li.ok").count() == 0
    link = result.locator(".checks li.broken").get_attribute("data-check")
    assert f"{link}." in result.locator(".checks li.broken").inner_text()


@ONCE
def test_a_file_that_is_too_large_is_not_sent(tab: tuple[Tab, str], files: dict[str, Path]) -> None:
    opened, _ = tab
    sent: list[str] = []
    opened.page.on("request", lambda request: sent.append(request.method))
    result = opened.judge(files["large"])
    assert "1 MiB" in result.inner_text()
    assert "POST" not in sent


@ONCE
def test_the_page_refreshes_itself(tab: tuple[Tab, str]) -> None:
    opened, _ = tab
    page = opened.page
    # Watched from inside: the next refresh takes the mark away again.
    page.evaluate(
        """() => {
            const height = () => document.querySelector('[data-key=height]');
            const seen = new MutationObserver(() => {
                if (!height().classList.contains('changed')) return;
                seen.disconnect();
                document.body.dataset.seen = height().textContent;
            });
            seen.observe(document.body, {subtree: true, childList: true, attributes: true});
            height().textContent = 'old';
        }"""
    )
    page.wait_for_selector("body[data-seen]:not([data-seen='old'])")
    page.wait_for_selector("#pulse:not(.stale)")


@ONCE
def test_the_page_says_when_the_gateway_is_gone(tab: tuple[Tab, str]) -> None:
    opened, _ = tab
    opened.page.route("**/live*", lambda route: route.fulfill(status=503, body="gone"))
    opened.page.wait_for_selector("#pulse.stale")
    opened.page.unroute("**/live*")
    opened.page.wait_for_selector("#pulse:not(.stale)")
    opened.complaints = [text for text in opened.complaints if "503" not in text]


@ONCE
def test_the_language_can_be_switched(tab: tuple[Tab, str]) -> None:
    opened, language = tab
    opened.page.locator("a.language").click()
    opened.page.wait_for_url("**/?lang=*")
    assert opened.page.locator("h1").inner_text() == (
        "City data-sharing ledger" if language == "zh" else "城市数据共享台账"
    )


@ONCE
def test_the_page_leads_to_the_one_that_checks_licences(tab: tuple[Tab, str]) -> None:
    page = tab[0].page
    page.get_by_role("link", name="Check a licence").click()
    page.wait_for_url("**/licence?lang=en")
    page.fill("#text", "not a licence")
    page.click("#check")
    page.wait_for_selector("#result .verdict[data-code=malformed]")


@ONCE
def test_light_and_dark_are_remembered(tab: tuple[Tab, str]) -> None:
    opened, _ = tab
    page = opened.page
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.locator("#theme").click()
    after = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert before != after
    page.reload()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == after


@ONCE
def test_a_file_can_be_dropped(tab: tuple[Tab, str], files: dict[str, Path]) -> None:
    opened, _ = tab
    page = opened.page
    transfer = page.evaluate_handle(
        "bytes => { const data = new DataTransfer();"
        " data.items.add(new File([new Uint8Array(bytes)], 'x.civic')); return data; }",
        list(files["good"].read_bytes()),
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": transfer})
    page.wait_for_selector("#result .verdict.good")
