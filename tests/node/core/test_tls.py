"""TLS between nodes: both certificates, TLS 1.3 only, trust that follows the chain, pinned servers."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from ledger.errors import InvalidInputError
from node.city.ports import free_ports
from node.identity.peers import CHANNEL_OPTIONS
from node.identity.tls import (
    Identity,
    ServerCertificates,
    certificate_name,
    channel_credentials,
    client_context,
    key_pem,
    load_identity,
    make_certificate,
    peer_spki,
    server_context,
    spki_of_pem,
)
from node.rpc.server import GrpcServer
from node.web.webserver import WebServer
from tests.node.core.makers import NOW_MS, PASSPHRASE, make_keys, make_uscc


def identity(number: int) -> Identity:
    secret = bytes([number]) * 32
    return Identity(key=key_pem(secret), certificate=make_certificate(secret, make_uscc(number), NOW_MS, number))


SERVER, FRIEND, STRANGER = identity(1), identity(2), identity(3)


class Caller(grpc.ServerInterceptor):
    """Notes whom each call comes from."""

    def __init__(self) -> None:
        self.spki: bytes | None = None

    def intercept_service(self, continuation, details):
        handler = continuation(details)

        def behaviour(request, context):
            self.spki = peer_spki(context)
            return handler.unary_unary(request, context)

        return grpc.unary_unary_rpc_method_handler(behaviour, handler.request_deserializer, handler.response_serializer)


class Served:
    def __init__(self) -> None:
        self.roots = [FRIEND.certificate]
        self.caller = Caller()
        self.identity = Identity(key=SERVER.key, certificate=SERVER.certificate)
        self.server = GrpcServer(
            host="127.0.0.1",
            port=free_ports(1)[0],
            identity=self.identity,
            roots=lambda: self.roots,
            interceptors=(self.caller,),
            workers=8,
        )
        self.server.start([])

    def call(self, client: Identity | None, server_certificate: bytes = SERVER.certificate) -> grpc.StatusCode | int:
        options = [*CHANNEL_OPTIONS, ("grpc.ssl_target_name_override", certificate_name(make_uscc(1)))]
        credentials = channel_credentials(client, server_certificate)
        with grpc.secure_channel(f"127.0.0.1:{self.server.port}", credentials, options=options) as channel:
            try:
                answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=180)
            except grpc.RpcError as error:
                return error.code()
            return int(answer.status)


@pytest.fixture
def served() -> Iterator[Served]:
    one = Served()
    yield one
    one.server.stop(0)


def test_a_known_certificate_calls_and_is_recognised(served: Served) -> None:
    assert served.call(FRIEND) == health_pb2.HealthCheckResponse.NOT_SERVING
    assert served.caller.spki == FRIEND.spki


def test_an_unknown_certificate_and_none_get_no_connection(served: Served) -> None:
    assert served.call(STRANGER) is grpc.StatusCode.UNAVAILABLE
    assert served.call(None) is grpc.StatusCode.UNAVAILABLE
    assert served.caller.spki is None


def test_trust_changes_without_a_restart(served: Served) -> None:
    assert served.call(STRANGER) is grpc.StatusCode.UNAVAILABLE
    served.roots[:] = [STRANGER.certificate]
    assert served.call(STRANGER) == health_pb2.HealthCheckResponse.NOT_SERVING
    assert served.call(FRIEND) is grpc.StatusCode.UNAVAILABLE


def test_a_rotated_server_certificate_is_presented_at_once(served: Served) -> None:
    fresh = Identity(key=STRANGER.key, certificate=make_certificate(bytes([3]) * 32, make_uscc(1), NOW_MS, 9))
    served.identity.key, served.identity.certificate = fresh.key, fresh.certificate
    assert served.call(FRIEND) is grpc.StatusCode.UNAVAILABLE
    assert served.call(FRIEND, fresh.certificate) == health_pb2.HealthCheckResponse.NOT_SERVING


def test_a_server_with_another_certificate_is_not_spoken_to(served: Served) -> None:
    assert served.call(FRIEND, STRANGER.certificate) is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(("version", "agreed"), [(ssl.TLSVersion.TLSv1_2, False), (ssl.TLSVersion.TLSv1_3, True)])
def test_grpc_speaks_tls_1_3_only(served: Served, version: ssl.TLSVersion, agreed: bool) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cadata=SERVER.certificate.decode())
    context.maximum_version = version
    context.set_alpn_protocols(["h2"])
    assert _handshake(context, served.server.port) == ("TLSv1.3" if agreed else "refused")


@pytest.mark.parametrize(("version", "agreed"), [(ssl.TLSVersion.TLSv1_2, False), (ssl.TLSVersion.TLSv1_3, True)])
def test_https_speaks_tls_1_3_only(tmp_path: Path, version: ssl.TLSVersion, agreed: bool) -> None:
    make_keys(tmp_path, make_uscc(1))

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    server = WebServer(app, "127.0.0.1", 0, loaded(tmp_path), name="https")
    server.start()
    try:
        context = client_context((tmp_path / "tls.crt").read_bytes())
        if not agreed:
            context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.maximum_version = version
        assert _handshake(context, server.port) == ("TLSv1.3" if agreed else "refused")
    finally:
        server.close()


def test_an_https_client_accepts_the_pinned_certificate_only(tmp_path: Path) -> None:
    make_keys(tmp_path, make_uscc(1))
    server = WebServer(None, "127.0.0.1", 0, loaded(tmp_path), name="https")
    server.start()
    try:
        assert _handshake(client_context((tmp_path / "tls.crt").read_bytes()), server.port) == "TLSv1.3"
        assert _handshake(client_context(STRANGER.certificate), server.port) == "refused"
    finally:
        server.close()


def test_the_material_is_the_digest_of_the_public_key(tmp_path: Path) -> None:
    again = make_certificate(bytes([2]) * 32, make_uscc(7), NOW_MS + 1, 8)
    assert again != FRIEND.certificate
    assert spki_of_pem(again) == FRIEND.spki != STRANGER.spki
    with pytest.raises(InvalidInputError, match=r"tls\.certificate"):
        spki_of_pem("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")


def loaded(folder: Path) -> ssl.SSLContext:
    context = server_context()
    load_identity(context, folder / "tls.crt", folder / "tls.pem", PASSPHRASE)
    return context


def _handshake(context: ssl.SSLContext, port: int) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=180) as raw:
        try:
            with context.wrap_socket(raw) as wrapped:
                return str(wrapped.version())
        except (ssl.SSLError, ConnectionError):
            return "refused"


def test_grpc_is_told_of_a_change_and_of_nothing_else() -> None:
    # What it is handed it takes up while other handshakes read it without a lock: the same again would end the process.
    own, roots = Identity(key=SERVER.key, certificate=SERVER.certificate), [FRIEND.certificate]
    found = ServerCertificates(own, lambda: roots)
    assert found.first() is not None
    assert [found.changed() for _ in range(3)] == [None, None, None]
    roots.insert(0, STRANGER.certificate)
    assert found.changed() is not None
    roots.reverse()
    assert found.changed() is None, "another order is nothing new"
    own.key, own.certificate = STRANGER.key, STRANGER.certificate
    assert found.changed() is not None
    assert found.changed() is None
