"""The door for order systems over running hospitals: cards at order time, who may call, and what is on record."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from medical_city import USCC, City, eventually

from node.doctor_medical import medical
from node.medical.ordering import Ordering
from node.web.cds import Orders, order_door
from node.web.local import local_app
from node.web.statuspage import StatusPage
from node.web.statusview import StatusReader
from node.web.webserver import WebServer
from tests.ledger.medical.bundles import Person, identity_number
from tests.ledger.medical.orders import order, request

TOKEN = "a-token-of-the-order-system"
SIGN, SELECT = "/cds-services/recognition-order-sign", "/cds-services/recognition-order-select"


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """The eastern hospital's port, with the door on it."""

    port: int
    ordering: Ordering
    token_file: Path

    def ask(self, path: str, body: Any = None, method: str = "POST", **headers: str) -> tuple[int, Any, dict[str, str]]:
        """(status, JSON, headers)."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"content-type": "application/json", "authorization": f"Bearer {TOKEN}", "accept-language": "en"}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=180)
        try:
            connection.request(method, path, data if method == "POST" else None, given | headers)
            answer = connection.getresponse()
            named = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, json.loads(answer.read()), named
        finally:
            connection.close()

    def cards(self, who: Person, *codes: str, path: str = SIGN, **headers: str) -> list[dict[str, Any]]:
        """The cards of orders by LOINC code."""
        hook = "order-select" if path == SELECT else "order-sign"
        orders = [order(code, number=number, patient=who.local) for number, code in enumerate(codes)]
        status, value, _ = self.ask(path, request(*orders, hook=hook, person=who), **headers)
        assert status == 200, value
        return list(value["cards"])


@pytest.fixture(scope="module")
def door(clinic: City, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    node = clinic.nodes["east"]
    token_file = tmp_path_factory.mktemp("orders") / "token"
    token_file.write_text(TOKEN + "\n")
    ordering = Ordering(node.medical.speaking.dialogue, 60_000)
    page = StatusPage(StatusReader(node).read)
    app = local_app(lambda body: body, node.core.metrics, lambda: (True, ""), page, orders=Orders(ordering, token_file))
    server = WebServer(app, "127.0.0.1", 0, None, name="orders")
    server.start()
    yield Door(port=server.port, ordering=ordering, token_file=token_file)
    server.close()


@pytest.fixture
def who(clinic: City) -> Person:
    """A patient of this test's own, with a number that is well formed."""
    number = int(clinic.patient()[-4:])
    return Person(local=f"P{number}", identity=identity_number(number))


def test_discovery_lists_both_services_without_a_token(door: Door) -> None:
    status, value, headers = door.ask("/cds-services", method="GET", authorization="")
    assert status == 200
    assert [one["hook"] for one in value["services"]] == ["order-select", "order-sign"]
    assert {f"/cds-services/{one['id']}" for one in value["services"]} == {SIGN, SELECT}
    assert headers["cache-control"] == "no-store"


def test_a_recognisable_result_of_another_hospital_is_told_at_order_time(door: Door, clinic: City, who: Person) -> None:
    offer = clinic.report("west", f"ric:{who.identity}", "wbc", "haemoglobin")
    for path in (SIGN, SELECT):
        (card,) = door.cards(who, "6690-2", path=path)
        assert "(yesterday), 演示 west" in card["summary"]
        assert offer.report.hex() in card["detail"]
        assert "6.30" not in json.dumps(card)
        assert who.identity not in json.dumps(card)
    both = door.cards(who, "718-7", "6690-2", **{"accept-language": "zh-CN"})
    assert [card["summary"].partition("：")[2] for card in both] == [both[0]["summary"].partition("：")[2]] * 2
    assert "已有可互认的结果" in both[0]["summary"]
    # The doctor's desk opens what the card names; the search is counted as any is.
    assert clinic.open("east", "west", offer).step.state == "complete"
    assert offer.report in {bytes(one.report) for one in clinic.nodes["east"].medical.steps.shown()}


def test_nothing_is_told_where_there_is_nothing_to_recognise(door: Door, clinic: City, who: Person) -> None:
    clinic.report("west", f"ric:{who.identity}", "haemoglobin", taken_s=1_000_000_000)
    assert door.cards(who, "718-7", "6690-2") == []
    status, value, _ = door.ask(SIGN, request(order("no-such", patient=who.local), person=who))
    assert (status, value["cards"]) == (200, [])
    assert value["extension"]["civicledger-unmapped"][0]["code"] == "no-such"


def test_who_does_not_answer_is_named_and_the_cards_come(door: Door, clinic: City, who: Person) -> None:
    clinic.report("west", f"ric:{who.identity}", "wbc")
    going_on, slow = threading.Event(), clinic.parts["north"].pseudonyms
    slow.before_find = lambda: going_on.wait(300)
    door.ordering.deadline_ms = 2_500

    def cards() -> Any:
        # A loaded machine may be late as a whole, or make the others late as well: then it is asked again.
        status, value, _ = door.ask(SIGN, request(order("6690-2", patient=who.local), person=who))
        return status == 200 and len(value["cards"]) == 2 and value["cards"]

    try:
        card, away = eventually(cards, "the card, and who is absent")
        assert not going_on.is_set()
    finally:
        going_on.set()
        slow.before_find = None
        door.ordering.deadline_ms = 60_000
    assert "演示 west" in card["summary"]
    assert away["summary"].startswith("1 of 2 hospitals did not answer")
    assert "演示 north" in away["detail"]


