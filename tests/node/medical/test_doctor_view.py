"""The doctor's view in a real browser: the command serves it, the nodes are real, decisions end up in both logs."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from medical_city import DAY_S, ROOT, USCC, City

from ledger.v1 import medical_pb2 as pb
from node.desk.words import WORDS
from tests.chromium import PATIENCE_MS, broken_rules, chromium, picture

pytestmark = pytest.mark.browser

SIZES = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
PICTURED = bool(os.environ.get("CIVICLEDGER_SCREENSHOTS"))
TABS = ("desktop-zh-light", "phone-en-dark", *(("desktop-en-light", "phone-zh-dark") if PICTURED else ()))
ONCE = pytest.mark.parametrize("tab", ["phone-en-dark"], indirect=True)
BLOOD = ("wbc", "haemoglobin", "platelets")


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The address that the command printed."""

    url: str
    secret: str

    def ask(self, path: str, value: object, **headers: str) -> tuple[int, Any]:
        """(status, JSON) of a request by another program of the machine."""
        connection = HTTPConnection("127.0.0.1", int(self.url.rsplit(":", 1)[1]), timeout=180)
        try:
            connection.request("POST", path, json.dumps(value), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()


_IGNORE = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"


@pytest.fixture(scope="module")
def desk(clinic: City) -> Iterator[Desk]:
    """``civicledger medical desk`` at the eastern hospital."""
    words = ["medical", "desk", "--operator", "dr-7", "--node", str(clinic.foundings["east"].folder)]
    process = subprocess.Popen(
        # As in the background of a script, where SIGINT is ignored: the command ends all the same.
        [sys.executable, "-c", f"{_IGNORE}; from node.cli.main import main; main()", *words],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "CIVICLEDGER_LANG": "en"},
    )
    assert process.stdout is not None
    printed = ""
    while not (found := re.search(r"(http://127\.0\.0\.1:\d+)/#(\S+)", printed)):
        line = process.stdout.readline()
        assert line, f"the command ended: {printed}"
        printed += line
    yield Desk(url=found[1], secret=found[2])
    process.send_signal(signal.SIGINT)
    assert process.wait(120) == 0
    process.stdout.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


class Tab:
    """The page in one size, language and theme."""

    def __init__(self, context: Any, desk: Desk, name: str) -> None:
        self.name, self.language = name, name.split("-")[1]
        self.page = context.new_page()
        self.complaints: list[str] = []
        self.answers: list[str] = []
        self.elsewhere: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda one: one.url.startswith(desk.url + "/") or self.elsewhere.append(one.url))
        self.page.on("response", self._answered)
        self.page.goto(f"{desk.url}/#{desk.secret}")

    def _answered(self, response: Any) -> None:
        if response.request.method == "POST":
            self.answers.append(response.text())

    def search(self, identity: str) -> None:
        self.page.fill("#identity", identity)
        self.page.click("#search")
        self.page.wait_for_selector("#state[data-done]")

    def item(self, name: str) -> Any:
        """The row of an item by its name in the page's language."""
        return self.page.locator(".item", has=self.page.locator("h3", has_text=name))


@pytest.fixture
def tab(request: pytest.FixtureRequest, browser: Any, desk: Desk) -> Iterator[Tab]:
    device, language, theme = request.param.split("-")
    context = browser.new_context(
        viewport=SIZES[device],
        has_touch=device == "phone",
        locale="zh-CN" if language == "zh" else "en-GB",
        color_scheme=theme,
    )
    context.set_default_timeout(PATIENCE_MS)
    opened = Tab(context, desk, request.param)
    yield opened
    assert (opened.complaints, opened.elsewhere) == ([], [])
    context.close()


def fits(page: Any) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


