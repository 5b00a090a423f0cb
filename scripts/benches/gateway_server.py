"""The server process of the bench of the gateway: its own gRPC server with LicenceService, and an empty echo beside it.

``python -m scripts.benches.gateway_server``: prints one line of JSON (port, certificate, presentations), then serves
until its standard input ends.
"""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.answering import GrpcAnswers
from gateway.licences.service import LicenceServicer
from gateway.limits import RateLimit
from gateway.metrics import Metrics
from gateway.service import GatewayServicer, GrpcServer
from scripts.benches.licence_issuer import MemoryIssuer

ECHO = "/bench.Echo/Echo"
#: The same without what surrounds it: gRPC alone.
BARE = "/bench.Echo/Bare"
AUDIENCE = "91110000600037341L"
NONCE = "bench-of-the-gateway"
#: No client of the bench is ever told to wait.
_RATE, _BURST = 1e9, 1_000_000_000
_DISTINCT = 64


class _Echo(grpc.GenericRpcHandler):
    """Answers every message with itself, through what surrounds every answer of the gateway (limits and figures):
    what the server costs without judging anything."""

    def __init__(self, answers: GrpcAnswers) -> None:
        self._answers = answers

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        if details.method == ECHO:
            return grpc.unary_unary_rpc_method_handler(self._echo)
        if details.method == BARE:
            return grpc.unary_unary_rpc_method_handler(lambda request, _context: request)
        return None

    def _echo(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        return self._answers.answer("Echo", request, context, lambda asked: asked)


def main() -> int:
    """Serve until standard input ends."""
    issuer = MemoryIssuer(lambda: time.time_ns() // 1_000_000)
    metrics = Metrics()
    desk, issuers = issuer.desk(metrics)
    answers = GrpcAnswers(metrics, RateLimit(_RATE, _BURST, time.monotonic))
    licences = LicenceServicer(desk, issuers, answers, RateLimit(_RATE, _BURST, time.monotonic))
    key, certificate = self_signed()
    # Nothing of the city is asked for here.
    city = GatewayServicer(None, None, answers, RateLimit(_RATE, _BURST, time.monotonic))  # type: ignore[arg-type]
    server = GrpcServer(city, licences, "127.0.0.1", 0, key, certificate, further=(_Echo(answers),))
    server.start()
    plain = [issuer.presentation(index=number) for number in range(_DISTINCT)]
    told = {
        "port": server.port,
        "certificate": certificate.decode(),
        "plain": plain,
        "bound": [issuer.bound(text, audience=AUDIENCE, nonce=NONCE) for text in plain],
        "pid": os.getpid(),
    }
    print(json.dumps(told), flush=True)
    sys.stdin.read()
    server.close()
    return 0


def self_signed() -> tuple[bytes, bytes]:
    """(key, certificate) in PEM for localhost, ECDSA P-256 as every certificate of a city."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem, certificate.public_bytes(serialization.Encoding.PEM)


if __name__ == "__main__":
    sys.exit(main())
