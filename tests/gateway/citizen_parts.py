"""A gateway at which citizens sign in: its routes behind TLS, a real provider, and nodes in memory."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from gateway.citizens.accesses import Accesses
from gateway.citizens.nodes import CitizenNodes
from gateway.citizens.page import ProblemPage
from gateway.citizens.patientpage import PatientPage
from gateway.citizens.results import Results
from gateway.citizens.routes import CitizenRoutes
from gateway.citizens.signin import SignInDesk
from gateway.config import SignIn
from gateway.licences.routes import LicenceRoutes
from gateway.limits import RateLimit
from gateway.metrics import Metrics
from gateway.page import Page, load_static
from gateway.verifying import Verifier
from gateway.web import Web
from ledger.connections import PromptConnection
from ledger.errors import LedgerError, NotFoundError
from ledger.webserver import HttpServer
from node.city.provider import CLAIM, Client, DemoProvider
from tests.gateway.licence_samples import known_issuer
from tests.gateway.licence_tabs import _tls

NUMBER, OTHER = "31010119000101002X", "310101190001010046"


class Clock:
    """The machine's clock, which a test may move on. Unix milliseconds."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def __call__(self) -> int:
        return time.time_ns() // 1_000_000 + self.ahead_ms


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer to a browser."""

    status: int
    headers: Mapping[str, str]
    cookies: tuple[str, ...]
    text: str

    @property
    def location(self) -> str:
        return self.headers["location"]

    @property
    def code(self) -> str:
        """Of a refusal: in JSON, or on the page of a failed sign-in."""
        found = re.search(r'data-code="([^"]+)"', self.text)
        return found[1] if found else str(json.loads(self.text)["code"])


class Provider(DemoProvider):
    """The demonstration's provider, whose tokens a test may spoil: ``spoil(token) -> token``."""

    spoil: Any = None

    def id_token(self, person: dict[str, str], nonce: str) -> str:
        good = super().id_token(person, nonce)
        return good if self.spoil is None else str(self.spoil(good))


class SignInGateway:
    """The gateway. ``nodes``: answers by (USCC, path without query), and what each was asked with."""

    def __init__(
        self, folder: Path, members: tuple[Any, ...] = (), *, deadline_s: float = 120.0, **settings: Any
    ) -> None:
        self.clock = Clock()
        self.members = members
        self.nodes: dict[tuple[str, str], Any] = {}
        self.asked: list[tuple[str, str, Mapping[str, str]]] = []
        self.problem: LedgerError | None = None
        metrics, static = Metrics(), load_static()
        self.metrics = metrics

        def limit() -> RateLimit:
            return RateLimit(1000.0, 10_000, time.monotonic)

        self.certificate, context = _tls(folder)
        people = folder / "citizens.json"
        people.write_text(
            json.dumps([{"name": "演示甲", "number": NUMBER}, {"name": "演示乙", "number": OTHER}]), "utf-8"
        )
        self._people = people
        licence_desk, issuers = known_issuer().desk(metrics)
        routes = LicenceRoutes(licence_desk, issuers, limit())
        verifier = Verifier(folder / "policy.json", self.clock, metrics)
        # The port is known once it is bound, and the settings name it.
        self._app: Any = None

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await self._app(scope, receive, send)

        self.server = HttpServer(
            app,
            "127.0.0.1",
            0,
            context,
            name="https",
            connection=PromptConnection,
            keep_alive_s=30,
            grace_s=5,
            settings="gateway.toml",
        )
        self.client = Client(id="gateway", secret="s e:c", redirect_uri=f"{self.url}/citizen/callback")
        self.provider = Provider(people, self.client)
        self.settings = SignIn(
            **{
                "issuer": self.provider.issuer,
                "client_id": self.client.id,
                "secret": self.client.secret,
                "claim": CLAIM,
                "scopes": "openid",
                "public_url": self.url,
                **settings,
            }
        )
        self.desk = SignInDesk(self.settings, self.clock)
        self.asking = CitizenNodes(self, self.settings, self.clock)  # type: ignore[arg-type]
        self.accesses = Accesses(self.asking)
        self.results = Results(self.asking, self.clock, deadline_s=deadline_s)
        self.routes = CitizenRoutes(
            self.desk, self.accesses, self.results, ProblemPage(static), PatientPage(static), metrics, limit()
        )
        web = Web(
            self,  # type: ignore[arg-type]
            verifier,
            Page(static, citizens=True),
            static,
            metrics,
            limit(),
            limit(),
            self.clock,
            routes,
            self.routes,
        )
        self._app = web.app()
        self.server.start()

    @property
    def url(self) -> str:
        return f"https://localhost:{self.server.port}"

    def close(self) -> None:
        self.server.close()
        self.provider.close()
        self.accesses.close()
        self.results.close()

    # --- the city -----------------------------------------------------------------------------------------------------

    def view(self) -> Any:
        """The last reading: the members."""
        return self

    def ask(self, uscc: str, path: str, headers: Mapping[str, str] | None = None) -> bytes:
        self.asked.append((uscc, path, headers or {}))
        found = self.nodes.get((uscc, path.partition("?")[0]), NotFoundError("http.path", "nothing here"))
        if isinstance(found, LedgerError):
            raise found
        return json.dumps(found(path) if callable(found) else found).encode()

    def post(self, uscc: str, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
        self.asked.append((uscc, path, headers or {}))
        found = self.nodes.get((uscc, f"POST {path}"), NotFoundError("http.path", "nothing here"))
        if isinstance(found, LedgerError):
            raise found
        return json.dumps(found(body)).encode()


class Browser:
    """What a browser does: keeps cookies, is sent on by hand, step by step."""

    def __init__(self, gateway: SignInGateway) -> None:
        self.gateway = gateway
        self.cookies: dict[str, str] = {}

    def ask(self, method: str, url: str, body: str | None = None, **headers: str) -> Answer:
        parts = urlsplit(url if url.startswith("http") else self.gateway.url + url)
        own = parts.port == self.gateway.server.port
        context = ssl.create_default_context(cadata=self.gateway.certificate.decode())
        connection: http.client.HTTPConnection = (
            http.client.HTTPSConnection("localhost", parts.port, context=context, timeout=180)
            if own
            else http.client.HTTPConnection("127.0.0.1", parts.port, timeout=180)
        )
        sent = {"Content-Type": "application/x-www-form-urlencoded"} if body is not None else {}
        if own and self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        try:
            path = f"{parts.path}?{parts.query}" if parts.query else parts.path
            connection.request(method, path, body, {**sent, **headers})
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        lines = tuple(answer.headers.get_all("Set-Cookie") or ())
        for line in lines if own else ():
            name, _, value = line.partition(";")[0].partition("=")
            if "Max-Age=0" in line:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        headers_ = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, headers_, lines, text)

    def begin(self, query: str = "lang=en") -> Answer:
        return self.ask("GET", f"/citizen/sign-in?{query}")

    def choose(self, place: str, person: str = "0") -> str:
        """Where the provider sends the browser after somebody was chosen."""
        page = self.ask("GET", place)
        assert page.status == 200, page.text
        request = re.search(r'name="request" value="([^"]+)"', page.text)
        assert request is not None
        form = urlencode({"request": request[1], "person": person})
        return self.ask("POST", place.partition("?")[0], form).location

    def sign_in(self, person: str = "0") -> Answer:
        """The answer to the provider's word."""
        return self.ask("GET", self.choose(self.begin().location, person))

    def session(self) -> dict[str, Any]:
        return dict(json.loads(self.ask("GET", "/citizen/session").text))


def query_of(url: str) -> dict[str, str]:
    """The parameters of an address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
