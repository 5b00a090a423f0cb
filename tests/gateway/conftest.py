"""A running demo city behind a running gateway, once for all tests that need one; and small parts for the others."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ledger.keys import Ed25519Signer
from ledger.model import KeyRole
from tests.gateway.licence_doors import Doors, open_doors


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
    """Folders and addresses of the demo city; ``bundle`` and ``policy`` are its proof file and trust file."""

    folder: Path
    https_port: int
    grpc_port: int
    bundle: bytes
    policy: bytes
    certificate: bytes

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
    with CityProcesses(city) as processes:
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
        )


@pytest.fixture
def doors(tmp_path: Path) -> Iterator[Doors]:
    with open_doors(tmp_path) as opened:
        yield opened


@pytest.fixture
def log_signer() -> Ed25519Signer:
    return Ed25519Signer(KeyRole.LOG, b"\1" * 32)