@pytest.mark.parametrize("tab", TABS, indirect=True)
def test_a_doctor_sees_why_opens_and_decides(tab: Tab, clinic: City) -> None:
    who, words, page = clinic.patient(), WORDS[tab.language], tab.page
    offer = clinic.report("west", who, *BLOOD)
    now_s = clinic.nodes["west"].context.clock() // 1_000
    clinic.report("north", who, "wbc", taken_s=now_s - 3_000 * DAY_S)
    clinic.report("east", who, "haemoglobin")
    assert "#" not in page.url
    tab.search(who)
    picture(page, f"doctor-{tab.name}-offered")
    assert (fits(page), broken_rules(page)) == (True, [])
    names = {code: clinic.parts["east"].rules.rules.item(code) for code in BLOOD}
    shown = {code: (item.zh if tab.language == "zh" else item.en) for code, item in names.items() if item}
    assert page.locator(".report").count() == 3
    assert page.get_by_text(words["own"]).count() == 1
    assert page.locator(".item[data-recognisable=false] .verdict li").count() >= 1
    # No value before a report is opened, neither on the page nor on its way.
    assert not any("4.60" in answer or who in answer for answer in tab.answers)
    report = page.locator(".report", has=page.locator("h2", has_text="演示 west"))
    report.get_by_role("button", name=words["open"]).click()
    page.wait_for_selector("[data-opened]")
    count = tab.item(shown["wbc"]).and_(report.locator(".item"))
    assert count.locator("dd.value").inner_text() == "4.60 10*9/L"
    assert "4.0–11.0" in count.inner_text()
    assert report.locator(".item dt", has_text=words["label"]).count() == 3
    picture(page, f"doctor-{tab.name}-opened")
    assert (fits(page), broken_rules(page)) == (True, [])
    # One click recognises; two say why it is done again.
    count.get_by_role("button", name=words["recognise"]).click()
    report.locator(".item[data-decided=recognise]").wait_for()
    again = report.locator(".item", has=page.locator("h3", has_text=shown["haemoglobin"]))
    again.locator("summary").click()
    assert (fits(page), broken_rules(page)) == (True, [])
    again.locator(".reason").nth(3).click()
    report.locator(".item[data-decided=retest]").wait_for()
    picture(page, f"doctor-{tab.name}-decided")
    assert (fits(page), broken_rules(page)) == (True, [])
    for type_ in ("medical.opened", "medical.recognised", "medical.retested"):
        (here,) = clinic.records("east", type_, offer.report)
        (there,) = clinic.records("west", type_, offer.report)
        assert here.body["receipt"] == there.body["receipt"]
    (said,) = clinic.records("west", "medical.retested", offer.report)
    assert said.body["reason"] == "emergency"


@ONCE
def test_what_is_left_is_recognised_together(tab: Tab, clinic: City) -> None:
    who = clinic.patient()
    offer = clinic.report("north", who, *BLOOD)
    tab.search(who)
    tab.page.get_by_role("button", name="Open the report").click()
    tab.page.wait_for_selector("[data-opened]")

    def lost(route: Any) -> None:
        route.fetch()
        route.abort()

    # The node did it, and the answer was lost: pressed again it is the same decision.
    tab.page.route("**/decide", lost)
    tab.page.get_by_role("button", name="Recognise all that may be (3)").click()
    tab.page.wait_for_selector(".report > .said .alert")
    tab.page.unroute("**/decide")
    tab.page.get_by_role("button", name="Recognise all that may be (3)").click()
    tab.page.locator(".item[data-decided=recognise]").nth(2).wait_for()
    (record,) = clinic.records("east", "medical.recognised", offer.report)
    assert record.body["items"] == 3


@ONCE
def test_who_is_away_is_named_and_what_changed_is_said(tab: Tab, clinic: City) -> None:
    who, slow = clinic.patient(), threading.Event()
    offer = clinic.report("west", who, "wbc")
    clinic.parts["north"].pseudonyms.before_find = slow.wait
    try:
        tab.search(who)
    finally:
        slow.set()
        clinic.parts["north"].pseudonyms.before_find = None
    alert = tab.page.locator("#state .alert").inner_text()
    assert "No answer in time" in alert
    assert "演示 north" in alert
    clinic.withdraw("west", offer.report)
    tab.page.get_by_role("button", name="Open the report").click()
    tab.page.wait_for_selector(".report .alert")
    assert "medical.withdrawn" in tab.page.locator(".report > .said").inner_text()
    tab.page.fill("#identity", clinic.patient())
    tab.page.evaluate("delete document.getElementById('state').dataset.done")
    tab.page.click("#search")
    tab.page.wait_for_selector("#state[data-done]")
    assert "No results" in tab.page.locator("#state").inner_text()


@ONCE
def test_a_report_that_cannot_be_shown_is_said_so(tab: Tab, clinic: City) -> None:
    who = clinic.patient()
    offer = clinic.report("west", who, "wbc")
    rows = clinic.parts["west"].reports.rows
    rows[offer.report] = replace(rows[offer.report], data=b'{"resourceType":"Binary"}')
    tab.search(who)
    tab.page.get_by_role("button", name="Open the report").click()
    tab.page.wait_for_selector(".report .alert")
    assert "medical.report-unreadable" in tab.page.locator(".report > .said").inner_text()


@ONCE
def test_what_is_not_as_offered_is_shown_and_cannot_be_recognised(tab: Tab, clinic: City) -> None:
    who = clinic.patient()
    offer = clinic.report("west", who, *BLOOD)
    clinic.said_otherwise("west", offer, 1, item="sodium")
    tab.search(who)
    tab.page.get_by_role("button", name="Open the report").click()
    tab.page.wait_for_selector("[data-opened]")
    items = tab.page.locator(".item")
    assert items.nth(1).locator(".verdict").inner_text().endswith(WORDS["en"]["differs"])
    assert items.nth(1).get_by_role("button", name="Recognise").count() == 0
    assert tab.page.get_by_role("button", name="Recognise all that may be (2)").count() == 1
    assert (fits(tab.page), broken_rules(tab.page)) == (True, [])


