"""The page *check a licence* in a real browser, before a gateway that judges with what it knows of one issuer."""

from __future__ import annotations

import io
import json
import os
import ssl
import time
from collections.abc import Iterator
from http.client import HTTPSConnection
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import segno
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from PIL import Image

from gateway.licences.judging import LicenceDesk
from gateway.licences.routes import LicenceRoutes
from gateway.limits import RateLimit
from gateway.metrics import Metrics
from gateway.page import Page, load_static
from gateway.verifying import Verifier
from gateway.web import Web
from ledger.connections import PromptConnection
from ledger.webserver import HttpServer
from node.identity.tls import make_named_certificate
from tests.chromium import PATIENCE_MS, broken_rules, chromium, picture
from tests.gateway.licence_samples import OTHER, Sample, samples
from tests.gateway.test_web import Starting

pytestmark = pytest.mark.browser

SIZES = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
NAMES = tuple(samples(1_790_000_000)[1])
#: Both sizes, both languages, both themes: every pair of them for one verdict of each kind, all three for pictures.
FEW = ("desktop-zh-light", "phone-en-dark")
PAIRS = (*FEW, "desktop-en-light", "phone-zh-dark")
ALL = tuple("-".join(parts) for parts in product(SIZES, ("zh", "en"), ("light", "dark")))
KINDS = ("valid", "revoked", "something-else")
PICTURED = bool(os.environ.get("CIVICLEDGER_SCREENSHOTS"))
CASES = [(tab, name) for name in NAMES for tab in (ALL if PICTURED else PAIRS if name in KINDS else FEW)]
ONCE = pytest.mark.parametrize("tab", ["phone-en-light"], indirect=True)


class Gateway:
    """An HTTPS server with the gateway's routes; ``shown``: what is held out to its readers."""

    def __init__(self, folder: Path) -> None:
        self.issuer, self.shown = samples()
        metrics, static = Metrics(), load_static()

        def limit() -> RateLimit:
            return RateLimit(1000.0, 10_000, time.monotonic)

        def clock() -> int:
            return time.time_ns() // 1_000_000

        desk = LicenceDesk(self.issuer, self.issuer, metrics, clock)  # type: ignore[arg-type]
        routes = LicenceRoutes(desk, None, limit())  # type: ignore[arg-type]
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
    def url(self) -> str:
        return f"https://localhost:{self.server.port}"

    def post(self, path: str, value: object) -> Any:
        """The JSON that a client without a browser gets."""
        context = ssl.create_default_context(cadata=self.certificate.decode())
        connection = HTTPSConnection("localhost", self.server.port, context=context, timeout=180)
        try:
            connection.request("POST", path, json.dumps(value), {"Content-Type": "application/json"})
            return json.loads(connection.getresponse().read())
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


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    running = Gateway(tmp_path_factory.mktemp("licence-page"))
    running.server.start()
    yield running
    running.server.close()


def code_of(text: str) -> bytes:
    out = io.BytesIO()
    segno.make(text, error="m").save(out, kind="png", scale=4, border=4)
    return out.getvalue()


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory, gateway: Gateway) -> Path:
    """What a camera sees that looks at a slip: a video of one picture."""
    code = Image.open(io.BytesIO(code_of(gateway.shown["slip"].text))).convert("RGB")
    frame = Image.new("RGB", (1280, 960), "white")
    frame.paste(code.resize((800, 800)), (240, 80))
    out = io.BytesIO()
    frame.save(out, "JPEG", quality=90)
    file = tmp_path_factory.mktemp("camera") / "slip.mjpeg"
    file.write_bytes(out.getvalue() * 2)
    return file


@pytest.fixture(scope="module")
def browser(filmed: Path) -> Iterator[Any]:
    with chromium(["--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={filmed}"]) as opened:
        yield opened


