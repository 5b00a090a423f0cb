"""After an issuer's key was rotated, the bundle of a licence proves at a gateway when it was issued."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator

import grpc
import pytest

from ledger.licences.description import TypeDescription, encode_description
from ledger.v1 import (
    department_pb2,
    department_pb2_grpc,
    gateway_pb2,
    gateway_pb2_grpc,
    licences_pb2,
    licences_pb2_grpc,
    licencetypes_pb2,
)
from ledger.v1.licencetypes_pb2_grpc import LicenceTypeServiceStub
from node.cli.connect import connect
from tests.gateway.conftest import RunningCity
from tests.gateway.test_licence_city import TIMEOUT, Licence, Office
from tests.node.core.makers import eventually

#: An issuer of its own: its key is rotated.
MAKER = "labour"


@pytest.fixture(scope="module")
def maker(running_city: RunningCity) -> Iterator[Office]:
    with connect(running_city.folder / "data") as data, connect(running_city.folder / MAKER) as issuer:
        code = data.member + "072"
        described = TypeDescription(code=code, title_zh="机动车驾驶证", title_en="Driving licence")
        types = data.stub(LicenceTypeServiceStub)
        types.Define(licencetypes_pb2.DefineLicenceTypeRequest(description=encode_description(described)))
        types.Accredit(licencetypes_pb2.AccreditRequest(type=code, member=issuer.member, basis="测试"))
        stub = issuer.stub(licences_pb2_grpc.IssuingServiceStub)
        yield Office(city=running_city, stub=stub, issuer=issuer.member, body=data.member, type=code)


@pytest.fixture
def gate(running_city: RunningCity) -> Iterator[gateway_pb2_grpc.LicenceServiceStub]:
    credentials = grpc.ssl_channel_credentials(running_city.certificate)
    with grpc.secure_channel(f"localhost:{running_city.grpc_port}", credentials) as channel:
        yield gateway_pb2_grpc.LicenceServiceStub(channel)


def bundle(office: Office, licence: Licence) -> bytes:
    """The licence with its proofs, as its issuer's node makes it."""
    wanted = licences_pb2.MakeLicenceBundleRequest(id=licence.id, wait_ms=60_000)
    return bytes(office.stub.MakeBundle(wanted, timeout=TIMEOUT).bundle)


def test_after_a_rotation_the_bundle_proves_when_a_licence_was_issued(
    maker: Office, gate: gateway_pb2_grpc.LicenceServiceStub
) -> None:
    licence, other = maker.issue("gateway-rotated"), maker.issue("gateway-rotated-too")
    maker.await_code("valid", licence)
    proof, another = bundle(maker, licence), bundle(maker, other)
    # Times on the chain are whole seconds: the key ends in a later one than the anchor's.
    made_s = int(time.time())
    eventually(lambda: time.time() >= made_s + 2)
    with connect(maker.city.folder / MAKER) as issuer:
        keys = issuer.stub(department_pb2_grpc.KeyServiceStub)
        keys.Rotate(department_pb2.RotateKeyRequest(role="issuer"), timeout=TIMEOUT)
    # The old key is known to have ended, and a thief of it could have written any date.
    maker.await_code("issue-time-unproven", licence)
    asked = gateway_pb2.LicencePresentation(licence=licence.presentation, proof=proof)
    answer = json.loads(gate.Verify(asked, timeout=TIMEOUT).verdict)
    assert answer["code"] == "valid-when-issued"
    assert {line["name"]: line["code"] for line in answer["checks"]}["issuer"] == "key-ended"
    assert maker.ask(licence=licence.presentation, proof=base64.b64encode(proof).decode())["code"] == answer["code"]
    # The file alone, as it is dropped on the page: the status is today's.
    alone = maker.ask(licence=proof.decode())
    assert alone["code"] == "valid-when-issued"
    assert alone["presentation"].partition("~")[0] == licence.text.partition("~")[0]
    refused = maker.ask(licence=licence.presentation, proof=base64.b64encode(another).decode())
    assert refused["code"] == "licence.proof-other"
    changed = proof.replace(b'"salt":"', b'"salt":"A', 1)
    assert maker.ask(licence=changed.decode())["code"].partition(".")[0] in ("bundle", "record", "json")
    maker.change("Revoke", licence)
    eventually(lambda: maker.ask(licence=proof.decode())["code"] == "revoked")