@pytest.mark.parametrize("tab", TABS, indirect=True)
def test_the_figures_are_those_of_the_node_and_leave_as_csv(tab: Tab, desk: Desk, clinic: City, tmp_path: Path) -> None:
    who, words, page = clinic.patient(), WORDS[tab.language], tab.page
    offer = clinic.report("west", who, *BLOOD)
    clinic.search("east", who)
    opening = bytes(clinic.open("east", "west", offer).step.step)
    clinic.decide("east", opening, places=[0, 1])
    clinic.decide("east", opening, "retest", places=[2], reason="before-major-procedure")
    answer = clinic.service("east").Statistics(pb.MedicalStatisticsRequest(), timeout=180)
    (total,) = [one for one in answer.figures if one.by == "total" and not one.reason]
    assert total.recognised >= 2
    assert total.saved_cents > 0
    page.get_by_role("link", name=words["figures"]).click()
    page.wait_for_selector("#state[data-done]", state="attached")
    shown = {kind: page.locator(f".total.{kind} dd").inner_text() for kind in ("opened", "recognised", "retested")}
    assert shown == {
        "opened": str(total.opened),
        "recognised": str(total.recognised),
        "retested": str(total.retested),
    }
    saved = page.locator(".total.saved dd").inner_text().replace(",", "")
    assert saved == f"{total.saved_cents / 100:.2f}"
    titles = page.locator(".chart h2").all_inner_texts()
    assert titles == [words[f"by_{by}"] for by in ("provider", "asker", "item", "specialty", "reason")]
    assert "演示 west" in page.locator(".chart").first.inner_text()
    picture(page, f"figures-{tab.name}")
    assert (fits(page), broken_rules(page)) == (True, [])
    with page.expect_download() as arriving:
        page.click("#csv")
    arriving.value.save_as(tmp_path / "figures.csv")
    with (tmp_path / "figures.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["recognised"] for row in rows if row["by"] == "total" and not row["reason"]] == [str(total.recognised)]
    reasons = {row["reason"]: int(row["retested"]) for row in rows if row["reason"]}
    assert reasons == {one.reason: one.retested for one in answer.figures if one.by == "total" and one.reason}
    assert {row["key"] for row in rows if row["by"] == "item"} >= set(BLOOD)
    page.select_option("#since", "7")
    page.wait_for_selector("#state[data-done='7']", state="attached")
    assert page.locator(".total.recognised dd").inner_text() == str(total.recognised)
    assert desk.ask("/statistics", {"since": -1}, **{"civicledger-desk": desk.secret})[0] == 400


def test_without_the_secret_nothing_is_asked(desk: Desk, clinic: City) -> None:
    asked = {"identity": clinic.patient(), "course": "chronic"}
    key = {"civicledger-desk": desk.secret}
    assert desk.ask("/search", asked, **key)[0] == 200
    for headers, status, code in (
        ({}, 403, "desk.key"),
        ({"civicledger-desk": "x"}, 403, "desk.key"),
        ({**key, "Host": "evil.example"}, 400, "http.foreign-page"),
    ):
        found, answer = desk.ask("/search", asked, **headers)
        assert (found, answer["code"]) == (status, code)
    step = {"institution": USCC["west"], "report": "00" * 32, "version": 1, "course": "chronic", "nonce": "11" * 32}
    for path, value, code in (
        ("/search", {}, "http.body"),
        ("/search", asked | {"course": "odd"}, "input.field"),
        ("/open", step | {"report": "zz"}, "identifier.hex32"),
        ("/open", step, "medical.report-unknown"),
        (
            "/decide",
            {"opening": "00" * 32, "kind": "recognise", "places": [0], "nonce": "22" * 32},
            "medical.not-opened",
        ),
        ("/decide", {"opening": "00" * 32, "kind": "retest", "places": [], "nonce": "22" * 32}, "medical.places"),
        ("/nothing", {}, "http.path"),
    ):
        assert desk.ask(path, value, **key)[1]["code"] == code


def test_both_languages_say_everything_and_the_script_no_more() -> None:
    assert WORDS["zh"].keys() == WORDS["en"].keys()
    for key, text in WORDS["en"].items():
        assert re.findall(r"\{\w+\}", text) == re.findall(r"\{\w+\}", WORDS["zh"][key]), key
    for script in (ROOT / "node" / "desk" / "static").glob("*.js"):
        assert set(re.findall(r"words\.([a-z_]+)", script.read_text("utf-8"))) <= WORDS["en"].keys()
