"""The page *my results* in a real browser: phone and desktop, both languages, both themes, keyboard and axe's rules."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from tests.chromium import PATIENCE_MS, broken_rules, chromium, picture
from tests.gateway.citizen_parts import NUMBER, SignInGateway
from tests.gateway.licence_tabs import PICTURED, SIZES, fits
from tests.gateway.patient_parts import FIRST, MEMBERS, SECOND, THIRD, Hospital, report, story

pytestmark = pytest.mark.browser
ALL = tuple("-".join(parts) for parts in product(SIZES, ("zh", "en"), ("light", "dark")))
#: Both sizes, both languages, both themes: every pair of them; all eight for pictures.
SHOWN = ALL if PICTURED else ("desktop-zh-light", "phone-en-dark")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SignInGateway]:
    opened = SignInGateway(tmp_path_factory.mktemp("patient"), MEMBERS)
    yield opened
    opened.close()


@pytest.fixture
def gateway(running: SignInGateway) -> SignInGateway:
    running.nodes.clear()
    running.asking.forget()
    running.results._quiet.clear()
    running.clock.ahead_ms = 0
    return running


class Reader:
    """Somebody with the page in one size, language and theme."""

    def __init__(self, browser: Any, gateway: SignInGateway, name: str) -> None:
        device, self.language, theme = name.split("-")
        self.gateway = gateway
        self.context = browser.new_context(
            viewport=SIZES[device],
            has_touch=device == "phone",
            ignore_https_errors=True,
            locale="zh-CN" if self.language == "zh" else "en-GB",
            timezone_id="Asia/Shanghai",
            color_scheme=theme,
        )
        self.context.set_default_timeout(PATIENCE_MS)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def sign_in(self) -> None:
        self.page.goto(f"{self.gateway.url}/patient")
        link = self.page.locator("#sign-in a")
        link.focus()
        self.page.keyboard.press("Enter")
        self.page.wait_for_url("http://127.0.0.1:*/**")
        self.page.get_by_text("演示甲").click()
        self.page.wait_for_url(f"{self.gateway.url}/patient**")
        self.settled()

    def settled(self) -> None:
        """What was asked is answered and shown."""
        self.page.locator("#said:empty").wait_for(state="attached")
        self.page.locator("#sharing").wait_for()

    def stop(self, button: str) -> None:
        """Stop sharing with the keyboard: the button, then the question whether one is sure."""
        self.page.locator(button).focus()
        self.page.keyboard.press("Enter")
        self.page.locator("#sure[open]").wait_for()
        self.page.keyboard.press("Tab")
        self.page.keyboard.press("Enter")
        self.page.locator("#done .outcome").wait_for()

    def outcomes(self) -> list[str]:
        found = self.page.locator("#done [data-outcome]")
        return list(found.evaluate_all("all => all.map(item => item.dataset.outcome)"))

    def close(self) -> None:
        assert self.complaints == []
        self.context.close()


@pytest.mark.parametrize("name", SHOWN)
def test_a_patient_sees_the_story_and_stops_sharing(browser: Any, gateway: SignInGateway, name: str) -> None:
    hospitals, reader = story(gateway), Reader(browser, gateway, name)
    zh = reader.language == "zh"
    page = reader.page
    page.goto(f"{gateway.url}/patient")
    page.locator("#sign-in a").wait_for()
    assert broken_rules(page) == []
    picture(page, f"patient-signed-out-{name}")
    reader.sign_in()
    assert [item.get_attribute("data-report") for item in page.locator(".report").all()] == [
        one["id"] for one in (hospitals[FIRST].reports[0], hospitals[SECOND].reports[0], *hospitals[FIRST].reports[1:])
    ]
    blood = page.locator(".report").first
    text = blood.inner_text()
    assert ("白细胞计数、红细胞计数" if zh else "Leukocytes, Erythrocytes") in text
    assert ("演示市中医医院的医师决定重新检查：血小板计数" if zh else "had a new test made: Platelets") in text
    assert ("变化较快" if zh else "changes fast") in text
    assert ("不再被任何医院采信" if zh else "No hospital relies on it") in page.locator(".report.void").inner_text()
    assert ("演示市民政局为办证取得了" if zh else "演示市民政局 was given its finding") in text
    assert page.locator("#searches-list li").count() == 2
    blood.locator("details").last.locator("summary").focus()
    page.keyboard.press("Enter")
    assert blood.locator("a").first.get_attribute("href") == "/first/proof/inclusion?index=7"
    assert broken_rules(page) == []
    assert fits(page)
    assert NUMBER not in page.inner_text("body") + page.url
    picture(page, f"patient-{name}")

    # The question first: without a yes nothing happens.
    page.locator("#all button").focus()
    page.keyboard.press("Enter")
    page.locator("#sure[open]").wait_for()
    assert broken_rules(page) == []
    picture(page, f"patient-sure-{name}")
    page.keyboard.press("Escape")
    page.locator("#sure[open]").wait_for(state="hidden")
    assert hospitals[FIRST].wishes == []
    # A hospital that went away meanwhile is not stopped there, and the page does not say so.
    hospitals[SECOND].leave()
    reader.stop("#all button")
    assert reader.outcomes() == ["changed", "unsure", "unknown"]
    assert hospitals[FIRST].wishes == [{"asker": "*", "permit": False}]
    said = page.locator("#done").inner_text()
    assert ("尚未全部办妥" if zh else "Not done everywhere") in said
    assert page.locator("#done a").get_attribute("href") == "/first/proof/inclusion?index=41"
    assert page.locator("#state").get_attribute("class") == "state some"
    assert broken_rules(page) == []
    assert fits(page)
    picture(page, f"patient-stopped-{name}")
    hospitals[SECOND].answer()
    page.locator("#done button").click()
    page.locator("#done .outcome.part").wait_for(state="detached")
    page.locator("#state.none").wait_for()
    assert hospitals[SECOND].wishes == [{"asker": "*", "permit": False}]
    assert page.locator("#state").get_attribute("class") == "state none"
    # Allowed again at one hospital, by its own button.
    page.locator("#at button").first.click()
    page.locator("#state.some").wait_for()
    assert hospitals[FIRST].wishes[-1] == {"asker": "*", "permit": True}
    assert hospitals[SECOND].wishes[-1] == {"asker": "*", "permit": False}
    page.locator("#sign-out").click()
    page.locator("#sign-in").wait_for()
    assert page.locator(".report").count() == 0
    assert page.evaluate("document.cookie + localStorage.length") == "0"
    reader.close()


def test_one_hospital_is_kept_from_seeing(browser: Any, gateway: SignInGateway) -> None:
    hospitals, reader = story(gateway), Reader(browser, gateway, "phone-zh-light")
    reader.sign_in()
    page = reader.page
    page.locator("#one summary").click()
    assert page.locator("#forbid-one").is_disabled()
    page.locator("#asker").select_option(THIRD)
    reader.stop("#forbid-one")
    # Its own results are no sharing: it is not asked.
    assert reader.outcomes() == ["changed", "changed"]
    assert hospitals[FIRST].wishes == hospitals[SECOND].wishes == [{"asker": THIRD, "permit": False}]
    assert hospitals[THIRD].wishes == []
    assert "例外：不让 演示市妇幼保健院 看到" in page.locator("#at").inner_text()
    assert broken_rules(page) == []
    assert fits(page)
    picture(page, "patient-one-phone-zh-light")
    reader.close()


def test_a_hospital_that_is_away_is_named_and_tried_again(browser: Any, gateway: SignInGateway) -> None:
    hospitals, reader = story(gateway), Reader(browser, gateway, "phone-en-light")
    hospitals[FIRST].leave()
    reader.sign_in()
    page = reader.page
    assert "演示市第一人民医院" in page.locator("#absent .alert").inner_text()
    assert page.locator(".report").count() == 1
    assert broken_rules(page) == []
    assert fits(page)
    picture(page, "patient-away-phone-en-light")
    hospitals[FIRST].answer()
    gateway.clock.ahead_ms += 5_000
    page.locator("#absent button").click()
    page.locator(".report >> nth=3").wait_for()
    assert page.locator("#absent .alert").count() == 0
    reader.close()


def test_nothing_anywhere_says_what_that_can_mean(browser: Any, gateway: SignInGateway) -> None:
    for uscc in (FIRST, SECOND, THIRD):
        Hospital(gateway, uscc, [], known=False)
    reader = Reader(browser, gateway, "phone-zh-dark")
    reader.sign_in()
    assert "若医院已按您的要求删除" in reader.page.locator("#reports").inner_text()
    assert reader.page.locator("#all button").count() == 0
    assert reader.page.locator("#one").is_hidden()
    assert broken_rules(reader.page) == []
    picture(reader.page, "patient-nothing-phone-zh-dark")
    reader.close()


def test_two_hundred_reports_and_a_slow_hospital(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    gateway = SignInGateway(tmp_path_factory.mktemp("many"), MEMBERS, deadline_s=3.0)
    hospitals, slow = story(gateway), threading.Event()
    hospitals[FIRST].reports = [report(number, "wbc rbc") for number in range(1, 201)]
    hospitals[FIRST].size = 20
    hospitals[SECOND].behind = slow.wait
    reader = Reader(browser, gateway, "desktop-en-light")
    try:
        reader.sign_in()
        page = reader.page
        # The slow one is named, and the others are there.
        assert "演示市中医医院" in page.locator("#absent .alert").inner_text()
        assert page.locator(".report").count() == 20
        page.locator("#more-row button").focus()
        page.keyboard.press("Enter")
        page.locator(".report >> nth=39").wait_for()
        assert page.evaluate("document.activeElement.className") == "report"
        shown = 40
        while page.locator("#more-row button").count():
            page.locator("#more-row button").first.click()
            # Either twenty more of those that are here, or the next pages of the hospital.
            page.locator("#said:empty").wait_for(state="attached")
            assert page.locator(".report").count() >= shown
            shown = page.locator(".report").count()
        found = page.locator(".report").evaluate_all("all => all.map(item => item.dataset.report)")
        assert len(found) == len(set(found)) == 200
        reader.close()
    finally:
        slow.set()
        gateway.close()