def test_an_answer_that_is_late_as_a_whole_is_none(
    door: Door, clinic: City, who: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    going_on, pseudonyms = threading.Event(), clinic.parts["east"].pseudonyms

    def away(_identity: str, **_how: Any) -> Any:
        going_on.wait(300)
        return ()

    monkeypatch.setattr(pseudonyms, "of", away)
    door.ordering.deadline_ms = 200
    started = time.monotonic()
    try:
        status, value, _ = door.ask(SIGN, request(order("6690-2", patient=who.local), person=who))
        assert not going_on.is_set()
    finally:
        going_on.set()
        door.ordering.deadline_ms = 60_000
    assert (status, value["code"]) == (503, "cds.late")
    assert value["hint"]
    assert time.monotonic() - started > 0.19


def test_who_may_not_call_and_what_is_not_taken(door: Door, who: Person) -> None:
    good = request(order("6690-2", patient=who.local), person=who)
    stranger = {**good, "prefetch": {"patient": {**who.resource(), "identifier": []}}}
    answers = [
        (door.ask(SIGN, good, authorization=""), 401, "cds.token"),
        (door.ask(SIGN, good, authorization="Bearer another-token-than-this"), 401, "cds.token"),
        (door.ask(SIGN, good, authorization=f"Basic {TOKEN}"), 401, "cds.token"),
        (door.ask(SIGN, good, origin="https://evil.example"), 400, "http.foreign-page"),
        (door.ask(SIGN, good, host="evil.example"), 400, "http.foreign-page"),
        (door.ask(SIGN, good, **{"content-type": "text/plain"}), 415, "http.media"),
        (door.ask(SIGN, b"{"), 400, "cds.json"),
        (door.ask(SIGN, b" " * ((1 << 20) + 1)), 413, "http.too-large"),
        (door.ask(SELECT, good), 400, "cds.hook"),
        (door.ask(SIGN, {**good, "prefetch": {}}), 412, "cds.prefetch"),
        (door.ask(SIGN, stranger), 412, "cds.prefetch"),
        (door.ask("/cds-services/odd", good), 404, "cds.service"),
        # A card has no id, and so no client reports back.
        (door.ask(f"{SIGN}/feedback", {"feedback": []}), 404, "http.path"),
        (door.ask(SIGN, method="GET"), 405, "http.method"),
    ]
    for (found, value, headers), status, code in answers:
        assert (found, value["code"]) == (status, code)
        assert value["message"]
        assert who.identity not in json.dumps(value)
        assert ("www-authenticate" in headers) == (found == 401)


def test_the_token_is_read_anew_and_an_empty_file_lets_nobody_in(door: Door, who: Person) -> None:
    good = request(order("6690-2", patient=who.local), person=who)
    try:
        for text in ("", "short"):
            door.token_file.write_text(text)
            status, value, _ = door.ask(SIGN, good, authorization=f"Bearer {text}")
            assert (status, value["code"]) == (503, "cds.token-file")
        door.token_file.write_text("quite-another-token")
        assert door.ask(SIGN, good)[0] == 401
        assert door.ask(SIGN, good, authorization="Bearer quite-another-token")[0] == 200
    finally:
        door.token_file.write_text(TOKEN)


def test_the_doctor_says_when_the_file_holds_no_token(tmp_path: Path) -> None:
    (tmp_path / "orders").write_text("short")

    def found(name: str) -> list[str]:
        config = SimpleNamespace(medical=SimpleNamespace(order_token_file=name), folder=tmp_path)
        desk = SimpleNamespace(keeping=SimpleNamespace(exists=False), notices=SimpleNamespace(waiting=list))
        node: Any = SimpleNamespace(core=SimpleNamespace(config=config), medical=desk)
        return [one.code for one in medical(node)]

    assert [found(""), found("orders"), found("none")] == [[], ["orders.no-token"], ["orders.no-token"]]
    (tmp_path / "orders").write_text(TOKEN)
    assert found("orders") == []


def test_without_the_setting_there_is_no_door(clinic: City) -> None:
    node = clinic.nodes["east"]
    assert order_door(node.context) is None
    connection = http.client.HTTPConnection("127.0.0.1", node.core.config.local.port, timeout=180)
    try:
        connection.request("GET", "/cds-services")
        assert connection.getresponse().status == 404
    finally:
        connection.close()


def test_where_the_member_is_no_hospital_there_are_no_services(clinic: City) -> None:
    ordering = Ordering(clinic.nodes["health"].medical.speaking.dialogue, 1_000)
    assert ordering.services("en") == {"services": []}
    assert USCC["health"] == clinic.nodes["health"].context.member
