"""The same verdict on the same licence through the library, gRPC and HTTPS; what is asked wrongly; what is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
import msgspec
import pytest

from gateway.licences.judging import MAX_BATCH, Judged, Presented
from gateway.licences.routes import MAX_WITH_PROOF
from ledger.licences import copies
from ledger.licences.slipverdict import judge_slip
from ledger.licences.verify import judge
from ledger.v1 import gateway_pb2 as pb
from scripts.benches.licence_issuer import ISSUER, NOW_MS, MemoryIssuer, signer
from tests.gateway.licence_doors import Clock, Doors
from tests.ledger.licences import licence_city, licence_keys
from tests.ledger.licences.negatives import FORM

VERIFIER = "11330105002500287C"
SUSPENDED, REVOKED = 2, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A licence, what is asked of it, and the verdict. ``make`` gets the issuer and a fresh nonce."""

    code: str
    make: Callable[[MemoryIssuer, str], str]
    nonce: bool = False
    audience: str = ""
    recipient: str = ""
    required: bool = False


def copy_for(recipient: str) -> Callable[[MemoryIssuer, str], str]:
    def make(issuer: MemoryIssuer, _: str) -> str:
        now = issuer.clock() // 1000
        terms = copies.CopyTerms(recipient=recipient, matter="驾驶员招聘", made_s=now, expires_s=now + 3_600)
        return copies.make_copy(issuer.presentation(), terms, holder=issuer.holder, nonce=b"n" * 16)

    return make


def forged(issuer: MemoryIssuer, _: str) -> str:
    text = issuer.presentation()
    head, rest = text.split("~", 1)
    signature = head.rsplit(".", 1)[1]
    other = issuer.presentation(seed="other").split("~", 1)[0].rsplit(".", 1)[1]
    return head.removesuffix(signature) + other + "~" + rest


