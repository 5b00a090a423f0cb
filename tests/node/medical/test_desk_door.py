"""The doctor's view as a program of the machine asks it: what is out of bounds is refused, nothing is a traceback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import pytest
from medical_city import USCC, City

from ledger.connections import PromptConnection
from ledger.v1 import medical_pb2_grpc as rpc
from ledger.webserver import HttpServer
from node.context import system_clock
from node.desk.results import Results
from node.desk.view import KEY_HEADER, DoctorView

SECRET = "s" * 32
OPEN = {"institution": USCC["west"], "report": "ab" * 32, "version": 1, "course": "acute", "nonce": "cd" * 32}
DECIDE = {"opening": "ab" * 32, "kind": "retest", "places": [0], "reason": "emergency", "nonce": "cd" * 32}


@pytest.fixture(scope="module")
def results(clinic: City) -> Results:
    stub = rpc.MedicalServiceStub(clinic.channel("east"))
    return Results(stub, clock=system_clock, names={})


@pytest.fixture(scope="module")
def port(results: Results) -> Iterator[int]:
    server = HttpServer(
        DoctorView(results, SECRET).app(),
        "127.0.0.1",
        0,
        None,
        name="desk",
        connection=PromptConnection,
        keep_alive_s=5,
        grace_s=1,
        settings="--port",
    )
    server.start()
    yield server.port
    server.close()


def ask(port: int, path: str, body: bytes, **headers: str) -> tuple[int, Any]:
    connection = HTTPConnection("127.0.0.1", port, timeout=180)
    try:
        connection.request("POST", path, body, {KEY_HEADER: SECRET, **headers})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        *(("/open", OPEN | {"version": number}) for number in (-1, 0, 1 << 31, 1 << 32, 1 << 70, 1.5, True)),
        *(("/decide", DECIDE | {"places": places}) for places in ([-1], [1 << 32], [1 << 70], [1_000], [0] * 1_001, 0)),
        ("/search", {"identity": "x", "course": "acute", "more": 1}),
        ("/statistics", {"since": 1 << 70}),
        ("/statistics", []),
    ],
)
def test_what_no_page_sends_is_refused(port: int, path: str, value: object) -> None:
    status, answer = ask(port, path, json.dumps(value).encode())
    assert (status, answer["code"]) in {(400, "http.body"), (400, "http.number")}


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"identity":"\\ud800","course":"acute"}', b"[" * 60_000])
def test_what_is_no_json_is_refused(port: int, body: bytes) -> None:
    status, answer = ask(port, "/search", body)
    assert (status, answer["code"]) == (400, "http.body")


def test_a_page_that_names_another_host_or_has_no_secret_gets_nothing(port: int) -> None:
    body = json.dumps({"identity": "ric:1", "course": "acute"}).encode()
    for headers, code in (
        ({"Host": "evil.example:80"}, "http.foreign-page"),
        ({"Host": "127.0.0.1.evil.example"}, "http.foreign-page"),
        ({KEY_HEADER: ""}, "desk.key"),
        ({KEY_HEADER: "\xe9" * 32}, "desk.key"),
    ):
        assert ask(port, "/search", body, **headers)[1]["code"] == code


def test_a_defect_is_said_without_its_words(
    port: int, results: Results, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> object:
        raise ValueError("ric:11010119900307793X")

    capfd.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr(results, "search", broken)
        status, answer = ask(port, "/search", json.dumps({"identity": "ric:1", "course": "acute"}).encode())
    assert (status, answer["code"]) == (500, "node.defect")
    assert "11010119900307793X" not in "".join(capfd.readouterr()) + json.dumps(answer)
