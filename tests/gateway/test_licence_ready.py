"""Licences that come alone over gRPC: ready answers are the ones that HTTPS gives, limited and counted alike."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

from gateway.answering import GrpcAnswers
from gateway.licences.service import LicenceServicer
from gateway.limits import RateLimit
from gateway.metrics import Metrics
from gateway.service import GatewayServicer, GrpcServer
from ledger.errors import UnavailableError
from ledger.v1 import gateway_pb2 as pb
from scripts.benches.gateway_server import self_signed
from scripts.benches.licence_issuer import MAX_AGE_MS, NOW_MS, MemoryIssuer
from tests.gateway.licence_doors import Doors

TIMEOUT = 300


def alone(doors: Doors, text: str) -> pb.LicenceVerdict:
    answer: pb.LicenceVerdict = doors.stub.Verify(pb.LicencePresentation(licence=text), timeout=TIMEOUT)
    return answer


def is_ready(doors: Doors, text: str) -> bool:
    """Whether the desk has an answer ready."""
    return isinstance(doors.desk.judge_alone(text), bytes)


def warm(doors: Doors, **given: Any) -> str:
    """A licence whose issuer, type and list were asked for: the key first, then what answers share."""
    text = doors.issuer.presentation(**given)
    for _ in range(2):
        assert alone(doors, text).code == "valid"
    assert is_ready(doors, text)
    return text


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"index": 7},
        {"bound": False},
        {"days": ("20260101", "长期")},
        {"days": ("20260101", "2028-02-29")},
        {"seed": "other"},
    ],
)
def test_a_ready_answer_is_the_one_of_the_other_ways(doors: Doors, given: dict[str, Any]) -> None:
    warm(doors)
    text = doors.issuer.presentation(**given)
    assert is_ready(doors, text)
    answer = alone(doors, text)
    batch = list(doors.stub.VerifyBatch(iter([pb.LicencePresentations(items=[pb.LicencePresentation(licence=text)])])))
    pasted = doors.stub.Verify(pb.LicencePresentation(licence=text + "\n"), timeout=TIMEOUT)
    assert batch[0].items[0] == answer == pasted
    assert json.loads(answer.verdict) == doors.verify(licence=text)
    assert json.loads(answer.verdict)["key"]["kid"] == doors.issuer.signer.kid


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        (lambda text: text.replace("~", "~~", 1), {"malformed"}),
        (lambda text: text.rsplit("~", 2)[0] + "~A~", {"malformed", "forged"}),
        (lambda text: text[:40] + ("A" if text[40] != "A" else "B") + text[41:], {"malformed", "forged"}),
        (lambda text: text.replace(".", ".A", 1), {"malformed", "forged"}),
        (lambda text: text + "a" * 65_536 + "~", {"malformed"}),
        (lambda _: "eyJ~", {"malformed"}),
        (lambda _: "eyJé~", {"malformed"}),
        (lambda text: " " + text, {"valid"}),
        (lambda text: "\n" + text + "\r\n", {"valid"}),
    ],
)
def test_a_changed_licence_gets_the_answer_of_the_other_ways(
    doors: Doors, change: Callable[[str], str], codes: set[str]
) -> None:
    text = change(warm(doors))
    answer = alone(doors, text)
    assert json.loads(answer.verdict) == doors.verify(licence=text)
    assert answer.code in codes


def test_answers_are_counted_as_others_are(doors: Doors) -> None:
    text = doors.issuer.presentation()
    for count in range(1, 5):
        alone(doors, text)
        figures = doors.metrics.render().decode()
        assert f'civicledger_gateway_licences_total{{verdict="valid"}} {count}.0' in figures
        assert f'civicledger_gateway_requests_total{{route="Verify",status="200"}} {count}.0' in figures


def test_a_revocation_and_the_age_of_the_view_are_seen_as_ever(doors: Doors) -> None:
    text = warm(doors, index=5)
    doors.clock.ms += 1_999
    doors.issuer.publish({5: 1}, version=2)
    view = json.loads(alone(doors, text).verdict)["view"]
    assert (view["time"], view["age_ms"]) == (NOW_MS, 1_999)
    doors.clock.ms += 1
    assert alone(doors, text).code == "revoked"
    other = doors.issuer.presentation(index=6)
    assert alone(doors, other).code == "valid"
    assert is_ready(doors, other)
    assert not is_ready(doors, text)


def test_a_view_that_grew_too_old_answers_nothing(doors: Doors) -> None:
    doors.issuer.signed_ms = NOW_MS - MAX_AGE_MS + 1_000
    text = warm(doors)
    doors.clock.ms += 1_000
    assert alone(doors, text).code == "valid"
    doors.clock.ms += 1
    with pytest.raises(grpc.RpcError) as caught:
        alone(doors, text)
    assert dict(caught.value.trailing_metadata())["civicledger-code"] == "chain.stale"


def test_while_the_issuer_is_away_the_old_list_is_told(doors: Doors) -> None:
    text = warm(doors)
    doors.issuer.node_away = UnavailableError("node.unreachable", "away")
    doors.clock.ms += 2_000
    assert alone(doors, text).code == "valid"
    assert json.loads(alone(doors, text).verdict) == doors.verify(licence=text)
    doors.issuer.end_key(doors.issuer.signer, "compromised", NOW_MS // 1_000 - 10)
    doors.clock.ms += 2_000
    assert alone(doors, text).code == "key-compromised"


def test_a_clock_that_is_put_back_uses_nothing_of_later(doors: Doors) -> None:
    text = warm(doors)
    doors.clock.ms -= 5_000
    assert not is_ready(doors, text)
    assert json.loads(alone(doors, text).verdict) == doors.verify(licence=text)


@pytest.mark.parametrize("message", [b"\n\x05eyJ~", b"\n\x05eyJ\xff~", b"\xff"])
def test_what_is_no_message_is_refused_as_ever(narrow: Narrow, message: bytes) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        narrow.call(message)
    assert caught.value.code() is grpc.StatusCode.INTERNAL


def test_further_fields_are_asked_of_a_licence_as_ever(narrow: Narrow) -> None:
    text = narrow.issuer.presentation()
    plain = pb.LicencePresentation(licence=text).SerializeToString()
    for _ in range(2):
        assert pb.LicenceVerdict.FromString(narrow.call(plain)).code == "valid"
    # An unknown field, and one that comes twice.
    for message in (plain + b"\x7a\x01x", b"\n\x01x" + plain):
        assert narrow.call(message) == narrow.call(plain)
    required = pb.LicencePresentation(licence=text, require_binding=True).SerializeToString()
    assert pb.LicenceVerdict.FromString(narrow.call(required)).code == "holder-unproven"
    other = pb.LicencePresentation(licence=text, recipient="nobody").SerializeToString()
    with pytest.raises(grpc.RpcError) as caught:
        narrow.call(other)
    assert dict(caught.value.trailing_metadata())["civicledger-code"] == "identifier.uscc"


def test_a_ready_answer_takes_of_the_limit_as_well(narrow: Narrow) -> None:
    message = pb.LicencePresentation(licence=narrow.issuer.presentation()).SerializeToString()
    for _ in range(BURST):
        assert pb.LicenceVerdict.FromString(narrow.call(message)).code == "valid"
    with pytest.raises(grpc.RpcError) as caught:
        narrow.call(message)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert dict(caught.value.trailing_metadata())["civicledger-code"] == "gateway.too-many-requests"


BURST = 12


class Narrow:
    """A server that judges a few licences for each client, asked with messages as they stand on the wire."""

    def __init__(self, channel: grpc.Channel, issuer: MemoryIssuer) -> None:
        self.issuer = issuer
        self._call = channel.unary_unary("/ledger.v1.LicenceService/Verify")

    def call(self, message: bytes) -> bytes:
        """The answer's bytes."""
        answer: bytes = self._call(message, timeout=TIMEOUT)
        return answer


@pytest.fixture
def narrow() -> Iterator[Narrow]:
    """The server, serving."""
    issuer = MemoryIssuer()
    metrics = Metrics()
    desk, issuers = issuer.desk(metrics)
    free = RateLimit(1e9, 1_000_000_000, lambda: 0.0)
    answers = GrpcAnswers(metrics, free)
    key, certificate = self_signed()
    city: Any = None
    servicer = LicenceServicer(desk, issuers, answers, RateLimit(1.0, BURST, lambda: 0.0))
    server = GrpcServer(GatewayServicer(city, city, answers, free), servicer, "127.0.0.1", 0, key, certificate)
    server.start()
    with grpc.secure_channel(f"localhost:{server.port}", grpc.ssl_channel_credentials(certificate)) as channel:
        yield Narrow(channel, issuer)
    server.close()
