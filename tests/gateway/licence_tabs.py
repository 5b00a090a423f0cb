"""A gateway that judges with what it knows of one issuer, and its pages in a browser's tab."""

from __future__ import annotations

import io
import json
import os
import ssl
import time
from http.client import HTTPSConnection
from itertools import product
from pathlib import Path
from typing import Any

import segno
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.licences.routes import LicenceRoutes
from gateway.limits import RateLimit
from gateway.metrics import Metrics
from gateway.page import Page, load_static
from gateway.verifying import Verifier
from gateway.web import Web
from ledger.connections import PromptConnection
from ledger.webserver import HttpServer
from node.identity.tls import make_named_certificate
from tests.gateway.licence_samples import Sample, known_issuer, samples
from tests.gateway.test_web import Starting

SIZES = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
#: Both sizes, both languages, both themes: every pair of them; all three for pictures.
FEW = ("desktop-zh-light", "phone-en-dark")
PAIRS = (*FEW, "desktop-en-light", "phone-zh-dark")
ALL = tuple("-".join(parts) for parts in product(SIZES, ("zh", "en"), ("light", "dark")))
PICTURED = bool(os.environ.get("CIVICLEDGER_SCREENSHOTS"))


class Gateway:
    """An HTTPS server with the gateway's routes."""

    def __init__(self, folder: Path) -> None:
        metrics, static = Metrics(), load_static()

        def limit() -> RateLimit:
            return RateLimit(1000.0, 10_000, time.monotonic)

        def clock() -> int:
            return time.time_ns() // 1_000_000

        desk, issuers = known_issuer().desk(metrics)
        routes = LicenceRoutes(desk, issuers, limit())
        verifier = Verifier(folder / "policy.json", clock, metrics)
        web = Web(Starting(), verifier, Page(static), static, metrics, limit(), limit(), clock, routes)  # type: ignore[arg-type]
        self.certificate, context = _tls(folder)
        self.server = HttpServer(
            web.app(),
            "127.0.0.1",
            0,
            context,
            name="https",
            connection=PromptConnection,
            keep_alive_s=30,
            grace_s=5,
            settings="gateway.toml",
        )

    @property
    def shown(self) -> dict[str, Sample]:
        """What is held out to its readers, made now: a holder's signature is good for five minutes."""
        return samples()

    @property
    def url(self) -> str:
        return f"https://localhost:{self.server.port}"

    def post(self, path: str, value: object) -> Any:
        """The JSON that a client without a browser gets."""
        return json.loads(self._ask("POST", path, json.dumps(value)))

    def get(self, path: str) -> bytes:
        """A body that a client without a browser gets."""
        return self._ask("GET", path)

    def _ask(self, method: str, path: str, body: str | None = None) -> bytes:
        context = ssl.create_default_context(cadata=self.certificate.decode())
        connection = HTTPSConnection("localhost", self.server.port, context=context, timeout=180)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            return connection.getresponse().read()
        finally:
            connection.close()


def _tls(folder: Path) -> tuple[bytes, ssl.SSLContext]:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = make_named_certificate(key, ("localhost",), time.time_ns() // 1_000_000, 1)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = folder / "tls.pem"
    file.write_bytes(pem + certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return certificate, context


class Tab:
    """The page in one size, language and theme: what it complained about, asked for (URLs) and sent (bodies)."""

    def __init__(self, context: Any, gateway: Gateway, name: str) -> None:
        self.name = name
        self.language = name.split("-")[1]
        self.gateway = gateway
        self.page = context.new_page()
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self.sent: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._heard)
        self.page.on("request", self._asked)

    def open(self) -> None:
        """The page *check a licence*, with nothing of what was done in this tab before."""
        self.page.goto(self.gateway.url + "/licence")
        if self.page.evaluate("localStorage.length"):
            self.page.evaluate("localStorage.clear()")
            self.page.reload()
        self.asked.clear()
        self.sent.clear()

    def settle(self) -> None:
        """What holds of every page: it complains of nothing and asks no other site."""
        assert self.complaints == []
        assert [url for url in self.asked if not url.startswith(self.gateway.url + "/")] == []

    def _heard(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _asked(self, request: Any) -> None:
        self.asked.append(request.url)
        if request.method == "POST":
            self.sent.append((request.post_data_buffer or b"").decode("utf-8", "replace"))

    def forgive(self) -> None:
        """The browser itself reports a request that failed; that the page says so is what was tested."""
        self.complaints = [text for text in self.complaints if "Failed to load resource" not in text]

    @property
    def result(self) -> Any:
        return self.page.locator("#result")

    def verdict(self) -> str | None:
        """The code of the verdict shown, once the page is done with it; None where it is no verdict on a licence."""
        self.page.wait_for_selector("#result[aria-busy=false] .verdict")
        code = self.page.locator("#result .verdict").get_attribute("data-code")
        return None if code is None else str(code)

    def paste(self, text: str, recipient: str = "") -> str | None:
        if recipient:
            self.page.evaluate("document.getElementById('more').open = true")
            self.page.fill("#recipient", recipient)
        self.page.fill("#text", text)
        self.page.click("#check")
        return self.verdict()

    def choose(self, name: str, content: bytes, kind: str) -> str | None:
        self.page.set_input_files("#file", {"name": name, "mimeType": kind, "buffer": content})
        return self.verdict()


def fits(page: Any) -> bool:
    """Nothing sticks out to the right."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def lines(tab: Tab, attribute: str) -> dict[str, str]:
    """The lines of ``check`` or ``device`` by name, with their outcomes."""
    found = tab.page.locator(f"#result [data-{attribute}]")
    return dict(found.evaluate_all(f"all => all.map(item => [item.dataset.{attribute}, item.dataset.outcome])"))


def code_of(text: str) -> bytes:
    """A QR code as PNG, a little larger than a screen shows it."""
    out = io.BytesIO()
    segno.make(text, error="m").save(out, kind="png", scale=4, border=4)
    return out.getvalue()
