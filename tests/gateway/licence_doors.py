"""A desk that judges licences behind its two doors, gRPC and HTTPS; issuer and chain in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import msgspec

from gateway.answering import GrpcAnswers
from gateway.licences.judging import LicenceDesk
from gateway.licences.routes import LicenceRoutes
from gateway.licences.service import LicenceServicer
from gateway.limits import RateLimit
from gateway.metrics import Metrics
from gateway.page import Page, load_static
from gateway.service import GatewayServicer, GrpcServer
from gateway.verifying import Verifier
from gateway.web import Web
from ledger.v1 import gateway_pb2_grpc
from scripts.benches.gateway_server import self_signed
from scripts.benches.licence_issuer import NOW_MS, MemoryIssuer


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, ms: int = NOW_MS) -> None:
        self.ms = ms

    def __call__(self) -> int:
        return self.ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """One desk behind its two doors."""

    issuer: MemoryIssuer
    clock: Clock
    desk: LicenceDesk
    metrics: Metrics
    stub: gateway_pb2_grpc.LicenceServiceStub
    web: Web

    def https(self, path: str, body: bytes | None = None, query: str = "") -> tuple[int, dict[str, str], bytes]:
        """(status, headers, body) of a request to the application."""
        return asyncio.run(self._https(path, body, query))

    async def _https(self, path: str, body: bytes | None, query: str) -> tuple[int, dict[str, str], bytes]:
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body or b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "GET" if body is None else "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(b"host", b"gateway.example:8443")],
            "client": ("192.0.2.7", 1),
            "server": ("localhost", 443),
            "scheme": "https",
            "http_version": "1.1",
            "root_path": "",
        }
        await self.web.app()(scope, receive, send)  # type: ignore[arg-type]
        headers = {key.decode(): value.decode() for key, value in sent[0]["headers"]}
        return sent[0]["status"], headers, b"".join(item.get("body", b"") for item in sent[1:])

    def verify(self, **asked: Any) -> dict[str, Any]:
        """The verdict over HTTPS."""
        status, _, body = self.https("/v1/licence/verify", msgspec.json.encode(asked))
        assert status == 200, body
        return dict(json.loads(body))


@contextmanager
def open_doors(folder: Path) -> Iterator[Doors]:
    """The doors, open."""
    clock = Clock()
    issuer = MemoryIssuer(clock)
    metrics = Metrics()
    desk, issuers = issuer.desk(metrics)
    free = RateLimit(1e9, 1_000_000_000, lambda: 0.0)
    answers = GrpcAnswers(metrics, free)
    key, certificate = self_signed()
    verifier = Verifier(folder / "policy.json", clock, metrics)
    city: Any = None
    static = load_static()
    web = Web(city, verifier, Page(static), static, metrics, free, free, clock, LicenceRoutes(desk, issuers, free))
    servicer = LicenceServicer(desk, issuers, answers, free)
    server = GrpcServer(GatewayServicer(city, verifier, answers, free), servicer, "127.0.0.1", 0, key, certificate)
    server.start()
    credentials = grpc.ssl_channel_credentials(certificate)
    with grpc.secure_channel(f"localhost:{server.port}", credentials) as channel:
        stub = gateway_pb2_grpc.LicenceServiceStub(channel)
        yield Doors(issuer=issuer, clock=clock, desk=desk, metrics=metrics, stub=stub, web=web)
    server.close()
