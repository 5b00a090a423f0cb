"""What the gateway asks hospitals for a patient and brings to them: in parallel, within a deadline, nothing made up."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import gateway as gateway_package
from gateway.citizens.patienttexts import PATIENT_TEXTS
from gateway.page import load_static
from ledger.errors import UnavailableError
from ledger.openid.idtoken import verify
from ledger.openid.proof import verify_proof
from tests.gateway.citizen_parts import NUMBER, Browser, SignInGateway
from tests.gateway.patient_parts import CIVIL, FIRST, MEMBERS, SECOND, THIRD, Hospital, report, story

STOP = {"asker": "*", "permit": False}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SignInGateway]:
    opened = SignInGateway(tmp_path_factory.mktemp("results"), MEMBERS)
    yield opened
    opened.close()


@pytest.fixture
def gateway(running: SignInGateway) -> SignInGateway:
    running.nodes.clear()
    running.asked.clear()
    running.asking.forget()
    running.results._quiet.clear()
    running.clock.ahead_ms = 0
    return running


@pytest.fixture
def hospitals(gateway: SignInGateway) -> dict[str, Hospital]:
    return story(gateway)


@pytest.fixture
def browser(gateway: SignInGateway) -> Browser:
    opened = Browser(gateway)
    opened.sign_in()
    return opened


def read(browser: Browser, query: str = "") -> dict[str, Any]:
    answer = browser.ask("GET", f"/citizen/results{query}")
    assert (answer.status, answer.headers["cache-control"]) == (200, "no-store"), answer.text
    return dict(json.loads(answer.text))


def share(browser: Browser, wish: Any, **headers: str) -> Any:
    body = wish if isinstance(wish, str) else json.dumps(wish)
    return browser.ask("POST", "/citizen/sharing", body, **{"Content-Type": "application/json", **headers})


def states(told: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {one["uscc"]: (one["state"], one["code"]) for one in told["hospitals"]}


def test_all_hospitals_are_asked_and_nobody_else(
    gateway: SignInGateway, hospitals: dict[str, Hospital], browser: Browser
) -> None:
    told = read(browser)
    assert states(told) == dict.fromkeys((FIRST, SECOND, THIRD), ("answered", ""))
    first, second, third = told["hospitals"]
    assert first["reports"] == hospitals[FIRST].reports
    assert (second["known"], third["known"], third["reports"]) == (True, False, [])
    assert told["members"][FIRST] == {"name": "演示市第一人民医院", "handle": "first"}
    assert CIVIL not in {uscc for uscc, _, _ in gateway.asked}
    assert NUMBER not in json.dumps(told)
    assert all(NUMBER not in path for _, path, _ in gateway.asked)


def test_pages_of_one_hospital_are_put_together(hospitals: dict[str, Hospital], browser: Browser) -> None:
    hospitals[FIRST].reports = [report(number, "wbc") for number in range(1, 31)]
    hospitals[FIRST].size = 3
    first = read(browser)["hospitals"][0]
    seen = [one["id"] for one in first["reports"]]
    assert 3 <= len(seen) <= 24
    while first["next"]:
        (first,) = read(browser, f"?hospital={FIRST}&after={first['next']}")["hospitals"]
        seen += [one["id"] for one in first["reports"]]
    assert seen == [one["id"] for one in hospitals[FIRST].reports]


def test_one_that_is_slow_is_named_and_holds_nobody_up(tmp_path_factory: pytest.TempPathFactory) -> None:
    gateway = SignInGateway(tmp_path_factory.mktemp("slow"), MEMBERS, deadline_s=2.0)
    hospitals, late = story(gateway), threading.Event()
    hospitals[SECOND].behind = late.wait
    try:
        browser = Browser(gateway)
        browser.sign_in()
        assert states(read(browser))[SECOND] == ("failed", "node.late")
        # Let alone for a moment: not asked again.
        asked = len([one for one in gateway.asked if one[0] == SECOND])
        told = read(browser)
        assert states(told)[SECOND] == ("failed", "node.late")
        assert states(told)[FIRST] == ("answered", "")
        assert len([one for one in gateway.asked if one[0] == SECOND]) == asked
        late.set()
        gateway.clock.ahead_ms += 60_000
        assert states(read(browser))[SECOND] == ("answered", "")
    finally:
        late.set()
        gateway.close()


def test_one_that_is_away_or_answers_nonsense_is_named(
    gateway: SignInGateway, hospitals: dict[str, Hospital], browser: Browser
) -> None:
    hospitals[SECOND].leave()
    del gateway.nodes[THIRD, "/citizen/results"]
    told = states(read(browser))
    assert told == {FIRST: ("answered", ""), SECOND: ("failed", "node.unreachable"), THIRD: ("off", "")}
    good = hospitals[FIRST]._results("?after=")
    bad: list[Any] = [
        [],
        {},
        good | {"member": SECOND},
        good | {"known": 1},
        good | {"reports": [report(1, "x" * 20_001)]},
        good | {"reports": [report(1, "x", received=-1)]},
        good | {"reports": [report(1, "x") | {"events": [{}]}]},
        {name: value for name, value in good.items() if name != "sharing"},
    ]
    for page in bad:
        gateway.nodes[FIRST, "/citizen/results"] = lambda _path, page=page: page
        assert states(read(browser))[FIRST] == ("failed", "node.answer")


def test_a_wish_goes_to_each_with_a_proof_for_it_alone(
    gateway: SignInGateway, hospitals: dict[str, Hospital], browser: Browser
) -> None:
    gateway.asked.clear()
    done = json.loads(share(browser, STOP).text)["done"]
    assert [(one["uscc"], one["outcome"]) for one in done] == [
        (FIRST, "changed"),
        (SECOND, "changed"),
        (THIRD, "unknown"),
    ]
    assert (done[0]["record"], done[0]["proof"]) == (41, "/first/proof/inclusion?index=41")
    assert done[0]["sharing"]["all"] is False
    sent = {uscc: headers for uscc, path, headers in gateway.asked if path == "/citizen/sharing"}
    token, proof = sent[FIRST]["Authorization"].removeprefix("Bearer "), sent[FIRST]["Civicledger-Proof"]
    provider = gateway.desk._provider
    now = gateway.clock() // 1_000
    found = verify(
        token, provider.keys(), issuer=provider.issuer, audience=gateway.client.id, claim="id_number", now_s=now
    )
    deed = json.dumps(hospitals[FIRST].wishes[0], separators=(",", ":")).encode()
    name, _ = verify_proof(proof, token, found.nonce, member=FIRST, now_s=now, deed=deed)
    other, _ = verify_proof(sent[SECOND]["Civicledger-Proof"], token, found.nonce, member=SECOND, now_s=now, deed=deed)
    assert len({name, other, ""}) == 3


def test_what_did_not_answer_is_not_called_done(hospitals: dict[str, Hospital], browser: Browser) -> None:
    hospitals[SECOND].leave()
    done = json.loads(share(browser, STOP).text)["done"]
    assert [(one["outcome"], one["code"]) for one in done] == [
        ("changed", ""),
        ("unsure", "node.unreachable"),
        ("unknown", ""),
    ]
    # A wish is brought at once to one that was away a moment ago.
    hospitals[SECOND].answer()
    done = json.loads(share(browser, STOP).text)["done"]
    assert done[1]["outcome"] == "changed"


def test_to_one_hospital_and_at_one(hospitals: dict[str, Hospital], browser: Browser) -> None:
    done = json.loads(share(browser, {"asker": SECOND, "permit": False}).text)["done"]
    # Its own use is no sharing.
    assert [one["uscc"] for one in done] == [FIRST, THIRD]
    (one,) = json.loads(share(browser, {"asker": "*", "permit": False, "hospital": SECOND}).text)["done"]
    assert one["uscc"] == SECOND
    assert hospitals[FIRST].wishes == [{"asker": SECOND, "permit": False}]
    assert hospitals[SECOND].wishes == [STOP]


@pytest.mark.parametrize(
    ("wish", "status", "code"),
    [
        ("", 400, "citizen.wish"),
        ('{"asker":"*"}', 400, "citizen.wish"),
        ('{"asker":"*","permit":"no"}', 400, "citizen.wish"),
        ('{"asker":"*","permit":false,"patient":"x"}', 400, "citizen.wish"),
        ({"asker": CIVIL, "permit": False}, 400, "citizen.asker"),
        ({"asker": "x", "permit": False}, 400, "citizen.asker"),
        ({"asker": "*", "permit": False, "hospital": CIVIL}, 404, "citizen.hospital"),
        ('"' + "x" * 600 + '"', 413, "http.too-large"),
    ],
)
def test_wishes_that_are_none(
    hospitals: dict[str, Hospital], browser: Browser, wish: Any, status: int, code: str
) -> None:
    answer = share(browser, wish)
    assert (answer.status, answer.code) == (status, code)
    assert [one.wishes for one in hospitals.values()] == [[], [], []]


@pytest.mark.parametrize("query", ["?hospital=x", f"?after={'ab' * 32}", f"?hospital={FIRST}&after=zz"])
def test_questions_that_are_none(hospitals: dict[str, Hospital], browser: Browser, query: str) -> None:
    answer = browser.ask("GET", f"/citizen/results{query}")
    assert (answer.status, answer.code) == (400, "citizen.after")


def test_nobody_else_sees_or_changes_anything(gateway: SignInGateway, hospitals: dict[str, Hospital]) -> None:
    stranger = Browser(gateway)
    gateway.asked.clear()
    assert stranger.ask("GET", "/citizen/results").code == "citizen.signed-out"
    assert share(stranger, STOP).code == "citizen.signed-out"
    stranger.sign_in()
    refused = share(stranger, STOP, **{"Sec-Fetch-Site": "cross-site"})
    assert (refused.status, refused.code) == (403, "citizen.other-site")
    assert [uscc for uscc, path, _ in gateway.asked if path != "/citizen"] == []
    assert hospitals[FIRST].wishes == []


def test_a_sign_in_leads_back_to_the_page(browser: Browser) -> None:
    place = browser.ask("GET", "/citizen/sign-in?page=patient&lang=en").location
    assert browser.ask("GET", browser.choose(place)).location == "/patient?lang=en"


def test_a_city_that_is_being_read(gateway: SignInGateway, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    def starting() -> Any:
        raise UnavailableError("gateway.starting", "the gateway is reading the city")

    monkeypatch.setattr(gateway, "view", starting)
    assert browser.ask("GET", "/citizen/results").code == "gateway.starting"


def test_both_languages_say_everything_and_the_scripts_nothing_else() -> None:
    zh, en = PATIENT_TEXTS["zh"], PATIENT_TEXTS["en"]
    assert zh.keys() == en.keys()
    for key, text in en.items():
        assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", zh[key])), key
    scripts = "".join(
        file.data.decode() for name, file in load_static().items() if name.startswith(("patient", "citizen-"))
    )
    used = set(re.findall(r"\btexts\.(\w+)", scripts)) - {"reasons"}
    assert used <= en.keys()
    templates = Path(gateway_package.__file__).parent / "templates"
    page = "".join((templates / name).read_text("utf-8") for name in ("base.html", "patient.html"))
    used |= set(re.findall(r"\bt\.(\w+)", page)) | set(re.findall(r'add\("\w*", "(\w+)"\)', scripts))
    families = ("badge_", "event_", "purpose_", "reason_", "notice_", "via_", "state_", "did_", "laboratory", "imaging")
    outcomes = {"done", "done_part", "done_none"}
    assert "event_opened" in en
    assert {key for key in en if key not in used | outcomes and not key.startswith(families)} == set()