CASES = {
    "valid": Case(code="valid", make=lambda issuer, _: issuer.presentation()),
    "bound, fresh nonce": Case(
        code="valid",
        make=lambda issuer, nonce: issuer.bound(issuer.presentation(), audience=VERIFIER, nonce=nonce),
        nonce=True,
        audience=VERIFIER,
    ),
    "bound to another": Case(
        code="wrong-audience",
        make=lambda issuer, nonce: issuer.bound(issuer.presentation(), audience="somebody", nonce=nonce),
        nonce=True,
        audience=VERIFIER,
    ),
    "another nonce": Case(
        code="replayed",
        make=lambda issuer, nonce: issuer.bound(issuer.presentation(), audience=VERIFIER, nonce="x" * 20),
        nonce=True,
        audience=VERIFIER,
    ),
    "not bound": Case(code="holder-unproven", make=lambda issuer, _: issuer.presentation(), required=True),
    "expired": Case(code="expired", make=lambda issuer, _: issuer.presentation(days=("20260101", "20261101"))),
    "not yet valid": Case(
        code="not-yet-valid", make=lambda issuer, _: issuer.presentation(days=("20270101", "20271101"))
    ),
    "suspended": Case(code="suspended", make=lambda issuer, _: issuer.presentation(index=SUSPENDED)),
    "revoked": Case(code="revoked", make=lambda issuer, _: issuer.presentation(index=REVOKED)),
    "forged": Case(code="forged", make=forged),
    "unknown key": Case(code="untrusted-issuer", make=lambda issuer, _: issuer.presentation(key=signer("stranger"))),
    "another member": Case(code="untrusted-issuer", make=lambda issuer, _: issuer.presentation(issuer=VERIFIER)),
    "unknown type": Case(code="unknown-type", make=lambda issuer, _: issuer.presentation(code="11100000000013338W999")),
    "another's list": Case(
        code="status-unknown",
        make=lambda issuer, _: issuer.presentation(uri="https://evil.example/licence/status/1/x"),
    ),
    "no licence": Case(code="malformed", make=lambda *_: "BEGIN:VCARD"),
    "another code": Case(code="malformed", make=lambda *_: "https://menu.example/table/7"),
    "nothing": Case(code="malformed", make=lambda *_: ""),
    "cut": Case(code="malformed", make=lambda issuer, _: issuer.presentation()[:400]),
    "64 KiB and one": Case(code="malformed", make=lambda *_: "a" * 65_537),
    "slip": Case(code="valid", make=lambda issuer, _: issuer.slip()),
    "slip, shown too late": Case(code="slip-expired", make=lambda issuer, _: issuer.slip(ends_s=NOW_MS // 1000 - 120)),
    "slip, revoked": Case(code="revoked", make=lambda issuer, _: issuer.slip(index=REVOKED)),
    "slip of a stranger": Case(code="untrusted-issuer", make=lambda issuer, _: issuer.slip(key=signer("stranger"))),
    "slip, damaged": Case(code="malformed", make=lambda issuer, _: issuer.slip()[:-7]),
    "copy for the asker": Case(code="valid", make=copy_for(VERIFIER), recipient=VERIFIER),
    "copy for another": Case(code="wrong-recipient", make=copy_for(VERIFIER), recipient=ISSUER),
}


@pytest.mark.parametrize("name", CASES)
def test_every_door_gives_the_librarys_verdict(doors: Doors, name: str) -> None:
    case = CASES[name]
    doors.issuer.publish({REVOKED: 1, SUSPENDED: 2})

    def asked() -> dict[str, Any]:
        nonce = doors.stub.GetNonce(pb.GetNonceRequest()).nonce if case.nonce else ""
        given = {"nonce": nonce, "audience": case.audience, "recipient": case.recipient}
        return {
            "licence": case.make(doors.issuer, nonce),
            "require_binding": case.required,
            **{key: value for key, value in given.items() if value},
        }

    first = asked()
    text = first["licence"]
    known: dict[str, Any] = {
        "now_ms": doors.clock(),
        "trust": doors.desk.trusts.trust,
        "status": lambda uri: doors.desk.lists.newest(ISSUER, uri).value.content,
        "copy_recipient": case.recipient or None,
    }
    library = (
        judge_slip(text, **known)
        if text.startswith("EL")
        else judge(
            text,
            **known,
            audience=case.audience or None,
            nonce=first.get("nonce"),
            require_binding=case.required or bool(case.audience),
        )
    )
    assert library.code == case.code
    answer = doors.stub.Verify(pb.LicencePresentation(**asked()))
    batch = list(doors.stub.VerifyBatch(iter([pb.LicencePresentations(items=[pb.LicencePresentation(**asked())])])))
    https = doors.verify(**asked())
    assert [answer.code, batch[0].items[0].code, https["code"]] == [case.code] * 3
    assert json.loads(answer.verdict).keys() == https.keys()
    lines = [(item.name, item.outcome.value, item.code) for item in library.checks]
    for shown in (json.loads(answer.verdict), json.loads(batch[0].items[0].verdict), https):
        assert [(line["name"], line["outcome"], line["code"]) for line in shown["checks"]] == lines


def test_a_nonce_is_spent_by_its_first_use(doors: Doors) -> None:
    nonce = json.loads(doors.https("/v1/licence/nonce")[2])["nonce"]
    asked = {
        "licence": doors.issuer.bound(doors.issuer.presentation(), audience=VERIFIER, nonce=nonce),
        "nonce": nonce,
        "audience": VERIFIER,
    }
    assert doors.verify(**asked)["code"] == "valid"
    assert doors.verify(**asked)["code"] == "replayed"
    assert doors.stub.Verify(pb.LicencePresentation(**asked)).code == "replayed"


def test_a_verdict_says_what_it_rests_on(doors: Doors) -> None:
    doors.issuer.signed_ms = NOW_MS - 7_000
    verdict = doors.verify(licence=doors.issuer.presentation())
    assert verdict["view"] == {
        "height": 7,
        "time": NOW_MS - 7_000,
        "age_ms": 7_000,
        "proven": "storage-proof",
        "finality": "finality.unproven",
    }
    assert verdict["status"] == {"time": NOW_MS, "version": 1}
    assert verdict["key"]["kid"] == doors.issuer.signer.kid
    assert verdict["key"]["alg"] == "ES256"
    assert {item["name"] for item in verdict["claims"]} >= {"CZZT", "ZZBS"}
    assert "CZZTDM" not in {item["name"] for item in verdict["claims"]}


def test_a_reference_leads_to_what_was_left(doors: Doors) -> None:
    text = doors.issuer.presentation()
    status, headers, body = doors.https("/v1/licence/reference", msgspec.json.encode({"licence": text}))
    assert (status, headers["cache-control"]) == (200, "no-store")
    left = json.loads(body)
    assert left["url"].startswith("HTTPS://GATEWAY.EXAMPLE:8443/R/")
    verdict = doors.verify(licence=left["url"])
    assert (verdict["code"], verdict["presentation"]) == ("valid", text)
    doors.clock.ms = left["expires"]
    doors.issuer.publish({})
    status, _, body = doors.https("/v1/licence/verify", msgspec.json.encode({"licence": left["url"]}))
    assert (status, json.loads(body)["code"]) == (404, "licence.reference-unknown")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "http.body"),
        (b"[" * 1000, 400, "http.body"),
        (b'{"licence": 5}', 400, "http.body"),
        (b'{"licence": "x", "other": 1}', 400, "http.body"),
        (b'{"licence": "\xff"}', 400, "http.body"),
        (b'{"licence": "x", "recipient": "nobody"}', 400, "identifier.uscc"),
        (b'{"licence": "x", "audience": "' + b"a" * 513 + b'"}', 400, "licence.audience"),
        (b'{"licence": "HTTPS://GATEWAY.EXAMPLE/R/' + b"A" * 32 + b'"}', 404, "licence.reference-unknown"),
        (b'{"licence": "' + b"a" * MAX_WITH_PROOF + b'"}', 413, "http.too-large"),
    ],
)
def test_a_wrong_question_is_refused_with_a_reason(doors: Doors, body: bytes, status: int, code: str) -> None:
    found, _, answer = doors.https("/v1/licence/verify", body)
    assert (found, json.loads(answer)["code"]) == (status, code)


