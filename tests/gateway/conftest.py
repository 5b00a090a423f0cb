"""A running demo city behind a running gateway, once for all tests that need one; and small parts for the others."""

from __future__ import annotations

import io
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import msgspec
import pytest
from PIL import Image

from ledger.keys import Ed25519Signer
from ledger.model import KeyRole
from tests.chromium import PATIENCE_MS, chromium
from tests.gateway.licence_doors import Doors, open_doors
from tests.gateway.licence_tabs import SIZES, Gateway, Tab, code_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One HTTPS answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningCity:
    """Folders and addresses of the demo city; ``bundle`` and ``policy`` are its proof file and trust file; ``identity``
    is where its citizens sign in."""

    folder: Path
    https_port: int
    grpc_port: int
    bundle: bytes
    policy: bytes
    certificate: bytes
    identity: Any = None

    @property
    def url(self) -> str:
        return f"https://localhost:{self.https_port}"

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        context = ssl.create_default_context(cadata=self.certificate.decode())
        connection = HTTPSConnection("localhost", self.https_port, context=context, timeout=180)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            named = {key.lower(): value for key, value in answer.getheaders()}
            return Answer(status=answer.status, headers=named, body=answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.request("GET", path, headers=headers)


@pytest.fixture(scope="session")
def running_city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCity]:
    from node.city.demo import run_demo
    from node.city.found import init_city
    from node.city.processes import CityProcesses
    from node.city.roster import demo_roster
    from node.city.signingin import serve_sign_in
    from node.config import ChainSection, LogSection

    city = init_city(
        tmp_path_factory.mktemp("gateway") / "city",
        demo_roster(),
        chain_id=680_310,
        chain=ChainSection(heartbeat_interval=5),
        log=LogSection(anchor_interval_ms=1_000),
    )
    with (city.gateway_folder / "gateway.toml").open("a", encoding="utf-8") as settings:
        # All tests together come from one address.
        settings.write("\n[limits]\nburst = 10000\nrequests_per_second = 1000.0\nverification_burst = 10000\n")
    with serve_sign_in(city) as identity, CityProcesses(city) as processes:
        processes.start_nodes()
        processes.start_gateway()
        run_demo(city, [], 700)
        from gateway.config import load_config

        config = load_config(city.gateway_folder)
        yield RunningCity(
            folder=city.folder,
            https_port=config.https_port,
            grpc_port=config.grpc_port,
            bundle=(city.folder / "use.civic").read_bytes(),
            policy=config.policy.read_bytes(),
            certificate=config.certificate.read_bytes(),
            identity=identity,
        )


@pytest.fixture
def doors(tmp_path: Path) -> Iterator[Doors]:
    with open_doors(tmp_path) as opened:
        yield opened


@pytest.fixture
def log_signer() -> Ed25519Signer:
    return Ed25519Signer(KeyRole.LOG, b"\1" * 32)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    running = Gateway(tmp_path_factory.mktemp("licence-page"))
    running.server.start()
    yield running
    running.server.close()


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


@contextmanager
def tab_in(browser: Any, gateway: Gateway, name: str) -> Iterator[Tab]:
    device, language, theme = name.split("-")
    context = browser.new_context(
        viewport=SIZES[device],
        has_touch=device == "phone",
        ignore_https_errors=True,
        locale="zh-CN" if language == "zh" else "en-GB",
        color_scheme=theme,
    )
    context.set_default_timeout(PATIENCE_MS)
    yield Tab(context, gateway, name)
    context.close()


@pytest.fixture
def tab(request: pytest.FixtureRequest, browser: Any, gateway: Gateway) -> Iterator[Tab]:
    """A tab that nothing was done in."""
    with tab_in(browser, gateway, request.param) as opened:
        opened.open()
        yield opened
        opened.settle()


@pytest.fixture(scope="module")
def kept_tabs(browser: Any, gateway: Gateway) -> Iterator[Callable[[str], Tab]]:
    """A tab for each size, language and theme, opened once."""
    with ExitStack() as stack:
        yield cache(lambda name: stack.enter_context(tab_in(browser, gateway, name)))


@pytest.fixture
def kept_tab(request: pytest.FixtureRequest, kept_tabs: Callable[[str], Tab]) -> Iterator[Tab]:
    """A tab that others looked at verdicts in before: the page is loaded anew, the browser's window is not."""
    opened = kept_tabs(request.param)
    opened.open()
    yield opened
    opened.settle()
