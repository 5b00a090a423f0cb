"""What surrounds every answer: limits, sizes, slow uploads, figures for the own machine only."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gateway import bodies
from gateway.licences.judging import LicenceDesk, Presented
from gateway.licences.routes import LicenceRoutes
from gateway.limits import RateLimit
from gateway.metrics import Metrics
from gateway.page import Page, load_static
from gateway.verifying import Verifier
from gateway.web import Web
from ledger.errors import LedgerError, UnavailableError
from scripts.benches.licence_issuer import MemoryIssuer


class Starting:
    """A city of which nothing was read yet."""

    problem: LedgerError | None = None

    def view(self) -> Any:
        raise UnavailableError("gateway.starting", "the gateway is reading the city", hint="ask again")


class Answered:
    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["code"])


class Caller:
    """Asks the application the way a server does."""

    def __init__(self, folder: Path, *, burst: int = 1000, verify_burst: int = 1000) -> None:
        static = load_static()
        metrics = Metrics()
        self.app = Web(
            Starting(),  # type: ignore[arg-type]
            Verifier(folder / "policy.json", lambda: 0, metrics),
            Page(static),
            static,
            metrics,
            RateLimit(0.001, burst, lambda: 0.0),
            RateLimit(0.001, verify_burst, lambda: 0.0),
            lambda: 1_790_000_000_000,
            LicenceRoutes(*MemoryIssuer().desk(metrics), RateLimit(0.001, burst, lambda: 0.0)),
        ).app()

    def ask(
        self,
        path: str,
        method: str = "GET",
        parts: tuple[bytes, ...] = (b"",),
        client: str = "127.0.0.1",
        stall: bool = False,
    ) -> Answered:
        return asyncio.run(self._ask(path, method, list(parts), client, stall))

    async def _ask(self, path: str, method: str, parts: list[bytes], client: str, stall: bool) -> Answered:
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            if stall and not parts:
                await asyncio.Event().wait()
            return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts) or stall}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"lang=en",
            "headers": [],
            "client": (client, 1),
            "server": ("localhost", 443),
            "scheme": "https",
            "http_version": "1.1",
            "root_path": "",
        }
        await self.app(scope, receive, send)  # type: ignore[arg-type]
        headers = {key.decode(): value.decode() for key, value in sent[0]["headers"]}
        return Answered(sent[0]["status"], headers, b"".join(item.get("body", b"") for item in sent[1:]))


def test_too_many_requests_are_refused_by_address(tmp_path: Path) -> None:
    caller = Caller(tmp_path, burst=2)
    assert [caller.ask("/static/page.js").status for _ in range(3)] == [200, 200, 429]
    refused = caller.ask("/v1/city")
    assert (refused.status, refused.code, refused.headers["retry-after"]) == (429, "gateway.too-many-requests", "1")
    assert caller.ask("/static/page.js", client="192.0.2.7").status == 200


def test_verifications_have_a_limit_of_their_own(tmp_path: Path) -> None:
    caller = Caller(tmp_path, verify_burst=1)
    assert caller.ask("/v1/verify", "POST", (b"{}",)).code == "gateway.no-policy"
    assert caller.ask("/v1/verify", "POST", (b"{}",)).code == "gateway.too-many-requests"
    assert caller.ask("/static/page.js").status == 200


def test_licences_have_a_limit_of_their_own(tmp_path: Path) -> None:
    caller = Caller(tmp_path, burst=2)
    asked = (json.dumps({"licence": "x"}).encode(),)
    assert caller.ask("/v1/licence/verify", "POST", asked).status == 200
    assert caller.ask("/v1/licence/verify", "POST", asked).status == 200
    assert caller.ask("/v1/licence/verify", "POST", asked).code == "gateway.too-many-requests"
    assert caller.ask("/static/page.js", client="192.0.2.7").status == 200


def test_a_body_is_refused_as_soon_as_it_is_too_large(tmp_path: Path) -> None:
    half = b"x" * (1 << 19)
    # The third part and all that might follow are never asked for.
    refused = Caller(tmp_path).ask("/v1/verify", "POST", (half, half, b"x"), stall=True)
    assert (refused.status, refused.code) == (413, "http.too-large")


def test_a_body_that_does_not_arrive_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "UPLOAD_S", 0.05)
    refused = Caller(tmp_path).ask("/v1/verify", "POST", (b"{",), stall=True)
    assert (refused.status, refused.code) == (408, "http.slow")


def test_figures_are_for_the_own_machine(tmp_path: Path) -> None:
    caller = Caller(tmp_path)
    assert caller.ask("/metrics").status == 200
    assert caller.ask("/metrics", client="192.0.2.7").status == 404


def test_before_the_first_reading_the_page_says_so_and_health_is_bad(tmp_path: Path) -> None:
    caller = Caller(tmp_path)
    page = caller.ask("/")
    assert page.status == 200
    assert "Reading the city" in page.body.decode()
    assert caller.ask("/healthz").status == 503
    assert caller.ask("/v1/city").code == "gateway.starting"


def test_a_defect_is_not_shown_to_the_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a secret of the inside")

    monkeypatch.setattr(Page, "render", broken)
    answer = Caller(tmp_path).ask("/")
    assert (answer.status, answer.code) == (500, "gateway.defect")
    assert b"secret" not in answer.body


def test_a_defect_is_written_down_without_what_was_handed_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(_desk: object, asked: Presented) -> None:
        raise ValueError(f"odd: {asked.licence}")

    monkeypatch.setattr(LicenceDesk, "judge", broken)
    body = json.dumps({"licence": "someone's name"}).encode()
    answer = Caller(tmp_path).ask("/v1/licence/verify", "POST", (body,))
    assert (answer.status, answer.code) == (500, "gateway.defect")
    written = "".join(capfd.readouterr())
    assert "ValueError" in written
    assert "test_web.py" in written
    assert "someone" not in written + answer.body.decode()


def test_names_from_the_chain_cannot_break_the_page(tmp_path: Path) -> None:
    problem = UnavailableError("x.y", "<script>alert(1)</script>", hint='"><img src=x>')
    page = Page(load_static()).render(None, problem, "en", 0)
    assert "<script>alert" not in page
    assert "<img src=x" not in page
