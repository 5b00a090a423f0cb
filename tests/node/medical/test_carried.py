"""A partner city's hospital behind a gateway: search, open, recognise, changes, refusals, a gateway that dies."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import msgspec
import pytest
from gateway_town import (
    AGREED,
    PARTNER,
    SERVICE,
    Town,
    at_the_door,
    carried,
    decoded,
    make_gateway,
    move_away,
    move_back,
    report,
    wired,
)
from medical_city import USCC, City, bundle, eventually, refused

from ledger.errors import UnavailableError, UntrustedError
from ledger.evidence.carried import encode_carried, to_file, verify_answer
from ledger.evidence.envelope import envelope_digest
from ledger.evidence.medicalreceipt import decode_step_receipt, report_commitment, step_receipt_digest
from ledger.medical.offers import encode_offer
from ledger.v1 import medical_pb2 as pb
from ledger.v1 import recognition_pb2, recognition_pb2_grpc
from node.exchange.parties import receipt_keys
from node.forward import domain_of
from node.medical.carried import CarriedRoad
from node.medical.sealing import ReplyKey, derived_salt


@pytest.fixture(scope="module")
def town(clinic: City, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """East is a partner city's, and known to the others before its line was cut: west opened a report of it."""
    made = make_gateway(clinic, tmp_path_factory.mktemp("town") / "gateway")
    made.opened = clinic.report(PARTNER, clinic.patient())
    clinic.open("west", PARTNER, made.opened)
    made.start_gateway()
    move_away(made)
    try:
        yield made
    finally:
        move_back(made)
        made.kill_gateway()


def road(clinic: City) -> CarriedRoad:
    found = clinic.nodes[PARTNER].medical.speaking.dialogue.road
    assert isinstance(found, CarriedRoad)
    return found


def test_a_partner_citys_hospital_searches_opens_and_decides(clinic: City, town: Town) -> None:
    who = clinic.patient()
    offer = report(town, "west", who, AGREED, "haemoglobin")
    seen: list[bytes] = []
    inner = road(clinic)._post

    def watch(path: str, body: bytes, end: float) -> bytes:
        answer = inner(path, body, end)
        seen.extend((body, answer))
        return answer

    road(clinic)._post = watch  # type: ignore[method-assign]
    try:
        found = clinic.search(PARTNER, who)
        opened = clinic.open(PARTNER, "west", offer, operator_pseudonym="dr-7")
        step = bytes(opened.step.step)
        recognised = clinic.decide(PARTNER, step, places=[0])
        retested = clinic.decide(PARTNER, step, "retest", places=[1], reason="emergency")
    finally:
        del road(clinic)._post
    assert (found.asked, list(found.absent), found.rules_version) == (2, [], 7)
    (shown,) = found.reports
    # The asker's region judges; of another city's labels those count that both regions agreed on.
    assert [(item.item, item.recognisable) for item in shown.items] == [(AGREED, True), ("haemoglobin", False)]
    assert [why.code for why in shown.items[1].reasons] == ["range-not-here"]
    assert opened.data == bundle(who, offer)
    for type_, done in (
        ("medical.opened", opened.step),
        ("medical.recognised", recognised),
        ("medical.retested", retested),
    ):
        (here,) = clinic.records(PARTNER, type_, offer.report)
        (there,) = clinic.records("west", type_, offer.report)
        assert here.body["receipt"] == there.body["receipt"] == step_receipt_digest(bytes(done.receipt)).hex()
    assert json.loads(opened.step.receipt)["receipt"]["rules"]["version"] == 7
    # Whoever carries it sees neither the report nor the key to it, nor what was offered.
    plain = b"".join(seen) + b"".join(decoded(data) for data in seen)
    # A search, an opening, two decisions; changes are asked for in between.
    assert len(seen) >= 2 * (1 + 3 + 2 + 2)
    half = clinic.nodes[PARTNER].medical.steps.get(step, "consumer")
    assert half is not None
    salt = derived_salt(clinic.parts["west"].reports.rows[offer.report].salt, b"step", step)
    opened_bytes = report_commitment(salt, hashlib.sha256(opened.data).digest())
    assert decode_step_receipt(half.receipt)[0].commitment == opened_bytes
    for hidden in (
        opened.data[:40],
        encode_offer(offer)[:40],
        salt,
        half.half[:60],
        who.encode(),
        AGREED.encode(),
    ):
        assert hidden not in plain