def test_a_batch_is_bounded_and_one_refusal_stops_nothing(doors: Doors) -> None:
    good = pb.LicencePresentation(licence=doors.issuer.presentation())
    odd = pb.LicencePresentation(licence="x", recipient="nobody")
    answers = list(doors.stub.VerifyBatch(iter([pb.LicencePresentations(items=[good, odd, good])] * 2)))
    for answer in answers:
        assert [item.code for item in answer.items] == ["valid", "", "valid"]
        assert answer.items[1].error_code == "identifier.uscc"
        assert answer.items[1].hint
    for count in (0, MAX_BATCH + 1):
        with pytest.raises(grpc.RpcError) as caught:
            list(doors.stub.VerifyBatch(iter([pb.LicencePresentations(items=[odd] * count)])))
        assert dict(caught.value.trailing_metadata())["civicledger-code"] == "licence.batch"


def test_a_batch_says_of_every_bad_licence_what_one_call_says() -> None:
    clock = Clock(licence_city.NOW * 1000)
    issuer = MemoryIssuer(
        clock, member=licence_city.BODY, code=licence_city.TYPE, uri=licence_city.URI, key=licence_keys.ISSUER
    )
    desk, _ = issuer.desk()
    texts = [bad.text() for bad in FORM] + [licence_city.licence(), licence_city.presented()]
    alone = [desk.judge(Presented(licence=text)).verdict for text in texts]
    together = desk.judge_many([Presented(licence=text) for text in texts])
    assert [item.verdict for item in together if isinstance(item, Judged)] == alone
    assert [verdict.code for verdict in alone[-2:]] == ["valid", "valid"]
    codes = [next(check.code for check in verdict.checks if check.outcome == "fail") for verdict in alone[:-2]]
    assert codes == [bad.code for bad in FORM]


def test_nothing_of_a_holder_is_in_the_figures(doors: Doors) -> None:
    for case in ("valid", "forged", "cut"):
        doors.verify(licence=CASES[case].make(doors.issuer, ""))
    figures = doors.metrics.render().decode()
    assert 'civicledger_gateway_licences_total{verdict="valid"} 1.0' in figures
    assert 'civicledger_gateway_licences_total{verdict="forged"} 1.0' in figures
    assert "张" not in figures
    assert "A000000000" not in figures
