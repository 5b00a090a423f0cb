"""What a citizen is shown: asked of each node with a proof for that node alone, both sides of an exchange in one."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.citizens.texts import CITIZEN_TEXTS, REASONS
from gateway.page import load_static
from ledger.errors import UnavailableError, UntrustedError
from ledger.model import MemberStatus
from ledger.openid.idtoken import verify
from ledger.openid.proof import verify_proof
from tests.gateway.citizen_parts import NUMBER, Browser, SignInGateway

ISSUER, FETCHER, OTHER, GONE = (f"11310000DEM00004{letter}{letter}" for letter in "ABCD")
EXCHANGE = "ab" * 32


def member(uscc: str, handle: str, status: MemberStatus = MemberStatus.ACTIVE) -> Any:
    info = SimpleNamespace(uscc=uscc, handle=handle, status=status)
    return SimpleNamespace(chain=SimpleNamespace(info=info, name=f"名 {handle}"))


MEMBERS = (
    member(ISSUER, "issuer"),
    member(FETCHER, "fetcher"),
    member(OTHER, "other"),
    member(GONE, "gone", MemberStatus.SUSPENDED),
)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SignInGateway]:
    opened = SignInGateway(tmp_path_factory.mktemp("accesses"), MEMBERS)
    yield opened
    opened.close()


@pytest.fixture
def gateway(running: SignInGateway) -> SignInGateway:
    running.nodes.clear()
    running.asked.clear()
    running.asking.forget()
    return running


@pytest.fixture
def browser(gateway: SignInGateway) -> Browser:
    opened = Browser(gateway)
    opened.sign_in()
    return opened


def serves(gateway: SignInGateway, uscc: str, entries: Any, following: int = 0, **about: str) -> None:
    """A node that answers citizens."""
    said = {"member": uscc, "issuer": gateway.provider.issuer, "audience": gateway.client.id, **about}
    gateway.nodes[uscc, "/citizen"] = said
    page = entries if callable(entries) else {"member": uscc, "entries": entries, "next": following}
    gateway.nodes[uscc, "/citizen/accesses"] = page


def entry(index: int, **changes: Any) -> dict[str, Any]:
    return {
        "index": index,
        "time": 1_790_000_000_000 + index,
        "type": "licence.fetched",
        "role": "provider",
        "counterpart": FETCHER,
        "purpose": "aid",
        "matter": "事项",
        "exchange": EXCHANGE,
        "receipt": "cd" * 32,
        "complete": True,
        "title": {"zh": "驾驶证", "en": "Driving licence"},
        "fields": [{"name": "CZZT", "title": "姓名"}],
        **changes,
    }


def read(browser: Browser, before: int = 0) -> dict[str, Any]:
    answer = browser.ask("GET", f"/citizen/accesses?before={before}")
    assert answer.status == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return dict(json.loads(answer.text))


def test_both_sides_of_an_exchange_are_one_entry(gateway: SignInGateway, browser: Browser) -> None:
    serves(gateway, ISSUER, [entry(7)])
    serves(gateway, FETCHER, [entry(3, role="consumer", counterpart=ISSUER, title={}, matter="")])
    told = read(browser)
    (one,) = told["entries"]
    assert one["by"] == {"uscc": FETCHER, "name": "名 fetcher"}
    assert one["from"] == {"uscc": ISSUER, "name": "名 issuer"}
    assert (one["kind"], one["matter"], one["title"]["en"]) == ("fetched", "事项", "Driving licence")
    assert [record["proof"] for record in one["records"]] == [
        "/issuer/proof/inclusion?index=7",
        "/fetcher/proof/inclusion?index=3",
    ]
    assert {item["uscc"]: item["state"] for item in told["members"]} == {
        ISSUER: "answered",
        FETCHER: "answered",
        OTHER: "off",
    }
    assert NUMBER not in json.dumps(told)


def test_each_node_gets_a_proof_of_its_own_and_the_others_no_token(gateway: SignInGateway, browser: Browser) -> None:
    serves(gateway, ISSUER, [])
    serves(gateway, FETCHER, [], issuer="https://another.example")
    serves(gateway, OTHER, [], audience="another")
    assert {item["uscc"]: item["state"] for item in read(browser)["members"]} == {
        ISSUER: "answered",
        FETCHER: "off",
        OTHER: "off",
    }
    with_token = [(uscc, path, headers) for uscc, path, headers in gateway.asked if headers]
    ((uscc, path, headers),) = with_token
    assert uscc == ISSUER
    token, proof = headers["Authorization"].removeprefix("Bearer "), headers["Civicledger-Proof"]
    assert token not in path
    provider = gateway.desk._provider
    now = int(time.time())
    found = verify(
        token, provider.keys(), issuer=provider.issuer, audience=gateway.client.id, claim="id_number", now_s=now
    )
    verify_proof(proof, token, found.nonce, member=ISSUER, now_s=now)
    with pytest.raises(UntrustedError):
        verify_proof(proof, token, found.nonce, member=FETCHER, now_s=now)


def test_a_node_that_is_away_or_answers_nonsense_is_named(gateway: SignInGateway, browser: Browser) -> None:
    serves(gateway, ISSUER, [entry(1)])
    gateway.nodes[FETCHER, "/citizen"] = UnavailableError("node.unreachable", "away")
    bad: list[Any] = [
        {"member": ISSUER, "entries": [], "next": 0},
        {"member": OTHER, "entries": [entry(1, role="nobody")], "next": 0},
        {"member": OTHER, "entries": [entry(-1)], "next": 0},
        {"member": OTHER, "entries": [entry(1, type="licence.issued")], "next": 0},
        {"member": OTHER, "entries": [entry(1, matter="x" * 2_001)], "next": 0},
        {"member": OTHER, "entries": [{}], "next": 0},
        [],
    ]
    for page in bad:
        serves(gateway, OTHER, lambda _path, page=page: page)
        told = read(browser)
        states = {item["uscc"]: (item["state"], item["code"]) for item in told["members"]}
        assert states[OTHER] == ("failed", "node.answer")
        assert states[FETCHER] == ("failed", "node.unreachable")
        assert len(told["entries"]) == 1


def test_older_ones_wait_for_the_node_that_has_more(gateway: SignInGateway, browser: Browser) -> None:
    def paged(path: str) -> dict[str, Any]:
        before = int(path.split("before=")[1].partition("&")[0]) or 1 << 52
        rows = [entry(at, exchange=f"{at:064x}") for at in (9, 8, 7, 6)]
        left = [row for row in rows if row["time"] < before]
        return {"member": ISSUER, "entries": left[:2], "next": left[1]["time"] if len(left) > 2 else 0}

    serves(gateway, ISSUER, paged)
    serves(
        gateway, FETCHER, lambda path: {"member": FETCHER, "entries": [] if "before=0" not in path else own, "next": 0}
    )
    own = [entry(10, exchange="e" * 64, role="consumer"), entry(5, exchange="f" * 64, role="consumer")]
    first = read(browser)
    assert [one["records"][0]["index"] for one in first["entries"]] == [10, 9, 8]
    second = read(browser, first["next"])
    assert [one["records"][0]["index"] for one in second["entries"]] == [7, 6]
    assert second["next"] == 0


def test_a_use_by_a_departments_own_system(gateway: SignInGateway, browser: Browser) -> None:
    row = entry(4, type="access.used", role="own", counterpart="", exchange="", receipt="", title={}, system="pension")
    serves(gateway, OTHER, [row])
    (one,) = read(browser)["entries"]
    assert (one["kind"], one["by"]["uscc"], one["from"], one["system"]) == ("used", OTHER, None, "pension")


def test_nobody_else_sees_anything(gateway: SignInGateway) -> None:
    serves(gateway, ISSUER, [entry(7)])
    answer = Browser(gateway).ask("GET", "/citizen/accesses")
    assert (answer.status, answer.code) == (403, "citizen.signed-out")
    assert gateway.asked == []


@pytest.mark.parametrize("before", ["x", "-1", "01", str(1 << 63)])
def test_a_time_that_is_none(browser: Browser, before: str) -> None:
    answer = browser.ask("GET", f"/citizen/accesses?before={before}")
    assert (answer.status, answer.code) == (400, "http.number")


def test_where_nobody_signs_in_the_page_shows_no_sign_in(gateway: SignInGateway, tmp_path: Path) -> None:
    from gateway.licencepage import LicencePages

    static = load_static()
    for language in ("zh", "en"):
        assert "accesses" not in LicencePages(static).wallet(language)
        page = LicencePages(static, citizens=True).wallet(language)
        assert CITIZEN_TEXTS[language]["accesses_limits"] in page
    assert Browser(gateway).ask("GET", "/wallet").status == 200


def test_both_languages_say_everything() -> None:
    import re

    zh, en = CITIZEN_TEXTS["zh"], CITIZEN_TEXTS["en"]
    assert zh.keys() == en.keys()
    assert REASONS["zh"].keys() == REASONS["en"].keys()
    for key, text in en.items():
        assert re.findall(r"\{\w+\}", text) == re.findall(r"\{\w+\}", zh[key])
    script = "".join(load_static()[name].data.decode() for name in ("accesses.js", "citizen-session.js"))
    used = set(re.findall(r"\btexts\.([a-z_]+)", script)) | {"fetched", "used"}
    assert used - {"reasons"} <= en.keys()
