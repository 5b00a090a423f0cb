"""The citizen of the running city: signs in with a real browser, sees the fetch of the story, signs out; and what nodes
answer to tokens that are not for them."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ledger.openid.proof import ProofKey
from node.city.signingin import PEOPLE
from node.config import load_config
from tests.chromium import PATIENCE_MS, broken_rules, chromium, picture
from tests.gateway.conftest import RunningCity
from tests.gateway.licence_tabs import fits

ISSUER, FETCHER = "transport", "labour"
SIZES = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}


def person(city: RunningCity) -> dict[str, str]:
    """The invented citizen whom the story was about."""
    found: dict[str, str] = json.loads((city.folder / PEOPLE).read_text("utf-8"))[0]
    return found


def ask(city: RunningCity, handle: str, token: str = "", proof: str = "") -> tuple[int, dict[str, Any]]:
    """What a member's node answers a citizen over its public door."""
    config = load_config(city.folder / handle)
    context = ssl.create_default_context(cadata=config.certificate_file.read_text("ascii"))
    context.check_hostname = False
    connection = http.client.HTTPSConnection("127.0.0.1", config.https.port, context=context, timeout=180)
    try:
        headers = {"Authorization": f"Bearer {token}", "Civicledger-Proof": proof} if token else {}
        connection.request("GET", "/citizen/accesses", headers=headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def uscc(city: RunningCity, handle: str) -> str:
    return load_config(city.folder / handle).member.uscc


def test_a_node_answers_the_citizen_and_nobody_who_has_seen_the_token(running_city: RunningCity) -> None:
    key, now = ProofKey.generate(), int(time.time())
    token = running_city.identity.id_token(person(running_city), key.nonce)
    proof = key.prove(token, uscc(running_city, ISSUER), now)
    status, page = ask(running_city, ISSUER, token, proof)
    assert status == 200
    assert [entry["counterpart"] for entry in page["entries"]] == [uscc(running_city, FETCHER)]
    refused = {
        "citizen.no-token": ask(running_city, ISSUER),
        # The issuer's node cannot ask the fetcher's with what it was given.
        "citizen.proof": ask(running_city, FETCHER, token, proof),
        "citizen.token-form": ask(running_city, ISSUER, "x", proof),
        "citizen.token-signature": ask(running_city, ISSUER, token[:-8] + "A" * 8, proof),
    }
    assert {code: answer["code"] for code, (_, answer) in refused.items()} == {code: code for code in refused}
    assert person(running_city)["number"] not in json.dumps([page, *refused.values()])


def test_no_server_wrote_down_who_asked(running_city: RunningCity) -> None:
    key, who = ProofKey.generate(), person(running_city)
    token = running_city.identity.id_token(who, key.nonce)
    ask(running_city, ISSUER, token, key.prove(token, uscc(running_city, ISSUER), int(time.time())))
    for name in ("gateway", *(founder for founder in (ISSUER, FETCHER, "civil", "data", "audit"))):
        text = (running_city.folder / name / "output.log").read_text("utf-8", "replace")
        assert who["number"] not in text
        assert token.split(".")[1] not in text


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


@pytest.mark.browser
@pytest.mark.parametrize("name", ["phone-zh-dark", "desktop-en-light", "phone-en-light"])
def test_a_citizen_signs_in_sees_who_fetched_and_signs_out(running_city: RunningCity, browser: Any, name: str) -> None:
    device, language, theme = name.split("-")
    context = browser.new_context(
        viewport=SIZES[device],
        ignore_https_errors=True,
        locale="zh-CN" if language == "zh" else "en-GB",
        color_scheme=theme,
    )
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{running_city.url}/wallet")
    assert broken_rules(page) == []
    who = person(running_city)
    link = page.locator("#sign-in a")
    # With the keyboard alone.
    link.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("http://127.0.0.1:*/**")
    assert "演示" in page.inner_text("h1")
    page.get_by_text(who["name"]).click()
    page.wait_for_url(f"{running_city.url}/wallet**")
    entry = page.locator("#accesses-list .use")
    entry.wait_for()
    assert entry.count() == 1
    text = entry.inner_text()
    assert "演示市人社局" in text
    assert "演示：驾驶岗位报名" in text
    assert ("获取了证照" if language == "zh" else "fetched a licence") in text
    assert page.locator("#accesses-members").inner_text() == ""
    entry.locator("summary").focus()
    page.keyboard.press("Enter")
    links = entry.locator(".proofs a")
    links.first.wait_for()
    assert links.count() == 2
    proof = running_city.get(links.first.get_attribute("href") or "").json()
    assert proof["hashes"]
    assert broken_rules(page) == []
    assert fits(page)
    picture(page, f"accesses-{name}")
    assert who["number"] not in page.url
    assert who["number"] not in page.inner_text("body")
    page.locator("#sign-out").click()
    page.locator("#sign-in").wait_for()
    assert entry.count() == 0
    assert page.evaluate("document.cookie") == ""
    page.reload()
    page.locator("#sign-in").wait_for()
    assert broken_rules(page) == []
    assert complaints == []
    context.close()


@pytest.mark.browser
def test_a_sign_in_that_was_cancelled_is_a_page_one_can_go_on_from(running_city: RunningCity, browser: Any) -> None:
    context = browser.new_context(viewport=SIZES["phone"], ignore_https_errors=True, locale="en-GB")
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(f"{running_city.url}/wallet?lang=en")
    page.locator("#sign-in a").click()
    page.get_by_text("Cancel").click()
    page.locator("[data-code='citizen.refused']").wait_for()
    assert broken_rules(page) == []
    assert fits(page)
    picture(page, "sign-in-cancelled")
    page.get_by_text("Back").click()
    page.locator("#sign-in").wait_for()
    context.close()