def test_changes_reach_a_hospital_that_cannot_be_called(clinic: City, town: Town) -> None:
    offer = clinic.report("west", clinic.patient())
    clinic.open(PARTNER, "west", offer)

    def changes(change: str) -> list[pb.ReportChange]:
        answer = clinic.service(PARTNER).ListChanges(pb.ListChangesRequest(), timeout=180)
        return [one for one in answer.changes if one.report == offer.report and one.change == change]

    clinic.correct("west", offer.report)
    eventually(lambda: changes("corrected"), "east hears of the correction")
    clinic.withdraw("west", offer.report)
    eventually(lambda: changes("withdrawn"), "east hears of the withdrawal")
    eventually(lambda: not clinic.nodes["west"].medical.speaking.changes.owed(), "nothing is owed")
    told = [
        [one.body["notice"] for one in clinic.records(at, "medical.told", offer.report)] for at in ("west", PARTNER)
    ]
    assert told[0] == told[1]
    assert len(told[0]) == 2


def test_a_dead_and_a_slow_hospital_are_named_and_not_waited_for(clinic: City, town: Town) -> None:
    who = clinic.patient()
    offer = report(town, "west", who)
    going_on = threading.Event()
    slow = clinic.parts["north"].pseudonyms
    slow.before_find = lambda: going_on.wait(300)
    try:
        # The slow one is held until the answer is here: it came without it. The other one has the time it needs.
        for deadline_ms in (2_000, 10_000, 60_000):
            found = clinic.search(PARTNER, who, deadline_ms=deadline_ms)
            if len(found.absent) == 1:
                break
        assert not going_on.is_set()
    finally:
        going_on.set()
        slow.before_find = None
    assert [(one.member, one.code) for one in found.absent] == [(USCC["north"], "peer.timeout")]
    assert [bytes(one.report) for one in found.reports] == [offer.report]
    clinic.stop("north")
    try:
        found = clinic.search(PARTNER, who)
        assert [(one.member, one.code) for one in found.absent] == [(USCC["north"], "node.unreachable")]
        assert [bytes(one.report) for one in found.reports] == [offer.report]
    finally:
        clinic.start("north")
        assert clinic.nodes["north"].wait_open(300)