class Tab:
    """The page in one size, language and theme, and everything it complained about or asked of others."""

    def __init__(self, context: Any, gateway: Gateway, name: str) -> None:
        self.name = name
        self.language = name.split("-")[1]
        self.gateway = gateway
        self.page = context.new_page()
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._heard)
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(gateway.url + "/licence")

    def _heard(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

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


@pytest.fixture
def tab(request: pytest.FixtureRequest, browser: Any, gateway: Gateway) -> Iterator[Tab]:
    device, language, theme = request.param.split("-")
    context = browser.new_context(
        viewport=SIZES[device],
        has_touch=device == "phone",
        ignore_https_errors=True,
        locale="zh-CN" if language == "zh" else "en-GB",
        color_scheme=theme,
    )
    context.set_default_timeout(PATIENCE_MS)
    opened = Tab(context, gateway, request.param)
    yield opened
    assert opened.complaints == []
    assert [url for url in opened.asked if not url.startswith(gateway.url + "/")] == []
    context.close()


def fits(page: Any) -> bool:
    """Nothing sticks out to the right."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def lines(tab: Tab, attribute: str) -> dict[str, str]:
    found = tab.page.locator(f"#result [data-{attribute}]")
    return {item.get_attribute(f"data-{attribute}"): item.get_attribute("data-outcome") for item in found.all()}


@pytest.mark.parametrize("tab", ALL if PICTURED else PAIRS, indirect=True)
def test_the_page_before_anything_was_shown(tab: Tab) -> None:
    assert tab.page.locator("h1").inner_text() == ("核验电子证照" if tab.language == "zh" else "Check a licence")
    picture(tab.page, f"licence-{tab.name}-start")
    assert fits(tab.page)
    assert broken_rules(tab.page) == []


@pytest.mark.parametrize(("tab", "name"), CASES, indirect=["tab"])
def test_one_verdict_everywhere(tab: Tab, name: str) -> None:
    sample: Sample = tab.gateway.shown[name]
    asked = {"licence": sample.text} | ({"recipient": sample.recipient} if sample.recipient else {})
    answer = tab.gateway.post("/v1/licence/verify", asked)
    assert (answer["code"], tab.paste(sample.text, sample.recipient)) == (sample.code, sample.code)
    assert tab.page.locator("#result .verdict h2").inner_text() == answer["title"][tab.language]
    assert lines(tab, "check") == {check["name"]: check["outcome"] for check in answer["checks"]}
    failed = [check["name"] for check in answer["checks"] if check["outcome"] == "fail"]
    assert failed == ([sample.failed] if sample.failed else [])
    if failed:
        reason = next(check["text"] for check in answer["checks"] if check["outcome"] == "fail")[tab.language]
        assert reason in tab.page.locator(f"#result [data-check={failed[0]}]").inner_text()
        assert reason in tab.page.locator("#result .verdict").inner_text()
    shown = tab.page.locator("#result").inner_text()
    for claim in answer.get("claims", []):
        assert claim["label"][tab.language] in shown
    assert lines(tab, "device") == sample.device
    picture(tab.page, f"licence-{tab.name}-{name}")
    assert fits(tab.page)
    if name in KINDS:
        assert broken_rules(tab.page) == []


@ONCE
@pytest.mark.parametrize("name", ["slip", "valid"])
def test_a_code_in_a_picture_is_read_and_judged(tab: Tab, name: str) -> None:
    sample = tab.gateway.shown[name]
    assert tab.choose("code.png", code_of(sample.text), "image/png") == sample.code
    assert lines(tab, "device") == sample.device


@ONCE
def test_a_damaged_code_is_said_to_be_unreadable(tab: Tab) -> None:
    damaged = Image.open(io.BytesIO(code_of(tab.gateway.shown["slip"].text))).convert("L")
    damaged.paste(255, (0, 0, damaged.width, damaged.height // 2))
    out = io.BytesIO()
    damaged.save(out, "PNG")
    assert tab.choose("code.png", out.getvalue(), "image/png") is None
    assert "No readable QR code" in tab.result.inner_text()
    picture(tab.page, f"licence-{tab.name}-damaged-code")
    assert broken_rules(tab.page) == []


@ONCE
def test_a_reference_leads_to_what_waits_behind_it(tab: Tab) -> None:
    sample = tab.gateway.shown["valid"]
    url = tab.gateway.post("/v1/licence/reference", {"licence": sample.text})["url"]
    assert tab.choose("code.png", code_of(url), "image/png") == "valid"
    assert lines(tab, "device") == sample.device
    # A phone's own camera opens the address itself.
    tab.page.goto(tab.gateway.url + url[url.index("/R/") :])
    assert tab.verdict() == "valid"
    assert tab.paste(f"HTTPS://LOCALHOST/R/{'A' * 32}") is None
    assert "This link has ended" in tab.result.inner_text()
    tab.forgive()


@ONCE
def test_a_file_with_the_text_is_judged_and_one_of_something_else_is_not_sent(tab: Tab) -> None:
    assert tab.choose("licence.txt", tab.gateway.shown["valid"].text.encode() + b"\n", "text/plain") == "valid"
    tab.asked.clear()
    for name, content, kind, said in (
        ("wallet.json", b'{"v":1,"licence":"x~","holder_key":"-----BEGIN"}', "application/json", "wallet file"),
        ("long.txt", b"x" * (1 << 18), "text/plain", "Too large"),
        ("text.txt", b"x" * 70_000, "text/plain", "Too large"),
        ("photo.heic", b"\0\0\0\x18ftypheic" + bytes(50), "image/heic", "no picture"),
        ("copy.pdf", b"%PDF-1.7\n\xe2\xe3\xcf\xd3", "application/pdf", "no picture"),
        ("nothing.txt", b" \n", "text/plain", "nothing to check"),
    ):
        assert tab.choose(name, content, kind) is None
        assert said in tab.result.inner_text()
    assert tab.asked == []


@ONCE
def test_for_whom_is_asked_in_one_spelling_and_remembered_here(tab: Tab) -> None:
    copy = tab.gateway.shown["copy"]
    assert not tab.page.locator("#recipient").is_visible()
    assert tab.paste(copy.text) == "recipient-needed"
    assert tab.page.locator("#recipient").is_visible()
    assert tab.paste(copy.text, "9111000060003734") is None
    assert tab.page.locator("#recipient").get_attribute("aria-invalid") == "true"
    assert tab.paste(copy.text, OTHER.lower()) == "wrong-recipient"
    tab.page.reload()
    assert tab.page.input_value("#recipient") == OTHER


@ONCE
def test_a_gateway_that_lies_is_contradicted_by_the_readers_device(tab: Tab) -> None:
    forged, valid = (tab.gateway.shown[name] for name in ("forged", "valid"))
    lie = tab.gateway.post("/v1/licence/verify", {"licence": valid.text})
    tab.page.route("**/v1/licence/verify", lambda route: route.fulfill(json=lie))
    assert tab.paste(forged.text) == "device-differs"
    assert "disagree" in tab.page.locator("#result .verdict.bad").inner_text()
    assert lines(tab, "device") == forged.device


@ONCE
def test_a_gateway_that_is_away_or_busy_is_said_so(tab: Tab) -> None:
    tab.page.route("**/v1/licence/verify", lambda route: route.abort())
    assert tab.paste("x") is None
    assert "cannot be reached" in tab.result.inner_text()
    tab.page.unroute("**/v1/licence/verify")
    busy = {"code": "gateway.too-many-requests", "message": "too many", "hint": "wait"}
    tab.page.route("**/v1/licence/verify", lambda route: route.fulfill(status=429, json=busy))
    assert tab.paste("x") is None
    assert "in a few seconds" in tab.result.inner_text()
    tab.forgive()


@ONCE
def test_the_keyboard_is_enough(tab: Tab) -> None:
    page = tab.page
    page.keyboard.press("Tab")
    reached: list[str] = []
    while "check" not in reached and len(reached) < 20:
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
        if reached[-1] == "text":
            page.keyboard.insert_text(tab.gateway.shown["valid"].text)
        page.keyboard.press("Enter" if reached[-1] == "check" else "Tab")
    assert [name for name in reached if name in ("theme", "camera", "file", "text", "check")] == [
        "theme",
        "camera",
        "file",
        "text",
        "check",
    ]
    assert tab.verdict() == "valid"
    # Whoever does not see the sign is led to the words.
    assert page.evaluate("document.activeElement.closest('.verdict') !== null")


@ONCE
def test_a_browser_that_reads_codes_itself_sends_no_picture(tab: Tab) -> None:
    sample = tab.gateway.shown["slip"]
    tab.page.evaluate(
        """text => {
            window.BarcodeDetector = class {
                static async getSupportedFormats() { return ["qr_code"]; }
                async detect() { return [{ rawValue: text }]; }
            };
        }""",
        sample.text,
    )
    assert tab.choose("code.png", code_of("ANOTHER"), "image/png") == "valid"
    assert not [url for url in tab.asked if url.endswith("/scan")]


@ONCE
def test_the_camera_reads_a_slip(tab: Tab) -> None:
    tab.page.context.grant_permissions(["camera"], origin=tab.gateway.url)
    tab.page.click("#camera")
    assert tab.verdict() == "valid"
    assert tab.page.locator("#finder").is_hidden()
    assert tab.page.evaluate("document.getElementById('video').srcObject === null")


@ONCE
def test_where_no_camera_is_allowed_the_page_says_what_else_there_is(tab: Tab) -> None:
    tab.page.click("#camera")
    assert tab.verdict() is None
    assert "use a picture" in tab.result.inner_text()
    assert tab.page.locator("#finder").is_hidden()
