"""Anybody may open streams at the gateway: they cannot take the threads of those who ask something."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import grpc
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from gateway import service
from ledger.v1 import gateway_pb2, gateway_pb2_grpc
from node.identity.tls import make_named_certificate

REQUEST = reflection_pb2.ServerReflectionRequest(list_services="")


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch) -> Iterator[grpc.Channel]:
    """A channel to a server whose streams last a second."""
    monkeypatch.setattr(service, "_STREAM_S", 1.0)
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    serial = int.from_bytes(os.urandom(8), "big") | 1
    certificate = make_named_certificate(key, ("localhost",), time.time_ns() // 1_000_000, serial)
    servicer = gateway_pb2_grpc.GatewayServiceServicer()
    licences = gateway_pb2_grpc.LicenceServiceServicer()
    server = service.GrpcServer(servicer, licences, "127.0.0.1", 0, pem, certificate)  # type: ignore[arg-type]
    server.start()
    with grpc.secure_channel(f"localhost:{server.port}", grpc.ssl_channel_credentials(certificate)) as made:
        yield made
    server.close()


def test_idle_streams_leave_threads_for_others(channel: grpc.Channel) -> None:
    ending = threading.Event()

    def idle() -> Iterator[reflection_pb2.ServerReflectionRequest]:
        ending.wait(300)
        yield from ()

    reflect = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo
    codes: list[grpc.StatusCode] = []

    def hold() -> None:
        try:
            list(reflect(idle(), timeout=180))
        except grpc.RpcError as error:
            codes.append(error.code())  # type: ignore[attr-defined]

    threads = [threading.Thread(target=hold) for _ in range(3 * service._THREADS)]
    for thread in threads:
        thread.start()
    try:
        with pytest.raises(grpc.RpcError) as caught:
            gateway_pb2_grpc.GatewayServiceStub(channel).GetCity(gateway_pb2.GetCityRequest(), timeout=180)
        # The service under this test answers nothing; that it answers at all is the point.
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
        for thread in threads:
            thread.join(300)
        assert not any(thread.is_alive() for thread in threads), "the server ends idle streams by itself"
    finally:
        ending.set()
    # A quarter of the threads at a time; who comes after the first were ended is let in as well.
    served, refused = (codes.count(code) for code in (grpc.StatusCode.CANCELLED, grpc.StatusCode.RESOURCE_EXHAUSTED))
    assert served >= service._THREADS // 4
    assert refused >= 1
    assert served + refused == len(threads)
    [answer] = reflect(iter([REQUEST]), timeout=180)
    assert "ledger.v1.GatewayService" in {item.name for item in answer.list_services_response.service}