def test_a_refusal_by_the_other_hospital_is_on_both_records_and_seen_by_nobody_else(clinic: City, town: Town) -> None:
    who = clinic.patient()
    offer = report(town, "west", who)
    kept = clinic.parts["west"].reports.get(offer.report)
    assert kept is not None
    clinic.parts["west"].consents.forbidden.add((kept.subject, USCC[PARTNER]))
    assert not clinic.search(PARTNER, who).reports
    assert refused(lambda: clinic.open(PARTNER, "west", offer)).code == "medical.forbidden"
    for handle in (PARTNER, "west"):
        (entry,) = clinic.records(handle, "medical.refused", offer.report)
        assert entry.body["code"] == "medical.forbidden"


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "other chain": ({"chain": b"\x01" * 32}, "envelope.other-target"),
    "another method": ({"method": SERVICE + "Open"}, "envelope.method"),
    "expired": ({"expires": 1_700_000_000_000}, "envelope.expired"),
    "no hospital": ({"signer": "health"}, "medical.not-hospital"),
    "no member": ({"caller": "91310000775785552L"}, "auth.not-member"),
    "signed by another": ({"caller": USCC["north"]}, "envelope.signature"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_not_carried(clinic: City, town: Town, case: str) -> None:
    changes, code = BAD[case]
    call = carried(clinic, **changes)
    _, answer = town.post("/v1/recognition/search", {"envelopes": [to_file(call)], "deadline_ms": 60_000})
    assert (answer["code"], bool(answer["message"])) == (code, True)


def test_an_envelope_is_carried_once_to_a_hospital_as_it_was_signed(clinic: City, town: Town) -> None:
    call = carried(clinic)
    several = {"envelopes": [to_file(call)], "deadline_ms": 60_000}
    status, answer = town.post("/v1/recognition/search", several)
    assert (status, answer["answers"][0]["target"]) == (200, USCC["west"])
    assert answer["answers"][0]["answer"]
    status, answer = town.post("/v1/recognition/search", several)
    assert (status, answer["code"]) == (409, "envelope.replayed")
    late = carried(clinic, expires=clinic.nodes[PARTNER].context.clock() + 120_000)
    assert town.post("/v1/recognition/search", {"envelopes": [to_file(late)]})[1]["code"] == "envelope.too-far"
    changed = msgspec.structs.replace(to_file(carried(clinic)), body=b"x")
    assert town.post("/v1/recognition/search", {"envelopes": [changed]})[1]["code"] == "envelope.signature"
    twice = [to_file(carried(clinic)), to_file(carried(clinic))]
    assert town.post("/v1/recognition/search", {"envelopes": twice})[1]["code"] == "envelope.mixed"
    elsewhere = carried(clinic, target=USCC["health"])
    _, answer = town.post("/v1/recognition/search", {"envelopes": [to_file(elsewhere)], "deadline_ms": 60_000})
    assert answer["answers"][0]["code"] == "medical.not-hospital"
    for path, body in (
        ("/v1/recognition/search", b"{"),
        ("/v1/recognition/search", {"envelopes": [], "more": 1}),
        ("/v1/recognition/open", {"chain": "00"}),
        ("/v1/recognition/confirm", b"\xff"),
    ):
        assert town.post(path, body)[1]["code"] == "http.body"
    assert town.post("/v1/recognition/search", {"envelopes": []})[1]["code"] == "envelope.count"
    assert town.post("/v1/recognition/search", several | {"deadline_ms": 5})[1]["code"] == "input.field"
    too_long = to_file(carried(clinic, body=bytes(300_000), method=SERVICE + "Confirm"))
    assert town.post("/v1/recognition/confirm", too_long)[0] == 413


def test_the_door_of_a_node_judges_by_itself(clinic: City, town: Town) -> None:
    call = encode_carried(carried(clinic))
    assert at_the_door(clinic, call)[0] == 200

    def code(body: bytes) -> str:
        status, answer = at_the_door(clinic, body)
        assert status >= 400
        return str(msgspec.json.decode(answer)["code"])

    assert code(call) == "envelope.replayed"
    assert code(b"{}") == "envelope.field"
    assert code(b"[" * 100_000) == "envelope.field"
    assert code(bytes(300_000)) == "http.too-large"
    short = recognition_pb2.SealedRequest(reply_key=b"short").SerializeToString()
    for changes, expected in (
        ({"method": "/ledger.v1.MedicalService/Open"}, "envelope.method"),
        ({"target": USCC["north"]}, "envelope.other-target"),
        ({"caller": USCC["north"]}, "envelope.signature"),
        ({"expires": 1_700_000_000_000}, "envelope.expired"),
        ({"body": b"\xff\xff"}, "input.field"),
        ({"body": short}, "envelope.reply-key"),
    ):
        assert code(encode_carried(carried(clinic, **changes))) == expected


def test_a_member_without_the_role_is_told_so_in_private(clinic: City, town: Town) -> None:
    reply = ReplyKey()
    message = pb.PeerSearchRequest(pseudonyms=[bytes(32)], purpose="treatment").SerializeToString()
    body = recognition_pb2.SealedRequest(message=message, reply_key=reply.public).SerializeToString()
    call = carried(clinic, signer="health", body=body)
    status, data = at_the_door(clinic, encode_carried(call))
    assert status == 200
    answer = recognition_pb2.SealedAnswer.FromString(data)
    digest = envelope_digest(domain_of(clinic.nodes["west"].context), call.envelope)
    (key,) = receipt_keys(clinic.nodes["west"].context, USCC["west"])
    verify_answer(key, digest, bytes(answer.sealed), bytes(answer.signature))
    content = recognition_pb2.SealedContent.FromString(reply.open(bytes(answer.sealed), digest))
    assert content.refusal.code == "medical.not-hospital"
    # To another question it is no answer, and to nobody else it opens.
    for check in (
        lambda: verify_answer(key, bytes(32), bytes(answer.sealed), bytes(answer.signature)),
        lambda: ReplyKey().open(bytes(answer.sealed), digest),
        lambda: reply.open(bytes(answer.sealed), bytes(32)),
    ):
        with pytest.raises(UntrustedError) as refusal:
            check()
        assert refusal.value.code == "envelope.answer"


def test_the_same_over_grpc_and_a_stream_of_changes(clinic: City, town: Town) -> None:
    offer = clinic.report("west", clinic.patient())
    clinic.open(PARTNER, "west", offer)
    fetching = clinic.nodes[PARTNER].medical.speaking.fetching
    assert fetching is not None

    credentials = grpc.ssl_channel_credentials(town.certificate)
    with grpc.secure_channel(f"localhost:{town.grpc_port}", credentials) as channel:
        stub = recognition_pb2_grpc.RecognitionServiceStub(channel)
        calls = [wired(carried(clinic)), wired(carried(clinic, target=USCC["north"]))]
        found = stub.Search(recognition_pb2.CarriedCalls(envelopes=calls, deadline_ms=60_000), timeout=180)
        assert [one.target for one in found.answers] == [USCC["west"], USCC["north"]]
        assert all(one.answer and not one.code for one in found.answers)
        again = refused(lambda: stub.Search(recognition_pb2.CarriedCalls(envelopes=calls, deadline_ms=60_000)))
        assert again.code == "envelope.replayed"
        other = refused(lambda: stub.Decide(wired(carried(clinic)), timeout=180))
        assert other.code == "envelope.method"

        figures = stub.Statistics(recognition_pb2.CityFiguresRequest(), timeout=180)
        assert (figures.asked, figures.figures[0].by) == (3, "total")
        future = recognition_pb2.CityFiguresRequest(first="2100-01", last="2100-02")
        assert refused(lambda: stub.Statistics(future, timeout=180)).code == "medical.month"

        asked = pb.PeerChangesRequest(wait_ms=40_000).SerializeToString()
        reply = ReplyKey()
        body = recognition_pb2.SealedRequest(message=asked, reply_key=reply.public).SerializeToString()
        call = carried(clinic, body=body, method=SERVICE + "Changes")
        stream = stub.WatchChanges(recognition_pb2.CarriedCalls(envelopes=[wired(call)]), timeout=180)
        # Whoever fetches first has it: here the stream is to, and it waits already.
        waiting = clinic.nodes["west"].medical.speaking.changes
        before = waiting.noticed
        clinic.withdraw("west", offer.report)
        (told,) = stream
        assert waiting.noticed > before
        assert (told.target, told.code) == (USCC["west"], "")
        assert told.answer


def test_a_gateway_killed_in_the_middle_loses_and_doubles_nothing(clinic: City, town: Town) -> None:
    offers = [clinic.report("west", clinic.patient()) for _ in range(2)]
    nonces = [os.urandom(32) for _ in range(3)]
    opened = clinic.open(PARTNER, "west", offers[0], nonce=nonces[0]).step
    notices = clinic.parts["west"].notices
    inner, waiting = notices.post, {offers[1].report}

    def post(event: bytes, subject: bytes, kind: str, report: bytes, at_s: int) -> None:
        inner(event, subject, kind, report, at_s)
        if report in waiting:
            # The half receipt is kept, the key has not left: nobody carries it any more.
            waiting.clear()
            town.kill_gateway()

    notices.post = post  # type: ignore[method-assign]
    try:
        lost = [
            refused(lambda: clinic.open(PARTNER, "west", offers[1], nonce=nonces[1])),
            refused(lambda: clinic.decide(PARTNER, bytes(opened.step), places=[0], nonce=nonces[2])),
        ]
    finally:
        del notices.post
    assert not waiting
    assert {(type(error), error.code) for error in lost} == {(UnavailableError, "gateway.unreachable")}
    found = clinic.search(PARTNER, clinic.patient())
    assert {(one.member, one.code) for one in found.absent} == {
        (USCC[handle], "gateway.unreachable") for handle in ("west", "north")
    }
    town.start_gateway()
    # Nobody asks again: the node finishes what it began.
    for type_, offer in (("medical.recognised", offers[0]), ("medical.opened", offers[1])):
        for handle in (PARTNER, "west"):
            eventually(
                lambda handle=handle, type_=type_, offer=offer: clinic.records(handle, type_, offer.report),
                f"{handle} has {type_}",
            )
            assert len(clinic.records(handle, type_, offer.report)) == 1
    again = clinic.open(PARTNER, "west", offers[1], nonce=nonces[1])
    assert clinic.decide(PARTNER, bytes(again.step.step), places=[0]).state == "complete"
    for handle in (PARTNER, "west"):
        (done,) = clinic.records(handle, "medical.opened", offers[1].report)
        assert done.body["receipt"] == step_receipt_digest(bytes(again.step.receipt)).hex()
        assert len(clinic.records(handle, "medical.requested", offers[1].report)) == 2


def test_a_change_is_told_through_the_gateway(clinic: City, town: Town) -> None:
    clinic.correct(PARTNER, town.opened.report)

    def heard() -> list[pb.ReportChange]:
        answer = clinic.service("west").ListChanges(pb.ListChangesRequest(), timeout=180)
        return [one for one in answer.changes if one.report == town.opened.report]

    eventually(heard, "west hears of it")
    eventually(lambda: not clinic.nodes[PARTNER].medical.speaking.changes.owed(), "nothing is owed")
