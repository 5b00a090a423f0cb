"""The page of figures in a real browser: both languages and themes, desktop and phone, and over HTTPS without one."""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Iterator
from http.client import HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any

import pytest

from gateway.medical.figurestexts import FIGURES_TEXTS
from ledger.errors import UnavailableError
from tests.chromium import PATIENCE_MS, broken_rules, chromium, picture
from tests.gateway.figure_parts import NAMES, USCC, FiguresGateway, busy_city
from tests.gateway.licence_tabs import ALL, FEW, SIZES, fits

PICTURED = bool(os.environ.get("CIVICLEDGER_SCREENSHOTS"))


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FiguresGateway]:
    """Four hospitals and a year; one pair of them differs, and one has not answered since an hour."""
    running = FiguresGateway(tmp_path_factory.mktemp("figures"))
    running.nodes.tell(busy_city())
    running.reader.read()
    running.nodes.told[USCC[3]] = UnavailableError("node.unreachable", "away")
    running.now_ms += 3_600_000
    yield running
    running.close()


def ask(gateway: FiguresGateway, path: str) -> tuple[HTTPResponse, bytes]:
    context = ssl.create_default_context(cadata=gateway.certificate.decode())
    connection = HTTPSConnection("localhost", gateway.server.port, context=context, timeout=180)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def test_the_file_and_the_json_over_https(gateway: FiguresGateway) -> None:
    answer, body = ask(gateway, "/figures.csv?lang=zh")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert "filename*=UTF-8''%E5%85%A8" in answer.headers["Content-Disposition"]
    assert body.startswith(b"\xef\xbb\xbf")
    assert "打开未认可" in body.decode("utf-8-sig").splitlines()[0]
    answer, body = ask(gateway, "/v1/figures?from=2026-11&to=2026-11")
    value = json.loads(body)
    assert (value["from"], value["asked"], list(value["months"])) == ("2026-11", 4, ["2026-11"])
    assert [one["uscc"] for one in value["absent"]] == [USCC[3]]


@pytest.mark.parametrize("path", ["/figures.csv", "/v1/figures"])
def test_other_months_are_refused(gateway: FiguresGateway, path: str) -> None:
    answer, body = ask(gateway, f"{path}?from=2019-01&to=2019-02")
    assert (answer.status, json.loads(body)["code"]) == (400, "medical.months")
    answer, body = ask(gateway, "/figures?from=%3Cscript%3E&lang=en")
    assert answer.status == 400
    assert b"medical.month" in body
    assert b"<script>&" not in body
    assert b"%3Cscript%3E" in body


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def page(request: pytest.FixtureRequest, browser: Any, gateway: FiguresGateway) -> Iterator[tuple[Any, str]]:
    device, language, theme = request.param.split("-")
    context = browser.new_context(
        viewport=SIZES[device],
        has_touch=device == "phone",
        ignore_https_errors=True,
        locale="zh-CN" if language == "zh" else "en-GB",
        color_scheme=theme,
    )
    context.set_default_timeout(PATIENCE_MS)
    opened = context.new_page()
    complaints: list[str] = []
    asked: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    opened.on("request", lambda one: asked.append(one.url))
    opened.goto(gateway.url + "/figures")
    yield opened, request.param
    assert complaints == []
    assert [url for url in asked if not url.startswith(gateway.url + "/")] == []
    context.close()


@pytest.mark.browser
@pytest.mark.parametrize("page", ALL if PICTURED else FEW, indirect=True)
def test_the_page_shows_the_figures_that_matter_first_and_fits(page: tuple[Any, str], gateway: FiguresGateway) -> None:
    opened, name = page
    language = name.split("-")[1]
    texts = FIGURES_TEXTS[language]
    found = gateway.reader.read().figures
    assert opened.locator("h1").inner_text() == texts["title"]
    assert opened.locator("h2").first.inner_text() == texts["headline"]
    assert opened.locator("[data-figure=unrecognised]").inner_text() == f"{found.total.unrecognised.least:,}"
    stages = opened.locator(".funnel [data-figure]").evaluate_all("all => all.map(one => one.dataset.figure)")
    assert stages == ["offered", "opened", "recognised", "retested"]
    assert NAMES[3] in opened.locator(".absent").inner_text()
    assert opened.locator("#by-asker tbody tr").count() == 4
    assert opened.locator("#by-item tbody tr").count() == 15
    assert opened.locator("#by-month tbody tr").count() == opened.locator(".columns-chart li").count() == 12
    assert NAMES[1] in opened.locator(".differing").inner_text()
    assert fits(opened)
    picture(opened, f"figures-{name}")
    assert broken_rules(opened) == []


@pytest.mark.browser
@pytest.mark.parametrize("page", ["desktop-en-light"], indirect=True)
def test_a_period_is_chosen_kept_in_the_other_language_and_printed(page: tuple[Any, str]) -> None:
    opened, _ = page
    opened.get_by_role("link", name="3 months").click()
    opened.wait_for_url("**from=2026-09**")
    assert opened.locator("#by-month tbody tr").count() == 3
    assert opened.locator(".range").inner_text() == "2026-09 to 2026-11"
    opened.locator(".language").click()
    opened.wait_for_url("**lang=zh**from=2026-09**")
    assert opened.locator(".range").inner_text() == "2026-09 至 2026-11"
    with opened.expect_download() as download:
        opened.locator("a.csv").click()
    assert download.value.suggested_filename == "全市互认数据-2026-09_2026-11.csv"
    # On paper: no controls, and the colours of the bars.
    opened.emulate_media(media="print")
    assert not opened.locator(".periods").is_visible()
    assert opened.locator("[data-figure=unrecognised]").is_visible()
    folder = os.environ.get("CIVICLEDGER_SCREENSHOTS")
    if folder:
        opened.pdf(path=Path(folder) / "figures-print.pdf", format="A4")
